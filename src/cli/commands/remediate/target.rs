//! The selected instances that accept IMDSv1.

use std::sync::Arc;

use time::OffsetDateTime;

use super::selection::InstanceSelection;
use crate::cli::fleet::accounts::AccountRegion;
use crate::cli::fleet::usage::Candidate;
use crate::rule::policy::Policy;
use crate::rule::resource::{HttpEndpoint, InstanceKey, MetadataOptions, PowerState, Resource};
use crate::rule::verdict::{Compliance, evaluate};
use crate::sources::ec2::Ec2Error;
use crate::sources::ec2::region::{self, Visitor};

/// An instance that accepts IMDSv1.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) region: Arc<AccountRegion>,
    pub(super) instance: InstanceKey,
    /// Whether software on the instance may be calling IMDS.
    pub(super) may_call: bool,
    /// The metadata options when the instance was listed.
    pub(super) options: MetadataOptions<'static>,
}

impl Target {
    pub(super) fn instance_id(&self) -> &str {
        &self.instance.instance_id
    }

    /// Returns the instance as a candidate for a query of CloudWatch.
    pub(super) fn candidate(&self) -> Candidate<'_> {
        Candidate { instance_id: self.instance_id(), may_call: self.may_call }
    }
}

/// Lists the selected instances of an account and Region that are non-compliant by `policy` and accept
/// IMDSv1.
///
/// # Errors
/// Returns an error if EC2 does not list them.
pub(super) async fn list(
    region: &Arc<AccountRegion>,
    policy: &Policy,
    selection: &InstanceSelection,
) -> Result<Vec<Target>, Ec2Error> {
    let mut lister = Lister { region, policy, selection, targets: Vec::new() };
    region::each_instance(&region.resources, &mut lister).await?;
    Ok(lister.targets)
}

struct Lister<'a> {
    region: &'a Arc<AccountRegion>,
    policy: &'a Policy,
    selection: &'a InstanceSelection,
    targets: Vec<Target>,
}

impl Visitor for Lister<'_> {
    type Error = Ec2Error;

    async fn instance(&mut self, resource: Resource<'_>, power_state: PowerState) -> Result<(), Ec2Error> {
        let verdict = evaluate(&resource, self.policy, OffsetDateTime::now_utc().date());
        let instance = self.region.key(&resource.resource_id);
        let is_open = verdict.compliance == Compliance::NonCompliant && !resource.requires_tokens();
        if is_open && self.selection.contains(&instance) {
            let options = owned_options(&resource);
            let endpoint_on = options.http_endpoint != HttpEndpoint::Disabled;
            self.targets.push(Target {
                region: Arc::clone(self.region),
                instance,
                may_call: power_state == PowerState::Running && endpoint_on,
                options,
            });
        }
        Ok(())
    }

    /// Only instances are remediated.
    async fn launch_source(&mut self, _: Resource<'_>) -> Result<(), Ec2Error> {
        Ok(())
    }
}

fn owned_options(resource: &Resource<'_>) -> MetadataOptions<'static> {
    resource
        .metadata_options
        .as_ref()
        .map_or(MetadataOptions::from_api(None, None, None, None), MetadataOptions::to_owned_options)
}
