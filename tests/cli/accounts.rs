//! The accounts and Regions that the commands work in.

use std::path::PathBuf;

use crate::cloud::{Cloud, OWN};
use crate::harness::{scratch, stderr};

const DEV: &str = "111111111111";
const OTHER: &str = "222222222222";

/// The AWS configuration files: a profile with keys, and one that assumes a role with them.
fn profiles(name: &str) -> (PathBuf, PathBuf) {
    let config = format!(
        "[profile dev]\nregion = eu-west-1\n[profile prod]\nrole_arn = arn:aws:iam::{OTHER}:role/r\n\
         source_profile = dev\n[profile empty]\nregion = eu-west-1\n"
    );
    let credentials = format!("[dev]\naws_access_key_id = AKIA{DEV}\naws_secret_access_key = s\n");
    (
        scratch(&format!("{name}-config"), config.as_bytes()),
        scratch(&format!("{name}-credentials"), credentials.as_bytes()),
    )
}

fn with_profiles(cloud: &Cloud, name: &str, arguments: &[&str]) -> snapbox::cmd::Command {
    let (config, credentials) = profiles(name);
    let command = cloud.imdsv2(&["scan", "--exit-zero"]).args(arguments);
    command.env("AWS_CONFIG_FILE", config).env("AWS_SHARED_CREDENTIALS_FILE", credentials)
}

#[test]
fn a_profile_takes_precedence_over_keys_in_the_environment() {
    for (profile, accounts) in [("dev", vec![DEV]), ("prod", vec![DEV, OTHER])] {
        let cloud = Cloud::new(|_| None);
        with_profiles(&cloud, "precedence", &["--profile", profile]).assert().code(0);
        assert_eq!(cloud.accounts().into_iter().collect::<Vec<_>>(), accounts, "{profile}");
    }
    let cloud = Cloud::new(|_| None);
    let role = format!("arn:aws:iam::{OTHER}:role/r");
    with_profiles(&cloud, "roles", &["--profile", "dev", "--role-arn", &role]).assert().code(0);
    assert_eq!(cloud.called("AssumeRole"), [(DEV.to_owned(), "eu-west-1".to_owned())]);
    let without = Cloud::new(|_| None);
    with_profiles(&without, "without", &[]).assert().code(0);
    assert_eq!(without.accounts().into_iter().collect::<Vec<_>>(), [OWN]);
}

#[test]
fn a_profile_without_credentials_does_not_fall_back_to_others() {
    let cloud = Cloud::new(|_| None);
    let assert = with_profiles(&cloud, "empty", &["--profile", "empty"]).assert().code(2);
    assert!(cloud.accounts().is_empty());
    assert!(stderr(&assert).contains("profile \"empty\""), "{}", stderr(&assert));
}

#[test]
fn a_profile_that_does_not_exist_is_an_error_before_anything_is_called() {
    let cloud = Cloud::new(|_| None);
    let assert = with_profiles(&cloud, "missing", &["--profile", "nope"]).assert().code(2);
    assert_eq!(stderr(&assert), "error: profile \"nope\" not found: expected one of dev, empty, prod\n");
    let none = cloud.imdsv2(&["scan", "--profile", "nope"]).assert().code(2);
    assert_eq!(
        stderr(&none),
        "error: profile \"nope\" not found: the AWS configuration files contain no profile\n"
    );
    assert!(cloud.accounts().is_empty());
}
