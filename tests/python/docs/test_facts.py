"""Names, defaults and figures in the documentation are those of the code, the templates and the runbooks."""

import json
import re
import subprocess

import monthly_cost
import pytest
import yaml

from docs.markdown import blocks, code, section, tables
from docs.test_commands import COMMANDS, options
from support.repository import IMDSV2, ROOT, RUNBOOKS
from support.stack import Stack
from support.templates import load, of_type

DOCS = ROOT / "docs"
DEFAULT_NAME = "imdsv2-config-rule"
DATA = re.compile(r'<script type="application/json" id="data">(.+?)</script>', re.DOTALL)
SUMMARY = re.compile(r'"journal":.*"summary":({.+?})')


def table(page, heading):
    """The first table under a heading, by what is in backticks in its first column."""
    first, *_ = tables(section(DOCS / page, heading))
    return {each: row for row in first for each in code(row[0])}


def documented_defaults(rows):
    """The default of each parameter, None for one that is required, and "" for one that is empty."""
    words = {"required": None, "none": ""}
    return {name: words[row[1]] if row[1] in words else code(row[1])[0] for name, row in rows.items()}


def declared_defaults(parameters):
    """The same of a template's or a runbook's parameters."""
    values = {name: rule.get("Default", rule.get("default")) for name, rule in parameters.items()}
    return {name: value if value is None else spelled(value) for name, value in values.items()}


def spelled(value):
    return str(value).lower() if isinstance(value, bool) else str(value)


@pytest.mark.parametrize(
    ("page", "heading", "template"),
    [
        ("deploy.md", "Parameters of the function", "function.yaml"),
        ("deploy.md", "Parameters of the rules", "rule.yaml"),
    ],
)
def test_parameters_of_a_template(page, heading, template):
    assert documented_defaults(table(page, heading)) == declared_defaults(load(template)["Parameters"])


def test_parameters_of_the_organizations_template():
    declared = declared_defaults(load("organization.yaml")["Parameters"])
    of_the_rule = declared_defaults(load("rule.yaml")["Parameters"])
    own = documented_defaults(table("organization.md", "Parameters of organization.yaml"))
    text = " ".join(section(DOCS / "organization.md", "Parameters of organization.yaml")).split("|")[0]
    shared = {name for name in code(text) if name in of_the_rule}
    assert own | {name: of_the_rule[name] for name in shared} == declared


def test_parameters_and_resources_of_security_hub():
    resources, parameters = tables(section(DOCS / "security-hub.md", "Deploy"))
    rows = {code(row[0])[0]: row for row in parameters}
    template = load("security-hub.yaml")
    assert documented_defaults(rows) == declared_defaults(template["Parameters"])
    assert [code(row[0])[0] for row in resources] == list(template["Resources"])


@pytest.mark.parametrize(
    ("page", "heading", "runbook"),
    [
        ("remediation.md", "EnforceImdsv2", "EnforceImdsv2"),
        ("remediation.md", "EnforceImdsv2AccountDefaults", "EnforceImdsv2AccountDefaults"),
        ("remediation.md", "EnforceImdsv2LaunchTemplate", "EnforceImdsv2LaunchTemplate"),
        ("undo.md", "With the runbook", "RestoreMetadataOptions"),
    ],
)
def test_parameters_of_a_runbook(page, heading, runbook):
    declared = yaml.safe_load((RUNBOOKS / f"{runbook}.yaml").read_text())["parameters"]
    assert documented_defaults(table(page, heading)) == declared_defaults(declared)


def test_outputs_of_the_runbook_that_is_undone():
    runbook = yaml.safe_load((RUNBOOKS / "EnforceImdsv2.yaml").read_text())
    page = (DOCS / "undo.md").read_text()
    (step,) = re.findall(r"\?StepName=='(\w+)'", page)
    assert step in [each["name"] for each in runbook["mainSteps"]]
    assert set(re.findall(rf"`({step}\.\w+)`", page)) <= set(runbook["outputs"])


def both_tables(heading):
    """The names in the two tables under a heading of deploy.md: the function's stack, and the rules'."""
    function, rules = tables(section(DOCS / "deploy.md", heading))
    return [[each for row in rows for each in code(row[0])] for rows in (function, rules)]


@pytest.mark.parametrize(
    ("heading", "key"), [("What the stacks contain", "Resources"), ("Outputs", "Outputs")]
)
def test_resources_and_outputs_of_the_stacks(heading, key):
    declared = [sorted(load(name)[key]) for name in ("function.yaml", "rule.yaml")]
    assert [sorted(names) for names in both_tables(heading)] == declared


def test_rules_of_the_stack():
    rules = Stack(load("rule.yaml"), conditions=True).resources("AWS::Config::ConfigRule").values()
    assert list(table("deploy.md", "The rules")) == [rule["ConfigRuleName"] for rule in rules]


def names(template, kind, key):
    """The names of a template's resources of a type, without the function's own."""
    stack = Stack(load(template), conditions=True)
    return [resource[key].removeprefix(f"{DEFAULT_NAME}-") for resource in stack.resources(kind).values()]


def test_alarms():
    assert list(table("operations.md", "Alarms")) == names(
        "function.yaml", "AWS::CloudWatch::Alarm", "AlarmName"
    )
    slow = of_type(load("function.yaml"), "AWS::CloudWatch::Alarm")["SlowAlarm"]
    assert f"{slow['Threshold']} % of `TimeoutSeconds`" in table("operations.md", "Alarms")["slow"][1]


def test_saved_queries():
    documented = [name.removeprefix(f"{DEFAULT_NAME}-") for name in table("operations.md", "Saved queries")]
    assert documented == names("rule.yaml", "AWS::Config::StoredQuery", "QueryName")


def test_metrics_of_the_function():
    (dashboard,) = Stack(load("function.yaml")).resources("AWS::CloudWatch::Dashboard").values()
    widgets = json.loads(dashboard["DashboardBody"])["widgets"]
    shown = [metric for widget in widgets for metric in widget["properties"].get("metrics", [])]
    own = {metric[1] for metric in shown if metric[0] == DEFAULT_NAME}
    assert set(table("operations.md", "Metrics")) == own


def test_the_log_says_what_the_pages_search_for():
    source = "".join(path.read_text() for path in (ROOT / "src").rglob("*.rs"))
    page = (DOCS / "scheduled-runs.md").read_text()
    for word in re.search(r"with the message\s`(.+?)` and the numbers `(.+?)` and `(.+?)`", page).groups():
        assert word in source, word
    assert "error_type" in source
    assert "`error_type`" in (DOCS / "operations.md").read_text()


def test_rule_parameters():
    rows = table("parameters.md", "Rule parameters")
    source = (ROOT / "src" / "rule" / "policy.rs").read_text()
    assert list(rows) == re.findall(r'^ +name: "(\w+)"', source, re.MULTILINE)
    # A report contains the parameters that it was made with. Those without a default are left out.
    command = [IMDSV2, "evaluate", "--format", "html", ROOT / "examples" / "deleted-event.json"]
    report = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    applied = json.loads(DATA.search(report)[1])["parameters"]
    types = applied.pop("resourceTypes")
    assert {name: code(row[2])[0] for name, row in rows.items() if code(row[2])} == applied
    assert [each for each in code(rows["resourceTypes"][3]) if each in types.split(",")] == types.split(",")


def test_the_verdict_table_of_the_readme_is_that_of_the_page():
    (short,) = tables(section(ROOT / "README.md", "The verdict"))
    (full,) = tables(section(DOCS / "parameters.md", "The verdict"))
    assert [(row[0], row[2]) for row in short] == [(row[0], row[2]) for row in full]


@pytest.mark.parametrize("command", COMMANDS)
def test_options_of_a_command(command):
    heading = command.capitalize()
    documented = table("command-line.md", heading)
    helped = options(command)
    assert set(documented) == set(helped)
    for option, help in helped.items():
        if default := re.search(r"\[default: (\S+)\]", help):
            assert default[1] in " ".join(documented[option]), option


@pytest.mark.parametrize("command", COMMANDS)
def test_exit_status_of_a_command(command):
    help = subprocess.run([IMDSV2, command, "--help"], capture_output=True, text=True, check=True).stdout
    (status,) = re.findall(r"^Exit status: .+$", help, re.MULTILINE)
    assert status in section(DOCS / "command-line.md", command.capitalize())


def test_outcomes():
    """The table has those of the summary in the session above it, which test_live_sessions.py compares."""
    page = DOCS / "command-line.md"
    (summary,) = {found[1] for block in blocks(page) if (found := SUMMARY.search(block.text))}
    assert sorted(table("command-line.md", "Outcomes")) == sorted(json.loads(summary))


def test_costs_in_the_readme():
    fleets = [monthly_cost.Fleet(size, daily) for size in (1_000, 100_000) for daily in (False, True)]
    lines = list(monthly_cost.table(fleets))
    (shown, _) = tables(section(ROOT / "README.md", "Cost and speed"))
    assert len(shown) > 1
    for row in shown:
        assert "| " + " | ".join(row) + " |" in lines


def test_figures_of_the_readme_are_those_of_the_measurements():
    measured = (DOCS / "performance.md").read_text()
    (_, rows) = tables(section(ROOT / "README.md", "Cost and speed"))
    for figure in re.findall(r"[\d,.]+ (?:s|MiB|GB|instances|Regions)\b", str(rows)):
        assert figure in measured, figure


def test_scheduled_runs_have_the_figures_of_the_measurements():
    (rows,) = tables(section(DOCS / "scheduled-runs.md", "Size the function"))
    assert rows in tables(section(DOCS / "performance.md", "Scheduled runs"))


def test_named_tests_of_the_guarantees_exist():
    (rows, *_) = tables(section(DOCS / "remediation.md", "What is guaranteed"))
    named = {each for row in rows for each in code(row[2])}
    files = [*ROOT.glob("src/**/*.rs"), *ROOT.glob("tests/**/*.py")]
    defined = {
        name
        for file in files
        for name in re.findall(r"^ *(?:fn|def) (\w+)\(", file.read_text(), re.MULTILINE)
    }
    assert named
    assert named <= defined
