//! What a scan says about IMDSv1 calls: which instances can be changed, and why the others cannot.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::region_scan::Scanned;
use crate::cli::output::table::layout::{Column, ColumnKind, Style, fit, render};
use crate::cli::output::table::usage_counts::UsageCounts;
use crate::cli::output::terminated::Terminated;
use crate::cli::terminal::messages;
use crate::rule::printable::printable;
use crate::rule::reason::Reason;
use crate::rule::resource::Location;
use crate::rule::usage::{UnknownReason, UsageState};

/// The most accounts and Regions that are listed.
const MAX_PLACES: usize = 20;
/// The most sources of terminated instances that are named.
const MAX_SOURCES: usize = 5;
/// The width of the table.
const WIDTH: usize = 80;

/// How non-compliant instances use IMDSv1, by account and Region.
#[derive(Default)]
pub(super) struct UsageSummary {
    /// The number of instances that accept IMDSv1.
    pub(super) instances: u64,
    places: BTreeMap<Location, UsageCounts>,
    all: UsageCounts,
    unknown: BTreeMap<UnknownReason, u64>,
    /// The number of safe instances that cannot call IMDS as they are.
    silent: u64,
    exempt: u64,
    disabled: u64,
    /// The calls of terminated instances, by what launched them.
    terminated: BTreeMap<String, TerminatedCalls>,
}

/// The terminated instances of a source, and their calls.
#[derive(Clone, Copy, Default)]
struct TerminatedCalls {
    instances: u64,
    calls: u64,
}

impl UsageSummary {
    /// Counts a resource.
    pub(super) fn count(&mut self, scanned: &Scanned) {
        if scanned.finding.resource_type != "AWS::EC2::Instance" {
            return;
        }
        match scanned.finding.reason {
            Reason::Exempt => self.exempt += 1,
            Reason::EndpointDisabled => self.disabled += 1,
            Reason::TokensOptional | Reason::TokensNotSet | Reason::TokensUnknown => self.instances += 1,
            _ => {}
        }
        let (Some(usage), Some(location)) = (scanned.usage, scanned.finding.location()) else { return };
        self.places.entry(location).or_default().add(usage);
        self.all.add(usage);
        match usage {
            UsageState::Unknown(reason) => *self.unknown.entry(reason).or_default() += 1,
            UsageState::NotInUse if !scanned.may_call => self.silent += 1,
            _ => {}
        }
    }

    /// Counts a terminated instance that made IMDSv1 calls.
    pub(super) fn count_terminated(&mut self, caller: &Terminated) {
        let source = caller.source().unwrap_or_else(|| "an unknown source".to_owned());
        let source = self.terminated.entry(source).or_default();
        source.instances += 1;
        source.calls += caller.imdsv1_calls;
    }

    /// Prints the summary for a look-back of `days` days, and the next command. `options` select the same accounts
    /// and Regions.
    pub(super) fn print(&self, days: u16, options: &str) {
        let lines = self.lines(days, options);
        if !lines.is_empty() {
            messages::note("");
        }
        for line in lines {
            messages::note(&line);
        }
    }

    fn lines(&self, days: u16, options: &str) -> Vec<String> {
        if self.all.is_empty() {
            return self.terminated_line(days).into_iter().collect();
        }
        let UsageCounts { safe, unknown, .. } = self.all;
        let mut lines = vec![format!("IMDSv1 use of non-compliant instances in the last {days} days:")];
        lines.extend(self.table().lines().map(str::to_owned));
        if unknown > 0 {
            let because = self.unknown.iter().map(|(reason, count)| format!("{count} {}", reason.as_str()));
            lines.push(format!("Unknown: {}", because.collect::<Vec<_>>().join(", ")));
        }
        if self.silent > 0 {
            lines.push(format!("Safe: {} of them are stopped now, or serve no metadata", self.silent));
        }
        if self.exempt + self.disabled > 0 {
            let (exempt, disabled) = (self.exempt, self.disabled);
            lines.push(format!("Not counted: {exempt} exempt, {disabled} with a disabled IMDS endpoint"));
        }
        lines.extend(self.terminated_line(days));
        lines.push(match safe {
            0 => {
                "Next: find the software that calls IMDSv1, or scan again when there is more data".to_owned()
            }
            _ => format!("Next: imdsv2 remediate{options} --usage-days {days} --dry-run"),
        });
        lines
    }

    /// Describes the calls of terminated instances, those of the sources with most calls first.
    fn terminated_line(&self, days: u16) -> Option<String> {
        let all = self.terminated.values().fold(TerminatedCalls::default(), |all, each| TerminatedCalls {
            instances: all.instances + each.instances,
            calls: all.calls + each.calls,
        });
        let mut sources: Vec<_> = self.terminated.iter().collect();
        sources.sort_by_key(|(name, source)| (Reverse(source.calls), *name));
        let mut names: Vec<_> = sources
            .iter()
            .take(MAX_SOURCES)
            .map(|(name, source)| format!("{} of {}", source.calls, printable(name)))
            .collect();
        if sources.len() > MAX_SOURCES {
            names.push(format!("{} other sources", sources.len() - MAX_SOURCES));
        }
        (all.instances > 0).then(|| {
            format!(
                "Terminated: {} instances made {} IMDSv1 calls in the last {days} days: {}",
                all.instances,
                all.calls,
                names.join(", ")
            )
        })
    }

    fn table(&self) -> String {
        let place = |(place, counts): (&Location, &UsageCounts)| {
            (place.account_id.clone(), place.region.clone(), *counts)
        };
        let mut places: Vec<_> = self.places.iter().take(MAX_PLACES).map(place).collect();
        if self.places.len() > MAX_PLACES {
            let others = self.places.values().skip(MAX_PLACES).copied().reduce(UsageCounts::and);
            let name = format!("{} others", self.places.len() - MAX_PLACES);
            places.push((name, String::new(), others.unwrap_or_default()));
        }
        places.push(("all".to_owned(), String::new(), self.all));
        let text = |title, cell: fn(&(String, String, UsageCounts)) -> String| {
            Column::new(title, 0, ColumnKind::Whole, places.iter().map(cell).collect())
        };
        let mut columns = vec![
            text("ACCOUNT", |(account, _, _)| account.clone()),
            text("REGION", |(_, region, _)| region.clone()),
        ];
        let counts: Vec<_> = places.iter().map(|(_, _, counts)| *counts).collect();
        columns.extend(UsageCounts::columns(&counts, 0));
        render(&fit(columns, WIDTH), WIDTH, Style::Plain, &[])
    }
}

#[cfg(test)]
mod tests {
    use time::macros::date;

    use super::*;
    use crate::cli::output::{Finding, FindingContext};
    use crate::rule::launched_by::LaunchedBy;
    use crate::rule::policy::Policy;
    use crate::rule::resource::{MetadataOptions, Resource, ResourceType};
    use crate::rule::verdict::evaluate;

    fn scanned(tokens: &'static str, usage: Option<UsageState>, may_call: bool) -> Scanned {
        let location = Location { account_id: "1".to_owned(), region: "eu-west-1".to_owned() };
        let options = MetadataOptions::from_api(Some(tokens.into()), Some("enabled"), None, None);
        let resource = Resource::existing(ResourceType::Instance, "i-1".into(), Some(options));
        let policy = Policy::default();
        let verdict = evaluate(&resource, &policy, date!(2026 - 06 - 15));
        let context = FindingContext { policy: &policy, owner_tag: None };
        Scanned { finding: Finding::listed(&location, &resource, &verdict, context), usage, may_call }
    }

    #[test]
    fn a_summary_says_what_can_be_changed_and_why_the_others_cannot() {
        let mut summary = UsageSummary::default();
        summary.count(&scanned("required", None, true));
        for (usage, may_call) in [
            (UsageState::NotInUse, true),
            (UsageState::NotInUse, false),
            (UsageState::InUse(7), true),
            (UsageState::BootCalls(2), true),
            (UsageState::Unknown(UnknownReason::NoData), true),
            (UsageState::Unknown(UnknownReason::StartedRecently), true),
        ] {
            summary.count(&scanned("optional", Some(usage), may_call));
        }
        summary.disabled = 2;
        let expected = "\
IMDSv1 use of non-compliant instances in the last 14 days:
ACCOUNT  REGION     SAFE  IN USE  BOOT-TIME  UNKNOWN
1        eu-west-1     2       1          1        2
all                    2       1          1        2
Unknown: 1 started recently, 1 no data
Safe: 1 of them are stopped now, or serve no metadata
Not counted: 0 exempt, 2 with a disabled IMDS endpoint
Next: imdsv2 remediate --region eu-west-1 --usage-days 14 --dry-run";
        assert_eq!(summary.lines(14, " --region eu-west-1").join("\n"), expected);
    }

    #[test]
    fn terminated_instances_are_counted_by_what_launched_them() {
        let mut summary = UsageSummary::default();
        for (group, imdsv1_calls) in [(Some("web"), 5), (Some("web"), 2), (None, 1)] {
            summary.count_terminated(&Terminated {
                account_id: "1".to_owned(),
                region: "eu-west-1".to_owned(),
                instance_id: "i-1".to_owned(),
                imdsv1_calls,
                launched_by: group.map(|name: &str| LaunchedBy::auto_scaling_group(name.to_owned())),
            });
        }
        let expected = "Terminated: 3 instances made 8 IMDSv1 calls in the last 14 days: 7 of web (Auto Scaling group), \
                        1 of an unknown source";
        assert_eq!(summary.lines(14, ""), [expected]);
    }

    #[test]
    fn further_places_share_a_row() {
        let mut summary = UsageSummary::default();
        for number in 0..30 {
            let mut scanned = scanned("optional", Some(UsageState::NotInUse), true);
            scanned.finding.account_id = Some(format!("{number:02}").into());
            summary.count(&scanned);
        }
        let lines = summary.lines(14, "");
        assert_eq!(lines.len(), 25, "{lines:?}");
        assert_eq!(lines[22].split_whitespace().collect::<Vec<_>>(), ["10", "others", "10", "0", "0", "0"]);
    }

    #[test]
    fn without_data_there_is_no_summary() {
        let mut summary = UsageSummary::default();
        assert!(summary.lines(14, "").is_empty());
        summary.count(&scanned("optional", None, true));
        assert!(summary.lines(14, "").is_empty());
    }
}
