"""Deploys the templates to accounts on moto, in the order of docs/organization.md."""

import re

from support.cloud import MotoCloud
from support.repository import TEMPLATES
from support.stack import ACCOUNT, Stack
from support.templates import load

# The account of the function, one that the stack set reaches, and the management account, which it does not.
FUNCTION, MEMBER, MANAGEMENT = ACCOUNT, "222222222222", "333333333333"
CODE = "imdsv2-config-rule/bootstrap.zip"
ORGANIZATION = {"TemplateBucket": "templates", "OrganizationalUnitIds": "r-a1b2"}


def assert_accepted(template, parameters):
    """Fails if CloudFormation would reject a parameter. moto accepts anything."""
    for name, value in parameters.items():
        rule = template["Parameters"][name]
        values = value.split(",") if rule["Type"] == "CommaDelimitedList" else [value]
        for each in values:
            assert re.fullmatch(rule.get("AllowedPattern", "(?s:.*)"), each), f"{name}={value}"
            assert each in map(str, rule.get("AllowedValues", [each])), f"{name}={value}"
            assert len(each) <= int(rule.get("MaxLength", 4096)), f"{name}={value}"
        if rule["Type"] == "Number":
            assert rule.get("MinValue", 0) <= float(value) <= rule.get("MaxValue", 1e9), f"{name}={value}"


class Organization(MotoCloud):
    """Three accounts, in which the templates are deployed."""

    def __init__(self, endpoint):
        super().__init__(endpoint)
        for account in (MEMBER, MANAGEMENT):
            self.enter(account)

    def upload_code(self, region):
        """Returns the bucket that contains the zip file of the function."""
        s3, bucket = self.client("s3"), f"code-{region}"
        s3.create_bucket(Bucket=bucket)
        s3.put_object(Bucket=bucket, Key=CODE, Body=b"PK\5\6" + bytes(18))
        return bucket

    def deploy(self, template, account, region, **parameters):
        """Creates the stack of a template, or updates it."""
        assert_accepted(load(f"{template}.yaml"), parameters)
        stacks = self.client("cloudformation", region, account)
        request = {
            "StackName": template,
            "TemplateBody": (TEMPLATES / f"{template}.yaml").read_text(),
            "Parameters": [
                {"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()
            ],
            "Capabilities": ["CAPABILITY_NAMED_IAM"],
        }
        exists = template in self.stacks(account, region)
        (stacks.update_stack if exists else stacks.create_stack)(**request)
        assert self.stacks(account, region)[template] == ("UPDATE_COMPLETE" if exists else "CREATE_COMPLETE")

    def stacks(self, account, region):
        """Returns the status of each stack. moto cannot describe one with the ARN of a rule."""
        summaries = self.client("cloudformation", region, account).list_stacks()["StackSummaries"]
        states = {each["StackName"]: each["StackStatus"] for each in summaries}
        return {name: status for name, status in states.items() if status != "DELETE_COMPLETE"}

    def delete(self, template, account, region):
        self.client("cloudformation", region, account).delete_stack(StackName=template)

    def deploy_function(self, region, **parameters):
        self.deploy("function", FUNCTION, region, CodeBucket=f"code-{region}", **parameters)

    def deploy_rules(self, account, regions, **parameters):
        """Does what the stack set of organization.yaml does in an account, with the parameters it passes."""
        stack = Stack(load("organization.yaml"), ORGANIZATION | {"Regions": ",".join(regions)} | parameters)
        (stack_set,) = stack.resources("AWS::CloudFormation::StackSet").values()
        passed = {each["ParameterKey"]: str(each["ParameterValue"]) for each in stack_set["Parameters"]}
        (group,) = stack_set["StackInstancesGroup"]
        for region in group["Regions"]:
            self.deploy("rule", account, region, **passed)

    def roles(self, account):
        """Returns the IAM roles of an account by their names."""
        pages = self.client("iam", account=account).get_paginator("list_roles").paginate()
        return {role["RoleName"]: role for page in pages for role in page["Roles"]}

    def runbooks(self, account, region):
        """Returns the names of the Automation documents that the account owns."""
        pages = self.client("ssm", region, account).get_paginator("list_documents")
        owned = pages.paginate(Filters=[{"Key": "Owner", "Values": ["Self"]}])
        return {document["Name"] for page in owned for document in page["DocumentIdentifiers"]}

    def functions(self, region):
        return self.client("lambda", region).list_functions()["Functions"]
