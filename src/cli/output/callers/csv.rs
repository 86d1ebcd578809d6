//! CSV (RFC 4180), with a header line.

use std::io::{self, Write};

use super::CallerRow;
use crate::cli::output::csv::cell;

const HEADER: [&str; 13] = [
    "accountId",
    "roleArn",
    "instanceId",
    "userAgent",
    "sdk",
    "sdkVersion",
    "sdkSupportsImdsv2",
    "calls",
    "firstSeen",
    "lastSeen",
    "services",
    "finding",
    "advice",
];

pub(super) fn write(writer: impl Write, rows: &[CallerRow<'_>]) -> io::Result<()> {
    let mut csv = csv::Writer::from_writer(writer);
    csv.write_record(HEADER)?;
    for row in rows {
        let supports = row.sdk_supports_imdsv2.map_or("", |supports| if supports { "true" } else { "false" });
        let (calls, services) = (row.calls.to_string(), row.services.join(" "));
        let fields: [&str; HEADER.len()] = [
            row.account_id.unwrap_or_default(),
            row.role_arn.unwrap_or_default(),
            row.instance_id.unwrap_or_default(),
            row.user_agent.unwrap_or_default(),
            row.sdk.unwrap_or_default(),
            row.sdk_version.unwrap_or_default(),
            supports,
            &calls,
            row.first_seen.as_deref().unwrap_or_default(),
            row.last_seen.as_deref().unwrap_or_default(),
            &services,
            row.finding.unwrap_or_default(),
            row.advice.as_deref().unwrap_or_default(),
        ];
        csv.write_record(fields.map(|field| cell(field).into_owned()))?;
    }
    csv.flush()
}
