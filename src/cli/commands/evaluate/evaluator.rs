//! Judges what is found in inputs, and writes the findings.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::io;

use anyhow::Context;
use time::Date;

use super::reading::{self, Found};
use super::recorded::Recorded;
use crate::cli::calls::known::KnownCallers;
use crate::cli::comparison::Comparison;
use crate::cli::filter::Filter;
use crate::cli::input::files::{Decompression, Input};
use crate::cli::input::workers::{self, InOrderError};
use crate::cli::output::{Finding, FindingContext, Output};
use crate::rule::policy::Policy;
use crate::rule::resource::Resource;
use crate::rule::verdict::{Summary, evaluate};
use crate::sources::cloudformation::parameters::TemplateParameters;
use crate::sources::recorded_launches::RecordedLaunches;

/// What verdicts and findings depend on beside the input.
pub(super) struct Options<'a> {
    /// The policy of the command line, if any.
    pub(super) policy: Option<&'a Policy>,
    pub(super) default: Policy,
    pub(super) today: Date,
    pub(super) filter: &'a Filter,
    pub(super) callers: Option<&'a KnownCallers>,
    pub(super) template_parameters: &'a TemplateParameters,
}

/// Judges records, and writes the findings.
pub(super) struct Evaluator<'a> {
    options: Options<'a>,
    output: &'a mut dyn Output,
    launches: RecordedLaunches,
    /// What is judged when everything was read.
    held: Vec<Held>,
    pub(super) comparison: Option<Comparison>,
    pub(super) counts: Counts,
    /// The names of the parameters of the templates.
    pub(super) parameter_names: BTreeSet<String>,
}

/// What was read.
#[derive(Default)]
pub(super) struct Counts {
    pub(super) summary: Summary,
    /// The number of resources that were read.
    pub(super) records: u64,
    /// The number of templates, plans and states.
    pub(super) documents: u64,
    /// The number of records or files that could not be read.
    pub(super) unreadable: usize,
    /// The number of records that another command reads.
    pub(super) of_cloudtrail: u64,
    /// The number of files of directories that are of another kind.
    pub(super) other_files: u64,
}

/// What launches instances, and is judged when everything was read.
struct Held {
    resource: Resource<'static>,
    /// The policy of its event, if it is from one.
    policy: Option<Policy>,
    place: Place<'static>,
}

/// Where a resource is read.
struct Place<'a> {
    /// The file; `None` is standard input.
    file: Option<Cow<'a, str>>,
    /// The line of its declaration, if it is one.
    line: Option<usize>,
}

impl<'a> Evaluator<'a> {
    pub(super) fn new(
        options: Options<'a>,
        comparison: Option<Comparison>,
        output: &'a mut dyn Output,
    ) -> Self {
        Self {
            options,
            output,
            launches: RecordedLaunches::default(),
            held: Vec::new(),
            comparison,
            counts: Counts::default(),
            parameter_names: BTreeSet::new(),
        }
    }

    /// Judges every record of the inputs. Several inputs are read concurrently, and judged in their order.
    ///
    /// # Errors
    /// Returns an error if the output cannot be written, or no thread can be started.
    pub(super) fn inputs(&mut self, inputs: &[Input]) -> anyhow::Result<()> {
        const OUTPUT: &str = "cannot write the output";
        let parameters = self.options.template_parameters;
        if let [input] = inputs {
            let visit = &mut |found: Found<'_>| self.found(input, found);
            reading::read(input, Decompression::Ahead, parameters, visit).context(OUTPUT)?;
        } else {
            let judged = workers::in_order(
                inputs,
                |input, sender| {
                    let send = &mut |found: Found<'_>| sender.send(found.into_owned());
                    reading::read(input, Decompression::Inline, parameters, send)
                },
                |input, found| self.found(input, found),
            );
            match judged {
                Err(InOrderError::Receiver(error)) => Err(error).context(OUTPUT)?,
                judged => judged?,
            }
        }
        self.judge_held().context(OUTPUT)
    }

    fn found(&mut self, input: &Input, found: Found<'_>) -> io::Result<()> {
        match found {
            Found::Recorded(recorded) => return self.recorded(input, recorded),
            Found::Unreadable(position, problem) => {
                self.counts.unreadable += 1;
                input.report_unreadable(position, &problem);
            }
            Found::OtherKind => self.counts.other_files += 1,
        }
        Ok(())
    }

    fn recorded(&mut self, input: &Input, recorded: Recorded<'_>) -> io::Result<()> {
        let place = |line| Place { file: input.file_name(), line };
        match &recorded {
            Recorded::CloudTrail => self.counts.of_cloudtrail += 1,
            Recorded::Document { .. } => self.counts.documents += 1,
            Recorded::Unreadable(_) => {}
            _ => self.counts.records += 1,
        }
        match recorded {
            Recorded::Resource { resource, policy } => {
                return self.resource(&resource, policy.as_ref(), place(None));
            }
            Recorded::LaunchSource { resource, policy, captured } => {
                self.launches.remember(&resource, captured);
                return self.resource(&resource, policy.as_ref(), place(None));
            }
            Recorded::Declared { resource, line } => return self.resource(&resource, None, place(line)),
            Recorded::TemplateVersion { template, number, is_default } => {
                self.launches.remember_version(&template, number, is_default);
                if is_default {
                    return self.resource(&template, None, place(None));
                }
            }
            Recorded::TemplateNumbers { id, numbers } => self.launches.remember_numbers(&id, numbers, None),
            Recorded::Image(image) => self.launches.remember_image(image),
            Recorded::AccountDefaults(defaults) => self.launches.remember_defaults(defaults),
            Recorded::Document { parameters } => self.parameter_names.extend(parameters),
            Recorded::Unreadable(problem) => return self.found(input, Found::Unreadable(None, problem)),
            Recorded::CloudTrail => {}
        }
        Ok(())
    }

    fn resource(
        &mut self,
        resource: &Resource<'_>,
        policy: Option<&Policy>,
        place: Place<'_>,
    ) -> io::Result<()> {
        if !self.options.filter.includes(resource) {
            return Ok(());
        }
        if resource.is_judged() && resource.depends_on_other_records() {
            self.launches.expect(resource);
            let place = Place { file: place.file.map(|file| file.into_owned().into()), line: place.line };
            self.held.push(Held { resource: resource.clone().into_owned(), policy: policy.cloned(), place });
            return Ok(());
        }
        self.judge(resource, policy, place)
    }

    /// Judges what depends on other records, when all were read.
    fn judge_held(&mut self) -> io::Result<()> {
        for Held { mut resource, policy, place } in std::mem::take(&mut self.held) {
            self.launches.complete(&mut resource);
            self.judge(&resource, policy.as_ref(), place)?;
        }
        Ok(())
    }

    /// The parameters of the command line take precedence over those of an event.
    fn judge(
        &mut self,
        resource: &Resource<'_>,
        policy: Option<&Policy>,
        place: Place<'_>,
    ) -> io::Result<()> {
        let policy = self.options.policy.or(policy).unwrap_or(&self.options.default);
        let verdict = evaluate(resource, policy, self.options.today);
        self.counts.summary.count(verdict.compliance);
        let context = FindingContext { policy, owner_tag: self.options.filter.owner_tag.as_deref() };
        let mut finding = Finding::new(resource, &verdict, context);
        finding.add_place(place.file, place.line, resource.is_declared());
        finding.since = self.comparison.as_mut().and_then(|comparison| comparison.since(&finding));
        finding.add_callers(self.options.callers);
        self.output.finding(&finding)
    }
}
