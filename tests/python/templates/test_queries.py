"""AWS Config accepts the saved queries: their names, their syntax and their fields."""

import re

import pytest

from support.stack import Stack

# The fields that the queries use, from config/properties/resource-types/ of
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
    "AWS::AutoScaling::AutoScalingGroup": {
        "configuration.desiredCapacity",
        "configuration.launchConfigurationName",
        "configuration.launchTemplate.launchTemplateId",
        "configuration.launchTemplate.version",
        "configuration.mixedInstancesPolicy.launchTemplate.launchTemplateSpecification.launchTemplateId",
        "configuration.mixedInstancesPolicy.launchTemplate.launchTemplateSpecification.version",
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
INSTANCES = "resourceType = 'AWS::EC2::Instance'"
NOT_SUPPORTED = re.compile(r"\b(ALL|AS|DISTINCT|FROM|HAVING|JOIN|UNION|NULL)\b")


def problems(expression):
    """Yields the mistakes in a query, a sentence each."""
    if word := NOT_SUPPORTED.search(expression):
        yield f"{word[0]} is not supported"
    query = QUERY.fullmatch(expression)
    if not query:
        yield "the query cannot be parsed"
        return
    conditions = [CONDITION.fullmatch(each) for each in query["where"].split(" AND ")]
    if not all(conditions):
        yield f"unsupported condition in {query['where']}"
        return
    selected = query["select"].split(", ")
    columns = [each for each in selected if not AGGREGATE.fullmatch(each)]
    grouped = query["group"].split(", ") if query["group"] else []
    if bool(grouped) != (columns != selected) or (set(columns) - set(grouped) and grouped):
        yield "a field is neither aggregated nor in GROUP BY"
    if len(grouped) > 3:
        yield "GROUP BY has more than three fields"
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


def test_queries_have_no_mistakes(template):
    for name, query in queries(template).items():
        assert list(problems(query["QueryExpression"])) == [], name


def test_queries_are_within_the_limits(template):
    names = [query["QueryName"] for query in queries(template).values()]
    assert len(names) == len(set(names))
    for query in queries(template).values():
        assert re.fullmatch(r"[A-Za-z0-9_-]{1,64}", query["QueryName"])
        assert query["QueryName"].startswith("imdsv2"), "the name of a query is unique in the account"
        assert len(query["QueryExpression"]) <= 4096 and 1 <= len(query["QueryDescription"]) <= 256


def test_queries_are_optional(template):
    assert Stack(template, {"SavedQueries": "false"}).resources("AWS::Config::StoredQuery") == {}


@pytest.mark.parametrize(
    ("expression", "problem"),
    [
        ("SELECT * FROM instances", "FROM is not supported"),
        (
            f"SELECT resourceId WHERE {INSTANCES} AND configuration.httpTokens = 'optional'",
            "AWS::EC2::Instance has no configuration.httpTokens",
        ),
        (
            f"SELECT configuration.instanceType, COUNT(*) WHERE {INSTANCES}",
            "a field is neither aggregated nor in GROUP BY",
        ),
        ("SELECT resourceId WHERE resourceType == 'AWS::EC2::Instance'", "unsupported condition"),
        ("SELECT resourceId", "cannot be parsed"),
    ],
)
def test_check_finds_mistakes_in_queries(expression, problem):
    assert any(problem in found for found in problems(expression))
