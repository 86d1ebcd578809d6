//! The verdict: one pure function that decides, for every way in.
//!
//! [`evaluate`] does no I/O, reads no clock and cannot fail. What it weighs, and in which order, is the
//! verdict table of the README; each row is a line of [`decide`].

use std::borrow::Cow;
use std::fmt;

use serde::Serialize;
use time::Date;
use time::macros::format_description;

use crate::policy::Policy;
use crate::resource::{Gap, HttpTokens, Lifecycle, MetadataOptions, Resource, ResourceType};

/// An annotation has 1 to 256 characters
/// (<https://docs.aws.amazon.com/config/latest/APIReference/API_Evaluation.html>).
const MAX_ANNOTATION: usize = 256;

/// What AWS Config is told about one resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The compliance type.
    pub compliance: Compliance,
    /// What was found, and what to do: 1 to 256 characters of plain English.
    pub annotation: String,
}

/// The compliance types that a rule may report
/// (<https://docs.aws.amazon.com/config/latest/APIReference/API_Evaluation.html>).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Compliance {
    /// IMDSv1 is answered, or may be.
    NonCompliant,
    /// IMDSv1 is closed, as the policy asks.
    Compliant,
    /// There is nothing to judge.
    NotApplicable,
}

impl Compliance {
    /// The word that AWS Config's API uses.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NonCompliant => "NON_COMPLIANT",
            Self::Compliant => "COMPLIANT",
            Self::NotApplicable => "NOT_APPLICABLE",
        }
    }
}

impl fmt::Display for Compliance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// How many verdicts there were of each kind: what an invocation of the function returns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// `COMPLIANT`
    pub compliant: u64,
    /// `NON_COMPLIANT`
    pub non_compliant: u64,
    /// `NOT_APPLICABLE`
    pub not_applicable: u64,
}

impl Summary {
    /// The summary of one verdict.
    #[must_use]
    pub fn of(compliance: Compliance) -> Self {
        let mut summary = Self::default();
        summary.count(compliance);
        summary
    }

    /// Counts one more verdict.
    pub fn count(&mut self, compliance: Compliance) {
        match compliance {
            Compliance::Compliant => self.compliant += 1,
            Compliance::NonCompliant => self.non_compliant += 1,
            Compliance::NotApplicable => self.not_applicable += 1,
        }
    }
}

/// Judges one resource. `today` is the date in UTC, on which exemptions depend.
#[must_use]
pub fn evaluate(resource: &Resource<'_>, policy: &Policy, today: Date) -> Verdict {
    let exemption = Exemption::of(resource, policy, today);
    let (compliance, finding) = decide(resource, policy, &exemption);
    let mut annotation = finding.into_owned();
    if compliance != Compliance::NotApplicable {
        if let Exemption::Ignored(note) = &exemption {
            annotation.push(' ');
            annotation.push_str(note);
        }
        if resource.gap == Some(Gap::WhichVersion) {
            annotation.push_str(" The record may hold another version than the default.");
        }
    }
    Verdict { compliance, annotation: fit(annotation) }
}

/// The verdict table: the first line that applies wins.
fn decide(
    resource: &Resource<'_>,
    policy: &Policy,
    exemption: &Exemption,
) -> (Compliance, Cow<'static, str>) {
    if let Some(reason) = nothing_to_judge(resource) {
        return (Compliance::NotApplicable, reason);
    }
    if let Exemption::Until(date) = exemption {
        return (Compliance::NotApplicable, format!("Exempt by tag through {date} (UTC).").into());
    }
    let Some(options) = &resource.metadata_options else {
        return (Compliance::NonCompliant, not_set(&resource.resource_type));
    };
    if options.endpoint_disabled && policy.disabled_endpoint_compliant {
        return (
            Compliance::Compliant,
            "The IMDS endpoint is disabled: no metadata is served at all.".into(),
        );
    }
    match &options.http_tokens {
        HttpTokens::Required => {}
        HttpTokens::Optional => return (Compliance::NonCompliant, optional(&resource.resource_type)),
        HttpTokens::Unset => return (Compliance::NonCompliant, not_set(&resource.resource_type)),
        HttpTokens::Other(word) => {
            let finding =
                format!("HttpTokens is \"{}\", not \"required\". Set HttpTokens=required.", excerpt(word));
            return (Compliance::NonCompliant, finding.into());
        }
    }
    match (options.hop_limit, policy.max_hop_limit) {
        (Some(limit), Some(max)) if limit > i64::from(max) => (
            Compliance::NonCompliant,
            format!(
                "HttpTokens is required, but the hop limit {limit} is above {max}. \
                 Set HttpPutResponseHopLimit to {max} or less."
            )
            .into(),
        ),
        _ => (Compliance::Compliant, required(options)),
    }
}

/// Why there is nothing to judge, if so.
fn nothing_to_judge(resource: &Resource<'_>) -> Option<Cow<'static, str>> {
    let reason = match &resource.lifecycle {
        Lifecycle::Live => match &resource.resource_type {
            ResourceType::Other(name) => format!("This rule does not judge {}.", excerpt(name)),
            ResourceType::Instance | ResourceType::LaunchTemplate | ResourceType::LaunchConfiguration => {
                return None;
            }
        },
        Lifecycle::NotRecorded(status) => match status.as_ref() {
            "ResourceDeleted" | "ResourceDeletedNotRecorded" => "The resource is deleted.".to_owned(),
            "ResourceNotRecorded" => "AWS Config does not record resources of this type.".to_owned(),
            other => format!("AWS Config gives the resource the status \"{}\".", excerpt(other)),
        },
        Lifecycle::LeftScope => "The resource left the scope of this rule.".to_owned(),
        Lifecycle::Ending(state) => format!("The instance is {}.", excerpt(state)),
        Lifecycle::Vanished => "EC2 no longer knows the resource.".to_owned(),
    };
    Some(reason.into())
}

fn optional(resource_type: &ResourceType<'_>) -> Cow<'static, str> {
    match resource_type {
        ResourceType::Instance | ResourceType::Other(_) => {
            "HttpTokens is optional: the instance still answers IMDSv1. Set HttpTokens=required."
        }
        ResourceType::LaunchTemplate => {
            "HttpTokens is optional: instances launched from this template answer IMDSv1. \
             Make a version with HttpTokens=required the default."
        }
        ResourceType::LaunchConfiguration => {
            "HttpTokens is optional: instances launched from this configuration answer IMDSv1. \
             Replace it by a launch template with HttpTokens=required."
        }
    }
    .into()
}

fn not_set(resource_type: &ResourceType<'_>) -> Cow<'static, str> {
    match resource_type {
        ResourceType::Instance | ResourceType::Other(_) => {
            "HttpTokens is not recorded: nothing shows that the instance refuses IMDSv1. \
             Set HttpTokens=required."
        }
        ResourceType::LaunchTemplate => {
            "HttpTokens is not set: instances launched from this template may answer IMDSv1. \
             Make a version with HttpTokens=required the default."
        }
        ResourceType::LaunchConfiguration => {
            "HttpTokens is not set: instances launched from this configuration may answer IMDSv1. \
             Replace it by a launch template with HttpTokens=required."
        }
    }
    .into()
}

fn required(options: &MetadataOptions<'_>) -> Cow<'static, str> {
    if options.pending {
        "HttpTokens is required: IMDSv1 will be closed. The change is pending: it applies within \
         seconds, on a stopped instance at its next start."
    } else {
        "HttpTokens is required: IMDSv1 is closed."
    }
    .into()
}

/// What the exemption tag says.
enum Exemption {
    /// There is no such tag, or the policy knows no exemptions.
    None,
    /// Exempt through this day.
    Until(Date),
    /// The tag is there and exempts nothing; the sentence says why.
    Ignored(String),
}

impl Exemption {
    fn of(resource: &Resource<'_>, policy: &Policy, today: Date) -> Self {
        let Some(key) = policy.exemption_tag_key.as_deref() else { return Self::None };
        let Some(value) = resource.tag(key) else { return Self::None };
        match Date::parse(value, format_description!("[year]-[month]-[day]")) {
            Ok(last) if today <= last => Self::Until(last),
            Ok(last) => Self::Ignored(format!("Its exemption ended on {last}.")),
            Err(_) => {
                Self::Ignored(format!("Its exemption tag \"{}\" is no date YYYY-MM-DD.", excerpt(value)))
            }
        }
    }
}

/// The start of a text that somebody else wrote, fit for a sentence: short, and on one line.
fn excerpt(text: &str) -> String {
    const LONGEST: usize = 40;
    let mut characters = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut excerpt: String = characters.by_ref().take(LONGEST).collect();
    if characters.next().is_some() {
        excerpt.push('…');
    }
    excerpt
}

/// Cuts an annotation to what AWS Config takes. Counted in UTF-16 units, as AWS's services count: that
/// is never less than the number of characters, so the limit holds however it is counted.
fn fit(mut annotation: String) -> String {
    let mut units = 0;
    let cut = annotation.char_indices().find_map(|(start, c)| {
        units += c.len_utf16();
        (units > MAX_ANNOTATION).then_some(start)
    });
    if let Some(mut cut) = cut {
        // Room for the ellipsis: it is one unit, and the last character that fitted is at least one.
        cut = annotation.get(..cut).and_then(|kept| kept.char_indices().next_back()).map_or(0, |(at, _)| at);
        annotation.truncate(cut);
        annotation.push('…');
    }
    annotation
}
