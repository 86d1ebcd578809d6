//! What launches instances, with the instances that it launched. A company has thousands of instances and a few dozen
//! sources; who fixes a source fixes all that it launches.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Finding;
use super::table::type_noun;
use super::table::usage_counts::UsageCounts;
use super::terminated::Terminated;
use crate::rule::reason::Reason;
use crate::rule::verdict::Compliance;

/// The name of what has no known source.
const NONE: &str = "(none)";

/// The name of the unknown source of terminated instances.
const TERMINATED: &str = "terminated, source unknown";

/// The sources in some findings.
#[derive(Debug, Default)]
pub(super) struct Sources {
    sources: BTreeMap<Key, Source>,
}

/// Names are unique in an account and Region only.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    account_id: String,
    region: String,
    name: String,
}

/// Something that launches instances, and the instances that it launched.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Source {
    /// The name, with the kind of source: `web (Auto Scaling group)`.
    pub(super) source: String,
    pub(super) account_id: String,
    pub(super) region: String,
    /// The number of instances that are non-compliant.
    pub(super) open: u64,
    /// The number of instances.
    pub(super) instances: u64,
    /// The number of IMDSv1 calls of its instances in the look-back period.
    pub(super) imdsv1_calls: u64,
    #[serde(skip)]
    pub(super) usage: UsageCounts,
    /// The verdict on what it launches next, in a few words; `None` if that is not known.
    pub(super) next_launch: Option<Reason>,
    /// What to do first.
    pub(super) first: &'static str,
    /// Whether an AWS service manages it.
    #[serde(skip)]
    pub(super) is_managed: bool,
}

impl Sources {
    /// Adds an instance to its source, or the verdict on a source itself.
    pub(super) fn add(&mut self, finding: &Finding<'_>) {
        let Some(name) = source_name(finding) else { return };
        let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
        let (account_id, region) = (text(finding.account_id.as_deref()), text(finding.region.as_deref()));
        let key = Key { account_id, region, name };
        let source = self.sources.entry(key).or_default();
        if finding.resource_type != "AWS::EC2::Instance" {
            // Of a service's several groups, the open one is what has to be fixed.
            let is_open = |reason: &Reason| reason.compliance() == Compliance::NonCompliant;
            source.next_launch = source.next_launch.filter(is_open).or(Some(finding.reason));
            source.is_managed |= finding.managed_by.is_some();
            return;
        }
        if finding.compliance == Compliance::NotApplicable {
            return;
        }
        source.instances += 1;
        source.open += u64::from(finding.compliance == Compliance::NonCompliant);
        source.imdsv1_calls += finding.imdsv1_calls.unwrap_or_default();
        source.is_managed |= finding.managed_by.is_some();
        if let Some(usage) = finding.usage {
            source.usage.add(usage);
        }
    }

    /// Adds the calls of instances that no longer exist to their sources.
    pub(super) fn add_terminated(&mut self, terminated: Option<&[Terminated]>) {
        for each in terminated.unwrap_or_default() {
            let (account_id, region) = (each.account_id.clone(), each.region.clone());
            let key =
                Key { account_id, region, name: each.source().unwrap_or_else(|| TERMINATED.to_owned()) };
            self.sources.entry(key).or_default().imdsv1_calls += each.imdsv1_calls;
        }
    }

    /// Returns the sources for which there is something to do, those with most open instances first, and the number of
    /// the others.
    pub(super) fn into_open(self) -> (Vec<Source>, usize) {
        let all = self.sources.into_iter().map(|(key, source)| {
            let Key { account_id, region, name } = key;
            let name = if name.is_empty() { NONE.to_owned() } else { name };
            Source { source: name, account_id, region, first: source.first(), ..source }
        });
        let (mut open, others): (Vec<_>, Vec<_>) = all.partition(Source::is_open);
        open.sort_by_key(|source| std::cmp::Reverse((source.open, source.imdsv1_calls)));
        (open, others.len())
    }
}

impl Source {
    /// Returns whether there is something to do.
    fn is_open(&self) -> bool {
        self.open > 0 || self.imdsv1_calls > 0 || self.launches_open()
    }

    fn launches_open(&self) -> bool {
        self.next_launch.is_some_and(|reason| reason.compliance() == Compliance::NonCompliant)
    }

    /// Returns what to do first. What is still called would break, and what launches open instances undoes the rest.
    fn first(&self) -> &'static str {
        if self.imdsv1_calls > 0 {
            "find what calls IMDSv1"
        } else if self.is_managed {
            "change it through its AWS service"
        } else if self.launches_open() {
            "require tokens at launch"
        } else if self.open == 0 {
            ""
        } else if self.usage.is_empty() {
            "check IMDSv1 use"
        } else if self.usage.safe > 0 {
            "enforce on its instances"
        } else {
            "wait for usage data"
        }
    }
}

/// Returns the name of the source that a finding belongs to: what launched an instance, or the resource itself; `None` if
/// the resource neither is nor launches an instance. An instance without a known source belongs to `""`.
pub(super) fn source_name(finding: &Finding<'_>) -> Option<String> {
    let resource_type = finding.resource_type.as_ref();
    let kind = match resource_type {
        "AWS::EC2::Instance" => None,
        "AWS::EC2::LaunchTemplate"
        | "AWS::AutoScaling::LaunchConfiguration"
        | "AWS::AutoScaling::AutoScalingGroup" => Some(type_noun(resource_type)),
        _ => return None,
    };
    Some(match (&finding.launched_by, kind, &finding.launch_template) {
        // A service tags its Auto Scaling groups as it tags its instances.
        (Some(launcher), _, _) => launcher.id_and_noun(),
        (None, Some(kind), _) => format!("{} ({kind})", finding.short_id()),
        (None, None, Some(template)) => format!("{} (launch template)", template.id),
        (None, None, None) => String::new(),
    })
}

#[cfg(test)]
mod tests {
    use time::macros::date;

    use super::*;
    use crate::cli::output::FindingContext;
    use crate::rule::launch::LaunchSettings;
    use crate::rule::launch_source::{LaunchOrigin, LaunchSource, SourceSettings};
    use crate::rule::launched_by::LaunchedBy;
    use crate::rule::policy::Policy;
    use crate::rule::resource::{MetadataOptions, Resource, ResourceType, Tag};
    use crate::rule::verdict::evaluate;

    fn options(tokens: &'static str) -> MetadataOptions<'static> {
        MetadataOptions::from_api(Some(tokens.into()), Some("enabled"), Some(1), None)
    }

    fn instance(group: Option<&'static str>, tokens: &'static str) -> Resource<'static> {
        let tag = |value: &'static str| Tag { key: "aws:autoscaling:groupName".into(), value: value.into() };
        Resource {
            tags: group.map(tag).into_iter().collect(),
            ..Resource::existing(ResourceType::Instance, "i-1".into(), Some(options(tokens)))
        }
    }

    fn group(name: &'static str, tokens: &'static str) -> Resource<'static> {
        let settings = LaunchSettings { options: Some(options(tokens)), ..LaunchSettings::default() };
        let origin = LaunchOrigin::LaunchConfiguration("old".into());
        let arn = format!("arn:aws:autoscaling:x:1:autoScalingGroup:u:autoScalingGroupName/{name}");
        Resource {
            launch_sources: vec![LaunchSource {
                settings: SourceSettings::Known(settings),
                ..LaunchSource::unread(origin)
            }],
            ..Resource::existing(ResourceType::AutoScalingGroup, arn.into(), None)
        }
    }

    fn add(sources: &mut Sources, resource: &Resource<'_>, calls: Option<u64>) {
        let policy = Policy::default();
        let verdict = evaluate(resource, &policy, date!(2026 - 06 - 15));
        let finding = Finding::new(resource, &verdict, FindingContext { policy: &policy, owner_tag: None });
        sources.add(&Finding { imdsv1_calls: calls, ..finding });
    }

    /// Returns name, open instances, instances, calls, next launch and what to do first of each source.
    fn rows(sources: Sources) -> Vec<(String, [u64; 3], Option<&'static str>, &'static str)> {
        let row = |source: Source| {
            let counts = [source.open, source.instances, source.imdsv1_calls];
            (source.source, counts, source.next_launch.map(Reason::as_str), source.first)
        };
        sources.into_open().0.into_iter().map(row).collect()
    }

    #[test]
    fn instances_belong_to_what_launched_them() {
        let mut sources = Sources::default();
        for tokens in ["optional", "optional", "required"] {
            add(&mut sources, &instance(Some("web"), tokens), None);
        }
        add(&mut sources, &group("web", "optional"), None);
        add(&mut sources, &instance(Some("busy"), "optional"), Some(7));
        add(&mut sources, &group("busy", "required"), None);
        add(&mut sources, &instance(None, "optional"), None);
        add(&mut sources, &group("closed", "required"), None);
        let account = Resource::existing(ResourceType::ACCOUNT, "1".into(), None);
        add(&mut sources, &account, None);
        let expected = [
            ("web (Auto Scaling group)", [2, 3, 0], Some("tokens optional"), "require tokens at launch"),
            ("busy (Auto Scaling group)", [1, 1, 7], Some("tokens required"), "find what calls IMDSv1"),
            ("(none)", [1, 1, 0], None, "check IMDSv1 use"),
        ];
        let expected = expected.map(|(name, counts, next, first)| (name.to_owned(), counts, next, first));
        assert_eq!(rows(sources), expected);
    }

    #[test]
    fn calls_of_terminated_instances_belong_to_their_source() {
        let mut sources = Sources::default();
        add(&mut sources, &instance(Some("web"), "required"), None);
        let terminated = |group: Option<&str>, imdsv1_calls| Terminated {
            account_id: String::new(),
            region: String::new(),
            instance_id: "i-2".to_owned(),
            imdsv1_calls,
            launched_by: group.map(|name| LaunchedBy::auto_scaling_group(name.to_owned())),
        };
        sources.add_terminated(Some(&[
            terminated(Some("web"), 5),
            terminated(Some("web"), 2),
            terminated(None, 1),
        ]));
        let expected = [
            ("web (Auto Scaling group)", [0, 1, 7], None, "find what calls IMDSv1"),
            ("terminated, source unknown", [0, 0, 1], None, "find what calls IMDSv1"),
        ];
        assert_eq!(
            rows(sources),
            expected.map(|(name, counts, next, first)| (name.to_owned(), counts, next, first))
        );
    }

    #[test]
    fn a_source_of_an_aws_service_is_changed_through_the_service() {
        let mut sources = Sources::default();
        let managed_by = Some("eks.amazonaws.com".into());
        add(&mut sources, &Resource { managed_by, ..instance(Some("web"), "optional") }, None);
        assert_eq!(rows(sources)[0].3, "change it through its AWS service");
    }

    #[test]
    fn of_several_groups_of_a_service_the_open_one_counts() {
        let tag = || vec![Tag { key: "eks:nodegroup-name".into(), value: "workers".into() }];
        for order in [["optional", "required"], ["required", "optional"]] {
            let mut sources = Sources::default();
            for tokens in order {
                add(&mut sources, &Resource { tags: tag(), ..group("eks-workers", tokens) }, None);
            }
            let found = rows(sources);
            assert_eq!(
                (found[0].0.as_str(), found[0].2),
                ("workers (EKS node group)", Some("tokens optional"))
            );
        }
    }
}
