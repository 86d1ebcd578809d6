//! The instances that are open to IMDSv1, of those that are wanted.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail};
use serde::Deserialize;
use time::OffsetDateTime;

use crate::cli::fleet::accounts::Place;
use crate::cli::output::changes::{Change, Outcome};
use crate::rule::policy::Policy;
use crate::rule::resource::{HttpTokens, Resource, ResourceType};
use crate::rule::verdict::{Compliance, evaluate};
use crate::sources::ec2::lookup::Ec2Error;
use crate::sources::ec2::region::{self, Visitor};

/// An instance that is open to IMDSv1.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) place: Arc<Place>,
    pub(crate) instance_id: String,
    /// Whether software on it may be calling IMDS.
    pub(crate) may_call: bool,
    pub(crate) endpoint_on: bool,
    pub(crate) hop_limit: i32,
}

impl Target {
    pub(crate) fn key(&self) -> (&str, &str, &str) {
        (&self.place.account_id, &self.place.region, &self.instance_id)
    }

    /// What came of it, in words.
    pub(crate) fn change(&self, outcome: Outcome, detail: String) -> Change {
        let (account_id, region, instance_id) = self.key();
        Change {
            account_id: account_id.to_owned(),
            region: region.to_owned(),
            instance_id: instance_id.to_owned(),
            outcome,
            detail,
        }
    }
}

/// An account, a Region and an instance in it.
type Key = (String, String, String);

/// Which instances are wanted.
#[derive(Clone, Debug)]
pub(crate) enum Wanted {
    /// All.
    All,
    /// Those with these ids.
    Ids(BTreeSet<String>),
    /// Those that a scan found.
    Found(BTreeSet<Key>),
}

impl Wanted {
    /// Those with these ids; all where there are none.
    pub(crate) fn ids(ids: &[String]) -> Self {
        if ids.is_empty() { Self::All } else { Self::Ids(ids.iter().cloned().collect()) }
    }

    /// The non-compliant instances in the JSON of a scan.
    ///
    /// # Errors
    /// Where the file cannot be read, or has something else.
    pub(crate) fn found_in(scan: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read(scan).with_context(|| format!("cannot read {}", scan.display()))?;
        let scanned: Scanned = serde_json::from_slice(&text)
            .with_context(|| format!("{}: not what `imdsv2 scan --format json` writes", scan.display()))?;
        let open = scanned.evaluations.into_iter().filter(|each| {
            each.resource_type == ResourceType::Instance.name() && each.compliance == "NON_COMPLIANT"
        });
        let mut found = BTreeSet::new();
        for Evaluation { resource_id, account_id, region, .. } in open {
            let (Some(account_id), Some(region)) = (account_id, region) else {
                bail!("{}: {resource_id} has no accountId or region", scan.display());
            };
            found.insert((account_id, region, resource_id));
        }
        Ok(Self::Found(found))
    }

    /// The Regions that they are in, where that is known.
    pub(crate) fn regions(&self) -> Option<BTreeSet<String>> {
        match self {
            Self::All | Self::Ids(_) => None,
            Self::Found(found) => Some(found.iter().map(|(_, region, _)| region.clone()).collect()),
        }
    }

    /// Whether any may be in this place.
    pub(crate) fn may_be_in(&self, place: &Place) -> bool {
        match self {
            Self::All | Self::Ids(_) => true,
            Self::Found(found) => {
                let first = (place.account_id.to_string(), place.region.to_string(), String::new());
                let next = found.range(&first..).next();
                next.is_some_and(|(account_id, region, _)| *account_id == first.0 && *region == first.1)
            }
        }
    }

    fn takes(&self, place: &Place, instance_id: &str) -> bool {
        match self {
            Self::All => true,
            Self::Ids(ids) => ids.contains(instance_id),
            Self::Found(found) => found.contains(&(
                place.account_id.to_string(),
                place.region.to_string(),
                instance_id.to_owned(),
            )),
        }
    }

    /// The ids that are wanted by name.
    pub(crate) fn named(&self) -> impl Iterator<Item = &str> {
        let (ids, found) = match self {
            Self::All => (None, None),
            Self::Ids(ids) => (Some(ids), None),
            Self::Found(found) => (None, Some(found)),
        };
        let ids = ids.into_iter().flatten();
        ids.chain(found.into_iter().flatten().map(|(_, _, id)| id)).map(String::as_str)
    }

    /// The accounts of those that a scan found.
    pub(crate) fn accounts(&self) -> BTreeSet<&str> {
        match self {
            Self::All | Self::Ids(_) => BTreeSet::new(),
            Self::Found(found) => found.iter().map(|(account_id, ..)| account_id.as_str()).collect(),
        }
    }
}

/// What is looked at in the JSON of a scan.
#[derive(Deserialize)]
struct Scanned {
    evaluations: Vec<Evaluation>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Evaluation {
    resource_type: String,
    resource_id: String,
    account_id: Option<String>,
    region: Option<String>,
    compliance: String,
}

/// Lists the instances of a place that are wanted, non-compliant by `policy`, and open to IMDSv1.
///
/// # Errors
/// Where EC2 does not list them.
pub(crate) async fn list(
    place: &Arc<Place>,
    policy: &Policy,
    wanted: &Wanted,
) -> Result<Vec<Target>, Ec2Error> {
    let mut open = Open { place, policy, wanted, targets: Vec::new() };
    region::each_instance(&place.clients, &mut open).await?;
    Ok(open.targets)
}

struct Open<'a> {
    place: &'a Arc<Place>,
    policy: &'a Policy,
    wanted: &'a Wanted,
    targets: Vec<Target>,
}

impl Visitor for Open<'_> {
    type Error = Ec2Error;

    async fn visit(&mut self, resource: Resource<'_>, may_call: bool) -> Result<(), Ec2Error> {
        let verdict = evaluate(&resource, self.policy, OffsetDateTime::now_utc().date());
        let options = resource.metadata_options.as_ref();
        let required = options.is_some_and(|options| options.http_tokens == HttpTokens::Required);
        let asked = self.wanted.takes(self.place, &resource.resource_id);
        if asked && verdict.compliance == Compliance::NonCompliant && !required {
            let endpoint_on = options.is_none_or(|options| !options.endpoint_disabled);
            let hop_limit = options.and_then(|options| options.hop_limit).unwrap_or_default();
            self.targets.push(Target {
                place: Arc::clone(self.place),
                instance_id: resource.resource_id.to_string(),
                may_call: may_call && endpoint_on,
                endpoint_on,
                hop_limit: i32::try_from(hop_limit).unwrap_or(i32::MAX),
            });
        }
        Ok(())
    }
}
