"""The report of a scan: usage, owners, sources, the comparison with an earlier scan, and narrow screens."""

import random

import pytest
from selenium.webdriver.common.by import By

from report.page import evaluation
from support.repository import EXAMPLES

WIDTHS = (420, 1280)
SCHEMES = ("light", "dark")
USES = ("safe to enforce", "still in use", "boot-time calls", "unknown", None)


GROUPS = 30


def fleet(count):
    """Returns evaluations with everything that a report can show: most were launched by groups."""
    rng = random.Random(7)
    found = []
    for number in range(count):
        use, team = rng.choice(USES), rng.choice(["web", "data", None])
        fields = {"name": f"{team}-{number}", "owner": team} if team else {}
        if use:
            fields |= {"imdsv1Use": use}
        if use in USES[1:3]:
            fields["imdsv1Calls"] = rng.randrange(1, 5_000)
        if use == "unknown":
            fields["imdsv1UnknownBecause"] = "started recently"
        if team:
            fields["launchedBy"] = {
                "type": "AWS::AutoScaling::AutoScalingGroup",
                "id": f"{team}-group-{number % GROUPS}",
            }
        fields["region"] = rng.choice(["eu-west-1", "ap-southeast-1"])
        fields["since"] = rng.choice(["new", "still open"])
        found.append(evaluation(number, **fields))
    return found


def sources(evaluations):
    """Returns what launches the instances, as `imdsv2 scan` writes it."""
    found = {}
    for each in evaluations:
        launcher = each.get("launchedBy")
        name = f"{launcher['id']} (Auto Scaling group)" if launcher else "(none)"
        place = {"source": name, "accountId": each["accountId"], "region": each["region"]}
        counts = {"open": 0, "instances": 0, "imdsv1Calls": 0}
        source = found.setdefault(tuple(place.values()), place | counts)
        source["open"] += 1
        source["instances"] += 1
        source["imdsv1Calls"] += each.get("imdsv1Calls", 0)
        source["nextLaunch"] = "tokens optional" if launcher else None
        source["first"] = "find what calls IMDSv1" if source["imdsv1Calls"] else "require tokens at launch"
    return sorted(found.values(), key=lambda each: -each["open"])


@pytest.fixture
def screen(quiet_browser):
    """Returns a function that sets the width of the window, in pixels, and the colour scheme."""

    def set_to(width, scheme):
        metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        quiet_browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        quiet_browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    yield set_to
    quiet_browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    quiet_browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def overflow(page):
    """Returns by how many pixels the page is wider than the window, and the texts that are clipped."""
    return page.browser.execute_script(
        "const root = document.documentElement;"
        "return [root.scrollWidth - root.clientWidth,"
        " [...document.querySelectorAll('td, h1, .scroll, .card, .number, .counts button, select, caption')]"
        ".filter((each) => each.clientWidth && each.scrollWidth > each.clientWidth + 1)"
        ".map((each) => each.className + ': ' + each.textContent.slice(0, 80))]"
    )


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_is_clipped_in_a_report_of_20_000_resources(scanned, screen, width, scheme, tmp_path):
    screen(width, scheme)
    evaluations = fleet(20_000)
    page = scanned(evaluations, usageDays=14, sources=sources(evaluations))
    wider, clipped = overflow(page)
    assert wider <= 0
    assert clipped == []
    assert page.showing == "Showing 20,000 of 20,000"
    background = page.browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert background == {"light": "rgb(247, 247, 245)", "dark": "rgb(22, 24, 27)"}[scheme]
    page.browser.save_screenshot(str(tmp_path / f"report-{width}-{scheme}.png"))


def test_on_a_narrow_screen_the_id_comes_first(scanned, screen):
    screen(420, "light")
    page = scanned(fleet(30), usageDays=14)
    row = page.browser.find_elements(By.CSS_SELECTOR, "#rows tr")[0]
    cells = [each for each in row.find_elements(By.TAG_NAME, "td") if each.is_displayed()]
    first = min(cells, key=lambda each: each.location["y"])
    assert first.get_attribute("class") == "id"
    assert first.text.startswith("i-")
    assert page.one("label.narrow").is_displayed()
    page.browser.execute_script(
        "const sort = document.getElementById('sort'); sort.value = 'resourceId';"
        "sort.dispatchEvent(new Event('change'))"
    )
    ids = page.texts("td.id")
    assert ids == sorted(ids)


@pytest.mark.parametrize(
    ("name", "value", "matches"),
    [
        ("imdsv1Use", "still in use", lambda each: each.get("imdsv1Use") == "still in use"),
        ("imdsv1Use", "(none)", lambda each: "imdsv1Use" not in each),
        ("owner", "data", lambda each: each.get("owner") == "data"),
        (
            "launchedBy",
            "web-group-3 (Auto Scaling group)",
            lambda each: each.get("launchedBy", {}).get("id") == "web-group-3",
        ),
        ("since", "new", lambda each: each["since"] == "new"),
    ],
)
def test_scan_is_filtered(scanned, name, value, matches):
    evaluations = fleet(100)
    page = scanned(evaluations, usageDays=14)
    page.choose(name, value)
    expected = sum(matches(each) for each in evaluations)
    assert 0 < expected < 100
    assert page.showing == f"Showing {expected} of 100"


def source_column(page, number):
    return page.texts(f"#sources tbody tr > :nth-child({number})")


def test_report_begins_with_what_launches_open_instances(scanned):
    evaluations = fleet(2_000)
    expected = sources(evaluations)
    page = scanned(evaluations, usageDays=14, sources=expected)
    shown = source_column(page, 1)
    assert shown == [each["source"] for each in expected[:10]]
    assert source_column(page, 4) == [str(each["open"]) for each in expected[:10]]
    assert source_column(page, 6) == [f"{each['imdsv1Calls']:,}" for each in expected[:10]]
    assert set(source_column(page, 8)) == {"find what calls IMDSv1"}
    page.one("#more-sources").click()
    assert len(source_column(page, 1)) == len(expected) == 2 * (2 * GROUPS + 1)
    heads = page.browser.find_elements(By.CSS_SELECTOR, "#sources thead button")
    (calls,) = [each for each in heads if each.text == "IMDSv1 calls"]
    for order in (sorted(expected, key=lambda each: -each["imdsv1Calls"]), None):
        calls.click()
        numbers = [int(each.replace(",", "")) for each in source_column(page, 6)]
        assert numbers == sorted(numbers, reverse=order is not None)


def test_a_source_filters_its_instances_and_itself(scanned):
    evaluations = fleet(200)
    group = {
        "resourceType": "AWS::AutoScaling::AutoScalingGroup",
        "resourceId": "arn:aws:autoscaling:eu-west-1:1:autoScalingGroup:u:autoScalingGroupName/web-group-3",
    }
    evaluations.append(evaluation(0, name="web-group-3") | group)
    evaluations[-1].pop("command")
    page = scanned(evaluations, usageDays=14, sources=sources(evaluations[:-1]))
    page.one("#more-sources").click()
    name = "web-group-3 (Auto Scaling group)"
    buttons = page.browser.find_elements(By.CSS_SELECTOR, "#sources tbody button")
    next(each for each in buttons if each.text == name).click()
    instances = sum(each.get("launchedBy", {}).get("id") == "web-group-3" for each in evaluations)
    assert page.showing == f"Showing {instances + 1} of 201"
    assert set(page.column("Launched by")) == {name, ""}


def test_report_without_sources_has_no_table_of_them(scanned):
    page = scanned(fleet(3))
    assert not page.one("#sources").is_displayed()


def test_filters_without_values_are_hidden(scanned):
    page = scanned([evaluation(1)])
    shown = [
        each.get_attribute("name")
        for each in page.browser.find_elements(By.TAG_NAME, "select")
        if each.is_displayed()
    ]
    assert shown == ["compliance", "accountId", "region", "resourceType"]


@pytest.mark.parametrize("title", ["Name", "Owner", "IMDSv1", "Launched by"])
def test_blanks_come_last_in_both_directions(scanned, title):
    page = scanned(fleet(100), usageDays=14)
    for _ in range(2):
        page.sort(title)
        texts = page.column(title)
        blanks = [text == "" for text in texts]
        assert any(blanks) and not all(blanks)
        assert blanks == sorted(blanks)


def test_look_back_and_parameters_are_stated(scanned):
    page = scanned([evaluation(1)], usageDays=14, parameters={"maxHopLimit": "2"})
    footer = page.one("#parameters").text
    assert footer == 'IMDSv1 calls: those of the last 14 days. Rule parameters: {"maxHopLimit":"2"}'
    page = scanned([evaluation(1)])
    assert page.one("#parameters").text == "IMDSv1 calls were not asked for. Rule parameters: {}"


def test_comparison_is_shown_and_filters(scanned):
    fixed = evaluation(3, compliance="COMPLIANT", since="fixed")
    evaluations = [evaluation(1, since="new"), evaluation(2, since="still open"), fixed]
    counts = {"fixed": 3, "gone": 2, "new": 1, "stillOpen": 1, "notScanned": 4}
    page = scanned(evaluations, comparison={"earlier": "yesterday.json"} | counts)
    shown = " ".join(page.one("#comparison").text.split())
    assert shown == (
        "Compared with yesterday.json: 3 fixed 1 new 1 still open 2 of the fixed resources no longer exist. "
        "4 were not scanned this time."
    )
    page.one("#comparison button[data-value=new]").click()
    assert page.column("Resource") == [evaluations[0]["resourceId"]]


def test_command_can_be_copied(scanned):
    page = scanned([evaluation(1), evaluation(2, command=None)])
    assert len(page.texts(".fix")) == 1
    page.one(".fix summary").click()
    permissions = ["clipboardReadWrite", "clipboardSanitizedWrite"]
    page.browser.execute_cdp_cmd("Browser.grantPermissions", {"permissions": permissions})
    page.one(".fix button").click()
    copied = page.browser.execute_async_script(
        "setTimeout(async () => arguments[0](await navigator.clipboard.readText()), 200)"
    )
    assert copied == page.evaluations[0]["command"]
    assert page.one(".fix button").text == "Copied"


def test_requirements_and_where_a_resource_is_declared_are_stated(report):
    page = report(EXAMPLES / "template.yaml", EXAMPLES / "describe-instances.json")
    requirements = page.texts("#requirements li")
    assert len(requirements) == 3
    assert requirements[0].startswith("AWS::EC2::Instance (EC2.8): CIS AWS Foundations Benchmark v5")
    declared = page.column("Declared in")
    assert sorted(filter(None, declared))[0].endswith("template.yaml:26")
    assert "" in declared
