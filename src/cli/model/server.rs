//! The fake AWS: an HTTP client of the SDK that answers from the world, and judges every call.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use aws_smithy_async::rt::sleep::{AsyncSleep, SharedAsyncSleep, Sleep};
use aws_smithy_cbor::{Decoder, Encoder};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpClient, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::DateTime;
use aws_smithy_types::body::SdkBody;
use serde_json::Value;
use time::{Duration, OffsetDateTime};
use tokio::sync::Notify;

use super::history::{Fault, History, Kill, Options as CommandOptions, Phase};
use super::world::{Instance, START, World};
use crate::cli::clock::Clock;
use crate::cli::exit::Completion;

/// The oldest data that a decision may be based on: five minutes, and the calls between it and the change.
const MAX_DATA_AGE: Duration = Duration::minutes(6);

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

/// What the process knows of an instance: the last description, and the last data of CloudWatch.
#[derive(Clone, Debug, Default)]
struct Known {
    described: Option<Instance>,
    /// The instance when CloudWatch last returned all of its data, and the end of that data.
    measured: Option<(Instance, OffsetDateTime)>,
}

#[derive(Debug)]
struct State {
    world: World,
    phase: Phase,
    /// The number of calls since the start of the command.
    calls: usize,
    known: HashMap<String, Known>,
    violations: Vec<String>,
    story: String,
    /// The kill that ended the command.
    killed_by: Option<Kill>,
    /// The instances that the tool changed in this command.
    changed_now: Vec<String>,
}

/// The fake AWS.
#[derive(Debug)]
pub(super) struct Server {
    history: History,
    journal: PathBuf,
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
        let server = Arc::clone(&self.0);
        match server.receive(&request) {
            Some(answer) => HttpConnectorFuture::ready(answer),
            // The process is killed: it never learns of a response.
            None => HttpConnectorFuture::new(std::future::pending()),
        }
    }
}

type Answer = Result<HttpResponse, ConnectorError>;

impl Server {
    pub(super) fn new(history: &History, journal: PathBuf) -> Arc<Self> {
        let state = State {
            world: World::new(&history.instances),
            phase: Phase::Remediate,
            calls: 0,
            known: HashMap::new(),
            violations: Vec::new(),
            story: String::new(),
            killed_by: None,
            changed_now: Vec::new(),
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

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no thread panics with the state")
    }

    /// Begins a command.
    pub(super) fn begin(&self, phase: Phase) {
        let now = self.clock().now();
        let mut state = self.state();
        if phase == Phase::Restore(0) {
            for happening in &self.history.between {
                state.tell(&format!("others: {happening:?}"));
                state.world.happen(*happening, now);
            }
        }
        state.phase = phase;
        state.calls = 0;
        state.known.clear();
        state.killed_by = None;
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

    /// Answers a call; `None` if the process is killed by it.
    fn receive(&self, request: &HttpRequest) -> Option<Answer> {
        let now = self.clock().now();
        let mut state = self.state();
        let call = state.calls;
        state.calls += 1;
        if state.phase == Phase::Remediate {
            for happening in self.history.happenings.iter().filter(|at| at.call == call) {
                state.tell(&format!("others: {:?}", happening.what));
                state.world.happen(happening.what, now);
            }
        }
        let call_of = |request: &HttpRequest| Request::read(request);
        let parsed = call_of(request);
        state.tell(&format!("{call} {} {}", now.time(), parsed.describe()));
        let kill = match state.phase {
            Phase::Remediate => self.history.kill.as_ref(),
            Phase::Restore(attempt) => self.history.restore_kills.get(attempt),
        };
        if let Some(kill) = kill.filter(|kill| kill.call == call) {
            state.tell(&format!("killed: {:?}", kill.what));
            if kill.what.is_processed {
                let _ = self.process(&mut state, &parsed, now, false);
            }
            state.killed_by = Some(kill.what);
            self.killed.notify_one();
            return None;
        }
        let fault = self.history.faults.iter().find(|at| at.call == call).map(|at| at.what);
        let fault = fault.filter(|_| state.phase == Phase::Remediate);
        if let Some(fault) = fault {
            state.tell(&format!("fault: {fault:?}"));
        }
        let lost = || Err(ConnectorError::timeout("the model loses it".into()));
        Some(match fault {
            Some(Fault::Refuse) => Ok(parsed.error(403, "UnauthorizedOperation")),
            Some(Fault::Throttle) => Ok(parsed.error(503, "RequestLimitExceeded")),
            Some(Fault::Fail) => Ok(parsed.error(500, "InternalError")),
            Some(Fault::LoseRequest) => lost(),
            Some(Fault::LoseResponse) => {
                let _ = self.process(&mut state, &parsed, now, false);
                lost()
            }
            Some(Fault::IncompleteData) => Ok(self.process(&mut state, &parsed, now, true)),
            None => Ok(self.process(&mut state, &parsed, now, false)),
        })
    }

    fn process(
        &self,
        state: &mut State,
        request: &Request,
        now: OffsetDateTime,
        is_incomplete: bool,
    ) -> HttpResponse {
        match request {
            Request::GetCallerIdentity => xml(
                200,
                "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult>\
                 <Account>123456789012</Account><Arn>arn:aws:iam::123456789012:user/model</Arn><UserId>A</UserId>\
                 </GetCallerIdentityResult></GetCallerIdentityResponse>",
            ),
            Request::DescribeInstances { ids } => state.describe(ids, request),
            Request::GetMetricData(query) => state.measure(query, is_incomplete),
            Request::Modify(parameters) => self.modify(state, parameters, request, now),
            Request::Other(_) => request.error(400, "InvalidAction"),
        }
    }

    fn modify(
        &self,
        state: &mut State,
        parameters: &BTreeMap<String, String>,
        request: &Request,
        now: OffsetDateTime,
    ) -> HttpResponse {
        let id = parameters.get("InstanceId").cloned().unwrap_or_default();
        let tokens = parameters.get("HttpTokens").map(String::as_str).unwrap_or_default();
        let allowed = ["Action", "Version", "InstanceId", "HttpTokens", "HttpPutResponseHopLimit"];
        if let Some(other) = parameters.keys().find(|name| !allowed.contains(&name.as_str())) {
            state.violate(&format!("{id}: {other} was sent"));
        }
        let limit: Option<i64> =
            parameters.get("HttpPutResponseHopLimit").and_then(|limit| limit.parse().ok());
        match state.phase {
            Phase::Remediate => {
                let judged = judge_enforcement(state, &self.history.options, &id, tokens, limit, now);
                judged.into_iter().for_each(|violation| state.violate(&violation));
            }
            Phase::Restore(_) => {
                let is_changed =
                    state.world.find(&id).is_some_and(|instance| instance.changed_from.is_some());
                let is_uncertain = last_step(&self.journal, &id).as_deref() == Some("intended");
                if !is_changed && !is_uncertain {
                    state.violate(&format!("{id} is restored, and was never changed"));
                }
            }
        }
        if state.phase == Phase::Remediate && last_step(&self.journal, &id).as_deref() != Some("intended") {
            state.violate(&format!("{id} is changed without a line in the journal"));
        }
        let phase = state.phase;
        // EC2 has no conditional change: what happens between the last description and the request cannot be seen.
        let described = state.known.get(&id).and_then(|known| known.described.as_ref());
        let described = described.map(|seen| (seen.options(), seen.endpoint));
        let Some(instance) = state.world.find(&id) else {
            return request.error(400, "InvalidInstanceID.NotFound");
        };
        let current = (instance.options(), instance.endpoint);
        let (before, endpoint) = described.unwrap_or(current);
        let is_raced = current != (before, endpoint);
        instance.tokens = if tokens == "required" { "required" } else { "optional" };
        instance.hop_limit = limit.unwrap_or(instance.hop_limit);
        match phase {
            Phase::Remediate => {
                if instance.changed_from.is_none() {
                    instance.changed_from = Some(before);
                    instance.is_touched = is_raced;
                }
                state.changed_now.push(id);
            }
            Phase::Restore(_) => {
                let is_exact = instance.changed_from.is_none_or(|from| {
                    from.tokens == instance.tokens
                        && (instance.is_touched || from.hop_limit == instance.hop_limit)
                });
                instance.changed_from = None;
                if !is_exact {
                    state.violate(&format!("{id} is not restored to what it was"));
                }
            }
        }
        xml(
            200,
            "<ModifyInstanceMetadataOptionsResponse xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\"/>",
        )
    }

    /// Judges the report of a command that was not killed.
    pub(super) fn judge_report(&self, report: &Path, result: anyhow::Result<Completion>) {
        let mut state = self.state();
        let completion = match result {
            Ok(completion) => completion,
            Err(error) => {
                let changed = state.changed_now.len();
                state.tell(&format!("error: {error:#}"));
                if changed > 0 {
                    state.violate(&format!("{changed} instances are changed and not reported: {error:#}"));
                }
                return;
            }
        };
        let report: Value = std::fs::read(report)
            .ok()
            .and_then(|text| serde_json::from_slice(&text).ok())
            .unwrap_or_default();
        let empty = Vec::new();
        let changes = report["changes"].as_array().unwrap_or(&empty);
        state.tell(&format!("{completion:?} {report}"));
        let mut outcomes = BTreeMap::new();
        for change in changes {
            let (id, outcome) = (change["instanceId"].as_str(), change["outcome"].as_str());
            outcomes.insert(id.unwrap_or_default().to_owned(), outcome.unwrap_or_default().to_owned());
        }
        for id in state.changed_now.clone() {
            let outcome = outcomes.get(&id).map_or("missing", String::as_str);
            if !["changed", "failed"].contains(&outcome) {
                state.violate(&format!("{id} was changed, and is reported as {outcome}"));
            }
        }
        for (id, outcome) in &outcomes {
            if outcome == "changed" && !state.changed_now.contains(id) {
                state.violate(&format!("{id} was not changed, and is reported as changed"));
            }
        }
        let is_open = outcomes.values().any(|o| ["skipped", "notStarted", "failed"].contains(&o.as_str()));
        if completion == Completion::Clean && is_open {
            state.violate("the exit status is 0 although something is left open");
        }
    }

    /// Judges the instances after the last `restore`.
    pub(super) fn judge_restored(&self) {
        let mut state = self.state();
        let left: Vec<_> = state
            .world
            .instances
            .iter()
            .filter(|instance| instance.exists() && !instance.is_touched)
            .filter_map(|instance| {
                let from = instance.changed_from?;
                (instance.options() != from).then(|| format!("{} is not restored: {from:?}", instance.id))
            })
            .collect();
        left.into_iter().for_each(|violation| state.violate(&violation));
    }
}

/// Judges an enforcement by what AWS returned last.
fn judge_enforcement(
    state: &State,
    options: &CommandOptions,
    id: &str,
    tokens: &str,
    hop_limit: Option<i64>,
    now: OffsetDateTime,
) -> Vec<String> {
    let known = state.known.get(id).cloned().unwrap_or_default();
    let Some(seen) = known.described else { return vec![format!("{id} was not described")] };
    let mut violations = Vec::new();
    let mut violate = |what: &str| violations.push(format!("{id} is enforced: {what}"));
    if tokens != "required" {
        violate("HttpTokens is not set to required");
    }
    if seen.is_exempt {
        violate("it is exempt");
    }
    if seen.is_managed {
        violate("a service manages it");
    }
    if seen.tokens == "required" {
        violate("tokens are required already");
    }
    match hop_limit {
        Some(limit) if limit <= seen.hop_limit => violate("the hop limit is lowered"),
        Some(limit) if options.hop_limit != Some(limit) => violate("the hop limit is another one"),
        Some(_) if seen.endpoint == "disabled" => violate("the hop limit of a disabled endpoint is set"),
        _ => {}
    }
    if options.lookback_days == 0 || options.force {
        return violations;
    }
    let Some((measured, end)) = known.measured else {
        violate("CloudWatch was not asked");
        return violations;
    };
    if now - end > MAX_DATA_AGE {
        violate("the data of CloudWatch is too old");
    }
    let look_back = Duration::days(options.lookback_days.into());
    let boot_start = hour_of(seen.launched_at);
    let boot = boot_start..boot_start + Duration::hours(2);
    let in_use = measured
        .calls
        .iter()
        .any(|call| call.at >= end - look_back && call.at < end && !boot.contains(&call.at));
    let boots = measured.calls.iter().any(|call| call.at < end && boot.contains(&call.at));
    let is_proven = measured.data_since.is_some_and(|since| since <= end - look_back / 2)
        || measured.calls.iter().any(|call| call.at <= end - look_back / 2);
    if in_use {
        violate("it is in use");
    }
    if boots && !options.accept_boot_calls {
        violate("it made calls when it was started");
    }
    if seen.may_call() && !is_proven && !options.accept_unknown {
        violate("its silence is not proven");
    }
    violations
}

impl State {
    fn tell(&mut self, line: &str) {
        let _ = writeln!(self.story, "{line}");
    }

    fn violate(&mut self, what: &str) {
        self.tell(&format!("!! {what}"));
        self.violations.push(what.to_owned());
    }

    fn describe(&mut self, ids: &[String], request: &Request) -> HttpResponse {
        let is_asked = |instance: &&Instance| ids.is_empty() || ids.contains(&instance.id);
        let found: Vec<Instance> = self.world.instances.iter().filter(is_asked).cloned().collect();
        if !ids.is_empty() && found.is_empty() {
            return request.error(400, "InvalidInstanceID.NotFound");
        }
        let mut items = String::new();
        for instance in found {
            items.push_str(&describe_instance(&instance));
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
                let id = instance.id.clone();
                self.known.entry(id).or_default().measured = Some((instance, query.end));
            }
        }
        encoder.end();
        cbor(200, encoder.into_writer())
    }
}

/// Returns the data points of a series. Data of the last two minutes is late.
fn data_points(instance: &Instance, series: &Series, query: &MetricQuery) -> Vec<(OffsetDateTime, u64)> {
    let mut points = Vec::new();
    let mut at = query.start;
    while at < query.end {
        let until = (at + query.period).min(query.end);
        let value = match series.metric.as_str() {
            "CPUUtilization" => {
                let reports = instance.state == "running" && at + Duration::minutes(2) < query.end;
                reports.then_some(1)
            }
            metric => instance.calls_between(at, until, metric == "MetadataNoTokenRejected"),
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
    let launched = instance.launched_at.unix_timestamp();
    let launched = DateTime::from_secs(launched);
    format!(
        "<item><instanceId>{}</instanceId><instanceState><code>16</code><name>{}</name></instanceState>\
         <launchTime>{launched}</launchTime><tagSet>{tags}</tagSet>{operator}<metadataOptions><state>applied</state>\
         <httpTokens>{}</httpTokens><httpPutResponseHopLimit>{}</httpPutResponseHopLimit>\
         <httpEndpoint>{}</httpEndpoint></metadataOptions></item>",
        instance.id, instance.state, instance.tokens, instance.hop_limit, instance.endpoint
    )
}

/// A call of AWS.
#[derive(Debug)]
enum Request {
    GetCallerIdentity,
    DescribeInstances { ids: Vec<String> },
    Modify(BTreeMap<String, String>),
    GetMetricData(MetricQuery),
    Other(String),
}

#[derive(Debug)]
struct MetricQuery {
    start: OffsetDateTime,
    end: OffsetDateTime,
    period: Duration,
    series: Vec<Series>,
}

#[derive(Clone, Debug, Default)]
struct Series {
    id: String,
    metric: String,
    instance_id: String,
}

impl Request {
    fn read(request: &HttpRequest) -> Self {
        let body = request.body().bytes().unwrap_or_default();
        if request.uri().contains("GetMetricData") {
            return Self::GetMetricData(MetricQuery::read(body));
        }
        let parameters: BTreeMap<String, String> = form_urlencoded(body);
        match parameters.get("Action").map(String::as_str) {
            Some("GetCallerIdentity") => Self::GetCallerIdentity,
            Some("DescribeInstances") => {
                let ids = parameters.iter().filter(|(name, _)| name.starts_with("InstanceId"));
                Self::DescribeInstances { ids: ids.map(|(_, id)| id.clone()).collect() }
            }
            Some("ModifyInstanceMetadataOptions") => Self::Modify(parameters),
            action => Self::Other(action.unwrap_or_default().to_owned()),
        }
    }

    fn describe(&self) -> String {
        match self {
            Self::GetCallerIdentity => "GetCallerIdentity".to_owned(),
            Self::DescribeInstances { ids } => format!("DescribeInstances {ids:?}"),
            Self::Modify(parameters) => format!("Modify {parameters:?}"),
            Self::GetMetricData(query) => {
                format!("GetMetricData {} to {}, {} series", query.start, query.end, query.series.len())
            }
            Self::Other(action) => action.clone(),
        }
    }

    fn error(&self, status: u16, code: &str) -> HttpResponse {
        if matches!(self, Self::GetMetricData(_)) {
            let mut encoder = Encoder::new(Vec::new());
            encoder.begin_map();
            encoder.str("__type").str(&format!("com.amazonaws#{code}"));
            encoder.str("message").str("so says the model");
            encoder.end();
            return cbor(status, encoder.into_writer());
        }
        xml(
            status,
            &format!(
                "<Response><Errors><Error><Code>{code}</Code><Message>so says the model</Message></Error></Errors><RequestID>1</RequestID></Response>"
            ),
        )
    }
}

impl MetricQuery {
    /// Reads a request in CBOR: a map with a list of queries, and the times.
    fn read(body: &[u8]) -> Self {
        let (mut start, mut end, mut period, mut all) = (START, START, 60, Vec::new());
        let mut decoder = Decoder::new(body);
        decoder.map().expect("a map");
        while let Ok(key) = decoder.str().map(|key| key.into_owned()) {
            match key.as_str() {
                "StartTime" => start = time_of(&decoder.timestamp().expect("a time")),
                "EndTime" => end = time_of(&decoder.timestamp().expect("a time")),
                "MetricDataQueries" => {
                    let count = decoder.list().expect("a list").unwrap_or_default();
                    for _ in 0..count {
                        let mut series = Series::default();
                        read_query(&mut decoder, &mut series, &mut period);
                        all.push(series);
                    }
                }
                _ => decoder.skip().expect("a value"),
            }
        }
        Self { start, end, period: Duration::seconds(period.into()), series: all }
    }
}

/// Reads a query: every map in it is read for the keys that matter.
fn read_query(decoder: &mut Decoder<'_>, series: &mut Series, period: &mut i32) {
    decoder.map().expect("a map");
    while let Ok(key) = decoder.str().map(|key| key.into_owned()) {
        match key.as_str() {
            "Id" => series.id = decoder.string().expect("text"),
            "MetricName" => series.metric = decoder.string().expect("text"),
            "Value" => series.instance_id = decoder.string().expect("text"),
            "Period" => *period = decoder.integer().expect("a number"),
            "MetricStat" | "Metric" => read_query(decoder, series, period),
            "Dimensions" => {
                for _ in 0..decoder.list().expect("a list").unwrap_or_default() {
                    read_query(decoder, series, period);
                }
            }
            _ => decoder.skip().expect("a value"),
        }
    }
    // The end of a map of unknown length.
    let _ = decoder.skip();
}

fn time_of(at: &DateTime) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(at.secs()).expect("a time")
}

fn hour_of(at: OffsetDateTime) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(at.unix_timestamp().div_euclid(3_600) * 3_600).expect("a time")
}

fn form_urlencoded(body: &[u8]) -> BTreeMap<String, String> {
    let text = String::from_utf8_lossy(body);
    let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), value.replace("%3A", ":"))).collect()
}

/// Returns the last step of an instance in the journal.
fn last_step(journal: &Path, id: &str) -> Option<String> {
    let text = std::fs::read_to_string(journal).ok()?;
    let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut steps = lines.filter(|line| line["instanceId"] == id);
    steps.next_back().and_then(|line| Some(line["step"].as_str()?.to_owned()))
}

fn xml(status: u16, body: &str) -> HttpResponse {
    HttpResponse::new(status.try_into().expect("a status"), SdkBody::from(body.to_owned()))
}

fn cbor(status: u16, body: Vec<u8>) -> HttpResponse {
    let mut response = HttpResponse::new(status.try_into().expect("a status"), SdkBody::from(body));
    response.headers_mut().insert("smithy-protocol", "rpc-v2-cbor");
    response
}
