//! The report for people: one page that needs no network. The page reads the very JSON of `--format json`.

use std::io::{self, Write};

use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::json::Json;
use super::{Evaluation, Output};
use crate::rule::policy::Policy;
use crate::rule::verdict::Summary;

const PAGE: &str = include_str!("report.html");
/// Where the data goes.
const MARKER: &str = "<!-- DATA -->";

pub(crate) struct Html<W> {
    json: Json<InScript<W>>,
    /// What the page has, which is what the rule judges.
    shown: Summary,
    others: u64,
}

/// What the data ends with.
#[derive(Serialize)]
struct Rest<'a> {
    /// Resources of types that the rule does not judge.
    others: u64,
    failures: &'a [String],
    summary: &'a Summary,
}

impl<W: Write> Html<W> {
    /// Begins the page, for verdicts by this policy.
    pub(crate) fn begin(mut writer: W, policy: &Policy) -> io::Result<Self> {
        let (before, _) = parts();
        write!(writer, "{before}<script type=\"application/json\" id=\"data\">")?;
        let now = OffsetDateTime::now_utc();
        let now = now.replace_nanosecond(0).unwrap_or(now).format(&Rfc3339).map_err(io::Error::other)?;
        let head = serde_json::json!({"generated": now, "parameters": policy.rule_parameters()});
        let json = Json::new(InScript(writer), &head, "evaluations")?;
        Ok(Self { json, shown: Summary::default(), others: 0 })
    }
}

impl<W: Write> Output for Html<W> {
    fn evaluation(&mut self, evaluation: &Evaluation<'_>) -> io::Result<()> {
        if !evaluation.is_judged_type {
            self.others += 1;
            return Ok(());
        }
        self.shown.count(evaluation.compliance);
        self.json.element(evaluation)
    }

    fn finish(&mut self, _: &Summary, failures: &[String]) -> io::Result<()> {
        self.json.end(&Rest { others: self.others, failures, summary: &self.shown })?;
        let (_, after) = parts();
        let writer = &mut self.json.writer.0;
        write!(writer, "</script>{after}")?;
        writer.flush()
    }
}

/// The page before and after the data.
fn parts() -> (&'static str, &'static str) {
    PAGE.split_once(MARKER).unwrap_or((PAGE, ""))
}

/// Writes JSON where HTML would see an end tag in it: `<` stands in strings only, and JSON has another
/// way to write it.
struct InScript<W>(W);

impl<W: Write> Write for InScript<W> {
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
    fn no_tag_gets_out_of_the_data() {
        let mut script = InScript(Vec::new());
        script.write_all(br#"{"resourceId":"</script><!-- i"}"#).expect("written");
        assert_eq!(script.0, br#"{"resourceId":"\u003c/script>\u003c!-- i"}"#);
    }
}
