"""AWS Config accepts the message types, the frequencies and the scopes of the rules."""

import botocore.session

from support.stack import Stack
from support.templates import as_list, found, load

CONFIG = botocore.session.get_session().get_service_model("config")
RULES = {"AWS::Config::ConfigRule", "AWS::Config::OrganizationConfigRule"}


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


def test_organization_rule_has_valid_triggers(template):
    for stack in stacks(template):
        for rule in stack.resources("AWS::Config::OrganizationConfigRule").values():
            metadata = rule["OrganizationCustomRuleMetadata"]
            types = metadata["OrganizationConfigRuleTriggerTypes"]
            assert types and set(types) <= enumerated("OrganizationConfigRuleTriggerType")
            scheduled = "ScheduledNotification" in types
            assert scheduled or "MaximumExecutionFrequency" not in metadata
            if "MaximumExecutionFrequency" in metadata:
                assert metadata["MaximumExecutionFrequency"] in enumerated("MaximumExecutionFrequency")


def test_rule_has_a_scope_and_depends_on_the_permission(template):
    for name, resource in template["Resources"].items():
        if resource["Type"] == "AWS::Config::ConfigRule":
            assert resource["Properties"]["Scope"]["ComplianceResourceTypes"], (
                f"{name} is invoked for every type of resource"
            )
        uses_the_function = any("Function" in str(arn) for arn in found(resource, "GetAtt"))
        if resource["Type"] in RULES and uses_the_function:
            dependencies = as_list(resource["DependsOn"])
            assert any(
                template["Resources"][each]["Type"] == "AWS::Lambda::Permission" for each in dependencies
            ), name


def test_schedule_is_that_of_the_parameter():
    template = load("rule.yaml")
    for schedule in template["Parameters"]["Schedule"]["AllowedValues"]:
        (rule,) = Stack(template, {"Schedule": schedule}).resources("AWS::Config::ConfigRule").values()
        frequencies = [detail.get("MaximumExecutionFrequency") for detail in rule["Source"]["SourceDetails"]]
        assert frequencies == [None, None] + ([schedule] if schedule != "Off" else [])
