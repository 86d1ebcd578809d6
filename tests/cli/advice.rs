//! Errors that say what to do, with their whole text. That of the function outside of Lambda is in tests/lambda.

use std::fs;

use snapbox::cmd::Command;
use wiremock::ResponseTemplate;

use crate::cloud::{Cloud, OWN, ec2, refusal};
use crate::harness::{evaluate, imdsv2, scratch, stderr};

const OTHER: &str = "222222222222";

/// An error of STS.
fn sts_error(code: &str, message: &str) -> ResponseTemplate {
    ResponseTemplate::new(403).set_body_string(format!(
        "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type>\
         <Code>{code}</Code><Message>{message}</Message></Error></ErrorResponse>"
    ))
}

/// Has a scan fail, and returns what it prints.
fn failed(scan: Command) -> String {
    stderr(&scan.assert().code(2))
}

#[test]
fn no_credentials() {
    let scan = imdsv2(&["scan", "--region", "eu-west-1"]);
    let variables = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"];
    let scan = variables.into_iter().fold(scan, Command::env_remove);
    let nowhere = scratch("no-credentials", b"");
    let scan = scan
        .env("AWS_CONFIG_FILE", &nowhere)
        .env("AWS_SHARED_CREDENTIALS_FILE", &nowhere)
        .env("AWS_EC2_METADATA_DISABLED", "true");
    let expected = "error: no AWS credentials found: set AWS_PROFILE, or sign in with `aws sso login`\n";
    assert_eq!(failed(scan), expected);
}

#[test]
fn a_profile_whose_credentials_cannot_be_loaded() {
    let profiles = scratch(
        "broken-profiles",
        b"[profile source]
role_arn = arn:aws:iam::123456789012:role/x
source_profile = missing
[profile process]
credential_process = /bin/false
[profile sso]
sso_session = s
sso_account_id = 123456789012
sso_role_name = r
[sso-session s]
sso_region = us-east-1
sso_start_url = https://example.awsapps.com/start
[profile web]
role_arn = arn:aws:iam::123456789012:role/x
web_identity_token_file = /nowhere/token
[profile half]
aws_access_key_id = AKIA
",
    );
    for (profile, expected) in [
        (
            "source",
            "profile `missing` was not defined: could not find source profile missing referenced from source: check the \
             profile in the AWS configuration files",
        ),
        (
            "process",
            "Error retrieving credentials: external process exited with code exit status: 1: check credential_process in \
             the AWS configuration files",
        ),
        ("sso", "there is no valid SSO session: sign in with `aws sso login`"),
        (
            "web",
            "cannot read the web identity token: No such file or directory (os error 2): check \
             AWS_WEB_IDENTITY_TOKEN_FILE, or web_identity_token_file of the profile",
        ),
        (
            "half",
            "invalid credential source in `half`: profile missing aws_secret_access_key: check the profile in the AWS \
             configuration files",
        ),
    ] {
        let scan = imdsv2(&["scan", "--region", "eu-west-1", "--profile", profile]);
        let scan = scan.env("AWS_CONFIG_FILE", &profiles).env("AWS_SHARED_CREDENTIALS_FILE", "/nowhere");
        assert_eq!(
            failed(scan.env("HOME", "/nowhere")),
            format!("error: profile \"{profile}\": cannot load AWS credentials: {expected}\n")
        );
    }
}

#[test]
fn a_call_that_is_refused_for_good_is_not_repeated() {
    for refused in [
        refusal(),
        ResponseTemplate::new(404).set_body_string("no such page"),
        ResponseTemplate::new(501).set_body_string("not implemented"),
        crate::cloud::ec2_error(400, "InvalidAction"),
        crate::cloud::ec2_error(400, "UnsupportedOperation"),
    ] {
        let cloud = Cloud::new(move |call| {
            (call.operation == "DescribeLaunchTemplateVersions").then(|| refused.clone())
        });
        let scan = cloud.imdsv2(&["scan", "--region", "eu-west-1", "--format", "json"]);
        let assert = scan.assert().code(2);
        assert_eq!(cloud.called("DescribeLaunchTemplateVersions").len(), 1, "{}", stderr(&assert));
        for other in ["DescribeInstances", "DescribeLaunchConfigurations", "DescribeAutoScalingGroups"] {
            assert_eq!(cloud.called(other).len(), 1, "the other lists are read");
        }
        let expected = format!("error: account {OWN}, eu-west-1: cannot list launch templates: ");
        assert!(stderr(&assert).starts_with(&expected), "{}", stderr(&assert));
    }
}

#[test]
fn expired_credentials() {
    let cloud = Cloud::new(|_| Some(sts_error("ExpiredToken", "The security token is expired")));
    assert_eq!(
        failed(cloud.imdsv2(&["scan"])),
        "error: the AWS credentials have expired: sign in again with `aws sso login`, or renew them\n"
    );
}

#[test]
fn a_role_that_cannot_be_assumed() {
    const REASON: &str =
        "User: arn:aws:iam::123456789012:user/me is not authorized to perform: sts:AssumeRole";
    let cloud =
        Cloud::new(|call| (call.operation == "AssumeRole").then(|| sts_error("AccessDenied", REASON)));
    let role = format!("arn:aws:iam::{OTHER}:role/scanner");
    assert_eq!(
        failed(cloud.imdsv2(&["scan", "--role-arn", &role])),
        format!(
            "error: cannot assume {role}: AccessDenied: {REASON}: the trust policy of the role, in account {OTHER}, \
             must allow the caller, and the caller's own policies must allow sts:AssumeRole\n"
        )
    );
}

#[test]
fn a_region_that_does_not_respond() {
    let cloud = Cloud::new(|_| None);
    let scan = cloud.imdsv2(&["scan", "--region", "eu-west-1", "--type", "instance", "--format", "json"]);
    // The number of the error is that of Linux.
    assert_eq!(
        failed(scan.env("AWS_ENDPOINT_URL_EC2", "http://127.0.0.1:9"))
            .replace("(os error 61)", "(os error 111)"),
        format!(
            "error: account {OWN}, eu-west-1: cannot list instances: DescribeInstances: tcp connect error: Connection \
             refused (os error 111): check the network, or select other Regions with --region\n"
        )
    );
}

#[test]
fn one_permission_that_is_missing_in_38_regions() {
    let cloud = Cloud::new(|call| match call.operation.as_str() {
        "DescribeRegions" => {
            let region = |number| format!("<item><regionName>xx-test-{number:02}</regionName></item>");
            let regions: String = (1..=38).map(region).collect();
            Some(ec2("DescribeRegions", &format!("<regionInfo>{regions}</regionInfo>")))
        }
        "DescribeInstances" => Some(refusal()),
        _ => None,
    });
    assert_eq!(
        failed(cloud.imdsv2(&["scan", "--format", "json"])),
        format!(
            "error: account {OWN}, 38 Regions (xx-test-01, xx-test-02, xx-test-03 and 35 others): cannot list \
             instances: DescribeInstances: UnauthorizedOperation: no: allow ec2:DescribeInstances; `imdsv2 \
             permissions scan` prints a policy\n"
        )
    );
}

#[test]
fn internals_are_shown_with_debug_only() {
    let cloud = Cloud::new(|call| (call.operation == "DescribeInstances").then(refusal));
    let scan = |arguments: &[&str]| {
        let scan = cloud.imdsv2(&["scan", "--region", "eu-west-1", "--format", "json"]).args(arguments);
        failed(scan.env("AWS_SECRET_ACCESS_KEY", "not-to-be-shown"))
    };
    assert_eq!(scan(&[]).lines().count(), 1);
    let shown = scan(&["--debug"]);
    assert!(shown.contains("a call failed operation=\"DescribeInstances\" error="), "{shown}");
    assert!(!shown.contains("not-to-be-shown"), "{shown}");
}

#[test]
fn a_gate_that_judged_nothing() {
    for input in ["[]", r#"{"configurationItems": []}"#] {
        let assert = evaluate(&["--format", "json"]).stdin(input).assert().code(2);
        let expected = "error: the input contains no records: pass --allow-empty if that is expected\n";
        assert_eq!(stderr(&assert), expected, "{input}");
        evaluate(&["--format", "json", "--allow-empty"]).stdin(input).assert().code(0).stderr_eq("");
    }
    let empty = format!("{}/an-empty-folder", env!("CARGO_TARGET_TMPDIR"));
    fs::create_dir_all(&empty).unwrap();
    let assert = evaluate(&[&empty]).assert().code(2);
    let expected = format!(
        "error: {empty} contains no file that is read: expected .json, .jsonl, .ndjson, .template, .yaml, .yml (each may end in .gz)\n"
    );
    assert_eq!(stderr(&assert), expected);
    let none = evaluate(&["--format", "json", "--tag", "team=none", "examples/"]).assert().code(2);
    let expected = "error: no resource in the input is selected: pass --allow-empty if that is expected\n";
    assert_eq!(stderr(&none), expected);
}

#[test]
fn a_region_that_does_not_exist_or_is_not_enabled() {
    let cloud = Cloud::new(|call| {
        (call.operation == "DescribeRegions").then(|| {
            let regions = "<item><regionName>eu-central-1</regionName></item><item><regionName>me-south-1</regionName>\
                           <optInStatus>not-opted-in</optInStatus></item>";
            ec2("DescribeRegions", &format!("<regionInfo>{regions}</regionInfo>"))
        })
    });
    for (region, expected) in [
        (
            "eu-centrl-1",
            "--region eu-centrl-1: there is no such Region: did you mean eu-central-1?".to_owned(),
        ),
        (
            "frankfurt",
            "--region frankfurt: there is no such Region: expected a name such as eu-central-1".to_owned(),
        ),
        ("me-south-1", format!("account {OWN}: the Region me-south-1 is not enabled in the account")),
    ] {
        let text = failed(cloud.imdsv2(&["scan", "--region", region]));
        assert_eq!(text, format!("error: {expected}\n"));
    }
}

#[test]
fn an_id_that_is_none() {
    let text = failed(imdsv2(&["remediate", "--instance-id", "i-012345"]));
    assert_eq!(
        text,
        "error: invalid value 'i-012345' for '--instance-id <ID>': expected an instance id: i- and 8 or 17 digits or \
         letters from a to f, such as i-0123456789abcdef0\n\nFor more information, try '--help'.\n"
    );
}
