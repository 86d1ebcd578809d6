"""`imdsv2 permissions` allows the calls that a command made in the suite `live`, and no others."""

import json
import subprocess

import pytest

from support.repository import IMDSV2
from support.templates import as_list
from templates.test_permissions import calls, differences

ROLE = "arn:aws:iam::123456789012:role/imdsv2-config-rule-remediation-eu-central-1"
# Calls that every identity may make (https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html),
# and the one that only the caller's own credentials make.
WITHOUT_POLICY = {"sts:GetCallerIdentity", "sts:AssumeRole"}
COMMANDS = {
    "scan": ["scan"],
    "remediate": ["remediate"],
    "remediate-automation": ["remediate", "--automation-role", ROLE],
    "restore": ["restore"],
}


def allowed(arguments):
    """Returns the actions in the policy that a command prints."""
    run = subprocess.run([IMDSV2, "permissions", *arguments], capture_output=True, text=True, check=True)
    policy = json.loads(run.stdout)
    return {action for statement in policy["Statement"] for action in as_list(statement["Action"])}


@pytest.mark.parametrize("command", COMMANDS)
def test_policy_allows_what_the_command_calls_and_nothing_else(command):
    # Systems Manager checks iam:PassRole when an automation is started with a role.
    passed = {"iam:PassRole"} if command == "remediate-automation" else set()
    called = (calls(f"imdsv2-{command}") - WITHOUT_POLICY) | passed
    assert differences(allowed(COMMANDS[command]), called) == []


@pytest.mark.parametrize("command", COMMANDS)
def test_comparison_finds_differences(command):
    actions = allowed(COMMANDS[command])
    for each in actions:
        assert differences(actions - {each}, actions) == [f"{each} is called but not allowed"]
