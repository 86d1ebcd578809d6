"""The HTML report in the browser."""

import json

from selenium.webdriver.common.by import By
from selenium.webdriver.support.select import Select


def item(number, account="111111111111", region="us-east-1", tokens="optional", **more):
    """A configuration item of an instance."""
    return {
        "version": "1.3",
        "accountId": account,
        "configurationItemCaptureTime": "2026-05-11T09:30:12.636Z",
        "configurationItemStatus": "OK",
        "resourceType": "AWS::EC2::Instance",
        "resourceId": f"i-{number:017x}",
        "awsRegion": region,
        "configuration": json.dumps(
            {
                "state": {"name": "running"},
                "metadataOptions": {
                    "httpTokens": tokens,
                    "httpEndpoint": "enabled",
                    "httpPutResponseHopLimit": 1,
                },
            }
        ),
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
        (head,) = [
            each for each in self.browser.find_elements(By.CSS_SELECTOR, "thead button") if each.text == title
        ]
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
