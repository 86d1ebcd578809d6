//! Completions, as shells ask for them.

use std::process::Command;

use snapbox::cmd::cargo_bin;

use crate::harness::{imdsv2, scratch, stdout};

/// Has bash complete the last of these words.
fn completed(words: &[&str], config: &str) -> Vec<String> {
    let directory = cargo_bin!("imdsv2").parent().unwrap().display().to_string();
    let config = scratch(&format!("completions-{}", words.len()), config.as_bytes());
    let script = format!(
        "source <(imdsv2 completions bash); COMP_WORDS=({words}); COMP_CWORD={last}; \
         _clap_complete_imdsv2 imdsv2 '{current}' x; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        words = words.join(" "),
        last = words.len() - 1,
        current = words.last().unwrap(),
    );
    let path = format!("{directory}:{}", std::env::var("PATH").unwrap());
    let output = Command::new("bash")
        .args(["-c", &script])
        .env("PATH", path)
        .env("AWS_CONFIG_FILE", &config)
        .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap().lines().map(|line| line.trim().to_owned()).collect()
}

#[test]
fn bash_completes_options_regions_and_profiles() {
    let config = "[default]\nregion = x\n[profile dev]\n[profile prod]\n";
    assert_eq!(completed(&["imdsv2", "sc"], config), ["scan"]);
    assert_eq!(completed(&["imdsv2", "scan", "--usage-d"], config), ["--usage-days"]);
    assert_eq!(completed(&["imdsv2", "scan", "--region", "eu-c"], config), ["eu-central-1", "eu-central-2"]);
    let listed = completed(&["imdsv2", "scan", "--region", "us-east-1,eu-w"], config);
    assert_eq!(listed, ["us-east-1,eu-west-1", "us-east-1,eu-west-2", "us-east-1,eu-west-3"]);
    let mut profiles = completed(&["imdsv2", "scan", "--profile", ""], config);
    profiles.sort();
    assert_eq!(profiles, ["default", "dev", "prod"]);
}

#[test]
fn scripts_are_printed_for_every_shell() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = stdout(&imdsv2(&["completions", shell]).assert().code(0));
        assert!(script.contains("IMDSV2_COMPLETE"), "{shell}");
    }
}
