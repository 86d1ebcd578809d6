//! Changes made by a runbook: started through Systems Manager, and followed to the end.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use anyhow::Context;
use aws_sdk_ssm::Client;
use aws_sdk_ssm::types::{
    AutomationExecution, AutomationExecutionFilter, AutomationExecutionFilterKey as FilterKey,
    AutomationExecutionStatus as Status, StopType, Target as Targets,
};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;
use tokio::time::sleep;

use std::sync::Arc;

use super::change::{Done, Record, Task};
use crate::aws::clients::explain;
use crate::cli::fleet::instance::{self, Options};
use crate::cli::journal::Journal;
use crate::cli::output::changes::Outcome;
use crate::cli::terminal::shutdown::Interrupt;
use crate::rule::enforcement::{OnUnknown, Rules};

/// The parameter that takes the instance.
const INSTANCE: &str = "InstanceId";
/// How many instances a run takes
/// (<https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_Target.html>).
const BATCH: usize = 50;
/// The first pause between two looks at a run, and the longest; it doubles.
const PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(15));

/// The runbook, and how it is started.
#[derive(Clone, Debug)]
pub(crate) struct Runbook {
    pub(crate) document: String,
    pub(crate) role_arn: Option<String>,
    pub(crate) max_concurrency: String,
    pub(crate) max_errors: String,
    pub(crate) rules: Rules,
}

/// Has the runbook make the changes, each in the journal first: Regions side by side, in each of them one run
/// after another.
///
/// # Errors
/// Where a Region's runs broke off: the journal has how the instances were.
pub(crate) async fn apply(
    tasks: Vec<Task>,
    runbook: &Arc<Runbook>,
    journal: &Arc<Journal>,
    interrupt: &Interrupt,
    record: &mut Record<'_>,
) -> anyhow::Result<()> {
    let mut places: BTreeMap<_, Vec<Task>> = BTreeMap::new();
    for task in tasks {
        // A runbook may set the hop limit and not only raise it: it is named for those alone that need it.
        let (account_id, region, _) = task.target.key();
        let key = (account_id.to_owned(), region.to_owned(), task.raise_to);
        places.entry(key).or_default().push(task);
    }
    let (results, mut received) = unbounded_channel();
    let mut set = JoinSet::new();
    for tasks in places.into_values() {
        let Some(first) = tasks.first() else { continue };
        let place = InPlace {
            client: Client::new(&first.target.place.sdk),
            raise_to: first.raise_to,
            runbook: Arc::clone(runbook),
            journal: Arc::clone(journal),
            interrupt: interrupt.clone(),
            results: results.clone(),
        };
        set.spawn(async move { place.work(tasks).await });
    }
    drop(results);
    while let Some(done) = received.recv().await {
        record.take(done);
    }
    while let Some(ended) = set.join_next().await {
        ended.context("a Region's runs broke off; the journal has how the instances were")?;
    }
    Ok(())
}

/// The runbook in an account and Region.
struct InPlace {
    client: Client,
    raise_to: Option<i32>,
    runbook: Arc<Runbook>,
    journal: Arc<Journal>,
    interrupt: Interrupt,
    results: UnboundedSender<Done>,
}

/// An instance that a run is about to change, and how it is before.
struct Begun {
    task: Task,
    before: Options,
}

impl InPlace {
    async fn work(&self, mut tasks: Vec<Task>) {
        let parameters = match self.parameters().await {
            Ok(parameters) => parameters,
            Err(error) => {
                for task in tasks {
                    self.tell(task, Outcome::Failed, error.clone());
                }
                return;
            }
        };
        let mut ended = false;
        while !tasks.is_empty() {
            let rest = tasks.split_off(tasks.len().min(BATCH));
            if ended || self.interrupt.is_told() {
                for task in tasks {
                    self.send(Done::not_begun(task));
                }
            } else {
                ended = self.batch(tasks, &parameters).await;
            }
            tasks = rest;
        }
    }

    /// Has a run change these. Gives whether Systems Manager ended it before all were begun.
    async fn batch(&self, tasks: Vec<Task>, parameters: &HashMap<String, Vec<String>>) -> bool {
        let mut begun = Vec::with_capacity(tasks.len());
        for task in tasks {
            match self.begin(&task).await {
                Ok(Some(before)) => begun.push(Begun { task, before }),
                Ok(None) => {
                    self.tell(task, Outcome::Unneeded, "gone, or tokens are required already".to_owned());
                }
                Err(error) => self.tell(task, Outcome::Failed, error),
            }
        }
        if begun.is_empty() {
            return false;
        }
        let run = match self.start(&begun, parameters).await {
            Ok(run) => run,
            Err(error) => {
                for Begun { task, .. } in begun {
                    self.conclude(task, Err(error.clone()));
                }
                return true;
            }
        };
        let children = match self.follow(&run).await {
            Ok(()) => self.children(&run).await,
            Err(error) => Err(error),
        };
        let mut children = match children {
            Ok(children) => children,
            Err(error) => {
                let error = format!("automation {run}: {error}; what it does is not known");
                for Begun { task, .. } in begun {
                    self.conclude(task, Err(error.clone()));
                }
                return true;
            }
        };
        let mut ended = false;
        for Begun { task, before } in begun {
            if let Some(child) = children.remove(&task.target.instance_id) {
                let outcome = verify(&task, &before, &child).await;
                self.conclude(task, outcome);
            } else {
                ended = true;
                self.conclude_not_begun(task, &run);
            }
        }
        ended
    }

    /// Writes into the journal how the instance is; `None` where nothing is to do.
    async fn begin(&self, task: &Task) -> Result<Option<Options>, String> {
        let now = instance::look(&task.target.place.clients.ec2, &task.target.instance_id).await?;
        let Some(before) = now.map(|now| now.options).filter(|options| options.http_tokens != "required")
        else {
            return Ok(None);
        };
        task.write_before(&self.journal, &before)?;
        Ok(Some(before))
    }

    /// What the runbook is given: of what it takes, what the command line was told.
    async fn parameters(&self) -> Result<HashMap<String, Vec<String>>, String> {
        let Runbook { document, role_arn, rules, .. } = self.runbook.as_ref();
        let answer = self.client.describe_document().name(document).send().await;
        let answer = answer.map_err(|error| format!("DescribeDocument: {}", explain(&error)))?;
        let declared = answer.document.and_then(|document| document.parameters).unwrap_or_default();
        let takes = |name: &str| declared.iter().any(|parameter| parameter.name() == Some(name));
        let needed = [
            (INSTANCE, true),
            ("AutomationAssumeRole", role_arn.is_some()),
            ("HttpPutResponseHopLimit", self.raise_to.is_some()),
        ];
        if let Some((name, _)) = needed.iter().find(|(name, needed)| *needed && !takes(name)) {
            return Err(format!("{document} has no parameter {name}, which it would need here"));
        }
        let on_unknown = match rules.on_unknown {
            OnUnknown::Stop => "Stop",
            OnUnknown::Proceed => "Proceed",
        };
        let told = [
            ("AutomationAssumeRole", role_arn.clone()),
            ("HttpPutResponseHopLimit", self.raise_to.map(|limit| limit.to_string())),
            ("UsageLookbackDays", Some(rules.usage_days.to_string())),
            ("OnUnknownUsage", Some(on_unknown.to_owned())),
            ("Force", Some(rules.force.to_string())),
        ];
        let given = told.into_iter().filter_map(|(name, value)| Some((name, value?)));
        Ok(given
            .filter(|(name, _)| takes(name))
            .map(|(name, value)| (name.to_owned(), vec![value]))
            .collect())
    }

    /// Starts a run for these instances
    /// (<https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_StartAutomationExecution.html>).
    async fn start(
        &self,
        begun: &[Begun],
        parameters: &HashMap<String, Vec<String>>,
    ) -> Result<String, String> {
        let ids = begun.iter().map(|begun| begun.task.target.instance_id.clone()).collect();
        let request = self
            .client
            .start_automation_execution()
            .document_name(&self.runbook.document)
            .set_parameters(Some(parameters.clone()))
            .target_parameter_name(INSTANCE)
            .targets(Targets::builder().key("ParameterValues").set_values(Some(ids)).build())
            .max_concurrency(&self.runbook.max_concurrency)
            .max_errors(&self.runbook.max_errors);
        let answer = request.send().await;
        let answer = answer.map_err(|error| format!("StartAutomationExecution: {}", explain(&error)))?;
        answer.automation_execution_id.ok_or_else(|| "StartAutomationExecution: gave no id".to_owned())
    }

    /// Waits for the end of a run. An interrupt has it begin nothing more.
    async fn follow(&self, run: &str) -> Result<(), String> {
        let mut pause = PAUSES.0;
        let mut stopped = false;
        while is_under_way(self.look(run).await?.automation_execution_status()) {
            if self.interrupt.is_told() && !stopped {
                stopped = true;
                let stop = self
                    .client
                    .stop_automation_execution()
                    .automation_execution_id(run)
                    .r#type(StopType::Complete);
                stop.send().await.map_err(|error| format!("StopAutomationExecution: {}", explain(&error)))?;
            }
            tokio::select! {
                () = sleep(pause) => {}
                () = self.interrupt.told(), if !stopped => {}
            }
            pause = (pause * 2).min(PAUSES.1);
        }
        Ok(())
    }

    async fn look(&self, run: &str) -> Result<AutomationExecution, String> {
        let answer = self.client.get_automation_execution().automation_execution_id(run).send().await;
        let answer = answer.map_err(|error| format!("GetAutomationExecution: {}", explain(&error)))?;
        answer.automation_execution.ok_or_else(|| "GetAutomationExecution: gave nothing".to_owned())
    }

    /// The runs below a run, by their instances.
    async fn children(&self, run: &str) -> Result<HashMap<String, AutomationExecution>, String> {
        let of_the_run =
            AutomationExecutionFilter::builder().key(FilterKey::ParentExecutionId).values(run).build();
        let of_the_run = of_the_run.map_err(|error| format!("DescribeAutomationExecutions: {error}"))?;
        let mut pages =
            self.client.describe_automation_executions().filters(of_the_run).into_paginator().items().send();
        let mut children = HashMap::new();
        while let Some(child) = pages.next().await {
            let child =
                child.map_err(|error| format!("DescribeAutomationExecutions: {}", explain(&error)))?;
            let Some(id) = child.automation_execution_id() else { continue };
            let child = self.look(id).await?;
            let instance = child.parameters().and_then(|parameters| parameters.get(INSTANCE)?.first());
            if let Some(instance) = instance.cloned() {
                children.insert(instance, child);
            }
        }
        Ok(children)
    }

    /// Tells what came of an instance, after writing it into the journal.
    fn conclude(&self, task: Task, outcome: Result<(), String>) {
        let outcome = task.write_after(&self.journal, &outcome).and(outcome);
        match outcome {
            Ok(()) => self.tell(task, Outcome::Changed, "tokens are required now".to_owned()),
            Err(error) => self.tell(task, Outcome::Failed, error),
        }
    }

    fn conclude_not_begun(&self, task: Task, run: &str) {
        let reason = format!("not begun: automation {run} was ended");
        match task.write_after(&self.journal, &Err(reason.clone())) {
            Ok(()) => self.tell(task, Outcome::NotBegun, reason),
            Err(error) => self.tell(task, Outcome::Failed, error),
        }
    }

    fn tell(&self, task: Task, outcome: Outcome, detail: String) {
        self.send(Done { task, outcome, detail });
    }

    fn send(&self, done: Done) {
        // It is received as long as there are runs.
        let _ = self.results.send(done);
    }
}

/// Whether a run goes on
/// (<https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_AutomationExecution.html>).
fn is_under_way(status: Option<&Status>) -> bool {
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

/// What came of the run for an instance: what it says, and what EC2 says.
async fn verify(task: &Task, before: &Options, child: &AutomationExecution) -> Result<(), String> {
    let id = child.automation_execution_id().unwrap_or_default();
    match child.automation_execution_status() {
        Some(Status::Success | Status::CompletedWithSuccess) => {
            let ec2 = &task.target.place.clients.ec2;
            let settled = instance::settle(ec2, &task.target.instance_id, &task.wanted(before)).await;
            settled.map_err(|error| format!("automation {id} succeeded, but {error}"))
        }
        status => {
            let status = status.map_or("in no known state", Status::as_str);
            let reason = child.failure_message().unwrap_or("it does not say why");
            Err(format!("automation {id} is {status}: {reason}"))
        }
    }
}
