"""AWS Config accepts the message types, the frequencies and the scopes of the rules."""

import botocore.session
import pytest

from support.stack import Stack
from support.templates import load

CONFIG = botocore.session.get_session().get_service_model("config")
RULE = load("rule.yaml")
INSTANCE = "AWS::EC2::Instance"
ALL = {"AccountDefaults": "true", "Schedule": "Six_Hours", "MaxHopLimit": "2", "ExemptionTagKey": "until"}


def enumerated(shape):
    return set(CONFIG.shape_for(shape).enum)


def stacks(template):
    """Yields a stack with the defaults, and one for each value that a parameter allows."""
    yield Stack(template)
    for name, rule in template.get("Parameters", {}).items():
        yield from (Stack(template, {name: value}) for value in rule.get("AllowedValues", []))


def test_custom_rule_has_valid_triggers(template):
    for stack in stacks(template):
        for name, rule in stack.resources("AWS::Config::ConfigRule").items():
            if rule["Source"]["Owner"] != "CUSTOM_LAMBDA":
                continue
            details = rule["Source"]["SourceDetails"]
            assert details, name
            for detail in details:
                assert detail["EventSource"] == "aws.config"
                assert detail["MessageType"] in enumerated("MessageType")
                assert ("MaximumExecutionFrequency" in detail) == (
                    detail["MessageType"] == "ScheduledNotification"
                )
                frequency = detail.get("MaximumExecutionFrequency")
                assert frequency is None or frequency in enumerated("MaximumExecutionFrequency")
            types = [detail["MessageType"] for detail in details]
            assert len(types) == len(set(types))
            changes = {"ConfigurationItemChangeNotification", "OversizedConfigurationItemChangeNotification"}
            assert not changes & set(types) or changes <= set(types), (
                "AWS Config sends large items in another message"
            )


def rules(**parameters):
    """Returns the rules by their names."""
    made = Stack(RULE, parameters).resources("AWS::Config::ConfigRule").values()
    return {rule["ConfigRuleName"]: rule for rule in made}


def test_each_kind_of_resource_has_a_rule():
    scopes = {
        name: rule.get("Scope", {}).get("ComplianceResourceTypes") for name, rule in rules(**ALL).items()
    }
    assert scopes == {
        "EC2-must-require-IMDSv2": [INSTANCE],
        "EC2-must-require-IMDSv2-at-launch": [
            "AWS::EC2::LaunchTemplate",
            "AWS::AutoScaling::LaunchConfiguration",
            "AWS::AutoScaling::AutoScalingGroup",
        ],
        "EC2-must-require-IMDSv2-by-default": None,
    }


def test_rules_are_optional_except_that_for_instances():
    assert list(rules(LaunchRule="false")) == ["EC2-must-require-IMDSv2"]
    assert "EC2-must-require-IMDSv2-by-default" not in rules()


def test_rule_evaluates_the_types_of_its_scope():
    for rule in rules(**ALL).values():
        if "Scope" in rule:
            types = rule["Scope"]["ComplianceResourceTypes"]
            assert rule["InputParameters"] == {
                "maxHopLimit": "2",
                "disabledEndpointCompliant": "true",
                "exemptionTagKey": "until",
                "resourceTypes": ",".join(types),
                # Instances have no defaults: what they got at launch is recorded.
                **({} if types == [INSTANCE] else {"defaultsCompliant": "false"}),
            }


def test_rule_without_a_scope_runs_on_a_schedule_only():
    """With changes as a trigger, AWS Config would invoke it for every type of resource that it records."""
    for schedule, frequency in (("Off", "TwentyFour_Hours"), ("One_Hour", "One_Hour")):
        rule = rules(AccountDefaults="true", Schedule=schedule)["EC2-must-require-IMDSv2-by-default"]
        assert rule["InputParameters"] == {"accountDefaults": "only"}
        (detail,) = rule["Source"]["SourceDetails"]
        assert detail["MessageType"] == "ScheduledNotification"
        assert detail["MaximumExecutionFrequency"] == frequency


@pytest.mark.parametrize("schedule", RULE["Parameters"]["Schedule"]["AllowedValues"])
def test_schedule_is_that_of_the_parameter(schedule):
    for rule in rules(Schedule=schedule).values():
        frequencies = [detail.get("MaximumExecutionFrequency") for detail in rule["Source"]["SourceDetails"]]
        assert frequencies == [None, None] + ([schedule] if schedule != "Off" else [])


def test_only_the_rule_for_instances_has_a_remediation():
    """No document says that ResourceType filters, so a rule with a remediation has resources of one type."""
    stack = Stack(RULE, ALL)
    remediation = stack.only("AWS::Config::RemediationConfiguration")
    rule = rules(**ALL)[remediation["ConfigRuleName"]]
    assert rule["Scope"]["ComplianceResourceTypes"] == [remediation["ResourceType"]] == [INSTANCE]


@pytest.mark.parametrize(
    ("options", "on_boot_calls", "tag_key"),
    [
        ({}, "Stop", None),
        ({"ExemptionTagKey": "until", "OnBootCalls": "Proceed"}, "Proceed", "until"),
    ],
)
def test_remediation_passes_the_options_of_the_stack(options, on_boot_calls, tag_key):
    """AWS Config rejects an empty value, so the key of a tag is passed only if there is one."""
    parameters = Stack(RULE, options).only("AWS::Config::RemediationConfiguration")["Parameters"]
    assert parameters["OnBootCalls"] == {"StaticValue": {"Values": [on_boot_calls]}}
    passed = {"StaticValue": {"Values": [tag_key]}} if tag_key else None
    assert parameters.get("ExemptionTagKey") == passed
