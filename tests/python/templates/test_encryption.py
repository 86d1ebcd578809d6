"""What is kept is encrypted, by a key of the customer's where one is given, and does not outlive its use."""

from support.stack import Stack

KEYED = {
    "AWS::Logs::LogGroup": "KmsKeyId",
    "AWS::SQS::Queue": "KmsMasterKeyId",
    "AWS::SNS::Topic": "KmsMasterKeyId",
}


def test_what_is_kept_takes_a_key_of_the_customers(template):
    for kind, name in KEYED.items():
        for resource, properties in Stack(template, conditions=True).resources(kind).items():
            assert properties[name].startswith("arn:aws:kms:"), resource


def test_without_a_key_aws_encrypts(template):
    for name, queue in Stack(template, conditions=False).resources("AWS::SQS::Queue").items():
        assert queue["SqsManagedSseEnabled"] is True, name
        assert "KmsMasterKeyId" not in queue, "SQS takes one of the two"


def test_logs_are_not_kept_for_ever(template):
    assert all(
        group["RetentionInDays"] for group in Stack(template).resources("AWS::Logs::LogGroup").values()
    )


def test_what_keeps_data_says_what_becomes_of_it_with_the_stack(template):
    for name, resource in template["Resources"].items():
        if resource["Type"] in KEYED and resource["Type"] != "AWS::SNS::Topic":
            assert {"DeletionPolicy", "UpdateReplacePolicy"} <= set(resource), name
