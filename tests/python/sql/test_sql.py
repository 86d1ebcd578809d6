"""The SQL that `imdsv2 callers` prints returns the rows that `imdsv2 callers` itself returns.

sqlglot rewrites the queries for DuckDB, which reads the same files.
"""

import json
import subprocess

import duckdb
import pytest
import sqlglot
from trail import write_trail

from support.repository import EXAMPLES, IMDSV2

DATA_STORE = "1f7a3f6e-0000-4000-8000-000000000001"
# The columns that AWS documents for tables over log files, as far as the queries read them.
RECORD = """STRUCT(
    userIdentity STRUCT(
        arn VARCHAR, principalId VARCHAR, accountId VARCHAR,
        sessionContext STRUCT(sessionIssuer STRUCT(arn VARCHAR), ec2RoleDelivery VARCHAR)),
    eventTime {time}, eventSource VARCHAR, userAgent VARCHAR, eventID VARCHAR, sharedEventID VARCHAR)"""
COLUMNS = ("accountId", "roleArn", "instanceId", "userAgent", "calls", "firstSeen", "lastSeen", "services")


def imdsv2(*arguments):
    completed = subprocess.run([IMDSV2, "callers", *arguments], capture_output=True, text=True, check=False)
    assert completed.returncode < 2, completed.stderr
    return completed.stdout


def of_our_own(*arguments):
    """Our rows. Services are a string in SQL."""
    callers = json.loads(imdsv2("--format", "json", *arguments))["callers"]
    return [caller | {"services": " ".join(caller["services"])} for caller in callers]


def of_the_query(sql, dialect, files, time="VARCHAR"):
    connection = duckdb.connect()
    columns = f"columns = {{Records: '{RECORD.format(time=time)}[]'}}"
    connection.execute(
        "CREATE VIEW cloudtrail_logs AS SELECT record.* "
        f"FROM (SELECT unnest(Records) AS record FROM read_json({[str(file) for file in files]}, {columns}))"
    )
    (rewritten,) = sqlglot.transpile(sql, read=dialect, write="duckdb")
    found = connection.execute(rewritten)
    names = [column[0] for column in found.description]
    return [dict(zip(names, map(spelled, row), strict=True)) for row in found.fetchall()]


def spelled(value):
    return f"{value.isoformat()}Z" if hasattr(value, "isoformat") else value


def sorted_rows(rows, columns):
    picked = [{name: row[name] for name in columns} for row in rows]
    return sorted(picked, key=lambda row: [str(row[name]) for name in columns])


@pytest.fixture(scope="module")
def day():
    return EXAMPLES / "cloudtrail"


@pytest.fixture(scope="module")
def trail(tmp_path_factory):
    """Files with many calls of few instances."""
    directory = tmp_path_factory.mktemp("trail")
    write_trail(directory, files=5, records=400)
    # Calls without an id cannot be recognized as duplicates: each counts.
    (log_file,) = (EXAMPLES / "cloudtrail").rglob("*_20261120T0510Z_*.json")
    records = json.loads(log_file.read_text())["Records"]
    for record in records:
        del record["eventID"]
    (directory / "without-ids.json").write_text(json.dumps({"Records": records + records}))
    return directory


def log_files(directory):
    return [path for path in directory.rglob("*.json*") if "Digest" not in str(path)]


@pytest.mark.parametrize("source", ["day", "trail"])
@pytest.mark.parametrize(
    ("options", "columns"),
    [
        ([], COLUMNS),
        (["--group-by", "role"], [name for name in COLUMNS if name not in ("instanceId", "userAgent")]),
        (["--group-by", "instance"], [name for name in COLUMNS if name != "userAgent"]),
        (["--group-by", "agent"], COLUMNS[3:]),
    ],
)
def test_athena_returns_our_rows(request, source, options, columns):
    directory = request.getfixturevalue(source)
    rows = of_the_query(imdsv2("--print-athena-sql", *options), "athena", log_files(directory))
    assert [list(row) for row in rows[:1]] == [list(columns)]
    assert rows[0]["calls"] == max(row["calls"] for row in rows)
    ours = of_our_own(*options, str(directory))
    assert len(rows) > 1
    assert sorted_rows(rows, columns) == sorted_rows(ours, columns)


def test_cloudtrail_lake_returns_our_rows(day):
    sql = imdsv2("--print-lake-sql", DATA_STORE)
    assert f"FROM {DATA_STORE}\n" in sql
    sql = sql.replace(DATA_STORE, "cloudtrail_logs")
    rows = of_the_query(sql, "presto", log_files(day), time="TIMESTAMP")
    assert sorted_rows(rows, COLUMNS) == sorted_rows(of_our_own(str(day)), COLUMNS)


def test_the_suggested_limit_is_a_condition():
    """Without the comment marks, the suggestion is part of the query."""
    for option, dialect in (("--print-athena-sql=audit.logs", "athena"), ("--print-lake-sql", "presto")):
        arguments = [option] if "=" in option else [option, DATA_STORE]
        sql = imdsv2(*arguments).replace("-- AND", "AND").replace(DATA_STORE, "events")
        (conditions,) = sqlglot.parse_one(sql, read=dialect).find_all(sqlglot.exp.And)
        assert "2026" in conditions.sql(dialect=dialect)
