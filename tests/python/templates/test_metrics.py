"""The metrics that the templates may use exist."""

import re

import pytest

from support.repository import ROOT
from support.stack import Stack
from support.templates import load
from templates.metrics import METRICS, OWN, assert_exists

# Values that the function prints in addition to metrics.
OTHER_VALUES = {"_aws", "configRuleName", "accountId"}


def test_the_function_prints_its_metrics():
    source = (ROOT / "src" / "lambda" / "metrics.rs").read_text().split("#[cfg(test)]")[0]
    (dimension,) = (dimension for namespace, dimension in METRICS if namespace == OWN)
    values = set(re.findall(r'^        "(\w+)": ', source, re.MULTILINE))
    assert values - OTHER_VALUES == METRICS[OWN, dimension]
    assert f'NAMESPACE: &str = "{OWN}"' in source
    assert f'DIMENSION: &str = "{dimension}"' in source


@pytest.mark.parametrize(
    "metric",
    [
        ("AWS/Lambda", "Error", [("FunctionName", "imdsv2-config-rule")], "Sum"),
        ("AWS/Lambda", "Errors", [("Function", "imdsv2-config-rule")], "Sum"),
        ("AWS/Lambda", "Errors", [("FunctionName", "OtherFunction")], "Sum"),
        ("AWS/Lambda", "Errors", [("FunctionName", "imdsv2-config-rule")], "Total"),
        (OWN, "Noncompliant", [("FunctionName", "imdsv2-config-rule")], "Sum"),
    ],
)
def test_check_finds_metrics_that_do_not_exist(metric):
    with pytest.raises(AssertionError):
        assert_exists(Stack(load("function.yaml")), *metric)
