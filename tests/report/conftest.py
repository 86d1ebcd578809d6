"""The report as the built `imdsv2` writes it, in headless Chromium."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from selenium.webdriver import Chrome, ChromeOptions, ChromeService
from selenium.webdriver.common.by import By
from selenium.webdriver.support.select import Select

IMDSV2 = Path(__file__).parents[2] / "target" / "debug" / "imdsv2"
JUDGED = ("AWS::EC2::Instance", "AWS::EC2::LaunchTemplate", "AWS::AutoScaling::LaunchConfiguration")
QUIET = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--window-size=1280,900",
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


def item(number, account="111111111111", region="us-east-1", tokens="optional", **more):
    """A configuration item of an instance."""
    return {
        "version": "1.3", "accountId": account, "configurationItemCaptureTime": "2026-05-11T09:30:12.636Z",
        "configurationItemStatus": "OK", "resourceType": "AWS::EC2::Instance", "resourceId": f"i-{number:017x}",
        "awsRegion": region,
        "configuration": json.dumps({"state": {"name": "running"}, "metadataOptions": {
            "httpTokens": tokens, "httpEndpoint": "enabled", "httpPutResponseHopLimit": 1}}),
    } | more


class Page:
    """The report in the browser, as a person uses it."""

    def __init__(self, browser, path, evaluations):
        self.browser, self.evaluations = browser, evaluations
        browser.get_log("performance")
        browser.get(path.as_uri())

    def one(self, selector):
        return self.browser.find_element(By.CSS_SELECTOR, selector)

    def texts(self, selector):
        script = "return [...document.querySelectorAll(arguments[0])].map((each) => each.innerText)"
        return self.browser.execute_script(script, selector)

    def column(self, title):
        """What stands in a column, in the rows that are on the page."""
        number = [text.strip() for text in self.texts("thead th")].index(title) + 1
        return self.texts(f"tbody td:nth-child({number})")

    def sort(self, title):
        (head,) = [each for each in self.browser.find_elements(By.CSS_SELECTOR, "thead button") if each.text == title]
        head.click()

    def search(self, text):
        field = self.one("[name=text]")
        field.clear()
        field.send_keys(text)

    def choose(self, name, value):
        Select(self.one(f"select[name={name}]")).select_by_value(value)

    @property
    def showing(self):
        return self.one("#showing").text

    def expected(self, **wanted):
        """How many resources of the JSON output are as wanted."""
        return sum(all(each[key] == value for key, value in wanted.items()) for each in self.evaluations)


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
    asked = [each["params"]["request"]["url"] for each in asked if each["method"] == "Network.requestWillBeSent"]
    assert [url for url in asked if url.startswith(("http", "ws"))] == [], "nothing is loaded"


def evaluate(form, *paths):
    command = [IMDSV2, "evaluate", "--exit-zero", "--format", form, *paths]
    return subprocess.run(command, capture_output=True, timeout=120).stdout
