"""A scheduled rule as it is usually written with boto3, which scheduled_run.py compares with the function.

It collects everything in lists, lists the previous results, and sends one batch after the other.
"""

import json

import boto3

EC2, CONFIG = boto3.client("ec2"), boto3.client("config")
INSTANCE = "AWS::EC2::Instance"
# The most evaluations that PutEvaluations accepts.
BATCH = 100


def handler(event, _context):
    created = json.loads(event["invokingEvent"])["notificationCreationTime"]
    evaluations = [evaluate(instance, created) for instance in instances()]
    existing = {evaluation["ComplianceResourceId"] for evaluation in evaluations}
    evaluations += [
        evaluation(result["ResourceId"], "NOT_APPLICABLE", created)
        for result in previous_results(event["configRuleName"])
        if result["ResourceId"] not in existing
    ]
    for start in range(0, len(evaluations), BATCH):
        CONFIG.put_evaluations(
            Evaluations=evaluations[start : start + BATCH], ResultToken=event["resultToken"]
        )
    return len(evaluations)


def instances():
    pages = EC2.get_paginator("describe_instances").paginate(PaginationConfig={"PageSize": 1000})
    for page in pages:
        for reservation in page["Reservations"]:
            yield from reservation["Instances"]


def evaluate(instance, created):
    required = instance["MetadataOptions"]["HttpTokens"] == "required"
    return evaluation(instance["InstanceId"], "COMPLIANT" if required else "NON_COMPLIANT", created)


def evaluation(instance_id, compliance, created):
    return {
        "ComplianceResourceType": INSTANCE,
        "ComplianceResourceId": instance_id,
        "ComplianceType": compliance,
        "Annotation": f"HttpTokens: {compliance}",
        "OrderingTimestamp": created,
    }


def previous_results(rule):
    arguments = {"ConfigRuleName": rule, "Limit": 100}
    while True:
        page = CONFIG.get_compliance_details_by_config_rule(**arguments)
        for result in page["EvaluationResults"]:
            yield result["EvaluationResultIdentifier"]["EvaluationResultQualifier"]
        if "NextToken" not in page:
            return
        arguments["NextToken"] = page["NextToken"]
