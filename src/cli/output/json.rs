//! JSON: one object, with a list that streams, an element a line.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::json;

use super::{Evaluation, Output};
use crate::rule::verdict::Summary;

/// An object of which a list is written while it grows.
pub(crate) struct Json<W> {
    pub(crate) writer: W,
    /// What goes before the list's first element.
    before: String,
    empty: bool,
}

impl<W: Write> Json<W> {
    /// An object with the fields of `head`, and then the list.
    pub(crate) fn new(writer: W, head: &impl Serialize, list: &str) -> io::Result<Self> {
        let head = serde_json::to_string(head)?;
        let fields = head.strip_suffix('}').unwrap_or(&head);
        let comma = if fields == "{" { "" } else { "," };
        Ok(Self { writer, before: format!("{fields}{comma}\"{list}\":["), empty: true })
    }

    /// Writes the next element.
    pub(crate) fn element(&mut self, element: &impl Serialize) -> io::Result<()> {
        self.writer.write_all(if self.empty { self.before.as_bytes() } else { b"," })?;
        self.writer.write_all(b"\n")?;
        self.empty = false;
        serde_json::to_writer(&mut self.writer, element)?;
        Ok(())
    }

    /// Ends the list, and the object with the fields of `rest`.
    pub(crate) fn end(&mut self, rest: &impl Serialize) -> io::Result<()> {
        self.writer.write_all(if self.empty { self.before.as_bytes() } else { b"\n" })?;
        let rest = serde_json::to_string(rest)?;
        writeln!(self.writer, "],\n{}", rest.strip_prefix('{').unwrap_or(&rest))?;
        self.writer.flush()
    }
}

impl<W: Write> Output for Json<W> {
    fn evaluation(&mut self, evaluation: &Evaluation<'_>) -> io::Result<()> {
        self.element(evaluation)
    }

    fn finish(&mut self, summary: &Summary, _: &[String]) -> io::Result<()> {
        self.end(&json!({"summary": summary}))
    }
}
