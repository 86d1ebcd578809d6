//! JSON: one object, whose list of evaluations streams, an evaluation a line.

use std::io::{self, Write};

use super::{Evaluation, Output};
use crate::verdict::Summary;

pub(super) struct Json<W> {
    writer: W,
    empty: bool,
}

impl<W> Json<W> {
    pub(super) fn new(writer: W) -> Self {
        Self { writer, empty: true }
    }
}

impl<W: Write> Output for Json<W> {
    fn evaluation(&mut self, evaluation: &Evaluation<'_>) -> io::Result<()> {
        self.writer.write_all(if self.empty { b"{\"evaluations\":[\n" } else { b",\n" })?;
        self.empty = false;
        serde_json::to_writer(&mut self.writer, evaluation)?;
        Ok(())
    }

    fn finish(&mut self, summary: &Summary) -> io::Result<()> {
        self.writer.write_all(if self.empty { b"{\"evaluations\":[],\n" } else { b"\n],\n" })?;
        self.writer.write_all(b"\"summary\":")?;
        serde_json::to_writer(&mut self.writer, summary)?;
        self.writer.write_all(b"}\n")?;
        self.writer.flush()
    }
}
