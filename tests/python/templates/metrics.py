"""The metrics that alarms and dashboards may use, and those that an alarm uses."""

import re

# What the function prints in CloudWatch's embedded metric format.
OWN = "imdsv2-config-rule"
METRICS = {
    (OWN, "FunctionName"): {"Compliant", "NonCompliant", "NotApplicable", "Duration", "Failed"},
    # https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
    ("AWS/Lambda", "FunctionName"): {
        "AsyncEventAge",
        "AsyncEventsDropped",
        "AsyncEventsReceived",
        "ConcurrentExecutions",
        "DestinationDeliveryFailures",
        "Duration",
        "Errors",
        "Invocations",
        "Throttles",
    },
    # https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html
    ("AWS/SQS", "QueueName"): {"ApproximateAgeOfOldestMessage", "ApproximateNumberOfMessagesVisible"},
}
# Whose name a dimension takes.
KINDS = {
    "FunctionName": "AWS::Lambda::Function",
    "QueueName": "AWS::SQS::Queue",
}
STATISTICS = re.compile(r"Average|Maximum|Minimum|Sum|SampleCount|p\d{1,2}(\.\d+)?")


def check(stack, namespace, metric, dimensions, statistic):
    """Fails where the stack will never see such a metric."""
    ((dimension, value),) = dimensions
    assert metric in METRICS.get((namespace, dimension), set()), f"{namespace} {metric} by {dimension}"
    made = {stack.name(name) for name in stack.resources(KINDS[dimension])}
    assert value in made, f"{dimension} {value} is none of the stack's"
    assert STATISTICS.fullmatch(statistic), statistic


def alarm_metrics(alarm):
    """Namespace, metric, dimensions and statistic of each metric that an alarm watches."""
    parts = [part["MetricStat"] for part in alarm.get("Metrics", []) if "MetricStat" in part]
    described = [(part["Metric"], part["Stat"]) for part in parts] or [(alarm, alarm["Statistic"])]
    for metric, statistic in described:
        dimensions = [(each["Name"], each["Value"]) for each in metric["Dimensions"]]
        yield metric["Namespace"], metric["MetricName"], dimensions, statistic
