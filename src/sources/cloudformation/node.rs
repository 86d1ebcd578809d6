//! A template as values, each with its line.

/// A value, and the line on which it begins, from 1.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Node {
    pub(super) line: usize,
    pub(super) value: Value,
}

/// A value. Numbers and truth values are text, because CloudFormation accepts them as either.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Null,
    Scalar(String),
    List(Vec<Node>),
    Map(Members),
}

/// A member of an object.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Member {
    pub(super) key: String,
    /// The line of the key.
    pub(super) line: usize,
    pub(super) node: Node,
}

/// The members of an object, in their order.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Members {
    list: Vec<Member>,
    /// The indexes of the members, ordered by key.
    by_key: Vec<usize>,
}

impl Members {
    /// Returns the members in `list`, whose keys differ.
    pub(super) fn new(list: Vec<Member>) -> Self {
        let mut by_key: Vec<usize> = (0..list.len()).collect();
        by_key.sort_unstable_by_key(|index| list.get(*index).map(|member| &member.key));
        Self { list, by_key }
    }

    /// Returns the members.
    pub(super) fn into_list(self) -> Vec<Member> {
        self.list
    }

    /// Returns the keys, and the values to change.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (&str, &mut Node)> {
        self.list.iter_mut().map(|member| (member.key.as_str(), &mut member.node))
    }

    fn get(&self, key: &str) -> Option<&Member> {
        let key_of = |index: &usize| self.list.get(*index).map(|member| member.key.as_str());
        let found = self.by_key.binary_search_by_key(&Some(key), key_of).ok()?;
        self.list.get(*self.by_key.get(found)?)
    }
}

impl Node {
    pub(super) fn scalar(line: usize, text: impl Into<String>) -> Self {
        Self { line, value: Value::Scalar(text.into()) }
    }

    /// Returns an object with one member, as in `Fn::Sub: …`.
    pub(super) fn function(name: String, argument: Self) -> Self {
        let line = argument.line;
        Self { line, value: Value::Map(Members::new(vec![Member { key: name, line, node: argument }])) }
    }

    /// Returns the members of an object.
    pub(super) fn members(&self) -> Option<&[Member]> {
        match &self.value {
            Value::Map(members) => Some(&members.list),
            _ => None,
        }
    }

    /// Returns the member `key` of an object.
    pub(super) fn member(&self, key: &str) -> Option<&Self> {
        match &self.value {
            Value::Map(members) => members.get(key).map(|member| &member.node),
            _ => None,
        }
    }

    /// Returns the elements of a list.
    pub(super) fn list(&self) -> Option<&[Self]> {
        match &self.value {
            Value::List(list) => Some(list),
            _ => None,
        }
    }

    /// Returns a text, number or truth value.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar(text) => Some(text),
            _ => None,
        }
    }
}
