"""The templates can be deployed in every partition, Region and account."""

import re

from support.templates import strings

REGION = re.compile(
    r"\b(af|ap|ca|cn|eu|il|me|mx|sa|us)-(gov-|iso\w*-)?(north|south|east|west|central)\w*-\d\b"
)
ACCOUNT = re.compile(r"\b\d{12}\b")
PARTITION = re.compile(r"\barn:(?!\$\{AWS::Partition\})")


def deployed(template):
    """Returns the strings of a template except those of the runbooks."""
    resources = [
        {**each, "Properties": {**each.get("Properties", {}), "Content": None}}
        for each in template["Resources"].values()
    ]
    return list(strings([resources, template.get("Outputs")]))


def test_template_names_no_partition_region_or_account(template):
    for pattern in (PARTITION, REGION, ACCOUNT):
        assert [text for text in deployed(template) if pattern.search(text)] == []


def test_patterns_match_names_of_partitions_regions_and_accounts():
    assert PARTITION.search("arn:aws:s3:::bucket") and not PARTITION.search(
        "arn:${AWS::Partition}:s3:::bucket"
    )
    assert REGION.search("sqs.eu-central-1.amazonaws.com") and REGION.search("us-gov-west-1")
    assert ACCOUNT.search("arn:aws:iam::123456789012:root") and not ACCOUNT.search("1209600")
