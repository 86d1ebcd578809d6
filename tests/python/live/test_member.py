"""The template of the member accounts, deployed in another account than the function's."""

from support.command_line import OTHER, OWN
from support.repository import TEMPLATES
from support.runbooks import runbooks

REGIONS = ("us-east-1", "eu-west-1")


def test_member_has_runbooks_in_each_region_and_roles_once(cloud):
    values = {"FunctionAccountId": OWN, "HomeRegion": "us-east-1"}
    parameters = [{"ParameterKey": name, "ParameterValue": value} for name, value in values.items()]
    for region in REGIONS:
        cloud.client("cloudformation", region, OTHER).create_stack(
            StackName="members",
            TemplateBody=(TEMPLATES / "member.yaml").read_text(),
            Parameters=parameters,
            Capabilities=["CAPABILITY_NAMED_IAM"],
        )
        ssm = cloud.client("ssm", region, OTHER)
        for name, document in runbooks().items():
            assert ssm.get_document(Name=f"imdsv2-{name}")["Content"] == document
    roles = cloud.client("iam", account=OTHER).list_roles()["Roles"]
    assert {role["RoleName"]: role["Arn"] for role in roles} == {
        name: f"arn:aws:iam::{OTHER}:role/{name}"
        for name in ("imdsv2-evaluator", "imdsv2-remediation", "imdsv2-restoration", "imdsv2-prevention")
    }
    assert cloud.client("iam").list_roles()["Roles"] == []
