//! JUnit XML, for the test reports of CI systems: a test case for each resource
//! (<https://docs.gitlab.com/ci/testing/unit_test_reports/>).

use std::io::{self, Write};

use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesText, Event};

use super::checks::{Check, shown};
use super::{Conclusion, Finding, Output};
use crate::rule::verdict::Compliance;

pub(super) struct JUnit<W> {
    writer: W,
    cases: Vec<Case>,
}

/// A test case. The numbers of all precede them, so that they are held back.
struct Case {
    name: String,
    class: String,
    file: Option<String>,
    line: Option<usize>,
    outcome: Outcome,
}

enum Outcome {
    Passed,
    Skipped(String),
    Failed { message: String, details: String },
}

impl<W> JUnit<W> {
    pub(super) fn new(writer: W) -> Self {
        Self { writer, cases: Vec::new() }
    }
}

impl<W: Write> Output for JUnit<W> {
    fn finding(&mut self, finding: &Finding<'_>) -> io::Result<()> {
        if Check::of(&finding.resource_type).is_none() {
            return Ok(());
        }
        let place = finding.location().map(|location| format!(" ({location})")).unwrap_or_default();
        self.cases.push(Case {
            name: shown(&format!("{}{place}", finding.resource_id)),
            class: shown(&finding.resource_type),
            file: finding.input.as_deref().map(shown),
            line: finding.line,
            outcome: match finding.compliance {
                Compliance::Compliant => Outcome::Passed,
                Compliance::NotApplicable => Outcome::Skipped(shown(&finding.annotation)),
                Compliance::NonCompliant => Outcome::Failed {
                    message: shown(&finding.annotation),
                    details: finding.command.as_deref().map(shown).unwrap_or_default(),
                },
            },
        });
        Ok(())
    }

    fn finish(&mut self, conclusion: &Conclusion<'_>) -> io::Result<()> {
        let cases = std::mem::take(&mut self.cases);
        let failures = cases.iter().filter(|case| matches!(case.outcome, Outcome::Failed { .. })).count();
        let skipped = cases.iter().filter(|case| matches!(case.outcome, Outcome::Skipped(_))).count();
        let errors = conclusion.failures.len();
        let tests = (cases.len() + errors).to_string();
        let (failures, skipped, errors) = (failures.to_string(), skipped.to_string(), errors.to_string());
        let counts = [
            ("name", "imdsv2"),
            ("tests", &tests),
            ("failures", &failures),
            ("errors", &errors),
            ("skipped", &skipped),
        ];
        let mut xml = Writer::new_with_indent(&mut self.writer, b' ', 2);
        xml.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
        xml.create_element("testsuites").with_attributes(counts).write_inner_content(|xml| {
            xml.create_element("testsuite").with_attributes(counts).write_inner_content(|xml| {
                cases.iter().try_for_each(|case| case.write(xml))?;
                conclusion.failures.iter().try_for_each(|failure| error(xml, failure))
            })?;
            Ok(())
        })?;
        self.writer.write_all(b"\n")?;
        self.writer.flush()
    }
}

impl Case {
    fn write<W: Write>(&self, xml: &mut Writer<W>) -> io::Result<()> {
        let line = self.line.map(|line| line.to_string());
        let attributes = [
            ("name", Some(self.name.as_str())),
            ("classname", Some(self.class.as_str())),
            ("file", self.file.as_deref()),
            ("line", line.as_deref()),
        ];
        let attributes = attributes.into_iter().filter_map(|(name, value)| Some((name, value?)));
        let element = xml.create_element("testcase").with_attributes(attributes);
        match &self.outcome {
            Outcome::Passed => element.write_empty()?,
            Outcome::Skipped(message) => element.write_inner_content(|xml| {
                let skipped = xml.create_element("skipped").with_attribute(("message", message.as_str()));
                skipped.write_empty()?;
                Ok(())
            })?,
            Outcome::Failed { message, details } => element.write_inner_content(|xml| {
                let failure = xml.create_element("failure");
                let failure =
                    failure.with_attributes([("message", message.as_str()), ("type", "NON_COMPLIANT")]);
                failure.write_text_content(BytesText::new(details))?;
                Ok(())
            })?,
        };
        Ok(())
    }
}

/// Writes that something could not be evaluated.
fn error<W: Write>(xml: &mut Writer<W>, failure: &str) -> io::Result<()> {
    let case = xml.create_element("testcase");
    let case = case.with_attributes([("name", "everything was evaluated"), ("classname", "imdsv2")]);
    case.write_inner_content(|xml| {
        xml.create_element("error").with_attribute(("message", &*shown(failure))).write_empty()?;
        Ok(())
    })?;
    Ok(())
}
