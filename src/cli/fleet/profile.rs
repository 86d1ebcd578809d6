//! A profile of the AWS configuration files, chosen by name.

use anyhow::{Context, bail};
use aws_config::profile::{self, ProfileFileCredentialsProvider, ProfileSet};
use aws_config::provider_config::ProviderConfig;
use aws_config::{ConfigLoader, SdkConfig};
use aws_sdk_ec2::config::SharedCredentialsProvider;
use clap_complete::CompletionCandidate;

/// The number of profiles that an error lists.
const LISTED: usize = 5;

/// Loads the configuration with the Region and the credentials of a profile, whatever credentials the
/// environment holds: the AWS CLI gives a profile that is named on the command line precedence over access
/// keys in the environment, too
/// (<https://docs.aws.amazon.com/cli/latest/userguide/cli-configure-envvars.html>).
///
/// # Errors
/// Returns an error if the AWS configuration files cannot be read, or do not contain the profile.
pub(super) async fn load(loader: ConfigLoader, name: &str) -> anyhow::Result<SdkConfig> {
    check_exists(name).await?;
    let sdk = loader.profile_name(name).load().await;
    let mut config = ProviderConfig::default().with_region(sdk.region().cloned());
    if let Some(http) = sdk.http_client() {
        config = config.with_http_client(http);
    }
    if let Some(retries) = sdk.retry_config() {
        config = config.with_retry_config(retries.clone());
    }
    if let Some(timeouts) = sdk.timeout_config() {
        config = config.with_timeout_config(timeouts.clone());
    }
    let credentials = ProfileFileCredentialsProvider::builder().configure(&config).profile_name(name).build();
    Ok(sdk.to_builder().credentials_provider(SharedCredentialsProvider::new(credentials)).build())
}

/// Returns the profiles of the AWS configuration files, for a shell to complete.
pub(super) fn candidates() -> Vec<CompletionCandidate> {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
        return Vec::new(); // there is nobody to report it to
    };
    let profiles = runtime.block_on(read(None));
    profiles.iter().flat_map(ProfileSet::profiles).map(CompletionCandidate::new).collect()
}

/// Reads the AWS configuration files. `selected` is the profile that is asked for, if any.
#[allow(clippy::default_trait_access)] // the types of the first two are in a crate that is not used otherwise
async fn read(selected: Option<String>) -> anyhow::Result<ProfileSet> {
    let selected = selected.map(Into::into);
    let profiles =
        profile::load(&Default::default(), &Default::default(), &Default::default(), selected).await;
    profiles.context("cannot read the AWS configuration files")
}

async fn check_exists(name: &str) -> anyhow::Result<()> {
    let profiles = read(Some(name.to_owned())).await?;
    if profiles.get_profile(name).is_some() {
        return Ok(());
    }
    let names: Vec<_> = profiles.profiles().collect();
    bail!("profile \"{name}\" not found: {}", expected(name, names))
}

/// Describes the profiles that exist: all of them, or the most similar ones.
fn expected(name: &str, mut names: Vec<&str>) -> String {
    if names.is_empty() {
        return "the AWS configuration files contain no profile".to_owned();
    }
    let all = names.len();
    names.sort_by(|a, b| {
        strsim::jaro_winkler(name, b).total_cmp(&strsim::jaro_winkler(name, a)).then_with(|| a.cmp(b))
    });
    names.truncate(LISTED);
    names.sort_unstable();
    match all - names.len() {
        0 => format!("expected one of {}", names.join(", ")),
        others => format!("expected one of {} or {others} others", names.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_lists_the_most_similar_profiles() {
        assert_eq!(expected("nope", vec!["prod", "dev"]), "expected one of dev, prod");
        let many = vec!["a1", "b2", "prod-eu", "c3", "d4", "prod-us", "e5"];
        let message = expected("prod-ue", many);
        assert!(message.contains("prod-eu, prod-us or 2 others"), "{message}");
    }
}
