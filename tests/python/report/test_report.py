"""`--format html`: what the report shows, and how it reacts."""

import base64
import csv
import random
import subprocess
import time

from selenium.webdriver.common.by import By

from report.page import item
from support.repository import EXAMPLES

ACCOUNTS, REGIONS = ("111111111111", "222222222222"), ("eu-west-1", "us-east-1", "us-west-2")


def fleet(count, seed=1):
    """Returns configuration items in random accounts and Regions, about a third of them non-compliant."""
    rng = random.Random(seed)
    tokens = ("optional", "required", "required")
    return [
        item(number, rng.choice(ACCOUNTS), rng.choice(REGIONS), rng.choice(tokens))
        for number in rng.sample(range(10 * count), count)
    ]


def test_headline_and_counts_match_the_json_output(report):
    page = report(*sorted(EXAMPLES.glob("*.json*")))
    counts = [page.expected(compliance=each) for each in ("NON_COMPLIANT", "COMPLIANT", "NOT_APPLICABLE")]
    assert page.one("h1").text == f"{counts[0]} of {sum(counts)} resources are non-compliant"
    assert [int(text) for text in page.texts(".counts strong")] == counts
    assert page.showing == f"Showing {sum(counts)} of {sum(counts)}"
    assert page.texts("#failures li") == []


def test_non_compliant_resources_come_first(report):
    page = report(fleet(100))
    found = page.column("Compliance")
    assert found == sorted(found, key=["Non-compliant", "Compliant"].index)
    assert len(found) == 100


def test_every_column_sorts_in_both_directions(report):
    page = report(fleet(100))
    for title, key in [
        ("Account", "accountId"),
        ("Region", "region"),
        ("Resource", "resourceId"),
        ("Finding", "annotation"),
    ]:
        ordered = sorted(each[key] for each in page.evaluations)
        for direction, expected in (("ascending", ordered), ("descending", ordered[::-1])):
            page.sort(title)
            assert page.column(title) == expected, f"{title}, {direction}"
            assert page.one(f"#table th[aria-sort={direction}]").text == title
    page.sort("Compliance")
    assert page.column("Compliance")[0] == "Non-compliant"
    page.sort("Compliance")
    assert page.column("Compliance")[0] == "Compliant"


def test_filters_apply_to_the_table_and_its_count(report):
    page = report(fleet(100))
    page.choose("region", "eu-west-1")
    expected = page.expected(region="eu-west-1")
    assert page.showing == f"Showing {expected} of 100"
    assert set(page.column("Region")) == {"eu-west-1"}
    page.choose("accountId", ACCOUNTS[0])
    page.choose("compliance", "NON_COMPLIANT")
    chosen = {"region": "eu-west-1", "accountId": ACCOUNTS[0], "compliance": "NON_COMPLIANT"}
    assert page.showing == f"Showing {page.expected(**chosen)} of 100"
    page.one("button[type=reset]").click()
    time.sleep(0.1)
    assert page.showing == "Showing 100 of 100"


def test_search_finds_all_words_in_any_order_and_column(report):
    page = report(fleet(100))
    one = page.evaluations[7]["resourceId"]
    page.search(one.upper())
    assert page.column("Resource") == [one]
    page.search("imdsv1 ACCEPTS")
    assert page.showing == f"Showing {page.expected(compliance='NON_COMPLIANT')} of 100"
    page.search("nothing has this")
    assert page.showing == "Showing 0 of 100"
    assert page.column("Resource") == []


def test_bars_and_counts_are_filters(report):
    page = report(fleet(100))
    bar = page.one(".bar[data-value=us-west-2]")
    expected = page.expected(region="us-west-2")
    non_compliant = page.expected(region="us-west-2", compliance="NON_COMPLIANT")
    assert bar.find_element(By.CSS_SELECTOR, ".number").text == f"{non_compliant} of {expected}"
    bar.click()
    assert page.showing == f"Showing {expected} of 100"
    assert page.one(".bar[data-value=us-west-2]").get_attribute("aria-pressed") == "true"
    page.one(".counts .NON_COMPLIANT").click()
    assert page.showing == f"Showing {non_compliant} of 100"
    page.one(".counts .NON_COMPLIANT").click()
    bar.click()
    assert page.showing == "Showing 100 of 100"


def test_further_accounts_are_shown_on_request(report):
    page = report([item(number, f"{number:012}", "us-east-1") for number in range(40)])
    bars = ".bar[data-key=accountId]"
    shown = [each for each in page.browser.find_elements(By.CSS_SELECTOR, bars) if each.is_displayed()]
    assert len(shown) == 8
    (more,) = [
        each for each in page.browser.find_elements(By.CSS_SELECTOR, "#charts .link") if each.is_displayed()
    ]
    assert more.text == "and 32 more"
    more.click()
    assert all(each.is_displayed() for each in page.browser.find_elements(By.CSS_SELECTOR, bars))


def test_values_of_a_resource_are_not_interpreted(report):
    hostile = "</script><img src=x onerror=\"document.title='owned'\"> \u202egnp.exe"
    page = report([item(1, resourceId=hostile, awsRegion="<b>region</b>")])
    shown = hostile.replace("\u202e", "\\u{202e}")
    assert page.column("Resource") == [shown]
    assert page.column("Region") == ["<b>region</b>"]
    assert page.browser.find_elements(By.CSS_SELECTOR, "img, td b") == []
    assert page.browser.title == "IMDSv2 report"


def test_headline_without_resources_and_without_findings(report):
    assert report([]).one("h1").text == "No resources were evaluated"
    assert report([item(1, tokens="required")]).one("h1").text == "None of 1 resource is non-compliant"


def test_unreadable_records_are_reported_at_the_top(report, tmp_path):
    (tmp_path / "broken.json").write_text('{"configurationItems": [{"resourceType": 1}]}')
    page = report([item(1)], tmp_path / "broken.json")
    assert page.one("#failures").is_displayed()
    assert page.one("#failures strong").text == "This report is incomplete."
    assert page.texts("#failures li") == ["1 record or file could not be read"]


def test_large_report_is_paged(report):
    page = report([item(number, tokens="required") for number in range(100_000)])
    assert page.showing == "Showing 100,000 of 100,000"
    assert len(page.column("Resource")) == 200
    assert page.one("#page").text == "Page 1 of 500"
    first = page.column("Resource")
    page.one("#next").click()
    assert page.one("#page").text == "Page 2 of 500"
    assert set(first).isdisjoint(page.column("Resource"))
    page.search(f"i-{99_999:017x}")
    assert page.column("Resource") == [f"i-{99_999:017x}"]
    assert not page.one("#pages").is_displayed()


def test_printed_report_contains_every_filtered_resource(report, tmp_path):
    page = report(fleet(500))
    page.choose("compliance", "NON_COMPLIANT")
    pdf = page.browser.execute_cdp_cmd("Page.printToPDF", {})
    (tmp_path / "report.pdf").write_bytes(base64.b64decode(pdf["data"]))
    text = subprocess.run(
        ["pdftotext", "-raw", tmp_path / "report.pdf", "-"], capture_output=True, text=True, check=True
    )
    printed = "".join(text.stdout.split())
    missing = [
        each["resourceId"]
        for each in page.evaluations
        if (each["resourceId"] in printed) != (each["compliance"] == "NON_COMPLIANT")
    ]
    assert missing == []
    assert "Search" not in text.stdout
    assert "Non-compliant" in text.stdout


def test_downloaded_csv_contains_the_filtered_resources(report, tmp_path):
    page = report(fleet(50))
    page.browser.execute_cdp_cmd(
        "Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)}
    )
    page.choose("compliance", "NON_COMPLIANT")
    page.one("#download").click()
    file = tmp_path / "imdsv2.csv"
    for _ in range(100):
        if file.exists():
            break
        time.sleep(0.1)
    with file.open() as lines:
        rows = list(csv.DictReader(lines))
    assert [row["resourceId"] for row in rows] == page.column("Resource")
    assert {row["compliance"] for row in rows} == {"NON_COMPLIANT"}
