"""The HTML report in the browser, and the configuration items that it is made of."""

import json

from selenium.webdriver.common.by import By
from selenium.webdriver.support.select import Select


def item(number, account="111111111111", region="us-east-1", tokens="optional", **more):
    """Returns a configuration item of an instance."""
    options = {"httpTokens": tokens, "httpEndpoint": "enabled", "httpPutResponseHopLimit": 1}
    return {
        "version": "1.3",
        "accountId": account,
        "configurationItemCaptureTime": "2026-05-11T09:30:12.636Z",
        "configurationItemStatus": "OK",
        "resourceType": "AWS::EC2::Instance",
        "resourceId": f"i-{number:017x}",
        "awsRegion": region,
        "configuration": json.dumps({"state": {"name": "running"}, "metadataOptions": options}),
    } | more


def evaluation(number, **more):
    """Returns an evaluation of an instance that accepts IMDSv1, as `imdsv2 scan` writes it."""
    identifier = f"i-{number:017x}"
    return {
        "resourceType": "AWS::EC2::Instance",
        "resourceId": identifier,
        "accountId": "111111111111",
        "region": "us-east-1",
        "compliance": "NON_COMPLIANT",
        "annotation": "HttpTokens is optional: the instance accepts IMDSv1 requests. "
        "Set HttpTokens=required.",
        "reason": "tokens optional",
        "command": "aws ec2 modify-instance-metadata-options --region us-east-1 "
        f"--instance-id {identifier} --http-tokens required",
    } | more


class Page:
    """The report in the browser, as its reader uses it."""

    def __init__(self, browser, path, evaluations):
        """`evaluations` are those of the JSON output, with which the page is compared."""
        self.browser, self.evaluations = browser, evaluations
        browser.get_log("performance")
        browser.get(path.as_uri())

    def one(self, selector):
        return self.browser.find_element(By.CSS_SELECTOR, selector)

    def texts(self, selector):
        script = "return [...document.querySelectorAll(arguments[0])].map((each) => each.innerText)"
        return self.browser.execute_script(script, selector)

    def column(self, title):
        """Returns the texts of a column on the current page."""
        number = [text.strip() for text in self.texts("#table thead th")].index(title) + 1
        return [text.removesuffix("\nFix") for text in self.texts(f"#table tbody td:nth-child({number})")]

    def sort(self, title):
        buttons = self.browser.find_elements(By.CSS_SELECTOR, "#table thead button")
        (button,) = (each for each in buttons if each.text == title)
        button.click()

    def search(self, text):
        field = self.one("[name=text]")
        field.clear()
        field.send_keys(text)

    def choose(self, name, value):
        Select(self.one(f"select[name={name}]")).select_by_value(value)

    @property
    def showing(self):
        return self.one("#showing").text

    def expected(self, **values):
        """Returns the number of evaluations in the JSON output with these values."""
        return sum(all(each[key] == value for key, value in values.items()) for each in self.evaluations)
