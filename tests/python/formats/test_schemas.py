"""What other programs expect of the formats that they read."""

import json
import re
import subprocess
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import jsonschema
import pytest
from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema

from support.repository import IMDSV2, ROOT

INPUTS = ("examples", "tests/fixtures/declared")


def evaluate(*arguments, status=1):
    """Returns what `imdsv2 evaluate` prints."""
    run = subprocess.run(
        [IMDSV2, "evaluate", *arguments], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert run.returncode == status, run.stderr
    return run.stdout


def output(*command):
    return subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True, timeout=60).stdout


@pytest.fixture(scope="module")
def sarif_schema():
    """The schema of SARIF 2.1.0, which a crate that the tests use contains."""
    host = re.search("host: (.*)", output("rustc", "-vV")).group(1)
    locked = ("--locked", "--offline", "--filter-platform", host)
    metadata = json.loads(output("cargo", "metadata", "--format-version", "1", *locked))
    crate = next(package for package in metadata["packages"] if package["name"] == "serde-sarif")
    schema = json.loads((Path(crate["manifest_path"]).parent / "src/schema.json").read_text())
    assert "2.1.0" in schema["properties"]["version"]["enum"]
    return schema


@pytest.mark.parametrize("inputs", [*INPUTS, "examples/launch-template-item.json"])
def test_sarif_is_valid(sarif_schema, inputs):
    status = 0 if inputs.endswith(".json") else 1
    log = json.loads(evaluate("--format", "sarif", inputs, status=status))
    validator = jsonschema.validators.validator_for(sarif_schema)
    validator.check_schema(sarif_schema)
    validator(sarif_schema, format_checker=validator.FORMAT_CHECKER).validate(log)


def test_a_wrong_sarif_log_is_not_valid(sarif_schema):
    log = json.loads(evaluate("--format", "sarif", "examples"))
    log["runs"][0]["results"][0]["level"] = "severe"
    with pytest.raises(jsonschema.ValidationError, match="severe"):
        jsonschema.validate(log, sarif_schema)


@pytest.mark.parametrize("version", ["1.3.0", "1.6.0", "1.8.0"])
@pytest.mark.parametrize("inputs", INPUTS)
def test_ocsf_findings_are_valid(version, inputs):
    schema = OcsfJsonSchemaEmbedded(get_ocsf_schema(version=version))
    schema = schema.get_class_schema(class_name=schema.lookup_class_name_from_uid(2003), profiles=["cloud"])
    validator = jsonschema.Draft202012Validator(schema)
    findings = [json.loads(line) for line in evaluate("--format", "ocsf", inputs).splitlines()]
    assert findings
    for finding in findings:
        finding["metadata"]["version"] = version
        validator.validate(finding)
    del findings[0]["finding_info"]["uid"]
    assert not validator.is_valid(findings[0])


@pytest.mark.parametrize("inputs", INPUTS)
def test_junit_counts_its_test_cases(inputs):
    root = ElementTree.fromstring(evaluate("--format", "junit", inputs))
    cases = root.findall("./testsuite/testcase")
    summary = json.loads(evaluate("--format", "json", inputs))["summary"]
    assert len(cases) == int(root.get("tests"))
    assert len([case for case in cases if case.find("failure") is not None]) == summary["nonCompliant"]
    assert root.get("failures") == str(summary["nonCompliant"])
    assert root.get("skipped") == str(len([case for case in cases if case.find("skipped") is not None]))
