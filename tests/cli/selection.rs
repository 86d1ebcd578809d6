//! The resources that options select, and those that are shown.

use serde_json::Value;

use crate::cloud::{Cloud, denial, ec2, instances};
use crate::harness::{evaluate, imdsv2, scratch, stderr, stdout};

/// The ids in JSON output, sorted.
fn ids(json: &str) -> Vec<String> {
    let output: Value = serde_json::from_str(json).unwrap();
    let evaluations = output["evaluations"].as_array().unwrap();
    let mut ids: Vec<_> =
        evaluations.iter().map(|finding| finding["resourceId"].as_str().unwrap().to_owned()).collect();
    ids.sort();
    ids
}

fn item(id: &str, team: &str, tokens: &str) -> Value {
    serde_json::json!({
        "resourceType": "AWS::EC2::Instance", "resourceId": id, "configurationItemStatus": "OK",
        "tags": {"team": team, "Name": format!("{id}-name")},
        "configuration": {"metadataOptions": {"httpTokens": tokens}, "state": {"name": "running"}},
    })
}

fn input() -> String {
    let items =
        [item("i-1", "web", "optional"), item("i-2", "web", "required"), item("i-3", "db", "optional")];
    serde_json::json!({"configurationItems": items}).to_string()
}

fn selected(arguments: &[&str]) -> Vec<String> {
    let assert =
        evaluate(&["--format", "json", "--exit-zero"]).args(arguments).stdin(input()).assert().code(0);
    ids(&stdout(&assert))
}

#[test]
fn evaluate_selects_by_tag_type_and_id() {
    assert_eq!(selected(&["--tag", "team=web"]), ["i-1", "i-2"]);
    assert_eq!(selected(&["--tag", "team!=web"]), ["i-3"]);
    assert_eq!(selected(&["--exclude", "i-2"]), ["i-1", "i-3"]);
    let file = scratch("exclude.txt", "\u{feff}# kept as they are\r\ni-1\r\n\r\ni-3\r\n".as_bytes());
    assert_eq!(selected(&["--exclude", file.to_str().unwrap()]), ["i-2"]);
    assert_eq!(selected(&["--type", "launch-template", "--allow-empty"]), [""; 0]);
}

#[test]
fn what_is_not_shown_is_counted_nevertheless() {
    for (arguments, expected, message) in [
        (
            &["--only", "non-compliant"][..],
            &["i-1", "i-3"][..],
            "2 of 3 resources are shown (--only, --limit)\n",
        ),
        (&["--limit", "1"], &["i-1"], "1 of 3 resources are shown (--only, --limit)\n"),
        (&["--limit", "9"], &["i-1", "i-2", "i-3"], ""),
        (&["--limit", "1", "--quiet"], &["i-1"], ""),
    ] {
        let assert = evaluate(&["--format", "json"]).args(arguments).stdin(input()).assert().code(1);
        assert_eq!(ids(&stdout(&assert)), expected, "{arguments:?}");
        assert_eq!(stderr(&assert), message, "{arguments:?}");
        let output: Value = serde_json::from_str(&stdout(&assert)).unwrap();
        assert_eq!(output["summary"]["nonCompliant"], 2);
    }
}

#[test]
fn an_owner_and_a_name_are_shown() {
    let assert = evaluate(&["--format", "csv", "--exit-zero", "--owner-tag", "team"]).stdin(input()).assert();
    assert!(stdout(&assert).contains(",tokens optional,i-1-name,web,,,,,,\n"), "{}", stdout(&assert));
}

#[test]
fn scan_looks_up_the_tags_of_launch_templates_that_a_filter_needs() {
    let cloud = Cloud::new(|call| match call.operation.as_str() {
        "DescribeInstances" => Some(instances(&["i-1"], None)),
        "DescribeLaunchTemplates" => Some(ec2(
            "DescribeLaunchTemplates",
            "<launchTemplates><item><launchTemplateId>lt-1</launchTemplateId><tagSet><item><key>team</key>\
             <value>web</value></item></tagSet></item></launchTemplates>",
        )),
        "DescribeLaunchTemplateVersions" => Some(ec2(
            "DescribeLaunchTemplateVersions",
            "<launchTemplateVersionSet><item><launchTemplateId>lt-1</launchTemplateId><launchTemplateName>web\
             </launchTemplateName></item><item><launchTemplateId>lt-2</launchTemplateId></item>\
             </launchTemplateVersionSet>",
        )),
        _ => None,
    });
    let scan = |arguments: &[&str]| {
        let scan = cloud.imdsv2(&["scan", "--format", "json", "--region", "eu-west-1", "--exit-zero"]);
        ids(&stdout(&scan.args(arguments).assert().code(0)))
    };
    assert_eq!(scan(&[]), ["i-1", "lt-1", "lt-2"]);
    assert!(cloud.called("DescribeLaunchTemplates").is_empty());
    assert_eq!(scan(&["--tag", "team=web"]), ["lt-1"]);
    assert_eq!(scan(&["--type", "instance"]), ["i-1"]);
    assert_eq!(cloud.called("DescribeLaunchTemplateVersions").len(), 2);
}

#[test]
fn a_scan_is_compared_with_an_earlier_one() {
    let evaluation = |id: &str| {
        serde_json::json!({
            "resourceType": "AWS::EC2::Instance", "resourceId": id, "accountId": "123456789012",
            "region": "eu-west-1", "compliance": "NON_COMPLIANT", "annotation": "a",
        })
    };
    let earlier = serde_json::json!({"evaluations": [evaluation("i-1"), evaluation("i-9")]}).to_string();
    let earlier = scratch("earlier.json", earlier.as_bytes());
    let cloud =
        Cloud::new(|call| (call.operation == "DescribeInstances").then(|| instances(&["i-1", "i-2"], None)));
    let scan = |arguments: &[&str]| {
        let scan = cloud.imdsv2(&["scan", "--region", "eu-west-1", "--format", "json", "--compare"]);
        scan.arg(&earlier).args(arguments).assert()
    };
    let assert = scan(&[]).code(1);
    let output: Value = serde_json::from_str(&stdout(&assert)).unwrap();
    let since: Vec<_> = output["evaluations"].as_array().unwrap().iter().map(|each| &each["since"]).collect();
    assert_eq!(since, ["still open", "new"]);
    assert_eq!(
        stderr(&assert),
        format!(
            "Compared with {}: 1 fixed (1 of them no longer exist), 1 new, 1 still open\n",
            earlier.display()
        )
    );
    // What a filter leaves out is not gone.
    let filtered = stderr(&scan(&["--exclude", "i-5"]).code(1));
    assert!(filtered.contains(": 0 fixed, 1 new, 1 still open, 1 not scanned this time\n"), "{filtered}");
}

#[test]
fn lists_are_read_from_standard_input() {
    let cloud = Cloud::new(|_| None);
    let role = "arn:aws:iam::222222222222:role/scanner\r\n";
    let scan = cloud.imdsv2(&["scan", "--accounts-file", "-", "--region", "eu-west-1", "--quiet"]);
    scan.stdin(role).assert().code(0);
    assert_eq!(cloud.called("DescribeInstances"), [("222222222222".to_owned(), "eu-west-1".to_owned())]);
    let twice = imdsv2(&["scan", "--accounts-file", "-", "--compare", "-"]).stdin(role).assert().code(2);
    assert_eq!(stderr(&twice), "error: more than one input is standard input: pass files for the others\n");
    let missing = imdsv2(&["remediate", "--from", "-", "--dry-run"]).stdin("{}").assert().code(2);
    assert!(stderr(&missing).starts_with("error: -: not the output of `imdsv2 scan --format json`"));
}

#[test]
fn commands_do_nothing_until_their_first_line_is_removed() {
    let assert = evaluate(&["--format", "commands", "--exit-zero", "examples/"]).assert().code(0);
    let script = stdout(&assert);
    let path = scratch("commands.sh", script.as_bytes());
    let run = |text: &str| {
        std::fs::write(&path, text).unwrap();
        // Prints the calls instead of making them.
        let mocked =
            format!("aws() {{ case $1 in sts) echo 123456789012;; *) echo \"aws $*\" >&2;; esac; }}\n{text}");
        std::fs::write(&path, mocked).unwrap();
        snapbox::cmd::Command::new("sh").arg(&path).assert()
    };
    let untouched = run(&script).code(1);
    assert_eq!(stderr(&untouched), "");
    let (_, commands) = script.split_once('\n').unwrap();
    let calls = stderr(&run(commands).code(0));
    assert!(
        calls.contains(
            "aws ec2 modify-instance-metadata-options --region eu-west-1 --instance-id i-0aaaaaaaaaaaaaaa1 \
             --http-tokens required\n"
        ),
        "{calls}"
    );
    assert!(calls.contains("create-launch-template-version"), "{calls}");
    assert!(
        script.contains("# no command: HttpTokens is optional: instances launched from this configuration")
    );
}

#[test]
fn what_a_file_does_not_contain_is_not_gone_and_each_resource_counts_once() {
    let first = evaluate(&["--format", "json", "--exit-zero"]).stdin(input()).assert().code(0);
    let earlier = scratch("compared-evaluation.json", stdout(&first).as_bytes());
    // i-1 twice, at first open and then fixed; nothing of the others; and a new one.
    let items = [
        item("i-1", "web", "optional"),
        item("i-1", "web", "required"),
        item("i-4", "web", "optional"),
        item("i-4", "web", "optional"),
    ];
    let now = serde_json::json!({"configurationItems": items}).to_string();
    let assert = evaluate(&["--exit-zero", "--compare"]).arg(&earlier).stdin(now).assert().code(0);
    let line = stdout(&assert).lines().last().unwrap().to_owned();
    let expected =
        format!("Compared with {}: 1 fixed, 1 new, 0 still open, 1 not scanned this time", earlier.display());
    assert_eq!(line, expected);
}

#[test]
fn a_scan_that_was_not_written_completely_is_no_basis_for_a_comparison() {
    let limited =
        evaluate(&["--format", "json", "--exit-zero", "--limit", "1", "--quiet"]).stdin(input()).assert();
    let earlier = scratch("limited.json", stdout(&limited).as_bytes());
    let assert = evaluate(&["--compare"]).arg(&earlier).stdin(input()).assert().code(2);
    assert_eq!(
        stderr(&assert),
        format!(
            "error: {} does not contain every non-compliant resource: write it without --limit and --only\n",
            earlier.display()
        )
    );
}

#[test]
fn a_report_of_some_resources_counts_all() {
    let arguments = ["--format", "html", "--exit-zero", "--quiet", "--only", "compliant"];
    let page = stdout(&evaluate(&arguments).stdin(input()).assert().code(0));
    let (_, data) = page.split_once("id=\"data\">").unwrap();
    let data: Value = serde_json::from_str(data.split_once("</script>").unwrap().0).unwrap();
    assert_eq!(data["evaluations"].as_array().unwrap().len(), 1);
    assert_eq!(data["summary"], serde_json::json!({"compliant": 1, "nonCompliant": 2, "notApplicable": 0}));
    assert_eq!(data["leftOut"], 2);
}

#[test]
fn a_resource_that_was_not_checked_for_calls_has_no_active_command() {
    let cloud = Cloud::new(|call| match call.operation.as_str() {
        "DescribeInstances" => Some(instances(&["i-1"], None)),
        "GetMetricData" => Some(denial()),
        _ => None,
    });
    let scan = |arguments: &[&str]| {
        let scan = cloud.imdsv2(&["scan", "--format", "commands", "--region", "eu-west-1"]).args(arguments);
        stdout(&scan.assert())
    };
    assert!(scan(&[]).contains("\n  aws ec2 modify-instance-metadata-options"));
    let unknown = scan(&["--usage-days", "14"]);
    assert!(unknown.contains("i-1: tokens optional; IMDSv1: not checked\n  # aws ec2 modify"), "{unknown}");
}

#[test]
fn details_do_not_replace_an_input_or_the_journal() {
    let scan = scratch("details-input.json", b"{\"evaluations\": []}");
    let name = scan.display();
    let details = format!("--details={name}");
    let assert = imdsv2(&["remediate", "--dry-run", "--from"]).arg(&scan).arg(&details).assert().code(2);
    let expected = format!(
        "error: cannot write the output to {name}: it is the same file as {name}: pass another --output\n"
    );
    assert_eq!(stderr(&assert), expected);
    let arguments = ["remediate", "--dry-run", "--journal", "target/no.jsonl", "--details=target/no.jsonl"];
    let assert = imdsv2(&arguments).assert().code(2);
    assert!(stderr(&assert).contains("it is the same file as target/no.jsonl"), "{}", stderr(&assert));
}

#[test]
fn the_next_command_selects_the_same_instances() {
    let cloud = Cloud::new(|call| (call.operation == "DescribeInstances").then(|| instances(&["i-1"], None)));
    let scan = cloud.imdsv2(&["scan", "--region", "eu-west-1", "--exclude", "i-5", "--tag", "team!=my team"]);
    let assert = scan.args(["--parameters", "{\"maxHopLimit\":\"2\"}"]).assert().code(1);
    assert_eq!(
        stderr(&assert),
        "Next: imdsv2 scan --region eu-west-1 --tag 'team!=my team' --exclude i-5 --parameters \
         '{\"maxHopLimit\":\"2\"}' --usage-days 14\n"
    );
}
