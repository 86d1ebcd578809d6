//! A line of the journal, and its format.
//!
//! ```json
//! {"sequence":2,"time":"2026-11-23T18:00:00Z","accountId":"123456789012","region":"us-east-1",
//!  "instanceId":"i-1","step":"changed","checksum":"0a1b2c3d"}
//! ```
//!
//! The object is on one line. `sequence` is its first field and counts the lines from 1. `checksum` is its last
//! field: the CRC-32 of the object without that field, as eight hexadecimal digits. Version 0.1 wrote neither.

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::rule::instance::InstanceKey;
use crate::rule::resource::Location;

/// How each line begins. A quotation mark inside a string is escaped, so this occurs nowhere else.
pub(super) const START: &[u8] = br#"{"sequence":"#;
/// What precedes the digits of the checksum, and what follows them.
const CHECKSUM: (&[u8], &[u8]) = (br#","checksum":""#, br#""}"#);
/// The number of digits of the checksum.
const DIGITS: usize = 8;

/// A step of the change of an instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub(crate) enum Step {
    /// The change is about to be requested. These are the options before.
    Intended {
        /// `HttpTokens` before; empty if it was not set.
        http_tokens: String,
        /// `HttpEndpoint` before; empty if it was not set. It is not changed.
        http_endpoint: String,
        /// `HttpPutResponseHopLimit` before, if it is changed too.
        http_put_response_hop_limit: Option<i32>,
        /// The hop limit that is requested, if it is changed too.
        raise_hop_limit_to: Option<i32>,
        /// Whether an automation is started for the change. It outlives this process.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        by_automation: bool,
    },
    /// EC2 accepted the change.
    Changed,
    /// EC2 refused the change: nothing was changed.
    Refused {
        /// Why.
        error: String,
    },
    /// The change was announced, but never requested.
    NotStarted,
    /// The options from before are in effect again.
    Restored,
}

/// A process that opened the journal for writing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Opened {
    /// The command, such as `remediate`.
    pub(super) command: String,
    pub(super) process_id: u32,
    /// The name of the host, if it is known.
    pub(super) host: Option<String>,
}

/// What a line says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Content {
    Opened(Opened),
    Step(InstanceKey, Step),
    /// A line that says nothing about an instance: `failed`, which version 0.1 wrote without saying whether
    /// the instance was changed.
    Nothing,
}

/// A line that was read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// The sequence number. Lines of version 0.1 do not have one.
    pub(super) sequence: Option<u64>,
    /// When it was written.
    pub(super) time: Option<OffsetDateTime>,
    pub(super) content: Content,
}

#[derive(Serialize)]
struct Numbered<T> {
    sequence: u64,
    time: String,
    #[serde(flatten)]
    content: T,
}

/// The first line of a process.
#[derive(Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "kebab-case")]
enum Opening {
    Opened(Opened),
}

/// A step and its instance.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Located<S> {
    account_id: String,
    region: String,
    instance_id: String,
    #[serde(flatten)]
    step: S,
}

/// The steps that version 0.1 wrote.
#[derive(Deserialize)]
#[serde(tag = "step", rename_all = "camelCase", rename_all_fields = "camelCase")]
enum OldStep {
    Changing { http_tokens: String, http_put_response_hop_limit: Option<i32>, http_endpoint: String },
    Changed,
    Failed {},
    Restored,
}

/// The fields that show which version wrote a line, and what it contains.
#[derive(Deserialize)]
struct Header {
    sequence: Option<u64>,
    time: Option<String>,
    checksum: Option<IgnoredAny>,
    step: String,
}

/// Returns the line of an opening, with its line feed.
///
/// # Errors
/// Returns an error if it cannot be serialized.
pub(super) fn encode_opened(sequence: u64, time: String, opened: Opened) -> serde_json::Result<Vec<u8>> {
    encode(&Numbered { sequence, time, content: Opening::Opened(opened) })
}

/// Returns the line of a step, with its line feed.
///
/// # Errors
/// Returns an error if it cannot be serialized.
pub(crate) fn encode_step(
    sequence: u64,
    time: String,
    key: &InstanceKey,
    step: Step,
) -> serde_json::Result<Vec<u8>> {
    let InstanceKey { location: Location { account_id, region }, instance_id } = key.clone();
    encode(&Numbered { sequence, time, content: Located { account_id, region, instance_id, step } })
}

fn encode(object: &impl Serialize) -> serde_json::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(object)?;
    let checksum = checksum(&[&line]);
    line.pop();
    line.extend_from_slice(CHECKSUM.0);
    line.extend_from_slice(checksum.as_bytes());
    line.extend_from_slice(CHECKSUM.1);
    line.push(b'\n');
    Ok(line)
}

/// Returns the CRC-32 of the concatenated parts.
fn checksum(parts: &[&[u8]]) -> String {
    let mut hasher = crc32fast::Hasher::new();
    for part in parts {
        hasher.update(part);
    }
    format!("{:08x}", hasher.finalize())
}

/// Reads a line, without its line feed.
///
/// # Errors
/// Returns what is wrong with the line.
pub(super) fn decode(line: &[u8]) -> Result<Line, String> {
    if let Some((object, digits)) = split_checksum(line)
        && checksum(&[object, b"}"]).as_bytes() != digits
    {
        return Err("its checksum is wrong: it was damaged or edited".to_owned());
    }
    let header: Header = serde_json::from_slice(line).map_err(|error| not_an_entry(&error))?;
    let content = match (header.sequence, split_checksum(line), header.checksum) {
        (None, None, None) => decode_old(line)?,
        (Some(_), Some(_), _) => decode_current(line, &header.step)?,
        (None, ..) => return Err("it has no sequence number".to_owned()),
        (_, None, _) => return Err("it does not end with a checksum".to_owned()),
    };
    let time = header.time.and_then(|time| OffsetDateTime::parse(&time, &Rfc3339).ok());
    Ok(Line { sequence: header.sequence, time, content })
}

/// Splits a line into what precedes the checksum, and its digits.
fn split_checksum(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let (before, after) = CHECKSUM;
    let start = line.len().checked_sub(before.len() + DIGITS + after.len())?;
    let (object, field) = line.split_at_checked(start)?;
    Some((object, field.strip_prefix(before)?.strip_suffix(after)?))
}

fn decode_current(line: &[u8], step: &str) -> Result<Content, String> {
    if step == "opened" {
        let Opening::Opened(opened) = serde_json::from_slice(line).map_err(|error| not_an_entry(&error))?;
        return Ok(Content::Opened(opened));
    }
    let Located { account_id, region, instance_id, step } =
        serde_json::from_slice::<Located<Step>>(line).map_err(|error| not_an_entry(&error))?;
    Ok(Content::Step(InstanceKey { location: Location { account_id, region }, instance_id }, step))
}

fn decode_old(line: &[u8]) -> Result<Content, String> {
    let Located { account_id, region, instance_id, step } =
        serde_json::from_slice::<Located<OldStep>>(line).map_err(|error| not_an_entry(&error))?;
    let step = match step {
        OldStep::Changing { http_tokens, http_put_response_hop_limit, http_endpoint } => Step::Intended {
            http_tokens,
            http_endpoint,
            http_put_response_hop_limit,
            raise_hop_limit_to: None,
            by_automation: false,
        },
        OldStep::Changed => Step::Changed,
        OldStep::Failed {} => return Ok(Content::Nothing),
        OldStep::Restored => Step::Restored,
    };
    Ok(Content::Step(InstanceKey { location: Location { account_id, region }, instance_id }, step))
}

fn not_an_entry(error: &serde_json::Error) -> String {
    format!("it is not an entry of a journal: {error}")
}
