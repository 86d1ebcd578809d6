//! Compliance findings of the Open Cybersecurity Schema Framework (class 2003), a JSON object on each line: for Security Lake
//! and the newer Security Hub (<https://schema.ocsf.io/1.3.0/classes/compliance_finding>).

use std::io::{self, Write};

use serde::Serialize;
use time::OffsetDateTime;

use super::checks::{Check, GUIDE, REMEDIATION};
use super::{Conclusion, Finding, Output};
use crate::rule::verdict::Compliance;

/// The newest version that Security Lake takes. The findings are also valid in the later ones
/// (<https://docs.aws.amazon.com/security-lake/latest/userguide/open-cybersecurity-schema-framework.html>).
const VERSION: &str = "1.3.0";
const FINDINGS: u32 = 2;
const COMPLIANCE_FINDING: u32 = 2003;
/// A finding is created. The receiver knows whether it has it already.
const CREATE: u32 = 1;
const AWS_ACCOUNT: u32 = 10;

pub(super) struct Ocsf<W> {
    writer: W,
    /// In milliseconds since 1970.
    now: i64,
}

impl<W> Ocsf<W> {
    pub(super) fn new(writer: W) -> Self {
        let now = OffsetDateTime::now_utc().unix_timestamp_nanos() / 1_000_000;
        Self { writer, now: i64::try_from(now).unwrap_or_default() }
    }
}

impl<W: Write> Output for Ocsf<W> {
    fn finding(&mut self, finding: &Finding<'_>) -> io::Result<()> {
        let Some((_, check)) = Check::of(&finding.resource_type) else { return Ok(()) };
        super::json::write(&mut self.writer, &ComplianceFinding::of(finding, check, self.now))?;
        self.writer.write_all(b"\n")
    }

    fn finish(&mut self, _: &Conclusion<'_>) -> io::Result<()> {
        self.writer.flush()
    }
}

#[derive(Serialize)]
struct ComplianceFinding<'a> {
    activity_id: u32,
    category_uid: u32,
    class_uid: u32,
    type_uid: u32,
    time: i64,
    severity_id: u32,
    severity: &'static str,
    status_id: u32,
    status: &'static str,
    message: &'a str,
    metadata: Metadata,
    finding_info: FindingInfo<'a>,
    compliance: ComplianceResult<'a>,
    resources: [ResourceDetails<'a>; 1],
    cloud: Cloud<'a>,
    remediation: Remediation,
}

#[derive(Serialize)]
struct Metadata {
    version: &'static str,
    profiles: [&'static str; 1],
    product: Product,
}

#[derive(Serialize)]
struct Product {
    name: &'static str,
    vendor_name: &'static str,
    version: &'static str,
}

#[derive(Serialize)]
struct FindingInfo<'a> {
    /// The same in every run.
    uid: String,
    title: &'static str,
    desc: &'a str,
    created_time: i64,
    types: [&'static str; 1],
}

#[derive(Serialize)]
struct ComplianceResult<'a> {
    status_id: u32,
    status: &'static str,
    status_code: &'static str,
    status_detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    control: Option<&'static str>,
    standards: Vec<&'static str>,
    requirements: Vec<&'static str>,
}

#[derive(Serialize)]
struct ResourceDetails<'a> {
    uid: &'a str,
    #[serde(rename = "type")]
    resource_type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Declaration<'a>>,
}

/// Where a template or plan declares a resource.
#[derive(Serialize)]
struct Declaration<'a> {
    file: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<usize>,
}

#[derive(Serialize)]
struct Cloud<'a> {
    provider: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<Account<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<&'a str>,
}

#[derive(Serialize)]
struct Account<'a> {
    uid: &'a str,
    type_id: u32,
}

#[derive(Serialize)]
struct Remediation {
    desc: &'static str,
    references: [&'static str; 1],
}

impl<'a> ComplianceFinding<'a> {
    fn of(finding: &'a Finding<'_>, check: &Check, now: i64) -> Self {
        let (severity_id, severity) = match finding.compliance {
            Compliance::NonCompliant => (4, "High"),
            Compliance::Compliant | Compliance::NotApplicable => (1, "Informational"),
        };
        let (status_id, status) = match finding.compliance {
            Compliance::NonCompliant => (1, "New"),
            Compliance::Compliant | Compliance::NotApplicable => (4, "Resolved"),
        };
        let region = finding.region.as_deref();
        let product =
            Product { name: "imdsv2", vendor_name: "imdsv2-config-rule", version: env!("CARGO_PKG_VERSION") };
        Self {
            activity_id: CREATE,
            category_uid: FINDINGS,
            class_uid: COMPLIANCE_FINDING,
            type_uid: COMPLIANCE_FINDING * 100 + CREATE,
            time: now,
            severity_id,
            severity,
            status_id,
            status,
            message: &finding.annotation,
            metadata: Metadata { version: VERSION, profiles: ["cloud"], product },
            finding_info: FindingInfo {
                uid: finding.stable_id(),
                title: check.title,
                desc: &finding.annotation,
                created_time: now,
                types: ["Software and Configuration Checks/AWS Security Best Practices"],
            },
            compliance: ComplianceResult::of(finding, check),
            resources: [ResourceDetails {
                uid: &finding.resource_id,
                resource_type: &finding.resource_type,
                name: finding.name.as_deref(),
                region,
                data: finding.file.as_deref().map(|file| Declaration { file, line: finding.line }),
            }],
            cloud: Cloud {
                provider: "AWS",
                account: finding.account_id.as_deref().map(|uid| Account { uid, type_id: AWS_ACCOUNT }),
                region,
            },
            remediation: Remediation { desc: REMEDIATION, references: [GUIDE] },
        }
    }
}

impl<'a> ComplianceResult<'a> {
    fn of(finding: &'a Finding<'_>, check: &Check) -> Self {
        let (status_id, status) = match finding.compliance {
            Compliance::Compliant => (1, "Pass"),
            Compliance::NonCompliant => (3, "Fail"),
            Compliance::NotApplicable => (0, "Unknown"),
        };
        let control = check.control();
        Self {
            status_id,
            status,
            status_code: finding.compliance.as_str(),
            status_detail: &finding.annotation,
            control: control.map(|control| control.id),
            standards: control.map(|control| control.standards()).unwrap_or_default(),
            requirements: control.into_iter().flat_map(|control| control.requirement_names()).collect(),
        }
    }
}
