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

#[test]
fn without_the_certificate_authorities_that_are_named_it_does_not_start() {
    let started = Command::new(env!("CARGO_BIN_EXE_bootstrap"))
        .env_clear()
        .env("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:9")
        .env("AWS_LAMBDA_LOG_FORMAT", "JSON")
        .env("AWS_CA_BUNDLE", "/nowhere.pem")
        .output()
        .unwrap();
    assert_eq!(started.status.code(), Some(1));
    let line: serde_json::Value = serde_json::from_slice(&started.stdout).unwrap();
    assert_eq!(
        line["fields"]["error"],
        "AWS_CA_BUNDLE: cannot read the certificate authorities in /nowhere.pem: No such file or directory (os error 2)"
    );
}
