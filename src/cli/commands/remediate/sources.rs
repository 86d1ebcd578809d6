//! What launched the instances: as long as it launches instances that accept IMDSv1, they come back.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::target::Target;
use crate::cli::fleet::accounts::AccountRegion;
use crate::cli::output::{Finding, FindingContext};
use crate::rule::launched_by::{LaunchedBy, TemplateVersion};
use crate::rule::policy::Policy;
use crate::rule::resource::{Gap, Location, Resource, ResourceType};
use crate::rule::verdict::{Compliance, evaluate};
use crate::sources::ec2::launch_facts::LaunchFacts;
use crate::sources::ec2::lookup;

/// The most sources that are listed.
const MAX_SOURCES: usize = 10;

/// The sources of instances, each with the number of its instances.
#[derive(Default)]
pub(super) struct Sources {
    templates: BTreeMap<(Location, String), Source>,
    /// What launched instances without a launch template.
    launchers: BTreeMap<(Location, String), usize>,
}

/// A launch template.
struct Source {
    region: Arc<AccountRegion>,
    /// What launches from it, as far as that is known.
    launchers: BTreeSet<String>,
    /// The versions that the instances were launched from, as far as they are known.
    versions: BTreeSet<String>,
    instances: usize,
}

impl Sources {
    /// Counts an instance.
    pub(super) fn count(&mut self, target: &Target) {
        let (resource, location) = (&target.facts.resource, &target.instance.location);
        let launcher =
            LaunchedBy::of(resource).map(|launcher| format!("{} {}", launcher.noun(), launcher.id));
        match (TemplateVersion::of(resource), launcher) {
            (Some(template), launcher) => {
                let key = (location.clone(), template.id.into_owned());
                let region = Arc::clone(&target.region);
                let source = self.templates.entry(key).or_insert_with(|| Source::new(region));
                source.launchers.extend(launcher);
                source.versions.extend(template.version.map(Cow::into_owned));
                source.instances += 1;
            }
            (None, Some(launcher)) => {
                *self.launchers.entry((location.clone(), launcher)).or_default() += 1;
            }
            (None, None) => {}
        }
    }

    /// Returns each source that launches, or may launch, instances that accept IMDSv1.
    pub(super) async fn open(&self, rule: &Policy, today: time::Date) -> Vec<OpenSource> {
        let mut open = Vec::new();
        for ((location, id), source) in self.templates.iter().take(MAX_SOURCES) {
            open.extend(source.check(location, id, rule, today).await);
        }
        for ((location, launcher), instances) in self.launchers.iter().take(MAX_SOURCES) {
            open.push(OpenSource::new(format!(
                "{launcher} ({location}; {instances} of these instances): check what it launches, it has no launch \
                 template"
            )));
        }
        let hidden = self.templates.len().saturating_sub(MAX_SOURCES)
            + self.launchers.len().saturating_sub(MAX_SOURCES);
        if hidden > 0 {
            open.push(OpenSource::new(format!("and {hidden} others: imdsv2 scan --group-by source")));
        }
        open
    }
}

/// A source that launches, or may launch, instances that accept IMDSv1.
pub(super) struct OpenSource {
    /// What it is, and what was found.
    pub(super) description: String,
    /// The AWS CLI command that fixes it.
    pub(super) command: Option<String>,
}

impl OpenSource {
    fn new(description: String) -> Self {
        Self { description, command: None }
    }
}

impl Source {
    fn new(region: Arc<AccountRegion>) -> Self {
        Self { region, launchers: BTreeSet::new(), versions: BTreeSet::new(), instances: 0 }
    }

    /// Judges the default version of the launch template; `None` if nothing is known to launch such instances.
    async fn check(
        &self,
        location: &Location,
        id: &str,
        rule: &Policy,
        today: time::Date,
    ) -> Option<OpenSource> {
        let list = |names: &BTreeSet<String>| names.iter().cloned().collect::<Vec<_>>().join(", ");
        let launcher =
            if self.launchers.is_empty() { String::new() } else { format!(" of {}", list(&self.launchers)) };
        let name =
            format!("launch template {id}{launcher} ({location}; {} of these instances)", self.instances);
        let template = Resource {
            gap: Some(Gap::UnknownVersion),
            ..Resource::existing(ResourceType::LaunchTemplate, id.into(), None)
        };
        let mut facts = LaunchFacts::new(&self.region.resources, rule);
        let template = match lookup::fill_gap(&mut facts, template).await {
            Ok(template) => template,
            Err(error) => return Some(OpenSource::new(format!("{name}: cannot be checked: {error}"))),
        };
        let verdict = evaluate(&template, rule, today);
        if verdict.compliance != Compliance::NonCompliant {
            return (!self.versions.is_empty()).then(|| {
                OpenSource::new(format!(
                    "{name}: its default version requires IMDSv2; check that nothing is pinned to version {}, which \
                     launched these instances",
                    list(&self.versions)
                ))
            });
        }
        let context = FindingContext { policy: rule, owner_tag: None };
        let finding = Finding::listed(location, &template, &verdict, context);
        Some(OpenSource {
            description: format!(
                "{name}: {}; run the runbook EnforceImdsv2LaunchTemplate, or:",
                verdict.reason
            ),
            command: finding.command.map(Cow::into_owned),
        })
    }
}
