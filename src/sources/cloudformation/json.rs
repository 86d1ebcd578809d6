//! Templates in JSON.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::TemplateError;
use super::node::{Member, Members, Node, Value};

/// The deepest nesting. CloudFormation itself does not get near it.
pub(super) const MAX_DEPTH: usize = 64;

/// Parses a template.
///
/// # Errors
/// Returns an error if `text` is not JSON, or nested too deeply.
pub(super) fn parse(text: &str) -> Result<Node, TemplateError> {
    let line_ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at).collect();
    let parser = Parser { text, line_ends };
    let root = serde_json::from_str(text).map_err(|error| {
        let message = error.to_string();
        // The line is told anyway.
        let message = message.rsplit_once(" at line ").map_or(message.as_str(), |(message, _)| message);
        TemplateError::new(error.line(), message)
    })?;
    parser.node(root, 0)
}

struct Parser<'t> {
    text: &'t str,
    /// The place of each line feed.
    line_ends: Vec<usize>,
}

impl<'t> Parser<'t> {
    fn node(&self, json: &'t RawValue, depth: usize) -> Result<Node, TemplateError> {
        let line = self.line_of(json.get());
        let invalid = |error: serde_json::Error| TemplateError::new(line, error.to_string());
        if depth > MAX_DEPTH {
            return Err(TemplateError::new(line, format!("nested more than {MAX_DEPTH} levels deep")));
        }
        let value = match json.get().as_bytes().first() {
            Some(b'{') => {
                let Entries(entries) = serde_json::from_str(json.get()).map_err(invalid)?;
                let mut keys = HashSet::new();
                let members = entries.into_iter().map(|(key, json)| {
                    let node = self.node(json, depth + 1)?;
                    if !keys.insert(key.clone()) {
                        return Err(TemplateError::duplicate_key(node.line, &key));
                    }
                    Ok(Member { key: key.into_owned(), line: node.line, node })
                });
                Value::Map(Members::new(members.collect::<Result<_, _>>()?))
            }
            Some(b'[') => {
                let list: Vec<&'t RawValue> = serde_json::from_str(json.get()).map_err(invalid)?;
                Value::List(
                    list.into_iter().map(|json| self.node(json, depth + 1)).collect::<Result<_, _>>()?,
                )
            }
            Some(b'"') => Value::Scalar(serde_json::from_str(json.get()).map_err(invalid)?),
            _ if json.get() == "null" => Value::Null,
            _ => Value::Scalar(json.get().to_owned()),
        };
        Ok(Node { line, value })
    }

    /// Returns the line of a part of the text.
    fn line_of(&self, part: &str) -> usize {
        let at = part.as_ptr().addr().saturating_sub(self.text.as_ptr().addr());
        1 + self.line_ends.partition_point(|end| *end < at)
    }
}

/// The members of an object, in their order, not parsed yet.
struct Entries<'t>(Vec<(Cow<'t, str>, &'t RawValue)>);

impl<'de: 't, 't> Deserialize<'de> for Entries<'t> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct EntriesVisitor;
        impl<'de> Visitor<'de> for EntriesVisitor {
            type Value = Entries<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }
        }
        deserializer.deserialize_map(EntriesVisitor)
    }
}
