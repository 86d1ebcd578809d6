//! What was changed, what remains, and what to do next.

use std::collections::BTreeMap;
use std::path::Path;

use super::Applied;
use super::args::Args;
use super::plan_summary::{BEYOND_LIMIT, counts};
use super::sources::OpenSource;
use crate::cli::output::changes::{ChangeReport, ChangeStatus};
use crate::cli::terminal::messages;
use crate::rule::remedy::shell_quoted;

/// What is said at the end.
pub(super) struct EndSummary<'a> {
    pub(super) args: &'a Args,
    pub(super) report: &'a ChangeReport,
    /// The number of instances that the plan skipped, by reason.
    pub(super) skipped: &'a BTreeMap<&'static str, usize>,
    /// The sources that launch more such instances.
    pub(super) sources: Vec<OpenSource>,
}

impl EndSummary<'_> {
    /// Prints it.
    pub(super) fn print(&self) {
        if self.args.dry_run {
            let (allowed, failed) = (self.count(ChangeStatus::Allowed), self.count(ChangeStatus::Failed));
            let changes = if allowed == 1 { "change" } else { "changes" };
            messages::note(&format!("Dry run: {allowed} {changes} would be allowed, {failed} would fail."));
        }
        if let Some(skipped) = self.skipped() {
            messages::note(&skipped);
        }
        if !self.sources.is_empty() {
            messages::note("These launch more instances that accept IMDSv1:");
            for OpenSource { description, command } in &self.sources {
                messages::note(&format!("- {description}"));
                if let Some(command) = command {
                    messages::command(command);
                }
            }
        }
        if let Some(next) = self.next() {
            messages::command(&format!("Next: {next}"));
        }
    }

    /// Says how many instances were skipped, and why: by the plan, or by what was found right before their change.
    fn skipped(&self) -> Option<String> {
        let planned = self.skipped.iter().filter(|(reason, _)| **reason != BEYOND_LIMIT);
        let later = self.count(ChangeStatus::Skipped).saturating_sub(planned.map(|(_, count)| count).sum());
        let later = (later > 0).then(|| format!("{later} for what was found right before the change"));
        let reasons: Vec<_> =
            (!self.skipped.is_empty()).then(|| counts(self.skipped)).into_iter().chain(later).collect();
        (!reasons.is_empty()).then(|| format!("Skipped: {}.", reasons.join(", ")))
    }

    fn count(&self, status: ChangeStatus) -> usize {
        self.report.count(status)
    }

    /// Returns what to do next, if anything remains.
    fn next(&self) -> Option<String> {
        let options = self.args.options_for_next();
        if self.args.dry_run {
            let is_allowed = self.count(ChangeStatus::Allowed) > 0;
            return is_allowed.then(|| "the same command without --dry-run".to_owned());
        }
        let remaining = [ChangeStatus::Failed, ChangeStatus::NotStarted, ChangeStatus::Skipped]
            .into_iter()
            .map(|status| self.count(status))
            .sum::<usize>();
        let days = self.args.policy().lookback_days;
        match remaining {
            0 => None,
            _ if days == 0 => Some(format!("imdsv2 scan{options}")),
            _ => Some(format!("imdsv2 scan{options} --usage-days {days}")),
        }
    }
}

/// Prints how many instances were changed, and how to undo that with the journal.
pub(super) fn print_counts(args: &Args, report: &ChangeReport, applied: &Applied, journal: &Path) {
    let (changed, failed) = (report.count(ChangeStatus::Changed), report.count(ChangeStatus::Failed));
    let not_started = report.count(ChangeStatus::NotStarted);
    let mut summary = vec![format!("{changed} changed, {failed} failed, {not_started} not started.")];
    if applied.uncertain > 0 {
        summary.push(format!("{} may have been changed without a response of EC2.", applied.uncertain));
    }
    if not_started > 0 {
        summary.push("To continue: run the same command with another --journal.".to_owned());
    }
    messages::note(&summary.join(" "));
    if applied.has_effect {
        let journal = shell_quoted(&journal.display().to_string()).into_owned();
        messages::command(&format!(
            "To undo: imdsv2 restore {journal}{}",
            args.selection.credential_options()
        ));
    }
}
