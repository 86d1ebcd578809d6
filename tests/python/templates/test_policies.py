"""Parliament finds nothing in the policies: no unknown action, resource or condition key, none that do not fit."""

import json

import pytest
from parliament import analyze_policy_string

from support.stack import Stack


def policies(template):
    """Each policy that gives rights, by the resource that has it and by its name."""
    stack = Stack(template, conditions=True)
    for kind in ("AWS::IAM::Role", "AWS::IAM::User", "AWS::IAM::Group"):
        for name, properties in stack.resources(kind).items():
            for policy in properties.get("Policies", []):
                yield f"{name} {policy['PolicyName']}", policy["PolicyDocument"]
    for kind in ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy"):
        for name, properties in stack.resources(kind).items():
            yield name, properties["PolicyDocument"]


def findings(document):
    """What Parliament says of a policy."""
    found = analyze_policy_string(json.dumps(document)).findings
    return [f"{finding.issue}: {finding.detail or finding.location}" for finding in found]


def test_policies_are_sound(template):
    for name, document in policies(template):
        assert findings(document) == [], name


def test_no_policy_allows_by_a_pattern_of_actions(template):
    for name, document in policies(template):
        assert "NotAction" not in str(document) and "NotResource" not in str(document), name
        assert not any("*" in action for each in document["Statement"] for action in each["Action"]), name


def test_every_statement_says_what_it_is_for(template):
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
def test_the_check_of_policies_is_shown_to_fail(change, issue):
    sound = {
        "Sid": "ChangeInstances",
        "Effect": "Allow",
        "Action": "ec2:ModifyInstanceMetadataOptions",
        "Resource": "arn:aws:ec2:us-east-1:123456789012:instance/*",
    }
    assert findings({"Version": "2012-10-17", "Statement": [sound]}) == []
    assert any(issue in found for found in findings({"Version": "2012-10-17", "Statement": [sound | change]}))
