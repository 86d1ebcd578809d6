//! What must never happen, judged on each call and at the end of each command.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;
use time::{Duration, OffsetDateTime};

use super::history::{Options as CommandOptions, Phase};
use super::server::{DATA_DELAY, Server, State, last_step};
use super::world::Instance;
use crate::cli::exit::Completion;

/// The oldest data that a decision may be based on: five minutes, and the calls between it and the change.
const MAX_DATA_AGE: Duration = Duration::minutes(6);

/// Judges a request to change an instance.
pub(super) fn judge_request(
    server: &Server,
    state: &mut State,
    id: &str,
    parameters: &BTreeMap<String, String>,
) {
    let allowed = ["Action", "Version", "InstanceId", "HttpTokens", "HttpPutResponseHopLimit"];
    if let Some(other) = parameters.keys().find(|name| !allowed.contains(&name.as_str())) {
        state.violate(&format!("{id}: {other} was sent"));
    }
    let tokens = parameters.get("HttpTokens").map(String::as_str).unwrap_or_default();
    let limit = parameters.get("HttpPutResponseHopLimit").and_then(|limit| limit.parse().ok());
    if state.phase == Phase::Remediate {
        if tokens != "required" {
            state.violate(&format!("{id}: HttpTokens is set to {tokens}"));
        }
        judge_enforcement(server, state, id, limit);
        return;
    }
    let mut instances = state.world.instances.iter();
    let was_changed = instances.any(|instance| instance.id == id && instance.was_changed);
    match last_step(&server.journal, id).as_deref() {
        Some("intended") => {}
        Some("changed") if was_changed => {}
        step => state.violate(&format!("{id} is restored, and was never changed: {step:?}")),
    }
}

/// Judges that an instance is enforced, by this process or by an automation that it starts.
pub(super) fn judge_enforcement(server: &Server, state: &mut State, id: &str, hop_limit: Option<i64>) {
    let options = &server.history.options;
    let mut violations = judge_facts(state, options, id, hop_limit);
    if last_step(&server.journal, id).as_deref() != Some("intended") {
        violations.push("there is no line in the journal");
    }
    if let Some(minutes) = options.soak_minutes {
        let first = state.first.get_or_insert_with(|| id.to_owned()).clone();
        if first != id {
            violations.extend(judge_canary(state, &first, Duration::minutes(minutes.into())));
        }
    }
    for violation in violations {
        state.violate(&format!("{id} is enforced: {violation}"));
    }
}

/// Judges an enforcement by what AWS returned last.
fn judge_facts(
    state: &State,
    options: &CommandOptions,
    id: &str,
    hop_limit: Option<i64>,
) -> Vec<&'static str> {
    let known = state.known.get(id).cloned().unwrap_or_default();
    let Some(seen) = known.described else { return vec!["it was not described"] };
    let mut violations = Vec::new();
    if seen.is_exempt {
        violations.push("it is exempt");
    }
    if seen.is_managed {
        violations.push("a service manages it");
    }
    if seen.requires_tokens() {
        violations.push("tokens are required already");
    }
    match hop_limit {
        Some(limit) if limit <= seen.options.hop_limit => violations.push("the hop limit is lowered"),
        Some(limit) if options.hop_limit != Some(limit) => violations.push("the hop limit is another one"),
        Some(_) if seen.options.endpoint == "disabled" => {
            violations.push("the hop limit of a disabled endpoint is set");
        }
        _ => {}
    }
    if options.lookback_days == 0 || options.force {
        return violations;
    }
    match known.measured {
        None => violations.push("CloudWatch was not asked"),
        Some((_, end)) if state.now - end > MAX_DATA_AGE => {
            violations.push("the data of CloudWatch is too old");
        }
        Some((measured, end)) => violations.extend(judge_usage(options, &seen, &measured, end)),
    }
    violations
}

/// Judges an enforcement by the data of CloudWatch that the process has.
pub(super) fn judge_usage(
    options: &CommandOptions,
    seen: &Instance,
    measured: &Instance,
    end: OffsetDateTime,
) -> Vec<&'static str> {
    let look_back = Duration::days(options.lookback_days.into());
    let boot_start = hour_of(seen.launched_at);
    let boot = boot_start..boot_start + Duration::hours(2);
    let calls = || measured.calls.iter().map(|call| call.at).filter(|at| *at < end - DATA_DELAY);
    let in_use = calls().any(|at| at >= end - look_back && !boot.contains(&at));
    let boots = calls().any(|at| boot.contains(&at));
    let is_proven = measured.data_since.is_some_and(|since| since <= end - look_back / 2)
        || calls().any(|at| at <= end - look_back / 2);
    let mut violations = Vec::new();
    if in_use {
        violations.push("it is in use");
    }
    if boots && !options.accept_boot_calls {
        violations.push("it made calls when it was started");
    }
    if seen.may_call() && !is_proven && !options.accept_unknown {
        violations.push("its silence is not proven");
    }
    violations
}

/// Judges that the canary released the others.
fn judge_canary(state: &State, canary: &str, soak: Duration) -> Vec<&'static str> {
    let Some(changed_at) = state.changed_now.get(canary).copied() else {
        return vec!["nothing was changed in the canary"];
    };
    let known = state.known.get(canary).cloned().unwrap_or_default();
    let Some((measured, end)) = known.measured else { return vec!["the canary was not watched"] };
    let rejected = measured.calls.iter().filter(|call| call.is_rejected);
    let mut violations = Vec::new();
    if rejected.filter(|call| (changed_at..end - DATA_DELAY).contains(&call.at)).count() > 0 {
        violations.push("the canary was rejected calls");
    }
    // Queries are in whole seconds.
    if end < changed_at + soak - Duration::SECOND {
        violations.push("the canary was not watched long enough");
    }
    if known.reported_at.is_none_or(|at| at < changed_at) {
        violations.push("the canary has not reported");
    }
    violations
}

/// Judges the report of a `remediate` that was not killed.
pub(super) fn judge_report(state: &mut State, report: &Path, result: anyhow::Result<Completion>) {
    let completion = match result {
        Ok(completion) => completion,
        Err(error) => {
            let changed = state.changed_now.len();
            state.tell(&format!("error: {error:#}"));
            if changed > 0 {
                state.violate(&format!("{changed} instances are changed and not reported: {error:#}"));
            }
            return;
        }
    };
    let text = std::fs::read(report).unwrap_or_default();
    let report: Value = serde_json::from_slice(&text).unwrap_or_default();
    state.tell(&format!("{completion:?} {report}"));
    let empty = Vec::new();
    let mut outcomes = BTreeMap::new();
    for change in report["changes"].as_array().unwrap_or(&empty) {
        let (id, outcome) = (change["instanceId"].as_str(), change["outcome"].as_str());
        outcomes.insert(id.unwrap_or_default().to_owned(), outcome.unwrap_or_default().to_owned());
    }
    let changed_now: Vec<String> = state.changed_now.keys().cloned().collect();
    for id in &changed_now {
        let outcome = outcomes.get(id).map_or("missing", String::as_str);
        // What somebody else undid meanwhile may look as if it had never been done.
        let is_undone = state.world.find(id).is_none_or(|instance| !instance.requires_tokens());
        let is_reported = match outcome {
            "changed" | "failed" => true,
            "notStarted" => is_undone,
            _ => false,
        };
        if !is_reported {
            state.violate(&format!("{id} was changed, and is reported as {outcome}"));
        }
    }
    for (id, outcome) in &outcomes {
        if outcome == "changed" && !changed_now.contains(id) {
            state.violate(&format!("{id} was not changed, and is reported as changed"));
        }
    }
    let is_open = outcomes.values().any(|o| ["skipped", "notStarted", "failed"].contains(&o.as_str()));
    if completion == Completion::Clean && is_open {
        state.violate("the exit status is 0 although something is left open");
    }
}

/// Judges the instances after the last `restore`.
pub(super) fn judge_restored(state: &mut State) {
    let instances = state.world.instances.iter();
    let left =
        instances.filter(|instance| instance.exists() && !instance.is_touched).filter_map(|instance| {
            let from = instance.changed_from?;
            (instance.options != from).then(|| format!("{} is not restored: {from:?}", instance.id))
        });
    let left: Vec<_> = left.collect();
    left.iter().for_each(|violation| state.violate(violation));
}

fn hour_of(at: OffsetDateTime) -> OffsetDateTime {
    at - Duration::seconds(at.unix_timestamp().rem_euclid(3_600))
}
