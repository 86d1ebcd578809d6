//! The callers that `imdsv2 callers` found, by instance.

use std::collections::HashMap;
use std::fmt;
use std::path::Path;

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};

use super::role_name;
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
        let has_callers = !output.callers.is_empty();
        let mut instances: HashMap<_, HashMap<_, u64>> = HashMap::new();
        for Caller { instance_id, role_arn, user_agent, finding, calls } in output.callers {
            let Some(instance_id) = instance_id else { continue };
            let agent = user_agent.unwrap_or_default();
            let software = finding.map(|_| Software::of_user_agent(&agent).to_string());
            // Several user agents may name the same software.
            let known = instances.entry(instance_id).or_default().entry((software, role_arn)).or_default();
            *known = known.saturating_add(calls);
        }
        if has_callers && instances.is_empty() {
            bail!("{}: the callers have no instances: write them without --group-by", path.display());
        }
        let sorted = |(instance_id, callers)| (instance_id, InstanceCallers::sorted(callers));
        Ok(Self { instances: instances.into_iter().map(sorted).collect() })
    }

    /// Returns the callers of an instance.
    pub(crate) fn of(&self, instance_id: &str) -> InstanceCallers {
        self.instances.get(instance_id).cloned().unwrap_or_default()
    }
}

impl InstanceCallers {
    fn sorted(callers: HashMap<(Option<String>, Option<String>), u64>) -> Self {
        let caller = |((software, role_arn), calls)| InstanceCaller { software, role_arn, calls };
        let mut callers: Vec<_> = callers.into_iter().map(caller).collect();
        callers.sort_by(|a, b| b.calls.cmp(&a.calls).then_with(|| a.cmp(b)));
        Self(callers)
    }

    /// Returns all callers with their calls: `Boto3 1.9.253 (role web): 3; curl/8.3.0 (role web): 1`.
    pub(crate) fn listed(&self) -> String {
        let listed: Vec<_> = self.0.iter().map(|caller| format!("{caller}: {}", caller.calls)).collect();
        listed.join("; ")
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
            ([], _) => f.write_str("software that is not among the callers"),
            ([first, second], 0) => write!(f, "{first} and {second}"),
            (named, 0) => f.write_str(&named.join(", ")),
            (named, others) => write!(f, "{} and {others} more", named.join(", ")),
        }
    }
}

impl fmt::Display for InstanceCaller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.software, self.role_arn.as_deref().map(role_name)) {
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
        let caller = |(software, calls): &(Option<&str>, u64)| {
            ((software.map(str::to_owned), Some(ROLE.to_owned())), *calls)
        };
        InstanceCallers::sorted(callers.iter().map(caller).collect())
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
                callers(&[boto, (Some("curl/8"), 1), (Some("a"), 1), (Some("b"), 1)]),
                "in use: 9 calls, by Boto3 1.9.253 (role web), a (role web) and 2 more",
            ),
            (callers(&[(None, 1)]), "in use: 9 calls, by role web"),
            (callers(&[]), "in use: 9 calls, by software that is not among the callers"),
        ] {
            assert_eq!(callers.explain("in use: 9 calls", true), expected);
        }
    }

    #[test]
    fn a_list_has_all_callers() {
        let callers = callers(&[(Some("curl/8"), 1), (Some("Boto3 1.9.253"), 3), (Some("a"), 1)]);
        assert_eq!(callers.listed(), "Boto3 1.9.253 (role web): 3; a (role web): 1; curl/8 (role web): 1");
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
