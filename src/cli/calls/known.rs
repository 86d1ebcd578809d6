//! The callers that `imdsv2 callers` found, by instance.

use std::collections::HashMap;
use std::fmt;
use std::path::Path;

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};

use crate::cli::input::text;
use crate::rule::software::Software;

/// The most callers of an instance that are named.
const NAMED: usize = 2;

/// The callers that `imdsv2 callers --format json` wrote.
#[derive(Debug, Default)]
pub(crate) struct KnownCallers {
    /// By instance id. These are unique in all accounts and Regions.
    instances: HashMap<String, InstanceCallers>,
}

/// The callers of an instance, those with most calls first. It is empty if CloudTrail recorded none.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub(crate) struct InstanceCallers(Vec<InstanceCaller>);

/// The calls of software on an instance.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
struct InstanceCaller {
    /// The SDK and its version, or the name of other software.
    #[serde(skip_serializing_if = "Option::is_none")]
    software: Option<String>,
    role_arn: Option<String>,
    calls: u64,
}

impl KnownCallers {
    /// Reads a file that `imdsv2 callers --format json` wrote; `-` is standard input.
    ///
    /// # Errors
    /// Returns an error that names the file, if it cannot be read, is something else, or does not have instances.
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        #[derive(Deserialize)]
        struct Output {
            callers: Vec<Caller>,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Caller {
            instance_id: Option<String>,
            role_arn: Option<String>,
            user_agent: Option<String>,
            /// It is absent if callers are not grouped by user agent.
            finding: Option<String>,
            calls: u64,
        }
        let json = text::read(path)?;
        let output: Output = serde_json::from_str(&json).with_context(|| {
            format!("{}: not the output of `imdsv2 callers --format json`", path.display())
        })?;
        let mut known = Self::default();
        let has_callers = !output.callers.is_empty();
        for Caller { instance_id, role_arn, user_agent, finding, calls } in output.callers {
            let Some(instance_id) = instance_id else { continue };
            let agent = user_agent.unwrap_or_default();
            let software = finding.map(|_| Software::of_user_agent(&agent).to_string());
            known.instances.entry(instance_id).or_default().add(software, role_arn, calls);
        }
        if has_callers && known.instances.is_empty() {
            bail!("{}: the callers have no instances: write them without --group-by", path.display());
        }
        for InstanceCallers(callers) in known.instances.values_mut() {
            callers.sort_by(|a, b| b.calls.cmp(&a.calls).then_with(|| a.cmp(b)));
        }
        Ok(known)
    }

    /// Returns the callers of an instance.
    pub(crate) fn of(&self, instance_id: &str) -> InstanceCallers {
        self.instances.get(instance_id).cloned().unwrap_or_default()
    }
}

impl InstanceCallers {
    /// Adds calls. Several user agents may name the same software.
    fn add(&mut self, software: Option<String>, role_arn: Option<String>, calls: u64) {
        let is_same = |each: &&mut InstanceCaller| each.software == software && each.role_arn == role_arn;
        match self.0.iter_mut().find(is_same) {
            Some(known) => known.calls = known.calls.saturating_add(calls),
            None => self.0.push(InstanceCaller { software, role_arn, calls }),
        }
    }

    /// Returns whether CloudTrail recorded no calls.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds who makes IMDSv1 calls to `usage`, which says how they are used. `counts_calls` is whether it contains their
    /// number, which is CloudWatch's; otherwise the calls that CloudTrail recorded are counted.
    pub(crate) fn explain(&self, usage: &str, counts_calls: bool) -> String {
        match (usage.is_empty(), counts_calls) {
            (_, true) => format!("{usage}, by {self}"),
            (_, false) if self.is_empty() => usage.to_owned(),
            (true, false) => format!("CloudTrail recorded {}, by {self}", self.calls()),
            (false, false) => format!("{usage}; CloudTrail recorded {}, by {self}", self.calls()),
        }
    }

    fn calls(&self) -> String {
        match self.0.iter().fold(0u64, |sum, caller| sum.saturating_add(caller.calls)) {
            1 => "1 call".to_owned(),
            calls => format!("{calls} calls"),
        }
    }
}

/// The software, with the role: `Boto3 1.9.253 (role web) and curl/8.3.0 (role web)`.
impl fmt::Display for InstanceCallers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (named, others) = self.0.split_at_checked(NAMED).unwrap_or((&self.0, &[]));
        let named: Vec<_> = named.iter().map(InstanceCaller::to_string).collect();
        match (named.as_slice(), others.len()) {
            ([], _) => f.write_str("software that CloudTrail did not record"),
            ([first, second], 0) => write!(f, "{first} and {second}"),
            (named, 0) => f.write_str(&named.join(", ")),
            (named, others) => write!(f, "{} and {others} more", named.join(", ")),
        }
    }
}

impl fmt::Display for InstanceCaller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let arn = self.role_arn.as_deref();
        let role = arn.map(|arn| arn.rsplit_once('/').map_or(arn, |(_, name)| name));
        match (&self.software, role) {
            (Some(software), Some(role)) => write!(f, "{software} (role {role})"),
            (Some(software), None) => f.write_str(software),
            (None, Some(role)) => write!(f, "role {role}"),
            (None, None) => f.write_str("an unknown role"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROLE: &str = "arn:aws:iam::1:role/app/web";

    fn callers(callers: &[(Option<&str>, u64)]) -> InstanceCallers {
        let mut all = InstanceCallers::default();
        for (software, calls) in callers {
            all.add(software.map(str::to_owned), Some(ROLE.to_owned()), *calls);
        }
        all
    }

    #[test]
    fn callers_are_named_after_the_calls() {
        let boto = (Some("Boto3 1.9.253"), 3);
        for (callers, expected) in [
            (callers(&[boto]), "in use: 9 calls, by Boto3 1.9.253 (role web)"),
            (
                callers(&[boto, (Some("curl/8"), 1)]),
                "in use: 9 calls, by Boto3 1.9.253 (role web) and curl/8 (role web)",
            ),
            (
                callers(&[boto, boto, (Some("curl/8"), 1), (Some("a"), 1), (Some("b"), 1)]),
                "in use: 9 calls, by Boto3 1.9.253 (role web), curl/8 (role web) and 2 more",
            ),
            (callers(&[(None, 1)]), "in use: 9 calls, by role web"),
            (callers(&[]), "in use: 9 calls, by software that CloudTrail did not record"),
        ] {
            assert_eq!(callers.explain("in use: 9 calls", true), expected);
        }
    }

    #[test]
    fn calls_of_cloudtrail_are_counted_where_cloudwatch_counts_none() {
        let boto = callers(&[(Some("Boto3 1.9.253"), 1)]);
        for (callers, usage, expected) in [
            (&boto, "unknown", "unknown; CloudTrail recorded 1 call, by Boto3 1.9.253 (role web)"),
            (&boto, "", "CloudTrail recorded 1 call, by Boto3 1.9.253 (role web)"),
            (&callers(&[]), "safe to enforce", "safe to enforce"),
            (&callers(&[]), "", ""),
        ] {
            assert_eq!(callers.explain(usage, false), expected);
        }
    }
}
