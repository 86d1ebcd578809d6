use serde_json::{Value, json};
use time::macros::date;

use super::*;
use crate::rule::policy::Policy;
use crate::rule::verdict::evaluate;

/// Returns the address of each resource, and the verdict on it.
fn verdicts(document: &Value) -> Vec<(String, String)> {
    let found = read(&document.to_string()).expect("a plan");
    let judged = found.into_iter().map(|declared| {
        let resource = declared.expect("a resource").resource;
        let verdict = evaluate(&resource, &Policy::default(), date!(2026 - 06 - 15));
        (resource.resource_id.into_owned(), format!("{} {}", verdict.compliance, verdict.annotation))
    });
    judged.collect()
}

fn assert_verdicts(document: &Value, expected: &[(&str, &str)]) {
    let found = verdicts(document);
    let found: Vec<_> = found.iter().map(|(address, verdict)| (address.as_str(), verdict.as_str())).collect();
    assert_eq!(found, expected);
}

fn resource(address: &str, values: &Value) -> Value {
    let parts = addresses::segments(address);
    let [.., kind, name] = parts.as_slice() else { panic!("{address}") };
    let index: Value =
        name.key.as_deref().map_or(Value::Null, |key| serde_json::from_str(key).expect("a key"));
    json!({"address": address, "mode": "managed", "type": kind.name, "name": name.name, "index": index, "values": values})
}

fn options(tokens: &str) -> Value {
    json!([{"http_endpoint": "enabled", "http_put_response_hop_limit": 1, "http_tokens": tokens}])
}

/// A plan that creates resources of the root module. Each has its values, what is unknown, and the expressions.
fn plan(resources: &[(&str, Value, Value, Value)]) -> Value {
    let values: Vec<_> = resources.iter().map(|(address, values, ..)| resource(address, values)).collect();
    let changes: Vec<_> = resources
        .iter()
        .map(|(address, _, unknown, _)| {
            json!({"address": address, "change": {"actions": ["create"], "before": null, "after_unknown": unknown}})
        })
        .collect();
    let configured: Vec<_> = resources
        .iter()
        .map(|(address, _, _, expressions)| {
            let parts = addresses::segments(address);
            json!({"address": address, "mode": "managed", "type": parts[0].name, "name": parts[1].name,
                "expressions": expressions})
        })
        .collect();
    json!({
        "format_version": "1.2",
        "planned_values": {"root_module": {"resources": values}},
        "resource_changes": changes,
        "configuration": {"root_module": {"resources": configured}},
    })
}

fn refers(name: &str) -> Value {
    let short = name.rsplit_once('.').map_or(name, |(short, _)| short);
    json!({"references": [name, short]})
}

const REQUIRED: &str = "COMPLIANT HttpTokens is required: only IMDSv2 is accepted.";
const TEMPLATE_UNSET: &str = "NON_COMPLIANT HttpTokens is not set: instances launched from this template may accept IMDSv1 \
    requests. Set HttpTokens=required in its metadata options.";

#[test]
#[allow(clippy::too_many_lines)] // a table
fn each_type_of_a_new_plan_is_judged_by_what_it_launches() {
    let template = |name: &str, version: Value| json!({"id": refers(name), "version": version});
    let unknown_template = json!({"launch_template": [{"id": true, "name": true}]});
    let document = plan(&[
        (
            "aws_launch_template.closed",
            json!({"metadata_options": options("required")}),
            json!({"id": true}),
            json!({}),
        ),
        ("aws_launch_template.open", json!({}), json!({"metadata_options": true}), json!({})),
        (
            "aws_launch_configuration.old",
            json!({"metadata_options": options("optional")}),
            json!({"name": true}),
            json!({}),
        ),
        ("aws_instance.unset", json!({}), json!({"metadata_options": true}), json!({})),
        ("aws_instance.own", json!({"metadata_options": options("required")}), json!({}), json!({})),
        (
            "aws_instance.launched",
            json!({"launch_template": [{"version": "$Latest"}]}),
            json!({"launch_template": [{"id": true}], "metadata_options": true}),
            json!({"launch_template": [template("aws_launch_template.closed.id", json!({}))]}),
        ),
        (
            "aws_spot_instance_request.spot",
            json!({"metadata_options": options("required")}),
            json!({}),
            json!({}),
        ),
        (
            "aws_autoscaling_group.web",
            json!({"launch_template": [{"id": null, "version": null}]}),
            json!({"launch_template": [{"id": true, "version": true}]}),
            json!({"launch_template":
                [template("aws_launch_template.closed.id", refers("aws_launch_template.closed.latest_version"))]}),
        ),
        (
            "aws_autoscaling_group.legacy",
            json!({}),
            json!({"launch_configuration": true}),
            json!({"launch_configuration": refers("aws_launch_configuration.old.name")}),
        ),
        (
            "aws_autoscaling_group.mixed",
            json!({"mixed_instances_policy": [{"launch_template": [{
                "launch_template_specification": [{}],
                "override": [{"instance_type": "m7i.large"}, {"launch_template_specification": [{}]}]}]}]}),
            json!({"mixed_instances_policy": [{"launch_template": [{
                "launch_template_specification": [{"launch_template_id": true}],
                "override": [{}, {"launch_template_specification": [{"launch_template_id": true}]}]}]}]}),
            json!({"mixed_instances_policy": [{"launch_template": [{
                "launch_template_specification": [{"launch_template_id": refers("aws_launch_template.closed.id")}],
                "override": [{}, {"launch_template_specification":
                    [{"launch_template_id": refers("aws_launch_template.open.id")}]}]}]}]}),
        ),
        (
            "aws_ec2_instance_metadata_defaults.this",
            json!({"http_tokens": "optional", "http_put_response_hop_limit": -1}),
            json!({}),
            json!({}),
        ),
        ("aws_sqs_queue.jobs", json!({"name": "jobs"}), unknown_template, json!({})),
    ]);
    assert_verdicts(
        &document,
        &[
            ("aws_launch_template.closed", REQUIRED),
            ("aws_launch_template.open", TEMPLATE_UNSET),
            (
                "aws_launch_configuration.old",
                "NON_COMPLIANT HttpTokens is optional: instances launched from this configuration accept IMDSv1 requests. \
                 Set HttpTokens=required in its metadata options.",
            ),
            (
                "aws_instance.unset",
                "NON_COMPLIANT HttpTokens is not set, so the instance may accept IMDSv1 requests. Set HttpTokens=required \
                 in its metadata options.",
            ),
            ("aws_instance.own", REQUIRED),
            ("aws_instance.launched", REQUIRED),
            (
                "aws_spot_instance_request.spot",
                "NON_COMPLIANT HttpTokens is not set, so the instance may accept IMDSv1 requests. A Spot request cannot set \
                 it: declare an instance with instance_market_options.",
            ),
            (
                "aws_autoscaling_group.web",
                "COMPLIANT Instances are launched from launch template aws_launch_template.closed version 1 ($Latest), where \
                 HttpTokens is required.",
            ),
            (
                "aws_autoscaling_group.legacy",
                "NON_COMPLIANT Instances are launched from launch configuration aws_launch_configuration.old, where \
                 HttpTokens is optional: they accept IMDSv1 requests. Use a launch template that sets HttpTokens=required.",
            ),
            (
                "aws_autoscaling_group.mixed",
                "NON_COMPLIANT Instances are launched from launch template aws_launch_template.open version 1 ($Default), \
                 where HttpTokens is not set: they may accept IMDSv1 requests. Use a version with HttpTokens=required.",
            ),
            (
                "aws_ec2_instance_metadata_defaults.this",
                "NON_COMPLIANT New instances may accept IMDSv1 requests: the account-level default of HttpTokens is optional \
                 in this Region. Set it to required where it is declared.",
            ),
        ],
    );
}

#[test]
fn an_option_that_only_the_apply_knows_is_not_applicable() {
    let unknown = json!({"metadata_options": [{"http_tokens": true}]});
    let block = json!({"metadata_options": [{"http_endpoint": "enabled"}]});
    let expressions =
        json!({"metadata_options": [{"http_tokens": refers("aws_ssm_parameter.tokens.value")}]});
    let document = plan(&[
        ("aws_instance.a", block.clone(), unknown.clone(), expressions.clone()),
        ("aws_instance.b", block, unknown.clone(), json!({"metadata_options": [{}]})),
        (
            "aws_ec2_instance_metadata_defaults.c",
            json!({}),
            json!({"http_tokens": true}),
            json!({"http_tokens": refers("var.tokens")}),
        ),
    ]);
    assert_verdicts(
        &document,
        &[
            (
                "aws_instance.a",
                "NOT_APPLICABLE HttpTokens is known only at deployment: it depends on aws_ssm_parameter.tokens.value.",
            ),
            (
                "aws_instance.b",
                "NON_COMPLIANT HttpTokens is not set, so the instance may accept IMDSv1 requests. Set HttpTokens=required \
                 in its metadata options.",
            ),
            (
                "aws_ec2_instance_metadata_defaults.c",
                "NOT_APPLICABLE HttpTokens is known only at deployment: it depends on var.tokens.",
            ),
        ],
    );
}

/// A module that has launch templates, and one that has groups, which get the id as a variable.
#[test]
fn references_are_followed_through_modules() {
    let template =
        |address: &str, tokens: &str| resource(address, &json!({"metadata_options": options(tokens)}));
    let group = |address: &str| resource(address, &json!({"launch_template": [{"version": "$Default"}]}));
    let group_address = "module.groups[\"a.b\"].module.inner.aws_autoscaling_group.this[0]";
    let change = |address: &str| json!({"address": address, "change": {"actions": ["create"], "after_unknown": {"launch_template": [{"id": true}]}}});
    let expressions = |reference: &str| json!({"launch_template": [{"id": {"references": [reference]}}]});
    let configured =
        |kind: &str, expressions: Value| json!({"type": kind, "name": "this", "expressions": expressions});
    let document = |output: &Value| {
        json!({
            "planned_values": {"root_module": {"child_modules": [
                {"address": "module.templates", "resources": [
                    template("module.templates.aws_launch_template.this[0]", "required"),
                    template("module.templates.aws_launch_template.this[1]", "optional")]},
                {"address": "module.groups[\"a.b\"]", "child_modules": [
                    {"address": "module.groups[\"a.b\"].module.inner", "resources": [group(group_address)]}]},
            ]}},
            "resource_changes": [change(group_address)],
            "configuration": {"root_module": {"module_calls": {
                "templates": {"module": {
                    "outputs": {"id": {"expression": output}},
                    "resources": [configured("aws_launch_template", json!({}))]}},
                "groups": {
                    "expressions": {"template": {"references": ["module.templates.id", "module.templates"]}},
                    "module": {"module_calls": {"inner": {
                        "expressions": {"id": {"references": ["var.template"]}},
                        "module": {"resources": [configured("aws_autoscaling_group", expressions("var.id"))]}}}}},
            }}},
        })
    };
    for (reference, compliance, index) in
        [("aws_launch_template.this[0]", "COMPLIANT", 0), ("aws_launch_template.this[1]", "NON_COMPLIANT", 1)]
    {
        let references = [&format!("{reference}.id"), reference, "aws_launch_template.this"];
        let found = verdicts(&document(&json!({"references": references})));
        assert_eq!(found[2].0, group_address);
        let expected = format!(
            "{compliance} Instances are launched from launch template module.templates.aws_launch_template.this[{index}] version 1"
        );
        assert!(found[2].1.starts_with(&expected), "{reference}: {found:?}");
    }
    // Nothing, what cannot be followed, and a circle; and one of two templates: that the group has the key 0, too, means
    // nothing.
    for references in [
        json!([]),
        json!(["var.elsewhere"]),
        json!(["local.id"]),
        json!(["module.templates.missing", "module.templates"]),
        json!(["module.groups.id", "module.groups"]),
        json!(["aws_launch_template.this"]),
        json!(["aws_launch_template.this[0].id", "local.id"]),
        json!(["aws_launch_template.this[0].id", "data.aws_ssm_parameter.id.value"]),
    ] {
        let output = json!({"references": references});
        let found = verdicts(&document(&output));
        assert_eq!(
            found[2].1,
            "NOT_APPLICABLE What launches the instances is known only at deployment: it depends on var.id."
        );
    }
}

/// The template exists with version 1, and the plan changes its tokens.
fn changed_template(after: &Value, group_version: &str) -> Value {
    let mut values = json!({"id": "lt-1", "default_version": 1, "metadata_options": options("required")});
    values.as_object_mut().expect("an object").extend(after.as_object().expect("an object").clone());
    let before = json!({"id": "lt-1", "default_version": 1, "latest_version": 1, "metadata_options": options("optional")});
    let group = json!({"launch_template": [{"id": "lt-1", "version": group_version}]});
    json!({
        "planned_values": {"root_module": {"resources": [
            resource("aws_launch_template.web", &values), resource("aws_autoscaling_group.web", &group)]}},
        "resource_changes": [
            {"address": "aws_launch_template.web", "change": {"actions": ["update"], "before": before, "after_unknown": {"latest_version": true}}},
            {"address": "aws_autoscaling_group.web", "change": {"actions": ["no-op"], "before": group, "after_unknown": {}}},
        ],
    })
}

#[test]
fn a_changed_template_has_a_new_version_that_may_not_be_the_default() {
    let compliances = |after: Value, version: &str| {
        let found = verdicts(&changed_template(&after, version));
        found
            .into_iter()
            .map(|(_, verdict)| verdict.split(' ').next().unwrap_or_default().to_owned())
            .collect::<Vec<_>>()
    };
    let (open, closed) = ("NON_COMPLIANT", "COMPLIANT");
    for (after, version, expected) in [
        (json!({}), "$Default", [open, open]),
        (json!({}), "$Latest", [open, closed]),
        (json!({}), "1", [open, open]),
        (json!({}), "2", [open, closed]),
        (json!({}), "3", [open, "NOT_APPLICABLE"]),
        (json!({"update_default_version": true}), "$Default", [closed, closed]),
        (json!({"default_version": 7}), "$Default", ["NOT_APPLICABLE", "NOT_APPLICABLE"]),
        (json!({"latest_version": 1}), "$Default", [closed, closed]),
    ] {
        assert_eq!(compliances(after.clone(), version), expected, "{after} {version}");
    }
    assert_verdicts(
        &changed_template(&json!({}), "$Default"),
        &[
            (
                "aws_launch_template.web",
                "NON_COMPLIANT HttpTokens is optional: instances launched from this template accept IMDSv1 requests. Make a \
                 version with HttpTokens=required the default version.",
            ),
            (
                "aws_autoscaling_group.web",
                "NON_COMPLIANT Instances are launched from launch template aws_launch_template.web version 1 ($Default), \
                 where HttpTokens is optional: they accept IMDSv1 requests. Use a version with HttpTokens=required.",
            ),
        ],
    );
}

#[test]
fn empty_values_are_not_set() {
    let empty = json!([{"http_endpoint": "", "http_put_response_hop_limit": 0, "http_tokens": ""}]);
    let open = json!({"id": "lt-1", "latest_version": 1, "default_version": 1, "metadata_options": empty});
    let document =
        json!({"values": {"root_module": {"resources": [resource("aws_launch_template.web", &open)]}}});
    assert_verdicts(&document, &[("aws_launch_template.web", TEMPLATE_UNSET)]);
}

#[test]
fn a_state_has_ids_accounts_and_regions() {
    let arn = "arn:aws:ec2:eu-west-1:123456789012:instance/i-1";
    let instance = json!({"arn": arn, "tags": {"a": "b"}, "tags_all": {"a": "b", "team": "web"}, "metadata_options": options("optional")});
    let data = json!({"address": "data.aws_instance.x", "mode": "data", "type": "aws_instance", "name": "x", "values": {}});
    let document = json!({"format_version": "1.0", "values": {"root_module": {"resources": [resource("aws_instance.web", &instance), data]}}});
    let found = read(&document.to_string()).expect("a state");
    let [Ok(declared)] = found.as_slice() else { panic!("{found:?}") };
    let resource = &declared.resource;
    assert_eq!(
        (resource.account_id.as_deref(), resource.region.as_deref()),
        (Some("123456789012"), Some("eu-west-1"))
    );
    assert_eq!(resource.tag("team"), Some("web"));
    let empty = json!({"format_version": "1.0", "values": {}});
    assert!(read(&empty.to_string()).expect("a state").is_empty());
}

#[test]
fn what_is_no_plan_is_explained() {
    for (document, message) in [
        (
            json!({"version": 4, "terraform_version": "1.9.5", "lineage": "x", "resources": []}),
            "this is a Terraform state file",
        ),
        (json!({"format_version": "1.2", "errored": true}), "neither a Terraform plan nor a state"),
        (json!({"planned_values": 7}), "plan.planned_values: invalid type"),
    ] {
        let error = read(&document.to_string()).expect_err(message).to_string();
        assert!(error.contains(message), "{error}");
    }
    let broken = json!({"values": {"root_module": {"resources": [
        resource("aws_instance.a", &json!({"metadata_options": [{"http_tokens": 7}]})), resource("aws_instance.b", &json!({}))]}}});
    let found = read(&broken.to_string()).expect("a state");
    let error = found[0].as_ref().expect_err("malformed").to_string();
    assert!(error.starts_with("aws_instance.a.metadata_options[0].http_tokens: invalid type"), "{error}");
    assert!(found[1].is_ok());
}

/// Each of these could hide an open launch template.
#[test]
fn what_a_plan_leaves_open_is_not_compliant() {
    let template = |tokens: &str| json!({"metadata_options": options(tokens)});
    let group = |expression: Value| {
        plan(&[
            ("aws_launch_template.open", template("optional"), json!({"id": true}), json!({})),
            ("aws_launch_template.closed", template("required"), json!({"id": true}), json!({})),
            (
                "aws_autoscaling_group.web",
                json!({"launch_template": [{"version": "$Default"}]}),
                json!({"launch_template": [{"id": true}]}),
                json!({"launch_template": [{"id": expression}]}),
            ),
        ])
    };
    // A conditional, and a dynamic block.
    let either = json!({"references": ["aws_launch_template.open.id", "aws_launch_template.closed.id"]});
    for expression in [either, json!({})] {
        let found = verdicts(&group(expression));
        assert!(found[2].1.starts_with("NOT_APPLICABLE"), "{found:?}");
    }
    let mut document = changed_template(&json!({}), "$Default");
    let deposed = json!({"address": "aws_launch_template.web", "deposed": "1234abcd", "change": {"actions": ["delete"]}});
    document["resource_changes"].as_array_mut().expect("a list").push(deposed);
    assert!(verdicts(&document)[0].1.starts_with("NON_COMPLIANT"));
    for (field, value) in [("errored", true), ("complete", false)] {
        document[field] = json!(value);
        let found = read(&document.to_string()).expect("a plan");
        let error = found.last().expect("an error").as_ref().expect_err("incomplete").to_string();
        assert!(error.starts_with("plan: it is incomplete"), "{error}");
    }
}

#[test]
fn a_name_means_a_template_or_a_configuration_as_it_is_used() {
    let document = plan(&[
        (
            "aws_launch_template.web",
            json!({"id": "lt-1", "name": "web", "metadata_options": options("required")}),
            json!({}),
            json!({}),
        ),
        (
            "aws_launch_configuration.web",
            json!({"id": "web", "name": "web", "arn": "arn:aws:autoscaling:eu-west-1:1:launchConfiguration:x",
                "metadata_options": options("optional")}),
            json!({}),
            json!({}),
        ),
        ("aws_autoscaling_group.new", json!({"launch_template": [{"name": "web"}]}), json!({}), json!({})),
        ("aws_autoscaling_group.old", json!({"launch_configuration": "web"}), json!({}), json!({})),
        (
            "aws_autoscaling_group.outside",
            json!({"launch_configuration": "aws_launch_configuration.web"}),
            json!({}),
            json!({}),
        ),
    ]);
    let found = verdicts(&document);
    for (index, expected) in [
        (2, "COMPLIANT Instances are launched from launch template aws_launch_template.web version 1"),
        (3, "NON_COMPLIANT Instances are launched from launch configuration aws_launch_configuration.web,"),
        (4, "NOT_APPLICABLE Instances are launched from launch configuration aws_launch_configuration.web,"),
    ] {
        assert!(found[index].1.starts_with(expected), "{found:#?}");
    }
}

/// The group exists, so that its account and Region are known; those of what replaces the configuration are not.
#[test]
fn a_launch_configuration_that_is_replaced_is_found() {
    let document = plan(&[
        (
            "aws_launch_configuration.web",
            json!({"metadata_options": options("required")}),
            json!({"name": true, "arn": true}),
            json!({}),
        ),
        (
            "aws_autoscaling_group.web",
            json!({"arn": "arn:aws:autoscaling:eu-west-1:123456789012:autoScalingGroup:x"}),
            json!({"launch_configuration": true}),
            json!({"launch_configuration": refers("aws_launch_configuration.web.name")}),
        ),
    ]);
    let verdict = &verdicts(&document)[1].1;
    assert!(verdict.starts_with("COMPLIANT"), "{verdict}");
}

#[test]
fn what_a_dynamic_block_does_not_know_may_be_set() {
    let template = |tokens: &str| json!({"metadata_options": options(tokens)});
    let launched = json!({"launch_template": [{"version": "$Default"}], "metadata_options": [{}]});
    let unknown = json!({"launch_template": [{"id": true}], "metadata_options": [{"http_tokens": true, "http_endpoint": true}]});
    let specification = json!({"id": refers("aws_launch_template.closed.id")});
    let one = json!({"launch_template_specification": [{}]});
    let id_unknown = json!({"launch_template_specification": [{"launch_template_id": true}]});
    let policy = |overrides: Value, specification: Value| {
        json!({"mixed_instances_policy": [{"launch_template": [{
            "launch_template_specification": [specification], "override": overrides}]}]})
    };
    let closed = json!({"launch_template_id": refers("aws_launch_template.closed.id")});
    let document = plan(&[
        ("aws_launch_template.closed", template("required"), json!({"id": true}), json!({})),
        (
            "aws_instance.dynamic",
            launched.clone(),
            unknown.clone(),
            json!({"launch_template": [specification]}),
        ),
        (
            "aws_instance.computed",
            launched,
            unknown,
            json!({"launch_template": [specification], "metadata_options": [{"http_endpoint": refers("var.on")}]}),
        ),
        // The expressions are those of the second override: a dynamic block makes the first one.
        (
            "aws_autoscaling_group.mixed",
            policy(json!([one, one]), json!({})),
            policy(json!([id_unknown, id_unknown]), json!({"launch_template_id": true})),
            policy(json!([{"launch_template_specification": [closed]}]), closed.clone()),
        ),
    ]);
    let found = verdicts(&document);
    for (index, expected) in [
        (1, "NOT_APPLICABLE HttpTokens is known only at deployment: it depends on a dynamic block."),
        (2, REQUIRED),
        (
            3,
            "NOT_APPLICABLE What launches the instances is known only at deployment: it depends on a dynamic block.",
        ),
    ] {
        assert!(found[index].1.starts_with(expected), "{found:#?}");
    }
}

#[test]
fn too_many_references_are_not_followed() {
    let many: Vec<_> = (0..2000).map(|index| format!("var.x{index}")).collect();
    let references: Vec<_> = many.iter().map(String::as_str).chain(["aws_launch_template.web.id"]).collect();
    let document = plan(&[
        (
            "aws_launch_template.web",
            json!({"metadata_options": options("required")}),
            json!({"id": true}),
            json!({}),
        ),
        (
            "aws_autoscaling_group.web",
            json!({"launch_template": [{}]}),
            json!({"launch_template": [{"id": true}]}),
            json!({"launch_template": [{"id": {"references": references}}]}),
        ),
    ]);
    let verdict = &verdicts(&document)[1].1;
    assert!(verdict.starts_with("NOT_APPLICABLE"), "{verdict}");
}

/// Two templates, and a group in each of two instances of a module, which get one of them.
fn indexed(argument: &Value, group: &Value) -> Vec<String> {
    let template = |key: &str, tokens: &str| {
        resource(&format!("aws_launch_template.web[{key}]"), &json!({"metadata_options": options(tokens)}))
    };
    let groups = ["0", "1"].map(|key| format!("module.asg[{key}].aws_autoscaling_group.this[0]"));
    let modules = groups.iter().zip(["module.asg[0]", "module.asg[1]"]).map(|(group, module)| {
        json!({"address": module, "resources": [resource(group, &json!({"launch_template": [{"version": "$Latest"}]}))]})
    });
    let changes = groups.iter().map(|group| {
        json!({"address": group, "change": {"actions": ["create"], "after_unknown": {"launch_template": [{"id": true}]}}})
    });
    let found = verdicts(&json!({
        "planned_values": {"root_module": {
            "resources": [template("0", "required"), template("1", "optional")],
            "child_modules": modules.collect::<Vec<_>>()}},
        "resource_changes": changes.collect::<Vec<_>>(),
        "configuration": {"root_module": {
            "resources": [{"type": "aws_launch_template", "name": "web"}],
            "module_calls": {"asg": {"expressions": {"template": argument}, "module": {"resources": [
                {"type": "aws_autoscaling_group", "name": "this", "expressions": {"launch_template": [{"id": group}]}}]}}}}},
    }));
    let verdict =
        |address: &String| found.iter().find(|(each, _)| each == address).map(|(_, verdict)| verdict);
    groups
        .iter()
        .filter_map(verdict)
        .filter_map(|verdict| verdict.split(' ').next())
        .map(str::to_owned)
        .collect()
}

#[test]
fn a_key_is_that_of_the_resource_or_module_in_which_it_is_written() {
    let refers = |references: &[&str]| json!({"references": references});
    let (open, closed, unknown) = ("NON_COMPLIANT", "COMPLIANT", "NOT_APPLICABLE");
    for (argument, group, expected) in [
        // The index is that of the module. The group has a key of its own.
        (refers(&["aws_launch_template.web", "count.index"]), refers(&["var.template"]), [closed, open]),
        (refers(&["aws_launch_template.web"]), refers(&["var.template"]), [unknown, unknown]),
        (
            refers(&[
                "aws_launch_template.web[1].id",
                "aws_launch_template.web[1]",
                "aws_launch_template.web",
            ]),
            refers(&["var.template"]),
            [open, open],
        ),
        (
            refers(&["aws_launch_template.web", "each.value.index", "each.value"]),
            refers(&["var.template"]),
            [unknown, unknown],
        ),
        (
            refers(&["aws_launch_template.web", "count.index", "var.other"]),
            refers(&["var.template"]),
            [closed, open],
        ),
        // What comes first is no index.
        (refers(&["count.index", "aws_launch_template.web"]), refers(&["var.template"]), [unknown, unknown]),
        // An index beside a variable is not that of the variable.
        (refers(&["aws_launch_template.web"]), refers(&["var.template", "count.index"]), [unknown, unknown]),
    ] {
        assert_eq!(indexed(&argument, &group), expected, "{argument} {group}");
    }
}

#[test]
fn a_version_is_an_attribute_of_the_template_that_is_launched() {
    let compliance = |references: Value, known: bool| {
        let mut document = changed_template(&json!({}), "");
        let id = if known { json!({"id": "lt-1"}) } else { json!({}) };
        document["planned_values"]["root_module"]["resources"][1]["values"] =
            json!({"launch_template": [id]});
        let unknown = json!({"launch_template": [{"id": !known, "version": true}]});
        document["resource_changes"][1]["change"]["after_unknown"] = unknown;
        let template = json!({"references": ["aws_launch_template.web.id", "aws_launch_template.web"]});
        let block = json!([{"id": template, "version": {"references": references}}]);
        document["configuration"] = json!({"root_module": {"resources": [
            {"type": "aws_launch_template", "name": "web"},
            {"type": "aws_autoscaling_group", "name": "web", "expressions": {"launch_template": block}}]}});
        let found = verdicts(&document).remove(1).1;
        found.split(' ').next().unwrap_or_default().to_owned()
    };
    let (latest, default) =
        ("aws_launch_template.web.latest_version", "aws_launch_template.web.default_version");
    for (references, expected) in [
        (json!([latest, "aws_launch_template.web"]), "COMPLIANT"),
        (json!([default, "aws_launch_template.web"]), "NON_COMPLIANT"),
        (json!([latest, "aws_launch_template.web", default]), "NOT_APPLICABLE"),
        (json!(["aws_launch_template.web", "each.key"]), "NOT_APPLICABLE"),
        (json!(["aws_launch_template.other.latest_version", "aws_launch_template.other"]), "NOT_APPLICABLE"),
        (json!([latest, "aws_launch_template.web", "local.version"]), "NOT_APPLICABLE"),
    ] {
        for known in [true, false] {
            assert_eq!(compliance(references.clone(), known), expected, "{references}");
        }
    }
}

/// The verdict on a group that gets the id of a launch template by these references, in a plan with these instances of it.
fn group_of(templates: &[&str], references: &[&str]) -> String {
    let mut resources: Vec<_> = templates
        .iter()
        .map(|address| {
            (*address, json!({"metadata_options": options("required")}), json!({"id": true}), json!({}))
        })
        .collect();
    resources.push((
        "aws_autoscaling_group.web",
        json!({"launch_template": [{"version": "$Latest"}]}),
        json!({"launch_template": [{"id": true}]}),
        json!({"launch_template": [{"id": {"references": references}}]}),
    ));
    let (_, verdict) = verdicts(&plan(&resources)).pop().expect("a group");
    verdict.split(' ').next().unwrap_or_default().to_owned()
}

#[test]
fn several_references_to_one_resource_mean_that_one() {
    let (one, other) = ("aws_launch_template.web[0]", "aws_launch_template.web[1]");
    let indexed = ["aws_launch_template.web[0].id", one, "aws_launch_template.web"];
    let whole = ["aws_launch_template.web"];
    let keyed = "aws_launch_template.web[\"r&d\"]";
    for (templates, references, expected) in [
        // length(web) > 0 ? web[0].id : null, and try(web[0].id, one(web[*].id)).
        (vec![one], [whole.as_slice(), &indexed].concat(), "COMPLIANT"),
        (vec![one], [indexed.as_slice(), &whole].concat(), "COMPLIANT"),
        (vec![one, other], [indexed.as_slice(), &["var.x"], &whole].concat(), "NOT_APPLICABLE"),
        (vec![one, other], indexed.to_vec(), "COMPLIANT"),
        // each.key == "x" ? web.id : null
        (vec!["aws_launch_template.web"], vec!["each.key", "aws_launch_template.web.id"], "COMPLIANT"),
        (vec!["aws_launch_template.web"], vec!["aws_launch_template.web.id", "count.index"], "COMPLIANT"),
        (vec![keyed, one], vec!["aws_launch_template.web[\"r&d\"].id"], "COMPLIANT"),
    ] {
        assert_eq!(group_of(&templates, &references), expected, "{templates:?} {references:?}");
    }
}

#[test]
fn a_data_source_does_not_hide_the_resource_of_its_name() {
    let mut document = plan(&[
        (
            "aws_launch_template.web",
            json!({"metadata_options": options("required")}),
            json!({"id": true}),
            json!({}),
        ),
        (
            "aws_instance.web",
            json!({"launch_template": [{"version": "$Latest"}]}),
            json!({"launch_template": [{"id": true}]}),
            json!({"launch_template": [{"id": refers("aws_launch_template.web.id")}]}),
        ),
    ]);
    let data = json!({"mode": "data", "type": "aws_instance", "name": "web", "expressions": {}});
    document["configuration"]["root_module"]["resources"].as_array_mut().expect("a list").push(data);
    assert_eq!(verdicts(&document)[1].1, REQUIRED);
}

#[test]
fn of_several_resources_with_one_name_the_expression_says_which() {
    let module = |name: &str, tokens: &str| {
        let address = |kind: &str| format!("module.{name}.{kind}.web");
        json!({"address": format!("module.{name}"), "resources": [
            resource(&address("aws_launch_configuration"), &json!({"name": "app", "metadata_options": options(tokens)})),
            resource(&address("aws_autoscaling_group"), &json!({"launch_configuration": "app"})),
        ]})
    };
    let document = |references: Value| {
        let call = json!({"module": {"resources": [
            {"type": "aws_launch_configuration", "name": "web"},
            {"type": "aws_autoscaling_group", "name": "web",
                "expressions": {"launch_configuration": {"references": references}}}]}});
        json!({
            "planned_values": {"root_module": {"child_modules": [module("eu", "optional"), module("us", "required")]}},
            "configuration": {"root_module": {"module_calls": {"eu": call, "us": call}}},
        })
    };
    let reference = ["aws_launch_configuration.web.name", "aws_launch_configuration.web"];
    let found = verdicts(&document(json!(reference)));
    assert!(found[1].1.starts_with("NON_COMPLIANT"), "{found:#?}");
    assert!(found[3].1.starts_with("COMPLIANT"), "{found:#?}");
    let found = verdicts(&document(json!(["var.name"])));
    let expected = "NOT_APPLICABLE What launches the instances is known only at deployment: it depends on the name app, \
        which several resources have.";
    assert_eq!(found[1].1, expected);
}
