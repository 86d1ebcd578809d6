//! A finding: a resource with its verdict, in the terms of AWS Config.

use std::borrow::Cow;

use serde::Serialize;

use crate::cli::calls::known::{InstanceCallers, KnownCallers};
use crate::rule::launched_by::{LaunchedBy, TemplateVersion};
use crate::rule::policy::Policy;
use crate::rule::reason::Reason;
use crate::rule::remedy::cli_command;
use crate::rule::resource::{Location, Resource, ResourceType};
use crate::rule::usage::UsageState;
use crate::rule::verdict::{Compliance, Verdict};

/// What a finding depends on beside its resource and verdict.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FindingContext<'a> {
    /// The policy that the verdict was reached with.
    pub(crate) policy: &'a Policy,
    /// The tag that names the owner of a resource, if any.
    pub(crate) owner_tag: Option<&'a str>,
}

/// A verdict and its resource. This is the shape of the JSON output.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Finding<'a> {
    pub(crate) resource_type: Cow<'a, str>,
    pub(crate) resource_id: Cow<'a, str>,
    pub(crate) account_id: Option<Cow<'a, str>>,
    pub(crate) region: Option<Cow<'a, str>>,
    pub(crate) compliance: Compliance,
    pub(crate) annotation: Cow<'a, str>,
    /// Whether the instance uses IMDSv1, if CloudWatch was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) imdsv1_use: Option<&'static str>,
    /// The number of its IMDSv1 calls, if there were any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) imdsv1_calls: Option<u64>,
    /// Why its use is unknown, if it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) imdsv1_unknown_because: Option<&'static str>,
    /// Who makes IMDSv1 calls, by CloudTrail, if callers were passed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) imdsv1_callers: Option<InstanceCallers>,
    pub(crate) reason: Reason,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<Cow<'a, str>>,
    /// The name of the account in its organization, if it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) account_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) owner: Option<Cow<'a, str>>,
    /// The principal of the AWS service that manages the resource.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) managed_by: Option<Cow<'a, str>>,
    /// What launched the instance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) launched_by: Option<LaunchedBy<'a>>,
    /// The launch template that the instance was launched from, or that the Auto Scaling group uses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) launch_template: Option<TemplateVersion<'a>>,
    /// What changed since an earlier scan, if there is one to compare with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) since: Option<&'static str>,
    /// The AWS CLI command that makes the resource compliant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) command: Option<Cow<'a, str>>,
    /// The file of the template or plan that declares the resource.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) file: Option<Cow<'a, str>>,
    /// The line on which its declaration begins, from 1, if it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) line: Option<usize>,
    /// The file that the resource was read from, if it is one.
    #[serde(skip)]
    pub(crate) input: Option<Cow<'a, str>>,
    /// The length of the annotation without what launched the instance, in bytes.
    #[serde(skip)]
    pub(super) meaning: usize,
    /// Whether the rule evaluates resources of this type at all.
    #[serde(skip)]
    pub(crate) is_judged_type: bool,
    /// How the instance uses IMDSv1, if CloudWatch was asked.
    #[serde(skip)]
    pub(crate) usage: Option<UsageState>,
}

impl<'a> Finding<'a> {
    /// Returns the finding for a resource.
    pub(crate) fn new(resource: &'a Resource<'_>, verdict: &'a Verdict, context: FindingContext<'_>) -> Self {
        Self {
            resource_type: resource.resource_type.name().into(),
            resource_id: resource.resource_id.as_ref().into(),
            account_id: resource.account_id.as_deref().map(Cow::from),
            region: resource.region.as_deref().map(Cow::from),
            compliance: verdict.compliance,
            annotation: verdict.annotation.as_str().into(),
            imdsv1_use: None,
            imdsv1_calls: None,
            imdsv1_unknown_because: None,
            imdsv1_callers: None,
            reason: verdict.reason,
            name: name(resource),
            account_name: None,
            owner: context.owner_tag.and_then(|key| resource.tag(key)).map(Cow::from),
            managed_by: resource.managed_by.as_deref().map(Cow::from),
            launched_by: LaunchedBy::of(resource),
            launch_template: TemplateVersion::of(resource),
            since: None,
            command: cli_command(resource, verdict, context.policy).map(Cow::from),
            file: None,
            line: None,
            input: None,
            usage: None,
            meaning: verdict.meaning().len(),
            is_judged_type: !matches!(resource.resource_type, ResourceType::Other(_))
                || resource.resource_type == ResourceType::ACCOUNT,
        }
    }

    /// Returns the finding for a resource that was listed in an account and Region; it borrows nothing.
    #[cfg(feature = "live")]
    pub(crate) fn listed(
        location: &Location,
        resource: &Resource<'_>,
        verdict: &Verdict,
        context: FindingContext<'_>,
    ) -> Finding<'static> {
        let resource = Resource {
            account_id: Some(location.account_id.as_str().into()),
            region: Some(location.region.as_str().into()),
            ..resource.clone()
        };
        Finding::new(&resource, verdict, context).into_owned()
    }

    /// Adds how the instance uses IMDSv1.
    #[cfg(feature = "live")]
    pub(crate) fn with_usage(self, usage: UsageState) -> Self {
        let because = match usage {
            UsageState::Unknown(reason) => Some(reason.as_str()),
            UsageState::InUse(_) | UsageState::BootCalls(_) | UsageState::NotInUse => None,
        };
        Self {
            imdsv1_use: Some(usage_name(usage)),
            imdsv1_calls: usage.calls(),
            imdsv1_unknown_because: because,
            usage: Some(usage),
            ..self
        }
    }

    /// Adds where the resource was read, and where it is declared if it is.
    pub(crate) fn add_place(&mut self, input: Option<Cow<'a, str>>, line: Option<usize>, is_declared: bool) {
        self.file = input.clone().filter(|_| is_declared);
        (self.input, self.line) = (input, line);
    }

    /// Adds who makes IMDSv1 calls on an instance that accepts them.
    pub(crate) fn add_callers(&mut self, known: Option<&KnownCallers>) {
        let accepts_imdsv1 = self.compliance == Compliance::NonCompliant && self.reason != Reason::HopLimit;
        if self.resource_type == ResourceType::Instance.name() && accepts_imdsv1 {
            self.imdsv1_callers = known.map(|known| known.of(&self.resource_id));
        }
    }

    /// Returns how the instance uses IMDSv1, as a phrase.
    pub(crate) fn imdsv1_phrase(&self) -> String {
        let usage = match (self.imdsv1_use.unwrap_or_default(), self.imdsv1_calls) {
            (usage, None) => usage.to_owned(),
            (usage, Some(calls)) if usage.ends_with("calls") => format!("{usage}: {calls}"),
            (usage, Some(1)) => format!("{usage}: 1 call"),
            (usage, Some(calls)) => format!("{usage}: {calls} calls"),
        };
        match &self.imdsv1_callers {
            None => usage,
            Some(callers) => callers.explain(&usage, self.imdsv1_calls.is_some()),
        }
    }

    /// Returns a finding that borrows nothing.
    pub(crate) fn into_owned(self) -> Finding<'static> {
        let own = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
        Finding {
            resource_type: own(self.resource_type),
            resource_id: own(self.resource_id),
            account_id: self.account_id.map(own),
            region: self.region.map(own),
            annotation: own(self.annotation),
            name: self.name.map(own),
            owner: self.owner.map(own),
            managed_by: self.managed_by.map(own),
            launched_by: self.launched_by.map(LaunchedBy::into_owned),
            launch_template: self.launch_template.map(TemplateVersion::into_owned),
            command: self.command.map(own),
            file: self.file.map(own),
            line: self.line,
            input: self.input.map(own),
            account_name: self.account_name,
            compliance: self.compliance,
            imdsv1_use: self.imdsv1_use,
            imdsv1_calls: self.imdsv1_calls,
            imdsv1_unknown_because: self.imdsv1_unknown_because,
            imdsv1_callers: self.imdsv1_callers,
            reason: self.reason,
            since: self.since,
            is_judged_type: self.is_judged_type,
            usage: self.usage,
            meaning: self.meaning,
        }
    }

    /// Returns an id that is the same in every run: it begins with the account and Region of a resource, or with the file that
    /// declares it.
    pub(crate) fn stable_id(&self) -> String {
        let part = |text: Option<&str>| text.map(|text| format!("/{text}")).unwrap_or_default();
        let (account, region) = (part(self.account_id.as_deref()), part(self.region.as_deref()));
        format!("imdsv2{account}{region}{}/{}", part(self.file.as_deref()), self.resource_id)
    }

    /// Returns the file and line of the template or plan that declares the resource.
    pub(crate) fn declared_in(&self) -> Option<String> {
        let file = self.file.as_deref().or(self.line.map(|_| "-"))?;
        Some(self.line.map_or_else(|| file.to_owned(), |line| format!("{file}:{line}")))
    }

    /// Returns the account and Region, if both are known.
    pub(crate) fn location(&self) -> Option<Location> {
        let (account_id, region) = (self.account_id.as_deref()?, self.region.as_deref()?);
        Some(Location { account_id: account_id.to_owned(), region: region.to_owned() })
    }

    /// Returns the annotation in two parts: what was found, and what launched the instance.
    pub(crate) fn annotation_parts(&self) -> (&str, &str) {
        self.annotation.split_at_checked(self.meaning).unwrap_or((&self.annotation, ""))
    }

    /// Returns the id that people use. The id of a launch configuration or an Auto Scaling group is an ARN that ends
    /// with its name.
    pub(crate) fn short_id(&self) -> &str {
        short_id(&self.resource_id)
    }
}

fn short_id(resource_id: &str) -> &str {
    const NAMES: [&str; 2] = [":launchConfigurationName/", ":autoScalingGroupName/"];
    let name = NAMES.into_iter().find_map(|before| resource_id.split_once(before));
    name.map_or(resource_id, |(_, name)| name)
}

/// Returns the name of a resource. The tag `Name` of an Auto Scaling group names its instances.
fn name<'a>(resource: &'a Resource<'_>) -> Option<Cow<'a, str>> {
    let own = resource.name.as_deref();
    let name = match resource.resource_type {
        ResourceType::AutoScalingGroup => own.or_else(|| resource.tag("Name")),
        _ => resource.tag("Name").or(own),
    };
    name.map(Cow::from)
}

/// Returns the value of `imdsv1Use`.
#[cfg(feature = "live")]
fn usage_name(usage: UsageState) -> &'static str {
    match usage {
        UsageState::InUse(_) => "still in use",
        UsageState::BootCalls(_) => "boot-time calls",
        UsageState::Unknown(_) => "unknown",
        UsageState::NotInUse => "safe to enforce",
    }
}
