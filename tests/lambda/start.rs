//! How the process starts.

use std::process::Command;

#[test]
fn outside_of_lambda_it_says_what_to_do_instead() {
    let started = Command::new(env!("CARGO_BIN_EXE_bootstrap")).env_clear().output().unwrap();
    assert_eq!(started.status.code(), Some(2));
    assert_eq!(
        String::from_utf8(started.stderr).unwrap(),
        "bootstrap runs in AWS Lambda only: AWS_LAMBDA_RUNTIME_API is not set. To evaluate an event here, run \
         `imdsv2 evaluate EVENT.json`; to invoke the function, run `aws lambda invoke`.\n"
    );
}
