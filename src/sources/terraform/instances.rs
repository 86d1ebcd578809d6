//! The resources of a plan, by their module, name and key.

use std::collections::HashMap;

use super::addresses::ModuleInstance;
use super::resources::Planned;

/// The resources of a type and name in an instance of a module, by the key of `count` or `for_each`.
type ByKey<'d, 'a> = HashMap<Option<&'d str>, &'d Planned<'d, 'a>>;

/// The resources that references may mean.
pub(super) struct Instances<'d, 'a>(HashMap<(&'d ModuleInstance, &'d str, &'d str), ByKey<'d, 'a>>);

impl<'d, 'a> Instances<'d, 'a> {
    pub(super) fn new(planned: &'d [Planned<'d, 'a>]) -> Self {
        let mut instances: HashMap<_, ByKey<'_, '_>> = HashMap::new();
        for each in planned {
            let name = (&each.module, each.resource.kind.0.as_ref(), each.resource.name.0.as_ref());
            instances.entry(name).or_default().insert(each.key.as_deref(), each);
        }
        Self(instances)
    }

    /// Returns a resource of a module, by type, name and key. Without a key, it is the only one of its name.
    pub(super) fn get(
        &self,
        module: &ModuleInstance,
        kind: &str,
        name: &str,
        key: Option<&str>,
    ) -> Option<&'d Planned<'d, 'a>> {
        let by_key = self.0.get(&(module, kind, name))?;
        match (key, by_key.len()) {
            (Some(_), _) => by_key.get(&key).copied(),
            (None, 1) => by_key.values().next().copied(),
            (None, _) => None,
        }
    }
}
