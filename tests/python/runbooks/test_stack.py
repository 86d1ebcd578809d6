"""The stack contains the runbooks, passes valid parameters to them, and allows what they do."""

import json
import subprocess
import sys

import pytest

from support.repository import ROOT, TEMPLATES
from support.runbook_executor import REFERENCE, parameter_value
from support.runbooks import runbooks
from support.templates import as_list, load, of_type

RUNBOOKS = runbooks()
TEMPLATE = load("rule.yaml")
RESOURCES = TEMPLATE["Resources"]
# Operations that change the account and have no resource in IAM.
WITHOUT_RESOURCE = ("ec2:ModifyInstanceMetadataDefaults",)


@pytest.fixture
def remediation():
    """The properties of the remediation."""
    (properties,) = of_type(TEMPLATE, "AWS::Config::RemediationConfiguration").values()
    return properties


def test_template_contains_the_runbooks():
    documents = of_type(TEMPLATE, "AWS::SSM::Document")
    assert {name: properties["Content"] for name, properties in documents.items()} == RUNBOOKS
    check = [sys.executable, ROOT / "packaging" / "render_templates.py", "--check"]
    assert subprocess.run(check, capture_output=True, text=True).stderr == ""


def test_remediation_passes_the_parameters_of_its_runbook(remediation):
    declared = RUNBOOKS[remediation["TargetId"]["Ref"]]["parameters"]
    passed = remediation["Parameters"]
    assert set(passed) <= set(declared)
    assert {name for name, rule in declared.items() if "default" not in rule} <= set(passed)
    assert passed["InstanceId"] == {"ResourceValue": {"Value": "RESOURCE_ID"}}
    for name, value in passed.items():
        assert len(value) == 1, f"{name}: either a ResourceValue or a StaticValue"


def test_runbook_accepts_the_values_that_the_stack_allows(remediation):
    rules = RUNBOOKS[remediation["TargetId"]["Ref"]]["parameters"]
    for name, value in remediation["Parameters"].items():
        source = value.get("StaticValue", {}).get("Values", [{}])[0].get("Ref")
        if source:
            allowed = TEMPLATE["Parameters"][source]
            limits = [allowed.get(each) for each in ("Default", "MinValue", "MaxValue")]
            for each in allowed.get("AllowedValues") or limits:
                parameter_value(name, rules[name], [str(each)])


def test_remediation_is_manual_by_default(remediation):
    assert TEMPLATE["Parameters"][remediation["Automatic"]["Ref"]]["Default"] == "false"


@pytest.mark.parametrize(
    ("role", "runbooks"),
    [
        ("RemediationRole", ["EnforceImdsv2"]),
        ("RestorationRole", ["RestoreMetadataOptions"]),
        ("PreventionRole", ["EnforceImdsv2AccountDefaults", "EnforceImdsv2LaunchTemplate"]),
    ],
)
def test_role_allows_the_operations_of_its_runbooks_and_no_others(role, runbooks):
    inputs = [step["inputs"] for name in runbooks for step in RUNBOOKS[name]["mainSteps"]]
    calls = {f"{each['Service']}:{each['Api']}" for each in inputs if "Api" in each}
    statements = RESOURCES[role]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"]
    allowed = {action: statement for statement in statements for action in as_list(statement["Action"])}
    assert sorted(calls) == sorted(allowed)
    for action, statement in allowed.items():
        changes = not action.split(":")[1].startswith(("Describe", "Get"))
        assert statement["Effect"] == "Allow"
        assert not changes or statement["Resource"] != "*" or action in WITHOUT_RESOURCE


@pytest.mark.parametrize("role", ["RemediationRole", "RestorationRole", "PreventionRole"])
def test_only_automation_in_the_account_may_assume_a_role(role):
    (trust,) = RESOURCES[role]["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": "ssm.amazonaws.com"}
    assert trust["Condition"] == {
        "StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}},
        "ArnLike": {
            "aws:SourceArn": {"Sub": "arn:${AWS::Partition}:ssm:*:${AWS::AccountId}:automation-execution/*"}
        },
    }


def test_scripts_call_no_api():
    for name, document in RUNBOOKS.items():
        for step in document["mainSteps"]:
            assert "boto" not in step["inputs"].get("Script", ""), f"{name}: {step['name']}"


def test_scripts_contain_no_references():
    """A reference is replaced before the script runs, so its value would be executed as code."""
    for name, document in RUNBOOKS.items():
        for step in document["mainSteps"]:
            assert not REFERENCE.search(step["inputs"].get("Script", "")), f"{name}: {step['name']}"


@pytest.fixture
def deployed(cloud):
    """A cloud with the stack, as far as moto supports its resources."""
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket="code")
    s3.put_object(Bucket="code", Key="imdsv2-config-rule/bootstrap.zip", Body=b"PK\5\6" + bytes(18))
    stacks = cloud.client("cloudformation")
    stacks.create_stack(
        StackName="imdsv2",
        TemplateBody=(TEMPLATES / "rule.yaml").read_text(),
        Parameters=[{"ParameterKey": "CodeBucket", "ParameterValue": "code"}],
        Capabilities=["CAPABILITY_IAM"],
    )
    (stack,) = stacks.list_stacks()["StackSummaries"]
    assert stack["StackStatus"] == "CREATE_COMPLETE"
    return cloud


def test_deployed_stack_has_the_runbooks_and_their_role(deployed):
    ssm, iam = deployed.client("ssm"), deployed.client("iam")
    for name, document in RUNBOOKS.items():  # CloudFormation stores text, moto an object
        assert ssm.get_document(Name=f"imdsv2-{name}")["Content"] == document
    roles = {role["Description"]: role["AssumeRolePolicyDocument"] for role in iam.list_roles()["Roles"]}
    trust = json.dumps(roles["Allows Automation to run EnforceImdsv2."])
    assert "arn:aws:ssm:*:123456789012:automation-execution/*" in trust


def test_deployed_stack_has_a_dashboard_of_its_function_and_queue(deployed):
    sqs, cloudwatch = deployed.client("sqs"), deployed.cloudwatch
    (queue,) = sqs.list_queues()["QueueUrls"]
    attributes = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["All"])["Attributes"]
    assert attributes["MessageRetentionPeriod"] == str(14 * 24 * 3600)
    assert attributes["VisibilityTimeout"] == "300"

    (dashboard,) = cloudwatch.list_dashboards()["DashboardEntries"]
    assert dashboard["DashboardName"] == "imdsv2-us-east-1"
    body = cloudwatch.get_dashboard(DashboardName="imdsv2-us-east-1")["DashboardBody"]
    widgets = json.loads(body)["widgets"]
    (alarms,) = (widget["properties"]["alarms"] for widget in widgets if widget["type"] == "alarm")
    assert "arn:aws:cloudwatch:us-east-1:123456789012:alarm:imdsv2-dead-letters" in alarms
    (function,) = deployed.client("lambda").list_functions()["Functions"]
    assert f'"FunctionName", "{function["FunctionName"]}"' in json.dumps(widgets)
    assert f'"QueueName", "{queue.rsplit("/", 1)[1]}"' in json.dumps(widgets)
