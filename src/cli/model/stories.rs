//! Histories with a known course: what once went wrong, as it was reported.

use super::figures::Figures;
use super::history::{
    Adversity, At, AutomationFault, Fault, Happening, Happens, History, InstanceSpec, Kill, Options,
};
use super::invariants::{judge_report, judge_restored};
use super::server::Server;
use super::{Ended, Files, Phase, judge, remediate, restore};
use crate::cli::exit::Completion;

/// The calls of a direct change of the first instance, by their numbers.
const RECHECK: usize = 3;
const MODIFY: usize = 4;
/// The same, if a runbook makes the change.
const START_AUTOMATION: usize = 5;
/// Somebody else enforces the first instance.
const REQUIRED: Happens = (0, Happening::RequireTokens);

/// A running instance that has not called IMDSv1 for weeks.
fn quiet() -> InstanceSpec {
    InstanceSpec {
        is_stopped: false,
        requires_tokens: false,
        endpoint_disabled: false,
        hop_limit: 1,
        is_exempt: false,
        is_managed: false,
        launched_hours_ago: 300,
        data_hours: 800,
        calls: Vec::new(),
    }
}

fn peace() -> Adversity {
    Adversity { happenings: Vec::new(), faults: Vec::new() }
}

/// A history in which nothing happens.
fn history(instances: Vec<InstanceSpec>) -> History {
    History {
        instances,
        options: Options {
            lookback_days: 14,
            force: false,
            accept_unknown: false,
            accept_boot_calls: false,
            hop_limit: None,
            concurrency: 1,
            automation: None,
            soak_minutes: None,
        },
        visibility_delay: 0,
        remediate: peace(),
        kill: None,
        between: Vec::new(),
        pause: 0,
        restore: peace(),
        restore_kills: Vec::new(),
        automations: Vec::new(),
        stragglers_before: 0,
    }
}

impl History {
    fn with_canary(mut self, soak_minutes: u32) -> Self {
        self.options.soak_minutes = Some(soak_minutes);
        self
    }

    fn with_automation(mut self) -> Self {
        self.options.automation = Some(0);
        self
    }

    fn happens(mut self, call: usize, what: Happens) -> Self {
        self.remediate.happenings.push(At { call, repeats: 0, what });
        self
    }

    fn fails(mut self, call: usize, repeats: usize, what: Fault) -> Self {
        self.remediate.faults.push(At { call, repeats, what });
        self
    }
}

/// What is left after a history.
struct Left {
    /// Whether each instance requires tokens after `remediate`.
    enforced: Vec<bool>,
    completion: Completion,
    /// The report of `remediate`.
    report: String,
    /// Whether each instance requires tokens after `restore`.
    restored: Vec<bool>,
}

/// Runs `remediate`, then `restore`, both of which must keep every promise.
fn play(history: &History) -> Left {
    let files = Files::new();
    let server = Server::new(history, files.journal());
    let requires = || server.state().world.instances.iter().map(|each| each.requires_tokens()).collect();
    server.begin(Phase::Remediate);
    let Ended::Completed(result) = remediate(&server, history, &files) else { panic!("it is not killed") };
    let completion = *result.as_ref().expect("a report");
    judge_report(&mut server.state(), &files.report(), result);
    let enforced = requires();
    if files.journal().exists() {
        for attempt in 0..2 {
            server.begin(Phase::Restore(attempt));
            let _ = restore(&server, &files);
        }
        judge_restored(&mut server.state());
    }
    assert!(server.violations().is_empty(), "{:?}\n{}", server.violations(), server.story());
    let report = std::fs::read_to_string(files.report()).expect("a report");
    Left { enforced, completion, report, restored: requires() }
}

#[test]
fn quiet_instances_are_enforced_and_restored() {
    let left = play(&history(vec![quiet(), quiet()]));
    assert_eq!((left.enforced, left.completion), (vec![true, true], Completion::Clean));
    assert_eq!(left.restored, [false, false]);
}

#[test]
fn a_canary_in_which_nothing_was_changed_releases_nobody() {
    for (what, canary_is_enforced) in [
        ((1, Happening::RequireTokens), true),
        ((1, Happening::Terminate), false),
        ((1, Happening::Stop), true), // changed, but it shows nothing
        ((1, Happening::Exempt), false),
    ] {
        let left = play(&history(vec![quiet(), quiet()]).with_canary(5).happens(RECHECK, what));
        assert_eq!(left.enforced, [false, canary_is_enforced], "{what:?} {}", left.report);
        assert_ne!(left.completion, Completion::Clean, "{what:?}");
    }
}

#[test]
fn a_canary_that_stops_after_its_change_releases_nobody() {
    let stop = (1, Happening::Stop);
    let left = play(&history(vec![quiet(), quiet()]).with_canary(30).happens(MODIFY + 1, stop));
    assert_eq!((left.enforced, left.completion), (vec![false, true], Completion::Incomplete));
}

#[test]
fn the_others_follow_a_canary_that_reports_and_is_rejected_nothing() {
    for history in [history(vec![quiet(), quiet()]), history(vec![quiet(), quiet()]).with_automation()] {
        let left = play(&history.with_canary(30));
        assert_eq!(
            (left.enforced, left.completion),
            (vec![true, true], Completion::Clean),
            "{}",
            left.report
        );
    }
}

#[test]
fn a_canary_whose_automation_ended_before_it_releases_nobody() {
    for fault in [AutomationFault::FailsBefore, AutomationFault::FailsInstead] {
        let mut history = history(vec![quiet(), quiet()]).with_canary(5).with_automation();
        history.automations.push((1, fault));
        let left = play(&history);
        assert_eq!(
            (left.enforced, left.completion),
            (vec![false, false], Completion::Incomplete),
            "{fault:?}"
        );
    }
}

#[test]
fn a_canary_with_calls_rejected_in_the_minute_of_its_change_releases_nobody() {
    let calls = (1, Happening::CallImdsv1);
    let left = play(&history(vec![quiet(), quiet()]).with_canary(5).happens(MODIFY + 1, calls));
    assert_eq!((left.enforced, left.completion), (vec![false, true], Completion::Incomplete));
}

#[test]
fn an_instance_that_changed_after_the_plan_is_judged_again() {
    for (happening, expected) in [
        (Happening::Exempt, "exempt by tag"),
        (Happening::TakeOver, "manages the instance"),
        (Happening::RequireTokens, "already required"),
        (Happening::Terminate, "\"unchanged\""),
    ] {
        let left = play(&history(vec![quiet()]).happens(RECHECK, (0, happening)));
        assert!(left.report.contains(expected), "{happening:?} {}", left.report);
    }
}

#[test]
fn an_instance_that_was_started_after_the_plan_needs_data() {
    let stopped = InstanceSpec { is_stopped: true, data_hours: 0, ..quiet() };
    let left = play(&history(vec![stopped]).happens(RECHECK, (0, Happening::Start)));
    assert_eq!(left.enforced, [false]);
    assert!(left.report.contains("skipped"), "{}", left.report);
}

#[test]
fn calls_during_a_soak_keep_an_instance_from_being_changed() {
    let calls = (0, Happening::CallImdsv1);
    let left = play(&history(vec![quiet(), quiet()]).with_canary(30).happens(MODIFY + 2, calls));
    assert_eq!(left.enforced, [false, true], "{}", left.report);
    assert!(left.report.contains("still in use"), "{}", left.report);
}

#[test]
fn an_instance_whose_change_was_refused_is_not_restored_when_others_enforce_it() {
    let mut history = history(vec![quiet()]).fails(MODIFY, 0, Fault::Refuse);
    history.between.push(REQUIRED);
    let left = play(&history);
    assert_eq!((left.enforced, left.completion), (vec![false], Completion::Incomplete));
    assert_eq!(left.restored, [true]);
}

#[test]
fn a_change_without_any_response_is_not_claimed_and_can_be_undone() {
    let unanswered = |fault| {
        let left = play(&history(vec![quiet()]).fails(MODIFY, 7, fault).happens(MODIFY + 8, REQUIRED));
        assert_eq!((left.enforced, left.completion), (vec![true], Completion::Incomplete));
        assert!(left.report.contains("by this change or by somebody else"), "{}", left.report);
        left.restored
    };
    assert_eq!(unanswered(Fault::LoseRequest), [false]);
    assert_eq!(unanswered(Fault::LoseResponse), [false]);
}

#[test]
fn an_instance_that_others_enforce_during_an_automation_is_not_restored() {
    let left = play(&history(vec![quiet()]).with_automation().happens(START_AUTOMATION, REQUIRED));
    assert_eq!((left.completion, left.restored), (Completion::Clean, vec![true]), "{}", left.report);
}

#[test]
fn an_automation_whose_start_was_answered_late_is_started_once() {
    let history = history(vec![quiet()]).with_automation().fails(START_AUTOMATION, 0, Fault::LoseResponse);
    let left = play(&history);
    assert_eq!((left.enforced, left.completion), (vec![true], Completion::Clean), "{}", left.report);
}

#[test]
fn an_automation_does_not_lower_a_hop_limit_that_others_raised() {
    let raised = (0, Happening::SetHopLimit(3));
    let mut history = history(vec![quiet()]).with_automation().happens(START_AUTOMATION - 1, raised);
    history.options.hop_limit = Some(2);
    let left = play(&history);
    assert_eq!((left.enforced, left.completion), (vec![false], Completion::Findings), "{}", left.report);
}

#[test]
fn an_automation_that_cannot_be_followed_can_be_undone() {
    let history =
        history(vec![quiet()]).with_automation().fails(START_AUTOMATION + 1, 30, Fault::LoseResponse);
    let left = play(&history);
    assert_eq!((left.enforced, left.completion), (vec![true], Completion::Incomplete), "{}", left.report);
    assert_eq!(left.restored, [false]);
}

#[test]
fn an_automation_that_changes_an_instance_after_it_was_restored_is_undone() {
    let mut history = history(vec![quiet()]).with_automation();
    let what = Kill { is_processed: true, cuts_line: false };
    history.kill = Some(At { call: START_AUTOMATION, repeats: 0, what });
    history.between = vec![REQUIRED];
    // One more attempt, which ends before this call. The automation makes its change after it.
    history.restore_kills = vec![At { call: 100, repeats: 0, what }];
    history.stragglers_before = 1;
    let judged = judge(&history, &Figures::default());
    assert!(judged.is_ok(), "{judged:?}");
}

#[test]
fn a_series_that_is_not_complete_proves_nothing() {
    let left = play(&history(vec![quiet()]).fails(2, 0, Fault::IncompleteData));
    assert_eq!(left.enforced, [false]);
    assert!(left.report.contains("skipped"), "{}", left.report);
}
