//! A model of the world: random histories of `remediate` and `restore` in a fake AWS, judged by what must never
//! happen.
//!
//! In each history, others change instances while the commands run, calls fail or are answered late, and the process
//! is killed. After each call, and at the end, the record is judged:
//!
//! - No instance is enforced that was exempt, managed by a service, or in use, by what AWS returned last.
//! - Nothing is sent but `HttpTokens` and a higher hop limit.
//! - Every change has its line in the journal before it.
//! - `restore` brings back exactly the instances that were changed, and touches no other.
//! - The report and the exit status agree with the world.
//! - A canary releases the others only if it was changed, reported since, and was rejected nothing.
//!
//! A history that breaks a rule is shrunk, and printed as a story. `PROPTEST_CASES` sets the number of histories;
//! `make model` runs many.
//!
//! - `history`: what happens. `stories`: histories with a known course.
//! - `world`: the instances. `server`, `protocol`, `automation`: the services that show and change them.
//! - `invariants`: what must never happen. `figures`: how much was tried.

// Tests may panic, and a history is a list of facts.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::struct_excessive_bools)]
#![allow(clippy::format_collect, clippy::needless_for_each)]

mod automation;
mod figures;
mod history;
mod invariants;
mod protocol;
mod server;
mod stories;
mod world;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_ec2::config::retry::RetryConfig;
use aws_sdk_ec2::config::{Credentials, SharedCredentialsProvider};
use clap::Parser;
use proptest::prelude::*;
use proptest::test_runner::{RngSeed, TestCaseError, TestRunner};

use self::figures::Figures;
use self::history::{History, Kind, Phase, any_history};
use self::invariants::{judge_report, judge_restored};
use self::server::{Server, VirtualSleep};
use super::commands::{remediate, restore};
use super::exit::Completion;
use super::fleet::accounts::Environment;
use super::terminal::screen::Screen;

/// How a command ended.
enum Ended {
    Completed(anyhow::Result<Completion>),
    Killed,
}

/// The files of a history.
struct Files {
    directory: PathBuf,
}

impl Files {
    fn new() -> Self {
        use std::sync::atomic::{AtomicU64, Ordering};
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        // Journals are synced to disk; a file system in memory makes that quick.
        let memory = Path::new("/dev/shm");
        let parent = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        let directory = parent.join(format!("imdsv2-model-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&directory).expect("a directory");
        Self { directory }
    }

    fn journal(&self) -> PathBuf {
        self.directory.join("journal.jsonl")
    }

    fn report(&self) -> PathBuf {
        self.directory.join("report.json")
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

fn sdk(server: &Arc<Server>) -> SdkConfig {
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::from_static("us-east-1"))
        .credentials_provider(SharedCredentialsProvider::new(Credentials::new(
            "AKIA", "secret", None, None, "model",
        )))
        .http_client(server::client(server))
        .sleep_impl(VirtualSleep::shared(server.clock()))
        .retry_config(RetryConfig::standard().with_max_attempts(3))
        .build()
}

/// Runs a command until it completes or is killed.
fn run<F>(server: &Arc<Server>, command: impl FnOnce(Environment) -> F) -> Ended
where
    F: Future<Output = anyhow::Result<Completion>>,
{
    let environment =
        Environment { clock: server.clock(), screen: Screen::default(), sdk: Some(sdk(server)) };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        tokio::select! {
            biased;
            () = server.killed() => Ended::Killed,
            result = command(environment) => Ended::Completed(result),
        }
    })
}

fn remediate(server: &Arc<Server>, history: &History, files: &Files) -> Ended {
    let (journal, report) = (files.journal(), files.report());
    let mut arguments = vec!["remediate", "--region", "us-east-1", "--yes", "--format", "json"];
    let (journal, report) = (journal.to_string_lossy(), report.to_string_lossy());
    arguments.extend(["--journal", &journal, "--output", &report]);
    let options = history.options.arguments();
    arguments.extend(options.iter().map(String::as_str));
    let mut args = remediate::Args::try_parse_from(arguments).expect("valid options");
    run(server, |environment| async move {
        args.selection.environment = environment;
        Box::pin(remediate::run(&args)).await
    })
}

fn restore(server: &Arc<Server>, files: &Files) -> Ended {
    let (journal, report) = (files.journal(), files.directory.join("restored.json"));
    let (journal, report) = (journal.to_string_lossy(), report.to_string_lossy());
    let arguments =
        ["restore", "--region", "us-east-1", "--yes", "--format", "json", "--output", &report, &journal];
    let mut args = restore::Args::try_parse_from(arguments).expect("valid options");
    run(server, |environment| async move {
        args.selection.environment = environment;
        restore::run(&args).await
    })
}

/// Runs a history, and judges it.
fn judge(history: &History, figures: &Figures) -> Result<(), TestCaseError> {
    let files = Files::new();
    let server = Server::new(history, files.journal());
    server.begin(Phase::Remediate);
    match remediate(&server, history, &files) {
        Ended::Completed(result) => judge_report(&mut server.state(), &files.report(), result),
        Ended::Killed => server.cut_journal(),
    }
    if files.journal().exists() {
        // Killed any number of times, then disturbed, and in the end left in peace.
        for attempt in 0..history.restore_kills.len() + 2 {
            if attempt == history.restore_kills.len() + 1 {
                server.wait_until_visible();
            }
            server.begin(Phase::Restore(attempt));
            match restore(&server, &files) {
                Ended::Killed => server.cut_journal(),
                Ended::Completed(result) => server.state().tell(&format!("{result:?}")),
            }
        }
        judge_restored(&mut server.state());
    }
    figures.add(server.state().counts);
    let violations = server.violations();
    prop_assert!(violations.is_empty(), "{}\n{}", violations.join("\n"), server.story());
    Ok(())
}

/// The same histories in each test run; as many others as `PROPTEST_CASES` asks for.
fn config() -> ProptestConfig {
    let default =
        ProptestConfig { failure_persistence: None, max_shrink_iters: 400, ..ProptestConfig::default() };
    match std::env::var_os("PROPTEST_CASES") {
        Some(_) => default,
        None => ProptestConfig { cases: 200, rng_seed: RngSeed::Fixed(1), ..default },
    }
}

/// Runs histories of a kind, and prints what happened in them: a model in which nothing happens proves nothing.
fn run_histories(kind: Kind) {
    let figures = Figures::default();
    let mut runner = TestRunner::new(config());
    let result = runner.run(&any_history(kind), |history| judge(&history, &figures));
    println!("{kind:?}: {figures}");
    if let Err(error) = result {
        panic!("{error}");
    }
    figures.check();
}

#[test]
fn no_history_breaks_a_promise() {
    run_histories(Kind::Plain);
}

#[test]
fn no_history_with_a_canary_breaks_a_promise() {
    run_histories(Kind::Canary);
}

#[test]
fn no_history_with_automations_breaks_a_promise() {
    run_histories(Kind::Automation);
}

#[test]
fn no_history_with_a_canary_of_automations_breaks_a_promise() {
    run_histories(Kind::AutomationCanary);
}
