//! The JSON output of a scan, as far as it is read again.

use std::path::Path;

use anyhow::Context;
use serde::Deserialize;

use super::text;
use crate::rule::resource::Location;
use crate::rule::verdict::Compliance;

/// The JSON output of a scan.
#[derive(Deserialize)]
pub(crate) struct ScanOutput {
    evaluations: Vec<Evaluation>,
    summary: Option<Counts>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Counts {
    non_compliant: usize,
}

/// An evaluation in the output.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Evaluation {
    pub(crate) resource_type: String,
    pub(crate) resource_id: String,
    account_id: Option<String>,
    region: Option<String>,
    /// The file that declares the resource.
    pub(crate) file: Option<String>,
    compliance: String,
}

impl Evaluation {
    /// Returns the account and Region, if both are known.
    pub(crate) fn location(&self) -> Option<Location> {
        let (account_id, region) = (self.account_id.clone()?, self.region.clone()?);
        Some(Location { account_id, region })
    }
}

impl ScanOutput {
    /// Reads a file that `imdsv2 scan --format json` wrote; `-` is standard input.
    ///
    /// # Errors
    /// Returns an error that names the file, if it cannot be read or is something else.
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let json = text::read(path)?;
        serde_json::from_str(&json)
            .with_context(|| format!("{}: not the output of `imdsv2 scan --format json`", path.display()))
    }

    /// Returns whether the scan found non-compliant resources that it did not write.
    pub(crate) fn is_limited(&self) -> bool {
        let written = self.evaluations.iter().filter(|each| each.compliance == NON_COMPLIANT).count();
        self.summary.as_ref().is_some_and(|summary| summary.non_compliant > written)
    }

    /// Returns the evaluations of non-compliant resources.
    pub(crate) fn into_non_compliant(self) -> impl Iterator<Item = Evaluation> {
        self.evaluations.into_iter().filter(|each| each.compliance == NON_COMPLIANT)
    }
}

const NON_COMPLIANT: &str = Compliance::NonCompliant.as_str();
