"""Headless Chromium, and the report that the built `imdsv2` writes."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from selenium.webdriver import Chrome, ChromeOptions, ChromeService

from report.page import Page
from support.repository import EXAMPLES, IMDSV2

EVALUATED = (
    "AWS::EC2::Instance",
    "AWS::EC2::LaunchTemplate",
    "AWS::AutoScaling::LaunchConfiguration",
    "AWS::AutoScaling::AutoScalingGroup",
    "AWS::::Account",
)
DATA = '<script type="application/json" id="data">'
SUMMARY = {"COMPLIANT": "compliant", "NON_COMPLIANT": "nonCompliant", "NOT_APPLICABLE": "notApplicable"}
# Chromium sends no requests of its own, so that the tests see only those of the report.
OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
    "--window-size=1280,900",
)


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    options = ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for each in (*OPTIONS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(each)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    browser = Chrome(options, ChromeService(shutil.which("chromedriver")))
    yield browser
    browser.quit()


@pytest.fixture
def quiet_browser(browser):
    """The browser, which must have logged no message and loaded nothing but files at the end of the test."""
    yield browser
    assert [each for each in browser.get_log("browser") if each["level"] != "INFO"] == []
    events = [json.loads(each["message"])["message"] for each in browser.get_log("performance")]
    requests = [each["params"]["request"] for each in events if each["method"] == "Network.requestWillBeSent"]
    remote = [each["url"] for each in requests if each["url"].startswith(("http", "ws"))]
    assert remote == [], "the report loads nothing from the network"


@pytest.fixture
def scanned(quiet_browser, tmp_path):
    """Returns a function that opens the report that `imdsv2 scan` would write of these evaluations."""

    def open_report(evaluations, **fields):
        before, after = evaluate("html", EXAMPLES / "snapshot.json").decode().split(DATA)
        _, after = after.split("</script>", 1)
        summary = dict.fromkeys(("compliant", "nonCompliant", "notApplicable"), 0)
        for each in evaluations:
            summary[SUMMARY[each["compliance"]]] += 1
        data = {"generated": "2026-11-26T10:00:00Z", "parameters": {}, "usageDays": None, "others": 0}
        data |= {"evaluations": evaluations, "failures": [], "sources": [], "summary": summary}
        data |= {"comparison": None} | fields
        text = json.dumps(data).replace("<", "\\u003c")
        (tmp_path / "report.html").write_text(before + DATA + text + "</script>" + after)
        return Page(quiet_browser, tmp_path / "report.html", evaluations)

    return open_report


@pytest.fixture
def report(quiet_browser, tmp_path):
    """Returns a function that opens the report of files or lists of configuration items."""

    def open_report(*inputs):
        paths = []
        for number, each in enumerate(inputs):
            path = each if isinstance(each, Path) else tmp_path / f"{number}.json"
            if path is not each:
                path.write_text(json.dumps({"configurationItems": each}))
            paths.append(path)
        evaluations = json.loads(evaluate("json", *paths))["evaluations"]
        (tmp_path / "report.html").write_bytes(evaluate("html", *paths))
        shown = [each for each in evaluations if each["resourceType"] in EVALUATED]
        return Page(quiet_browser, tmp_path / "report.html", shown)

    return open_report


def evaluate(output_format, *paths):
    command = [IMDSV2, "evaluate", "--exit-zero", "--format", output_format, *paths]
    return subprocess.run(command, capture_output=True, timeout=120).stdout
