"""Stored data is encrypted, with a customer managed key if there is one, and is deleted eventually."""

from support.stack import Stack

KEY_PROPERTIES = {
    "AWS::Logs::LogGroup": "KmsKeyId",
    "AWS::SQS::Queue": "KmsMasterKeyId",
    "AWS::SNS::Topic": "KmsMasterKeyId",
}


def test_stored_data_can_have_a_customer_managed_key(template):
    for kind, name in KEY_PROPERTIES.items():
        for resource, properties in Stack(template, conditions=True).resources(kind).items():
            assert properties[name].startswith("arn:aws:kms:"), resource


def test_queue_without_a_key_is_encrypted_by_sqs(template):
    for name, queue in Stack(template, conditions=False).resources("AWS::SQS::Queue").items():
        assert queue["SqsManagedSseEnabled"] is True, name
        assert "KmsMasterKeyId" not in queue, "SQS accepts only one of the two"


def test_logs_expire(template):
    assert all(
        group["RetentionInDays"] for group in Stack(template).resources("AWS::Logs::LogGroup").values()
    )


def test_resources_with_data_have_a_deletion_policy(template):
    for name, resource in template["Resources"].items():
        if resource["Type"] in KEY_PROPERTIES and resource["Type"] != "AWS::SNS::Topic":
            assert {"DeletionPolicy", "UpdateReplacePolicy"} <= set(resource), name
