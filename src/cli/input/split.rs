//! Splits JSON of any size into records, holding one at a time.
//!
//! An input is a sequence of JSON values (one, or one a line). Arrays are opened, and so are the
//! documents that AWS wraps its lists in; everything else is a record. What a record is, is recognised
//! by its keys.

use std::borrow::Cow;
use std::io::{self, Read};

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::cli::input::window::Window;
use crate::sources::aws_cli::Reservation;
use crate::sources::config::configuration_item::ConfigurationItem;

const INPUT_ENDS: &str = "the input ends inside this record";
/// How deep lists may lie within lists before an input is taken for nonsense.
const MAX_DEPTH: usize = 32;

/// One record of an input.
#[allow(clippy::large_enum_variant)] // there is one at a time, and most are of the large variant
pub(crate) enum Record<'a> {
    /// A configuration item in a list of them.
    Item(ConfigurationItem<'a>),
    /// A reservation in the answer of `DescribeInstances`.
    Reservation(Reservation<'a>),
    /// Anything else, as JSON, and what its keys say that it is.
    Other(Kind, &'a str),
}

/// What an object is, by its keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The event of a Lambda invocation by AWS Config.
    Event,
    /// A notification of AWS Config, which an event carries as a string.
    Notification,
    /// A configuration item.
    Item,
    /// An instance as `DescribeInstances` shows it.
    Instance,
    /// A reservation, with instances.
    Reservation,
    /// Nothing that is known.
    Unknown,
}

impl Kind {
    fn by_key(key: &str) -> Option<Self> {
        match key {
            "invokingEvent" => Some(Self::Event),
            "messageType" => Some(Self::Notification),
            "configurationItemStatus" | "resourceType" => Some(Self::Item),
            "InstanceId" => Some(Self::Instance),
            "Instances" => Some(Self::Reservation),
            _ => None,
        }
    }
}

/// Where a record stands in its input.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Position {
    /// Its number, from 1.
    pub(crate) record: u64,
    /// The number of bytes before it.
    pub(crate) byte: u64,
}

/// Takes each record with its position, or a sentence on why it cannot be read.
pub(crate) type Visit<'v> = dyn FnMut(Position, Result<Record<'_>, String>) -> io::Result<()> + 'v;

/// Calls `visit` with every record of `input`, in order.
///
/// # Errors
/// The first error that `visit` returns; it ends the work.
pub(crate) fn for_each<R: Read>(input: R, visit: &mut Visit<'_>) -> io::Result<()> {
    let mut splitter = Splitter { window: Window::new(input), lists: vec![List::Values], record: 0, visit };
    match splitter.run() {
        Ok(()) => Ok(()),
        Err(Stop::Visit(error)) => Err(error),
        Err(Stop::Input(message)) => splitter.report(message).or_else(|stop| match stop {
            Stop::Visit(error) => Err(error),
            Stop::Input(_) => Ok(()),
        }),
    }
}

/// What the reader is inside of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum List {
    /// The input itself, or an array of anything.
    Values,
    /// `configurationItems`
    Items,
    /// `Reservations`
    Reservations,
    /// An object, behind the list in it.
    Members,
}

/// Why the work ends early.
enum Stop {
    /// The input cannot be read further.
    Input(String),
    /// The visitor gave up.
    Visit(io::Error),
}

struct Splitter<'v, R> {
    window: Window<R>,
    /// The lists that are open, the outermost first.
    lists: Vec<List>,
    record: u64,
    visit: &'v mut Visit<'v>,
}

impl<R: Read> Splitter<'_, R> {
    fn run(&mut self) -> Result<(), Stop> {
        self.skip_byte_order_mark()?;
        if self.peek()?.is_none() {
            return Err(Stop::Input("there is nothing in it".to_owned()));
        }
        while let Some(list) = self.lists.last().copied() {
            match (list, self.peek()?) {
                (_, None) if self.lists.len() == 1 => return Ok(()),
                (_, None) => return Err(Stop::Input("the input ends inside a list".to_owned())),
                (List::Members, _) => self.members()?,
                (_, Some(b']')) if self.lists.len() > 1 => self.close(1),
                (List::Values, Some(b'[')) => self.open(List::Values, 1)?,
                (List::Values, Some(b'{')) => self.object()?,
                (List::Items | List::Reservations, Some(b'{')) => self.element(list)?,
                (_, Some(_)) => self.unreadable("expected a JSON object or array")?,
            }
        }
        Ok(())
    }

    /// Windows begins text with one.
    fn skip_byte_order_mark(&mut self) -> Result<(), Stop> {
        const MARK: &[u8] = "\u{feff}".as_bytes();
        while self.window.bytes().len() < MARK.len() && self.more()? {}
        if self.window.bytes().starts_with(MARK) {
            self.window.advance(MARK.len());
        }
        Ok(())
    }

    /// The next byte that is not white space or, inside a list, a comma.
    fn peek(&mut self) -> Result<Option<u8>, Stop> {
        loop {
            let bytes = self.window.bytes();
            let skip = separators(bytes);
            let next = bytes.get(skip).copied();
            self.window.advance(skip);
            if next.is_some() || !self.more()? {
                return Ok(next);
            }
        }
    }

    fn open(&mut self, list: List, length: usize) -> Result<(), Stop> {
        if self.lists.len() == MAX_DEPTH {
            return Err(Stop::Input(format!("more than {MAX_DEPTH} lists within each other")));
        }
        self.window.advance(length);
        self.lists.push(list);
        Ok(())
    }

    fn close(&mut self, length: usize) {
        self.window.advance(length);
        self.lists.pop();
    }

    /// An object of whatever kind: a record, or a document around a list.
    fn object(&mut self) -> Result<(), Stop> {
        match self.scan(1)? {
            Scan::End { kind, length } => {
                let position = self.next_position();
                let json = std::str::from_utf8(self.window.bytes().get(..length).unwrap_or_default());
                let record = json.map(|json| Record::Other(kind, json)).map_err(|error| error.to_string());
                (self.visit)(position, record).map_err(Stop::Visit)?;
                self.window.advance(length);
                Ok(())
            }
            Scan::List { list, length } => {
                self.open(List::Members, 0)?;
                self.open(list, length)
            }
            Scan::Invalid(message) => self.unreadable(&message),
            // What looks like the end may be a later line, behind one that was cut off.
            Scan::Incomplete => self.unreadable(INPUT_ENDS),
        }
    }

    /// What follows behind a list inside an object.
    fn members(&mut self) -> Result<(), Stop> {
        match self.scan(0)? {
            Scan::End { length, .. } => {
                self.close(length);
                Ok(())
            }
            Scan::List { list, length } => self.open(list, length),
            Scan::Invalid(message) => Err(Stop::Input(message)),
            Scan::Incomplete => Err(Stop::Input("the input ends inside an object".to_owned())),
        }
    }

    /// Scans the members of the object at the window's start, from `at` on, reading on as needed.
    fn scan(&mut self, at: usize) -> Result<Scan, Stop> {
        loop {
            match scan_members(self.window.bytes(), at) {
                Scan::Incomplete if self.more()? => {}
                scan => return Ok(scan),
            }
        }
    }

    /// An element of a list whose elements are known. It is parsed where it lies, so that a large file
    /// is gone through once.
    fn element(&mut self, list: List) -> Result<(), Stop> {
        loop {
            let problem = match parse_element(list, self.window.bytes()) {
                Parsed::Value(record, length) => {
                    self.record += 1;
                    let position = Position { record: self.record, byte: self.window.position() };
                    (self.visit)(position, Ok(record)).map_err(Stop::Visit)?;
                    self.window.advance(length);
                    return Ok(());
                }
                Parsed::Incomplete => None,
                Parsed::Invalid(message) => Some(message),
            };
            if let Some(message) = problem {
                return self.unreadable(&message);
            }
            if !self.more()? {
                return Err(Stop::Input(INPUT_ENDS.to_owned()));
            }
        }
    }

    /// Reports the record that begins at the window's start, and goes on behind it.
    fn unreadable(&mut self, message: &str) -> Result<(), Stop> {
        self.report(message.to_owned())?;
        if self.lists.len() == 1 { self.skip_to_next_line() } else { self.skip_element() }
    }

    fn report(&mut self, message: String) -> Result<(), Stop> {
        let position = self.next_position();
        (self.visit)(position, Err(message)).map_err(Stop::Visit)
    }

    /// Between values, a broken one ends where a line begins a new one.
    fn skip_to_next_line(&mut self) -> Result<(), Stop> {
        let mut line_begins = false;
        loop {
            let next = self.window.bytes().iter().position(|&byte| {
                let found = line_begins && matches!(byte, b'{' | b'[');
                line_begins = byte == b'\n';
                found
            });
            self.window.advance(next.unwrap_or(usize::MAX));
            if next.is_some() || !self.more()? {
                return Ok(());
            }
        }
    }

    /// Inside a list, a broken element ends where its brackets are balanced.
    fn skip_element(&mut self) -> Result<(), Stop> {
        let mut brackets = Brackets::default();
        loop {
            let end = self.window.bytes().iter().position(|&byte| brackets.is_end(byte));
            self.window.advance(end.unwrap_or(usize::MAX));
            if end.is_some() || !self.more()? {
                return Ok(());
            }
        }
    }

    fn next_position(&mut self) -> Position {
        self.record += 1;
        Position { record: self.record, byte: self.window.position() }
    }

    fn more(&mut self) -> Result<bool, Stop> {
        self.window.more().map_err(|error| Stop::Input(error.to_string()))
    }
}

/// Finds the end of a list's element that is not JSON, byte by byte.
#[derive(Default)]
struct Brackets {
    depth: usize,
    in_string: bool,
    escaped: bool,
}

impl Brackets {
    /// Whether `byte` stands behind the element: the comma or the bracket that ends it.
    fn is_end(&mut self, byte: u8) -> bool {
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

/// The value at the start of some bytes, and its length.
enum Parsed<T> {
    Value(T, usize),
    Incomplete,
    Invalid(String),
}

fn parse<'b, T: Deserialize<'b>>(bytes: &'b [u8]) -> Parsed<T> {
    let mut values = serde_json::Deserializer::from_slice(bytes).into_iter::<T>();
    match values.next() {
        Some(Ok(value)) => Parsed::Value(value, values.byte_offset()),
        Some(Err(error)) if !error.is_eof() => Parsed::Invalid(error.to_string()),
        Some(Err(_)) | None => Parsed::Incomplete,
    }
}

fn parse_element(list: List, bytes: &[u8]) -> Parsed<Record<'_>> {
    let parsed = match list {
        List::Reservations => parse(bytes).map(Record::Reservation),
        List::Items | List::Values | List::Members => parse(bytes).map(Record::Item),
    };
    match parsed {
        Parsed::Invalid(message) => explain(list, bytes, message),
        parsed => parsed,
    }
}

/// What is wrong with an element; where it is JSON of the wrong shape, with the path to the part.
fn explain(list: List, bytes: &[u8], message: String) -> Parsed<Record<'_>> {
    let length = match parse(bytes) {
        Parsed::Value(IgnoredAny, length) => length,
        Parsed::Incomplete => return Parsed::Incomplete,
        Parsed::Invalid(message) => return Parsed::Invalid(message),
    };
    let json = std::str::from_utf8(bytes.get(..length).unwrap_or_default()).unwrap_or_default();
    let error = match list {
        List::Reservations => Reservation::from_json(json).err(),
        List::Items | List::Values | List::Members => ConfigurationItem::from_json("item", json).err(),
    };
    Parsed::Invalid(error.map_or(message, |error| error.to_string()))
}

impl<T> Parsed<T> {
    fn map<U>(self, wrap: impl FnOnce(T) -> U) -> Parsed<U> {
        match self {
            Self::Value(value, length) => Parsed::Value(wrap(value), length),
            Self::Incomplete => Parsed::Incomplete,
            Self::Invalid(message) => Parsed::Invalid(message),
        }
    }
}

/// What the members of an object say.
enum Scan {
    /// The object ends; `length` is up to there.
    End { kind: Kind, length: usize },
    /// A list that is to be opened begins; `length` is up to its first element.
    List { list: List, length: usize },
    /// There is no end yet.
    Incomplete,
    /// This is no JSON.
    Invalid(String),
}

/// Scans the members of an object, from `at` on, which is behind its opening brace or behind a member.
fn scan_members(bytes: &[u8], at: usize) -> Scan {
    let mut kind = Kind::Unknown;
    let mut rest = bytes.get(at..).unwrap_or_default();
    let consumed = |rest: &[u8]| bytes.len() - rest.len();
    loop {
        rest = rest.get(separators(rest)..).unwrap_or_default();
        if rest.first() == Some(&b'}') {
            return Scan::End { kind, length: consumed(rest) + 1 };
        }
        let member = match key(rest) {
            Ok(member) => member,
            Err(scan) => return scan,
        };
        let list = match member.name.as_ref() {
            "configurationItems" => Some(List::Items),
            "Reservations" => Some(List::Reservations),
            _ => None,
        };
        match (list, member.value.first()) {
            (Some(list), Some(b'[')) => return Scan::List { list, length: consumed(member.value) + 1 },
            (_, None) => return Scan::Incomplete,
            _ => {}
        }
        if kind == Kind::Unknown {
            kind = Kind::by_key(&member.name).unwrap_or(Kind::Unknown);
        }
        match parse(member.value) {
            Parsed::Value(IgnoredAny, length) => rest = member.value.get(length..).unwrap_or_default(),
            Parsed::Incomplete => return Scan::Incomplete,
            Parsed::Invalid(message) => return Scan::Invalid(message),
        }
    }
}

struct Member<'b> {
    name: Cow<'b, str>,
    /// The rest of the input, from the member's value on.
    value: &'b [u8],
}

/// The key at the start of `bytes`.
fn key(bytes: &[u8]) -> Result<Member<'_>, Scan> {
    #[derive(Deserialize)]
    struct Name<'b>(#[serde(borrow)] Cow<'b, str>);
    let (Name(name), length) = match parse(bytes) {
        Parsed::Value(name, length) => (name, length),
        Parsed::Incomplete => return Err(Scan::Incomplete),
        Parsed::Invalid(message) => return Err(Scan::Invalid(format!("expected a key: {message}"))),
    };
    let rest = bytes.get(length..).unwrap_or_default();
    let rest = rest.get(separators(rest)..).unwrap_or_default();
    match rest.split_first() {
        None => Err(Scan::Incomplete),
        Some((b':', rest)) => Ok(Member { name, value: rest.get(separators(rest)..).unwrap_or_default() }),
        Some(_) => Err(Scan::Invalid(format!("expected a colon behind the key \"{name}\""))),
    }
}

/// How many bytes of white space and commas `bytes` begins with.
fn separators(bytes: &[u8]) -> usize {
    bytes.iter().position(|byte| !matches!(byte, b' ' | b'\n' | b'\r' | b'\t' | b',')).unwrap_or(bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hands out a few bytes at a time, so that every boundary falls somewhere awkward.
    struct Trickle<'a>(&'a [u8], usize);

    impl Read for Trickle<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let count = self.1.min(self.0.len()).min(buffer.len());
            let (now, later) = self.0.split_at(count);
            buffer[..count].copy_from_slice(now);
            self.0 = later;
            Ok(count)
        }
    }

    /// What is found in `input`: a word for each record, and where it begins.
    fn found(input: &str) -> Vec<String> {
        let split = |step| {
            let mut found = Vec::new();
            for_each(Trickle(input.as_bytes(), step), &mut |position, record| {
                let what = match record {
                    Ok(Record::Item(_)) => "item".to_owned(),
                    Ok(Record::Reservation(_)) => "reservation".to_owned(),
                    Ok(Record::Other(kind, _)) => format!("{kind:?}"),
                    Err(message) => format!("error: {message}"),
                };
                found.push(format!("{}@{} {what}", position.record, position.byte));
                Ok(())
            })
            .expect("the visitor does not fail");
            found
        };
        let whole = split(usize::MAX);
        assert_eq!(split(1), whole, "byte by byte");
        assert_eq!(split(7), whole, "in sevens");
        whole
    }

    const ITEM: &str =
        r#"{"resourceType":"AWS::EC2::Instance","resourceId":"a \"[{,","configurationItemStatus":"OK"}"#;

    #[test]
    fn lists_of_known_elements_are_opened() {
        let snapshot = format!(
            r#"{{"fileVersion":"1.0","x":{{"configurationItems":[]}},"configurationItems":[{ITEM}, {ITEM}],"y":[1]}}"#
        );
        assert_eq!(found(&snapshot), ["1@73 item", "2@166 item"]);
        assert_eq!(found(r#"{"Reservations":[{"Instances":[]}]}"#), ["1@17 reservation"]);
        assert_eq!(found(r#"{"configurationItems":[]}"#), Vec::<String>::new());
    }

    #[test]
    fn other_records_are_recognised_by_their_keys() {
        for (json, kind) in [
            (r#"{"version":"1.0","invokingEvent":"{}"}"#, "Event"),
            (r#"{"recordVersion":"1","messageType":"x"}"#, "Notification"),
            (ITEM, "Item"),
            (r#"{"AmiLaunchIndex":0,"InstanceId":"i-1"}"#, "Instance"),
            (r#"{"Groups":[],"Instances":[]}"#, "Reservation"),
            (r#"{"hello":"world"}"#, "Unknown"),
            ("{}", "Unknown"),
        ] {
            assert_eq!(found(json), [format!("1@0 {kind}")], "{json}");
        }
    }

    #[test]
    fn lines_and_nested_arrays_are_records() {
        assert_eq!(found(&format!("{ITEM}\n{ITEM}\r\n\n{ITEM}")), ["1@0 Item", "2@92 Item", "3@186 Item"]);
        assert_eq!(found(&format!("[[{ITEM}],[{ITEM}, []]]")), ["1@2 Item", "2@96 Item"]);
        let documents =
            format!(r#"[{{"configurationItems":[{ITEM}]}},{{"Reservations":[{{"Instances":[]}}]}}]"#);
        assert_eq!(found(&documents), ["1@24 item", "2@135 reservation"]);
    }

    #[test]
    fn a_broken_element_does_not_hide_the_others() {
        let list = |broken: &str| found(&format!(r#"{{"configurationItems":[{ITEM},{broken},{ITEM}]}}"#));
        for broken in [
            r#"{"a":}"#,
            r#"{"a" "]}"}"#,
            r#"{"b":[1,{"c":"\"]"},,]}"#,
            "7",
            r#""text, ]""#,
            "null",
            "nonsense",
        ] {
            let found = list(broken);
            assert_eq!(found.len(), 3, "{broken}: {found:?}");
            assert_eq!(found[0], "1@23 item");
            assert!(found[1].starts_with("2@115 error: "), "{broken}: {found:?}");
            assert!(found[2].ends_with(" item"), "{broken}: {found:?}");
        }
        let shape = list(r#"{"awsRegion":{"is":"no text"}}"#);
        assert!(shape[1].contains("item.awsRegion: invalid type"), "{shape:?}");
    }

    #[test]
    fn a_broken_line_does_not_hide_the_others() {
        for broken in ["{\"a\": ", "{\"a\":\"no end", "nonsense", "}", "{\"a\" 1}"] {
            let found = found(&format!("{ITEM}\n{broken}\n{ITEM}\n"));
            assert_eq!(found.len(), 3, "{broken}: {found:?}");
            assert!(found[1].starts_with("2@92 error: "), "{broken}: {found:?}");
            assert!(found[2].ends_with(" Item"), "{broken}: {found:?}");
        }
    }

    #[test]
    fn an_input_that_ends_early_is_told() {
        let whole = format!(r#"{{"configurationItems":[{ITEM},{ITEM}],"z":1}}"#);
        for end in 1..whole.len() {
            let found = found(&whole[..end]);
            let last = found.last().expect("something is said");
            assert!(last.contains("error: the input ends"), "{end}: {found:?}");
        }
        assert_eq!(found(""), ["1@0 error: there is nothing in it"]);
        assert_eq!(found(" \n "), ["1@3 error: there is nothing in it"]);
    }

    #[test]
    fn lists_without_end_are_refused() {
        let found = found(&"[".repeat(100_000));
        assert_eq!(found, ["1@31 error: more than 32 lists within each other"]);
    }

    #[test]
    fn the_visitors_error_ends_the_work() {
        let mut seen = 0;
        let result = for_each(format!("{ITEM}\n{ITEM}").as_bytes(), &mut |_, _| {
            seen += 1;
            Err(io::Error::from(io::ErrorKind::BrokenPipe))
        });
        assert_eq!(result.expect_err("passed on").kind(), io::ErrorKind::BrokenPipe);
        assert_eq!(seen, 1);
    }

    proptest::proptest! {
        #[test]
        fn nothing_makes_it_panic_or_run_for_ever(input in "[{}\\[\\]\",:a-z0-9\\\\\n ]{0,120}") {
            for_each(input.as_bytes(), &mut |_, _| Ok(())).expect("the visitor does not fail");
        }
    }
}
