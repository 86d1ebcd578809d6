//! Templates in YAML, with the short forms of functions
//! (<https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/intrinsic-function-reference.html>).

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span, Tag};

use super::TemplateError;
use super::json::MAX_DEPTH;
use super::node::{Member, Members, Node, Value};

/// The largest number of values, with what anchors and aliases repeat, so that a few of them cannot fill the memory. A
/// template of 1 MB, the largest that CloudFormation accepts, has fewer.
const MAX_VALUES: usize = 500_000;
/// The largest number of bytes of all texts, with what anchors and aliases repeat.
const MAX_BYTES: usize = 32 * 1024 * 1024;

/// Parses a template.
///
/// # Errors
/// Returns an error if `text` is not one YAML document, is nested too deeply, or has aliases that expand to too much.
pub(super) fn parse(text: &str) -> Result<Node, TemplateError> {
    let mut builder = Builder::default();
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| scan_error(&error))?;
        builder.event(event, span)?;
    }
    builder.root.ok_or_else(|| TemplateError::new(1, "the template is empty"))
}

/// Returns whether the object that `text` is has a member that `is_wanted`, by its key and whether it is a list; `None` if
/// that cannot be told because `text` is not YAML.
pub(super) fn has_member(text: &str, is_wanted: impl Fn(&str, bool) -> bool) -> Option<bool> {
    let mut depth = 0_usize;
    // The key whose value follows, at the top level.
    let mut key: Option<String> = None;
    for event in Parser::new_from_str(text) {
        let (event, _) = event.ok()?;
        let is_list = matches!(event, Event::SequenceStart(..));
        if depth == 1 && key.as_deref().is_some_and(|key| is_wanted(key, is_list)) {
            return Some(true);
        }
        match event {
            Event::SequenceStart(..) if depth == 0 => return Some(false),
            Event::SequenceStart(..) | Event::MappingStart(..) => depth += 1,
            Event::SequenceEnd | Event::MappingEnd => {
                depth = depth.saturating_sub(1);
                if depth == 1 {
                    key = key.is_none().then(String::new);
                }
            }
            Event::Scalar(text, ..) if depth == 1 => key = key.is_none().then(|| text.into_owned()),
            Event::Alias(_) if depth == 1 => key = key.is_none().then(String::new),
            _ => {}
        }
    }
    Some(false)
}

fn scan_error(error: &ScanError) -> TemplateError {
    TemplateError::new(error.marker().line(), format!("not YAML: {}", error.info()))
}

/// Returns a truth value as CloudFormation passes it on: `True` is the text `true`.
fn boolean(text: &str) -> Option<&'static str> {
    match text {
        "true" | "True" | "TRUE" => Some("true"),
        "false" | "False" | "FALSE" => Some("false"),
        _ => None,
    }
}

/// Builds values from events.
#[derive(Default)]
struct Builder {
    /// The lists and objects that are open, the outermost first.
    open: Vec<Open>,
    root: Option<Node>,
    /// The values that aliases name, each with its size.
    anchors: HashMap<usize, (Node, Size)>,
    /// The size of all values so far.
    size: Size,
}

/// How much memory values take.
#[derive(Clone, Copy, Default)]
struct Size {
    values: usize,
    /// Of their texts.
    bytes: usize,
}

/// A list or object that has not ended.
struct Open {
    line: usize,
    anchor: usize,
    /// The function that a tag names.
    function: Option<String>,
    content: Content,
    /// The size of the values before it.
    before: Size,
}

enum Content {
    List(Vec<Node>),
    /// The members so far, and the key whose value follows.
    Map {
        members: Vec<Member>,
        keys: HashSet<String>,
        key: Option<(String, usize)>,
    },
}

impl Builder {
    fn event(&mut self, event: Event<'_>, span: Span) -> Result<(), TemplateError> {
        let line = span.start.line();
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let before = self.size;
                self.count(Size { values: 1, bytes: text.len() }, line)?;
                let is_plain = style == ScalarStyle::Plain && tag.is_none();
                let value = match &*text {
                    "" | "~" | "null" | "Null" | "NULL" if is_plain => Value::Null,
                    _ => match boolean(&text).filter(|_| is_plain) {
                        Some(boolean) => Value::Scalar(boolean.to_owned()),
                        None => Value::Scalar(text.into_owned()),
                    },
                };
                self.complete(Node { line, value }, anchor, function(tag), before)
            }
            Event::SequenceStart(anchor, tag) => self.open(line, anchor, tag, Content::List(Vec::new())),
            Event::MappingStart(anchor, tag) => {
                let content = Content::Map { members: Vec::new(), keys: HashSet::new(), key: None };
                self.open(line, anchor, tag, content)
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(),
            Event::Alias(anchor) => {
                let unknown = || TemplateError::new(line, "the alias names something that contains it");
                let size = self.anchors.get(&anchor).ok_or_else(unknown)?.1;
                self.count(size, line)?;
                let (node, _) = self.anchors.get(&anchor).ok_or_else(unknown)?;
                self.add(Node { line, ..node.clone() })
            }
            Event::DocumentStart(_) if self.root.is_some() => {
                Err(TemplateError::new(line, "expected one YAML document, and a second one begins here"))
            }
            Event::DocumentStart(_)
            | Event::DocumentEnd
            | Event::StreamStart
            | Event::StreamEnd
            | Event::Nothing => Ok(()),
        }
    }

    fn count(&mut self, added: Size, line: usize) -> Result<(), TemplateError> {
        let Size { values, bytes } = &mut self.size;
        *values = values.saturating_add(added.values);
        *bytes = bytes.saturating_add(added.bytes);
        let exceeded = if *values > MAX_VALUES {
            format!("{MAX_VALUES} values")
        } else if *bytes > MAX_BYTES {
            format!("{MAX_BYTES} bytes")
        } else {
            return Ok(());
        };
        Err(TemplateError::new(line, format!("more than {exceeded}, with what anchors and aliases repeat")))
    }

    fn open(
        &mut self,
        line: usize,
        anchor: usize,
        tag: Option<Cow<'_, Tag>>,
        content: Content,
    ) -> Result<(), TemplateError> {
        if self.open.len() == MAX_DEPTH {
            return Err(TemplateError::new(line, format!("nested more than {MAX_DEPTH} levels deep")));
        }
        let before = self.size;
        self.count(Size { values: 1, bytes: 0 }, line)?;
        self.open.push(Open { line, anchor, function: function(tag), content, before });
        Ok(())
    }

    fn close(&mut self) -> Result<(), TemplateError> {
        let Some(Open { line, anchor, function, content, before }) = self.open.pop() else {
            return Ok(());
        };
        let value = match content {
            Content::List(list) => Value::List(list),
            Content::Map { members, keys, .. } => Value::Map(Members::new(merged(members, keys))),
        };
        self.complete(Node { line, value }, anchor, function, before)
    }

    /// Receives a value when it is complete.
    fn complete(
        &mut self,
        node: Node,
        anchor: usize,
        function: Option<String>,
        before: Size,
    ) -> Result<(), TemplateError> {
        let node = match function {
            Some(name) => Node::function(name, node),
            None => node,
        };
        if anchor > 0 {
            let Size { values, bytes } = self.size;
            let size = Size { values: values - before.values, bytes: bytes - before.bytes };
            // What an anchor names is held twice.
            self.count(size, node.line)?;
            self.anchors.insert(anchor, (node.clone(), size));
        }
        self.add(node)
    }

    /// Adds a value to the list or object that is open.
    fn add(&mut self, node: Node) -> Result<(), TemplateError> {
        match self.open.last_mut().map(|open| &mut open.content) {
            None => self.root = Some(node),
            Some(Content::List(list)) => list.push(node),
            Some(Content::Map { members, keys, key }) => match key.take() {
                Some((name, line)) => members.push(Member { key: name, line, node }),
                None => *key = Some((new_key(&node, keys)?, node.line)),
            },
        }
        Ok(())
    }
}

/// Returns the key that a value is, and remembers it.
fn new_key(node: &Node, keys: &mut HashSet<String>) -> Result<String, TemplateError> {
    let text = match &node.value {
        Value::Scalar(text) => text,
        Value::Null => "null",
        _ => return Err(TemplateError::new(node.line, "expected a string as key")),
    };
    if !keys.insert(text.to_owned()) && text != MERGE {
        return Err(TemplateError::duplicate_key(node.line, text));
    }
    Ok(text.to_owned())
}

/// The key whose value is merged into the object around it (<https://yaml.org/type/merge.html>). The AWS CLI does so when it
/// packages a template.
const MERGE: &str = "<<";

/// Returns the members of an object, with those that are merged into it. `keys` are the keys of all.
fn merged(members: Vec<Member>, mut keys: HashSet<String>) -> Vec<Member> {
    if !keys.contains(MERGE) {
        return members;
    }
    let (merges, mut members): (Vec<_>, Vec<_>) = members.into_iter().partition(|member| member.key == MERGE);
    for merge in merges {
        let objects = match merge.node.value {
            Value::List(objects) => objects,
            _ => vec![merge.node],
        };
        for object in objects {
            let Value::Map(inherited) = object.value else { continue };
            members
                .extend(inherited.into_list().into_iter().filter(|member| keys.insert(member.key.clone())));
        }
    }
    members
}

/// Returns the long form of the function that a tag names: `!Ref` is `Ref`, and `!Sub` is `Fn::Sub`.
fn function(tag: Option<Cow<'_, Tag>>) -> Option<String> {
    let tag = tag.filter(|tag| tag.handle == "!")?;
    Some(match tag.suffix.as_str() {
        name @ ("Ref" | "Condition") => name.to_owned(),
        name => format!("Fn::{name}"),
    })
}
