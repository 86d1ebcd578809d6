//! Intrinsic functions, worked out as far as the template alone decides
//! (<https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/intrinsic-function-reference.html>).

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;

use super::conditions::Truth;
use super::loops::{LOOP, is_masked};
use super::node::{Member, Node, Value};
use super::parameters::ParameterValues;

/// The longest text that is a value, in bytes. It is the longest value of a parameter
/// (<https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html>), and no property that a
/// verdict depends on is nearly as long.
pub(super) const MAX_TEXT: usize = 4096;
/// The deepest nesting of functions and conditions, so that they cannot exhaust the stack.
const MAX_NESTING: usize = 64;
/// The longest description of what a value depends on, in bytes.
const MAX_DEPENDENCY: usize = 512;

/// What functions refer to.
pub(super) struct Functions<'t> {
    pub(super) parameters: ParameterValues<'t>,
    /// The section `Mappings`.
    pub(super) mappings: Option<&'t Node>,
    /// The section `Conditions`.
    pub(super) conditions: Option<&'t Node>,
    /// The section `Resources`.
    pub(super) resources: &'t Node,
    /// The conditions that were worked out; `None` while one is being worked out.
    pub(super) judged: RefCell<HashMap<String, Option<Truth>>>,
    /// The number of functions and conditions that are being worked out.
    pub(super) nesting: Cell<usize>,
}

/// What a value is, as far as it is known.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Resolved<'n> {
    /// A value. Functions inside a list or object are not worked out yet.
    Value(Cow<'n, Node>),
    /// `AWS::NoValue`, or nothing.
    Absent,
    /// A resource of the template, by its logical id.
    Resource(Cow<'n, str>),
    /// An attribute of a resource of the template.
    Attribute(Cow<'n, str>, Cow<'n, str>),
    /// One of two, which differ. The text says what that depends on.
    Either(Box<[Self; 2]>, String),
    /// Only the deployment knows it. It depends on this.
    Unresolved(String),
}

/// A text, as far as it is known.
pub(super) enum Text {
    Known(String),
    Absent,
    Unresolved(String),
    /// A list or an object, on this line.
    Other(usize),
}

impl Resolved<'_> {
    /// Returns that a value is known only at deployment.
    pub(super) fn unresolved(what: impl Into<String>) -> Self {
        Self::Unresolved(dependency(what.into()))
    }

    /// Returns one of two values, if it is known which one or makes no difference.
    fn either(one: Self, other: Self, what: String) -> Self {
        if is_same(&one, &other) { one } else { Self::Either(Box::new([one, other]), what) }
    }

    /// Returns the line of a value; 0 if it has none.
    pub(super) fn line(&self) -> usize {
        match self {
            Self::Value(node) => node.line,
            _ => 0,
        }
    }

    /// Returns a value as a text.
    pub(super) fn text(&self) -> Text {
        match self {
            Self::Value(node) => match node.text() {
                Some(text) if text.len() > MAX_TEXT => {
                    Text::Unresolved(format!("a text of more than {MAX_TEXT} bytes"))
                }
                Some(text) => Text::Known(text.to_owned()),
                None => Text::Other(node.line),
            },
            Self::Absent => Text::Absent,
            Self::Resource(id) => Text::Unresolved(dependency(id.to_string())),
            Self::Attribute(id, attribute) => Text::Unresolved(dependency(format!("{id}.{attribute}"))),
            Self::Either(_, what) | Self::Unresolved(what) => Text::Unresolved(what.clone()),
        }
    }

    /// Returns the text, if it is known.
    pub(super) fn known_text(&self) -> Option<String> {
        match self.text() {
            Text::Known(text) => Some(text),
            Text::Absent | Text::Unresolved(_) | Text::Other(_) => None,
        }
    }

    /// Returns the elements of a list; none of anything else.
    pub(super) fn elements(&self) -> &[Node] {
        match self {
            Self::Value(node) => node.list().unwrap_or_default(),
            _ => &[],
        }
    }
}

impl Functions<'_> {
    /// Works out the function that a value is, if it is one.
    pub(super) fn resolve<'n>(&'n self, node: &'n Node) -> Resolved<'n> {
        match node.members() {
            Some([Member { key, node, .. }]) if key == "Ref" || key.starts_with("Fn::") => {
                self.call(key, node)
            }
            _ if node.value == Value::Null => Resolved::Absent,
            _ => literal(node),
        }
    }

    /// Returns the properties of a resource.
    pub(super) fn properties<'n>(&'n self, resource: &'n Node) -> Resolved<'n> {
        self.member_of(resource, "Properties")
    }

    /// Returns the member `key` of an object.
    pub(super) fn member<'n>(&'n self, object: &'n Resolved<'n>, key: &str) -> Resolved<'n> {
        let node = match object {
            Resolved::Value(node) => node,
            Resolved::Absent => return Resolved::Absent,
            Resolved::Unresolved(what) => return Resolved::Unresolved(what.clone()),
            Resolved::Resource(id) | Resolved::Attribute(id, _) => return Resolved::unresolved(id.as_ref()),
            Resolved::Either(either, what) => {
                let [one, other] = either.as_ref();
                return Resolved::either(self.member(one, key), self.member(other, key), what.clone());
            }
        };
        self.member_of(node, key)
    }

    fn member_of<'n>(&'n self, node: &'n Node, key: &str) -> Resolved<'n> {
        if let Some(member) = node.member(key) {
            return self.resolve(member);
        }
        // A macro or a loop may add members.
        let adds = |member: &&Member| member.key == "Fn::Transform" || member.key.starts_with(LOOP);
        let other = node.members().unwrap_or_default().iter().find(adds);
        other.map_or(Resolved::Absent, |other| Resolved::unresolved(other.key.as_str()))
    }

    /// Returns the text of a value if it is known, or else what it depends on.
    pub(super) fn text_of(&self, node: &Node) -> Result<String, String> {
        match self.resolve(node).text() {
            Text::Known(text) => Ok(text),
            Text::Absent => Ok(String::new()),
            Text::Unresolved(what) => Err(what),
            Text::Other(_) => Err("a list or object where a string belongs".to_owned()),
        }
    }

    fn call<'n>(&'n self, function: &'n str, argument: &'n Node) -> Resolved<'n> {
        if is_masked(argument) {
            return Resolved::unresolved("Fn::ForEach");
        }
        let work_out = || match function {
            "Ref" => argument.text().map(|name| self.reference(name)),
            "Fn::GetAtt" => get_att(argument),
            "Fn::If" => self.choose(argument),
            "Fn::FindInMap" => self.find_in_map(argument),
            "Fn::Sub" => self.substitute(argument),
            "Fn::Select" => self.select(argument),
            "Fn::Join" => self.join(argument),
            "Fn::Split" => self.split(argument),
            _ => None,
        };
        self.nested(work_out).flatten().unwrap_or_else(|| Resolved::unresolved(function))
    }

    /// Returns what `work` returns; `None` without doing it, if functions and conditions are nested too deeply.
    pub(super) fn nested<T>(&self, work: impl FnOnce() -> T) -> Option<T> {
        let nesting = self.nesting.get();
        if nesting == MAX_NESTING {
            return None;
        }
        self.nesting.set(nesting + 1);
        let result = work();
        self.nesting.set(nesting);
        Some(result)
    }

    /// `Ref`, of a parameter, a pseudo parameter or a resource.
    fn reference<'n>(&'n self, name: &'n str) -> Resolved<'n> {
        if self.resources.member(name).is_some() {
            return Resolved::Resource(name.into());
        }
        if name == "AWS::NoValue" {
            return Resolved::Absent;
        }
        match self.parameters.get(name) {
            Some(Resolved::Value(node)) => Resolved::Value(Cow::Borrowed(node)),
            Some(other) => other.clone(),
            None => Resolved::unresolved(name),
        }
    }

    /// `Fn::If`. If the condition is unknown, but makes no difference, the value is known.
    fn choose<'n>(&'n self, argument: &'n Node) -> Option<Resolved<'n>> {
        let [condition, yes, no] = argument.list()? else { return None };
        Some(match self.condition(condition.text()?) {
            Truth::Is(true) => self.resolve(yes),
            Truth::Is(false) => self.resolve(no),
            Truth::Unresolved(what) => Resolved::either(self.resolve(yes), self.resolve(no), what),
        })
    }

    fn find_in_map<'n>(&'n self, argument: &'n Node) -> Option<Resolved<'n>> {
        let [map, top, second, rest @ ..] = argument.list()? else { return None };
        let keys: Result<Vec<_>, _> = [map, top, second].into_iter().map(|key| self.text_of(key)).collect();
        let keys = match keys {
            Ok(keys) => keys,
            Err(what) => return Some(Resolved::Unresolved(what)),
        };
        let found = keys.iter().try_fold(self.mappings?, |node, key| node.member(key));
        let default = || rest.first().and_then(|options| options.member("DefaultValue"));
        // What is in a mapping is a value, and no function.
        found.map(literal).or_else(|| default().map(|value| self.resolve(value)))
    }

    /// `Fn::Sub`, with or without variables of its own.
    fn substitute<'n>(&'n self, argument: &'n Node) -> Option<Resolved<'n>> {
        let (template, variables) = match argument.list() {
            Some([template, variables]) => (template.text()?, Some(variables)),
            _ => (argument.text()?, None),
        };
        // The whole is one reference.
        if let Some(name) = template.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'))
            && !name.contains(['$', '{', '}'])
            && !name.starts_with('!')
        {
            return Some(self.variable(name.trim(), variables));
        }
        let mut values = HashMap::new();
        let mut text = String::new();
        let mut rest = template;
        while let Some((before, after)) = rest.split_once("${") {
            text.push_str(before);
            let (name, after) = after.split_once('}')?;
            rest = after;
            if let Some(literal) = name.strip_prefix('!') {
                text.extend(["${", literal, "}"]);
                continue;
            }
            let name = name.trim();
            let value = values.entry(name).or_insert_with(|| self.variable(name, variables).text());
            match value {
                Text::Known(value) => text.push_str(value),
                Text::Absent => {}
                Text::Other(_) => return None,
                Text::Unresolved(what) => return Some(Resolved::Unresolved(what.clone())),
            }
            if text.len() > MAX_TEXT {
                return None;
            }
        }
        text.push_str(rest);
        Some(if is_dynamic(&text) { dynamic_reference(&text) } else { scalar(argument.line, &text) })
    }

    fn variable<'n>(&'n self, name: &'n str, variables: Option<&'n Node>) -> Resolved<'n> {
        match variables.and_then(|variables| variables.member(name)) {
            Some(value) => self.resolve(value),
            None => match name.split_once('.') {
                Some((id, attribute)) => Resolved::Attribute(id.into(), attribute.into()),
                None => self.reference(name),
            },
        }
    }

    fn select<'n>(&'n self, argument: &'n Node) -> Option<Resolved<'n>> {
        let [index, values] = argument.list()? else { return None };
        let index: usize = match self.text_of(index) {
            Ok(index) => index.parse().ok()?,
            Err(what) => return Some(Resolved::Unresolved(what)),
        };
        match self.resolve(values) {
            Resolved::Value(Cow::Borrowed(values)) => {
                values.list()?.get(index).map(|value| self.resolve(value))
            }
            // The elements of a list that was made are texts.
            Resolved::Value(Cow::Owned(values)) => {
                values.list()?.get(index).cloned().map(|value| Resolved::Value(Cow::Owned(value)))
            }
            Resolved::Either(_, what) | Resolved::Unresolved(what) => Some(Resolved::Unresolved(what)),
            Resolved::Absent | Resolved::Resource(_) | Resolved::Attribute(..) => None,
        }
    }

    fn join<'n>(&'n self, argument: &'n Node) -> Option<Resolved<'n>> {
        let [separator, values] = argument.list()? else { return None };
        let values = match self.resolve(values) {
            Resolved::Value(values) => values,
            Resolved::Either(_, what) | Resolved::Unresolved(what) => {
                return Some(Resolved::Unresolved(what));
            }
            Resolved::Absent | Resolved::Resource(_) | Resolved::Attribute(..) => return None,
        };
        let mut text = String::new();
        for (index, value) in values.list()?.iter().enumerate() {
            if index > 0 {
                text.push_str(separator.text()?);
            }
            match self.text_of(value) {
                Ok(part) => text.push_str(&part),
                Err(what) => return Some(Resolved::Unresolved(what)),
            }
            if text.len() > MAX_TEXT {
                return None;
            }
        }
        Some(scalar(argument.line, &text))
    }

    fn split<'n>(&'n self, argument: &'n Node) -> Option<Resolved<'n>> {
        let [separator, text] = argument.list()? else { return None };
        let separator = separator.text().filter(|separator| !separator.is_empty())?;
        Some(match self.text_of(text) {
            Ok(text) => list(argument.line, text.split(separator)),
            Err(what) => Resolved::Unresolved(what),
        })
    }
}

/// `Fn::GetAtt`, as `A.B` or as a list.
fn get_att(argument: &Node) -> Option<Resolved<'_>> {
    let (id, attribute) = match (argument.text(), argument.list()) {
        (Some(text), _) => text.split_once('.')?,
        (None, Some([id, attribute])) => (id.text()?, attribute.text()?),
        _ => return None,
    };
    Some(Resolved::Attribute(id.into(), attribute.into()))
}

/// Shortens the description of what a value depends on.
pub(super) fn dependency(mut what: String) -> String {
    what.truncate(what.floor_char_boundary(MAX_DEPENDENCY));
    what
}

/// Returns whether two values are the same text, or both are absent.
fn is_same(one: &Resolved<'_>, other: &Resolved<'_>) -> bool {
    match (one, other) {
        (Resolved::Value(one), Resolved::Value(other)) => one.text().is_some() && one.text() == other.text(),
        (Resolved::Value(_), _) | (_, Resolved::Value(_)) => false,
        (one, other) => one == other,
    }
}

/// Returns a value as it is written.
fn literal(node: &Node) -> Resolved<'_> {
    match &node.value {
        Value::Scalar(text) if is_dynamic(text) => dynamic_reference(text),
        _ => Resolved::Value(Cow::Borrowed(node)),
    }
}

/// Returns whether a text contains a dynamic reference
/// (<https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/dynamic-references.html>).
pub(super) fn is_dynamic(text: &str) -> bool {
    text.contains("{{resolve:")
}

pub(super) fn dynamic_reference(text: &str) -> Resolved<'static> {
    Resolved::unresolved(format!("the dynamic reference {}", dependency(text.to_owned())))
}

pub(super) fn scalar(line: usize, text: &str) -> Resolved<'static> {
    Resolved::Value(Cow::Owned(Node::scalar(line, text)))
}

pub(super) fn list<'p>(line: usize, parts: impl Iterator<Item = &'p str>) -> Resolved<'static> {
    let parts = parts.map(|part| Node::scalar(line, part)).collect();
    Resolved::Value(Cow::Owned(Node { line, value: Value::List(parts) }))
}
