//! The records of an input, in order.
//!
//! An input is a sequence of JSON values: one, or one on each line. Arrays are opened, and so are the
//! documents that AWS wraps its lists in; everything else is a record.

use std::io::{self, Read};

use serde::de::IgnoredAny;

use super::detect::{InputRecord, KnownList};
use super::scan::{BrokenElement, Parsed, Scan, parse, scan_members, separators};
use super::window::Window;

const ENDS_IN_RECORD: &str = "the input ends inside this record";
/// The deepest nesting of lists.
const MAX_DEPTH: usize = 32;

/// The place of a record in its input.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Position {
    /// The number of the record, from 1.
    pub(crate) record: u64,
    /// The number of bytes before the record.
    pub(crate) byte: u64,
}

/// Receives each record with its position, or an explanation why it cannot be read.
pub(crate) type Visit<'v> = dyn FnMut(Position, Result<InputRecord<'_>, String>) -> io::Result<()> + 'v;

/// Calls `visit` for every record of `input`, in order. A record of more than `max_record` bytes ends the input.
///
/// # Errors
/// Returns the first error of `visit`, which ends the work.
pub(crate) fn for_each<R: Read>(input: R, max_record: usize, visit: &mut Visit<'_>) -> io::Result<()> {
    let window = Window::new(input, max_record);
    let mut splitter = Splitter { window, open: vec![Open::Values], record: 0, visit };
    match splitter.run() {
        Ok(()) => Ok(()),
        Err(Stop::Visit(error)) => Err(error),
        Err(Stop::Input(message)) => splitter.report(message).or_else(|stop| match stop {
            Stop::Visit(error) => Err(error),
            Stop::Input(_) => Ok(()),
        }),
    }
}

/// What the splitter is inside of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Open {
    /// The input itself, or an array of anything.
    Values,
    /// A list whose elements are known.
    Known(KnownList),
    /// An object, after the list in it.
    Members,
}

/// Why the work ends early.
enum Stop {
    /// The input cannot be read further.
    Input(String),
    /// The visitor failed.
    Visit(io::Error),
}

struct Splitter<'v, R> {
    window: Window<R>,
    /// What is open, the outermost first.
    open: Vec<Open>,
    record: u64,
    visit: &'v mut Visit<'v>,
}

impl<R: Read> Splitter<'_, R> {
    fn run(&mut self) -> Result<(), Stop> {
        self.skip_byte_order_mark()?;
        if self.peek()?.is_none() {
            return Err(Stop::Input("the input is empty".to_owned()));
        }
        while let Some(open) = self.open.last().copied() {
            match (open, self.peek()?) {
                (_, None) if self.open.len() == 1 => return Ok(()),
                (_, None) => return Err(Stop::Input("the input ends inside a list".to_owned())),
                (Open::Members, _) => self.members()?,
                (_, Some(b']')) if self.open.len() > 1 => self.close(1),
                (Open::Values, Some(b'[')) => self.enter(Open::Values, 1)?,
                (Open::Values, Some(b'{')) => self.object()?,
                (Open::Known(list), Some(b'{')) => self.element(list)?,
                (Open::Known(KnownList::QueryResults), Some(b'"')) => {
                    self.element(KnownList::QueryResults)?;
                }
                (_, Some(_)) => self.unreadable("expected a JSON object or array")?,
            }
        }
        Ok(())
    }

    /// Windows programs begin text with a byte order mark.
    fn skip_byte_order_mark(&mut self) -> Result<(), Stop> {
        const MARK: &[u8] = "\u{feff}".as_bytes();
        while self.window.bytes().len() < MARK.len() && self.more()? {}
        if self.window.bytes().starts_with(MARK) {
            self.window.advance(MARK.len());
        }
        Ok(())
    }

    /// Returns the next byte that is not white space or, inside a list, a comma.
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

    fn enter(&mut self, open: Open, length: usize) -> Result<(), Stop> {
        if self.open.len() == MAX_DEPTH {
            return Err(Stop::Input(format!("lists are nested more than {MAX_DEPTH} levels deep")));
        }
        self.window.advance(length);
        self.open.push(open);
        Ok(())
    }

    fn close(&mut self, length: usize) {
        self.window.advance(length);
        self.open.pop();
    }

    /// An object of any kind: a record, or a document around a list.
    fn object(&mut self) -> Result<(), Stop> {
        match self.scan(1)? {
            Scan::End { kind, length } => {
                let position = self.next_position();
                let json = std::str::from_utf8(self.window.bytes().get(..length).unwrap_or_default());
                let record =
                    json.map(|json| InputRecord::Other(kind, json)).map_err(|error| error.to_string());
                (self.visit)(position, record).map_err(Stop::Visit)?;
                self.window.advance(length);
                Ok(())
            }
            Scan::List { list, length } => {
                self.enter(Open::Members, 0)?;
                self.enter(Open::Known(list), length)
            }
            Scan::Invalid(message) => {
                // The whole object, so that its lines are counted from its beginning.
                let whole = parse::<IgnoredAny>(self.window.bytes());
                self.unreadable(if let Parsed::Invalid(whole) = &whole { whole } else { &message })
            }
            // What seems to be the end may be a later line, after one that was cut off.
            Scan::Incomplete => self.unreadable(ENDS_IN_RECORD),
        }
    }

    /// The members of an object after the list in it.
    fn members(&mut self) -> Result<(), Stop> {
        match self.scan(0)? {
            Scan::End { length, .. } => {
                self.close(length);
                Ok(())
            }
            Scan::List { list, length } => self.enter(Open::Known(list), length),
            Scan::Invalid(message) => Err(Stop::Input(message)),
            Scan::Incomplete => Err(Stop::Input("the input ends inside an object".to_owned())),
        }
    }

    /// Scans the members of the object at the start of the window from `at` on, and reads on as needed.
    fn scan(&mut self, at: usize) -> Result<Scan, Stop> {
        loop {
            match scan_members(self.window.bytes(), at) {
                Scan::Incomplete if self.more()? => {}
                scan => return Ok(scan),
            }
        }
    }

    /// An element of a known list. It is parsed in place, so that a large file is read only once.
    fn element(&mut self, list: KnownList) -> Result<(), Stop> {
        loop {
            let problem = match list.parse_element(self.window.bytes()) {
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
                return Err(Stop::Input(ENDS_IN_RECORD.to_owned()));
            }
        }
    }

    /// Reports the record at the start of the window as unreadable, and skips it.
    fn unreadable(&mut self, message: &str) -> Result<(), Stop> {
        self.report(message.to_owned())?;
        if self.open.len() == 1 { self.skip_to_next_line() } else { self.skip_element() }
    }

    fn report(&mut self, message: String) -> Result<(), Stop> {
        let position = self.next_position();
        (self.visit)(position, Err(message)).map_err(Stop::Visit)
    }

    /// Outside of lists, an unreadable value ends where a line begins a new one.
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

    /// Inside a list, an unreadable element ends where its brackets are balanced.
    fn skip_element(&mut self) -> Result<(), Stop> {
        let mut element = BrokenElement::default();
        loop {
            let end = self.window.bytes().iter().position(|&byte| element.ends_before(byte));
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns a few bytes at a time, so that every boundary falls somewhere awkward.
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

    const MAX: usize = 4 * 1024 * 1024;

    /// Describes each record of `input`, with its position.
    fn found(input: &str) -> Vec<String> {
        let split = |step| {
            let mut found = Vec::new();
            for_each(Trickle(input.as_bytes(), step), MAX, &mut |position, record| {
                let what = match record {
                    Ok(InputRecord::Item(_)) => "item".to_owned(),
                    Ok(InputRecord::Reservation(_)) => "reservation".to_owned(),
                    Ok(InputRecord::Other(kind, _)) => format!("{kind:?}"),
                    Err(message) => format!("error: {message}"),
                };
                found.push(format!("{}@{} {what}", position.record, position.byte));
                Ok(())
            })
            .expect("the visitor does not fail");
            found
        };
        let whole = split(usize::MAX);
        assert_eq!(split(1), whole, "one byte at a time");
        assert_eq!(split(7), whole, "seven bytes at a time");
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
        for (list, element, kind) in [
            ("LaunchTemplates", "{}", "LaunchTemplate"),
            ("LaunchTemplateVersions", r#"{"VersionNumber":1}"#, "TemplateVersion"),
            ("LaunchConfigurations", "{}", "LaunchConfiguration"),
            ("AutoScalingGroups", r#"{"Instances":[{"InstanceId":"i-1"}]}"#, "AutoScalingGroup"),
            ("Images", r#"{"ImageId":"ami-1"}"#, "Image"),
        ] {
            let json = format!(r#"{{"{list}":[{element}]}}"#);
            assert_eq!(found(&json), [format!("1@{} {kind}", list.len() + 5)]);
        }
    }

    #[test]
    fn other_records_are_recognized_by_their_keys() {
        for (json, kind) in [
            (r#"{"version":"1.0","invokingEvent":"{}"}"#, "Event"),
            (r#"{"recordVersion":"1","messageType":"x"}"#, "Notification"),
            (ITEM, "Item"),
            (r#"{"AmiLaunchIndex":0,"InstanceId":"i-1"}"#, "Instance"),
            (r#"{"Groups":[],"Instances":[]}"#, "Reservation"),
            (r#"{"AutoScalingGroupName":"web","Instances":[]}"#, "AutoScalingGroup"),
            (r#"{"LaunchTemplateId":"lt-1","LaunchTemplateData":{}}"#, "TemplateVersion"),
            (r#"{"LaunchConfigurationARN":"arn"}"#, "LaunchConfiguration"),
            (r#"{"AccountLevel":{},"Region":"eu-west-1"}"#, "AccountDefaults"),
            (r#"{"ImageId":"ami-1","ImdsSupport":"v2.0"}"#, "Image"),
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
    fn an_input_that_ends_early_is_reported() {
        let whole = format!(r#"{{"configurationItems":[{ITEM},{ITEM}],"z":1}}"#);
        for end in 1..whole.len() {
            let found = found(&whole[..end]);
            let last = found.last().expect("a record");
            assert!(last.contains("error: the input ends"), "{end}: {found:?}");
        }
        assert_eq!(found(""), ["1@0 error: the input is empty"]);
        assert_eq!(found(" \n "), ["1@3 error: the input is empty"]);
    }

    #[test]
    fn deeply_nested_lists_are_rejected() {
        let found = found(&"[".repeat(100_000));
        assert_eq!(found, ["1@31 error: lists are nested more than 32 levels deep"]);
    }

    #[test]
    fn a_record_that_is_too_large_is_reported() {
        let text = "x".repeat(MAX);
        for json in [
            format!(r#"{{"configurationItems":[{ITEM},{{"resourceId":"{text}"}},{ITEM}]}}"#),
            format!(r#"{ITEM}{{"resourceId":"{text}"}}"#),
        ] {
            let mut found = Vec::new();
            for_each(json.as_bytes(), MAX, &mut |_, record| {
                found.push(record.err());
                Ok(())
            })
            .expect("the visitor does not fail");
            assert_eq!(found, [None, Some("a record is larger than 4 MiB".to_owned())]);
        }
    }

    /// Returns bytes, then fails once, and then ends, as a decoder does after a wrong checksum.
    struct Damaged<'a>(&'a [u8], Option<io::Error>);

    impl Read for Damaged<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            match self.0.read(buffer)? {
                0 => self.1.take().map_or(Ok(0), Err),
                count => Ok(count),
            }
        }
    }

    #[test]
    fn an_error_at_the_end_of_the_input_is_reported() {
        let filler = " ".repeat(3 * 1024 * 1024);
        for json in [format!(r#"{{"configurationItems":[{ITEM}]}}"#), format!("{ITEM}{filler}")] {
            let mut errors = Vec::new();
            let damaged = Damaged(json.as_bytes(), Some(io::Error::other("wrong checksum")));
            for_each(damaged, MAX, &mut |_, record| {
                errors.extend(record.err());
                Ok(())
            })
            .expect("the visitor does not fail");
            assert_eq!(errors, ["wrong checksum"]);
        }
    }

    /// The number of bytes that are scanned in all is what takes time; each read passes a few of them.
    #[test]
    fn a_large_record_is_not_scanned_again_after_each_read() {
        let json = format!(r#"{{"resourceType":"{}"}}"#, "x".repeat(2 * 1024 * 1024));
        let mut window = Window::new(Trickle(json.as_bytes(), 4096), MAX);
        let mut scanned = 0;
        while window.more().expect("read") {
            scanned += window.bytes().len();
        }
        assert!(scanned < 5 * json.len(), "{scanned}");
    }

    #[test]
    fn the_visitors_error_ends_the_work() {
        let mut seen = 0;
        let result = for_each(format!("{ITEM}\n{ITEM}").as_bytes(), MAX, &mut |_, _| {
            seen += 1;
            Err(io::Error::from(io::ErrorKind::BrokenPipe))
        });
        assert_eq!(result.expect_err("passed on").kind(), io::ErrorKind::BrokenPipe);
        assert_eq!(seen, 1);
    }

    proptest::proptest! {
        #[test]
        fn no_input_makes_it_panic_or_loop(input in "[{}\\[\\]\",:a-z0-9\\\\\n ]{0,120}") {
            for_each(input.as_bytes(), MAX, &mut |_, _| Ok(())).expect("the visitor does not fail");
        }
    }
}
