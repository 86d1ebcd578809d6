//! The resources of a Region, as EC2, EC2 Auto Scaling and AWS Config list them.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use serde_json::{Value, json};
use wiremock::{Request, ResponseTemplate};

use crate::responses::{auto_scaling, auto_scaling_error, config, config_error, ec2, ec2_error};

/// The types of the resources, by their names in AWS Config.
pub(crate) const INSTANCE: &str = "AWS::EC2::Instance";
pub(crate) const LAUNCH_TEMPLATE: &str = "AWS::EC2::LaunchTemplate";
pub(crate) const LAUNCH_CONFIGURATION: &str = "AWS::AutoScaling::LaunchConfiguration";
pub(crate) const AUTO_SCALING_GROUP: &str = "AWS::AutoScaling::AutoScalingGroup";
pub(crate) const ACCOUNT: &str = "AWS::::Account";

/// What a Region contains, and how its services respond.
#[derive(Clone, Debug, Default)]
pub(crate) struct Region {
    /// The number of running instances. Those with an odd number require tokens.
    pub(crate) instances: usize,
    /// One more instance at the end of the list, as EC2 describes it.
    pub(crate) last_instance: &'static str,
    /// The number of instances in a page.
    pub(crate) page_size: usize,
    /// The time that EC2 takes to return a page.
    pub(crate) delay: Duration,
    /// The number of requests for instances that EC2 throttles first.
    pub(crate) throttled: usize,
    /// The page of instances, counted from one, that the function may not read.
    pub(crate) denied_page: Option<usize>,
    /// An operation that the function may not call.
    pub(crate) denied_operation: Option<&'static str>,
    /// The launch templates: id, metadata options, value of the tag `until`.
    pub(crate) launch_templates: Vec<(&'static str, &'static str, &'static str)>,
    /// The launch configurations: ARN and metadata options.
    pub(crate) launch_configurations: Vec<(&'static str, &'static str)>,
    /// The versions of launch templates that a request for one template can return.
    pub(crate) versions: Vec<Version>,
    /// The Auto Scaling groups: name, and the elements that name what they launch.
    pub(crate) groups: Vec<(String, String)>,
    /// The AMIs: id and `imdsSupport`.
    pub(crate) images: Vec<(&'static str, &'static str)>,
    /// The account-level defaults, as EC2 describes them.
    pub(crate) account_defaults: &'static str,
    /// The results that AWS Config has of the rule.
    pub(crate) results: Vec<RuleResult>,
    /// The ordering timestamp of all results, in seconds of the epoch.
    pub(crate) results_at: f64,
}

/// A version of a launch template.
#[derive(Clone, Debug)]
pub(crate) struct Version {
    pub(crate) template: String,
    pub(crate) number: i64,
    pub(crate) is_default: bool,
    /// The content of the element `launchTemplateData`.
    pub(crate) data: &'static str,
}

/// A result of the rule.
#[derive(Clone, Debug)]
pub(crate) struct RuleResult {
    pub(crate) resource_type: &'static str,
    pub(crate) resource_id: String,
    pub(crate) compliant: bool,
}

impl RuleResult {
    pub(crate) fn compliant(resource_type: &'static str, resource_id: &str) -> Self {
        Self { resource_type, resource_id: resource_id.to_owned(), compliant: true }
    }

    pub(crate) fn non_compliant(resource_type: &'static str, resource_id: &str) -> Self {
        Self { compliant: false, ..Self::compliant(resource_type, resource_id) }
    }
}

impl Region {
    /// Returns a Region with this number of instances and nothing else.
    pub(crate) fn with_instances(instances: usize) -> Self {
        Self { instances, page_size: 250, results_at: 1_700_000_000.5, ..Self::default() }
    }

    /// Returns the ARN of an Auto Scaling group by its name.
    pub(crate) fn group_arn(name: &str) -> String {
        format!("arn:aws:autoscaling:us-east-1:123456789012:autoScalingGroup:u:autoScalingGroupName/{name}")
    }

    /// Returns the id of an instance by its number.
    pub(crate) fn instance_id(number: usize) -> String {
        format!("i-{number:017x}")
    }

    /// Returns the response to a request, or `None` if the operation does not concern the Region.
    pub(crate) fn respond(&mut self, operation: &str, request: &Request) -> Option<ResponseTemplate> {
        let body = String::from_utf8_lossy(&request.body);
        if self.denied_operation == Some(operation) {
            return Some(match operation {
                "GetComplianceDetailsByConfigRule" => config_error(400, "AccessDeniedException"),
                "DescribeLaunchConfigurations" | "DescribeAutoScalingGroups" => {
                    auto_scaling_error(403, "AccessDenied")
                }
                _ => ec2_error(403, "UnauthorizedOperation"),
            });
        }
        let response = match operation {
            "DescribeInstances" => self.describe_instances(&body),
            "DescribeLaunchTemplateVersions" if body.contains("LaunchTemplateId=") => {
                self.describe_versions_of_template(&body)
            }
            "DescribeLaunchTemplateVersions" => self.describe_launch_template_versions(&body),
            "DescribeLaunchTemplates" => self.describe_launch_templates(&body),
            "DescribeLaunchConfigurations" => self.describe_launch_configurations(&body),
            "DescribeAutoScalingGroups" => self.describe_auto_scaling_groups(&body),
            "DescribeImages" => self.describe_images(&body),
            "GetInstanceMetadataDefaults" => {
                ec2(operation, &format!("<accountLevel>{}</accountLevel>", self.account_defaults))
            }
            "GetComplianceDetailsByConfigRule" => self.compliance_details(&request.body_json().unwrap()),
            _ => return None,
        };
        Some(response)
    }

    fn describe_instances(&mut self, body: &str) -> ResponseTemplate {
        if self.throttled > 0 {
            self.throttled -= 1;
            return ec2_error(503, "RequestLimitExceeded");
        }
        let start = next_token(body);
        if self.denied_page == Some(start / self.page_size + 1) {
            return ec2_error(403, "UnauthorizedOperation");
        }
        let end = (start + self.page_size).min(self.instances);
        let mut reservations = String::new();
        for number in start..end {
            let tokens = if number % 2 == 0 { "optional" } else { "required" };
            write!(
                reservations,
                "<item><reservationId>r-{number:017x}</reservationId><instancesSet><item><instanceId>{}</instanceId>\
                 <instanceState><code>16</code><name>running</name></instanceState><metadataOptions><state>applied\
                 </state><httpTokens>{tokens}</httpTokens><httpPutResponseHopLimit>2</httpPutResponseHopLimit>\
                 <httpEndpoint>enabled</httpEndpoint></metadataOptions></item></instancesSet></item>",
                Self::instance_id(number)
            )
            .unwrap();
        }
        let is_last = end == self.instances;
        if is_last && !self.last_instance.is_empty() {
            write!(reservations, "<item><instancesSet>{}</instancesSet></item>", self.last_instance).unwrap();
        }
        let next = if is_last { String::new() } else { format!("<nextToken>{end}</nextToken>") };
        ec2("DescribeInstances", &format!("<reservationSet>{reservations}</reservationSet>{next}"))
            .set_delay(self.delay)
    }

    fn describe_launch_template_versions(&self, body: &str) -> ResponseTemplate {
        let (page, next) = page(&self.launch_templates, body, "MaxResults", 200);
        let versions: Vec<_> = page
            .iter()
            .map(|(id, options, _)| {
                format!(
                    "<item><launchTemplateId>{id}</launchTemplateId><versionNumber>1</versionNumber><defaultVersion>\
                     true</defaultVersion><launchTemplateData><imageId>ami-1</imageId><metadataOptions>{options}\
                     </metadataOptions></launchTemplateData></item>"
                )
            })
            .collect();
        ec2(
            "DescribeLaunchTemplateVersions",
            &format!("<launchTemplateVersionSet>{}</launchTemplateVersionSet>{next}", versions.concat()),
        )
    }

    /// A version that does not exist fails the whole request.
    fn describe_versions_of_template(&self, body: &str) -> ResponseTemplate {
        let fields: Vec<_> = body.split('&').filter_map(|field| field.split_once('=')).collect();
        let template = fields.iter().find(|(name, _)| *name == "LaunchTemplateId").unwrap().1;
        let versions: Vec<_> = self.versions.iter().filter(|version| version.template == template).collect();
        if versions.is_empty() {
            return ec2_error(400, "InvalidLaunchTemplateId.NotFound");
        }
        let latest = versions.iter().map(|version| version.number).max();
        let wanted = fields.iter().filter(|(name, _)| name.starts_with("LaunchTemplateVersion."));
        let mut items = BTreeMap::new();
        for (_, wanted) in wanted {
            let found = versions.iter().find(|version| match *wanted {
                "%24Default" => version.is_default,
                "%24Latest" => Some(version.number) == latest,
                number => version.number.to_string() == number,
            });
            let Some(version) = found else {
                return ec2_error(400, "InvalidLaunchTemplateId.VersionNotFound");
            };
            items.insert(
                version.number,
                format!(
                    "<item><launchTemplateId>{template}</launchTemplateId><versionNumber>{}</versionNumber>\
                     <defaultVersion>{}</defaultVersion><launchTemplateData>{}</launchTemplateData></item>",
                    version.number, version.is_default, version.data
                ),
            );
        }
        let items: String = items.into_values().collect();
        ec2(
            "DescribeLaunchTemplateVersions",
            &format!("<launchTemplateVersionSet>{items}</launchTemplateVersionSet>"),
        )
    }

    fn describe_auto_scaling_groups(&self, body: &str) -> ResponseTemplate {
        assert!(body.contains("IncludeInstances=false"), "{body}");
        let (page, next) = page(&self.groups, body, "MaxRecords", 100);
        let next = next.replace("nextToken", "NextToken");
        let groups: Vec<_> = page
            .iter()
            .map(|(name, launches)| {
                format!(
                    "<member><AutoScalingGroupARN>{}</AutoScalingGroupARN><AutoScalingGroupName>{name}\
                     </AutoScalingGroupName>{launches}</member>",
                    Self::group_arn(name)
                )
            })
            .collect();
        auto_scaling(
            "DescribeAutoScalingGroups",
            &format!("<AutoScalingGroups>{}</AutoScalingGroups>{next}", groups.concat()),
        )
    }

    /// AMIs that do not exist are left out, since the request is a filter.
    fn describe_images(&self, body: &str) -> ResponseTemplate {
        assert!(body.contains("Filter.1.Name=image-id"), "{body}");
        let images: Vec<_> = self
            .images
            .iter()
            .filter(|(id, _)| body.split('&').any(|field| field.ends_with(&format!("={id}"))))
            .map(|(id, support)| {
                format!("<item><imageId>{id}</imageId><imdsSupport>{support}</imdsSupport></item>")
            })
            .collect();
        ec2("DescribeImages", &format!("<imagesSet>{}</imagesSet>", images.concat()))
    }

    fn describe_launch_templates(&self, body: &str) -> ResponseTemplate {
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

    /// Returns a page of all launch configurations, or those that a request names.
    fn describe_launch_configurations(&self, body: &str) -> ResponseTemplate {
        let (page, next) = if body.contains("LaunchConfigurationNames.member") {
            (self.launch_configurations.as_slice(), String::new())
        } else {
            page(&self.launch_configurations, body, "MaxRecords", 100)
        };
        let next = next.replace("nextToken", "NextToken");
        let configurations: Vec<_> = page
            .iter()
            .map(|(arn, options)| {
                let name = arn.rsplit('/').next().unwrap();
                format!(
                    "<member><LaunchConfigurationARN>{arn}</LaunchConfigurationARN><LaunchConfigurationName>{name}\
                     </LaunchConfigurationName><MetadataOptions>{options}</MetadataOptions></member>"
                )
            })
            .collect();
        auto_scaling(
            "DescribeLaunchConfigurations",
            &format!("<LaunchConfigurations>{}</LaunchConfigurations>{next}", configurations.concat()),
        )
    }

    /// Returns a page of the results with the requested compliance type.
    fn compliance_details(&self, request: &Value) -> ResponseTemplate {
        let compliant = request["ComplianceTypes"] == json!(["COMPLIANT"]);
        let start: usize = request["NextToken"].as_str().map_or(0, |token| token.parse().unwrap());
        let size = usize::try_from(request["Limit"].as_u64().unwrap()).unwrap();
        let all: Vec<_> = self.results.iter().filter(|result| result.compliant == compliant).collect();
        let page: Vec<_> = all
            .iter()
            .skip(start)
            .take(size)
            .map(|result| {
                json!({
                    "EvaluationResultIdentifier": {
                        "EvaluationResultQualifier": {
                            "ConfigRuleName": request["ConfigRuleName"],
                            "ResourceType": result.resource_type,
                            "ResourceId": result.resource_id,
                        },
                        "OrderingTimestamp": self.results_at,
                    },
                    "ComplianceType": request["ComplianceTypes"][0],
                })
            })
            .collect();
        let end = start + page.len();
        let next = if end < all.len() { json!(end.to_string()) } else { Value::Null };
        config(&json!({"EvaluationResults": page, "NextToken": next}))
    }
}

/// Returns the requested page of `all`, and the element with the token of the next page. A request for more than
/// `max_size` fails the test.
fn page<'a, T>(all: &'a [T], body: &str, size_field: &str, max_size: usize) -> (&'a [T], String) {
    let size = body.split('&').find_map(|field| field.strip_prefix(size_field)?.strip_prefix('='));
    let size: usize = size.unwrap().parse().unwrap();
    assert!(size <= max_size, "{size_field} is at most {max_size}");
    let start = next_token(body);
    let end = (start + size).min(all.len());
    let next = if end < all.len() { format!("<nextToken>{end}</nextToken>") } else { String::new() };
    (&all[start..end], next)
}

/// Returns the token in a request: the index of the first element of the page.
fn next_token(body: &str) -> usize {
    body.split('&')
        .find_map(|field| field.strip_prefix("NextToken="))
        .map_or(0, |token| token.parse().unwrap())
}
