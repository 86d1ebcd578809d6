"""What the documentation shows for other programs: pipelines, hooks, Terraform and the CDK."""

import re

import pytest
import yaml

from docs.markdown import MANUAL, blocks
from support.repository import ROOT
from support.templates import load

PAGES = {page.name: page for page in MANUAL}
ACTION = yaml.safe_load((ROOT / "action.yml").read_text())
(HOOK,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())


def in_language(page, language):
    return [block.text for block in blocks(PAGES[page]) if block.language == language]


def documents():
    """The examples in YAML, by their first key."""
    parsed = [yaml.safe_load(text) for text in in_language("before-deployment.md", "yaml")]
    return {next(iter(document)): document for document in parsed}


def test_the_workflow_uses_the_action_as_it_is():
    workflow = documents()["name"]
    (job,) = workflow["jobs"].values()
    step = job["steps"][-1]
    assert step["uses"].startswith("OWNER/imdsv2-config-rule@")
    assert set(step["with"]) <= set(ACTION["inputs"])
    # What the upload to code scanning needs.
    assert workflow["permissions"]["security-events"] == "write"


def test_the_pipeline_of_gitlab_downloads_what_a_release_has_and_reports_it():
    job = documents()["imdsv2"]["imdsv2"]
    assert "/releases/download/TAG/imdsv2-x86_64.tar.gz" in job["script"][1]
    report = job["artifacts"]["reports"]["junit"]
    assert f"--format junit --output {report}" in job["script"][-1]


def test_the_hook_has_its_id():
    (repository,) = documents()["repos"]["repos"]
    assert repository["hooks"] == [{"id": HOOK["id"]}]


@pytest.mark.parametrize("language", ["hcl", "typescript"])
def test_stacks_get_parameters_of_their_templates(language):
    (text,) = in_language("deploy.md", language)
    for name in ("function", "rule"):
        assert f"cloudformation/{name}.yaml" in text
    known = {**load("function.yaml")["Parameters"], **load("rule.yaml")["Parameters"]}
    used = re.findall(r"\b([A-Z][A-Za-z]+)\s*[:=] ", text)
    assert {"CodeBucket", "CodeKey", "AutomaticRemediation"} <= set(used) <= set(known)
