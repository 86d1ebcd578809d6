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

#[test]
fn an_accounts_file_without_a_role_is_an_error() {
    let cloud = Cloud::new(|_| None);
    for (name, text) in [("empty", ""), ("comments", "\u{feff}# none\r\n\r\n")] {
        let path = scratch(&format!("accounts-{name}.txt"), text.as_bytes());
        let assert = cloud.imdsv2(&["scan", "--accounts-file"]).arg(&path).assert().code(2);
        let message =
            format!("error: {} contains no role: expected a role ARN on each line\n", path.display());
        assert_eq!(stderr(&assert), message);
    }
    assert!(cloud.accounts().is_empty());
}

#[test]
fn an_accounts_file_may_come_from_windows() {
    let cloud = Cloud::new(|_| None);
    let text = format!("\u{feff}arn:aws:iam::{DEV}:role/r\r\n\r\narn:aws:iam::{OTHER}:role/r\r\n");
    let path = scratch("accounts-windows.txt", text.as_bytes());
    let scan = cloud.imdsv2(&["scan", "--exit-zero", "--region", "us-east-1", "--accounts-file"]);
    assert_eq!(stderr(&scan.arg(&path).assert().code(0)), "");
    let here = |account: &str| (account.to_owned(), "us-east-1".to_owned());
    assert_eq!(cloud.called("DescribeInstances"), [here(DEV), here(OTHER)]);
}

#[test]
fn no_region_of_an_account_is_worked_in_twice() {
    let cloud = Cloud::new(|_| None);
    let first = format!("arn:aws:iam::{OTHER}:role/first");
    let second = format!("arn:aws:iam::{OTHER}:role/second");
    let roles = ["--role-arn", &first, "--role-arn", &first, "--role-arn", &second];
    let regions = ["--region", "us-east-1,eu-west-1", "--region", "us-east-1"];
    let scan = cloud.imdsv2(&["scan", "--exit-zero"]).args(roles).args(regions);
    let messages = stderr(&scan.assert().code(0));
    let expected = [
        format!("role {first} is named more than once: it is used once"),
        "Region us-east-1 is named more than once: it is used once".to_owned(),
        format!("account {OTHER} is reached by two roles: {second} is not used"),
    ];
    assert_eq!(messages.lines().collect::<Vec<_>>(), expected);
    let place = |region: &str| (OTHER.to_owned(), region.to_owned());
    assert_eq!(cloud.called("DescribeInstances"), [place("eu-west-1"), place("us-east-1")]);
}

#[test]
fn a_region_name_is_checked() {
    for bad in ["us-east-1,", "us_east_1", "example.com/"] {
        let assert = Cloud::new(|_| None).imdsv2(&["scan", "--region", bad]).assert().code(2);
        assert!(stderr(&assert).contains("expected the name of a Region, such as eu-central-1"), "{bad}");
    }
}
