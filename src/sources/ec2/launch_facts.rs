//! What launches instances in a Region: template versions, launch configurations, account-level defaults and AMIs.
//!
//! Many Auto Scaling groups launch instances from few templates, and many templates from few AMIs, so [`LaunchFacts`]
//! requests each of these at most once. Memory grows with their number, and not with that of the groups.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use aws_sdk_ec2::types::{Filter, LaunchTemplateVersion};
use tokio::task::JoinSet;

use super::{Ec2Error, convert};
use crate::aws::ApiError;
use crate::aws::clients::ResourceClients;
use crate::rule::launch::{AccountDefaults, Image, LaunchSettings};
use crate::rule::launch_source::{LaunchOrigin, LaunchSource, SourceSettings, is_template_id};
use crate::rule::policy::Policy;
use crate::rule::resource::{HttpTokens, Resource};

/// The number of launch templates whose versions are requested concurrently.
const CONCURRENCY: usize = 8;
/// The most values of a filter, and the most versions in a request
/// (<https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeImages.html>).
const MAX_VALUES: usize = 200;
/// The most launch configurations in a request
/// (<https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_DescribeLaunchConfigurations.html>).
const MAX_NAMES: usize = 50;

/// The time for a lookup that no verdict depends on.
const HINT_TIMEOUT: Duration = Duration::from_secs(3);

/// What is known of a template version: its number, and what it sets.
type Version = (Option<i64>, SourceSettings<'static>);

/// Looks up what launches instances in a Region, each at most once.
#[derive(Debug)]
pub struct LaunchFacts {
    clients: ResourceClients,
    /// Whether verdicts depend on defaults. If not, they are a hint, and a verdict without it is complete.
    are_defaults_required: bool,
    /// Whether verdicts depend on the hop limit that applies by default.
    judges_hop_limit: bool,
    /// By the id or name of the template, and the version as groups name it.
    versions: HashMap<(String, String), Version>,
    configurations: HashMap<String, SourceSettings<'static>>,
    defaults: Option<DefaultsLookup>,
    images: HashMap<String, Image<'static>>,
    /// Whether no lookup of AMIs that no verdict depends on has failed: a list of many pages waits for one at most.
    are_images_available: bool,
}

#[derive(Clone, Debug)]
enum DefaultsLookup {
    Found(AccountDefaults<'static>),
    /// EC2 does not return them, and no verdict depends on them.
    Unavailable,
}

impl LaunchFacts {
    /// Knows nothing yet. Whether failures matter depends on the policy.
    #[must_use]
    pub fn new(clients: &ResourceClients, policy: &Policy) -> Self {
        Self {
            clients: clients.clone(),
            are_defaults_required: policy.defaults_compliant,
            judges_hop_limit: policy.defaults_compliant && policy.max_hop_limit.is_some(),
            versions: HashMap::new(),
            configurations: HashMap::new(),
            defaults: None,
            images: HashMap::new(),
            are_images_available: true,
        }
    }

    /// Reports defaults that cannot be read as an error, whatever the policy says.
    #[must_use]
    pub fn with_required_defaults(self) -> Self {
        Self { are_defaults_required: true, ..self }
    }

    pub(super) fn clients(&self) -> ResourceClients {
        self.clients.clone()
    }

    /// Remembers a default version, which groups may launch instances from.
    pub(super) fn remember_default_version(&mut self, version: &LaunchTemplateVersion) {
        let Some(id) = version.launch_template_id() else { return };
        let found = known(version);
        if let Some(number) = version.version_number() {
            self.versions.insert((id.to_owned(), number.to_string()), found.clone());
        }
        self.versions.insert((id.to_owned(), "$Default".to_owned()), found);
    }

    /// Remembers a launch configuration, which groups may launch instances from.
    pub(super) fn remember_configuration(&mut self, name: &str, settings: LaunchSettings<'_>) {
        self.configurations.insert(name.to_owned(), SourceSettings::Known(settings.into_owned()));
    }

    /// Looks up what Auto Scaling groups launch instances from.
    ///
    /// # Errors
    /// Returns an error if EC2 does not respond, or denies access.
    pub async fn complete_groups(&mut self, groups: &mut [Resource<'_>]) -> Result<(), Ec2Error> {
        let mut versions = BTreeMap::<String, BTreeSet<String>>::new();
        let mut names = BTreeSet::new();
        for source in groups.iter().flat_map(|group| &group.launch_sources) {
            match &source.origin {
                LaunchOrigin::TemplateVersion { template, version, .. } => {
                    let key = (template.to_string(), version.to_string());
                    if !self.versions.contains_key(&key) {
                        versions.entry(key.0).or_default().insert(key.1);
                    }
                }
                LaunchOrigin::LaunchConfiguration(name) => {
                    if !self.configurations.contains_key(name.as_ref()) {
                        names.insert(name.to_string());
                    }
                }
                LaunchOrigin::Unresolved(_) => {}
            }
        }
        self.look_up_versions(versions).await?;
        self.look_up_configurations(names).await?;
        for group in groups {
            for source in &mut group.launch_sources {
                self.complete_source(source);
            }
            group.gap = None;
        }
        Ok(())
    }

    fn complete_source(&self, source: &mut LaunchSource<'_>) {
        match &mut source.origin {
            LaunchOrigin::TemplateVersion { template, version, number } => {
                let found = self.versions.get(&(template.to_string(), version.to_string()));
                if let Some((found, settings)) = found {
                    *number = *found;
                    source.complete(settings.clone());
                }
            }
            LaunchOrigin::LaunchConfiguration(name) => {
                if let Some(settings) = self.configurations.get(name.as_ref()) {
                    source.complete(settings.clone());
                }
            }
            LaunchOrigin::Unresolved(_) => {}
        }
    }

    /// Looks up versions, by template.
    async fn look_up_versions(&mut self, wanted: BTreeMap<String, BTreeSet<String>>) -> Result<(), Ec2Error> {
        let (mut wanted, mut requests) = (wanted.into_iter(), JoinSet::new());
        loop {
            while requests.len() < CONCURRENCY
                && let Some((template, versions)) = wanted.next()
            {
                requests.spawn(describe_versions(self.clients.ec2.clone(), template, versions));
            }
            let Some(response) = requests.join_next().await else { return Ok(()) };
            // A request that panicked has found nothing.
            let found = response.map_err(|error| {
                let error = ApiError::unexpected_response(VERSIONS, &error.to_string());
                Ec2Error::List(error)
            })?;
            self.versions.extend(found?);
        }
    }

    /// Looks up launch configurations by name. The response contains those that exist
    /// (<https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_DescribeLaunchConfigurations.html>).
    async fn look_up_configurations(&mut self, names: BTreeSet<String>) -> Result<(), Ec2Error> {
        let names: Vec<_> = names.into_iter().collect();
        for names in names.chunks(MAX_NAMES) {
            let request = self.clients.autoscaling.describe_launch_configurations();
            let request = request.set_launch_configuration_names(Some(names.to_vec()));
            let mut pages = request.into_paginator().stop_on_duplicate_token(false).send();
            let mut found: HashMap<_, _> =
                names.iter().map(|name| (name.clone(), SourceSettings::NotFound)).collect();
            while let Some(page) = pages.next().await {
                let page = page
                    .map_err(|error| Ec2Error::List(ApiError::new("DescribeLaunchConfigurations", &error)))?;
                for configuration in page.launch_configurations() {
                    let Some(name) = configuration.launch_configuration_name() else { continue };
                    let settings = convert::configuration_settings(configuration).into_owned();
                    found.insert(name.to_owned(), SourceSettings::Known(settings));
                }
            }
            // What a call that failed did not return may exist.
            self.configurations.extend(found);
        }
        Ok(())
    }

    /// Looks up what decides on tokens where launches leave them unset: the account-level defaults and, where those
    /// are not set either, the AMI.
    ///
    /// # Errors
    /// Returns an error if EC2 does not respond, or denies access, unless the policy does not depend on defaults.
    pub async fn complete_defaults(&mut self, resources: &mut [Resource<'_>]) -> Result<(), Ec2Error> {
        if resources.iter_mut().all(|resource| resource.unset_images().is_empty()) {
            return Ok(());
        }
        let DefaultsLookup::Found(defaults) = self.look_up_defaults().await? else { return Ok(()) };
        // Where the account-level default decides on tokens, the AMI may still decide on the hop limit.
        let is_image_relevant = defaults.http_tokens == HttpTokens::Unset
            || (self.judges_hop_limit && defaults.hop_limit.is_none());
        if is_image_relevant {
            let images = resources.iter_mut().flat_map(Resource::unset_images);
            let ids: BTreeSet<_> = images.filter_map(|image| unread_id(image)).collect();
            if self.are_defaults_required {
                self.look_up_images(ids).await?;
            } else if self.are_images_available {
                self.are_images_available = hint(self.look_up_images(ids)).await.is_some();
            }
        }
        for resource in resources {
            let mut images = resource.unset_images();
            if images.is_empty() {
                continue;
            }
            for image in &mut images {
                if let Some(found) = unread_id(image).and_then(|id| self.images.get(&id)) {
                    **image = found.clone();
                }
            }
            resource.account_defaults = Some(defaults.clone());
        }
        Ok(())
    }

    async fn look_up_defaults(&mut self) -> Result<DefaultsLookup, Ec2Error> {
        if let Some(defaults) = &self.defaults {
            return Ok(defaults.clone());
        }
        let found = if self.are_defaults_required {
            Some(self.account_defaults().await?)
        } else {
            hint(self.account_defaults()).await
        };
        let found = found.map_or(DefaultsLookup::Unavailable, DefaultsLookup::Found);
        self.defaults = Some(found.clone());
        Ok(found)
    }

    /// Returns the account-level defaults of the Region
    /// (<https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_GetInstanceMetadataDefaults.html>).
    ///
    /// # Errors
    /// Returns an error if EC2 does not respond.
    pub async fn account_defaults(&mut self) -> Result<AccountDefaults<'static>, Ec2Error> {
        if let Some(DefaultsLookup::Found(defaults)) = &self.defaults {
            return Ok(defaults.clone());
        }
        let response = self.clients.ec2.get_instance_metadata_defaults().send().await;
        let response =
            response.map_err(|error| Ec2Error::List(ApiError::new("GetInstanceMetadataDefaults", &error)))?;
        let defaults = convert::account_defaults(&response);
        self.defaults = Some(DefaultsLookup::Found(defaults.clone()));
        Ok(defaults)
    }

    /// Looks up AMIs. A filter is used, because a request for the id of an AMI that no longer exists fails as a whole.
    async fn look_up_images(&mut self, ids: BTreeSet<String>) -> Result<(), Ec2Error> {
        let ids: Vec<_> = ids.into_iter().filter(|id| !self.images.contains_key(id)).collect();
        for ids in ids.chunks(MAX_VALUES) {
            let mut pages = self
                .clients
                .ec2
                .describe_images()
                .filters(Filter::builder().name("image-id").set_values(Some(ids.to_vec())).build())
                .include_deprecated(true)
                .include_disabled(true)
                .into_paginator()
                .stop_on_duplicate_token(false)
                .send();
            // An AMI that is not returned stays unknown, and is not asked for again.
            let mut found: HashMap<_, _> = ids.iter().map(|id| (id.clone(), Image::Unknown)).collect();
            while let Some(page) = pages.next().await {
                let page = page.map_err(|error| Ec2Error::List(ApiError::new("DescribeImages", &error)))?;
                found.extend(page.images().iter().filter_map(convert::image));
            }
            self.images.extend(found);
        }
        Ok(())
    }
}

/// Returns what a lookup found that no verdict depends on, unless it fails or takes long.
async fn hint<T>(lookup: impl Future<Output = Result<T, Ec2Error>>) -> Option<T> {
    match tokio::time::timeout(HINT_TIMEOUT, lookup).await {
        Ok(Ok(found)) => Some(found),
        Ok(Err(error)) => {
            tracing::debug!(%error, "annotations do not mention what applies by default");
            None
        }
        Err(_) => {
            tracing::debug!("annotations do not mention what applies by default: no response in time");
            None
        }
    }
}

const VERSIONS: &str = "DescribeLaunchTemplateVersions";

/// Describes versions of a launch template
/// (<https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeLaunchTemplateVersions.html>).
async fn describe_versions(
    client: aws_sdk_ec2::Client,
    template: String,
    versions: BTreeSet<String>,
) -> Result<Vec<((String, String), Version)>, Ec2Error> {
    let mut found: BTreeMap<String, Version> =
        versions.iter().map(|version| (version.clone(), (None, SourceSettings::NotFound))).collect();
    let all: Vec<_> = versions.into_iter().collect();
    for versions in all.chunks(MAX_VALUES) {
        match describe_chunk(&client, &template, versions).await? {
            Some(described) => found.extend(described),
            // One that does not exist fails the request for all of them.
            None if versions.len() > 1 => {
                for version in versions {
                    let described = describe_chunk(&client, &template, std::slice::from_ref(version)).await?;
                    found.extend(described.into_iter().flatten());
                }
            }
            None => {}
        }
    }
    Ok(found.into_iter().map(|(version, settings)| ((template.clone(), version), settings)).collect())
}

/// Describes versions of a launch template; `None` if EC2 does not know the template, or one of them.
async fn describe_chunk(
    client: &aws_sdk_ec2::Client,
    template: &str,
    versions: &[String],
) -> Result<Option<Vec<(String, Version)>>, Ec2Error> {
    let request = client.describe_launch_template_versions().include_managed_resources(true);
    let request = if is_template_id(template) {
        request.launch_template_id(template)
    } else {
        request.launch_template_name(template)
    };
    let mut pages =
        request.set_versions(Some(versions.to_vec())).into_paginator().stop_on_duplicate_token(false).send();
    let mut described = Vec::new();
    while let Some(page) = pages.next().await {
        let page = match page.map_err(|error| ApiError::new(VERSIONS, &error)) {
            Ok(page) => page,
            Err(error) if is_not_found(&error) => return Ok(None),
            Err(error) => return Err(Ec2Error::Describe { resource_id: template.to_owned(), error }),
        };
        described.extend(page.launch_template_versions.into_iter().flatten());
    }
    let latest = described.iter().filter_map(LaunchTemplateVersion::version_number).max();
    let wanted = |name: &str| versions.iter().any(|version| version == name);
    let mut found = Vec::new();
    for version in &described {
        let names = [
            version.version_number().map(|number| number.to_string()),
            (version.default_version() == Some(true)).then(|| "$Default".to_owned()),
            // No number is higher than that of the latest version.
            (version.version_number() == latest).then(|| "$Latest".to_owned()),
        ];
        let names = names.into_iter().flatten().filter(|name| wanted(name));
        found.extend(names.map(|name| (name, known(version))));
    }
    Ok(Some(found))
}

/// Returns whether EC2 does not know a launch template or a version
/// (<https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html>).
fn is_not_found(error: &ApiError) -> bool {
    [
        "InvalidLaunchTemplateId.NotFound",
        "InvalidLaunchTemplateId.VersionNotFound",
        "InvalidLaunchTemplateName.NotFoundException",
    ]
    .iter()
    .any(|code| error.has_code(code))
}

fn known(version: &LaunchTemplateVersion) -> Version {
    let settings = convert::template_settings(version.launch_template_data());
    (version.version_number(), SourceSettings::Known(settings.into_owned()))
}

/// Returns the id of an AMI that was not looked up.
fn unread_id(image: &Image<'_>) -> Option<String> {
    match image {
        Image::Id(id) => Some(id.to_string()),
        _ => None,
    }
}
