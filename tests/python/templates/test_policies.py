"""Parliament has no findings in the policies."""

import json

import pytest
from parliament import analyze_policy_string

from support.stack import Stack


def policies(template):
    """Yields the name and the document of each policy that grants permissions."""
    stack = Stack(template, conditions=True)
    for kind in ("AWS::IAM::Role", "AWS::IAM::User", "AWS::IAM::Group"):
        for name, properties in stack.resources(kind).items():
            for policy in properties.get("Policies", []):
                yield f"{name} {policy['PolicyName']}", policy["PolicyDocument"]
    for kind in ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy"):
        for name, properties in stack.resources(kind).items():
            yield name, properties["PolicyDocument"]


def findings(document):
    """Returns the findings of Parliament in a policy."""
    found = analyze_policy_string(json.dumps(document)).findings
    return [f"{finding.issue}: {finding.detail or finding.location}" for finding in found]


def test_policies_have_no_findings(template):
    for name, document in policies(template):
        assert findings(document) == [], name


def test_policies_list_every_action(template):
    for name, document in policies(template):
        assert "NotAction" not in str(document) and "NotResource" not in str(document), name
        assert not any("*" in action for each in document["Statement"] for action in each["Action"]), name


def test_every_statement_has_a_sid(template):
    for name, document in policies(template):
        assert all(each.get("Sid") for each in document["Statement"]), name


@pytest.mark.parametrize(
    ("change", "issue"),
    [
        ({"Action": "ec2:DescribeInstance"}, "UNKNOWN_ACTION"),
        ({"Resource": "arn:aws:s3:::instances"}, "RESOURCE_MISMATCH"),
        ({"Condition": {"StringEquals": {"ec2:MetadataTokens": "required"}}}, "UNKNOWN_CONDITION_FOR_ACTION"),
    ],
)
def test_parliament_finds_mistakes(change, issue):
    sound = {
        "Sid": "ChangeInstances",
        "Effect": "Allow",
        "Action": "ec2:ModifyInstanceMetadataOptions",
        "Resource": "arn:aws:ec2:us-east-1:123456789012:instance/*",
    }
    assert findings({"Version": "2012-10-17", "Statement": [sound]}) == []
    assert any(issue in found for found in findings({"Version": "2012-10-17", "Statement": [sound | change]}))
