//! Signals while a scan is in progress.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::cloud::{Cloud, instances, refusal};

/// A cloud that takes its time to list instances, so that a signal finds the scan at work.
fn slow_cloud(delay: Duration) -> Cloud {
    Cloud::new(move |call| match call.operation.as_str() {
        "DescribeInstances" => Some(instances(&["i-1"], None).set_delay(delay)),
        "DescribeLaunchTemplateVersions" => Some(refusal()),
        _ => None,
    })
}

/// Starts a scan, and waits until it lists instances.
fn start(cloud: &Cloud, mut command: Command) -> Child {
    let child = command
        .args(["scan", "--format", "json", "--region", "us-east-1"])
        .envs(cloud.environment())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let start = Instant::now();
    while cloud.called("DescribeInstances").is_empty() {
        assert!(start.elapsed() < Duration::from_secs(10), "no instances are listed");
        sleep(Duration::from_millis(10));
    }
    child
}

/// The command line, which does not ignore SIGHUP even if the tests run under `nohup`.
fn scan() -> Command {
    let imdsv2 = snapbox::cmd::cargo_bin!("imdsv2");
    if !cfg!(target_os = "linux") {
        return Command::new(imdsv2);
    }
    let mut env = Command::new("env");
    env.arg("--default-signal=HUP").arg(imdsv2);
    env
}

fn send(signal: &str, child: &Child) {
    let sent = Command::new("sh").args(["-c", &format!("kill -{signal} {}", child.id())]).status();
    assert!(sent.unwrap().success());
}

#[test]
fn the_first_signal_finishes_work_in_progress() {
    for (signal, message) in [
        ("INT", "Finishing work in progress; press Ctrl-C again to quit"),
        ("TERM", "SIGTERM: finishing work in progress; a second signal ends the process"),
        ("HUP", "SIGHUP: finishing work in progress; a second signal ends the process"),
    ] {
        let cloud = slow_cloud(Duration::from_millis(500));
        let child = start(&cloud, scan());
        send(signal, &child);
        let output = child.wait_with_output().unwrap();
        let messages = String::from_utf8(output.stderr).unwrap();
        assert!(messages.starts_with(message), "{signal}: {messages}");
        assert!(messages.contains("launch templates were not listed: interrupted"), "{messages}");
        assert_eq!(output.status.code(), Some(2), "{signal}");
        let output: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(output["summary"]["nonCompliant"], 1, "what was found is reported");
    }
}

#[test]
fn the_second_signal_ends_the_process() {
    for (signal, status) in [("INT", 130), ("TERM", 143), ("HUP", 129)] {
        let cloud = slow_cloud(Duration::from_secs(20));
        let mut child = start(&cloud, scan());
        let mut messages = BufReader::new(child.stderr.take().unwrap());
        send("TERM", &child);
        messages.read_line(&mut String::new()).unwrap();
        send(signal, &child);
        assert_eq!(child.wait().unwrap().code(), Some(status), "{signal}");
    }
}

#[test]
fn a_lost_terminal_does_not_end_work_in_progress() {
    let cloud = slow_cloud(Duration::from_millis(500));
    let mut child = start(&cloud, scan());
    drop(child.stderr.take()); // nobody reads messages any more
    send("HUP", &child);
    let mut json = String::new();
    child.stdout.take().unwrap().read_to_string(&mut json).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(2), "not 101, the status of a panic");
    assert_eq!(serde_json::from_str::<Value>(&json).unwrap()["summary"]["nonCompliant"], 1);
}

#[cfg(target_os = "linux")]
#[test]
fn a_hangup_that_nohup_ignores_is_ignored() {
    let cloud = slow_cloud(Duration::from_millis(500));
    let mut nohup = Command::new("nohup");
    nohup.arg(snapbox::cmd::cargo_bin!("imdsv2"));
    let child = start(&cloud, nohup);
    send("HUP", &child);
    let output = child.wait_with_output().unwrap();
    let messages = String::from_utf8(output.stderr).unwrap();
    assert!(messages.contains("UnauthorizedOperation") && !messages.contains("interrupted"), "{messages}");
}
