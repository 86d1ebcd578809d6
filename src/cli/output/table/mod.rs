//! A table for people: sorted, followed by a summary.
//!
//! - `layout`: which columns fit into a width, and how wide they are.
//! - `listing`: a row for each resource on a terminal, and what the reasons mean.
//! - `groups`: a row for each group of resources.
//! - `by_source`: a row for each source of instances.
//! - `usage_counts`: the number of instances by their use of IMDSv1.
//! - `plain`: a line for each resource in a pipe or a file, with everything.

mod by_source;
mod groups;
pub(crate) mod layout;
mod listing;
mod plain;
pub(crate) mod usage_counts;

use std::collections::BTreeMap;
use std::io::{self, Write};

use clap::{Args, ValueEnum};

use self::groups::GroupKey;
use super::sources::{Sources, source_name};
use super::{Conclusion, Finding, Output, in_words};
use crate::rule::printable::printable;
use crate::rule::reason::Reason;
use crate::rule::usage::UsageState;
use crate::rule::verdict::Compliance;

/// The number of resources above which a table on a terminal shows groups.
const MAX_LISTED: usize = 50;

/// The options of the table.
#[derive(Clone, Copy, Debug, Default, Args)]
pub(crate) struct TableOptions {
    /// On a terminal, show every column and whole sentences, however wide the table gets
    #[arg(long)]
    wide: bool,

    /// Show a row for each group of resources [default: on a terminal, account, Region or source above 50
    /// resources; otherwise none]
    #[arg(long, value_enum, value_name = "GROUP")]
    group_by: Option<GroupBy>,
}

/// What resources are grouped by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum GroupBy {
    /// The account
    Account,
    /// The account and Region
    Region,
    /// What launches instances: its open instances, its IMDSv1 calls, its next launch, and what to do first
    Source,
    /// The owner, by --owner-tag
    Owner,
    /// A row for each resource
    None,
}

/// How a table shows its rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum View {
    /// A row for each resource.
    Resources,
    /// A row for each group of resources.
    Groups(GroupKey),
    /// A row for each source of instances.
    Sources,
}

/// A row. Rows are held back and sorted by their fields, in this order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Row {
    compliance: Compliance,
    account: String,
    account_name: String,
    region: String,
    resource_type: String,
    resource: String,
    name: String,
    reason: Reason,
    /// What was found.
    meaning: String,
    /// What launched the instance, to follow what was found.
    origin: String,
    imdsv1_use: Imdsv1Use,
    /// Who makes IMDSv1 calls, if it is known.
    callers: String,
    owner: String,
    source: String,
    since: String,
    /// The file and line of the template or plan that declares the resource.
    declared: String,
    /// The number of resources that the row stands for.
    count: u64,
}

impl Row {
    /// Returns the whole annotation.
    fn annotation(&self) -> String {
        format!("{}{}", self.meaning, self.origin)
    }
}

/// How an instance uses IMDSv1, if CloudWatch was asked.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Imdsv1Use {
    phrase: String,
    state: Option<UsageState>,
}

impl Imdsv1Use {
    /// Returns the use in at most two words.
    fn short(&self) -> String {
        match self.state {
            None => String::new(),
            Some(UsageState::NotInUse) => "safe".to_owned(),
            Some(UsageState::InUse(1)) => "1 call".to_owned(),
            Some(UsageState::InUse(calls)) => format!("{calls} calls"),
            Some(UsageState::BootCalls(calls)) => format!("{calls} at boot"),
            Some(UsageState::Unknown(_)) => "unknown".to_owned(),
        }
    }
}

/// The resources of a type that the rule does not evaluate.
struct OtherType {
    count: u64,
    /// The row of the last one.
    row: Row,
}

pub(crate) struct Table<W> {
    writer: W,
    is_terminal: bool,
    options: TableOptions,
    rows: Vec<Row>,
    sources: Sources,
    /// The resources of types that the rule does not evaluate, by type. Snapshots contain many of them, so
    /// they share a row for each type.
    others: BTreeMap<String, OtherType>,
}

impl<W> Table<W> {
    pub(crate) fn new(writer: W, is_terminal: bool, options: TableOptions) -> Self {
        let (rows, sources, others) = (Vec::new(), Sources::default(), BTreeMap::new());
        Self { writer, is_terminal, options, rows, sources, others }
    }

    fn rows(&mut self) -> Vec<Row> {
        let mut rows = std::mem::take(&mut self.rows);
        for OtherType { count, row } in std::mem::take(&mut self.others).into_values() {
            rows.push(if count == 1 {
                row
            } else {
                Row {
                    account: String::new(),
                    account_name: String::new(),
                    region: String::new(),
                    name: String::new(),
                    owner: String::new(),
                    count,
                    resource: format!("({count} resources)"),
                    ..row
                }
            });
        }
        rows.sort_unstable();
        rows
    }

    /// Returns how to show the rows.
    fn view(&self, rows: &[Row]) -> View {
        match self.options.group_by {
            Some(GroupBy::Account) => View::Groups(GroupKey::Account),
            Some(GroupBy::Region) => View::Groups(GroupKey::Region),
            Some(GroupBy::Source) => View::Sources,
            Some(GroupBy::Owner) => View::Groups(GroupKey::Owner),
            None if self.is_terminal && !self.options.wide && rows.len() > MAX_LISTED => {
                GroupKey::that_divides(rows).map_or(View::Sources, View::Groups)
            }
            Some(GroupBy::None) | None => View::Resources,
        }
    }
}

impl<W: Write> Output for Table<W> {
    fn finding(&mut self, finding: &Finding<'_>) -> io::Result<()> {
        let text = |text: Option<&str>| printable(text.unwrap_or_default()).into_owned();
        let name = finding.name.as_deref().filter(|name| *name != finding.short_id());
        let (meaning, origin) = finding.annotation_parts();
        let callers = finding.imdsv1_callers.as_ref();
        let row = Row {
            compliance: finding.compliance,
            account: text(finding.account_id.as_deref()),
            account_name: text(finding.account_name.as_deref()),
            region: text(finding.region.as_deref()),
            resource_type: text(Some(&finding.resource_type)),
            resource: text(Some(finding.short_id())),
            name: text(name),
            reason: finding.reason,
            meaning: text(Some(meaning)),
            origin: text(Some(origin)),
            imdsv1_use: Imdsv1Use { phrase: text(Some(&finding.imdsv1_phrase())), state: finding.usage },
            callers: callers
                .filter(|callers| !callers.is_empty())
                .map_or_else(String::new, |callers| text(Some(&callers.to_string()))),
            owner: text(finding.owner.as_deref()),
            source: source(finding),
            since: text(finding.since),
            declared: text(finding.declared_in().as_deref()),
            count: 1,
        };
        if finding.is_judged_type {
            self.sources.add(finding);
            self.rows.push(row);
        } else {
            let count = self.others.get(&row.resource_type).map_or(0, |other| other.count);
            self.others.insert(row.resource_type.clone(), OtherType { count: count + 1, row });
        }
        Ok(())
    }

    fn left_out(&mut self, finding: &Finding<'_>) {
        self.sources.add(finding);
    }

    fn finish(&mut self, conclusion: &Conclusion<'_>) -> io::Result<()> {
        let rows = self.rows();
        self.sources.add_terminated(conclusion.terminated);
        let width = if self.is_terminal { layout::terminal_width() } else { usize::MAX };
        let style = if self.is_terminal { layout::Style::of_terminal() } else { layout::Style::Plain };
        if !rows.is_empty() {
            let text = match self.view(&rows) {
                View::Groups(key) => groups::render(&rows, key, width, style),
                View::Sources => by_source::render(std::mem::take(&mut self.sources), width, style),
                View::Resources if self.is_terminal => {
                    listing::render(&rows, width, self.options.wide, style)
                }
                View::Resources => plain::render(&rows),
            };
            writeln!(self.writer, "{text}")?;
        }
        writeln!(self.writer, "{}", in_words(&conclusion.summary))?;
        if let Some(comparison) = conclusion.comparison {
            writeln!(self.writer, "{comparison}")?;
        }
        self.writer.flush()
    }
}

/// Returns what launched an instance.
fn source(finding: &Finding<'_>) -> String {
    let is_instance = finding.resource_type == "AWS::EC2::Instance";
    let source = source_name(finding).filter(|_| is_instance).unwrap_or_default();
    printable(&source).into_owned()
}

/// Returns a resource type as people write it.
pub(super) fn type_noun(resource_type: &str) -> &str {
    match resource_type {
        "AWS::EC2::Instance" => "instance",
        "AWS::EC2::LaunchTemplate" => "launch template",
        "AWS::AutoScaling::LaunchConfiguration" => "launch configuration",
        "AWS::AutoScaling::AutoScalingGroup" => "Auto Scaling group",
        "AWS::::Account" => "account",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(number: usize) -> Row {
        let is_open = number.is_multiple_of(3);
        Row {
            compliance: if is_open { Compliance::NonCompliant } else { Compliance::Compliant },
            account: format!("{:012}", number % 2),
            account_name: String::new(),
            region: ["eu-west-1", "us-east-1", "ap-southeast-1"][number % 3].to_owned(),
            resource_type: "AWS::EC2::Instance".to_owned(),
            resource: format!("i-{number:017x}"),
            name: format!("web-{number}"),
            reason: if is_open { Reason::TokensOptional } else { Reason::TokensRequired },
            meaning: "HttpTokens is as it is.".to_owned(),
            origin: String::new(),
            imdsv1_use: Imdsv1Use {
                phrase: String::new(),
                state: is_open.then_some([UsageState::NotInUse, UsageState::InUse(7)][number % 2]),
            },
            callers: String::new(),
            owner: "team".to_owned(),
            source: String::new(),
            since: String::new(),
            declared: String::new(),
            count: 1,
        }
    }

    fn rows(count: usize) -> Vec<Row> {
        let mut rows: Vec<_> = (0..count).map(row).collect();
        rows.sort_unstable();
        rows
    }

    fn table(options: TableOptions, is_terminal: bool) -> Table<Vec<u8>> {
        Table::new(Vec::new(), is_terminal, options)
    }

    #[test]
    fn more_than_50_resources_are_grouped_on_a_terminal_only() {
        let default = TableOptions::default();
        let wide = TableOptions { wide: true, ..default };
        let listed = TableOptions { group_by: Some(GroupBy::None), ..default };
        let by_owner = TableOptions { group_by: Some(GroupBy::Owner), ..default };
        let by_source = TableOptions { group_by: Some(GroupBy::Source), ..default };
        let mut one_place = rows(60);
        for row in &mut one_place {
            (row.account, row.region) = (String::new(), String::new());
        }
        let mut one_account = rows(60);
        for row in &mut one_account {
            row.account = String::new();
        }
        for (options, is_terminal, rows, expected) in [
            (default, true, rows(50), View::Resources),
            (default, true, rows(51), View::Groups(GroupKey::Account)),
            (default, true, one_account, View::Groups(GroupKey::Region)),
            (default, true, one_place, View::Sources),
            (default, false, rows(51), View::Resources),
            (wide, true, rows(51), View::Resources),
            (listed, true, rows(51), View::Resources),
            (by_owner, false, rows(2), View::Groups(GroupKey::Owner)),
            (by_source, false, rows(2), View::Sources),
        ] {
            assert_eq!(table(options, is_terminal).view(&rows), expected, "{options:?}");
        }
    }

    #[test]
    fn groups_fit_into_80_columns() {
        let text = groups::render(&rows(60), GroupKey::Account, 80, layout::Style::Plain);
        let expected = "\
ACCOUNT       NON_COMPLIANT  SAFE  IN USE  BOOT-TIME  UNKNOWN  COMPLIANT
000000000000             10    10       0          0        0         20
000000000001             10     0      10          0        0         20
all                      20    10      10          0        0         40

To list every resource: --group-by none, or --format csv --output FILE
";
        assert_eq!(text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n") + "\n", expected);
    }

    #[test]
    fn a_listing_is_never_wider_than_its_terminal() {
        for width in [80, 120, 200] {
            let text = listing::render(&rows(12), width, false, layout::Style::Plain);
            let widest = text.lines().map(|line| line.chars().count()).max();
            assert!(widest <= Some(width), "{width}: {text}");
            assert!(text.contains("i-00000000000000003  "), "{text}");
        }
    }
}
