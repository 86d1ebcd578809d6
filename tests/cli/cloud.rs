//! A stand-in of AWS over HTTP: what the commands that call AWS are tested against.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use serde_json::Value;
use snapbox::cmd::Command;
use tokio::runtime::Runtime;
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate, matchers};

use crate::harness::imdsv2;

/// The account of the credentials in the environment.
pub(crate) const OWN: &str = "123456789012";

/// A call of AWS.
pub(crate) struct Call {
    pub(crate) operation: String,
    pub(crate) region: String,
    /// The access key that signed it. It ends with the id of its account.
    pub(crate) access_key: String,
    pub(crate) body: String,
}

impl Call {
    fn of(request: &Request) -> Self {
        let body = String::from_utf8_lossy(&request.body).into_owned();
        let field = |name: &str| {
            let value = body.split('&').find_map(|field| field.strip_prefix(name)?.strip_prefix('='));
            value.unwrap_or_default().to_owned()
        };
        let authorization = request.headers.get("authorization").map_or("", |value| value.to_str().unwrap());
        let (_, scope) = authorization.split_once("Credential=").unwrap_or_default();
        let mut scope = scope.split('/').map(str::to_owned);
        let (access_key, region) = (scope.next().unwrap_or_default(), scope.nth(1).unwrap_or_default());
        // CloudWatch names the operation in the path, and AWS Organizations in a header.
        let path = request.url.path().split_once("/operation/").map(|(_, operation)| operation.to_owned());
        let target = request.headers.get("x-amz-target").and_then(|target| target.to_str().ok());
        let target = target.and_then(|target| Some(target.split_once('.')?.1.to_owned()));
        let operation = path.or(target).unwrap_or_else(|| field("Action"));
        Self { operation, region, access_key, body }
    }

    fn account(&self) -> &str {
        &self.access_key[self.access_key.len() - 12..]
    }
}

/// How a test changes what AWS returns. `None`: as usual.
type Answer = dyn Fn(&Call) -> Option<ResponseTemplate> + Send + Sync;

/// AWS with two enabled Regions, without resources unless a test adds them.
pub(crate) struct Cloud {
    server: MockServer,
    calls: Arc<Mutex<Vec<Call>>>,
    _runtime: Runtime,
}

struct StandIn {
    answer: Box<Answer>,
    calls: Arc<Mutex<Vec<Call>>>,
}

impl Respond for StandIn {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let call = Call::of(request);
        let response = (self.answer)(&call).unwrap_or_else(|| usual(&call));
        self.calls.lock().unwrap().push(call);
        response
    }
}

impl Cloud {
    pub(crate) fn new(answer: impl Fn(&Call) -> Option<ResponseTemplate> + Send + Sync + 'static) -> Self {
        let runtime = Runtime::new().unwrap();
        let calls = Arc::default();
        let stand_in = StandIn { answer: Box::new(answer), calls: Arc::clone(&calls) };
        let server = runtime.block_on(async {
            let server = MockServer::start().await;
            Mock::given(matchers::any()).respond_with(stand_in).mount(&server).await;
            server
        });
        Self { server, calls, _runtime: runtime }
    }

    /// The environment of a process that works in this cloud.
    pub(crate) fn environment(&self) -> Vec<(&'static str, String)> {
        vec![
            ("AWS_ENDPOINT_URL", self.server.uri()),
            ("AWS_ACCESS_KEY_ID", format!("AKIA{OWN}")),
            ("AWS_SECRET_ACCESS_KEY", "secret".to_owned()),
            ("AWS_CONFIG_FILE", "/dev/null".to_owned()),
            ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null".to_owned()),
            ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
        ]
    }

    /// The command line in this cloud.
    pub(crate) fn imdsv2(&self, arguments: &[&str]) -> Command {
        let command = ["AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_SESSION_TOKEN"]
            .into_iter()
            .fold(imdsv2(arguments), |command, name| command.env_remove(name));
        self.environment().into_iter().fold(command, |command, (name, value)| command.env(name, value))
    }

    /// The accounts and Regions in which `operation` was called, in order; repeated calls repeat them.
    pub(crate) fn called(&self, operation: &str) -> Vec<(String, String)> {
        let calls = self.calls.lock().unwrap();
        let calls = calls.iter().filter(|call| call.operation == operation);
        let mut called: Vec<_> = calls.map(|call| (call.account().to_owned(), call.region.clone())).collect();
        called.sort();
        called
    }

    /// The accounts that were called at all.
    pub(crate) fn accounts(&self) -> BTreeSet<String> {
        self.calls.lock().unwrap().iter().map(|call| call.account().to_owned()).collect()
    }
}

fn usual(call: &Call) -> ResponseTemplate {
    match call.operation.as_str() {
        "GetCallerIdentity" => sts(
            "GetCallerIdentity",
            &format!("<Arn>arn:aws:sts::{0}:user/u</Arn><Account>{0}</Account>", call.account()),
        ),
        "AssumeRole" => {
            let (_, arn) = call.body.split_once("RoleArn=").unwrap();
            let account = arn.split("%3A").nth(4).unwrap();
            sts(
                "AssumeRole",
                &format!(
                    "<Credentials><AccessKeyId>ASIA{account}</AccessKeyId><SecretAccessKey>s</SecretAccessKey>\
                     <SessionToken>t</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>"
                ),
            )
        }
        "DescribeRegions" => ec2(
            "DescribeRegions",
            "<regionInfo><item><regionName>us-east-1</regionName></item>\
             <item><regionName>eu-west-1</regionName></item></regionInfo>",
        ),
        "DescribeLaunchConfigurations" => ok(
            "<DescribeLaunchConfigurationsResponse><DescribeLaunchConfigurationsResult><LaunchConfigurations/>\
             </DescribeLaunchConfigurationsResult></DescribeLaunchConfigurationsResponse>",
        ),
        "DescribeAutoScalingGroups" => {
            ok("<DescribeAutoScalingGroupsResponse><DescribeAutoScalingGroupsResult><AutoScalingGroups/>\
             </DescribeAutoScalingGroupsResult></DescribeAutoScalingGroupsResponse>")
        }
        "GetInstanceMetadataDefaults" => ec2("GetInstanceMetadataDefaults", "<accountLevel/>"),
        operation => ec2(operation, ""),
    }
}

fn ok(body: &str) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_string(body)
}

fn sts(operation: &str, result: &str) -> ResponseTemplate {
    ok(&format!(
        "<{operation}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><{operation}Result>{result}\
         </{operation}Result></{operation}Response>"
    ))
}

/// A response of EC2.
pub(crate) fn ec2(operation: &str, body: &str) -> ResponseTemplate {
    ok(&format!(
        "<{operation}Response xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\">{body}</{operation}Response>"
    ))
}

/// A page of instances that accept IMDSv1, and the token of the next page, if there is one.
pub(crate) fn instances(ids: &[&str], next: Option<&str>) -> ResponseTemplate {
    let instances: Vec<_> = ids
        .iter()
        .map(|id| {
            format!(
                "<item><instanceId>{id}</instanceId><instanceState><code>16</code><name>running</name>\
                 </instanceState><metadataOptions><state>applied</state><httpTokens>optional</httpTokens>\
                 <httpPutResponseHopLimit>1</httpPutResponseHopLimit><httpEndpoint>enabled</httpEndpoint>\
                 </metadataOptions></item>"
            )
        })
        .collect();
    let next = next.map(|token| format!("<nextToken>{token}</nextToken>")).unwrap_or_default();
    ec2(
        "DescribeInstances",
        &format!(
            "<reservationSet><item><instancesSet>{}</instancesSet></item></reservationSet>{next}",
            instances.concat()
        ),
    )
}

/// A call that EC2 refuses.
pub(crate) fn refusal() -> ResponseTemplate {
    ec2_error(403, "UnauthorizedOperation")
}

/// An error of EC2.
pub(crate) fn ec2_error(status: u16, code: &str) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_string(format!(
        "<Response><Errors><Error><Code>{code}</Code><Message>no</Message></Error></Errors>\
         <RequestID>1</RequestID></Response>"
    ))
}

/// A response of AWS Organizations.
pub(crate) fn organizations(body: &Value) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_raw(body.to_string(), "application/x-amz-json-1.1")
}

/// A call that CloudWatch refuses, in CBOR: `{"__type": "AccessDenied", "message": "no"}`.
pub(crate) fn denial() -> ResponseTemplate {
    ResponseTemplate::new(400)
        .insert_header("smithy-protocol", "rpc-v2-cbor")
        .set_body_bytes(*b"\xa2\x66__type\x6cAccessDenied\x67message\x62no")
}
