//! What an expression of the configuration refers to, directly or through modules.
//!
//! A plan does not know the ids of the launch templates that it creates. Which of them a group or an instance uses, only
//! the expressions in the configuration say. A plan lists the references in an expression, and not what is done with them.

use std::collections::{HashMap, HashSet};

use serde_json::Value;
use serde_json::value::RawValue;

use super::addresses::{ModuleInstance, Segment, segments};
use super::document::{Configuration, ConfiguredModule, is_managed};
use super::instances::Instances;
use super::resources::Planned;

/// The most references that are followed from one expression. Those that people write have a few.
const MAX_REFERENCES: usize = 1000;

/// A resource of the configuration, which may stand for many: the names of the calls that lead to its module, its type and
/// its name.
pub(super) type ConfiguredName = (Vec<String>, String, String);

/// The references in a configuration, and what they may mean.
pub(super) struct References<'d, 'a> {
    root: Option<&'d ConfiguredModule<'a>>,
    /// The expressions of each resource that the rule evaluates.
    expressions: HashMap<ConfiguredName, Value>,
    instances: Instances<'d, 'a>,
}

/// The resource that an expression refers to.
#[derive(Clone, Copy)]
pub(super) struct Target<'d, 'a> {
    pub(super) resource: &'d Planned<'d, 'a>,
    /// The attribute of the resource. A plan does not have it if the key is an expression itself.
    pub(super) attribute: Option<Attribute>,
}

/// An attribute of a launch template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Attribute {
    DefaultVersion,
    LatestVersion,
    Other,
}

impl Target<'_, '_> {
    /// Returns what this and an earlier reference mean; `None` if they are two resources, of which a condition may choose one.
    fn with(self, earlier: Option<Self>) -> Option<Self> {
        let Some(earlier) = earlier else { return Some(self) };
        let attribute = self.attribute.filter(|_| self.attribute == earlier.attribute);
        std::ptr::eq(self.resource, earlier.resource).then_some(Self { attribute, ..self })
    }
}

impl<'d, 'a> References<'d, 'a> {
    /// Reads the references among the resources of a plan.
    pub(super) fn new(configuration: Option<&'d Configuration<'a>>, planned: &'d [Planned<'d, 'a>]) -> Self {
        let root = configuration.and_then(|configuration| configuration.root_module.as_ref());
        let mut expressions = HashMap::new();
        let names: HashSet<ConfiguredName> = planned.iter().map(Planned::configured).collect();
        let mut modules: Vec<(Vec<String>, &ConfiguredModule<'_>)> =
            root.map(|root| (Vec::new(), root)).into_iter().collect();
        while let Some((path, module)) = modules.pop() {
            for resource in module.resources.iter().filter(|resource| is_managed(resource.mode.as_ref())) {
                let (kind, name) = (resource.kind.0.to_string(), resource.name.0.to_string());
                let name = (path.clone(), kind, name);
                if names.contains(&name) {
                    expressions.insert(name, parsed(resource.expressions));
                }
            }
            modules.extend(module.module_calls.iter().filter_map(|(name, call)| {
                let path = path.iter().chain([name]).cloned().collect();
                Some((path, call.module.as_ref()?))
            }));
        }
        Self { root, expressions, instances: Instances::new(planned) }
    }

    /// Returns the expressions of a resource.
    pub(super) fn expressions(&self, name: &ConfiguredName) -> &Value {
        self.expressions.get(name).unwrap_or(&Value::Null)
    }

    fn module(&self, instance: &ModuleInstance) -> Option<&'d ConfiguredModule<'a>> {
        let call =
            |module: &'d ConfiguredModule<'a>, name: &String| module.module_calls.get(name)?.module.as_ref();
        instance.path().iter().try_fold(self.root?, call)
    }

    /// Returns the one resource of a type that an expression of `planned` refers to; `None` if it may be another one, or
    /// something else.
    pub(super) fn target(
        &self,
        planned: &Planned<'_, '_>,
        expression: &Value,
        kind: &str,
    ) -> Option<Target<'d, 'a>> {
        // References are followed in a loop, so that a chain of them cannot exhaust the stack.
        let mut next = vec![Scope::new(planned.module.clone(), planned.key.clone(), expression)];
        let mut found = None;
        let mut followed = 0;
        while let Some(scope) = next.pop() {
            followed += scope.references.len();
            if followed > MAX_REFERENCES {
                return None;
            }
            for index in 0..scope.references.len() {
                match self.follow(&scope, index, kind)? {
                    Step::Nothing => {}
                    Step::Scope(scope) => next.push(scope),
                    Step::Target(target) => found = Some(target.with(found)?),
                }
            }
        }
        found
    }

    /// Follows one of the references of an expression; `None` if it cannot be followed.
    fn follow(&self, scope: &Scope, index: usize, kind: &str) -> Option<Step<'d, 'a>> {
        let module = scope.module.clone();
        let [first, second, rest @ ..] = scope.references.get(index)?.as_slice() else { return None };
        let (head, name) = (first.name.as_str(), second.name.as_str());
        match head {
            // These are known before the plan is applied, and no resources.
            "count" | "path" | "terraform" => Some(Step::Nothing),
            "each" if name == "key" => Some(Step::Nothing),
            "var" => {
                // The caller of the root module is the user.
                let Some((caller, call)) = module.caller() else { return Some(Step::Nothing) };
                let arguments = self.module(&caller)?.module_calls.get(&call.name)?.expressions.as_ref();
                // An argument that is absent has its default, which is a constant.
                let argument = parsed(arguments.and_then(|arguments| arguments.get(name).copied()));
                Some(Step::Scope(Scope::new(caller, call.key, &argument)))
            }
            "module" => {
                let module = module.called(second.clone());
                let output = self.module(&module)?.outputs.get(&rest.first()?.name)?;
                Some(Step::Scope(Scope::new(module, None, &parsed(output.expression))))
            }
            _ if head == kind => {
                // A reference ends where its index is an expression.
                let key = second.key.as_deref();
                let key = key.or_else(|| scope.key_after(index).filter(|_| rest.is_empty()));
                let resource = self.instances.get(&module, kind, name, key)?;
                let attribute = rest.first().map(|segment| match segment.name.as_str() {
                    "default_version" => Attribute::DefaultVersion,
                    "latest_version" => Attribute::LatestVersion,
                    _ => Attribute::Other,
                });
                Some(Step::Target(Target { resource, attribute }))
            }
            // Another resource, a data source, or a local value, of which a plan does not say what it is.
            _ => None,
        }
    }
}

/// What a reference leads to.
enum Step<'d, 'a> {
    /// A value that is known.
    Nothing,
    /// Another expression.
    Scope(Scope),
    Target(Target<'d, 'a>),
}

/// The references in an expression, and where it is.
struct Scope {
    module: ModuleInstance,
    /// What `each.key` or `count.index` is there.
    key: Option<String>,
    /// In their order.
    references: Vec<Vec<Segment>>,
}

impl Scope {
    fn new(module: ModuleInstance, key: Option<String>, expression: &Value) -> Self {
        let all: Vec<&str> = references(expression).take(MAX_REFERENCES + 1).collect();
        // Terraform also lists what a reference is a part of, right after it.
        let longer = [""].iter().chain(&all);
        let is_part = |longer: &str, text: &str| {
            longer.strip_prefix(text).is_some_and(|rest| rest.starts_with(['.', '[']))
        };
        let exact = longer.zip(&all).filter(|(longer, text)| !is_part(longer, text));
        Self { module, key, references: exact.map(|(_, text)| segments(text)).collect() }
    }

    /// Returns what the next reference is, if it is `each.key` or `count.index`: the references in an index follow what is
    /// indexed.
    fn key_after(&self, index: usize) -> Option<&str> {
        let [head, name] = self.references.get(index + 1)?.as_slice() else { return None };
        let is_key = matches!((head.name.as_str(), name.name.as_str()), ("each", "key") | ("count", "index"));
        self.key.as_deref().filter(|_| is_key)
    }
}

/// Returns what an expression refers to, the most exact names first.
pub(super) fn references(expression: &Value) -> impl Iterator<Item = &str> {
    expression.get("references").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

/// Returns JSON as a value; null, if there is none.
pub(super) fn parsed(json: Option<&RawValue>) -> Value {
    json.and_then(|json| serde_json::from_str(json.get()).ok()).unwrap_or_default()
}
