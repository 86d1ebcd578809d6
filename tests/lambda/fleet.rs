//! A Region full of what launches or was launched, as EC2, EC2 Auto Scaling and AWS Config tell of it.

use std::fmt::Write;
use std::time::Duration;

use serde_json::{Value, json};
use wiremock::{Request, ResponseTemplate};

/// What there is in the Region, and what its services do.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fleet {
    /// How many instances run: every other one requires tokens.
    pub(crate) instances: usize,
    /// An instance beside them, as EC2 describes it.
    pub(crate) odd_instance: String,
    /// How many of them are in a page.
    pub(crate) page: usize,
    /// How long a page takes.
    pub(crate) delay: Duration,
    /// The page of instances, counted from one, that is refused, and with which code.
    pub(crate) refused: Option<(usize, &'static str)>,
    /// An operation that is refused altogether.
    pub(crate) refused_operation: &'static str,
    /// How often EC2 throttles before it answers.
    pub(crate) throttled: usize,
    /// The launch templates: id, metadata options, value of the tag `until`.
    pub(crate) launch_templates: Vec<(&'static str, &'static str, &'static str)>,
    /// The launch configurations: ARN and metadata options.
    pub(crate) launch_configurations: Vec<(&'static str, &'static str)>,
    /// The account-level defaults.
    pub(crate) defaults: &'static str,
    /// The rule's results: type, id, and whether it complied; all of them of the second given.
    pub(crate) results: Vec<(String, String, bool)>,
    /// The time by which they are ordered, in seconds of the epoch.
    pub(crate) results_at: f64,
}

impl Fleet {
    /// Only instances, in pages of 250.
    pub(crate) fn of(instances: usize) -> Self {
        Self { instances, page: 250, results_at: 1_700_000_000.5, ..Self::default() }
    }

    /// The id of the instance with this number.
    pub(crate) fn id(number: usize) -> String {
        format!("i-{number:017x}")
    }

    /// What a service answers, if it is one of these.
    pub(crate) fn answer(&mut self, operation: &str, request: &Request) -> Option<ResponseTemplate> {
        let body = String::from_utf8_lossy(&request.body);
        if operation == self.refused_operation {
            return Some(match operation {
                "GetComplianceDetailsByConfigRule" => ResponseTemplate::new(400)
                    .set_body_json(json!({"__type": "AccessDeniedException", "message": "so says the test"})),
                _ => error(403, "AccessDenied"),
            });
        }
        let body = match operation {
            "GetComplianceDetailsByConfigRule" => {
                return Some(
                    ResponseTemplate::new(200).set_body_json(self.results(&request.body_json().unwrap())),
                );
            }
            "DescribeInstances" => {
                if self.throttled > 0 {
                    self.throttled -= 1;
                    return Some(error(503, "RequestLimitExceeded"));
                }
                let start = token(&body);
                if let Some((page, code)) = self.refused
                    && start / self.page + 1 == page
                {
                    return Some(error(403, code));
                }
                self.instances_from(start)
            }
            "DescribeLaunchTemplateVersions" => self.versions(&body),
            "DescribeLaunchTemplates" => self.templates(&body),
            "DescribeLaunchConfigurations" => self.configurations(&body),
            "GetInstanceMetadataDefaults" => {
                ec2(operation, &format!("<accountLevel>{}</accountLevel>", self.defaults))
            }
            _ => return None,
        };
        Some(ResponseTemplate::new(200).set_body_string(body).set_delay(self.delay))
    }

    fn instances_from(&self, start: usize) -> String {
        let end = (start + self.page).min(self.instances);
        let mut set = String::new();
        for number in start..end {
            let tokens = if number % 2 == 0 { "optional" } else { "required" };
            write!(
                set,
                "<item><reservationId>r-{number:017x}</reservationId><instancesSet><item><instanceId>{}</instanceId>\
                 <instanceState><code>16</code><name>running</name></instanceState><metadataOptions><state>applied\
                 </state><httpTokens>{tokens}</httpTokens><httpPutResponseHopLimit>2</httpPutResponseHopLimit>\
                 <httpEndpoint>enabled</httpEndpoint></metadataOptions></item></instancesSet></item>",
                Self::id(number)
            )
            .unwrap();
        }
        let last = end == self.instances;
        if last && !self.odd_instance.is_empty() {
            write!(set, "<item><instancesSet>{}</instancesSet></item>", self.odd_instance).unwrap();
        }
        let next = if last { String::new() } else { format!("<nextToken>{end}</nextToken>") };
        ec2("DescribeInstances", &format!("<reservationSet>{set}</reservationSet>{next}"))
    }

    fn versions(&self, body: &str) -> String {
        let (page, next) = page(&self.launch_templates, body, "MaxResults", 200);
        let versions: Vec<_> = page
            .iter()
            .map(|(id, options, _)| {
                format!(
                    "<item><launchTemplateId>{id}</launchTemplateId><defaultVersion>true</defaultVersion>\
                     <launchTemplateData><metadataOptions>{options}</metadataOptions></launchTemplateData></item>"
                )
            })
            .collect();
        ec2(
            "DescribeLaunchTemplateVersions",
            &format!("<launchTemplateVersionSet>{}</launchTemplateVersionSet>{next}", versions.concat()),
        )
    }

    fn templates(&self, body: &str) -> String {
        assert!(body.contains("Filter.1.Name=tag-key&Filter.1.Value.1=until"), "{body}");
        let tagged: Vec<_> = self.launch_templates.iter().filter(|(_, _, until)| !until.is_empty()).collect();
        let (page, next) = page(&tagged, body, "MaxResults", 200);
        let templates: Vec<_> = page
            .iter()
            .map(|(id, _, until)| {
                format!(
                    "<item><launchTemplateId>{id}</launchTemplateId><tagSet><item><key>until</key>\
                     <value>{until}</value></item></tagSet></item>"
                )
            })
            .collect();
        ec2(
            "DescribeLaunchTemplates",
            &format!("<launchTemplates>{}</launchTemplates>{next}", templates.concat()),
        )
    }

    fn configurations(&self, body: &str) -> String {
        let (page, next) = page(&self.launch_configurations, body, "MaxRecords", 100);
        let next = next.replace("nextToken", "NextToken");
        let configurations: Vec<_> = page
            .iter()
            .map(|(arn, options)| {
                format!(
                    "<member><LaunchConfigurationARN>{arn}</LaunchConfigurationARN><MetadataOptions>{options}\
                     </MetadataOptions></member>"
                )
            })
            .collect();
        format!(
            "<DescribeLaunchConfigurationsResponse xmlns=\"http://autoscaling.amazonaws.com/doc/2011-01-01/\">\
             <DescribeLaunchConfigurationsResult><LaunchConfigurations>{}</LaunchConfigurations>{next}\
             </DescribeLaunchConfigurationsResult></DescribeLaunchConfigurationsResponse>",
            configurations.concat()
        )
    }

    /// A page of the rule's results, of the compliance type that is asked for.
    fn results(&self, asked: &Value) -> Value {
        let compliant = asked["ComplianceTypes"] == json!(["COMPLIANT"]);
        let start: usize = asked["NextToken"].as_str().map_or(0, |token| token.parse().unwrap());
        let all: Vec<_> = self.results.iter().filter(|(_, _, complied)| *complied == compliant).collect();
        let size = usize::try_from(asked["Limit"].as_u64().unwrap()).unwrap();
        let page: Vec<_> = all
            .iter()
            .skip(start)
            .take(size)
            .map(|(resource_type, id, _)| {
                json!({
                    "EvaluationResultIdentifier": {
                        "EvaluationResultQualifier":
                            {"ConfigRuleName": asked["ConfigRuleName"], "ResourceType": resource_type, "ResourceId": id},
                        "OrderingTimestamp": self.results_at,
                    },
                    "ComplianceType": asked["ComplianceTypes"][0],
                })
            })
            .collect();
        let end = start + page.len();
        let next = if end < all.len() { json!(end.to_string()) } else { Value::Null };
        json!({"EvaluationResults": page, "NextToken": next})
    }
}

/// The page of `all` that is asked for, of at most `most`, and the token of the next.
fn page<'a, T>(all: &'a [T], body: &str, size_field: &str, most: usize) -> (&'a [T], String) {
    let size = body.split('&').find_map(|field| field.strip_prefix(size_field)?.strip_prefix('='));
    let size: usize = size.unwrap().parse().unwrap();
    assert!(size <= most, "{size_field} is at most {most}");
    let (start, end) = (token(body), (token(body) + size).min(all.len()));
    let next = if end < all.len() { format!("<nextToken>{end}</nextToken>") } else { String::new() };
    (&all[start..end], next)
}

/// The page that is asked for: its first instance.
fn token(body: &str) -> usize {
    body.split('&')
        .find_map(|field| field.strip_prefix("NextToken="))
        .map_or(0, |token| token.parse().unwrap())
}

fn ec2(operation: &str, body: &str) -> String {
    format!(
        "<{operation}Response xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\">{body}</{operation}Response>"
    )
}

fn error(status: u16, code: &str) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_string(format!(
        "<Response><Errors><Error><Code>{code}</Code><Message>so says the test</Message></Error></Errors>\
         <RequestID>1</RequestID></Response>"
    ))
}
