//! An instance, as a decision on enforcement sees it.

use time::OffsetDateTime;

use super::resource::{HttpEndpoint, Location, Resource};

/// An instance, with everything that a decision on enforcement depends on.
#[derive(Clone, Debug, PartialEq)]
pub struct InstanceFacts<'a> {
    /// The instance as a resource.
    pub resource: Resource<'a>,
    /// Its state.
    pub state: InstanceState,
    /// When it was last started (`LaunchTime`).
    pub launched_at: Option<OffsetDateTime>,
}

impl InstanceFacts<'_> {
    /// Returns facts that borrow nothing.
    #[must_use]
    pub fn into_owned(self) -> InstanceFacts<'static> {
        let Self { resource, state, launched_at } = self;
        InstanceFacts { resource: resource.into_owned(), state, launched_at }
    }

    /// Returns whether software on the instance can call IMDS as it is now.
    #[must_use]
    pub fn may_call(&self) -> bool {
        let options = self.resource.metadata_options.as_ref();
        self.state.may_run() && options.is_none_or(|options| options.http_endpoint != HttpEndpoint::Disabled)
    }
}

/// The state of an instance
/// (<https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_InstanceState.html>).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InstanceState {
    /// `pending`
    Pending,
    /// `running`
    Running,
    /// `stopped`
    Stopped,
    /// Any other state, such as `stopping`, or none.
    Other,
}

impl InstanceState {
    /// Reads the name of an instance state.
    #[must_use]
    pub fn from_api(name: Option<&str>) -> Self {
        match name {
            Some("pending") => Self::Pending,
            Some("running") => Self::Running,
            Some("stopped") => Self::Stopped,
            _ => Self::Other,
        }
    }

    /// Returns whether software may be running.
    #[must_use]
    pub fn may_run(self) -> bool {
        self != Self::Stopped
    }

    /// Returns whether changes of metadata options take effect now. On a stopped instance they take effect at its
    /// next start.
    #[must_use]
    pub fn applies_changes(self) -> bool {
        matches!(self, Self::Pending | Self::Running)
    }
}

/// An EC2 instance, named so that it is unique across accounts and Regions.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InstanceKey {
    /// The account and Region of the instance.
    pub location: Location,
    /// The instance id.
    pub instance_id: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn software_runs_unless_the_instance_is_stopped_and_changes_apply_while_it_runs() {
        for (state, may_run, applies_changes) in [
            (Some("pending"), true, true),
            (Some("running"), true, true),
            (Some("stopping"), true, false),
            (Some("stopped"), false, false),
            (Some("new"), true, false),
            (None, true, false),
        ] {
            let found = InstanceState::from_api(state);
            assert_eq!((found.may_run(), found.applies_changes()), (may_run, applies_changes), "{state:?}");
        }
    }
}
