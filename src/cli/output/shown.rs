//! The findings that are shown: those with a compliance type, and at most a number of them.

use std::collections::BTreeMap;
use std::io;

use super::{Conclusion, Finding, Output};
use crate::cli::filter::ShownOptions;
use crate::cli::terminal::messages;
use crate::rule::verdict::Compliance;

/// The place of a finding: non-compliant ones first, then by account, Region, type and id. The last part is its
/// number, because records may repeat.
type Place = (Compliance, String, String, String, String, u64);

/// An output that leaves out findings. They are counted in its summary nevertheless.
pub(super) struct Shown {
    pub(super) output: Box<dyn Output>,
    options: ShownOptions,
    quiet: bool,
    /// The findings to show, if their number is limited.
    held: BTreeMap<Place, Finding<'static>>,
    all: u64,
    left_out: u64,
}

impl Shown {
    pub(super) fn new(output: Box<dyn Output>, options: ShownOptions, quiet: bool) -> Self {
        Self { output, options, quiet, held: BTreeMap::new(), all: 0, left_out: 0 }
    }

    fn hold(&mut self, finding: &Finding<'_>, limit: u32) {
        let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
        let place = (
            finding.compliance,
            text(finding.account_id.as_deref()),
            text(finding.region.as_deref()),
            finding.resource_type.clone().into_owned(),
            finding.resource_id.clone().into_owned(),
            self.all,
        );
        self.held.insert(place, finding.clone().into_owned());
        if self.held.len() > usize::try_from(limit).unwrap_or(usize::MAX)
            && let Some((_, last)) = self.held.pop_last()
        {
            self.output.left_out(&last);
            self.left_out += 1;
        }
    }
}

impl Output for Shown {
    fn finding(&mut self, finding: &Finding<'_>) -> io::Result<()> {
        self.all += 1;
        if self.options.only.is_some_and(|only| finding.compliance != Compliance::from(only)) {
            self.output.left_out(finding);
            self.left_out += 1;
            return Ok(());
        }
        match self.options.limit {
            None => self.output.finding(finding),
            Some(limit) => {
                self.hold(finding, limit);
                Ok(())
            }
        }
    }

    fn finish(&mut self, conclusion: &Conclusion<'_>) -> io::Result<()> {
        for finding in std::mem::take(&mut self.held).into_values() {
            self.output.finding(&finding)?;
        }
        self.output.finish(&Conclusion { left_out: self.left_out, ..*conclusion })?;
        if self.left_out > 0 && !self.quiet {
            let shown = self.all - self.left_out;
            messages::note(&format!("{shown} of {} resources are shown (--only, --limit)", self.all));
        }
        Ok(())
    }
}
