//! Histories: instances, the options of the command, and everything that happens meanwhile.

use proptest::collection::vec;
use proptest::prelude::*;

/// A history.
#[derive(Clone, Debug)]
pub(super) struct History {
    pub(super) instances: Vec<InstanceSpec>,
    pub(super) options: Options,
    /// How long EC2 shows the options from before a change, in seconds.
    pub(super) visibility_delay: i64,
    pub(super) remediate: Adversity,
    /// When `remediate` is killed, if it is.
    pub(super) kill: Option<At<Kill>>,
    /// What others do before the first `restore`.
    pub(super) between: Vec<Happens>,
    /// The time before each command, in seconds.
    pub(super) pause: i64,
    /// What happens while `restore` runs, except in its last attempt.
    pub(super) restore: Adversity,
    /// When each `restore` but the last two is killed.
    pub(super) restore_kills: Vec<At<Kill>>,
    /// What goes wrong with automations, by the number of the instance.
    pub(super) automations: Vec<(usize, AutomationFault)>,
    /// Before which attempt of `restore` the automations end that the command did not follow.
    pub(super) stragglers_before: usize,
}

/// What the world does to a command.
#[derive(Clone, Debug)]
pub(super) struct Adversity {
    /// What others do.
    pub(super) happenings: Vec<At<Happens>>,
    pub(super) faults: Vec<At<Fault>>,
}

/// Something that happens at a call of AWS, counted from the start of the command.
#[derive(Clone, Debug)]
pub(super) struct At<T> {
    pub(super) call: usize,
    /// The number of calls after that one that it happens to as well.
    pub(super) repeats: usize,
    pub(super) what: T,
}

impl<T> At<T> {
    pub(super) fn includes(&self, call: usize) -> bool {
        (self.call..=self.call + self.repeats).contains(&call)
    }
}

/// What somebody else does to the instance of this number.
pub(super) type Happens = (usize, Happening);

/// Which command runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Remediate,
    /// The number of the attempt.
    Restore(usize),
}

/// An instance at the start.
#[derive(Clone, Debug)]
pub(super) struct InstanceSpec {
    pub(super) is_stopped: bool,
    pub(super) requires_tokens: bool,
    pub(super) endpoint_disabled: bool,
    pub(super) hop_limit: i64,
    pub(super) is_exempt: bool,
    pub(super) is_managed: bool,
    pub(super) launched_hours_ago: i64,
    /// The age of the oldest data of CloudWatch, in hours.
    pub(super) data_hours: i64,
    /// IMDSv1 calls, by the hours before now.
    pub(super) calls: Vec<i64>,
}

/// The options of `remediate`.
#[derive(Clone, Debug)]
pub(super) struct Options {
    pub(super) lookback_days: u16,
    pub(super) force: bool,
    pub(super) accept_unknown: bool,
    pub(super) accept_boot_calls: bool,
    pub(super) hop_limit: Option<i64>,
    pub(super) concurrency: u16,
    /// Whether a runbook makes the changes, and the number of failures that end it.
    pub(super) automation: Option<usize>,
    /// The soak of a canary of one instance, in minutes.
    pub(super) soak_minutes: Option<u32>,
}

/// The key of the exemption tag.
pub(super) const EXEMPTION_TAG: &str = "until";

impl Options {
    pub(super) fn arguments(&self) -> Vec<String> {
        let mut arguments = vec![
            format!("--usage-days={}", self.lookback_days),
            format!("--concurrency={}", self.concurrency),
            format!("--parameters={{\"exemptionTagKey\":\"{EXEMPTION_TAG}\"}}"),
        ];
        arguments.extend(self.force.then(|| "--force".to_owned()));
        arguments.extend(self.accept_unknown.then(|| "--on-unknown-usage=proceed".to_owned()));
        arguments.extend(self.accept_boot_calls.then(|| "--on-boot-calls=proceed".to_owned()));
        arguments.extend(self.hop_limit.map(|limit| format!("--hop-limit={limit}")));
        if let Some(minutes) = self.soak_minutes {
            arguments.extend(["--canary=1".to_owned(), format!("--soak={minutes}m")]);
        }
        if let Some(failures) = self.automation {
            arguments.extend(["--automation=EnforceImdsv2".to_owned(), format!("--max-errors={failures}")]);
        }
        arguments
    }
}

/// What somebody else does to an instance.
#[derive(Clone, Copy, Debug)]
pub(super) enum Happening {
    Stop,
    Start,
    Terminate,
    Exempt,
    Unexempt,
    TakeOver,
    RequireTokens,
    AllowImdsv1,
    DisableEndpoint,
    EnableEndpoint,
    SetHopLimit(i64),
    CallImdsv1,
    LoseData,
}

/// What goes wrong with the automation of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AutomationFault {
    /// It fails before its change.
    FailsBefore,
    /// Its change fails, and EC2 did not make it.
    FailsInstead,
    /// Its change fails, and EC2 made it nevertheless.
    FailsDuring,
    /// It fails after its change.
    FailsAfter,
    /// It is missing in the list of automations.
    IsHidden,
    /// The list of its steps is not complete.
    IsTruncated,
}

/// What goes wrong with a call.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fault {
    /// The service refuses it.
    Refuse,
    /// The service throttles it.
    Throttle,
    /// The service fails before it processes the call.
    Fail,
    /// The service processes the call, and its response is lost.
    LoseResponse,
    /// The call is lost.
    LoseRequest,
    /// CloudWatch returns incomplete data.
    IncompleteData,
}

/// How the process is killed at a call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kill {
    /// Whether the service still processes the call.
    pub(super) is_processed: bool,
    /// Whether the process was writing the next line of its journal.
    pub(super) cuts_line: bool,
}

/// The kinds of histories.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Plain,
    Canary,
    Automation,
    AutomationCanary,
}

/// The highest call number at which something happens.
const CALLS: usize = 60;

fn any_instance() -> impl Strategy<Value = InstanceSpec> {
    let flags = (
        prop::bool::weighted(0.2),
        prop::bool::weighted(0.1),
        prop::bool::weighted(0.1),
        prop::bool::weighted(0.1),
        prop::bool::weighted(0.1),
    );
    let calls = prop_oneof![3 => Just(Vec::new()), 1 => vec(0..60_i64, 1..3)];
    let data_hours = prop_oneof![4 => 200..900_i64, 1 => 0..30_i64];
    (flags, 1..4_i64, 0..900_i64, data_hours, calls).prop_map(
        |(flags, hop_limit, launched_hours_ago, data_hours, calls)| {
            let (is_stopped, requires_tokens, endpoint_disabled, is_exempt, is_managed) = flags;
            InstanceSpec {
                is_stopped,
                requires_tokens,
                endpoint_disabled,
                hop_limit,
                is_exempt,
                is_managed,
                launched_hours_ago,
                data_hours,
                calls,
            }
        },
    )
}

fn any_options(kind: Kind) -> impl Strategy<Value = Options> {
    let lookback_days = prop_oneof![1 => Just(0_u16), 6 => Just(1_u16), 2 => Just(2_u16), 2 => Just(14_u16)];
    let flags = (prop::bool::weighted(0.1), prop::bool::weighted(0.2), prop::bool::weighted(0.2));
    let hop_limit = proptest::option::weighted(0.4, 1..4_i64);
    let (soak, failures) = (1..30_u32, 0..3_usize);
    (lookback_days, flags, hop_limit, 1..4_u16, soak, failures).prop_map(
        move |(lookback_days, flags, hop_limit, concurrency, soak, failures)| {
            let (force, accept_unknown, accept_boot_calls) = flags;
            let has_canary = matches!(kind, Kind::Canary | Kind::AutomationCanary);
            let soak_minutes = has_canary.then_some(soak);
            let is_automation = matches!(kind, Kind::Automation | Kind::AutomationCanary);
            let automation = is_automation.then_some(failures);
            Options {
                lookback_days,
                force,
                accept_unknown,
                accept_boot_calls,
                hop_limit,
                concurrency,
                automation,
                soak_minutes,
            }
        },
    )
}

fn any_happening(instances: usize) -> impl Strategy<Value = Happens> {
    let happening = prop_oneof![
        2 => Just(Happening::Stop),
        2 => Just(Happening::Start),
        1 => Just(Happening::Terminate),
        2 => Just(Happening::Exempt),
        1 => Just(Happening::Unexempt),
        1 => Just(Happening::TakeOver),
        2 => Just(Happening::RequireTokens),
        2 => Just(Happening::AllowImdsv1),
        1 => Just(Happening::DisableEndpoint),
        1 => Just(Happening::EnableEndpoint),
        1 => (1..5_i64).prop_map(Happening::SetHopLimit),
        3 => Just(Happening::CallImdsv1),
        1 => Just(Happening::LoseData),
    ];
    (0..instances, happening)
}

fn any_automation_fault() -> impl Strategy<Value = AutomationFault> {
    prop_oneof![
        Just(AutomationFault::FailsBefore),
        Just(AutomationFault::FailsInstead),
        Just(AutomationFault::FailsDuring),
        Just(AutomationFault::FailsAfter),
        Just(AutomationFault::IsHidden),
        Just(AutomationFault::IsTruncated),
    ]
}

fn any_fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        Just(Fault::Refuse),
        Just(Fault::Throttle),
        Just(Fault::Fail),
        Just(Fault::LoseResponse),
        Just(Fault::LoseRequest),
        Just(Fault::IncompleteData),
    ]
}

fn any_kill() -> impl Strategy<Value = At<Kill>> {
    at((any::<bool>(), any::<bool>()).prop_map(|(is_processed, cuts_line)| Kill { is_processed, cuts_line }))
}

fn at<T: std::fmt::Debug>(what: impl Strategy<Value = T>) -> impl Strategy<Value = At<T>> {
    (0..CALLS, what).prop_map(|(call, what)| At { call, repeats: 0, what })
}

/// A fault of one call, or an outage.
fn any_outage() -> impl Strategy<Value = At<Fault>> {
    let repeats = prop_oneof![3 => Just(0), 1 => 1..25_usize];
    (at(any_fault()), repeats).prop_map(|(fault, repeats)| At { repeats, ..fault })
}

fn any_adversity(instances: usize) -> impl Strategy<Value = Adversity> {
    (vec(at(any_happening(instances)), 0..6), vec(any_outage(), 0..4))
        .prop_map(|(happenings, faults)| Adversity { happenings, faults })
}

/// Returns any history of a kind.
pub(super) fn any_history(kind: Kind) -> impl Strategy<Value = History> {
    let has_canary = matches!(kind, Kind::Canary | Kind::AutomationCanary);
    let least = if has_canary { 2 } else { 1 };
    vec(any_instance(), least..5).prop_flat_map(move |instances| {
        let count = instances.len();
        let restore = prop_oneof![
            1 => Just(Adversity { happenings: Vec::new(), faults: Vec::new() }),
            1 => any_adversity(count),
        ];
        (
            (Just(instances), any_options(kind), 0..10_i64, any_adversity(count)),
            proptest::option::weighted(0.4, any_kill()),
            (vec(any_happening(count), 0..3), 0..20_i64, restore, vec(any_kill(), 0..3)),
            (vec((0..count, any_automation_fault()), 0..3), 0..3_usize),
        )
            .prop_map(
                |((instances, options, visibility_delay, remediate), kill, between, automations)| {
                    let (between, pause, restore, restore_kills) = between;
                    let (automations, stragglers_before) = automations;
                    History {
                        instances,
                        options,
                        visibility_delay,
                        remediate,
                        kill,
                        between,
                        pause,
                        restore,
                        restore_kills,
                        automations,
                        stragglers_before,
                    }
                },
            )
    })
}
