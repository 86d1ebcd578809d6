//! SARIF 2.1.0, for code scanning: a result for each non-compliant resource
//! (<https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html>).
//!
//! Code scanning shows every result as a problem, so compliant resources have none.

use std::io::{self, Write};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;

use super::checks::{CHECKS, Check, GUIDE, REMEDIATION};
use super::json::JsonList;
use super::{Conclusion, Finding, Output};
use crate::rule::verdict::{Compliance, Summary};

/// What a path may contain in a URI (RFC 3986).
const IN_PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'.').remove(b'_').remove(b'~');

pub(super) struct Sarif<W> {
    results: JsonList<W>,
}

impl<W: Write> Sarif<W> {
    /// Begins the log.
    pub(super) fn begin(mut writer: W) -> io::Result<Self> {
        writer.write_all(
            b"{\"$schema\":\"https://json.schemastore.org/sarif-2.1.0.json\",\"version\":\"2.1.0\",\"runs\":[\n",
        )?;
        let rules = CHECKS.iter().map(Rule::of).collect();
        let driver = Driver { name: "imdsv2", version: env!("CARGO_PKG_VERSION"), rules };
        let head = Run { tool: Tool { driver }, column_kind: "utf16CodeUnits" };
        Ok(Self { results: JsonList::new(writer, &head, "results")? })
    }
}

impl<W: Write> Output for Sarif<W> {
    fn finding(&mut self, finding: &Finding<'_>) -> io::Result<()> {
        let Some((rule_index, check)) = Check::of(&finding.resource_type) else { return Ok(()) };
        if finding.compliance != Compliance::NonCompliant {
            return Ok(());
        }
        self.results.element(&SarifResult::of(finding, check, rule_index))
    }

    fn finish(&mut self, conclusion: &Conclusion<'_>) -> io::Result<()> {
        let notifications = conclusion.failures.iter();
        let notifications = notifications
            .map(|failure| Notification { level: "error", message: Text { text: failure } })
            .collect();
        self.results.end(&RunEnd {
            invocations: [Invocation {
                execution_successful: conclusion.failures.is_empty(),
                tool_execution_notifications: notifications,
            }],
            properties: RunProperties { summary: conclusion.summary },
        })?;
        self.results.writer.write_all(b"]}\n")?;
        self.results.writer.flush()
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Run {
    tool: Tool,
    column_kind: &'static str,
}

#[derive(Serialize)]
struct Tool {
    driver: Driver,
}

#[derive(Serialize)]
struct Driver {
    name: &'static str,
    version: &'static str,
    rules: Vec<Rule>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Rule {
    id: &'static str,
    short_description: Text<'static>,
    help_uri: &'static str,
    help: Text<'static>,
    default_configuration: Level,
    properties: RuleProperties,
}

#[derive(Serialize)]
struct Level {
    level: &'static str,
}

#[derive(Serialize)]
struct RuleProperties {
    /// The requirements that the rule answers.
    tags: Vec<&'static str>,
    /// The severity in code scanning, from 0.0 to 10.0: high
    /// (<https://docs.github.com/en/code-security/code-scanning/integrating-with-code-scanning/sarif-support-for-code-scanning>).
    #[serde(rename = "security-severity")]
    security_severity: &'static str,
}

impl Rule {
    fn of(check: &Check) -> Self {
        let control = check.control();
        let names = control.into_iter().flat_map(|control| control.requirement_names());
        let tags = ["security"].into_iter().chain(control.map(|control| control.id)).chain(names).collect();
        Self {
            id: check.id,
            short_description: Text { text: check.title },
            help_uri: GUIDE,
            help: Text { text: REMEDIATION },
            default_configuration: Level { level: "error" },
            properties: RuleProperties { tags, security_severity: "7.5" },
        }
    }
}

#[derive(Serialize)]
struct Text<'a> {
    text: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SarifResult<'a> {
    rule_id: &'static str,
    rule_index: usize,
    level: &'static str,
    message: Message,
    locations: [Location<'a>; 1],
    partial_fingerprints: Fingerprints,
}

#[derive(Serialize)]
struct Message {
    text: String,
}

#[derive(Serialize)]
struct Fingerprints {
    /// The same in every run, wherever in its file the resource is.
    #[serde(rename = "resource/v1")]
    resource: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Location<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    physical_location: Option<PhysicalLocation>,
    logical_locations: [LogicalLocation<'a>; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PhysicalLocation {
    artifact_location: ArtifactLocation,
    region: Region,
}

#[derive(Serialize)]
struct ArtifactLocation {
    uri: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Region {
    start_line: usize,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LogicalLocation<'a> {
    name: &'a str,
    fully_qualified_name: String,
    kind: &'static str,
}

impl<'a> SarifResult<'a> {
    fn of(finding: &'a Finding<'_>, check: &Check, rule_index: usize) -> Self {
        let (id, resource_type) = (finding.resource_id.as_ref(), finding.resource_type.as_ref());
        let physical_location = finding.input.as_deref().map(|path| PhysicalLocation {
            artifact_location: ArtifactLocation { uri: uri(path) },
            // Code scanning shows no result without a line.
            region: Region { start_line: finding.line.unwrap_or(1) },
        });
        let logical =
            LogicalLocation { name: id, fully_qualified_name: finding.stable_id(), kind: "resource" };
        Self {
            rule_id: check.id,
            rule_index,
            level: "error",
            message: Message { text: format!("{resource_type} {id}: {}", finding.annotation) },
            locations: [Location { physical_location, logical_locations: [logical] }],
            partial_fingerprints: Fingerprints { resource: finding.stable_id() },
        }
    }
}

/// The fields that end the run.
#[derive(Serialize)]
struct RunEnd<'a> {
    invocations: [Invocation<'a>; 1],
    properties: RunProperties,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Invocation<'a> {
    /// Whether everything was read.
    execution_successful: bool,
    tool_execution_notifications: Vec<Notification<'a>>,
}

#[derive(Serialize)]
struct Notification<'a> {
    level: &'static str,
    message: Text<'a>,
}

#[derive(Serialize)]
struct RunProperties {
    summary: Summary,
}

/// Returns the URI of a file: relative, if the path is.
fn uri(path: &str) -> String {
    let scheme = if path.starts_with('/') { "file://" } else { "" };
    let path = path.strip_prefix("./").unwrap_or(path);
    format!("{scheme}{}", utf8_percent_encode(path, IN_PATH))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_become_uris() {
        for (path, expected) in [
            ("infra/web.yaml", "infra/web.yaml"),
            ("./web.yaml", "web.yaml"),
            ("/srv/a b#ü.yaml", "file:///srv/a%20b%23%C3%BC.yaml"),
        ] {
            assert_eq!(uri(path), expected);
        }
    }
}
