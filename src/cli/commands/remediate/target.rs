//! The instances of an account and Region: those to remediate, and those that need no change.

use std::sync::Arc;

use time::Date;

use super::selection::InstanceSelection;
use crate::cli::calls::known::InstanceCallers;
use crate::cli::filter::Filter;
use crate::cli::fleet::accounts::AccountRegion;
use crate::cli::fleet::usage::Candidate;
use crate::rule::enforcement::{NoChangeReason, SkipReason, needs_no_change};
use crate::rule::instance::{InstanceFacts, InstanceKey};
use crate::rule::policy::Policy;
use crate::rule::resource::Resource;
use crate::sources::ec2::Ec2Error;
use crate::sources::ec2::region::{self, Visitor};

/// An instance to remediate.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) region: Arc<AccountRegion>,
    pub(super) instance: InstanceKey,
    /// The instance when it was listed.
    pub(super) facts: InstanceFacts<'static>,
    /// Who makes IMDSv1 calls on it, if callers were passed.
    pub(super) callers: Option<InstanceCallers>,
}

impl Target {
    pub(super) fn instance_id(&self) -> &str {
        &self.instance.instance_id
    }

    /// Returns the Name tag of the instance, if it has one.
    pub(super) fn name(&self) -> Option<String> {
        self.facts.resource.tag("Name").map(str::to_owned)
    }

    /// Returns the name and the id of the instance.
    pub(super) fn label(&self) -> String {
        self.name()
            .map_or_else(|| self.instance_id().to_owned(), |name| format!("{name}  {}", self.instance_id()))
    }

    /// Returns why the instance is skipped, with who makes its IMDSv1 calls, if that is known.
    pub(super) fn why_skipped(&self, reason: &SkipReason) -> String {
        match &self.callers {
            None => reason.to_string(),
            Some(callers) => {
                let counts_calls = matches!(reason, SkipReason::InUse { .. });
                callers.explain(&reason.to_string(), counts_calls)
            }
        }
    }

    /// Returns the instance as a candidate for a query of CloudWatch.
    pub(super) fn candidate(&self) -> Candidate {
        Candidate { instance_id: self.instance.instance_id.clone(), launched_at: self.facts.launched_at }
    }
}

/// An instance that needs no change.
#[derive(Clone, Debug)]
pub(super) struct UnchangedInstance {
    pub(super) instance: InstanceKey,
    pub(super) reason: NoChangeReason,
}

/// The selected instances of an account and Region.
#[derive(Debug, Default)]
pub(super) struct Listed {
    pub(super) targets: Vec<Target>,
    pub(super) unchanged: Vec<UnchangedInstance>,
    /// The instances that the filter leaves out.
    pub(super) left_out: Vec<InstanceKey>,
}

/// Lists the selected instances of an account and Region. `today` is the date in UTC.
///
/// # Errors
/// Returns an error if EC2 does not list them.
pub(super) async fn list(
    region: &Arc<AccountRegion>,
    rule: &Policy,
    selection: &InstanceSelection,
    filter: &Filter,
    today: Date,
) -> Result<Listed, Ec2Error> {
    let mut lister = Lister { region, rule, selection, filter, today, listed: Listed::default() };
    region::each_instance(&region.resources, &mut lister).await?;
    Ok(lister.listed)
}

struct Lister<'a> {
    region: &'a Arc<AccountRegion>,
    rule: &'a Policy,
    selection: &'a InstanceSelection,
    filter: &'a Filter,
    today: Date,
    listed: Listed,
}

impl Visitor for Lister<'_> {
    type Error = Ec2Error;

    async fn instance(&mut self, facts: InstanceFacts<'_>) -> Result<(), Ec2Error> {
        let instance = self.region.key(&facts.resource.resource_id);
        if !self.selection.contains(&instance) {
            return Ok(());
        }
        if !self.filter.includes(&facts.resource) {
            self.listed.left_out.push(instance);
            return Ok(());
        }
        match needs_no_change(&facts, self.rule, self.today) {
            Some(reason) => self.listed.unchanged.push(UnchangedInstance { instance, reason }),
            None => self.listed.targets.push(Target {
                callers: None,
                region: Arc::clone(self.region),
                instance,
                facts: facts.into_owned(),
            }),
        }
        Ok(())
    }

    /// Only instances are remediated.
    async fn launch_source(&mut self, _: Resource<'_>) -> Result<(), Ec2Error> {
        Ok(())
    }
}
