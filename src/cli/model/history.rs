//! Histories: instances, the options of the command, and everything that happens meanwhile.

use proptest::collection::vec;
use proptest::prelude::*;

/// A history.
#[derive(Clone, Debug)]
pub(super) struct History {
    pub(super) instances: Vec<InstanceSpec>,
    pub(super) options: Options,
    /// What others do while `remediate` runs.
    pub(super) happenings: Vec<At<Happening>>,
    pub(super) faults: Vec<At<Fault>>,
    /// When `remediate` is killed, if it is.
    pub(super) kill: Option<At<Kill>>,
    /// What others do before the first `restore`.
    pub(super) between: Vec<Happening>,
    /// When each `restore` but the last is killed.
    pub(super) restore_kills: Vec<At<Kill>>,
}

/// Something that happens at a call of AWS, counted from the start of the command.
#[derive(Clone, Debug)]
pub(super) struct At<T> {
    pub(super) call: usize,
    pub(super) what: T,
}

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
        arguments
    }
}

/// What somebody else does to the instance of this number.
#[derive(Clone, Copy, Debug)]
pub(super) enum Happening {
    Stop(usize),
    Start(usize),
    Terminate(usize),
    Exempt(usize),
    Unexempt(usize),
    TakeOver(usize),
    RequireTokens(usize),
    AllowImdsv1(usize),
    DisableEndpoint(usize),
    EnableEndpoint(usize),
    SetHopLimit(usize, i64),
    CallImdsv1(usize),
    LoseData(usize),
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
    let soak = 1..30_u32;
    (lookback_days, flags, hop_limit, 1..4_u16, soak).prop_map(
        move |(lookback_days, flags, hop_limit, concurrency, soak)| {
            let (force, accept_unknown, accept_boot_calls) = flags;
            let soak_minutes = (kind == Kind::Canary).then_some(soak);
            Options {
                lookback_days,
                force,
                accept_unknown,
                accept_boot_calls,
                hop_limit,
                concurrency,
                soak_minutes,
            }
        },
    )
}

fn any_happening(instances: usize) -> impl Strategy<Value = Happening> {
    let i = 0..instances;
    prop_oneof![
        2 => i.clone().prop_map(Happening::Stop),
        2 => i.clone().prop_map(Happening::Start),
        1 => i.clone().prop_map(Happening::Terminate),
        2 => i.clone().prop_map(Happening::Exempt),
        1 => i.clone().prop_map(Happening::Unexempt),
        1 => i.clone().prop_map(Happening::TakeOver),
        2 => i.clone().prop_map(Happening::RequireTokens),
        2 => i.clone().prop_map(Happening::AllowImdsv1),
        1 => i.clone().prop_map(Happening::DisableEndpoint),
        1 => i.clone().prop_map(Happening::EnableEndpoint),
        1 => (i.clone(), 1..5_i64).prop_map(|(i, limit)| Happening::SetHopLimit(i, limit)),
        3 => i.clone().prop_map(Happening::CallImdsv1),
        1 => i.prop_map(Happening::LoseData),
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
    (0..CALLS, any::<bool>(), any::<bool>())
        .prop_map(|(call, is_processed, cuts_line)| At { call, what: Kill { is_processed, cuts_line } })
}

fn at<T: std::fmt::Debug>(what: impl Strategy<Value = T>) -> impl Strategy<Value = At<T>> {
    (0..CALLS, what).prop_map(|(call, what)| At { call, what })
}

/// Returns any history of a kind.
pub(super) fn any_history(kind: Kind) -> impl Strategy<Value = History> {
    let least = if kind == Kind::Canary { 2 } else { 1 };
    vec(any_instance(), least..5).prop_flat_map(move |instances| {
        let count = instances.len();
        (
            Just(instances),
            any_options(kind),
            vec(at(any_happening(count)), 0..6),
            vec(at(any_fault()), 0..4),
            proptest::option::weighted(0.4, any_kill()),
            vec(any_happening(count), 0..3),
            vec(any_kill(), 0..3),
        )
            .prop_map(|(instances, options, happenings, faults, kill, between, restore_kills)| {
                History { instances, options, happenings, faults, kill, between, restore_kills }
            })
    })
}
