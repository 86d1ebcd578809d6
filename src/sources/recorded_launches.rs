//! What recorded resources say about launches.
//!
//! A record of an Auto Scaling group names the version of a launch template; what it sets is in another record of the
//! same input, before or after. [`RecordedLaunches`] remembers what launches instances, and completes groups and
//! templates when everything was read. It grows with the number of launch templates, launch configurations and AMIs.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};

use time::OffsetDateTime;

use super::aws_cli::launches::RecordedDefaults;
use super::template_versions::TemplateVersions;
use crate::rule::launch::{AccountDefaults, Image, LaunchSettings};
use crate::rule::launch_source::{LaunchOrigin, LaunchSource, SourceSettings};
use crate::rule::resource::{Gap, Resource, ResourceType, VersionNumbers};

/// The account and Region of a resource, where they are known.
type Place = (Option<String>, Option<String>);

/// What was read about launches.
#[derive(Debug, Default)]
pub struct RecordedLaunches {
    /// By id.
    templates: HashMap<String, TemplateVersions>,
    /// By account, Region and name.
    configurations: HashMap<(Place, String), LaunchSettings<'static>>,
    defaults: Vec<(Place, AccountDefaults<'static>)>,
    /// By id.
    images: HashMap<String, Image<'static>>,
    /// The accounts that the input names.
    accounts: BTreeSet<String>,
    /// The Regions that the input names.
    regions: BTreeSet<String>,
}

impl RecordedLaunches {
    /// Remembers a launch template or launch configuration. `captured` is when AWS Config recorded it.
    pub fn remember(&mut self, resource: &Resource<'_>, captured: Option<OffsetDateTime>) {
        match resource.resource_type {
            ResourceType::LaunchTemplate => {
                let Some(numbers) = resource.version_numbers else { return };
                self.remember_numbers(&resource.resource_id, numbers, captured);
                let template = self.templates.entry(resource.resource_id.to_string()).or_default();
                if resource.gap != Some(Gap::UnknownVersion) {
                    template.remember(numbers.default, resource.launch_settings().into_owned());
                }
            }
            ResourceType::LaunchConfiguration => {
                let Some(name) = &resource.name else { return };
                self.configurations
                    .insert((place(resource), name.to_string()), resource.launch_settings().into_owned());
            }
            ResourceType::Instance | ResourceType::AutoScalingGroup | ResourceType::Other(_) => {}
        }
    }

    /// Remembers which versions of a launch template are the default and the latest one.
    pub fn remember_numbers(&mut self, id: &str, numbers: VersionNumbers, captured: Option<OffsetDateTime>) {
        self.templates.entry(id.to_owned()).or_default().remember_numbers(numbers, captured);
    }

    /// Remembers a version of a launch template.
    pub fn remember_version(&mut self, template: &Resource<'_>, number: i64, is_default: bool) {
        let known = self.templates.entry(template.resource_id.to_string()).or_default();
        known.remember(number, template.launch_settings().into_owned());
        if is_default {
            known.remember_default(number);
        }
    }

    /// Remembers an AMI.
    pub fn remember_image(&mut self, image: Image<'_>) {
        if let Some(id) = image.id().map(str::to_owned) {
            self.images.insert(id, image.into_owned());
        }
    }

    /// Remembers account-level defaults.
    pub fn remember_defaults(&mut self, recorded: RecordedDefaults<'_>) {
        let RecordedDefaults { account_id, region, defaults } = recorded;
        let place = (account_id.map(Cow::into_owned), region.map(Cow::into_owned));
        self.know(&place);
        self.defaults.push((place, defaults.into_owned()));
    }

    /// Remembers that a resource is to be completed. Call it for each, before the first one is completed.
    pub fn expect(&mut self, resource: &Resource<'_>) {
        self.know(&place(resource));
    }

    fn know(&mut self, (account_id, region): &Place) {
        self.accounts.extend(account_id.clone());
        self.regions.extend(region.clone());
    }

    /// Adds what the input says about what a resource launches.
    pub fn complete(&self, resource: &mut Resource<'_>) {
        let place = place(resource);
        let unknown = |source: &&mut LaunchSource<'_>| source.settings == SourceSettings::Unknown;
        for source in resource.launch_sources.iter_mut().filter(unknown) {
            if let Some(settings) = self.complete_origin(source, &place) {
                source.complete(SourceSettings::Known(settings.clone()));
            }
        }
        let defaults = self.defaults_of(&place).cloned();
        for image in resource.unset_images() {
            if let Some(known) = image.id().and_then(|id| self.images.get(id)) {
                *image = known.clone();
            }
        }
        resource.account_defaults = defaults.or(resource.account_defaults.take());
    }

    fn complete_origin(
        &self,
        source: &mut LaunchSource<'_>,
        place: &Place,
    ) -> Option<&LaunchSettings<'static>> {
        match &mut source.origin {
            LaunchOrigin::TemplateVersion { template, version, number } => {
                let (known, settings) = self.templates.get(template.as_ref())?.get(version)?;
                *number = Some(known);
                Some(settings)
            }
            LaunchOrigin::LaunchConfiguration(name) => {
                self.configurations.get(&(place.clone(), name.to_string()))
            }
            LaunchOrigin::Unresolved(_) => None,
        }
    }

    /// Returns the account-level defaults of a place. An account or Region that is not named, by the defaults or by the
    /// resource, is the only one that the input names.
    fn defaults_of(&self, (account_id, region): &Place) -> Option<&AccountDefaults<'static>> {
        let is_same = |of: &Option<String>, named: &Option<String>, all: &BTreeSet<String>| match (of, named)
        {
            (Some(of), Some(named)) => of == named,
            _ => all.len() <= 1,
        };
        let mut matching = self.defaults.iter().filter(|((of_account, of_region), _)| {
            is_same(of_account, account_id, &self.accounts) && is_same(of_region, region, &self.regions)
        });
        matching.next_back().map(|(_, defaults)| defaults)
    }
}

fn place(resource: &Resource<'_>) -> Place {
    let text = |field: &Option<Cow<'_, str>>| field.as_deref().map(str::to_owned);
    (text(&resource.account_id), text(&resource.region))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::resource::{HttpTokens, MetadataOptions};

    fn template(tokens: &'static str, default: i64, latest: i64) -> Resource<'static> {
        let options = MetadataOptions::from_api(Some(tokens.into()), None, None, None);
        Resource {
            version_numbers: Some(VersionNumbers { default, latest }),
            gap: (default != latest).then_some(Gap::UnknownVersion),
            ..Resource::existing(ResourceType::LaunchTemplate, "lt-1".into(), Some(options))
        }
    }

    fn group(version: &'static str) -> Resource<'static> {
        let origin = LaunchOrigin::template_version(Some("lt-1".into()), None, Some(version.into()));
        Resource {
            region: Some("eu-west-1".into()),
            launch_sources: origin.map(LaunchSource::unread).into_iter().collect(),
            ..Resource::existing(ResourceType::AutoScalingGroup, "arn".into(), None)
        }
    }

    /// Returns the value of `HttpTokens` of the version that a group uses; `None` if it is not known.
    fn tokens(launches: &RecordedLaunches, version: &'static str) -> Option<String> {
        let mut group = group(version);
        launches.complete(&mut group);
        match &group.launch_sources[0].settings {
            SourceSettings::Known(settings) => {
                Some(settings.options.as_ref().expect("options").http_tokens.as_str().to_owned())
            }
            _ => None,
        }
    }

    #[test]
    fn a_version_is_known_if_a_record_contains_it() {
        let mut launches = RecordedLaunches::default();
        assert_eq!(tokens(&launches, "$Default"), None);
        launches.remember(&template("required", 3, 3), None);
        for (version, expected) in [
            ("3", Some("required")),
            ("$Default", Some("required")),
            ("$Latest", Some("required")),
            ("2", None),
        ] {
            assert_eq!(tokens(&launches, version).as_deref(), expected, "{version}");
        }
        launches.remember_version(&template("optional", 0, 0), 2, false);
        assert_eq!(tokens(&launches, "2").as_deref(), Some("optional"));
        assert_eq!(tokens(&launches, "$Default").as_deref(), Some("required"));
        // There is a later version, which no record contains.
        launches.remember(&template("required", 3, 4), None);
        assert_eq!(tokens(&launches, "$Latest"), None);
        assert_eq!(tokens(&launches, "odd"), None);
    }

    #[test]
    fn the_newest_record_says_which_version_is_the_default() {
        let at = |seconds| OffsetDateTime::from_unix_timestamp(seconds).ok();
        for order in [[0, 1], [1, 0]] {
            let records = [(template("optional", 1, 1), at(100)), (template("required", 2, 2), at(200))];
            let mut launches = RecordedLaunches::default();
            for index in order {
                let (record, captured) = &records[index];
                launches.remember(record, *captured);
            }
            assert_eq!(tokens(&launches, "$Default").as_deref(), Some("required"));
            assert_eq!(tokens(&launches, "1").as_deref(), Some("optional"));
        }
    }

    #[test]
    fn defaults_apply_to_their_region_or_to_the_only_one() {
        let defaults = |region: Option<&'static str>, tokens: &'static str| RecordedDefaults {
            account_id: None,
            region: region.map(Into::into),
            defaults: AccountDefaults::from_api(Some(tokens.into()), None, None, None, None),
        };
        let found = |launches: &RecordedLaunches| {
            let mut group = group("1");
            launches.complete(&mut group);
            group.account_defaults.map(|defaults| defaults.http_tokens)
        };
        let mut launches = RecordedLaunches::default();
        // A template in the output of the AWS CLI names neither account nor Region.
        launches.expect(&template("optional", 1, 1));
        launches.expect(&group("1"));
        launches.remember_defaults(defaults(None, "optional"));
        assert_eq!(found(&launches), Some(HttpTokens::Optional));
        let mut unplaced = template("optional", 1, 1);
        launches.complete(&mut unplaced);
        assert!(unplaced.account_defaults.is_some());
        launches.expect(&Resource { region: Some("us-east-1".into()), ..group("1") });
        assert_eq!(found(&launches), None, "it is not known to which of the Regions they belong");
        launches.remember_defaults(defaults(Some("eu-west-1"), "required"));
        assert_eq!(found(&launches), Some(HttpTokens::Required));
        for account in ["1", "2"] {
            launches.expect(&Resource { account_id: Some(account.into()), ..group("1") });
        }
        assert_eq!(found(&launches), None, "it is not known to which of the accounts they belong");
    }

    #[test]
    fn the_default_version_alone_does_not_tell_the_latest_one() {
        let mut launches = RecordedLaunches::default();
        launches.remember_version(&template("required", 0, 0), 3, true);
        assert_eq!(tokens(&launches, "$Default").as_deref(), Some("required"));
        assert_eq!(tokens(&launches, "$Latest"), None);
        launches.remember_version(&template("optional", 0, 0), 4, false);
        assert_eq!(tokens(&launches, "$Latest").as_deref(), Some("optional"));
        launches.remember_numbers("lt-1", VersionNumbers { default: 3, latest: 5 }, None);
        assert_eq!(tokens(&launches, "$Latest"), None);
    }
}
