"""A rehearsal of the deployment on moto, in three accounts and two Regions.

moto creates roles, functions, documents, queues, logs and dashboards, and ignores the other resources. What
only AWS can show is in docs/verify-in-aws.md.
"""

import json

import pytest

from support.runbooks import runbooks
from support.templates import load
from templates.deployment import FUNCTION, MANAGEMENT, MEMBER, Organization
from templates.test_names import LONGEST

REGIONS = ("us-east-1", "eu-west-1")
ACCOUNTS = (FUNCTION, MEMBER, MANAGEMENT)
ORGANIZATION = {"OrganizationId": "o-a1b2c3d4e5"}
DEFAULT = "imdsv2-config-rule"
# Parameters at the ends of what they allow.
EXTREME_FUNCTION = {
    "FunctionName": LONGEST["FunctionName"],
    "Architecture": "arm64",
    "MemorySize": "10240",
    "TimeoutSeconds": "900",
    "ReservedConcurrency": "0",
    "AlarmTopicArn": "arn:aws:sns:us-east-1:123456789012:alarms",
    "LogRetentionDays": "3653",
    "LogsKmsKeyArn": "arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab",
    "QueueKmsKeyArn": "arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab",
    "MemberAccounts": "222222222222,333333333333",
    **ORGANIZATION,
}
EXTREME_RULES = {
    "FunctionName": LONGEST["FunctionName"],
    "RuleName": LONGEST["RuleName"],
    "QueryTagKey": LONGEST["QueryTagKey"],
    "AccountDefaults": "true",
    "MaxHopLimit": "64",
    "DisabledEndpointCompliant": "false",
    "DefaultsCompliant": "true",
    "ExemptionTagKey": "k" * 128,
    "Schedule": "One_Hour",
    "AutomaticRemediation": "true",
    "UsageLookbackDays": "455",
    "OnUnknownUsage": "Proceed",
    "OnBootCalls": "Proceed",
    "RemediationHopLimit": "64",
    "RemediationAttempts": "25",
    "RemediationRetrySeconds": "2678000",
    "RemediationConcurrencyPercent": "100",
    "RemediationErrorPercent": "100",
}


@pytest.fixture
def organization(moto_server):
    organization = Organization(moto_server)
    for region in REGIONS:
        organization.upload_code(region)
    return organization


def deploy(organization, function=ORGANIZATION, rules=None):
    """Deploys everything, in the order of docs/organization.md."""
    for region in REGIONS:
        organization.deploy("security-hub", FUNCTION, region)
        organization.deploy_function(region, **function)
        shared = load("invocation.yaml")["Parameters"].keys() & function.keys()
        organization.deploy("invocation", FUNCTION, region, **{name: function[name] for name in shared})
    for account in ACCOUNTS:
        organization.deploy_rules(account, REGIONS, **(rules or {}))


def expected_roles(account, name=DEFAULT):
    """Returns the names of the roles of an account."""
    uses = ["member"] if account != FUNCTION else [""]
    uses += ["remediation", "restoration", "prevention"]
    return {"-".join(filter(None, (name, use, region))) for use in uses for region in REGIONS}


@pytest.mark.parametrize(
    ("function", "rules", "name"),
    [(ORGANIZATION, None, DEFAULT), (EXTREME_FUNCTION, EXTREME_RULES, LONGEST["FunctionName"])],
    ids=["defaults", "extremes"],
)
def test_accounts_have_roles_and_runbooks_in_each_region(organization, function, rules, name):
    deploy(organization, function, rules)
    for account in ACCOUNTS:
        assert set(organization.roles(account)) == expected_roles(account, name)
        for region in REGIONS:
            assert organization.runbooks(account, region) == {f"{name}-{each}" for each in runbooks()}
    for region in REGIONS:
        assert [each["FunctionName"] for each in organization.functions(region)] == [name]


def test_runbooks_are_those_of_the_repository(organization):
    deploy(organization)
    ssm = organization.client("ssm", "eu-west-1", MEMBER)
    for name, document in runbooks().items():  # CloudFormation stores text, moto an object
        assert ssm.get_document(Name=f"{DEFAULT}-{name}")["Content"] == document


def test_function_and_members_name_roles_that_exist(organization):
    deploy(organization)
    own = organization.roles(FUNCTION)
    for region in REGIONS:
        (function,) = organization.functions(region)
        assert function["Role"] == own[f"{DEFAULT}-{region}"]["Arn"]
        assumed = function["Environment"]["Variables"]["MEMBER_ROLE_NAME"]
        for account in (MEMBER, MANAGEMENT):
            (statement,) = organization.roles(account)[assumed]["AssumeRolePolicyDocument"]["Statement"]
            assert statement["Condition"]["ArnEquals"]["aws:PrincipalArn"] == function["Role"]


def test_stack_of_one_region_can_be_removed_alone(organization):
    """Also in the Region that was the first: no stack uses a resource of another one."""
    deploy(organization)
    for account in ACCOUNTS:
        organization.delete("rule", account, REGIONS[0])
        kept = {name for name in expected_roles(account) if name.endswith(REGIONS[1])}
        left = {name for name in organization.roles(account) if name != f"{DEFAULT}-{REGIONS[0]}"}
        assert left == kept
        assert organization.runbooks(account, REGIONS[0]) == set()
        assert len(organization.runbooks(account, REGIONS[1])) == len(runbooks())


def test_region_and_account_can_be_added_later(organization):
    first, second = REGIONS
    organization.deploy_function(first, **ORGANIZATION)
    organization.deploy_rules(MEMBER, [first])
    organization.deploy_function(second, **ORGANIZATION)
    organization.deploy_rules(MEMBER, REGIONS)
    organization.deploy_rules(FUNCTION, REGIONS)
    for account in (MEMBER, FUNCTION):
        assert set(organization.roles(account)) == expected_roles(account)


def test_update_keeps_names_and_changes_settings(organization):
    deploy(organization)
    before = {account: set(organization.roles(account)) for account in ACCOUNTS}
    for region in REGIONS:
        organization.deploy_function(region, **ORGANIZATION, MemorySize="512", TimeoutSeconds="300")
    for account in ACCOUNTS:
        organization.deploy_rules(account, REGIONS, AutomaticRemediation="true", Schedule="Six_Hours")
    assert {account: set(organization.roles(account)) for account in ACCOUNTS} == before
    for region in REGIONS:
        (function,) = organization.functions(region)
        assert (function["MemorySize"], function["Timeout"]) == (512, 300)


def test_nothing_is_left_when_everything_is_deleted(organization):
    deploy(organization)
    for account in ACCOUNTS:
        for region in REGIONS:
            organization.delete("rule", account, region)
    for region in REGIONS:
        for template in ("invocation", "function", "security-hub"):
            organization.delete(template, FUNCTION, region)
    for account in ACCOUNTS:
        assert organization.roles(account) == {}
        assert all(organization.runbooks(account, region) == set() for region in REGIONS)
    for region in REGIONS:
        assert organization.functions(region) == []
        assert organization.client("sqs", region).list_queues().get("QueueUrls", []) == []
        assert organization.client("logs", region).describe_log_groups()["logGroups"] == []


def test_one_account_needs_two_stacks(organization):
    organization.deploy_function("us-east-1")
    organization.deploy("rule", FUNCTION, "us-east-1")
    roles = set(organization.roles(FUNCTION))
    assert roles == {name for name in expected_roles(FUNCTION) if name.endswith("us-east-1")}
    (function,) = organization.functions("us-east-1")
    policy = organization.client("lambda").get_policy(FunctionName=function["FunctionName"])["Policy"]
    (statement,) = json.loads(policy)["Statement"]
    assert statement["Principal"] == {"Service": "config.amazonaws.com"}
    assert FUNCTION in json.dumps(statement["Condition"])


def test_function_has_a_queue_and_a_dashboard_of_its_own(organization):
    organization.deploy_function("us-east-1")
    sqs, cloudwatch = organization.client("sqs"), organization.client("cloudwatch")
    (queue,) = sqs.list_queues()["QueueUrls"]
    attributes = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["All"])["Attributes"]
    assert attributes["MessageRetentionPeriod"] == str(14 * 24 * 3600)
    assert attributes["VisibilityTimeout"] == "300"
    body = cloudwatch.get_dashboard(DashboardName=f"{DEFAULT}-us-east-1")["DashboardBody"]
    widgets = json.loads(body)["widgets"]
    (alarms,) = (widget["properties"]["alarms"] for widget in widgets if widget["type"] == "alarm")
    assert f"arn:aws:cloudwatch:us-east-1:{FUNCTION}:alarm:{DEFAULT}-dead-letters" in alarms
    assert f'"FunctionName", "{DEFAULT}"' in json.dumps(widgets)
    assert f'"QueueName", "{queue.rsplit("/", 1)[1]}"' in json.dumps(widgets)
