"""The automation rules of Security Hub change the findings of the rule, and no others."""

import copy
import json
import re

import botocore.session
import pytest
from botocore.validate import ParamValidator

from support.repository import FIXTURES
from support.stack import Stack
from support.templates import load

TEMPLATE = load("security-hub.yaml")
FINDINGS = json.loads((FIXTURES / "security-hub-findings.json").read_text())
API = botocore.session.get_session().get_service_model("securityhub")
ACCOUNT = FINDINGS["failed"]["AwsAccountId"]
ALL_OPTIONS = {"SuppressInAccounts": ACCOUNT, "Product": "Both"}
OPEN = ("failed", "failed at launch")
REOPENED = "failed after it was resolved"
CONTROLS = ("failed by the control EC2.8", "failed by the control EC2.8 of Security Hub CSPM")
# The field of a finding with which a criterion is compared
# (https://docs.aws.amazon.com/securityhub/1.0/APIReference/API_AutomationRulesFindingFilters.html).
PATHS = {
    "ComplianceStatus": ("Compliance", "Status"),
    "ComplianceSecurityControlId": ("Compliance", "SecurityControlId"),
    "WorkflowStatus": ("Workflow", "Status"),
}
COMPARISONS = {
    "EQUALS": lambda value, expected: value == expected,
    "PREFIX": lambda value, expected: value.startswith(expected),
}


def matches(criteria, finding):
    """Returns whether every field of a finding matches one of its filters."""
    for field, filters in criteria.items():
        found = finding
        for key in PATHS.get(field, (field,)):
            found = found.get(key, "")
        if not any(COMPARISONS[each["Comparison"]](found, each["Value"]) for each in filters):
            return False
    return True


def after(finding, parameters=None):
    """Returns the finding after the automation rules of the stack, and the rules that applied."""
    finding, applied = copy.deepcopy(finding), []
    rules = Stack(TEMPLATE, parameters).resources("AWS::SecurityHub::AutomationRule")
    for name, rule in sorted(rules.items(), key=lambda each: each[1]["RuleOrder"]):
        if matches(rule["Criteria"], finding):
            applied.append(name)
            (action,) = rule["Actions"]
            for field, value in action["FindingFieldsUpdate"].items():
                finding[field] = finding[field] | value if isinstance(finding.get(field), dict) else value
    return finding, applied


@pytest.mark.parametrize("name", OPEN)
def test_non_compliant_finding_is_raised_and_has_a_guide(name):
    finding, applied = after(FINDINGS[name], ALL_OPTIONS)
    assert applied == ["RaiseSeverity"]
    assert finding["Severity"]["Label"] == "HIGH"
    assert finding["UserDefinedFields"]["imdsv2-guide"] in finding["Note"]["Text"]
    assert finding["Workflow"]["Status"] == "NEW"


def test_severity_is_that_of_the_parameter():
    finding, _ = after(FINDINGS["failed"], {"Severity": "CRITICAL"})
    assert finding["Severity"]["Label"] == "CRITICAL"


def test_withdrawn_finding_is_resolved():
    finding, applied = after(FINDINGS["withdrawn"], ALL_OPTIONS)
    assert (applied, finding["Workflow"]["Status"]) == (["ResolveWithdrawn"], "RESOLVED")
    again, applied = after(finding, ALL_OPTIONS)
    assert (again, applied) == (finding, []), "the rule applies once"


def test_suppressed_finding_is_not_changed():
    suppressed = FINDINGS["withdrawn"] | {"Workflow": {"Status": "SUPPRESSED"}}
    assert after(suppressed, ALL_OPTIONS) == (suppressed, [])


@pytest.mark.parametrize("name", ["passed", "failed by another rule"])
def test_other_findings_are_not_changed(name):
    assert after(FINDINGS[name], ALL_OPTIONS) == (FINDINGS[name], [])


def test_failed_finding_that_was_resolved_is_opened_again():
    finding, applied = after(FINDINGS[REOPENED], ALL_OPTIONS)
    assert (applied, finding["Workflow"]["Status"]) == (["RaiseSeverity", "ReopenFailed"], "NEW")
    again, applied = after(finding, ALL_OPTIONS)
    assert (again["Workflow"], applied) == (finding["Workflow"], ["RaiseSeverity"])


def test_end_of_an_exemption_opens_a_finding_again():
    exempt, _ = after(FINDINGS["withdrawn"])
    assert exempt["Workflow"]["Status"] == "RESOLVED"
    ended, _ = after(exempt | {"Compliance": {"Status": "FAILED"}})
    assert ended["Workflow"]["Status"] == "NEW"


@pytest.mark.parametrize("status", ["NEW", "NOTIFIED", "SUPPRESSED"])
def test_workflow_of_an_open_finding_is_that_of_people(status):
    finding, _ = after(FINDINGS["failed"] | {"Workflow": {"Status": status}}, ALL_OPTIONS)
    assert finding["Workflow"]["Status"] == status


@pytest.mark.parametrize("name", CONTROLS)
@pytest.mark.parametrize(
    ("accounts", "suppressed"),
    [
        ("", False),
        (ACCOUNT, True),
        (f"222222222222,{ACCOUNT}", True),
        ("222222222222,333333333333", False),
        (",".join(f"{each:012}" for each in range(9)) + f",{ACCOUNT}", True),
    ],
)
def test_duplicates_are_suppressed_in_the_accounts_that_are_named(name, accounts, suppressed):
    """AWS's samples name the product of controls Security Hub or Security Hub CSPM."""
    finding, applied = after(FINDINGS[name], {"SuppressInAccounts": accounts})
    status = "SUPPRESSED" if suppressed else "NEW"
    assert (finding["Workflow"]["Status"], applied) == (status, ["SuppressDuplicateControls"] * suppressed)


def test_no_more_accounts_are_accepted_than_the_rule_compares():
    pattern = TEMPLATE["Parameters"]["SuppressInAccounts"]["AllowedPattern"]
    ids = [f"{each:012}" for each in range(11)]
    assert re.fullmatch(pattern, ",".join(ids[:10])) and not re.fullmatch(pattern, ",".join(ids))


@pytest.mark.parametrize("status", ["NEW", "NOTIFIED", "RESOLVED", "SUPPRESSED"])
def test_insight_counts_what_fails_whatever_its_workflow_says(status):
    (insight,) = Stack(TEMPLATE).resources("AWS::SecurityHub::Insight").values()
    findings = {name: finding | {"Workflow": {"Status": status}} for name, finding in FINDINGS.items()}
    counted = {name for name, finding in findings.items() if matches(insight["Filters"], finding)}
    assert counted == {*OPEN, REOPENED}


def test_name_is_the_prefix_of_the_names_of_all_rules():
    rules = Stack(load("rule.yaml"), conditions=True).resources("AWS::Config::ConfigRule").values()
    begins = TEMPLATE["Parameters"]["RuleName"]["Default"]
    assert len(rules) == 3
    assert all(rule["ConfigRuleName"].startswith(begins) for rule in rules)


@pytest.mark.parametrize(
    ("product", "kinds"),
    [
        ("SecurityHubCSPM", {"AutomationRule", "Insight"}),
        ("SecurityHub", {"AutomationRuleV2"}),
        ("Both", {"AutomationRule", "Insight", "AutomationRuleV2"}),
    ],
)
def test_each_product_has_its_resources(product, kinds):
    stack = Stack(TEMPLATE, {"Product": product})
    assert {
        kind
        for kind in ("AutomationRule", "AutomationRuleV2", "Insight")
        if stack.resources(f"AWS::SecurityHub::{kind}")
    } == kinds


@pytest.mark.parametrize(("severity", "expected"), [("LOW", 2), ("MEDIUM", 3), ("HIGH", 4), ("CRITICAL", 5)])
def test_severities_are_those_of_ocsf(
    severity, expected
):  # https://schema.ocsf.io/1.6.0/classes/compliance_finding
    stack = Stack(TEMPLATE, {"Product": "SecurityHub", "Severity": severity})
    (rule,) = stack.resources("AWS::SecurityHub::AutomationRuleV2").values()
    (action,) = rule["Actions"]
    assert action["FindingFieldsUpdate"]["SeverityId"] == expected


@pytest.mark.parametrize("kind", ["AutomationRule", "AutomationRuleV2", "Insight"])
def test_security_hub_accepts_the_resources(kind):
    made = Stack(TEMPLATE, ALL_OPTIONS).resources(f"AWS::SecurityHub::{kind}")
    orders = [properties.get("RuleOrder") for properties in made.values()]
    assert len(set(orders)) == len(orders)
    for name, properties in made.items():
        report = ParamValidator().validate(properties, API.operation_model(f"Create{kind}").input_shape)
        assert not report.has_errors(), f"{name}: {report.generate_report()}"
        assert kind == "Insight" or 1 <= properties["RuleOrder"] <= 1000
        for text in notes(properties):
            assert 1 <= len(text) <= 512, (
                "https://docs.aws.amazon.com/securityhub/1.0/APIReference/API_NoteUpdate.html"
            )


def notes(properties):
    updates = [action["FindingFieldsUpdate"] for action in properties.get("Actions", [])]
    return [update["Note"]["Text"] for update in updates if "Note" in update] + [
        update["Comment"] for update in updates if "Comment" in update
    ]
