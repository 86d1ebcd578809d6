"""A rule for configuration changes as it is usually written with boto3, which cold_start.py measures."""

import json

import boto3

CONFIG = boto3.client("config")


def handler(event, _context):
    item = json.loads(event["invokingEvent"])["configurationItem"]
    required = item["configuration"]["metadataOptions"]["httpTokens"] == "required"
    evaluation = {
        "ComplianceResourceType": item["resourceType"],
        "ComplianceResourceId": item["resourceId"],
        "ComplianceType": "COMPLIANT" if required else "NON_COMPLIANT",
        "OrderingTimestamp": item["configurationItemCaptureTime"],
    }
    CONFIG.put_evaluations(Evaluations=[evaluation], ResultToken=event["resultToken"])
    return evaluation["ComplianceType"]
