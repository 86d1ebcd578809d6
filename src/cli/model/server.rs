//! The fake AWS: an HTTP client of the SDK that answers from the world, and has every call judged.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use aws_smithy_async::rt::sleep::{AsyncSleep, SharedAsyncSleep, Sleep};
use aws_smithy_cbor::Encoder;
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpClient, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::DateTime;
use time::{Duration, OffsetDateTime};
use tokio::sync::Notify;

use super::automation::Automations;
use super::figures::Counts;
use super::history::{Adversity, Fault, Happens, History, Kill, Phase};
use super::invariants;
use super::protocol::{MetricQuery, Request, Series, cbor, xml};
use super::world::{Instance, Options, START, World};
use crate::cli::clock::Clock;

/// A wait of the SDK, which advances the virtual clock and ends at once.
#[derive(Debug)]
pub(super) struct VirtualSleep(Clock);

impl VirtualSleep {
    pub(super) fn shared(clock: Clock) -> SharedAsyncSleep {
        SharedAsyncSleep::new(Self(clock))
    }
}

impl AsyncSleep for VirtualSleep {
    fn sleep(&self, duration: std::time::Duration) -> Sleep {
        let clock = self.0.clone();
        Sleep::new(async move { clock.sleep(duration).await })
    }
}

/// What the process knows of an instance.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    /// The instance as EC2 last returned it.
    pub(super) described: Option<Instance>,
    /// The instance when CloudWatch last returned all of its data, and the end of that data.
    pub(super) measured: Option<(Instance, OffsetDateTime)>,
    /// The last minute in which the instance reported a metric that every running one has.
    pub(super) reported_at: Option<OffsetDateTime>,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) world: World,
    pub(super) phase: Phase,
    pub(super) now: OffsetDateTime,
    /// The number of calls since the start of the command.
    calls: usize,
    pub(super) known: HashMap<String, Known>,
    pub(super) automations: Automations,
    pub(super) counts: Counts,
    violations: Vec<String>,
    story: String,
    /// The kill that ended the command.
    killed_by: Option<Kill>,
    /// The first instance that this command was to change.
    pub(super) first: Option<String>,
    /// The instances that the tool changed in this command, and when.
    pub(super) changed_now: BTreeMap<String, OffsetDateTime>,
}

/// The fake AWS.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) history: History,
    pub(super) journal: PathBuf,
    now: Arc<Mutex<OffsetDateTime>>,
    state: Mutex<State>,
    killed: Notify,
}

/// Returns the HTTP client of the SDK that calls `server`.
pub(super) fn client(server: &Arc<Server>) -> SharedHttpClient {
    let connector = SharedHttpConnector::new(Connector(Arc::clone(server)));
    http_client_fn(move |_, _| connector.clone())
}

#[derive(Debug)]
struct Connector(Arc<Server>);

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        if !matters(&request) {
            let denied = Request::Other(String::new()).error(403, "UnauthorizedOperation");
            return HttpConnectorFuture::ready(Ok(denied));
        }
        match self.0.receive(&request) {
            Some(answer) => HttpConnectorFuture::ready(answer),
            // The process is killed: it never learns of a response.
            None => HttpConnectorFuture::new(std::future::pending()),
        }
    }
}

/// Returns whether anything depends on a call: not on those that name the account in the plan, and check the names of
/// Regions. They are refused, and not counted.
fn matters(request: &HttpRequest) -> bool {
    let body = request.body().bytes().unwrap_or_default();
    let lists_regions = body.windows(15).any(|part| part == b"DescribeRegions");
    !lists_regions && !request.uri().ends_with("/getAccountInformation")
}

type Answer = Result<HttpResponse, ConnectorError>;

impl Server {
    pub(super) fn new(history: &History, journal: PathBuf) -> Arc<Self> {
        let state = State {
            world: World::new(&history.instances),
            phase: Phase::Remediate,
            now: START,
            calls: 0,
            known: HashMap::new(),
            automations: Automations::default(),
            counts: Counts::default(),
            violations: Vec::new(),
            story: String::new(),
            killed_by: None,
            first: None,
            changed_now: BTreeMap::new(),
        };
        Arc::new(Self {
            history: history.clone(),
            journal,
            now: Arc::new(Mutex::new(START)),
            state: Mutex::new(state),
            killed: Notify::new(),
        })
    }

    pub(super) fn clock(&self) -> Clock {
        Clock::Virtual(Arc::clone(&self.now))
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        let now = self.clock().now();
        let mut state = self.state.lock().expect("no thread panics with the state");
        state.now = now;
        state
    }

    fn pass(&self, time: Duration) {
        *self.now.lock().expect("no thread panics with the clock") += time;
    }

    /// Waits until EC2 shows all changes.
    pub(super) fn wait_until_visible(&self) {
        self.pass(Duration::seconds(self.history.visibility_delay));
    }

    /// Begins a command.
    pub(super) fn begin(&self, phase: Phase) {
        self.pass(Duration::seconds(self.history.pause));
        let mut state = self.state();
        if let Phase::Restore(attempt) = phase {
            if attempt == 0 {
                self.history.between.iter().for_each(|happens| state.happen(*happens));
            }
            if attempt == self.history.stragglers_before.min(self.history.restore_kills.len()) {
                state.finish_automations(&self.history);
            }
        }
        state.phase = phase;
        state.calls = 0;
        state.known.clear();
        state.killed_by = None;
        state.first = None;
        state.changed_now.clear();
        state.tell(&format!("== {phase:?}"));
    }

    /// Waits until the process is killed.
    pub(super) async fn killed(&self) {
        self.killed.notified().await;
    }

    pub(super) fn violations(&self) -> Vec<String> {
        self.state().violations.clone()
    }

    pub(super) fn story(&self) -> String {
        self.state().story.clone()
    }

    /// Leaves a part of a line at the end of the journal, if the process was killed while it wrote one.
    pub(super) fn cut_journal(&self) {
        use std::io::Write;
        let cuts_line = self.state().killed_by.is_some_and(|kill| kill.cuts_line);
        if cuts_line && self.journal.exists() {
            let file = std::fs::OpenOptions::new().append(true).open(&self.journal);
            file.and_then(|mut file| file.write_all(b"{\"sequence\":99,\"time\":\"20")).expect("written");
        }
    }

    /// What the world does to the current command. The last attempt of `restore` is left in peace.
    fn adversity(&self, phase: Phase) -> Option<&Adversity> {
        match phase {
            Phase::Remediate => Some(&self.history.remediate),
            Phase::Restore(attempt) => {
                (attempt <= self.history.restore_kills.len()).then_some(&self.history.restore)
            }
        }
    }

    /// Answers a call; `None` if the process is killed by it.
    fn receive(&self, request: &HttpRequest) -> Option<Answer> {
        let mut state = self.state();
        let call = state.calls;
        state.calls += 1;
        state.counts.calls += 1;
        let adversity = self.adversity(state.phase);
        let happenings = adversity.into_iter().flat_map(|adversity| &adversity.happenings);
        for at in happenings.filter(|at| at.includes(call)) {
            state.happen(at.what);
        }
        let request = Request::read(request);
        let now = state.now.time();
        state.tell(&format!("{call} {now} {}", request.describe()));
        let kill = match state.phase {
            Phase::Remediate => self.history.kill.as_ref(),
            Phase::Restore(attempt) => self.history.restore_kills.get(attempt),
        };
        if let Some(kill) = kill.filter(|kill| kill.includes(call)) {
            state.tell(&format!("killed: {:?}", kill.what));
            if kill.what.is_processed {
                let _ = self.process(&mut state, &request, false);
            }
            state.counts.kills += 1;
            state.killed_by = Some(kill.what);
            self.killed.notify_one();
            return None;
        }
        let mut faults = adversity.into_iter().flat_map(|adversity| &adversity.faults);
        let fault = faults.find(|at| at.includes(call)).map(|at| at.what);
        Some(self.answer(&mut state, &request, fault))
    }

    fn answer(&self, state: &mut State, request: &Request, fault: Option<Fault>) -> Answer {
        if let Some(fault) = fault {
            state.counts.faults += 1;
            state.tell(&format!("fault: {fault:?}"));
        }
        let lost = || Err(ConnectorError::timeout("the model loses it".into()));
        match fault {
            Some(Fault::Refuse) => Ok(request.error(403, "UnauthorizedOperation")),
            Some(Fault::Throttle) => Ok(request.error(503, "RequestLimitExceeded")),
            Some(Fault::Fail) => Ok(request.error(500, "InternalError")),
            Some(Fault::LoseRequest) => lost(),
            Some(Fault::LoseResponse) => {
                let _ = self.process(state, request, false);
                lost()
            }
            Some(Fault::IncompleteData) => Ok(self.process(state, request, true)),
            None => Ok(self.process(state, request, false)),
        }
    }

    fn process(&self, state: &mut State, request: &Request, is_incomplete: bool) -> HttpResponse {
        match request {
            Request::GetCallerIdentity => xml(
                200,
                "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult>\
                 <Account>123456789012</Account><Arn>arn:aws:iam::123456789012:user/model</Arn><UserId>A</UserId>\
                 </GetCallerIdentityResult></GetCallerIdentityResponse>",
            ),
            Request::DescribeInstances { ids } => {
                let delay = Duration::seconds(self.history.visibility_delay);
                state.describe(ids, delay, request)
            }
            Request::GetMetricData(query) => state.measure(query, is_incomplete),
            Request::Modify(parameters) => self.modify(state, parameters, request),
            Request::Automation(operation, input) => {
                state.automate(self, operation, input).unwrap_or_else(|code| request.error(400, code))
            }
            Request::Other(_) => request.error(400, "InvalidAction"),
        }
    }

    fn modify(
        &self,
        state: &mut State,
        parameters: &BTreeMap<String, String>,
        request: &Request,
    ) -> HttpResponse {
        let id = parameters.get("InstanceId").cloned().unwrap_or_default();
        invariants::judge_request(self, state, &id, parameters);
        let tokens = if parameters.get("HttpTokens").is_some_and(|tokens| tokens == "required") {
            "required"
        } else {
            "optional"
        };
        let limit = parameters.get("HttpPutResponseHopLimit").and_then(|limit| limit.parse().ok());
        let described = state.known.get(&id).and_then(|known| known.described.as_ref());
        let described = described.map(|seen| seen.options);
        match state.change(&id, tokens, limit, described) {
            None => request.error(400, "InvalidInstanceID.NotFound"),
            Some(()) => xml(
                200,
                "<ModifyInstanceMetadataOptionsResponse xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\"/>",
            ),
        }
    }
}

impl State {
    pub(super) fn tell(&mut self, line: &str) {
        let _ = writeln!(self.story, "{line}");
    }

    pub(super) fn violate(&mut self, what: &str) {
        self.tell(&format!("!! {what}"));
        self.violations.push(what.to_owned());
    }

    fn happen(&mut self, (number, happening): Happens) {
        self.counts.happenings += 1;
        self.tell(&format!("others: {happening:?} {number}"));
        self.world.happen(number, happening, self.now);
    }

    /// Changes an instance on behalf of the tool; `None` if it does not exist. `described` are the options that the
    /// tool saw last. EC2 has no conditional change: what happens after that description cannot be seen.
    pub(super) fn change(
        &mut self,
        id: &str,
        tokens: &'static str,
        hop_limit: Option<i64>,
        described: Option<Options>,
    ) -> Option<()> {
        let (now, phase) = (self.now, self.phase);
        let instance = self.world.find(id)?;
        let before = described.unwrap_or(instance.options);
        let is_raced = instance.options != before;
        let hop_limit = hop_limit.unwrap_or(instance.options.hop_limit);
        let options = Options { tokens, hop_limit, ..instance.options };
        instance.set(options, now);
        if phase == Phase::Remediate {
            self.counts.changes += 1;
            instance.was_changed = true;
            if instance.changed_from.is_none() {
                instance.changed_from = Some(before);
                instance.is_touched = is_raced;
            }
            self.changed_now.entry(id.to_owned()).or_insert(now);
        } else {
            self.counts.restorations += 1;
            let is_exact = instance.changed_from.is_none_or(|from| {
                from.tokens == tokens && (instance.is_touched || from.hop_limit == hop_limit)
            });
            instance.changed_from = None;
            if !is_exact {
                self.violate(&format!("{id} is not restored to what it was"));
            }
        }
        Some(())
    }

    fn describe(&mut self, ids: &[String], delay: Duration, request: &Request) -> HttpResponse {
        let is_asked = |instance: &&Instance| ids.is_empty() || ids.contains(&instance.id);
        let found = self.world.instances.iter().filter(is_asked);
        let found: Vec<Instance> = found.map(|instance| instance.shown(self.now, delay)).collect();
        if !ids.is_empty() && found.is_empty() {
            return request.error(400, "InvalidInstanceID.NotFound");
        }
        let items: String = found.iter().map(describe_instance).collect();
        for instance in found {
            let id = instance.id.clone();
            self.known.entry(id).or_default().described = Some(instance);
        }
        xml(
            200,
            &format!(
                "<DescribeInstancesResponse xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\"><reservationSet><item>\
                 <instancesSet>{items}</instancesSet></item></reservationSet></DescribeInstancesResponse>"
            ),
        )
    }

    fn measure(&mut self, query: &MetricQuery, is_incomplete: bool) -> HttpResponse {
        let mut encoder = Encoder::new(Vec::new());
        encoder.begin_map();
        encoder.str("MetricDataResults").array(query.series.len());
        for series in &query.series {
            let instance = self.world.instances.iter().find(|instance| instance.id == series.instance_id);
            let points = instance.map(|instance| data_points(instance, series, query)).unwrap_or_default();
            let points = if is_incomplete { Vec::new() } else { points };
            encoder.begin_map();
            encoder.str("Id").str(&series.id);
            encoder.str("StatusCode").str(if is_incomplete { "PartialData" } else { "Complete" });
            encoder.str("Timestamps").array(points.len());
            for (at, _) in &points {
                encoder.timestamp(&DateTime::from_secs(at.unix_timestamp()));
            }
            encoder.str("Values").array(points.len());
            for (_, value) in &points {
                #[allow(clippy::cast_precision_loss)] // small counts
                encoder.double(*value as f64);
            }
            encoder.end();
            if let Some(instance) = instance.cloned().filter(|_| !is_incomplete) {
                let known = self.known.entry(instance.id.clone()).or_default();
                // The query for the last start ends in the past.
                if known.measured.as_ref().is_none_or(|(_, end)| *end <= query.end) {
                    known.measured = Some((instance, query.end));
                }
                if series.metric == CPU_UTILIZATION {
                    known.reported_at = points.last().map(|(at, _)| *at);
                }
            }
        }
        encoder.end();
        cbor(200, encoder.into_writer())
    }
}

const CPU_UTILIZATION: &str = "CPUUtilization";

/// The delay of CloudWatch's data.
pub(super) const DATA_DELAY: Duration = Duration::minutes(2);

/// Returns the data points of a series. There are none of the times in which the instance did not run, and rejections
/// are counted only when there are any.
fn data_points(instance: &Instance, series: &Series, query: &MetricQuery) -> Vec<(OffsetDateTime, u64)> {
    let mut points = Vec::new();
    let (mut at, end) = (query.start, query.end - DATA_DELAY);
    while at < end {
        let until = (at + query.period).min(end);
        let value = match series.metric.as_str() {
            _ if !instance.ran_at(at) => None,
            CPU_UTILIZATION => Some(1),
            "MetadataNoTokenRejected" => {
                Some(instance.calls_between(at, until, true)).filter(|count| *count > 0)
            }
            _ => Some(instance.calls_between(at, until, false))
                .filter(|count| *count > 0 || instance.data_since.is_some_and(|since| since < until)),
        };
        if let Some(value) = value {
            points.push((at, value));
        }
        at += query.period;
    }
    points
}

fn describe_instance(instance: &Instance) -> String {
    let tags: String = instance
        .tags()
        .iter()
        .map(|(key, value)| format!("<item><key>{key}</key><value>{value}</value></item>"))
        .collect();
    let operator = if instance.is_managed {
        "<operator><managed>true</managed><principal>eks.amazonaws.com</principal></operator>"
    } else {
        ""
    };
    let launched = DateTime::from_secs(instance.launched_at.unix_timestamp());
    let Options { tokens, endpoint, hop_limit } = instance.options;
    format!(
        "<item><instanceId>{}</instanceId><instanceState><code>16</code><name>{}</name></instanceState>\
         <launchTime>{launched}</launchTime><tagSet>{tags}</tagSet>{operator}<metadataOptions><state>applied</state>\
         <httpTokens>{tokens}</httpTokens><httpPutResponseHopLimit>{hop_limit}</httpPutResponseHopLimit>\
         <httpEndpoint>{endpoint}</httpEndpoint></metadataOptions></item>",
        instance.id, instance.state
    )
}

/// Returns the last step of an instance in the journal.
pub(super) fn last_step(journal: &Path, id: &str) -> Option<String> {
    let text = std::fs::read_to_string(journal).ok()?;
    let lines = text.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let mut steps = lines.filter(|line| line["instanceId"] == id);
    steps.next_back().and_then(|line| Some(line["step"].as_str()?.to_owned()))
}
