//! The protocols of AWS: requests that are read, and responses that are written.

use std::collections::BTreeMap;

use aws_smithy_cbor::Decoder;
use aws_smithy_cbor::data::Type;
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
        let mut query = Self { start: START, end: START, period: Duration::minutes(1), series: Vec::new() };
        read_map(&mut Decoder::new(body), &mut |key, decoder| match key {
            "StartTime" => query.start = time_of(&decoder.timestamp().expect("a time")),
            "EndTime" => query.end = time_of(&decoder.timestamp().expect("a time")),
            "MetricDataQueries" => read_list(decoder, &mut |decoder| {
                let mut series = Series::default();
                series.read(decoder, &mut query.period);
                query.series.push(series);
            }),
            _ => decoder.skip().expect("a value"),
        });
        query
    }
}

impl Series {
    /// Reads a query: every map in it is read for the keys that matter.
    fn read(&mut self, decoder: &mut Decoder<'_>, period: &mut Duration) {
        read_map(decoder, &mut |key, decoder| match key {
            "Id" => self.id = decoder.string().expect("text"),
            "MetricName" => self.metric = decoder.string().expect("text"),
            "Value" => self.instance_id = decoder.string().expect("text"),
            "Period" => *period = Duration::seconds(decoder.integer().expect("a number").into()),
            "MetricStat" | "Metric" => self.read(decoder, period),
            "Dimensions" => read_list(decoder, &mut |decoder| self.read(decoder, period)),
            _ => decoder.skip().expect("a value"),
        });
    }
}

fn read_map(decoder: &mut Decoder<'_>, read: &mut dyn FnMut(&str, &mut Decoder<'_>)) {
    let length = decoder.map().expect("a map");
    read_elements(decoder, length, &mut |decoder| {
        let key = decoder.string().expect("a key");
        read(&key, decoder);
    });
}

fn read_list(decoder: &mut Decoder<'_>, read: &mut dyn FnMut(&mut Decoder<'_>)) {
    let length = decoder.list().expect("a list");
    read_elements(decoder, length, read);
}

/// Reads the elements of a map or list of this length; without a length, up to its end.
fn read_elements(decoder: &mut Decoder<'_>, length: Option<u64>, read: &mut dyn FnMut(&mut Decoder<'_>)) {
    let mut left = length;
    loop {
        match &mut left {
            Some(0) => return,
            Some(count) => *count -= 1,
            None if decoder.datatype().expect("an element") == Type::Break => {
                return decoder.skip().expect("the end");
            }
            None => {}
        }
        read(decoder);
    }
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
