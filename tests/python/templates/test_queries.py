"""AWS Config can run the saved queries: their names, their syntax and the fields that they ask for."""

import re

import pytest

from support.stack import Stack

# As far as the queries use them, from config/properties/resource-types/ of
# https://github.com/awslabs/aws-config-resource-schema
ANY_TYPE = {
    "accountId",
    "awsRegion",
    "resourceId",
    "resourceName",
    "resourceType",
    "tags.key",
    "tags.tag",
    "tags.value",
}
FIELDS = {
    "AWS::EC2::Instance": {
        "configuration.iamInstanceProfile.arn",
        "configuration.instanceType",
        "configuration.metadataOptions.httpEndpoint",
        "configuration.metadataOptions.httpPutResponseHopLimit",
        "configuration.metadataOptions.httpTokens",
        "configuration.metadataOptions.state",
        "configuration.state.name",
    },
    "AWS::Config::ResourceCompliance": {
        "configuration.complianceType",
        "configuration.configRuleList.complianceType",
        "configuration.configRuleList.configRuleName",
        "configuration.targetResourceId",
        "configuration.targetResourceType",
    },
}
# https://docs.aws.amazon.com/config/latest/developerguide/query-components.html, and the limits in
# https://docs.aws.amazon.com/config/latest/developerguide/querying-AWS-resources.html
QUERY = re.compile(
    r"SELECT (?P<select>.+?) WHERE (?P<where>.+?)( GROUP BY (?P<group>.+?))?( ORDER BY (?P<order>.+))?"
)
CONDITION = re.compile(r"(?P<field>[\w.]+) (=|IN|BETWEEN|LIKE) ('[^']*'|\('[^']*'(, '[^']*')*\))")
AGGREGATE = re.compile(r"(AVG|COUNT|MAX|MIN|SUM)\(([\w.]+|\*)\)")
NOT_SUPPORTED = re.compile(r"\b(ALL|AS|DISTINCT|FROM|HAVING|JOIN|UNION|NULL)\b")


def problems(expression):
    """What is wrong with a query, a sentence each."""
    if word := NOT_SUPPORTED.search(expression):
        yield f"{word[0]} is not supported"
    query = QUERY.fullmatch(expression)
    if not query:
        yield "is no query"
        return
    conditions = [CONDITION.fullmatch(each) for each in query["where"].split(" AND ")]
    if not all(conditions):
        yield f"{query['where']} is not understood"
        return
    selected = query["select"].split(", ")
    columns = [each for each in selected if not AGGREGATE.fullmatch(each)]
    grouped = query["group"].split(", ") if query["group"] else []
    if bool(grouped) != (columns != selected) or (set(columns) - set(grouped) and grouped):
        yield "what is not aggregated is not grouped by"
    if len(grouped) > 3:
        yield "groups by more than three fields"
    (kind,) = re.findall(r"resourceType = '([\w:]+)'", query["where"]) or [None]
    fields = ANY_TYPE | FIELDS.get(kind, set())
    known = {
        field[:end] for field in fields for end in [*[dot.start() for dot in re.finditer(r"\.", field)], None]
    }
    for field in [*columns, *grouped, *[condition["field"] for condition in conditions]]:
        if field not in known:
            yield f"{kind} has no {field}"


def queries(template):
    return Stack(template, conditions=True).resources("AWS::Config::StoredQuery")


def test_queries_can_be_run(template):
    for name, query in queries(template).items():
        assert list(problems(query["QueryExpression"])) == [], name


def test_queries_can_be_saved(template):
    names = [query["QueryName"] for query in queries(template).values()]
    assert len(names) == len(set(names))
    for query in queries(template).values():
        assert re.fullmatch(r"[A-Za-z0-9_-]{1,64}", query["QueryName"])
        assert query["QueryName"].startswith("imdsv2"), "two stacks would save the same query"
        assert len(query["QueryExpression"]) <= 4096 and 1 <= len(query["QueryDescription"]) <= 256


def test_none_is_saved_where_aws_config_saves_none(template):
    assert Stack(template, {"SavedQueries": "false"}).resources("AWS::Config::StoredQuery") == {}


@pytest.mark.parametrize(
    ("expression", "problem"),
    [
        ("SELECT * FROM instances", "FROM is not supported"),
        (
            "SELECT resourceId WHERE resourceType = 'AWS::EC2::Instance' AND configuration.httpTokens = 'optional'",
            "AWS::EC2::Instance has no configuration.httpTokens",
        ),
        (
            "SELECT configuration.instanceType, COUNT(*) WHERE resourceType = 'AWS::EC2::Instance'",
            "what is not aggregated is not grouped by",
        ),
        ("SELECT resourceId WHERE resourceType == 'AWS::EC2::Instance'", "is not understood"),
        ("SELECT resourceId", "is no query"),
    ],
)
def test_the_check_of_queries_is_shown_to_fail(expression, problem):
    assert any(problem in found for found in problems(expression))
