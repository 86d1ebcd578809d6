//! `--debug`: what the AWS SDK does, on standard error.

use std::io;

use tracing_subscriber::EnvFilter;

/// What is printed: the calls that failed, and how the SDK found credentials, sent requests and repeated them. The SDK
/// leaves out secrets.
const FILTER: &str = "aws_config=debug,aws_smithy_runtime=debug,imdsv2_config_rule=debug";

/// Prints it from now on.
pub(crate) fn enable() {
    let filter = EnvFilter::new(FILTER);
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_ansi(false).init();
}
