//! Whether an input is JSON, which is read record by record, or text that is read as a whole.

use std::io::{self, Cursor, Read};

use super::detect::has_known_key;
use super::text::decode;

/// The largest text that is read as a whole, in bytes. CloudFormation accepts templates of 1 MB.
const MAX_TEXT: u64 = 16 * 1024 * 1024;
/// How much of the start of an input decides what it is, in bytes.
const HEAD: u64 = 64 * 1024;

/// An input, as far as its start says what it is.
pub(crate) enum Document {
    /// A sequence of JSON values.
    Json(Json),
    /// Anything else that is text.
    Text(String),
}

/// JSON, and what its start says.
pub(crate) struct Json {
    pub(crate) reader: Box<dyn Read>,
    /// Whether a key at the start is one that the program knows. If the start cannot be read, it may be.
    pub(crate) has_known_key: bool,
}

impl Document {
    /// Reads the start of an input. An error is left to those who read on.
    pub(crate) fn begin(mut reader: Box<dyn Read>) -> Self {
        let mut head = Vec::new();
        let mut result = reader.by_ref().take(HEAD).read_to_end(&mut head);
        if result.is_ok() && !begins_json(&head) {
            result = reader.by_ref().take(MAX_TEXT).read_to_end(&mut head);
            let has_ended = result.is_ok() && matches!(reader.read(&mut [0]), Ok(0));
            if let Some(text) = decode(&head).filter(|_| has_ended) {
                return Self::Text(text);
            }
        }
        let has_known_key = result.is_err() || has_known_key(&head);
        let rest: Box<dyn Read> = match result {
            Ok(_) => reader,
            Err(error) => Box::new(Broken(Some(error))),
        };
        Self::Json(Json { reader: Box::new(Cursor::new(head).chain(rest)), has_known_key })
    }
}

/// The rest of an input that cannot be read on.
struct Broken(Option<io::Error>);

impl Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        self.0.take().map_or(Ok(0), Err)
    }
}

impl Json {
    /// Returns text as JSON, with lines that are not JSON.
    pub(crate) fn of_text(text: String) -> Self {
        let has_known_key = has_known_key(text.as_bytes());
        Self { reader: Box::new(Cursor::new(text.into_bytes())), has_known_key }
    }
}

/// Returns whether a list begins, or an object whose first key is in quotes. YAML has objects without, and two braces begin
/// a template of another program.
fn begins_json(head: &[u8]) -> bool {
    let head = head.strip_prefix("\u{feff}".as_bytes()).unwrap_or(head);
    match head.trim_ascii_start() {
        [b'{', rest @ ..] => matches!(rest.trim_ascii_start(), [] | [b'"' | b'}', ..]),
        [first, ..] => *first == b'[',
        [] => false,
    }
}

/// Returns whether a key that the program knows is anywhere in an input, or the input cannot be read.
pub(crate) fn contains_known_key(reader: io::Result<Box<dyn Read>>) -> bool {
    let mut content = Vec::new();
    let read = reader.and_then(|reader| reader.take(MAX_TEXT).read_to_end(&mut content));
    read.is_err() || has_known_key(&content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_character_tells_json_from_text() {
        for (input, expected) in [
            ("{}", "JSON"),
            ("\u{feff} \n[1]", "JSON"),
            ("Resources: {}", "text"),
            ("", "text"),
            ("{{ .Values }}", "text"),
            ("{Resources: {}}", "text"),
            ("{", "JSON"),
            ("{ \n\"a\": 1}", "JSON"),
            ("nonsense\n{}", "text"),
        ] {
            let found = match Document::begin(Box::new(input.as_bytes())) {
                Document::Json(mut json) => {
                    let mut all = String::new();
                    json.reader.read_to_string(&mut all).expect("read");
                    assert_eq!(all, input);
                    "JSON"
                }
                Document::Text(text) => {
                    assert_eq!(text, input);
                    "text"
                }
            };
            assert_eq!(found, expected, "{input}");
        }
    }

    #[test]
    fn a_known_key_at_the_start_is_found() {
        for (input, expected) in [
            ("{\"a\": 1, \"configurationItems\": [", true),
            ("{\"invokingEvent\": ", true),
            ("{\"compilerOptions\": {\"strict\": true,}}", false),
            ("[1, 2,]", false),
        ] {
            let Document::Json(json) = Document::begin(Box::new(input.as_bytes())) else {
                panic!("{input}");
            };
            assert_eq!(json.has_known_key, expected, "{input}");
        }
    }
}
