"""The metrics that exist, and those that an alarm or a dashboard uses."""

import re

# The namespace of the metrics that the function prints in CloudWatch's embedded metric format.
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
# The type of the resource that is the value of a dimension.
TYPES = {
    "FunctionName": "AWS::Lambda::Function",
    "QueueName": "AWS::SQS::Queue",
}
STATISTICS = re.compile(r"Average|Maximum|Minimum|Sum|SampleCount|p\d{1,2}(\.\d+)?")


def assert_exists(stack, namespace, metric, dimensions, statistic):
    """Fails if no service reports such a metric for a resource of the stack."""
    ((dimension, value),) = dimensions
    assert metric in METRICS.get((namespace, dimension), set()), f"{namespace} {metric} by {dimension}"
    names = {stack.name(name) for name in stack.resources(TYPES[dimension])}
    assert value in names, f"the stack has no {dimension} {value}"
    assert STATISTICS.fullmatch(statistic), statistic


def alarm_metrics(alarm):
    """Yields the namespace, name, dimensions and statistic of each metric that an alarm uses."""
    parts = [part["MetricStat"] for part in alarm.get("Metrics", []) if "MetricStat" in part]
    described = [(part["Metric"], part["Stat"]) for part in parts] or [(alarm, alarm["Statistic"])]
    for metric, statistic in described:
        dimensions = [(each["Name"], each["Value"]) for each in metric["Dimensions"]]
        yield metric["Namespace"], metric["MetricName"], dimensions, statistic


def widget_metrics(widget):
    """Yields the same of each metric that a widget of a dashboard shows."""
    for metric in widget["properties"]["metrics"]:
        options = metric[-1] if isinstance(metric[-1], dict) else {}
        namespace, name, *dimensions = [each for each in metric if not isinstance(each, dict)]
        pairs = list(zip(dimensions[::2], dimensions[1::2], strict=True))
        yield namespace, name, pairs, options.get("stat", widget["properties"].get("stat"))
