//! `imdsv2 callers`: who makes calls with credentials that came by IMDSv1, offline, by CloudTrail's records.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use anyhow::Context;
use clap::Parser;

use crate::cli::calls::duplicates::RecentEvents;
use crate::cli::calls::groups::{Callers, GroupBy};
use crate::cli::calls::records::{self, Uncounted};
use crate::cli::calls::sql::Source;
use crate::cli::exit::Completion;
use crate::cli::input::files::{self, Decompression, Input};
use crate::cli::input::split::Position;
use crate::cli::input::{text, workers};
use crate::cli::output::callers::{self as output, CallersFormat, CallersFound};
use crate::cli::output::{check_target, output_file, write};
use crate::cli::terminal::messages;

/// Report which software uses IMDSv1, by CloudTrail's records, without an AWS account
///
/// Reads CloudTrail's log files as they lie in S3 (compressed or not), the output of `aws cloudtrail lookup-events`, and
/// lines of records. Each call that is signed with the credentials of an instance's role states whether the instance got
/// them by IMDSv1. Calls are grouped by account, role, instance and user agent.
///
/// Two uses of IMDSv1 are in no trail: reading metadata other than credentials, and calls that the trail does not
/// record, such as reading objects in S3 if it records no data events.
#[derive(Debug, Parser)]
#[command(after_help = "\
Examples:
  imdsv2 callers AWSLogs/
  imdsv2 callers --group-by role --format csv --output roles.csv AWSLogs/
  imdsv2 callers --format json --output callers.json AWSLogs/
  aws cloudtrail lookup-events | imdsv2 callers
  imdsv2 callers --print-athena-sql

Exit status: 0 no software uses IMDSv1, 1 some does, 2 an error.")]
pub(crate) struct Args {
    /// Files, directories (their .json, .jsonl and .ndjson files, also with .gz), or - for standard input
    /// [default: standard input]
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,

    /// Group calls by this instead of account, role, instance and user agent
    #[arg(long, value_enum)]
    group_by: Option<GroupBy>,

    /// The output format
    #[arg(long, value_enum, default_value_t = CallersFormat::Table, help_heading = "Output")]
    format: CallersFormat,

    /// The output file; - is standard output [default: standard output]
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    output: Option<PathBuf>,

    /// Print the same query as SQL for Amazon Athena, and read nothing. The table is `cloudtrail_logs`, or the one that
    /// `--print-athena-sql=TABLE` names
    #[arg(long, value_name = "TABLE", value_parser = Source::athena_table, help_heading = "Queries")]
    #[arg(num_args = 0..=1, require_equals = true, default_missing_value = "cloudtrail_logs")]
    #[arg(conflicts_with_all = ["paths", "format"])]
    print_athena_sql: Option<Source>,

    /// Print the same query as SQL for an event data store of CloudTrail Lake, and read nothing
    #[arg(long, value_name = "ID", value_parser = Source::event_data_store, help_heading = "Queries")]
    #[arg(conflicts_with_all = ["paths", "format", "print_athena_sql"])]
    print_lake_sql: Option<Source>,

    /// Exit with status 0 even if there are calls with credentials from IMDSv1
    #[arg(long)]
    exit_zero: bool,

    /// Exit with status 0 even if the input contains no records
    #[arg(long)]
    allow_empty: bool,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<Completion> {
    let target = output_file(args.output.as_deref());
    if let Some(source) = args.print_athena_sql.as_ref().or(args.print_lake_sql.as_ref()) {
        write(target, source.query(args.group_by).as_bytes()).context("cannot write the output")?;
        return Ok(Completion::Clean);
    }
    let inputs = files::expand(&args.paths, files::RECORDS)?;
    let paths: Vec<&Path> = inputs.iter().map(Input::path).collect();
    text::check_stdin(&paths)?;
    check_target(target, &paths)?;
    let report = output::open(args.format, target)?;

    let reader = Reader::new(args.group_by, Decompression::of(&inputs));
    workers::each(&inputs, |_, input| reader.read(input));
    let Reader { callers, unreadable, others, .. } = reader;
    let (unreadable, others) = (unreadable.into_inner(), others.into_inner());
    let (callers, summary) = callers.into_inner().unwrap_or_else(PoisonError::into_inner).into_parts();
    let found = CallersFound { group_by: args.group_by, callers, summary, unreadable };
    report.write(&found).context("cannot write the output")?;

    if unreadable == 0 && summary.records == 0 && !args.allow_empty {
        messages::error(match others {
            0 => "the input contains no CloudTrail records: pass --allow-empty if that is expected",
            _ => {
                "the input contains only records of AWS Config or EC2, which `imdsv2 evaluate` reads: pass --allow-empty \
                 if that is expected"
            }
        });
        return Ok(Completion::of(1, 0));
    }
    Ok(Completion::of(unreadable, found.callers.len()).exit_zero(args.exit_zero))
}

/// Reads inputs, on several threads.
struct Reader {
    group_by: Option<GroupBy>,
    decompression: Decompression,
    recent: RecentEvents,
    callers: Mutex<Callers>,
    /// The number of records or files that could not be read.
    unreadable: AtomicUsize,
    /// The number of records that other commands read.
    others: AtomicU64,
}

impl Reader {
    fn new(group_by: Option<GroupBy>, decompression: Decompression) -> Self {
        Self {
            group_by,
            decompression,
            recent: RecentEvents::default(),
            callers: Mutex::new(Callers::new(group_by)),
            unreadable: AtomicUsize::default(),
            others: AtomicU64::default(),
        }
    }

    /// Counts the calls of an input. Unreadable records are reported, and the work goes on.
    fn read(&self, input: &Input) {
        let mut callers = Callers::new(self.group_by);
        let counted = input.open(self.decompression).and_then(|reader| {
            records::count(reader, &mut callers, &self.recent, &mut |uncounted| match uncounted {
                Uncounted::Other => {
                    self.others.fetch_add(1, Ordering::Relaxed);
                }
                Uncounted::Unreadable(position, problem) => {
                    self.report_unreadable(input, Some(position), &problem);
                }
            })
        });
        if let Err(error) = counted {
            self.report_unreadable(input, None, &error.to_string());
        }
        self.callers.lock().unwrap_or_else(PoisonError::into_inner).merge(callers);
    }

    fn report_unreadable(&self, input: &Input, position: Option<Position>, problem: &str) {
        self.unreadable.fetch_add(1, Ordering::Relaxed);
        input.report_unreadable(position, problem);
    }
}
