//! The parts of a plan or state that a verdict depends on.

use std::collections::HashMap;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use crate::sources::fields::Text;

/// A plan, or a state.
#[derive(Deserialize)]
pub(super) struct Document<'a> {
    /// What the resources of a plan will be.
    #[serde(borrow)]
    pub(super) planned_values: Option<Values<'a>>,
    /// What the resources of a state are.
    #[serde(borrow)]
    pub(super) values: Option<Values<'a>>,
    #[serde(borrow)]
    pub(super) resource_changes: Option<Vec<ResourceChange<'a>>>,
    #[serde(borrow)]
    pub(super) configuration: Option<Configuration<'a>>,
    /// Whether the plan failed before it was complete.
    pub(super) errored: Option<bool>,
    /// Whether the plan has all changes; some may be deferred.
    pub(super) complete: Option<bool>,
    /// What only a state file has.
    pub(super) lineage: Option<IgnoredAny>,
}

#[derive(Deserialize)]
pub(super) struct Values<'a> {
    #[serde(borrow)]
    pub(super) root_module: Option<Module<'a>>,
}

/// A module with the values of its resources. `address` is absent of the root module.
#[derive(Deserialize)]
pub(super) struct Module<'a> {
    #[serde(borrow)]
    pub(super) address: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) resources: Option<Vec<ModuleResource<'a>>>,
    #[serde(borrow)]
    pub(super) child_modules: Option<Vec<Module<'a>>>,
}

#[derive(Deserialize)]
pub(super) struct ModuleResource<'a> {
    #[serde(borrow)]
    pub(super) address: Text<'a>,
    #[serde(borrow)]
    pub(super) mode: Option<Text<'a>>,
    #[serde(borrow, rename = "type")]
    pub(super) kind: Text<'a>,
    #[serde(borrow)]
    pub(super) name: Text<'a>,
    #[serde(borrow)]
    pub(super) values: Option<&'a RawValue>,
}

/// What a plan does with a resource.
#[derive(Deserialize)]
pub(super) struct ResourceChange<'a> {
    #[serde(borrow)]
    pub(super) address: Text<'a>,
    /// What is left of an earlier replacement, and is deleted. It has the address of what replaced it.
    pub(super) deposed: Option<IgnoredAny>,
    #[serde(borrow)]
    pub(super) change: Option<Change<'a>>,
}

#[derive(Clone, Copy, Deserialize)]
pub(super) struct Change<'a> {
    #[serde(borrow)]
    pub(super) actions: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) before: Option<&'a RawValue>,
    /// In the place of each value that is known only after the plan is applied, `true`.
    #[serde(borrow)]
    pub(super) after_unknown: Option<&'a RawValue>,
}

impl Change<'_> {
    /// Returns whether the resource exists, and is changed in place.
    pub(super) fn is_update(&self) -> bool {
        let actions: Vec<String> =
            self.actions.and_then(|json| serde_json::from_str(json.get()).ok()).unwrap_or_default();
        actions == ["update"]
    }
}

/// What the code says.
#[derive(Deserialize)]
pub(super) struct Configuration<'a> {
    #[serde(borrow)]
    pub(super) root_module: Option<ConfiguredModule<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct ConfiguredModule<'a> {
    #[serde(borrow)]
    pub(super) resources: Vec<ConfiguredResource<'a>>,
    #[serde(borrow)]
    pub(super) module_calls: HashMap<String, ModuleCall<'a>>,
    #[serde(borrow)]
    pub(super) outputs: HashMap<String, Output<'a>>,
}

#[derive(Deserialize)]
pub(super) struct ConfiguredResource<'a> {
    #[serde(borrow)]
    pub(super) mode: Option<Text<'a>>,
    #[serde(borrow, rename = "type")]
    pub(super) kind: Text<'a>,
    #[serde(borrow)]
    pub(super) name: Text<'a>,
    #[serde(borrow)]
    pub(super) expressions: Option<&'a RawValue>,
}

/// Returns whether a resource is one that Terraform manages, and no data source, which may have the same type and name.
pub(super) fn is_managed(mode: Option<&Text<'_>>) -> bool {
    mode.is_none_or(|mode| mode.0 == "managed")
}

#[derive(Deserialize)]
pub(super) struct ModuleCall<'a> {
    #[serde(borrow)]
    pub(super) expressions: Option<HashMap<String, &'a RawValue>>,
    #[serde(borrow)]
    pub(super) module: Option<ConfiguredModule<'a>>,
}

#[derive(Deserialize)]
pub(super) struct Output<'a> {
    #[serde(borrow)]
    pub(super) expression: Option<&'a RawValue>,
}
