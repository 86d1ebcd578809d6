//! What the automation of an instance shows of its change.

use aws_sdk_ssm::types::{AutomationExecution, AutomationExecutionStatus as Status, StepExecution};

/// The first part of the names of the steps that change the instance, in `EnforceImdsv2`.
const CHANGE_STEP: &str = "RequireTokens";
/// The output of `EnforceImdsv2` that says what was found.
const FINDING: &str = "Before.Finding";

/// The automation of an instance, as Systems Manager returned it.
pub(super) struct Child(AutomationExecution);

/// Whether the automation changed its instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Evidence {
    /// The step that changes the instance succeeded.
    Changed,
    /// The automation ended, and no step that changes the instance was started.
    Unchanged,
    /// The steps do not show it.
    Unclear,
}

impl Child {
    pub(super) fn new(execution: AutomationExecution) -> Self {
        Self(execution)
    }

    /// Returns an error with the failure message unless the automation succeeded.
    pub(super) fn result(&self) -> Result<(), String> {
        let id = self.0.automation_execution_id().unwrap_or_default();
        match self.0.automation_execution_status() {
            Some(Status::Success | Status::CompletedWithSuccess) => Ok(()),
            status => {
                let status = status.map_or("of unknown status", Status::as_str);
                let reason = self.0.failure_message().unwrap_or("no failure message");
                Err(format!("automation {id} is {status}: {reason}"))
            }
        }
    }

    /// Returns whether the automation may still do something.
    pub(super) fn is_in_progress(&self) -> bool {
        is_in_progress(self.0.automation_execution_status())
    }

    /// Returns whether the automation changed the instance, by the steps of `EnforceImdsv2`. A step that was not
    /// started has no start time
    /// (<https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_StepExecution.html>).
    pub(super) fn evidence(&self) -> Evidence {
        let steps = self.0.step_executions().iter();
        let changes: Vec<&StepExecution> =
            steps.filter(|step| step.step_name().is_some_and(|name| name.starts_with(CHANGE_STEP))).collect();
        if changes.iter().any(|step| step.step_status() == Some(&Status::Success)) {
            return Evidence::Changed;
        }
        let is_listed = !changes.is_empty() && !self.0.step_executions_truncated();
        let is_started = changes.iter().any(|step| step.execution_start_time().is_some());
        if is_listed && !is_started && !self.is_in_progress() {
            Evidence::Unchanged
        } else {
            Evidence::Unclear
        }
    }

    /// Returns what `EnforceImdsv2` found.
    pub(super) fn finding(&self) -> &str {
        let finding = self.0.outputs().and_then(|outputs| outputs.get(FINDING)?.first());
        finding.map_or("the runbook changed nothing", String::as_str)
    }
}

/// Returns whether an automation is still in progress
/// (<https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_AutomationExecution.html>).
pub(super) fn is_in_progress(status: Option<&Status>) -> bool {
    !matches!(
        status,
        Some(
            Status::Success
                | Status::Failed
                | Status::Cancelled
                | Status::Timedout
                | Status::Rejected
                | Status::Exited
                | Status::CompletedWithSuccess
                | Status::CompletedWithFailure
                | Status::ChangeCalendarOverrideRejected
        )
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(name: &str, status: Status, is_started: bool) -> StepExecution {
        let start = is_started.then(|| aws_smithy_types::DateTime::from_secs(0));
        StepExecution::builder().step_name(name).step_status(status).set_execution_start_time(start).build()
    }

    fn child(status: Status, steps: Vec<StepExecution>) -> Child {
        let execution = AutomationExecution::builder().automation_execution_status(status);
        Child::new(execution.set_step_executions(Some(steps)).build())
    }

    #[test]
    fn the_steps_show_whether_the_instance_was_changed() {
        let pending = || step("RequireTokens", Status::Pending, false);
        let raised = |status| step("RequireTokensAndRaiseHopLimit", status, true);
        let other = || step("Other", Status::Success, true);
        for (status, steps, expected) in [
            (Status::Success, vec![pending(), raised(Status::Success)], Evidence::Changed),
            (Status::Failed, vec![raised(Status::Success), other()], Evidence::Changed),
            (Status::Success, vec![pending(), other()], Evidence::Unchanged),
            (Status::Failed, vec![pending()], Evidence::Unchanged),
            (Status::Failed, vec![pending(), raised(Status::Failed)], Evidence::Unclear),
            (Status::Inprogress, vec![pending()], Evidence::Unclear),
            (Status::Success, vec![other()], Evidence::Unclear),
            (Status::Success, vec![], Evidence::Unclear),
        ] {
            let described = format!("{status:?} {steps:?}");
            assert_eq!(child(status, steps).evidence(), expected, "{described}");
        }
    }
}
