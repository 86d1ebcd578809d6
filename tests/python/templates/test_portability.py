"""The templates deploy in every partition, Region and account."""

import re

from support.templates import strings

REGION = re.compile(
    r"\b(af|ap|ca|cn|eu|il|me|mx|sa|us)-(gov-|iso\w*-)?(north|south|east|west|central)\w*-\d\b"
)
ACCOUNT = re.compile(r"\b\d{12}\b")
PARTITION = re.compile(r"\barn:(?!\$\{AWS::Partition\})")


def deployed(template):
    """Its strings, without the runbooks, which are tested beside this and take a role's ARN of any partition."""
    resources = [
        {**each, "Properties": {**each.get("Properties", {}), "Content": None}}
        for each in template["Resources"].values()
    ]
    return list(strings([resources, template.get("Outputs")]))


# A conformance pack takes no function in a role's ARN: another partition than aws needs an edit here.
EXACT = "arn:aws:iam::{{global:ACCOUNT_ID}}:role/imdsv2-remediation"


def test_nothing_is_tied_to_a_partition_region_or_account(template):
    for pattern in (PARTITION, REGION, ACCOUNT):
        assert [text for text in deployed(template) if pattern.search(text) and text != EXACT] == []


def test_the_patterns_find_what_they_look_for():
    assert PARTITION.search("arn:aws:s3:::bucket") and not PARTITION.search(
        "arn:${AWS::Partition}:s3:::bucket"
    )
    assert REGION.search("sqs.eu-central-1.amazonaws.com") and REGION.search("us-gov-west-1")
    assert ACCOUNT.search("arn:aws:iam::123456789012:root") and not ACCOUNT.search("1209600")
