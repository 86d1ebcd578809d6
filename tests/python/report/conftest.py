"""Headless Chromium, and the report as the built `imdsv2` writes it."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from selenium.webdriver import Chrome, ChromeOptions, ChromeService

from report.page import Page
from support.repository import IMDSV2

JUDGED = ("AWS::EC2::Instance", "AWS::EC2::LaunchTemplate", "AWS::AutoScaling::LaunchConfiguration")
QUIET = (
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
    for each in (*QUIET, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(each)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    browser = Chrome(options, ChromeService(shutil.which("chromedriver")))
    yield browser
    browser.quit()


@pytest.fixture
def report(browser, tmp_path):
    """Makes the report of inputs, files or configuration items, and opens it."""

    def make(*inputs):
        paths = []
        for number, each in enumerate(inputs):
            if not isinstance(each, Path):
                path = tmp_path / f"{number}.json"
                path.write_text(json.dumps({"configurationItems": each}))
                each = path
            paths.append(each)
        told = json.loads(evaluate("json", *paths))["evaluations"]
        (tmp_path / "report.html").write_bytes(evaluate("html", *paths))
        judged = [each for each in told if each["resourceType"] in JUDGED]
        return Page(browser, tmp_path / "report.html", judged)

    yield make
    assert [each for each in browser.get_log("browser") if each["level"] != "INFO"] == []
    asked = [json.loads(each["message"])["message"] for each in browser.get_log("performance")]
    asked = [
        each["params"]["request"]["url"] for each in asked if each["method"] == "Network.requestWillBeSent"
    ]
    assert [url for url in asked if url.startswith(("http", "ws"))] == [], "nothing is loaded"


def evaluate(form, *paths):
    command = [IMDSV2, "evaluate", "--exit-zero", "--format", form, *paths]
    return subprocess.run(command, capture_output=True, timeout=120).stdout
