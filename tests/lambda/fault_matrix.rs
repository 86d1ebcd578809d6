//! Each call of the function against each fault: AWS Config accepts every evaluation, or the invocation fails with an
//! error that names the call; and the next event is evaluated, by the same process.
//!
//! docs/reliability.md contains the matrix. `SNAPSHOTS=overwrite cargo test fault_matrix` writes it.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinSet;
use wiremock::ResponseTemplate;

use crate::aws::Aws;
use crate::events::{
    EVENT_TIME, fixture, instance_event, instance_event_in, scheduled_event, with_parameters,
};
use crate::faults::{Fault, Faults};
use crate::function::Function;
use crate::region::{Region, RuleResult, Version};
use crate::responses::ec2;

/// The time limit of each invocation. A scheduled run keeps some seconds of it for itself.
const LIMIT: Duration = Duration::from_secs(6);
const ALWAYS: usize = 1_000;

/// The columns: a fault, and how many calls in a row meet it.
const FAULTS: [(&str, Fault, usize); 14] = [
    ("throttled 3 times", Fault::Throttled, 3),
    ("throttled always", Fault::Throttled, ALWAYS),
    ("500 twice", Fault::ServerError(500), 2),
    ("503 twice", Fault::ServerError(503), 2),
    ("500 always", Fault::ServerError(500), ALWAYS),
    ("reset before the response, twice", Fault::ResetBefore, 2),
    ("reset within the response, twice", Fault::ResetWithin, 2),
    ("reset always", Fault::ResetBefore, ALWAYS),
    ("malformed response", Fault::Malformed, ALWAYS),
    ("no response in time", Fault::Slow, ALWAYS),
    ("access denied", Fault::AccessDenied, ALWAYS),
    ("expired token", Fault::ExpiredToken, ALWAYS),
    ("partial failure, once", Fault::PartialFailure, 1),
    ("partial failure, always", Fault::PartialFailure, ALWAYS),
];

/// A row: an event, and one of the calls that it takes.
#[derive(Clone, Copy)]
struct Row {
    event: &'static str,
    operation: &'static str,
}

const ROWS: [Row; 15] = [
    Row { event: CHANGE, operation: "PutEvaluations" },
    Row { event: OVERSIZED, operation: "GetResourceConfigHistory" },
    Row { event: GAP, operation: "DescribeInstances" },
    Row { event: MEMBER, operation: "AssumeRole" },
    Row { event: MEMBER, operation: "PutEvaluations" },
    Row { event: GROUP, operation: "DescribeLaunchTemplateVersions" },
    Row { event: GROUP, operation: "DescribeImages" },
    Row { event: SCHEDULED, operation: "DescribeInstances" },
    Row { event: SCHEDULED, operation: "DescribeLaunchTemplates" },
    Row { event: SCHEDULED, operation: "DescribeLaunchTemplateVersions" },
    Row { event: SCHEDULED, operation: "DescribeLaunchConfigurations" },
    Row { event: SCHEDULED, operation: "DescribeAutoScalingGroups" },
    Row { event: SCHEDULED, operation: "GetInstanceMetadataDefaults" },
    Row { event: SCHEDULED, operation: "GetComplianceDetailsByConfigRule" },
    Row { event: SCHEDULED, operation: "PutEvaluations" },
];

const CHANGE: &str = "a change";
const OVERSIZED: &str = "an oversized change";
const GAP: &str = "an incomplete item";
const MEMBER: &str = "a member account";
const GROUP: &str = "an Auto Scaling group";
const SCHEDULED: &str = "a scheduled run";

impl Row {
    fn event(self) -> Value {
        match self.event {
            OVERSIZED => fixture("oversized-event.json"),
            GAP => fixture("no-metadata-options-event.json"),
            MEMBER => instance_event_in("222222222222"),
            GROUP => with_parameters(
                fixture("auto-scaling-group-event.json"),
                &json!({"defaultsCompliant": "true"}),
            ),
            SCHEDULED => scheduled_event(&json!({"accountDefaults": "true", "exemptionTagKey": "until"})),
            _ => instance_event(),
        }
    }

    fn aws(self, faults: Faults) -> Aws {
        // The SDK renews credentials that are about to expire, so every invocation assumes the role.
        let credentials_seconds = if self.operation == "AssumeRole" { 5 } else { 3600 };
        let mut history = fixture("oversized-history-item.json");
        history["configurationItemCaptureTime"] = json!(EVENT_TIME);
        history["resourceCreationTime"] = Value::Null;
        Aws {
            region: [GROUP, SCHEDULED].contains(&self.event).then(region),
            lookup: Some(open_instance()),
            history: Some(history),
            credentials_seconds,
            faults,
            ..Aws::default()
        }
    }
}

/// Returns the instance of `no-metadata-options-event.json`, as EC2 describes it.
fn open_instance() -> ResponseTemplate {
    ec2(
        "DescribeInstances",
        "<reservationSet><item><instancesSet><item><instanceId>i-0015c4b3a29180f7e</instanceId><instanceState>\
         <name>running</name></instanceState><metadataOptions><httpTokens>optional</httpTokens></metadataOptions>\
         </item></instancesSet></item></reservationSet>",
    )
}

/// Returns a Region with something of everything.
fn region() -> Region {
    let unset = "<imageId>ami-1</imageId>";
    let versions = [("lt-0a1b2c3d4e5f60718", 1, true), ("lt-0a1b2c3d4e5f60718", 3, false)].map(
        |(template, number, is_default)| Version {
            template: template.to_owned(),
            number,
            is_default,
            data: unset,
        },
    );
    Region {
        page_size: 100,
        launch_templates: vec![("lt-1", "<httpTokens>required</httpTokens>", "2027-01-01")],
        launch_configurations: vec![(
            "arn:aws:autoscaling:us-east-1:123456789012:launchConfiguration:u1:launchConfigurationName/old",
            "<HttpTokens>optional</HttpTokens>",
        )],
        versions: versions.to_vec(),
        groups: vec![("web".to_owned(), "<LaunchConfigurationName>old</LaunchConfigurationName>".to_owned())],
        images: vec![("ami-1", "v2.0")],
        results: vec![RuleResult::compliant("AWS::EC2::Instance", "i-0eeeeeeeeeeeeeeee")],
        ..Region::with_instances(120)
    }
}

/// The evaluations that AWS Config accepted, each as type, id and compliance type.
type Accepted = BTreeSet<[String; 3]>;

fn assert_same(accepted: &Accepted, expected: &Accepted, case: &str) {
    let different: Vec<_> = accepted.symmetric_difference(expected).take(3).collect();
    assert!(different.is_empty(), "{case}: {} accepted, such as {different:?}", accepted.len());
}

/// A function, whose calls fail when they are told to.
struct Subject {
    row: Row,
    faults: Faults,
    function: Function,
}

impl Subject {
    async fn start(row: Row) -> Self {
        let faults = Faults::default();
        let function = Function::start_behind_proxy(
            row.aws(faults.clone()),
            &[("MEMBER_ROLE_NAME", "imdsv2-config-rule-member-us-east-1")],
        )
        .await;
        Self { row, faults, function }
    }

    /// Invokes the function. Returns the error message, if any, and what AWS Config accepted.
    async fn invoke(&self) -> (Option<String>, Accepted) {
        let before = self.function.accepted().len();
        let outcome = self.function.invoke_within(&self.row.event(), LIMIT).await;
        let accepted = self.function.accepted().split_off(before);
        let text = |evaluation: &Value, field: &str| evaluation[field].as_str().unwrap().to_owned();
        let fields = ["ComplianceResourceType", "ComplianceResourceId", "ComplianceType"];
        let accepted = accepted.iter().map(|evaluation| fields.map(|field| text(evaluation, field)));
        (outcome.err().map(|failure| failure.message), accepted.collect())
    }

    /// Returns how the function met a fault.
    async fn cell(&self, (name, fault, times): (&str, Fault, usize), expected: &Accepted) -> &'static str {
        let Row { event, operation } = self.row;
        if fault == Fault::PartialFailure && operation != "PutEvaluations" {
            return "";
        }
        let cell = format!("{event}, {operation}, {name}");
        self.faults.start(operation, fault, times);
        let (failure, accepted) = self.invoke().await;
        assert!(self.faults.end(times), "{cell}: the call was not made");
        let outcome = match &failure {
            None => {
                assert_same(&accepted, expected, &cell);
                "reported"
            }
            Some(message) => {
                assert!(message.contains(operation), "{cell}: {message}");
                assert!(accepted.is_subset(expected), "{cell}: nothing wrong is reported");
                "fails"
            }
        };
        let (failure, accepted) = self.invoke().await;
        assert_eq!(failure, None, "{cell}: the next event");
        assert_same(&accepted, expected, &format!("{cell}: the next event"));
        outcome
    }

    /// Returns a line of the matrix.
    async fn line(self) -> String {
        let (failure, expected) = self.invoke().await;
        assert_eq!(failure, None, "{}", self.row.event);
        assert!(!expected.is_empty(), "{}", self.row.event);
        let mut line = format!("| {} | `{}` |", self.row.event, self.row.operation);
        for fault in FAULTS {
            write!(line, " {} |", self.cell(fault, &expected).await).unwrap();
        }
        line
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_evaluation_is_accepted_or_the_invocation_fails() {
    let mut lines = JoinSet::new();
    for (index, row) in ROWS.into_iter().enumerate() {
        lines.spawn(async move { (index, Subject::start(row).await.line().await) });
    }
    let mut lines = lines.join_all().await;
    lines.sort_unstable();
    let names = FAULTS.map(|(name, ..)| format!(" {name} |")).concat();
    let rule = "---|".repeat(FAULTS.len() + 2);
    let lines: Vec<_> = lines.into_iter().map(|(_, line)| line).collect();
    let matrix = format!("| event | call |{names}\n|{rule}\n{}\n", lines.join("\n"));

    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/reliability.md");
    let page = std::fs::read_to_string(path).unwrap();
    let (before, rest) = page.split_once("<!-- matrix -->\n").unwrap();
    let (_, after) = rest.split_once("<!-- end of the matrix -->").unwrap();
    let expected = format!("{before}<!-- matrix -->\n{matrix}<!-- end of the matrix -->{after}");
    snapbox::assert_data_eq!(expected, snapbox::Data::read_from(path.as_ref(), None).raw());
}
