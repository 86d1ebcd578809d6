//! The fake Systems Manager: automations of `EnforceImdsv2`, which change the world while a command follows them.

use std::collections::HashMap;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use serde_json::{Value, json};

use super::history::{AutomationFault, History, Phase};
use super::invariants::{judge_enforcement, judge_usage};
use super::protocol;
use super::server::{Server, State};
use super::world::Options;

/// All automations.
#[derive(Debug, Default)]
pub(super) struct Automations(Vec<Automation>);

/// An automation with targets.
#[derive(Debug)]
struct Automation {
    client_token: String,
    instance_ids: Vec<String>,
    /// The options that the command saw last, which are those in its journal.
    described: HashMap<String, Options>,
    hop_limit: Option<i64>,
    max_errors: usize,
    is_stopped: bool,
    children: Vec<Child>,
}

/// The automation of an instance.
#[derive(Clone, Debug)]
struct Child {
    instance_id: String,
    is_successful: bool,
    /// The status of the step that changes the instance; `None` if it was not started.
    change: Option<&'static str>,
    is_hidden: bool,
    is_truncated: bool,
}

impl Automation {
    fn failures(&self) -> usize {
        self.children.iter().filter(|child| !child.is_successful).count()
    }

    /// The instance whose automation is started next.
    fn next(&self) -> Option<&String> {
        let goes_on = !self.is_stopped && self.failures() <= self.max_errors;
        self.instance_ids.get(self.children.len()).filter(|_| goes_on)
    }

    fn status(&self) -> &'static str {
        match self.next() {
            Some(_) => "InProgress",
            None if self.failures() > 0 => "Failed",
            None if self.is_stopped => "Cancelled",
            None => "Success",
        }
    }
}

impl State {
    /// Answers an operation.
    ///
    /// # Errors
    /// Returns the code of an error.
    pub(super) fn automate(
        &mut self,
        server: &Server,
        operation: &str,
        input: &Value,
    ) -> Result<HttpResponse, &'static str> {
        let output = match operation {
            "DescribeDocument" => json!({"Document": {"Parameters": [
                {"Name": "InstanceId"}, {"Name": "HttpPutResponseHopLimit"}, {"Name": "UsageLookbackDays"},
            ]}}),
            "StartAutomationExecution" => {
                json!({"AutomationExecutionId": id_of(self.start(server, input), None)})
            }
            "StopAutomationExecution" => {
                self.automation(input)?.is_stopped = true;
                json!({})
            }
            "GetAutomationExecution" => match number_of(input).ok_or("ValidationException")? {
                (_, Some(_)) => json!({"AutomationExecution": self.child(input)?.describe(input)}),
                (number, None) => {
                    self.advance(number, &server.history);
                    json!({"AutomationExecution": {
                        "AutomationExecutionId": id_of(number, None),
                        "AutomationExecutionStatus": self.automation(input)?.status(),
                    }})
                }
            },
            "DescribeAutomationExecutions" => {
                let parent = input["Filters"][0]["Values"][0].clone();
                let (number, _) = number_of(&parent).ok_or("ValidationException")?;
                let children = self.automation(&parent)?.children.iter().enumerate();
                let listed = children.filter(|(_, child)| !child.is_hidden);
                let listed =
                    listed.map(|(child, _)| json!({"AutomationExecutionId": id_of(number, Some(child))}));
                json!({"AutomationExecutionMetadataList": listed.collect::<Vec<_>>()})
            }
            "DescribeAutomationStepExecutions" => json!({"StepExecutions": self.child(input)?.steps()}),
            _ => return Err("InvalidAction"),
        };
        Ok(protocol::json(200, &output))
    }

    /// Starts an automation, or returns the one that was started with the same client token.
    fn start(&mut self, server: &Server, input: &Value) -> usize {
        let client_token = input["ClientToken"].as_str().unwrap_or_default().to_owned();
        if let Some(number) = self.automations.0.iter().position(|each| each.client_token == client_token) {
            return number;
        }
        let targets = input["Targets"][0]["Values"].as_array().cloned().unwrap_or_default();
        let instance_ids: Vec<String> =
            targets.iter().filter_map(|id| Some(id.as_str()?.to_owned())).collect();
        let hop_limit = &input["Parameters"]["HttpPutResponseHopLimit"][0];
        let hop_limit = hop_limit.as_str().and_then(|limit| limit.parse().ok());
        for id in &instance_ids {
            judge_enforcement(server, self, id, hop_limit);
            if self.automations.0.iter().any(|each| each.instance_ids.contains(id)) {
                self.violate(&format!("a second automation is started for {id}"));
            }
        }
        let max_errors = input["MaxErrors"].as_str().and_then(|errors| errors.parse().ok()).unwrap_or(0);
        let described =
            self.known.iter().filter_map(|(id, known)| Some((id.clone(), known.described.as_ref()?.options)));
        let described = described.collect();
        let (is_stopped, children) = (false, Vec::new());
        self.automations.0.push(Automation {
            client_token,
            instance_ids,
            described,
            hop_limit,
            max_errors,
            is_stopped,
            children,
        });
        self.automations.0.len() - 1
    }

    /// Runs the automation of the next instance.
    fn advance(&mut self, number: usize, history: &History) {
        let Some(automation) = self.automations.0.get(number) else { return };
        let Some(instance_id) = automation.next().cloned() else { return };
        let (hop_limit, described) = (automation.hop_limit, automation.described.get(&instance_id).copied());
        let child = self.run(instance_id, hop_limit, described, history);
        self.tell(&format!("automation: {child:?}"));
        self.automations.0[number].children.push(child);
    }

    /// Enforces IMDSv2 on an instance by the rules of the runbook. The runbook's own tests show that it does.
    fn run(
        &mut self,
        instance_id: String,
        hop_limit: Option<i64>,
        described: Option<Options>,
        history: &History,
    ) -> Child {
        let (now, options) = (self.now, &history.options);
        let number = self.world.instances.iter().position(|instance| instance.id == instance_id);
        let has = |fault| history.automations.iter().any(|(of, each)| Some(*of) == number && *each == fault);
        let mut child = Child {
            instance_id,
            is_successful: !has(AutomationFault::FailsBefore),
            change: None,
            is_hidden: has(AutomationFault::IsHidden),
            is_truncated: has(AutomationFault::IsTruncated),
        };
        let instance = self.world.find(&child.instance_id).cloned();
        let Some(instance) = instance.filter(|_| child.is_successful) else { return child };
        if instance.requires_tokens() || instance.is_exempt || instance.is_managed {
            return child;
        }
        let is_judged = options.lookback_days > 0 && !options.force;
        if is_judged && !judge_usage(options, &instance, &instance, now).is_empty() {
            child.is_successful = false;
            return child;
        }
        let (fails_instead, fails_during) =
            (has(AutomationFault::FailsInstead), has(AutomationFault::FailsDuring));
        if !fails_instead {
            let raised = hop_limit.filter(|limit| *limit > instance.options.hop_limit);
            let raised = raised.filter(|_| instance.options.endpoint == "enabled");
            self.change(&child.instance_id, "required", raised, described);
        }
        child.change = Some(if fails_instead || fails_during { "Failed" } else { "Success" });
        child.is_successful = child.change == Some("Success") && !has(AutomationFault::FailsAfter);
        child
    }

    /// Runs all automations to their ends, which nobody follows.
    pub(super) fn finish_automations(&mut self, history: &History) {
        self.phase = Phase::Remediate;
        for number in 0..self.automations.0.len() {
            while self.automations.0[number].next().is_some() {
                self.advance(number, history);
            }
        }
    }

    fn automation(&mut self, input: &Value) -> Result<&mut Automation, &'static str> {
        let (number, _) = number_of(input).ok_or("ValidationException")?;
        self.automations.0.get_mut(number).ok_or("AutomationExecutionNotFoundException")
    }

    fn child(&mut self, input: &Value) -> Result<Child, &'static str> {
        let number = number_of(input).and_then(|(_, child)| child).ok_or("ValidationException")?;
        let child = self.automation(input)?.children.get(number).cloned();
        child.ok_or("AutomationExecutionNotFoundException")
    }
}

impl Child {
    fn describe(&self, input: &Value) -> Value {
        json!({
            "AutomationExecutionId": input["AutomationExecutionId"],
            "AutomationExecutionStatus": if self.is_successful { "Success" } else { "Failed" },
            "FailureMessage": "so says the model",
            "Parameters": {"InstanceId": [self.instance_id]},
            "Outputs": {"Before.Finding": ["so says the model"]},
            "StepExecutionsTruncated": self.is_truncated,
            "StepExecutions": if self.is_truncated { Vec::new() } else { self.steps() },
        })
    }

    fn steps(&self) -> Vec<Value> {
        let change = match self.change {
            None => json!({"StepName": "RequireTokens", "StepStatus": "Pending"}),
            Some(status) => {
                json!({"StepName": "RequireTokens", "StepStatus": status, "ExecutionStartTime": 1_750_000_000})
            }
        };
        vec![
            json!({"StepName": "Look", "StepStatus": "Success", "ExecutionStartTime": 1_750_000_000}),
            change,
        ]
    }
}

/// Returns the id of an automation, or of one of its children.
fn id_of(number: usize, child: Option<usize>) -> String {
    format!("00000000-0000-0000-{number:04}-{:012}", child.map_or(0, |child| child + 1))
}

/// Reads such an id, from a string or the input of an operation.
fn number_of(input: &Value) -> Option<(usize, Option<usize>)> {
    let id = input.as_str().or_else(|| input["AutomationExecutionId"].as_str())?;
    let mut parts = id.split('-').skip(3).map(str::parse::<usize>);
    let (number, child) = (parts.next()?.ok()?, parts.next()?.ok()?);
    Some((number, child.checked_sub(1)))
}
