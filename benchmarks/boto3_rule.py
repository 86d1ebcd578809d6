"""The rival of `scheduled_run.py`: a scheduled rule as it is written with boto3 and rdklib. Everything is
gathered in lists, the old results are listed, and batches are sent one by one."""

import json

import boto3

EC2, CONFIG = boto3.client("ec2"), boto3.client("config")
INSTANCE = "AWS::EC2::Instance"


def handler(event, _context):
    created = json.loads(event["invokingEvent"])["notificationCreationTime"]
    evaluations = [evaluation(instance, created) for instance in instances()]
    existing = {evaluation["ComplianceResourceId"] for evaluation in evaluations}
    for old in old_results(event["configRuleName"]):
        if old["ResourceId"] not in existing:
            evaluations.append(report(old["ResourceId"], "NOT_APPLICABLE", created))
    for start in range(0, len(evaluations), 100):
        CONFIG.put_evaluations(Evaluations=evaluations[start : start + 100], ResultToken=event["resultToken"])
    return len(evaluations)


def instances():
    pages = EC2.get_paginator("describe_instances").paginate(PaginationConfig={"PageSize": 1000})
    for page in pages:
        for reservation in page["Reservations"]:
            yield from reservation["Instances"]


def evaluation(instance, created):
    required = instance["MetadataOptions"]["HttpTokens"] == "required"
    return report(instance["InstanceId"], "COMPLIANT" if required else "NON_COMPLIANT", created)


def report(instance_id, compliance, created):
    return {
        "ComplianceResourceType": INSTANCE,
        "ComplianceResourceId": instance_id,
        "ComplianceType": compliance,
        "Annotation": f"HttpTokens: {compliance}",
        "OrderingTimestamp": created,
    }


def old_results(rule):
    arguments = {"ConfigRuleName": rule, "Limit": 100}
    while True:
        page = CONFIG.get_compliance_details_by_config_rule(**arguments)
        for result in page["EvaluationResults"]:
            yield result["EvaluationResultIdentifier"]["EvaluationResultQualifier"]
        if "NextToken" not in page:
            return
        arguments["NextToken"] = page["NextToken"]
