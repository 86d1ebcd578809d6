use time::macros::date;

use super::*;
use crate::rule::launch::{AccountDefaults, Image};
use crate::rule::policy::Policy;
use crate::rule::verdict::evaluate;

fn with_parameters(text: &str, parameters: &str) -> Vec<(String, String)> {
    let parameters = TemplateParameters::from_json(parameters).expect("parameters");
    let encoding = if text.starts_with('{') { Encoding::Json } else { Encoding::Yaml };
    let found = read(text, encoding, &parameters).expect("a template").resources;
    let judged = found.into_iter().map(|declared| {
        let Declared { resource, line } = declared.expect("a resource");
        let verdict = evaluate(&resource, &Policy::default(), date!(2026 - 06 - 15));
        let id = format!("{} {}", line.expect("a line"), resource.resource_id);
        (id, format!("{} {}", verdict.compliance, verdict.annotation))
    });
    judged.collect()
}

/// Returns line and logical id, and the verdict, of each resource.
fn verdicts(text: &str) -> Vec<(String, String)> {
    with_parameters(text, "{}")
}

/// The verdict on a launch template with these metadata options, in a template with these sections.
fn verdict_on(sections: &str, options: &str, parameters: &str) -> String {
    let text = format!(
        "{sections}\nResources:\n  Web:\n    Type: AWS::EC2::LaunchTemplate\n    Properties:\n      LaunchTemplateData:\n        \
         MetadataOptions: {options}\n"
    );
    let found = with_parameters(&text, parameters);
    let [(_, verdict)] = found.as_slice() else { panic!("{found:?}") };
    verdict.clone()
}

const REQUIRED: &str = "COMPLIANT HttpTokens is required: only IMDSv2 is accepted.";

#[test]
fn each_type_is_read_with_what_it_launches() {
    let text = "\
Resources:
  Closed:
    Type: AWS::EC2::LaunchTemplate
    Properties:
      LaunchTemplateName: closed
      LaunchTemplateData: {MetadataOptions: {HttpTokens: required}}
  Open:
    Type: AWS::EC2::LaunchTemplate
    Properties: {LaunchTemplateData: {ImageId: ami-1}}
  Old:
    Type: AWS::AutoScaling::LaunchConfiguration
    Properties: {MetadataOptions: {HttpTokens: optional}}
  Own:
    Type: AWS::EC2::Instance
    Properties: {MetadataOptions: {HttpTokens: required}, LaunchTemplate: {LaunchTemplateId: !Ref Open}}
  Launched:
    Type: AWS::EC2::Instance
    Properties:
      LaunchTemplate: {LaunchTemplateId: !Ref Closed, Version: !GetAtt Closed.LatestVersionNumber}
  Unset:
    Type: AWS::EC2::Instance
    Properties: {LaunchTemplate: {LaunchTemplateId: !Ref Open, Version: !GetAtt [Open, LatestVersionNumber]}}
  Elsewhere:
    Type: AWS::EC2::Instance
    Properties: {LaunchTemplate: {LaunchTemplateName: other}}
  ByName:
    Type: AWS::AutoScaling::AutoScalingGroup
    Properties: {LaunchTemplate: {LaunchTemplateName: closed, Version: '1'}}
  Later:
    Type: AWS::AutoScaling::AutoScalingGroup
    Properties: {LaunchTemplate: {LaunchTemplateId: !Ref Closed, Version: '7'}}
  Legacy:
    Type: AWS::AutoScaling::AutoScalingGroup
    Properties: {LaunchConfigurationName: !Ref Old}
  Mixed:
    Type: AWS::AutoScaling::AutoScalingGroup
    Properties:
      MixedInstancesPolicy:
        LaunchTemplate:
          LaunchTemplateSpecification: {LaunchTemplateId: !Ref Closed, Version: !GetAtt Closed.DefaultVersionNumber}
          Overrides: [{InstanceType: m7i.large}, {LaunchTemplateSpecification: {LaunchTemplateId: !Ref Open}}]
  Queue:
    Type: AWS::SQS::Queue
";
    let expected = [
        ("2 Closed", REQUIRED),
        (
            "7 Open",
            "NON_COMPLIANT HttpTokens is not set: instances launched from this template may accept IMDSv1 requests. Set \
             HttpTokens=required in its metadata options.",
        ),
        (
            "10 Old",
            "NON_COMPLIANT HttpTokens is optional: instances launched from this configuration accept IMDSv1 requests. Set \
             HttpTokens=required in its metadata options.",
        ),
        ("13 Own", REQUIRED),
        ("16 Launched", REQUIRED),
        (
            "20 Unset",
            "NON_COMPLIANT HttpTokens is not set, so the instance may accept IMDSv1 requests. Set HttpTokens=required in \
             its metadata options. Launched from Open version 1.",
        ),
        (
            "23 Elsewhere",
            "NOT_APPLICABLE HttpTokens is known only at deployment: it depends on launch template other version $Default, \
             which the input does not contain.",
        ),
        (
            "26 ByName",
            "COMPLIANT Instances are launched from launch template Closed version 1, where HttpTokens is required.",
        ),
        (
            "29 Later",
            "NOT_APPLICABLE Instances are launched from launch template Closed version 7, which the input does not contain.",
        ),
        (
            "32 Legacy",
            "NON_COMPLIANT Instances are launched from launch configuration Old, where HttpTokens is optional: they accept \
             IMDSv1 requests. Use a launch template that sets HttpTokens=required.",
        ),
        (
            "35 Mixed",
            "NON_COMPLIANT Instances are launched from launch template Open version 1 ($Default), where HttpTokens is not \
             set: they may accept IMDSv1 requests. Use a version with HttpTokens=required.",
        ),
    ];
    let expected = expected.map(|(id, verdict)| (id.to_owned(), verdict.to_owned()));
    assert_eq!(verdicts(text), expected);
}

#[test]
fn what_only_the_deployment_knows_is_not_applicable_and_says_why() {
    let sections = "\
Parameters:
  Without: {Type: String}
  List: {Type: CommaDelimitedList, Default: 'a,b'}
  Secret: {Type: 'AWS::SSM::Parameter::Value<String>', Default: /imds/tokens}
Mappings:
  Stages: {prod: {Tokens: '{{resolve:ssm:/imds/tokens}}'}}
Conditions:
  Self: !Condition Self
  NoList: !Equals [!Ref List, '']
  SameList: !Equals [!Ref List, [c]]
  Unknown: !Equals [!Ref Without, prod]";
    for (value, what) in [
        ("!ImportValue tokens", "Fn::ImportValue"),
        ("!Ref Without", "the parameter Without, which has no default"),
        ("!Ref Secret", "the Systems Manager parameter /imds/tokens"),
        ("'{{resolve:ssm:/imds/tokens}}'", "the dynamic reference {{resolve:ssm:/imds/tokens}}"),
        ("!Sub '{{resolve:ssm:/${Web}}}'", "Web"),
        ("!FindInMap [Stages, prod, Tokens]", "the dynamic reference {{resolve:ssm:/imds/tokens}}"),
        ("!FindInMap [Stages, !Ref Without, Tokens]", "the parameter Without, which has no default"),
        ("!FindInMap [Stages, test, Tokens]", "Fn::FindInMap"),
        ("!If [Unknown, required, optional]", "the parameter Without, which has no default"),
        ("!If [Missing, required, optional]", "the condition Missing, which the template does not have"),
        ("!If [Self, required, optional]", "the condition Self, which depends on itself"),
        ("!GetAtt Lookup.Tokens", "Lookup.Tokens"),
        ("!Ref Typo", "Typo"),
        ("!Ref AWS::Region", "AWS::Region"),
        ("!Transform {Name: Tokens}", "Fn::Transform"),
        ("!Select [5, [required]]", "Fn::Select"),
        // A list is neither empty nor another list.
        ("!If [NoList, required, optional]", "a list or object where a string belongs"),
        ("!If [SameList, required, optional]", "a list or object where a string belongs"),
        ("!Sub 're${List}quired'", "Fn::Sub"),
        ("!Join ['', [required, !Ref List]]", "a list or object where a string belongs"),
    ] {
        let verdict = verdict_on(sections, &format!("{{HttpTokens: {value}}}"), "{}");
        let expected =
            format!("NOT_APPLICABLE HttpTokens is known only at deployment: it depends on {what}.");
        assert_eq!(verdict, expected, "{value}");
    }
    for options in
        ["!If [Unknown, {HttpTokens: required}, !Ref AWS::NoValue]", "{'Fn::Transform': {Name: Options}}"]
    {
        assert!(verdict_on(sections, options, "{}").starts_with("NOT_APPLICABLE HttpTokens"), "{options}");
    }
}

#[test]
fn functions_are_worked_out_as_far_as_the_template_decides() {
    let sections = "\
Parameters:
  Tokens: {Type: String, Default: required}
  Without: {Type: String}
  Choices: {Type: CommaDelimitedList, Default: 'optional, required'}
Mappings:
  Stages: {prod: {Tokens: required}, test: {Tokens: optional}}
Conditions:
  Yes: !Equals [!Ref Tokens, required]
  No: !Not [!Condition Yes]
  Both: !And [!Condition Yes, !Condition No]
  Either: !Or [!Equals [!Ref Without, x], !Condition Yes]
  Unknown: !Equals [!Ref Without, x]";
    for value in [
        "required",
        "!Ref Tokens",
        "!If [Yes, required, optional]",
        "!If [No, optional, required]",
        "!If [Both, optional, required]",
        "!If [Either, required, optional]",
        "!If [Unknown, required, !Ref Tokens]",
        "!FindInMap [Stages, prod, Tokens]",
        "!FindInMap [Stages, dev, Tokens, {DefaultValue: !Ref Tokens}]",
        "!Sub '${Tokens}'",
        "!Sub ['re${Rest}', {Rest: quired}]",
        "!Join ['', [re, !Sub 'quired']]",
        "!Select [1, !Ref Choices]",
        "!Select [1, [optional, !Ref Tokens]]",
        "!Select [1, !Split ['-', 'optional-required']]",
        "{'Fn::If': [Yes, {Ref: Tokens}, optional]}",
    ] {
        assert_eq!(verdict_on(sections, &format!("{{HttpTokens: {value}}}"), "{}"), REQUIRED, "{value}");
    }
    assert_eq!(
        verdict_on(sections, "!If [Unknown, !Ref AWS::NoValue, !Ref AWS::NoValue]", "{}"),
        verdict_on("", "", "{}")
    );
    assert_eq!(
        verdict_on(sections, "{HttpTokens: !Sub '${!Tokens}'}", "{}"),
        "NON_COMPLIANT HttpTokens is \"${Tokens}\" instead of \"required\". Set HttpTokens=required in its metadata options."
    );
}

#[test]
fn passed_parameters_take_precedence_over_defaults() {
    let sections = "Parameters:\n  Tokens: {Type: String, Default: optional}\n  Without: {Type: String}";
    for options in
        ["{HttpTokens: !Ref Tokens}", "{HttpTokens: !Ref Without}", "{HttpTokens: !Ref AWS::Region}"]
    {
        let parameters = r#"{"Tokens": "required", "Without": "required", "AWS::Region": "required"}"#;
        assert_eq!(verdict_on(sections, options, parameters), REQUIRED, "{options}");
    }
}

#[test]
fn an_option_that_is_unknown_decides_only_if_it_matters() {
    let unknown = "!ImportValue x";
    for (options, expected) in [
        (
            format!("{{HttpTokens: {unknown}, HttpEndpoint: disabled}}"),
            "COMPLIANT The IMDS endpoint is disabled",
        ),
        (format!("{{HttpTokens: required, HttpEndpoint: {unknown}}}"), "COMPLIANT HttpTokens is required"),
        (
            format!("{{HttpTokens: required, HttpPutResponseHopLimit: {unknown}}}"),
            "COMPLIANT HttpTokens is required",
        ),
        (
            format!("{{HttpTokens: optional, HttpEndpoint: {unknown}}}"),
            "NOT_APPLICABLE HttpEndpoint is known only at deployment: it depends on Fn::ImportValue.",
        ),
        (
            format!("{{HttpTokens: optional, HttpPutResponseHopLimit: {unknown}}}"),
            "NON_COMPLIANT HttpTokens is optional",
        ),
    ] {
        let verdict = verdict_on("", &options, "{}");
        assert!(verdict.starts_with(expected), "{options}: {verdict}");
    }
    let text = "Resources: {A: {Type: 'AWS::EC2::LaunchTemplate', Properties: {LaunchTemplateData: {MetadataOptions: {HttpTokens: required, HttpPutResponseHopLimit: !ImportValue x}}}}}";
    let found = read(text, Encoding::Yaml, &TemplateParameters::default()).expect("a template").resources;
    let resource = found.into_iter().next().expect("a resource").expect("read").resource;
    let policy = Policy { max_hop_limit: Some(1), ..Policy::default() };
    let verdict = evaluate(&resource, &policy, date!(2026 - 06 - 15));
    assert_eq!(
        verdict.annotation,
        "HttpPutResponseHopLimit is known only at deployment: it depends on Fn::ImportValue."
    );
}

#[test]
fn conditions_loops_and_tags_of_resources_count() {
    let text = "\
Parameters: {Stage: {Type: String, Default: test}, Without: {Type: String}}
Conditions:
  Prod: !Equals [!Ref Stage, prod]
  Unknown: !Equals [!Ref Without, prod]
Resources:
  LeftOut:
    Type: AWS::EC2::Instance
    Condition: Prod
  Maybe:
    Type: AWS::EC2::Instance
    Condition: Unknown
    Properties: {Tags: [{Key: until, Value: 2099-01-01}, !If [Unknown, {Key: a, Value: b}, !Ref AWS::NoValue]]}
  Fn::ForEach::Nodes:
    - Name
    - [a, b]
    - Node${Name}:
        Type: AWS::EC2::Instance
        Properties: {MetadataOptions: {HttpTokens: required}}
";
    let found = read(text, Encoding::Yaml, &TemplateParameters::default()).expect("a template").resources;
    let found: Vec<_> = found.into_iter().map(|each| each.expect("a resource")).collect();
    let ids: Vec<_> = found.iter().map(|each| (each.resource.resource_id.as_ref(), each.line)).collect();
    assert_eq!(ids, [("Maybe", Some(9)), ("Node${Name}", Some(16))]);
    let policy = Policy { exemption_tag_key: Some("until".to_owned()), ..Policy::default() };
    let verdict = evaluate(&found[0].resource, &policy, date!(2026 - 06 - 15));
    assert_eq!(verdict.annotation, "Exempt by tag through 2099-01-01 (UTC).");
}

#[test]
fn json_and_yaml_lead_to_the_same() {
    let json = r#"{
  "Parameters": {"Tokens": {"Type": "String", "Default": "required"}},
  "Resources": {
    "Web": {"Type": "AWS::EC2::Instance", "Properties": {"MetadataOptions": {"HttpTokens": {"Ref": "Tokens"}, "HttpPutResponseHopLimit": 1}}},
    "Job \ud83d\ude00": {
      "Type": "AWS::EC2::Instance"
    }
  }
}"#;
    let found = verdicts(json);
    assert_eq!(found[0], ("4 Web".to_owned(), REQUIRED.to_owned()));
    assert_eq!(found[1].0, "5 Job 😀");
}

#[test]
fn aliases_are_expanded_and_merged() {
    let text = "\
x-options: &options {HttpTokens: required}
Resources:
  A: {Type: 'AWS::EC2::Instance', Properties: {MetadataOptions: *options}}
  B: {Type: 'AWS::EC2::Instance', Properties: {MetadataOptions: {<<: *options, HttpPutResponseHopLimit: 2}}}
  C: {Type: 'AWS::EC2::Instance', Properties: {MetadataOptions: {<<: [*options], HttpTokens: optional}}}
";
    let found: Vec<_> =
        verdicts(text).into_iter().map(|(_, verdict)| verdict.split(' ').next().map(str::to_owned)).collect();
    assert_eq!(found.into_iter().flatten().collect::<Vec<_>>(), ["COMPLIANT", "COMPLIANT", "NON_COMPLIANT"]);
}

#[test]
fn what_is_no_template_is_an_error_with_its_line() {
    let deep = format!("Resources:\n  A: {}", "[".repeat(100));
    let deep_json = format!("{{\"Resources\": {{\"A\": {}1{}}}}}", "[".repeat(100), "]".repeat(100));
    let anchors = (0..50).map(|level| format!("&a{level} [")).collect::<Vec<_>>().concat();
    let nested = format!("Resources: {anchors}{}{}", "1, ".repeat(20_000), "]".repeat(50));
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..10 {
        let aliases = vec![format!("*a{}", level - 1); 10].join(", ");
        bomb = format!("{bomb}a{level}: &a{level} [{aliases}]\n");
    }
    for (text, message) in [
        ("Resources:\n  A: [", "line 3: not YAML: "),
        ("Resources:\n  - a", "line 2: Resources: expected an object"),
        ("Parameters: {}", "line 1: the template has no Resources"),
        ("", "line 1: the template is empty"),
        ("Resources: {}\nMappings: 7", "line 2: Mappings: expected an object"),
        ("Resources:\n  A: 1\n  A: 2", "line 3: the object has the key A already"),
        (
            "Resources: {}\n---\nResources: {}",
            "line 2: expected one YAML document, and a second one begins here",
        ),
        ("Resources: &a {A: *a}", "line 1: the alias names something that contains it"),
        ("Resources:\n  ? [a]\n  : b", "line 2: expected a string as key"),
        (&deep, "line 2: nested more than 64 levels deep"),
        (&deep_json, "line 1: nested more than 64 levels deep"),
        (&nested, "more than 500000 values, with what anchors and aliases repeat"),
        (&bomb, "more than 500000 values, with what anchors and aliases repeat"),
        ("{\"Resources\": {\"A\": 1,\n\"A\": 2}}", "line 2: the object has the key A already"),
        ("{\"Resources\": }", "line 1: expected value"),
    ] {
        let encoding = if text.starts_with('{') { Encoding::Json } else { Encoding::Yaml };
        let error = read(text, encoding, &TemplateParameters::default()).expect_err(message).to_string();
        assert!(error.contains(message), "{error}");
    }
}

#[test]
fn a_malformed_resource_does_not_hide_the_others() {
    let text = "\
Resources:
  A: {Type: 'AWS::EC2::Instance', Properties: {MetadataOptions: [1]}}
  B: {Type: 'AWS::EC2::Instance', Properties: {MetadataOptions: {HttpTokens: [required]}}}
  C:
    Type: AWS::EC2::Instance
    Properties:
      MetadataOptions:
        HttpPutResponseHopLimit: two
  E: {Type: 'AWS::EC2::Instance', Properties: {MetadataOptions: {HttpPutResponseHopLimit: 100}}}
  D: {Type: 'AWS::EC2::Instance', Properties: {MetadataOptions: {HttpTokens: required}}}
";
    let found = read(text, Encoding::Yaml, &TemplateParameters::default()).expect("a template").resources;
    let found: Vec<_> =
        found.into_iter().map(|each| each.map(|each| each.resource.resource_id.into_owned())).collect();
    let messages: Vec<_> =
        found.iter().filter_map(|each| each.as_ref().err()).map(ToString::to_string).collect();
    let expected = [
        "line 2: A: MetadataOptions: expected an object",
        "line 3: B: HttpTokens: expected a string",
        "line 8: C: HttpPutResponseHopLimit is \"two\"; expected a number from 1 to 64",
        "line 9: E: HttpPutResponseHopLimit is \"100\"; expected a number from 1 to 64",
    ];
    assert_eq!(messages, expected);
    assert_eq!(found[4], Ok("D".to_owned()));
}

#[test]
fn a_template_is_told_from_other_yaml() {
    for (text, expected) in [
        ("AWSTemplateFormatVersion: '2010-09-09'\n", true),
        ("# a comment\n\"Resources\":\n", true),
        ("Resources :\n  A: {}", true),
        ("{Metadata: {}, Resources: {A: {}}}", true),
        ("  Metadata: {}\n  Resources:\n    A: {}", true),
        ("? Resources\n: A: {}", true),
        ("Resources:\n  A: [", true),
        ("a: Resources\nb: [Resources, {Resources: 1}]", false),
        ("- Resources: 1", false),
        ("Resources:\n  - a", false),
        ("AWSTemplateFormatVersion: x\nResources:\n  - a", true),
        ("a: {\nResources", false),
        ("apiVersion: v1\nkind: Pod\nspec:\n  Resources: {}", false),
        ("Resources_total: 7", false),
        ("services:\n  web: {}", false),
    ] {
        assert_eq!(is_yaml_template(text), expected, "{text}");
    }
}

#[test]
fn truth_values_are_compared_as_cloudformation_passes_them_on() {
    let sections = "\
Parameters: {AllowV1: {Type: String, Default: True}}
Conditions: {Open: !Equals [!Ref AllowV1, 'true']}";
    let verdict = verdict_on(sections, "{HttpTokens: !If [Open, optional, required]}", "{}");
    assert!(verdict.starts_with("NON_COMPLIANT"), "{verdict}");
}

#[test]
fn a_reference_is_not_the_name_of_another_template() {
    let text = "\
Resources:
  A: {Type: 'AWS::EC2::LaunchTemplate', Properties: {LaunchTemplateData: {MetadataOptions: {HttpTokens: optional}}}}
  B: {Type: 'AWS::EC2::LaunchTemplate', Properties: {LaunchTemplateName: A, LaunchTemplateData: {MetadataOptions: {HttpTokens: required}}}}
  Group: {Type: 'AWS::AutoScaling::AutoScalingGroup', Properties: {LaunchTemplate: {LaunchTemplateId: !Ref A}}}
";
    assert!(verdicts(text)[2].1.starts_with("NON_COMPLIANT"), "{:?}", verdicts(text));
}

#[test]
fn a_name_in_aws_is_not_the_logical_id_of_a_template() {
    let text = "\
Resources:
  A: {Type: 'AWS::EC2::LaunchTemplate', Properties: {LaunchTemplateName: B, LaunchTemplateData: {MetadataOptions: {HttpTokens: required}}}}
  Outside: {Type: 'AWS::AutoScaling::AutoScalingGroup', Properties: {LaunchTemplate: {LaunchTemplateName: A}}}
  Inside: {Type: 'AWS::AutoScaling::AutoScalingGroup', Properties: {LaunchTemplate: {LaunchTemplateName: B}}}
";
    let found = verdicts(text);
    assert_eq!(
        found[1].1,
        "NOT_APPLICABLE Instances are launched from launch template A version $Default, which the input does not contain."
    );
    assert!(found[2].1.starts_with("COMPLIANT Instances are launched from launch template A version 1"));
}

/// The verdict of a policy for which the defaults of the account count, in an account that has none.
fn with_defaults(text: &str, policy: &Policy) -> Vec<String> {
    let found = read(text, Encoding::Yaml, &TemplateParameters::default()).expect("a template").resources;
    let judged = found.into_iter().map(|each| {
        let mut resource = each.expect("a resource").resource;
        resource.account_defaults = Some(AccountDefaults::from_api(None, None, None, None, None));
        for image in resource.unset_images() {
            if let Some(id) = image.id().map(|id| id.to_owned().into()) {
                *image = Image::RequiresTokens(id);
            }
        }
        let verdict = evaluate(&resource, policy, date!(2026 - 06 - 15));
        format!("{} {}", verdict.compliance, verdict.annotation)
    });
    judged.collect()
}

#[test]
fn an_image_that_is_not_known_is_not_the_one_of_the_launch_template() {
    let policy = Policy { defaults_compliant: true, ..Policy::default() };
    let text = "\
Parameters: {Image: {Type: 'AWS::SSM::Parameter::Value<AWS::EC2::Image::Id>', Default: /aws/service/x}}
Resources:
  Base: {Type: 'AWS::EC2::LaunchTemplate', Properties: {LaunchTemplateData: {ImageId: ami-1}}}
  Same: {Type: 'AWS::EC2::Instance', Properties: {LaunchTemplate: {LaunchTemplateId: !Ref Base}}}
  Other: {Type: 'AWS::EC2::Instance', Properties: {ImageId: !Ref Image, LaunchTemplate: {LaunchTemplateId: !Ref Base}}}
  Named: {Type: 'AWS::EC2::Instance', Properties: {ImageId: 'resolve:ssm:/x', LaunchTemplate: {LaunchTemplateId: !Ref Base}}}
  Mixed:
    Type: AWS::AutoScaling::AutoScalingGroup
    Properties:
      MixedInstancesPolicy:
        LaunchTemplate:
          LaunchTemplateSpecification: {LaunchTemplateId: !Ref Base}
          Overrides: [{ImageId: !Ref Image}]
";
    let found = with_defaults(text, &policy);
    let compliances: Vec<_> = found.iter().filter_map(|verdict| verdict.split(' ').next()).collect();
    let (open, closed) = ("NON_COMPLIANT", "COMPLIANT");
    assert_eq!(compliances, [closed, closed, open, open, open], "{found:#?}");
}

#[test]
fn a_hop_limit_that_is_not_known_may_exceed_the_maximum_by_default_too() {
    let policy = Policy { defaults_compliant: true, max_hop_limit: Some(1), ..Policy::default() };
    let text = "Resources: {A: {Type: 'AWS::EC2::LaunchTemplate', Properties: {LaunchTemplateData: {ImageId: ami-1, MetadataOptions: {HttpPutResponseHopLimit: !ImportValue x}}}}}";
    assert_eq!(
        with_defaults(text, &policy),
        [
            "NOT_APPLICABLE HttpPutResponseHopLimit is known only at deployment: it depends on Fn::ImportValue."
        ]
    );
}

#[test]
fn what_both_outcomes_of_a_condition_have_in_common_is_known() {
    let sections = "\
Parameters: {Stage: {Type: String}}
Conditions: {Prod: !Equals [!Ref Stage, prod], Eu: !Equals [!Ref 'AWS::Region', eu-west-1]}";
    for options in [
        "!If [Prod, {HttpTokens: required, HttpPutResponseHopLimit: 1}, {HttpTokens: required}]",
        "!If [Prod, !If [Eu, {HttpTokens: required}, {HttpTokens: required, HttpEndpoint: enabled}], {HttpTokens: required}]",
    ] {
        assert_eq!(verdict_on(sections, options, "{}"), REQUIRED, "{options}");
    }
    let differs =
        "!If [Prod, !If [Eu, {HttpTokens: required}, {HttpTokens: optional}], {HttpTokens: required}]";
    let verdict = verdict_on(sections, differs, "{}");
    assert!(verdict.starts_with("NOT_APPLICABLE HttpTokens is known only at deployment"), "{verdict}");
}

#[test]
fn what_would_take_too_much_time_or_memory_is_not_worked_out() {
    let long = "x".repeat(5000);
    let sections = format!(
        "Parameters: {{Long: {{Type: String, Default: {long}}}}}\nMappings: {{A: {{B: {{C: {long}}}}}}}\nConditions:\n{}",
        chain_of_conditions(200)
    );
    for (value, what) in [
        ("!Ref Long", "the parameter Long, whose value is longer than 4096 bytes"),
        ("!FindInMap [A, B, C]", "a text of more than 4096 bytes"),
        ("!If [C0, required, optional]", "a condition"),
    ] {
        let verdict = verdict_on(&sections, &format!("{{HttpTokens: {value}}}"), "{}");
        let expected =
            format!("NOT_APPLICABLE HttpTokens is known only at deployment: it depends on {what}.");
        assert_eq!(verdict, expected, "{value}");
    }
    let aliases = ", *a".repeat(10_000);
    let text = format!("Resources: {{}}\nMetadata: [&a {long}{aliases}]");
    let error =
        read(&text, Encoding::Yaml, &TemplateParameters::default()).expect_err("too much").to_string();
    assert_eq!(error, "line 2: more than 33554432 bytes, with what anchors and aliases repeat");
}

/// Conditions of which each is a deeply nested expression about the next one.
fn chain_of_conditions(length: usize) -> String {
    let (open, close) = ("!Not [".repeat(20), "]".repeat(20));
    let conditions = (0..length).map(|index| format!("  C{index}: {open}!Condition C{}{close}", index + 1));
    conditions.chain([format!("  C{length}: !Equals [a, a]")]).collect::<Vec<_>>().join("\n")
}

#[test]
fn what_differs_between_the_elements_of_a_loop_is_not_known() {
    let text = "\
Mappings: {Stages: {dev: {Tokens: optional}}}
Resources:
  Fn::ForEach::Templates:
    - Env
    - [dev, prod]
    - Mapped${Env}:
        Type: AWS::EC2::LaunchTemplate
        Properties: {LaunchTemplateData: {MetadataOptions: {HttpTokens: !FindInMap [Stages, '${Env}', Tokens, {DefaultValue: required}]}}}
      Text${Env}:
        Type: AWS::EC2::LaunchTemplate
        Properties: {LaunchTemplateData: {MetadataOptions: {HttpTokens: '&{Env}'}}}
      Inner${Env}:
        Type: AWS::EC2::LaunchTemplate
        Properties: {LaunchTemplateData: {'Fn::ForEach::Options': [Key, [HttpTokens], {'${Key}': required}], ImageId: ami-1}}
      Same${Env}:
        Type: AWS::EC2::LaunchTemplate
        Properties: {LaunchTemplateData: {MetadataOptions: {HttpTokens: required}}}
      Group${Env}:
        Type: AWS::AutoScaling::AutoScalingGroup
        Properties: {LaunchTemplate: {LaunchTemplateId: !Ref 'Same${Env}'}}
";
    let unknown = "NOT_APPLICABLE HttpTokens is known only at deployment: it depends on Fn::ForEach";
    let found = verdicts(text);
    for (index, expected) in [
        (0, unknown),
        (1, unknown),
        (2, unknown),
        (3, REQUIRED),
        (
            4,
            "NOT_APPLICABLE What launches the instances is known only at deployment: it depends on Fn::ForEach.",
        ),
    ] {
        assert!(found[index].1.starts_with(expected), "{found:#?}");
    }
}

#[test]
fn what_is_no_launch_template_is_not_looked_for_in_the_input() {
    let text = "\
Resources:
  Nested: {Type: 'AWS::CloudFormation::Stack'}
  A: {Type: 'AWS::AutoScaling::AutoScalingGroup', Properties: {LaunchTemplate: {LaunchTemplateId: !GetAtt Nested.Outputs.Id}}}
  B: {Type: 'AWS::AutoScaling::AutoScalingGroup', Properties: {LaunchConfigurationName: !ImportValue x}}
  C: {Type: 'AWS::AutoScaling::AutoScalingGroup', Properties: {InstanceId: i-1}}
";
    let found: Vec<_> = verdicts(text).into_iter().map(|(_, verdict)| verdict).collect();
    assert_eq!(
        found,
        [
            "NOT_APPLICABLE What launches the instances is known only at deployment: it depends on Nested.Outputs.Id.",
            "NOT_APPLICABLE What launches the instances is known only at deployment: it depends on Fn::ImportValue.",
            "NOT_APPLICABLE This group names no launch template or launch configuration: it may take the settings of an \
             instance.",
        ]
    );
}

#[test]
fn the_default_hop_limit_of_the_account_is_that_of_a_declared_instance() {
    let text =
        "Resources: {A: {Type: 'AWS::EC2::Instance', Properties: {MetadataOptions: {HttpTokens: required}}}}";
    let found = read(text, Encoding::Yaml, &TemplateParameters::default()).expect("a template").resources;
    let mut resource = found.into_iter().next().expect("a resource").expect("read").resource;
    let policy = Policy { max_hop_limit: Some(2), ..Policy::default() };
    for (hop_limit, compliance) in [(None, "COMPLIANT"), (Some(2), "COMPLIANT"), (Some(5), "NON_COMPLIANT")] {
        resource.account_defaults = Some(AccountDefaults::from_api(None, None, hop_limit, None, None));
        let verdict = evaluate(&resource, &policy, date!(2026 - 06 - 15));
        assert_eq!(verdict.compliance.as_str(), compliance, "{hop_limit:?}");
    }
}
