//! JSON: one object with the callers, one on each line, and a summary.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::json;

use super::CallerRow;
use crate::cli::calls::groups::CallersSummary;
use crate::cli::output::json::JsonList;

#[derive(Serialize)]
struct Rest {
    summary: CallersSummary,
}

pub(super) fn write(writer: impl Write, rows: &[CallerRow<'_>], summary: CallersSummary) -> io::Result<()> {
    let mut list = JsonList::new(writer, &json!({}), "callers")?;
    for row in rows {
        list.element(row)?;
    }
    list.end(&Rest { summary })
}
