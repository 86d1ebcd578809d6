//! JSON: one object with a list that is written as it grows, one element on each line.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::Formatter;

use super::terminated::Terminated;
use super::{Conclusion, Finding, Output};
use crate::cli::comparison::ComparisonSummary;
use crate::rule::printable::is_invisible;
use crate::rule::verdict::Summary;

/// An object with a list that is written as it grows.
pub(crate) struct JsonList<W> {
    pub(crate) writer: W,
    /// What precedes the first element.
    before: String,
    is_empty: bool,
}

impl<W: Write> JsonList<W> {
    /// Begins an object with the fields of `head`, followed by the list.
    pub(crate) fn new(writer: W, head: &impl Serialize, list: &str) -> io::Result<Self> {
        let mut json = Vec::new();
        write(&mut json, head)?;
        let head = String::from_utf8(json).map_err(io::Error::other)?;
        let fields = head.strip_suffix('}').unwrap_or(&head);
        let comma = if fields == "{" { "" } else { "," };
        Ok(Self { writer, before: format!("{fields}{comma}\"{list}\":["), is_empty: true })
    }

    /// Writes the next element.
    pub(crate) fn element(&mut self, element: &impl Serialize) -> io::Result<()> {
        self.writer.write_all(if self.is_empty { self.before.as_bytes() } else { b"," })?;
        self.writer.write_all(b"\n")?;
        self.is_empty = false;
        write(&mut self.writer, element)
    }

    /// Ends the list, and then the object with the fields of `rest`.
    pub(crate) fn end(&mut self, rest: &impl Serialize) -> io::Result<()> {
        self.writer.write_all(if self.is_empty { self.before.as_bytes() } else { b"\n" })?;
        let mut json = Vec::new();
        write(&mut json, rest)?;
        self.writer.write_all(b"],\n")?;
        self.writer.write_all(json.strip_prefix(b"{").unwrap_or(&json))?;
        self.writer.write_all(b"\n")?;
        self.writer.flush()
    }
}

impl<W: Write> Output for JsonList<W> {
    fn finding(&mut self, finding: &Finding<'_>) -> io::Result<()> {
        self.element(finding)
    }

    fn finish(&mut self, conclusion: &Conclusion<'_>) -> io::Result<()> {
        let Conclusion { summary, comparison, terminated, .. } = *conclusion;
        self.end(&Rest { comparison, terminated, summary })
    }
}

/// The fields that end the output.
#[derive(Serialize)]
struct Rest<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    comparison: Option<&'a ComparisonSummary>,
    /// The terminated instances that made IMDSv1 calls, if they were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    terminated: Option<&'a [Terminated]>,
    summary: Summary,
}

/// Writes a value as JSON that is safe to show: what is not displayed, or changes how the text around it is
/// displayed, is escaped.
pub(super) fn write(writer: impl Write, value: &impl Serialize) -> io::Result<()> {
    let mut serializer = serde_json::Serializer::with_formatter(writer, Printable);
    Ok(value.serialize(&mut serializer)?)
}

/// Formats JSON as `serde_json` does, with more escapes in strings.
struct Printable;

impl Formatter for Printable {
    fn write_string_fragment<W: ?Sized + Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        let mut rest = fragment;
        while let Some((start, c)) = rest.char_indices().find(|(_, c)| is_invisible(*c)) {
            let (before, from) = rest.split_at(start);
            writer.write_all(before.as_bytes())?;
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(writer, "\\u{unit:04x}")?;
            }
            rest = from.strip_prefix(c).unwrap_or_default();
        }
        writer.write_all(rest.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_not_displayed_is_escaped() {
        let text = "é \u{1b}[2J \u{9b}\u{202e}\" \u{e0041}!";
        let mut json = Vec::new();
        write(&mut json, &json!({"id": text})).expect("written");
        let json = String::from_utf8(json).expect("UTF-8");
        assert_eq!(json, r#"{"id":"é \u001b[2J \u009b\u202e\" \udb40\udc41!"}"#);
        assert_eq!(serde_json::from_str::<serde_json::Value>(&json).expect("JSON"), json!({"id": text}));
    }
}
