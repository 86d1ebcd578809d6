//! `imdsv2 evaluate` on what is not deployed yet, and on directories with files of many kinds.

use serde_json::{Value, json};

use crate::harness::{directory, evaluate, gzip, scratch, stderr, stdout, verdicts};

/// Returns id, compliance type, and line of each evaluation.
fn found(output: &Value) -> Vec<(&str, &str, Option<u64>)> {
    let evaluations = output["evaluations"].as_array().unwrap();
    let field = |evaluation: &'_ Value, name: &str| evaluation[name].as_str().unwrap().to_owned();
    evaluations
        .iter()
        .map(|each| {
            let _ = field(each, "annotation");
            (
                each["resourceId"].as_str().unwrap(),
                each["compliance"].as_str().unwrap(),
                each["line"].as_u64(),
            )
        })
        .collect()
}

const TEMPLATE: &str = "\
Parameters: {Tokens: {Type: String}}
Resources:
  Web:
    Type: AWS::EC2::Instance
    Properties: {MetadataOptions: {HttpTokens: !Ref Tokens}}
";

#[test]
fn templates_and_plans_are_recognized() {
    let json = r#"{"Resources": {
        "Web": {"Type": "AWS::EC2::Instance", "Properties": {"MetadataOptions": {"HttpTokens": "required"}}}}}"#;
    let stack = |body: Value| json!({"TemplateBody": body, "StagesAvailable": ["Original"]}).to_string();
    let required = TEMPLATE.replace("!Ref Tokens", "required");
    let resource = json!({"address": "aws_instance.web", "mode": "managed", "type": "aws_instance", "name": "web",
        "values": {"metadata_options": [{"http_tokens": "required"}]}});
    let values = json!({"root_module": {"resources": [resource]}});
    for (kind, input, id, line) in [
        ("YAML", required.clone(), "Web", Some(3)),
        ("with a byte order mark", format!("\u{feff}{required}"), "Web", Some(3)),
        ("JSON", json.to_owned(), "Web", Some(2)),
        ("the template of a stack, YAML", stack(json!(required)), "Web", None),
        ("the template of a stack, JSON", stack(serde_json::from_str(json).unwrap()), "Web", None),
        (
            "a plan",
            json!({"format_version": "1.2", "terraform_version": "1.9.5", "planned_values": values})
                .to_string(),
            "aws_instance.web",
            None,
        ),
        (
            "a state",
            json!({"format_version": "1.0", "terraform_version": "1.9.5", "values": values}).to_string(),
            "aws_instance.web",
            None,
        ),
    ] {
        assert_eq!(found(&verdicts(&input, &[])), [(id, "COMPLIANT", line)], "{kind}");
    }
}

#[test]
fn results_of_queries_and_batches_are_recognized() {
    let item = json!({"resourceType": "AWS::EC2::Instance", "resourceId": "i-1", "accountId": "123456789012",
        "awsRegion": "eu-west-1", "configuration": {"metadataOptions": {"httpTokens": "required"}}});
    let base = |status: &str| {
        let mut item = item.clone();
        item["configurationItemStatus"] = json!(status);
        item["configuration"] = json!(item["configuration"].to_string());
        item
    };
    for (kind, input, compliance) in [
        ("a query", json!({"Results": [item.to_string()], "QueryInfo": {"SelectFields": []}}), "COMPLIANT"),
        (
            "a batch",
            json!({"baseConfigurationItems": [base("OK")], "unprocessedResourceKeys": []}),
            "COMPLIANT",
        ),
        (
            "a batch of an aggregator",
            json!({"BaseConfigurationItems": [base("ResourceDeleted")], "UnprocessedResourceIdentifiers": []}),
            "NOT_APPLICABLE",
        ),
        ("an item of an aggregator", json!({"ConfigurationItem": base("OK")}), "COMPLIANT"),
    ] {
        assert_eq!(found(&verdicts(&input.to_string(), &[])), [("i-1", compliance, None)], "{kind}");
    }
    let missing = json!({"baseConfigurationItems": [], "unprocessedResourceKeys":
        [{"resourceType": "AWS::EC2::Instance", "resourceId": "i-2"}]});
    let assert = evaluate(&[]).stdin(missing.to_string()).assert().code(2);
    assert!(
        stderr(&assert).contains("AWS Config did not return AWS::EC2::Instance i-2: "),
        "{}",
        stderr(&assert)
    );
    let short =
        json!({"Results": [json!({"resourceType": "AWS::EC2::Instance", "resourceId": "i-2"}).to_string()]});
    let assert = evaluate(&[]).stdin(short.to_string()).assert().code(2);
    assert!(
        stderr(&assert).contains("configuration is missing in a query result: select at least "),
        "{}",
        stderr(&assert)
    );
}

#[test]
fn parameters_of_templates_come_from_a_file() {
    let template = scratch("parameters.yaml", TEMPLATE.as_bytes());
    let unknown = evaluate(&[]).arg(&template).assert().code(0);
    assert!(stdout(&unknown).contains("the parameter Tokens, which has no default"), "{}", stdout(&unknown));
    let parameters =
        scratch("parameters.json", br#"[{"ParameterKey": "Tokens", "ParameterValue": "optional"}]"#);
    let with = |parameters| evaluate(&["--template-parameters"]).arg(parameters).arg(&template);
    with(&parameters).assert().code(1);
    let wrong = scratch("wrong-parameters.json", br#"{"Token": "required", "AWS::Region": "eu-west-1"}"#);
    let assert = with(&wrong).assert().code(2);
    let expected =
        format!("error: --template-parameters {}: no template has the parameter Token\n", wrong.display());
    assert_eq!(stderr(&assert), expected);
    let broken = scratch("broken-parameters.json", b"[1]");
    let assert = with(&broken).assert().code(2);
    assert!(stderr(&assert).contains("expected an object of parameter values"), "{}", stderr(&assert));
}

#[test]
fn a_directory_may_contain_files_of_other_kinds() {
    let compressed = gzip(TEMPLATE.as_bytes());
    let item = br#"{"resourceType":"AWS::EC2::Instance","resourceId":"i-1","configurationItemStatus":"OK"}"#;
    let files: &[(&str, Vec<u8>)] = &[
        ("a.yaml", TEMPLATE.as_bytes().to_vec()),
        ("b.yml.gz", compressed),
        ("item.json", item.to_vec()),
        // These are passed over.
        ("package.json", br#"{"name": "web", "version": "1.0.0"}"#.to_vec()),
        ("tsconfig.json", b"{\n  // comments are no JSON\n  \"strict\": true,\n}".to_vec()),
        ("pod.yaml", b"apiVersion: v1\nkind: Pod\n".to_vec()),
        ("helm.yaml", b"{{ if .Values.on }}\nkind: Pod\n{{ end }}\n".to_vec()),
        ("report.json", br#"{"Results": [{"Target": "x"}]}"#.to_vec()),
        ("graph.json", br#"{"Resources": [{"Id": "x"}]}"#.to_vec()),
        ("empty.yaml", Vec::new()),
        // This one is not read at all.
        ("main.tf", b"resource \"aws_instance\" \"web\" {}".to_vec()),
    ];
    let all = directory("other-kinds", files);
    let assert = evaluate(&["--format", "json"]).arg(&all).assert().code(1);
    let output: Value = serde_json::from_str(&stdout(&assert)).unwrap();
    assert_eq!(found(&output).iter().map(|(id, ..)| *id).collect::<Vec<_>>(), ["i-1", "Web", "Web"]);
    assert_eq!(stderr(&assert), "Passed over 7 files of other kinds.\n");
    let quiet = evaluate(&["--format", "json", "--quiet"]).arg(&all).assert().code(1);
    assert_eq!(stderr(&quiet), "");
    // By its name, a file is expected to be an input.
    for (name, message) in [
        ("package.json", "record 1 (at byte 0): unknown record: expected "),
        ("pod.yaml", "this looks like a Kubernetes manifest; expected "),
        ("helm.yaml", "this looks like "),
        ("main.tf", "this looks like Terraform code: evaluate the output of `terraform show -json` instead"),
        ("empty.yaml", "the input is empty"),
    ] {
        let assert = evaluate(&[]).arg(all.join(name)).assert().code(2);
        assert!(stderr(&assert).contains(message), "{name}: {}", stderr(&assert));
    }
}

#[test]
fn what_is_broken_in_a_directory_is_an_error_if_it_was_an_input() {
    let snapshot = r#"{"fileVersion":"1.0","configurationItems":[{"resourceType""#;
    for (name, content, message) in [
        ("snapshot.json", snapshot.as_bytes().to_vec(), "the input ends inside this record"),
        ("empty.json", Vec::new(), "the input is empty"),
        ("short.json.gz", gzip(snapshot.as_bytes())[..20].to_vec(), "record 1 (at byte "),
        ("template.yaml", b"Resources:\n  A: [".to_vec(), "line 3: not YAML: "),
        (
            "template.json",
            br#"{"Resources": {"A": 1, "A": 2}}"#.to_vec(),
            "line 1: the object has the key A already",
        ),
        (
            "state.json",
            br#"{"version": 4, "terraform_version": "1.9.5", "lineage": "x"}"#.to_vec(),
            "this is a Terraform state file",
        ),
        (
            "resource.yaml",
            b"Resources:\n  A: {Type: 'AWS::EC2::Instance', Properties: {MetadataOptions: 7}}".to_vec(),
            "line 2: A: MetadataOptions: expected an object",
        ),
    ] {
        let path = directory(&format!("broken-{name}"), &[(name, content)]);
        let assert = evaluate(&[]).arg(&path).assert().code(2);
        assert!(stderr(&assert).contains(message), "{name}: {}", stderr(&assert));
    }
}

#[test]
fn a_template_without_instances_is_no_error() {
    let empty = "Resources: {Queue: {Type: 'AWS::SQS::Queue'}}";
    evaluate(&["-"]).stdin(empty).assert().code(0).stderr_eq("");
}

#[test]
fn a_launch_template_of_another_file_decides() {
    let template = "\
Resources:
  Web:
    Type: AWS::EC2::Instance
    Properties: {LaunchTemplate: {LaunchTemplateId: lt-0c1d2e3f4a5b60718, Version: '1'}}
";
    let path = scratch("elsewhere.yaml", template.as_bytes());
    let versions = "examples/describe-launch-template-versions.json";
    let assert =
        evaluate(&["--format", "json", "--only", "non-compliant", versions]).arg(&path).assert().code(1);
    let output: Value = serde_json::from_str(&stdout(&assert)).unwrap();
    assert_eq!(found(&output), [("Web", "NON_COMPLIANT", Some(2))]);
}

#[test]
fn a_template_in_a_directory_is_found_however_it_is_written() {
    let open = "Type: AWS::EC2::Instance";
    let padding = format!("\"{}\"", "x".repeat(100 * 1024));
    let files: &[(&str, Vec<u8>)] = &[
        ("flow.yaml", format!("{{Resources: {{Flow: {{{open}}}}}}}").into_bytes()),
        ("indented.yaml", format!("  Description: x\n  Resources:\n    Indented: {{{open}}}\n").into_bytes()),
        ("complex.yaml", format!("? Resources\n: Complex: {{{open}}}\n").into_bytes()),
        ("broken.json", format!("{{\"Metadata\": {padding}, \"Resources\": {{}},}}").into_bytes()),
        ("cut.json", format!("{{\"Metadata\": {padding}, \"Resources\": {{\"A\": ").into_bytes()),
        ("other.json", format!("{{\"Metadata\": {padding}, \"Other\": {{}},}}").into_bytes()),
    ];
    let assert = evaluate(&["--format", "json"]).arg(directory("ways-to-write", files)).assert().code(2);
    let output: Value = serde_json::from_str(&stdout(&assert)).unwrap();
    let mut ids: Vec<_> = found(&output).iter().map(|(id, ..)| *id).collect();
    ids.sort_unstable();
    assert_eq!(ids, ["Complex", "Flow", "Indented"]);
    let messages = stderr(&assert);
    for name in ["broken", "cut"] {
        assert!(messages.contains(&format!("{name}.json: record 1 (at byte 0): ")), "{messages}");
    }
    assert!(messages.contains("Passed over 1 file of another kind.\n"), "{messages}");
}

#[test]
fn the_same_logical_id_in_two_templates_is_compared_for_each() {
    let template = |tokens: &str| TEMPLATE.replace("!Ref Tokens", tokens).into_bytes();
    let files = |first: &str, second: &str| {
        let files = [("a.yaml", template(first)), ("b.yaml", template(second))];
        directory("compared-templates", &files)
    };
    let folder = files("optional", "optional");
    let first = evaluate(&["--format", "json", "--exit-zero"]).arg(&folder).assert().code(0);
    let earlier = scratch("compared-templates.json", stdout(&first).as_bytes());
    files("optional", "required");
    let assert = evaluate(&["--compare"]).arg(&earlier).arg(&folder).assert().code(1);
    let last = stdout(&assert).lines().last().unwrap().to_owned();
    assert_eq!(last, format!("Compared with {}: 1 fixed, 0 new, 1 still open", earlier.display()));
}

#[test]
fn broken_json_is_reported_with_its_line() {
    let template = "{\n  \"Parameters\": {\n    \"A\": {}\n  },\n  \"Resources\": {\n    \"Web\": {\n      \"Type\": \"AWS::EC2::Instance\",\n    }\n  }\n}\n";
    for (name, content) in
        [("broken-line.json", template.to_owned()), ("broken-line-2.json", format!("{{}}\n{template}"))]
    {
        let assert = evaluate(&[]).arg(scratch(name, content.as_bytes())).assert().code(2);
        // The line is counted from the beginning of the record.
        assert!(stderr(&assert).contains("at line 8 column 5"), "{}", stderr(&assert));
    }
}
