"""What a release consists of, and how it is installed: from a folder instead of GitHub."""

import hashlib
import json
import os
import re
import shlex
import subprocess
import sys
import tarfile

import pytest
import yaml

from support.repository import IMDSV2, ROOT

sys.path.append(str(ROOT / "packaging"))

import release_notes
import static_archive

ARCHIVE = f"imdsv2-{os.uname().machine}.tar.gz"
OPEN = (
    "Resources: {Web: {Type: 'AWS::EC2::Instance', Properties: {MetadataOptions: {HttpTokens: optional}}}}\n"
)


def run(*command, status=0, **options):
    """Returns what a command prints on standard output and on standard error."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, **options)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture
def program(tmp_path):
    """A small file that runs the command line, which takes long to compress."""
    program = tmp_path / "program/imdsv2"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {IMDSV2} "$@"\n')
    return program


@pytest.fixture
def release(tmp_path, program):
    """A folder with the files of a release."""
    folder = tmp_path / "release"
    static_archive.write_archive(program, folder / ARCHIVE)
    (folder / "rule.yaml").write_text("Resources: {}\n")
    sums = [f"{hashlib.sha256(path.read_bytes()).hexdigest()} *{path.name}\n" for path in folder.iterdir()]
    (folder / "SHA256SUMS").write_text("".join(sums))
    return folder


def download(release, target, *files, status=0):
    return run(ROOT / "packaging/download.sh", release.as_uri(), target, *files, status=status)


def test_files_of_a_release_are_downloaded_and_verified(release, tmp_path):
    target = tmp_path / "target"
    printed = download(release, target, ARCHIVE, "rule.yaml")
    assert printed.splitlines() == [f"{target}/{ARCHIVE}", f"{target}/rule.yaml"]
    with tarfile.open(target / ARCHIVE) as archive:
        assert [(member.name, member.mode) for member in archive] == [("imdsv2", 0o755), ("LICENSE", 0o644)]


def test_a_file_with_another_checksum_is_deleted(release, tmp_path):
    (release / ARCHIVE).write_bytes(b"something else")
    message = download(release, tmp_path / "target", ARCHIVE, status=1)
    assert f"error: {ARCHIVE} does not have the checksum in SHA256SUMS of the release" in message
    assert not (tmp_path / "target" / ARCHIVE).exists()


@pytest.mark.parametrize("name", ["missing.zip", "SHA256SUMS"])
def test_a_file_that_the_release_does_not_list_is_an_error(release, tmp_path, name):
    message = download(release, tmp_path / "target", name, status=1)
    assert name in message
    assert not (tmp_path / "target" / name).exists()


def test_an_archive_is_reproducible_and_static(tmp_path, program):
    for name in ("one", "two"):
        static_archive.write_archive(program, tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    script = ROOT / "packaging/static_archive.py"
    message = run(sys.executable, script, IMDSV2, tmp_path / "three", status=1)
    assert "is not static: build it for a musl target" in message


@pytest.fixture
def action(release, tmp_path):
    """Runs a step of the GitHub Action with inputs, in a folder with an open template."""
    work = tmp_path / "work"
    work.mkdir()
    (work / "web.yaml").write_text(OPEN)
    inputs = yaml.safe_load((ROOT / "action.yml").read_text())["inputs"]
    target = tmp_path / "runner/imdsv2"
    variables = {
        "PATH": os.environ["PATH"],
        "RELEASE": release.as_uri(),
        "TARGET": str(target),
        "SARIF": str(target / "imdsv2.sarif"),
        "EVALUATED_PATHS": inputs["paths"]["default"],
        "PARAMETERS": inputs["parameters"]["default"],
        "TEMPLATE_PARAMETERS": inputs["template-parameters"]["default"],
        "FAIL": inputs["fail"]["default"],
        "GITHUB_OUTPUT": str(tmp_path / "output"),
        "GITHUB_STEP_SUMMARY": str(tmp_path / "summary"),
    }

    def step(name, status=0, **changed):
        return run(ROOT / "packaging/action.sh", name, status=status, cwd=work, env={**variables, **changed})

    step("install")
    return step


def test_the_action_annotates_and_writes_a_log_for_code_scanning(action, tmp_path):
    printed = action("evaluate", status=1)
    assert "::error title=EC2 instances should require IMDSv2,file=web.yaml,line=1::Web: " in printed
    sarif = re.fullmatch("sarif=(.*)\n", (tmp_path / "output").read_text()).group(1)
    with open(sarif) as log:
        (result,) = json.load(log)["runs"][0]["results"]
    assert result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "web.yaml"
    assert "| AWS::EC2::Instance | Web |" in (tmp_path / "summary").read_text()


def test_the_action_may_pass_with_findings_and_takes_paths_and_parameters(action, tmp_path):
    assert "::error" in action("evaluate", FAIL="false", EVALUATED_PATHS="web.yaml\n")
    assert (tmp_path / "output").read_text().startswith("sarif=")
    other = tmp_path / "work/other files"
    other.mkdir()
    (other / "closed.yaml").write_text(OPEN.replace("optional", "required, HttpPutResponseHopLimit: 3"))
    assert "::error" not in action("evaluate", EVALUATED_PATHS="other files")
    printed = action("evaluate", status=1, EVALUATED_PATHS="other files", PARAMETERS='{"maxHopLimit":"2"}')
    assert "hop limit 3 exceeds the maximum of 2" in printed
    printed = action("evaluate", status=2, EVALUATED_PATHS="other files\nmissing")
    assert "cannot read missing" in printed


def test_the_steps_of_the_action_set_the_variables_of_its_script():
    steps = yaml.safe_load((ROOT / "action.yml").read_text())["runs"]["steps"]
    given = {name for step in steps for name in step.get("env", {})}
    script = (ROOT / "packaging/action.sh").read_text()
    used = set(re.findall(r"\$\{?([A-Z_]{2,})", script)) - {"GITHUB_OUTPUT"}
    assert used == given - {"ACTION"}


def test_the_pre_commit_hook_finds_open_templates(tmp_path):
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    (tmp_path / "web.yaml").write_text(OPEN)
    (tmp_path / "package.json").write_text("{}")
    command = [*shlex.split(hook["entry"]), *hook["args"]]
    environment = {**os.environ, "PATH": f"{IMDSV2.parent}:{os.environ['PATH']}"}
    assert "HttpTokens is optional" in run(*command, status=1, cwd=tmp_path, env=environment)
    (tmp_path / "web.yaml").write_text("key: value\n")
    run(*command, cwd=tmp_path, env=environment)
    pattern = re.compile(hook["files"])
    assert all(pattern.search(name) for name in ("a.yaml", "a.yml", "a/b.json", "a.template"))


def test_the_names_of_the_files_of_a_release_agree():
    makefile = (ROOT / "Makefile").read_text()
    assert "STATIC := dist/imdsv2-$(patsubst arm64,aarch64,$(ARCH)).tar.gz" in makefile
    package = (ROOT / "Cargo.toml").read_text()
    assert 'pkg-url = "{ repo }/releases/download/v{ version }/imdsv2-{ target-arch }.tar.gz"' in package
    version = re.search('^version = "(.*)"', package, re.MULTILINE).group(1)
    printed = run("make", "--dry-run", "download", "REPOSITORY=https://example.com/r", cwd=ROOT)
    machine = {"aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)
    expected = f"download.sh https://example.com/r/releases/download/v{version} dist bootstrap-{machine}.zip "
    assert expected in printed
    templates = {path.name for path in (ROOT / "cloudformation").glob("*.yaml")}
    assert templates <= set(printed.split())


def test_the_notes_of_a_release_are_its_section_of_the_changelog():
    newer = "## [Unreleased]\n\nx\n\n## [1.2.0] - 2026-11-27\n\n### Added\n\n- a\n\n"
    changelog = f"# Changelog\n\n{newer}## [1.1.0]\n- b\n"
    assert release_notes.notes(changelog, "1.2.0") == "### Added\n\n- a"
    assert release_notes.notes(changelog, "1.1.0") == "- b"
    assert release_notes.notes(changelog, "1.2") is None
    assert release_notes.notes(changelog, "2.0.0") is None
    assert release_notes.notes((ROOT / "CHANGELOG.md").read_text(), "Unreleased")
