//! Help, manual pages and completions.

use snapbox::file;

use crate::harness::{imdsv2, stdout};

#[test]
fn help_lists_the_commands() {
    imdsv2(&["--help"]).assert().code(0).stdout_eq(file!["snapshots/help.txt"].raw());
}

#[test]
fn each_command_has_help_with_examples() {
    imdsv2(&["evaluate", "--help"]).assert().code(0).stdout_eq(file!["snapshots/help-evaluate.txt"].raw());
    imdsv2(&["scan", "--help"]).assert().code(0).stdout_eq(file!["snapshots/help-scan.txt"].raw());
    imdsv2(&["remediate", "--help"]).assert().code(0).stdout_eq(file!["snapshots/help-remediate.txt"].raw());
    imdsv2(&["restore", "--help"]).assert().code(0).stdout_eq(file!["snapshots/help-restore.txt"].raw());
}

#[test]
fn each_command_has_a_manual_page() {
    imdsv2(&["man", "scan"]).assert().code(0).stdout_eq(file!["snapshots/man-scan.1"].raw());
    for command in ["evaluate", "remediate", "restore"] {
        let page = stdout(&imdsv2(&["man", command]).assert().code(0));
        assert!(page.contains(&format!(".TH imdsv2-{command} 1")), "{page}");
    }
    assert!(stdout(&imdsv2(&["man"]).assert().code(0)).contains(".TH imdsv2 1"));
}

#[test]
fn completions_are_printed_for_every_shell() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = stdout(&imdsv2(&["completions", shell]).assert().code(0));
        assert!(script.contains("usage-days"), "{shell}");
    }
}
