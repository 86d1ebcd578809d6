//! What an expression of the configuration refers to, directly or through modules.
//!
//! A plan does not know the ids of the launch templates that it creates. Which of them a group or an instance uses, only
//! the expressions in the configuration say. A plan lists the references in an expression, and not what is done with them.

use std::collections::HashMap;

use serde_json::Value;
use serde_json::value::RawValue;

use super::addresses::{ModuleInstance, Part, parts};
use super::document::{Configuration, ConfiguredModule};

/// The most references that are followed from one expression. Those that people write have a few.
const MAX_REFERENCES: usize = 1000;

/// A resource of the configuration, which may stand for many: the names of the calls that lead to its module, its type and
/// its name.
pub(super) type ConfiguredName = (Vec<String>, String, String);

/// The references in a configuration.
pub(super) struct References<'c, 'a> {
    root: Option<&'c ConfiguredModule<'a>>,
    /// The expressions of each resource that the rule evaluates.
    expressions: HashMap<ConfiguredName, Value>,
}

/// A resource that an expression refers to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) module: ModuleInstance,
    pub(super) name: String,
    /// The key of `count` or `for_each`, if the expression has one.
    pub(super) key: Option<String>,
    /// The attribute of the resource. A plan does not have it if the key is an expression itself.
    pub(super) attribute: Option<String>,
}

impl Target {
    /// Returns what this and an earlier reference mean; `None` if they are two resources, of which a condition may choose one.
    fn with(self, earlier: Option<Self>) -> Option<Self> {
        let Some(earlier) = earlier else { return Some(self) };
        let attribute = self.attribute.clone().filter(|_| self.attribute == earlier.attribute);
        let resource = |target: Self| Self { attribute: None, ..target };
        let (resource, earlier) = (resource(self), resource(earlier));
        (resource == earlier).then_some(Self { attribute, ..resource })
    }
}

impl<'c, 'a> References<'c, 'a> {
    /// Reads the references. `is_evaluated` tells whether the rule evaluates resources of a type.
    pub(super) fn new(
        configuration: Option<&'c Configuration<'a>>,
        is_evaluated: impl Fn(&str) -> bool,
    ) -> Self {
        let root = configuration.and_then(|configuration| configuration.root_module.as_ref());
        let mut expressions = HashMap::new();
        let mut modules: Vec<(Vec<String>, &ConfiguredModule<'_>)> =
            root.map(|root| (Vec::new(), root)).into_iter().collect();
        while let Some((path, module)) = modules.pop() {
            for resource in module.resources.iter().filter(|resource| is_evaluated(&resource.kind.0)) {
                let name = (path.clone(), resource.kind.0.to_string(), resource.name.0.to_string());
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

    fn module(&self, instance: &ModuleInstance) -> Option<&'c ConfiguredModule<'a>> {
        let call =
            |module: &'c ConfiguredModule<'a>, name: &String| module.module_calls.get(name)?.module.as_ref();
        instance.path().iter().try_fold(self.root?, call)
    }

    /// Returns the one resource of a type that an expression in a module refers to; `None` if it may be another one, or
    /// something else. `key` is that of the resource that has the expression.
    pub(super) fn target(
        &self,
        module: &ModuleInstance,
        key: Option<&str>,
        expression: &Value,
        kind: &str,
    ) -> Option<Target> {
        // References are followed in a loop, so that a chain of them cannot exhaust the stack.
        let mut next = vec![Scope::new(module.clone(), key, expression)];
        let mut found: Option<Target> = None;
        let mut followed = 0;
        while let Some(scope) = next.pop() {
            followed += scope.references.len();
            if followed > MAX_REFERENCES {
                return None;
            }
            for reference in &scope.references {
                match self.follow(&scope, reference, kind)? {
                    Step::Nothing => {}
                    Step::Scope(scope) => next.push(scope),
                    Step::Target(target) => found = Some(target.with(found)?),
                }
            }
        }
        found
    }

    /// Follows one reference; `None` if it cannot be followed.
    fn follow(&self, scope: &Scope, reference: &[Part], kind: &str) -> Option<Step> {
        let module = scope.module.clone();
        let [first, second, rest @ ..] = reference else { return None };
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
                Some(Step::Scope(Scope::new(caller, call.key.as_deref(), &argument)))
            }
            "module" => {
                let module = module.called(second.clone());
                let output = self.module(&module)?.outputs.get(&rest.first()?.name)?;
                Some(Step::Scope(Scope::new(module, None, &parsed(output.expression))))
            }
            _ if head == kind => Some(Step::Target(Target {
                module,
                name: name.to_owned(),
                key: second.key.clone().or_else(|| scope.index(reference)),
                attribute: rest.first().map(|part| part.name.clone()),
            })),
            // Another resource, a data source, or a local value, of which a plan does not say what it is.
            _ => None,
        }
    }
}

/// What a reference leads to.
enum Step {
    /// A value that is known.
    Nothing,
    /// Another expression.
    Scope(Scope),
    Target(Target),
}

/// The references in an expression, and where it is.
struct Scope {
    module: ModuleInstance,
    /// What `each.key` or `count.index` is there.
    key: Option<String>,
    references: Vec<Vec<Part>>,
}

impl Scope {
    fn new(module: ModuleInstance, key: Option<&str>, expression: &Value) -> Self {
        let all: Vec<&str> = references(expression).take(MAX_REFERENCES + 1).collect();
        // Terraform also lists what a reference is a part of, right after it.
        let longer = [""].iter().chain(&all);
        let is_part = |longer: &str, text: &str| {
            longer.strip_prefix(text).is_some_and(|rest| rest.starts_with(['.', '[']))
        };
        let exact = longer.zip(&all).filter(|(longer, text)| !is_part(longer, text));
        Self { module, key: key.map(str::to_owned), references: exact.map(|(_, text)| parts(text)).collect() }
    }

    /// Returns the key that the index in a reference is, if all that the expression refers to beside is `each.key` or
    /// `count.index`: then it is that of the resource or module that has the expression.
    fn index(&self, reference: &[Part]) -> Option<String> {
        let is_index = |other: &[Part]| matches!(other, [head, name] if matches!((head.name.as_str(), name.name.as_str()), ("each", "key") | ("count", "index")));
        let mut others = self.references.iter().filter(|other| *other != reference).peekable();
        others.peek()?;
        others.all(|other| is_index(other)).then(|| self.key.clone()).flatten()
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
