//! The protocols of AWS: requests that are read, and responses that are written.

use std::collections::BTreeMap;

use aws_smithy_cbor::Decoder;
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_types::DateTime;
use aws_smithy_types::body::SdkBody;
use serde_json::Value;
use time::{Duration, OffsetDateTime};

use super::world::START;

/// A call of AWS.
#[derive(Debug)]
pub(super) enum Request {
    GetCallerIdentity,
    DescribeInstances {
        ids: Vec<String>,
    },
    Modify(BTreeMap<String, String>),
    GetMetricData(MetricQuery),
    /// An operation of Systems Manager, and its input.
    Automation(String, Value),
    Other(String),
}

#[derive(Debug)]
pub(super) struct MetricQuery {
    pub(super) start: OffsetDateTime,
    pub(super) end: OffsetDateTime,
    pub(super) period: Duration,
    pub(super) series: Vec<Series>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Series {
    pub(super) id: String,
    pub(super) metric: String,
    pub(super) instance_id: String,
}

impl Request {
    pub(super) fn read(request: &HttpRequest) -> Self {
        let body = request.body().bytes().unwrap_or_default();
        if let Some(operation) = request.headers().get("x-amz-target") {
            let operation = operation.rsplit('.').next().unwrap_or_default().to_owned();
            return Self::Automation(operation, serde_json::from_slice(body).unwrap_or_default());
        }
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

    pub(super) fn describe(&self) -> String {
        match self {
            Self::GetCallerIdentity => "GetCallerIdentity".to_owned(),
            Self::DescribeInstances { ids } => format!("DescribeInstances {ids:?}"),
            Self::Modify(parameters) => format!("Modify {parameters:?}"),
            Self::GetMetricData(query) => {
                format!("GetMetricData {} to {}, {} series", query.start, query.end, query.series.len())
            }
            Self::Automation(operation, input) => format!("{operation} {input}"),
            Self::Other(action) => action.clone(),
        }
    }

    pub(super) fn error(&self, status: u16, code: &str) -> HttpResponse {
        if matches!(self, Self::Automation(..)) {
            return json(status, &serde_json::json!({"__type": code, "message": "so says the model"}));
        }
        if matches!(self, Self::GetMetricData(_)) {
            let mut encoder = aws_smithy_cbor::Encoder::new(Vec::new());
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

fn form_urlencoded(body: &[u8]) -> BTreeMap<String, String> {
    let text = String::from_utf8_lossy(body);
    let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), value.replace("%3A", ":"))).collect()
}

pub(super) fn xml(status: u16, body: &str) -> HttpResponse {
    HttpResponse::new(status.try_into().expect("a status"), SdkBody::from(body.to_owned()))
}

pub(super) fn cbor(status: u16, body: Vec<u8>) -> HttpResponse {
    let mut response = HttpResponse::new(status.try_into().expect("a status"), SdkBody::from(body));
    response.headers_mut().insert("smithy-protocol", "rpc-v2-cbor");
    response
}

pub(super) fn json(status: u16, body: &Value) -> HttpResponse {
    HttpResponse::new(status.try_into().expect("a status"), SdkBody::from(body.to_string()))
}
