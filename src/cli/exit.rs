//! Exit statuses: 0 nothing is non-compliant, 1 something is, 2 an error.

use std::io;
use std::process::ExitCode;

use super::terminal::messages;

/// The status that a shell reports of a program that SIGPIPE ended: nobody reads the output any more.
const BROKEN_PIPE: u8 = 141;

/// How a command completed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Completion {
    /// Nothing is non-compliant.
    Clean,
    /// Something is non-compliant.
    Findings,
    /// Part of the work failed; the errors were printed.
    Incomplete,
}

impl Completion {
    /// Returns how a command completed with this many errors and non-compliant resources.
    pub(crate) fn of(errors: usize, findings: usize) -> Self {
        match (errors, findings) {
            (1.., _) => Self::Incomplete,
            (0, 1..) => Self::Findings,
            (0, 0) => Self::Clean,
        }
    }

    /// Returns `Clean` instead of `Findings` if `--exit-zero` was passed.
    pub(crate) fn exit_zero(self, exit_zero: bool) -> Self {
        if exit_zero && self == Self::Findings { Self::Clean } else { self }
    }
}

/// Returns the exit status of a command, and prints the error if it failed.
pub(crate) fn status(result: anyhow::Result<Completion>) -> ExitCode {
    match result {
        Ok(Completion::Clean) => ExitCode::SUCCESS,
        Ok(Completion::Findings) => ExitCode::from(1),
        Ok(Completion::Incomplete) => ExitCode::from(2),
        Err(error) if is_broken_pipe(&error) => ExitCode::from(BROKEN_PIPE),
        Err(error) => {
            messages::error(&format!("{error:#}"));
            ExitCode::from(2)
        }
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let broken = |error: &io::Error| error.kind() == io::ErrorKind::BrokenPipe;
    error.chain().any(|cause| cause.downcast_ref::<io::Error>().is_some_and(broken))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_outweigh_findings() {
        for (errors, findings, expected) in [
            (0, 0, Completion::Clean),
            (0, 2, Completion::Findings),
            (1, 0, Completion::Incomplete),
            (1, 2, Completion::Incomplete),
        ] {
            assert_eq!(Completion::of(errors, findings), expected);
        }
        assert_eq!(Completion::Findings.exit_zero(true), Completion::Clean);
        assert_eq!(Completion::Findings.exit_zero(false), Completion::Findings);
        assert_eq!(Completion::Incomplete.exit_zero(true), Completion::Incomplete);
    }
}
