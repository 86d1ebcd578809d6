//! The command line: see [`imdsv2_config_rule::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    imdsv2_config_rule::cli::run()
}
