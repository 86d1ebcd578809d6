//! JSON: one object with a list that is written as it grows, one element on each line.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::json;

use super::{Finding, Output};
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
        let head = serde_json::to_string(head)?;
        let fields = head.strip_suffix('}').unwrap_or(&head);
        let comma = if fields == "{" { "" } else { "," };
        Ok(Self { writer, before: format!("{fields}{comma}\"{list}\":["), is_empty: true })
    }

    /// Writes the next element.
    pub(crate) fn element(&mut self, element: &impl Serialize) -> io::Result<()> {
        self.writer.write_all(if self.is_empty { self.before.as_bytes() } else { b"," })?;
        self.writer.write_all(b"\n")?;
        self.is_empty = false;
        serde_json::to_writer(&mut self.writer, element)?;
        Ok(())
    }

    /// Ends the list, and then the object with the fields of `rest`.
    pub(crate) fn end(&mut self, rest: &impl Serialize) -> io::Result<()> {
        self.writer.write_all(if self.is_empty { self.before.as_bytes() } else { b"\n" })?;
        let rest = serde_json::to_string(rest)?;
        writeln!(self.writer, "],\n{}", rest.strip_prefix('{').unwrap_or(&rest))?;
        self.writer.flush()
    }
}

impl<W: Write> Output for JsonList<W> {
    fn finding(&mut self, finding: &Finding<'_>) -> io::Result<()> {
        self.element(finding)
    }

    fn finish(&mut self, summary: &Summary, _: &[String]) -> io::Result<()> {
        self.end(&json!({"summary": summary}))
    }
}
