//! The resource that an expression of the configuration refers to, directly or through modules.
//!
//! A plan does not know the ids of the launch templates that it creates. Which of them a group or an instance uses, only
//! the expressions in the configuration say.

use std::collections::{HashMap, HashSet};

use serde_json::Value;
use serde_json::value::RawValue;

use super::document::{Configuration, ConfiguredModule, ModuleCall};

/// The names of the calls that lead to a module, from the root module, without keys of `count` or `for_each`.
pub(super) type ModulePath = Vec<String>;

/// A reference to a resource, with the key of `count` or `for_each` as it is written, if there is one.
pub(super) type Reference = (ConfiguredName, Option<String>);

/// A resource of the configuration, which may stand for many.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct ConfiguredName {
    pub(super) module: ModulePath,
    pub(super) kind: String,
    pub(super) name: String,
}

/// The most references that are followed from one expression. Those that people write have a few.
const MAX_REFERENCES: usize = 1000;

/// The references in a configuration.
pub(super) struct References<'c, 'a> {
    root: Option<&'c ConfiguredModule<'a>>,
    /// The expressions of each resource that the rule evaluates.
    expressions: HashMap<ConfiguredName, Value>,
}

impl<'c, 'a> References<'c, 'a> {
    /// Reads the references. `is_evaluated` tells whether the rule evaluates resources of a type.
    pub(super) fn new(
        configuration: Option<&'c Configuration<'a>>,
        is_evaluated: impl Fn(&str) -> bool,
    ) -> Self {
        let root = configuration.and_then(|configuration| configuration.root_module.as_ref());
        let mut expressions = HashMap::new();
        let mut modules: Vec<(ModulePath, &ConfiguredModule<'_>)> =
            root.map(|root| (ModulePath::new(), root)).into_iter().collect();
        while let Some((path, module)) = modules.pop() {
            for resource in module.resources.iter().filter(|resource| is_evaluated(&resource.kind.0)) {
                let (kind, name) = (resource.kind.0.to_string(), resource.name.0.to_string());
                let name = ConfiguredName { module: path.clone(), kind, name };
                expressions.insert(name, parsed(resource.expressions));
            }
            modules.extend(module.module_calls.iter().filter_map(|(name, call)| {
                let path = path.iter().chain([name]).cloned().collect();
                Some((path, call.module.as_ref()?))
            }));
        }
        Self { root, expressions }
    }

    /// Returns the expressions of a resource.
    pub(super) fn expressions(&self, name: &ConfiguredName) -> &Value {
        self.expressions.get(name).unwrap_or(&Value::Null)
    }

    fn module(&self, path: &[String]) -> Option<&'c ConfiguredModule<'a>> {
        path.iter().try_fold(self.root?, |module, name| module.module_calls.get(name)?.module.as_ref())
    }

    /// Returns the resources of a kind that an expression in a module refers to; none, if it refers to too much.
    pub(super) fn resources(&self, module: &[String], expression: &Value, kind: &str) -> HashSet<Reference> {
        let mut search = Search { references: self, kind, seen: HashSet::new(), found: HashSet::new() };
        if !search.expression(module, expression) {
            return HashSet::new();
        }
        // Terraform also lists what an exact reference is a part of.
        let with_key: HashSet<_> = search.found.iter().filter(|(_, key)| key.is_some()).cloned().collect();
        let exact: HashSet<_> = with_key.iter().map(|(name, _)| name).collect();
        search.found.retain(|(name, key)| key.is_some() || !exact.contains(name));
        search.found
    }
}

struct Search<'s, 'c, 'a> {
    references: &'s References<'c, 'a>,
    kind: &'s str,
    /// What was followed, so that each is followed once.
    seen: HashSet<(ModulePath, String)>,
    found: HashSet<Reference>,
}

impl Search<'_, '_, '_> {
    /// Follows the references of an expression. Returns whether there are not too many.
    fn expression(&mut self, module: &[String], expression: &Value) -> bool {
        // References are followed in a loop, so that a chain of them cannot exhaust the stack.
        let mut next = targets(module, expression);
        while let Some((module, reference)) = next.pop() {
            if next.len() + self.seen.len() > MAX_REFERENCES {
                return false;
            }
            if self.seen.insert((module.clone(), reference.clone())) {
                next.extend(self.follow(module, &reference));
            }
        }
        true
    }

    /// Follows one reference. Returns those that it leads to.
    fn follow(&mut self, mut module: ModulePath, reference: &str) -> Vec<(ModulePath, String)> {
        let parts = parts(reference);
        let expression = match parts.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
            ["module", call, output, ..] => {
                module.push((*call).to_owned());
                let output = self.references.module(&module).and_then(|module| module.outputs.get(*output));
                parsed(output.and_then(|output| output.expression))
            }
            ["var", name, ..] => {
                let Some(call) = module.pop() else { return Vec::new() };
                let call: Option<&ModuleCall<'_>> =
                    self.references.module(&module).and_then(|module| module.module_calls.get(&call));
                let argument = call.and_then(|call| call.expressions.as_ref()?.get(*name).copied());
                parsed(argument)
            }
            [kind, name, ..] if *kind == self.kind => {
                let key = key_of(reference, kind, name);
                let name = ConfiguredName { module, kind: (*kind).to_owned(), name: (*name).to_owned() };
                self.found.insert((name, key));
                return Vec::new();
            }
            _ => return Vec::new(),
        };
        targets(&module, &expression)
    }
}

fn targets(module: &[String], expression: &Value) -> Vec<(ModulePath, String)> {
    // One more than are followed, so that too many are noticed.
    let references = references(expression).take(MAX_REFERENCES + 1);
    references.map(|reference| (module.to_vec(), reference.to_owned())).collect()
}

/// Returns what an expression refers to, the most exact names first.
pub(super) fn references(expression: &Value) -> impl Iterator<Item = &str> {
    expression.get("references").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

/// Returns the names in a reference or an address, without keys: of `module.a["x.y"].id`, they are `module`, `a` and `id`.
pub(super) fn parts(reference: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for c in reference.chars() {
        match c {
            _ if escaped => escaped = false,
            '\\' if in_string => escaped = true,
            '"' if depth > 0 => in_string = !in_string,
            _ if in_string => {}
            '[' => depth += 1,
            ']' => depth = depth.saturating_sub(1),
            '.' if depth == 0 => parts.push(String::new()),
            c if depth == 0 => parts.last_mut().into_iter().for_each(|part| part.push(c)),
            _ => {}
        }
    }
    parts
}

/// Returns the key in a reference to a resource: of `aws_launch_template.web["a"].id`, it is `"a"`.
fn key_of(reference: &str, kind: &str, name: &str) -> Option<String> {
    let rest = reference.strip_prefix(kind)?.strip_prefix('.')?.strip_prefix(name)?.strip_prefix('[')?;
    let (key, _) = rest.split_once("].").or_else(|| rest.rsplit_once(']'))?;
    Some(key.to_owned())
}

/// Returns the path of a module, from its address.
pub(super) fn module_path(address: &str) -> ModulePath {
    // The address alternates between the word `module` and the name of a call.
    parts(address).into_iter().skip(1).step_by(2).collect()
}

/// Returns JSON as a value; null, if there is none.
pub(super) fn parsed(json: Option<&RawValue>) -> Value {
    json.and_then(|json| serde_json::from_str(json.get()).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_not_part_of_a_name() {
        for (text, expected) in [
            ("aws_launch_template.web", vec!["aws_launch_template", "web"]),
            (
                "module.a[\"x.y\\\"]\"].aws_launch_template.web[0].id",
                vec!["module", "a", "aws_launch_template", "web", "id"],
            ),
            ("", vec![""]),
            ("a]]b", vec!["ab"]),
        ] {
            assert_eq!(parts(text), expected, "{text}");
        }
        assert_eq!(key_of("aws_x.web[\"a.b\"].id", "aws_x", "web").as_deref(), Some("\"a.b\""));
        assert_eq!(key_of("aws_x.web[0]", "aws_x", "web").as_deref(), Some("0"));
        assert_eq!(key_of("aws_x.web.id", "aws_x", "web"), None);
        assert_eq!(module_path("module.a[0].module.b[\"module.c\"]"), ["a", "b"]);
    }
}
