//! CSV (RFC 4180), with a header line.

use std::io::{self, Write};

use super::{Evaluation, Output};
use crate::rule::verdict::Summary;

const HEADER: [&str; 6] = ["resourceType", "resourceId", "accountId", "region", "compliance", "annotation"];
const USAGE_HEADER: [&str; 2] = ["imdsv1Use", "imdsv1Calls"];

pub(crate) struct Csv<W: Write> {
    writer: csv::Writer<W>,
    with_usage: bool,
    begun: bool,
}

impl<W: Write> Csv<W> {
    pub(crate) fn new(writer: W, with_usage: bool) -> Self {
        Self { writer: csv::Writer::from_writer(writer), with_usage, begun: false }
    }

    fn header(&mut self) -> io::Result<()> {
        if !self.begun {
            self.begun = true;
            let usage = if self.with_usage { USAGE_HEADER.as_slice() } else { &[] };
            self.writer.write_record(HEADER.iter().chain(usage))?;
        }
        Ok(())
    }
}

impl<W: Write> Output for Csv<W> {
    fn evaluation(&mut self, evaluation: &Evaluation<'_>) -> io::Result<()> {
        self.header()?;
        let fields = [
            evaluation.resource_type,
            evaluation.resource_id,
            evaluation.account_id.unwrap_or_default(),
            evaluation.region.unwrap_or_default(),
            evaluation.compliance.as_str(),
            evaluation.annotation,
        ];
        for field in fields {
            self.writer.write_field(field)?;
        }
        if self.with_usage {
            self.writer.write_field(evaluation.imdsv1_use.unwrap_or_default())?;
            let calls = evaluation.imdsv1_calls.map(|calls| calls.to_string());
            self.writer.write_field(calls.unwrap_or_default())?;
        }
        self.writer.write_record(None::<&[u8]>)?;
        Ok(())
    }

    fn finish(&mut self, _: &Summary, _: &[String]) -> io::Result<()> {
        self.header()?;
        self.writer.flush()
    }
}
