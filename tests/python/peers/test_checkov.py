"""The verdicts on templates and plans, compared with those of checkov (CKV_AWS_79).

The fixtures are written after the shape of public templates. checkov judges what stands in a launch template,
an instance or a launch configuration; each difference has its reason here.
"""

import csv
import io
import json
import subprocess

import pytest

from support.repository import IMDSV2, ROOT

CHECKOV = ROOT / "target/peers/bin/checkov"
FIXTURES = ROOT / "tests/fixtures/declared"

NO_INSTANCES = "checkov's check does not know AWS::EC2::Instance in CloudFormation"
NO_CONFIGURATIONS = "checkov's check does not know launch configurations in CloudFormation"
NO_GROUPS = "checkov's check does not follow an Auto Scaling group to what it launches"
FUNCTION = "checkov does not work out this function, and takes it for a value that is not required"
AT_DEPLOYMENT = "only the deployment knows the value; checkov takes it for one that is not required"
KEPT_DEFAULT = "the default version stays the earlier one, with optional tokens; checkov reads the newest"

OPEN, CLOSED, UNKNOWN = "NON_COMPLIANT", "COMPLIANT", "NOT_APPLICABLE"
PASSED, FAILED, NONE = "PASSED", "FAILED", None

# For each resource: this project's verdict, checkov's, and why they differ if they do.
EXPECTED = {
    "autoscaling-module-plan.json": {
        "aws_autoscaling_group.outside": (CLOSED, NONE, NO_GROUPS),
        "module.workers.aws_launch_template.this[0]": (CLOSED, PASSED, ""),
        "module.workers.aws_autoscaling_group.this[0]": (UNKNOWN, NONE, NO_GROUPS),
        "module.jobs.aws_launch_configuration.this": (OPEN, FAILED, ""),
    },
    "bastion.yaml": {"Configuration": (OPEN, NONE, NO_CONFIGURATIONS), "Group": (OPEN, NONE, NO_GROUPS)},
    "ecs-cluster.yaml": {"ContainerInstances": (CLOSED, PASSED, ""), "Group": (CLOSED, NONE, NO_GROUPS)},
    "instance-module-plan.json": {
        "module.app.aws_instance.this[0]": (CLOSED, PASSED, ""),
        "module.legacy.aws_instance.this[0]": (OPEN, FAILED, ""),
        "module.silent.aws_instance.this[0]": (CLOSED, PASSED, ""),
    },
    "nested-parameters.yaml": {
        "Nodes": (UNKNOWN, FAILED, AT_DEPLOYMENT),
        "Imported": (UNKNOWN, FAILED, AT_DEPLOYMENT),
        "Group": (UNKNOWN, NONE, NO_GROUPS),
    },
    "spot-fleet.yaml": {
        "Agents": (CLOSED, PASSED, ""),
        "ArmAgents": (OPEN, FAILED, ""),
        "Silent": (CLOSED, PASSED, ""),
        "Group": (OPEN, NONE, NO_GROUPS),
    },
    "stages.yaml": {"Mapped": (CLOSED, FAILED, FUNCTION), "Conditional": (CLOSED, FAILED, FUNCTION)},
    "synthesized.json": {
        "AppTemplate5B3A9E6F": (CLOSED, PASSED, ""),
        "BastionTemplate1A2B3C4D": (CLOSED, PASSED, ""),
        "AppGroup0D1F2A3B": (CLOSED, NONE, NO_GROUPS),
        "Bastion7C6D5E4F": (CLOSED, NONE, NO_INSTANCES),
    },
    "upgrade-plan.json": {
        "aws_launch_template.nodes": (OPEN, PASSED, KEPT_DEFAULT),
        "aws_autoscaling_group.nodes": (OPEN, NONE, NO_GROUPS),
    },
    "web-server.yaml": {"WebServer": (OPEN, NONE, NO_INSTANCES)},
}
AGREEING = {(OPEN, FAILED), (CLOSED, PASSED)}


def own_verdicts(path):
    command = [IMDSV2, "evaluate", "--exit-zero", "--format", "csv", path]
    text = subprocess.run(command, capture_output=True, check=True, text=True, timeout=60).stdout
    return {row["resourceId"]: row["compliance"] for row in csv.DictReader(io.StringIO(text))}


def checkov_verdicts(path):
    """Returns checkov's result for each resource, by its logical id or address."""
    command = [CHECKOV, "--file", path, "--check", "CKV_AWS_79", "--output", "json", "--skip-download"]
    run = subprocess.run(command, capture_output=True, check=False, text=True, timeout=120)
    report = json.loads(run.stdout)
    checks = report.get("results", {})
    checks = [*checks.get("passed_checks", []), *checks.get("failed_checks", [])]
    is_plan = "plan" in path.name
    name = (lambda each: each) if is_plan else (lambda each: each.partition(".")[2])
    return {name(check["resource"]): check["check_result"]["result"] for check in checks}


def test_every_fixture_is_compared():
    assert sorted(EXPECTED) == sorted(path.name for path in FIXTURES.iterdir())
    assert len(EXPECTED) >= 10


@pytest.mark.parametrize("name", EXPECTED)
def test_each_difference_from_checkov_is_explained(name):
    path = FIXTURES / name
    own, peer = own_verdicts(path), checkov_verdicts(path)
    assert own == {resource: verdict for resource, (verdict, _, _) in EXPECTED[name].items()}
    found = {resource: peer.get(resource) for resource in own}
    assert found == {resource: verdict for resource, (_, verdict, _) in EXPECTED[name].items()}
    assert set(peer) <= set(own), "checkov judges more"
    for resource, (verdict, result, reason) in EXPECTED[name].items():
        assert ((verdict, result) in AGREEING) == (reason == ""), resource


def test_checkov_reports_nothing_else_on_the_templates_of_this_project():
    """What it reports and is intended stands in the templates, as Metadata with the reason."""
    command = [CHECKOV, "--framework", "cloudformation", "--directory", ROOT / "cloudformation"]
    options = ["--compact", "--quiet", "--skip-download", "--output", "json"]
    run = subprocess.run([*command, *options], capture_output=True, check=False, text=True, timeout=120)
    report = json.loads(run.stdout)
    assert report["summary"]["passed"] > 0
    failed = [check for check in report["results"]["failed_checks"] if not is_of_file_name(check)]
    assert failed == []


def is_of_file_name(check):
    """Tells whether a check looked at nothing but the file's name.

    checkov adds that to each object of a template, and takes a path of 40 characters for a secret key.
    """
    keys = check["check_result"].get("evaluated_keys", [])
    return bool(keys) and all(key.endswith("/__file__") for key in keys)
