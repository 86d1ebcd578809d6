//! Which of the resources that one resource of the configuration stands for is meant.

use std::collections::HashMap;

use super::references::ConfiguredName;
use super::resources::Planned;

/// Resources, by the address of their module and their key of `count` or `for_each`. `None` stands for any.
type ByPlace<'d, 'a> = HashMap<(Option<&'d str>, Option<&'d str>), Vec<&'d Planned<'d, 'a>>>;

/// The resources that each resource of the configuration stands for.
pub(super) struct Instances<'d, 'a>(HashMap<ConfiguredName, ByPlace<'d, 'a>>);

impl<'d, 'a> Instances<'d, 'a> {
    pub(super) fn new(planned: &'d [Planned<'d, 'a>]) -> Self {
        let mut by_name: HashMap<_, ByPlace<'_, '_>> = HashMap::new();
        for resource in planned {
            let by_place = by_name.entry(resource.configured()).or_default();
            let module = Some(resource.module_address);
            let key = resource.key().map(Some);
            for module in [None, module] {
                for key in [Some(None), key].into_iter().flatten() {
                    by_place.entry((module, key)).or_default().push(resource);
                }
            }
        }
        Self(by_name)
    }

    /// Returns the resource that a reference in `planned` means. Of several, it is the one with the key in the reference,
    /// or else the one in the same module instance with the same key.
    pub(super) fn near(
        &self,
        planned: &Planned<'_, '_>,
        name: &ConfiguredName,
        key: Option<&str>,
    ) -> Option<&'d Planned<'d, 'a>> {
        let by_place = self.0.get(name)?;
        let module = Some(planned.module_address);
        let module = module.filter(|module| by_place.contains_key(&(Some(*module), key)));
        let only = |key: Option<&str>| match by_place.get(&(module, key))?.as_slice() {
            [only] => Some(*only),
            _ => None,
        };
        only(key).or_else(|| only(Some(key.or(planned.key())?)))
    }
}
