//! Automations of Systems Manager: started, followed, stopped.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_ssm::Client;
use aws_sdk_ssm::types::{
    AutomationExecution, AutomationExecutionFilter, AutomationExecutionFilterKey as FilterKey, StepExecution,
    StopType, Target as AutomationTarget,
};
use uuid::Uuid;

use super::Runbook;
use super::child::{Child, is_in_progress};
use crate::aws::ApiError;
use crate::rule::enforcement::OnConcern;

/// The runbook parameter for the instance.
const INSTANCE_ID: &str = "InstanceId";
/// The first pause between two status requests, and the longest; it doubles.
const PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(15));

/// Runbook parameters, by name.
pub(super) type Parameters = HashMap<String, Vec<String>>;

/// The automations of a runbook in one account and Region.
pub(super) struct Automation {
    client: Client,
    runbook: Arc<Runbook>,
    /// The hop limit that each instance is raised to. A runbook might lower a higher one.
    pub(super) raise_hop_limit_to: Option<i32>,
}

impl Automation {
    pub(super) fn new(client: Client, runbook: Arc<Runbook>, raise_hop_limit_to: Option<i32>) -> Self {
        Self { client, runbook, raise_hop_limit_to }
    }

    /// Returns the parameters to pass: those of the command line's options that the runbook declares.
    pub(super) async fn parameters(&self) -> Result<Parameters, String> {
        let Runbook { document, role_arn, recheck, .. } = self.runbook.as_ref();
        let policy = &recheck.policy;
        let response = self.client.describe_document().name(document).send().await;
        let response = response.map_err(|error| ApiError::new("DescribeDocument", &error).to_string())?;
        let declared = response.document.and_then(|document| document.parameters).unwrap_or_default();
        let has_parameter = |name: &str| declared.iter().any(|parameter| parameter.name() == Some(name));
        let required = [
            (INSTANCE_ID, true),
            ("AutomationAssumeRole", role_arn.is_some()),
            ("HttpPutResponseHopLimit", self.raise_hop_limit_to.is_some()),
        ];
        if let Some((name, _)) = required.iter().find(|(name, required)| *required && !has_parameter(name)) {
            return Err(format!("{document} has no parameter {name}, which these options require"));
        }
        let concern = |on: OnConcern| match on {
            OnConcern::Stop => Some("Stop".to_owned()),
            OnConcern::Proceed => Some("Proceed".to_owned()),
        };
        let options = [
            ("AutomationAssumeRole", role_arn.clone()),
            ("HttpPutResponseHopLimit", self.raise_hop_limit_to.map(|limit| limit.to_string())),
            ("UsageLookbackDays", Some(policy.lookback_days.to_string())),
            ("OnUnknownUsage", concern(policy.on_unknown_usage)),
            ("OnBootCalls", concern(policy.on_boot_calls)),
            ("Force", Some(policy.force.to_string())),
            ("ExemptionTagKey", recheck.rule.exemption_tag_key.clone()),
        ];
        let passed = options.into_iter().filter_map(|(name, value)| Some((name, value?)));
        let declared = passed.filter(|(name, _)| has_parameter(name));
        Ok(declared.map(|(name, value)| (name.to_owned(), vec![value])).collect())
    }

    /// Starts an automation for these instances, and returns its execution id. The client token makes repeated
    /// attempts start a single automation
    /// (<https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_StartAutomationExecution.html>).
    pub(super) async fn start(
        &self,
        instance_ids: Vec<String>,
        parameters: &Parameters,
    ) -> Result<String, ApiError> {
        const OPERATION: &str = "StartAutomationExecution";
        let targets =
            AutomationTarget::builder().key("ParameterValues").set_values(Some(instance_ids)).build();
        let request = self
            .client
            .start_automation_execution()
            .client_token(Uuid::new_v4().to_string())
            .document_name(&self.runbook.document)
            .set_parameters(Some(parameters.clone()))
            .target_parameter_name(INSTANCE_ID)
            .targets(targets)
            .max_concurrency(&self.runbook.max_concurrency)
            .max_errors(&self.runbook.max_errors);
        let response = request.send().await.map_err(|error| ApiError::new(OPERATION, &error))?;
        response
            .automation_execution_id
            .ok_or_else(|| ApiError::unexpected_response(OPERATION, "the response has no execution id"))
    }

    /// Waits for the end of an automation, and returns the child automations by their instances. After a
    /// request to shut down, the automation starts no more child automations.
    pub(super) async fn follow(&self, execution_id: &str) -> Result<HashMap<String, Child>, ApiError> {
        let mut pause = PAUSES.0;
        let mut is_stopping = false;
        while is_in_progress(self.get(execution_id).await?.automation_execution_status()) {
            if self.runbook.shutdown.is_requested() && !is_stopping {
                is_stopping = true;
                self.stop(execution_id).await?;
            }
            tokio::select! {
                () = self.runbook.recheck.clock.sleep(pause) => {}
                () = self.runbook.shutdown.requested(), if !is_stopping => {}
            }
            pause = (pause * 2).min(PAUSES.1);
        }
        self.children(execution_id).await
    }

    /// Lets an automation start no more child automations.
    pub(super) async fn stop(&self, execution_id: &str) -> Result<(), ApiError> {
        let request = self.client.stop_automation_execution().automation_execution_id(execution_id);
        let response = request.r#type(StopType::Complete).send().await;
        response.map(|_| ()).map_err(|error| ApiError::new("StopAutomationExecution", &error))
    }

    async fn get(&self, execution_id: &str) -> Result<AutomationExecution, ApiError> {
        const OPERATION: &str = "GetAutomationExecution";
        let request = self.client.get_automation_execution().automation_execution_id(execution_id);
        let response = request.send().await.map_err(|error| ApiError::new(OPERATION, &error))?;
        response
            .automation_execution
            .ok_or_else(|| ApiError::unexpected_response(OPERATION, "the response has no execution"))
    }

    async fn children(&self, execution_id: &str) -> Result<HashMap<String, Child>, ApiError> {
        const OPERATION: &str = "DescribeAutomationExecutions";
        let filter = AutomationExecutionFilter::builder()
            .key(FilterKey::ParentExecutionId)
            .values(execution_id)
            .build()
            .map_err(|error| ApiError::unexpected_response(OPERATION, &error.to_string()))?;
        let mut pages =
            self.client.describe_automation_executions().filters(filter).into_paginator().items().send();
        let mut children = HashMap::new();
        while let Some(child) = pages.next().await {
            let child = child.map_err(|error| ApiError::new(OPERATION, &error))?;
            let Some(id) = child.automation_execution_id() else { continue };
            let mut child = self.get(id).await?;
            if child.step_executions_truncated() {
                child.step_executions = Some(self.steps(id).await?);
                child.step_executions_truncated = false;
            }
            let instance = child.parameters().and_then(|parameters| parameters.get(INSTANCE_ID)?.first());
            if let Some(instance) = instance.cloned() {
                children.insert(instance, Child::new(child));
            }
        }
        Ok(children)
    }

    /// Returns all steps of an automation.
    async fn steps(&self, execution_id: &str) -> Result<Vec<StepExecution>, ApiError> {
        let request = self.client.describe_automation_step_executions().automation_execution_id(execution_id);
        let steps: Result<Vec<_>, _> = request.into_paginator().items().send().collect().await;
        steps.map_err(|error| ApiError::new("DescribeAutomationStepExecutions", &error))
    }
}
