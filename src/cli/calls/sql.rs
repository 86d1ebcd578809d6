//! The query for who uses IMDSv1, as SQL: for trails that are too large for one machine.

use anyhow::ensure;

use super::groups::GroupBy;

/// What is queried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// A table of Athena over the log files of a trail, with the columns that AWS documents
    /// (<https://docs.aws.amazon.com/athena/latest/ug/create-cloudtrail-table-partition-projection.html>).
    AthenaTable(String),
    /// An event data store of CloudTrail Lake
    /// (<https://docs.aws.amazon.com/awscloudtrail/latest/userguide/query-supported-event-schemas.html>).
    EventDataStore(String),
}

impl Source {
    /// Parses the name of a table, with or without its catalog and database.
    pub(crate) fn athena_table(name: &str) -> anyhow::Result<Self> {
        let is_name = |part: &str| {
            !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        };
        ensure!(
            name.split('.').count() <= 3 && name.split('.').all(is_name),
            "invalid table \"{name}\": expected TABLE or DATABASE.TABLE, of letters, digits and underscores"
        );
        Ok(Self::AthenaTable(name.to_owned()))
    }

    /// Parses the id of an event data store: a UUID, or an ARN that ends with one.
    pub(crate) fn event_data_store(id: &str) -> anyhow::Result<Self> {
        let uuid = id.rsplit_once('/').map_or(id, |(_, uuid)| uuid);
        let lengths: Vec<_> = uuid.split('-').map(str::len).collect();
        ensure!(
            lengths == [8, 4, 4, 4, 12] && uuid.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-'),
            "invalid event data store \"{id}\": expected its id, such as 1f7a3f6e-0000-4000-8000-000000000001"
        );
        Ok(Self::EventDataStore(uuid.to_owned()))
    }

    /// Returns the query. Its rows are those of `imdsv2 callers`, without what is derived from user agents.
    pub(crate) fn query(&self, group_by: Option<GroupBy>) -> String {
        let groups = groups(group_by);
        let columns: Vec<_> = groups.iter().chain(&COUNTS).map(|column| format!("  {column}")).collect();
        let numbers: Vec<_> = (1..=groups.len()).map(|number| number.to_string()).collect();
        let (table, period) = match self {
            Self::AthenaTable(table) => (
                table,
                "-- Athena charges for what it reads: limit the time by the partition of your table, for example\n  \
                 -- AND timestamp >= '2026/11/01'",
            ),
            Self::EventDataStore(id) => (
                id,
                "-- CloudTrail Lake charges for what it reads: limit the time, for example\n  \
                 -- AND eventtime >= '2026-11-01 00:00:00'",
            ),
        };
        format!(
            "SELECT\n{}\nFROM {table}\nWHERE useridentity.sessioncontext.ec2roledelivery = '1.0'\n  {period}\n\
             GROUP BY {}\nORDER BY calls DESC\n",
            columns.join(",\n"),
            numbers.join(", "),
        )
    }
}

const ACCOUNT: &str = "useridentity.accountid AS accountId";
const ROLE: &str = "useridentity.sessioncontext.sessionissuer.arn AS roleArn";
const INSTANCE: &str = "coalesce(regexp_extract(useridentity.arn, '/(i-[0-9a-f]+)$', 1), \
                        regexp_extract(useridentity.principalid, ':(i-[0-9a-f]+)$', 1)) AS instanceId";
const AGENT: &str = "useragent AS userAgent";
/// A call between accounts is recorded in both, with one `sharedEventID`.
const COUNTS: [&str; 4] = [
    "count(DISTINCT coalesce(sharedeventid, eventid)) + count_if(coalesce(sharedeventid, eventid) IS NULL) AS calls",
    "min(eventtime) AS firstSeen",
    "max(eventtime) AS lastSeen",
    "array_join(array_sort(array_agg(DISTINCT split_part(eventsource, '.', 1))), ' ') AS services",
];

fn groups(group_by: Option<GroupBy>) -> Vec<&'static str> {
    match group_by {
        None => vec![ACCOUNT, ROLE, INSTANCE, AGENT],
        Some(GroupBy::Role) => vec![ACCOUNT, ROLE],
        Some(GroupBy::Agent) => vec![AGENT],
        Some(GroupBy::Instance) => vec![ACCOUNT, ROLE, INSTANCE],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_contain_sql() {
        for name in ["cloudtrail_logs", "audit.cloudtrail_logs", "AwsDataCatalog.audit.logs"] {
            assert!(Source::athena_table(name).is_ok(), "{name}");
        }
        for name in ["", "a.b.c.d", "a.", "logs; DROP TABLE x", "a b", "logs\"", "logs--"] {
            assert!(Source::athena_table(name).is_err(), "{name}");
        }
        let id = "1f7a3f6e-0000-4000-8000-000000000001";
        let arn = format!("arn:aws:cloudtrail:eu-west-1:123456789012:eventdatastore/{id}");
        for name in [id, &arn] {
            assert_eq!(Source::event_data_store(name).expect("valid"), Source::EventDataStore(id.to_owned()));
        }
        for name in ["", "x", "1f7a3f6e-0000-4000-8000-00000000000g", "1f7a3f6e0000400080000000000000000001"]
        {
            assert!(Source::event_data_store(name).is_err(), "{name}");
        }
    }
}
