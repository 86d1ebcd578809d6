"""The stack carries the runbooks as they are, calls them as they want to be called, and may do what they do."""

import json
import subprocess
import sys

import pytest
import yaml

from support import repository
from support.runbook_executor import REFERENCE, parameter
from support.templates import as_list, load, of_type

RUNBOOKS = {path.stem: yaml.safe_load(path.read_text()) for path in repository.RUNBOOKS.glob("*.yaml")}
TEMPLATE = load("rule.yaml")
RESOURCES = TEMPLATE["Resources"]


def test_the_runbooks_in_the_template_are_the_files():
    embedded = {
        name: resource["Content"] for name, resource in of_type(TEMPLATE, "AWS::SSM::Document").items()
    }
    assert embedded == RUNBOOKS
    check = [sys.executable, repository.ROOT / "packaging" / "render_templates.py", "--check"]
    assert subprocess.run(check, capture_output=True, text=True).stderr == ""


def test_remediation_gives_the_runbook_what_it_asks_for():
    (remediation,) = of_type(TEMPLATE, "AWS::Config::RemediationConfiguration").values()
    declared = RUNBOOKS[remediation["TargetId"]["Ref"]]["parameters"]
    given = remediation["Parameters"]
    assert set(given) <= set(declared)
    assert {name for name, rule in declared.items() if "default" not in rule} <= set(given)
    assert given["InstanceId"] == {"ResourceValue": {"Value": "RESOURCE_ID"}}
    for name, value in given.items():
        assert len(value) == 1, f"{name}: either a ResourceValue or a StaticValue"


def test_what_the_stack_allows_to_give_the_runbook_takes():
    (remediation,) = of_type(TEMPLATE, "AWS::Config::RemediationConfiguration").values()
    rules = RUNBOOKS[remediation["TargetId"]["Ref"]]["parameters"]
    for name, value in remediation["Parameters"].items():
        source = value.get("StaticValue", {}).get("Values", [{}])[0].get("Ref")
        if source:
            allowed = TEMPLATE["Parameters"][source]
            values = allowed.get("AllowedValues") or [
                allowed["Default"],
                allowed["MinValue"],
                allowed["MaxValue"],
            ]
            for each in values:
                parameter(name, rules[name], [str(each)])


def test_remediation_is_not_automatic_unless_asked():
    (remediation,) = of_type(TEMPLATE, "AWS::Config::RemediationConfiguration").values()
    assert TEMPLATE["Parameters"][remediation["Automatic"]["Ref"]]["Default"] == "false"


@pytest.mark.parametrize(
    ("role", "runbooks"),
    [
        ("RemediationRole", ["EnforceImdsv2"]),
        ("RestorationRole", ["RestoreMetadataOptions"]),
        ("PreventionRole", ["EnforceImdsv2AccountDefaults", "EnforceImdsv2LaunchTemplate"]),
    ],
)
def test_a_role_may_do_what_its_runbooks_do_and_no_more(role, runbooks):
    calls = {
        f"{step['inputs']['Service']}:{step['inputs']['Api']}"
        for name in runbooks
        for step in RUNBOOKS[name]["mainSteps"]
        if "Api" in step["inputs"]
    }
    statements = RESOURCES[role]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"]
    allowed = {action: statement for statement in statements for action in as_list(statement["Action"])}
    assert sorted(calls) == sorted(allowed)
    of_the_account = ("ec2:ModifyInstanceMetadataDefaults",)  # not of a resource
    for action, statement in allowed.items():
        changes = not action.split(":")[1].startswith(("Describe", "Get"))
        assert statement["Effect"] == "Allow"
        assert not changes or statement["Resource"] != "*" or action in of_the_account


@pytest.mark.parametrize("role", ["RemediationRole", "RestorationRole", "PreventionRole"])
def test_a_role_is_assumed_by_this_accounts_automations_alone(role):
    (trust,) = RESOURCES[role]["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": "ssm.amazonaws.com"}
    assert trust["Condition"] == {
        "StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}},
        "ArnLike": {
            "aws:SourceArn": {"Sub": "arn:${AWS::Partition}:ssm:*:${AWS::AccountId}:automation-execution/*"}
        },
    }


def test_scripts_call_no_api_of_their_own():
    for name, document in RUNBOOKS.items():
        for step in document["mainSteps"]:
            assert "boto" not in step["inputs"].get("Script", ""), f"{name}: {step['name']}"
            assert not REFERENCE.search(step["inputs"].get("Script", "")), (
                "a value in a script's text is code"
            )


def test_the_stack_deploys_as_far_as_moto_goes(cloud):
    cloud.client("s3").create_bucket(Bucket="code")
    cloud.client("s3").put_object(
        Bucket="code", Key="imdsv2-config-rule/bootstrap.zip", Body=b"PK\5\6" + bytes(18)
    )
    stacks = cloud.client("cloudformation")
    stacks.create_stack(
        StackName="imdsv2",
        TemplateBody=(repository.TEMPLATES / "rule.yaml").read_text(),
        Parameters=[{"ParameterKey": "CodeBucket", "ParameterValue": "code"}],
        Capabilities=["CAPABILITY_IAM"],
    )
    (stack,) = stacks.list_stacks()["StackSummaries"]
    assert stack["StackStatus"] == "CREATE_COMPLETE"
    ssm, iam = cloud.client("ssm"), cloud.client("iam")
    for name, document in RUNBOOKS.items():  # moto keeps the object that CloudFormation would write as text
        assert ssm.get_document(Name=f"imdsv2-{name}")["Content"] == document
    roles = {role["Description"]: role["AssumeRolePolicyDocument"] for role in iam.list_roles()["Roles"]}
    trust = json.dumps(roles["Allows Automation to run EnforceImdsv2."])
    assert "arn:aws:ssm:*:123456789012:automation-execution/*" in trust

    sqs = cloud.client("sqs")
    (queue,) = sqs.list_queues()["QueueUrls"]
    kept = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["All"])["Attributes"]
    assert (kept["MessageRetentionPeriod"], kept["VisibilityTimeout"]) == (str(14 * 24 * 3600), "300")

    (dashboard,) = cloud.cloudwatch.list_dashboards()["DashboardEntries"]
    assert dashboard["DashboardName"] == "imdsv2-us-east-1"
    widgets = json.loads(cloud.cloudwatch.get_dashboard(DashboardName="imdsv2-us-east-1")["DashboardBody"])[
        "widgets"
    ]
    (alarms,) = (widget["properties"]["alarms"] for widget in widgets if widget["type"] == "alarm")
    assert "arn:aws:cloudwatch:us-east-1:123456789012:alarm:imdsv2-dead-letters" in alarms
    function = cloud.client("lambda").list_functions()["Functions"][0]["FunctionName"]
    assert f'"FunctionName", "{function}"' in json.dumps(widgets)
    assert f'"QueueName", "{queue.rsplit("/", 1)[1]}"' in json.dumps(widgets)
