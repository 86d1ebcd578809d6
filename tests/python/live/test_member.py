"""The template of an organization's members, in an account that is not the function's."""

import yaml

from live.cloud import OTHER, OWN
from support import repository

RUNBOOKS = {path.stem: yaml.safe_load(path.read_text()) for path in repository.RUNBOOKS.glob("*.yaml")}
REGIONS = ("us-east-1", "eu-west-1")


def test_a_member_has_its_runbooks_in_each_region_and_its_roles_once(cloud):
    given = {"FunctionAccountId": OWN, "HomeRegion": "us-east-1"}
    for region in REGIONS:
        cloud.client("cloudformation", region, OTHER).create_stack(
            StackName="members",
            TemplateBody=(repository.TEMPLATES / "member.yaml").read_text(),
            Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in given.items()],
            Capabilities=["CAPABILITY_NAMED_IAM"],
        )
        ssm = cloud.client("ssm", region, OTHER)
        for name, document in RUNBOOKS.items():
            assert ssm.get_document(Name=f"imdsv2-{name}")["Content"] == document
    roles = {
        role["RoleName"]: role["Arn"] for role in cloud.client("iam", account=OTHER).list_roles()["Roles"]
    }
    assert roles == {
        name: f"arn:aws:iam::{OTHER}:role/{name}"
        for name in ("imdsv2-evaluator", "imdsv2-remediation", "imdsv2-restoration", "imdsv2-prevention")
    }
    assert cloud.client("iam").list_roles()["Roles"] == []
