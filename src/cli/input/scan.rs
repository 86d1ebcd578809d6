//! The members of a JSON object, scanned without building it.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::detect::{KnownList, RecordKind};

/// The value at the start of some bytes.
pub(super) enum Parsed<T> {
    /// The value, and its length in bytes.
    Value(T, usize),
    /// The bytes end inside the value.
    Incomplete,
    /// The bytes are not such a value.
    Invalid(String),
}

/// Parses the value at the start of `bytes`.
pub(super) fn parse<'b, T: Deserialize<'b>>(bytes: &'b [u8]) -> Parsed<T> {
    let mut values = serde_json::Deserializer::from_slice(bytes).into_iter::<T>();
    match values.next() {
        Some(Ok(value)) => Parsed::Value(value, values.byte_offset()),
        Some(Err(error)) if !error.is_eof() => Parsed::Invalid(error.to_string()),
        Some(Err(_)) | None => Parsed::Incomplete,
    }
}

impl<T> Parsed<T> {
    /// Converts the value.
    pub(super) fn map<U>(self, convert: impl FnOnce(T) -> U) -> Parsed<U> {
        match self {
            Self::Value(value, length) => Parsed::Value(convert(value), length),
            Self::Incomplete => Parsed::Incomplete,
            Self::Invalid(message) => Parsed::Invalid(message),
        }
    }
}

/// What the members of an object lead to.
pub(super) enum Scan {
    /// The object ends after `length` bytes.
    End { kind: RecordKind, length: usize },
    /// A known list begins; its first element follows after `length` bytes.
    List { list: KnownList, length: usize },
    /// The bytes end inside the object.
    Incomplete,
    /// The bytes are not JSON.
    Invalid(String),
}

/// Scans the members of an object from `at` on, which is after its opening brace or after a member.
pub(super) fn scan_members(bytes: &[u8], at: usize) -> Scan {
    let mut kind = RecordKind::Unknown;
    let mut rest = bytes.get(at..).unwrap_or_default();
    let consumed = |rest: &[u8]| bytes.len() - rest.len();
    loop {
        rest = rest.get(separators(rest)..).unwrap_or_default();
        if rest.first() == Some(&b'}') {
            return Scan::End { kind, length: consumed(rest) + 1 };
        }
        let member = match member(rest) {
            Ok(member) => member,
            Err(scan) => return scan,
        };
        match (KnownList::of_key(&member.key), member.value.first()) {
            (Some(list), Some(b'[')) => return Scan::List { list, length: consumed(member.value) + 1 },
            (_, None) => return Scan::Incomplete,
            _ => {}
        }
        if kind == RecordKind::Unknown {
            kind = RecordKind::of_key(&member.key).unwrap_or(RecordKind::Unknown);
        }
        match parse(member.value) {
            Parsed::Value(IgnoredAny, length) => rest = member.value.get(length..).unwrap_or_default(),
            Parsed::Incomplete => return Scan::Incomplete,
            Parsed::Invalid(message) => return Scan::Invalid(message),
        }
    }
}

struct Member<'b> {
    key: Cow<'b, str>,
    /// The rest of the input, from the value of the member on.
    value: &'b [u8],
}

/// Parses the key of the member at the start of `bytes`.
fn member(bytes: &[u8]) -> Result<Member<'_>, Scan> {
    #[derive(Deserialize)]
    struct Key<'b>(#[serde(borrow)] Cow<'b, str>);
    let (Key(key), length) = match parse(bytes) {
        Parsed::Value(key, length) => (key, length),
        Parsed::Incomplete => return Err(Scan::Incomplete),
        Parsed::Invalid(message) => return Err(Scan::Invalid(format!("expected a key: {message}"))),
    };
    let rest = bytes.get(length..).unwrap_or_default();
    let rest = rest.get(separators(rest)..).unwrap_or_default();
    match rest.split_first() {
        None => Err(Scan::Incomplete),
        Some((b':', rest)) => Ok(Member { key, value: rest.get(separators(rest)..).unwrap_or_default() }),
        Some(_) => Err(Scan::Invalid(format!("expected a colon after the key \"{key}\""))),
    }
}

/// Returns the number of bytes of white space and commas at the start of `bytes`.
pub(super) fn separators(bytes: &[u8]) -> usize {
    bytes.iter().position(|byte| !matches!(byte, b' ' | b'\n' | b'\r' | b'\t' | b',')).unwrap_or(bytes.len())
}

/// Finds the end of a list element that is not JSON, byte by byte.
#[derive(Default)]
pub(super) struct BrokenElement {
    depth: usize,
    in_string: bool,
    escaped: bool,
}

impl BrokenElement {
    /// Returns whether `byte` follows the element: the comma or the bracket that ends it.
    pub(super) fn ends_before(&mut self, byte: u8) -> bool {
        match byte {
            _ if self.escaped => self.escaped = false,
            b'\\' if self.in_string => self.escaped = true,
            b'"' => self.in_string = !self.in_string,
            _ if self.in_string => {}
            b'{' | b'[' => self.depth += 1,
            b',' | b']' if self.depth == 0 => return true,
            b'}' | b']' => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
        false
    }
}
