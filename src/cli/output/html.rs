//! The report: one page that needs no network. It embeds the JSON of `--format json`.

use std::io::{self, Write};

use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::json::JsonList;
use super::sources::{Source, Sources};
use super::{Basis, Conclusion, Finding, Output};
use crate::cli::comparison::ComparisonSummary;
use crate::rule::controls::{CONTROLS, Control};
use crate::rule::verdict::Summary;

const PAGE: &str = include_str!("report.html");
/// The place of the data in the page.
const MARKER: &str = "<!-- DATA -->";

pub(crate) struct Html<W> {
    json: JsonList<ScriptEscaped<W>>,
    sources: Sources,
    /// The number of resources of types that the rule does not evaluate.
    others: u64,
}

/// The fields that end the data.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Rest<'a> {
    /// The number of resources of types that the rule does not evaluate.
    others: u64,
    /// The number of resources that are not shown.
    left_out: u64,
    failures: &'a [String],
    /// What launches instances, where there is something to do.
    sources: Vec<Source>,
    /// The verdicts on resources of types that the rule evaluates, whether they are shown or not.
    summary: Summary,
    /// What changed since an earlier scan, if there is one to compare with.
    comparison: Option<&'a ComparisonSummary>,
}

impl<W: Write> Html<W> {
    /// Begins the page.
    pub(crate) fn begin(mut writer: W, basis: Basis<'_>) -> io::Result<Self> {
        let (before, _) = parts();
        write!(writer, "{before}<script type=\"application/json\" id=\"data\">")?;
        let now = OffsetDateTime::now_utc();
        let now = now.replace_nanosecond(0).unwrap_or(now).format(&Rfc3339).map_err(io::Error::other)?;
        let Basis { policy, usage_days, .. } = basis;
        let head = serde_json::json!({
            "generated": now, "parameters": policy.rule_parameters(), "usageDays": usage_days,
            "requirements": requirements(),
        });
        let json = JsonList::new(ScriptEscaped(writer), &head, "evaluations")?;
        Ok(Self { json, sources: Sources::default(), others: 0 })
    }
}

impl<W: Write> Output for Html<W> {
    fn finding(&mut self, finding: &Finding<'_>) -> io::Result<()> {
        if !finding.is_judged_type {
            self.others += 1;
            return Ok(());
        }
        self.sources.add(finding);
        self.json.element(finding)
    }

    fn left_out(&mut self, finding: &Finding<'_>) {
        self.sources.add(finding);
    }

    fn finish(&mut self, conclusion: &Conclusion<'_>) -> io::Result<()> {
        let Conclusion { mut summary, failures, comparison, terminated, left_out } = *conclusion;
        self.sources.add_terminated(terminated);
        summary.not_applicable = summary.not_applicable.saturating_sub(self.others);
        let (sources, _) = std::mem::take(&mut self.sources).into_open();
        self.json.end(&Rest { others: self.others, left_out, failures, sources, summary, comparison })?;
        let (_, after) = parts();
        let writer = &mut self.json.writer.0;
        write!(writer, "</script>{after}")?;
        writer.flush()
    }
}

/// Returns the requirements that each control of Security Hub answers, by its id and the type of its resources.
fn requirements() -> Vec<serde_json::Value> {
    let control = |control: &Control| {
        let names: Vec<_> = control.requirement_names().collect();
        serde_json::json!({"control": control.id, "resourceType": control.resource_type, "requirements": names})
    };
    CONTROLS.iter().map(control).collect()
}

/// Returns the page before and after the data.
fn parts() -> (&'static str, &'static str) {
    PAGE.split_once(MARKER).unwrap_or((PAGE, ""))
}

/// Writes JSON inside a script element, so that no text in it can end the element. In JSON, `<` occurs in
/// strings only, where it can be escaped.
struct ScriptEscaped<W>(W);

impl<W: Write> Write for ScriptEscaped<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for (number, part) in bytes.split(|byte| *byte == b'<').enumerate() {
            if number > 0 {
                self.0.write_all(b"\\u003c")?;
            }
            self.0.write_all(part)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_a_place_for_the_data() {
        assert_eq!(PAGE.matches(MARKER).count(), 1);
    }

    #[test]
    fn no_tag_ends_the_script_element() {
        let mut script = ScriptEscaped(Vec::new());
        script.write_all(br#"{"resourceId":"</script><!-- i"}"#).expect("written");
        assert_eq!(script.0, br#"{"resourceId":"\u003c/script>\u003c!-- i"}"#);
    }
}
