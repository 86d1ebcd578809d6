//! CSV (RFC 4180), with a header line.

use std::io::{self, Write};

use super::{Evaluation, Output};
use crate::verdict::Summary;

const HEADER: [&str; 6] = ["resourceType", "resourceId", "accountId", "region", "compliance", "annotation"];

pub(super) struct Csv<W: Write> {
    writer: csv::Writer<W>,
    begun: bool,
}

impl<W: Write> Csv<W> {
    pub(super) fn new(writer: W) -> Self {
        Self { writer: csv::Writer::from_writer(writer), begun: false }
    }

    fn header(&mut self) -> io::Result<()> {
        if !self.begun {
            self.begun = true;
            self.writer.write_record(HEADER)?;
        }
        Ok(())
    }
}

impl<W: Write> Output for Csv<W> {
    fn evaluation(&mut self, evaluation: &Evaluation<'_>) -> io::Result<()> {
        self.header()?;
        self.writer.write_record([
            evaluation.resource_type,
            evaluation.resource_id,
            evaluation.account_id.unwrap_or_default(),
            evaluation.region.unwrap_or_default(),
            evaluation.compliance.as_str(),
            evaluation.annotation,
        ])?;
        Ok(())
    }

    fn finish(&mut self, _: &Summary) -> io::Result<()> {
        self.header()?;
        self.writer.flush()
    }
}
