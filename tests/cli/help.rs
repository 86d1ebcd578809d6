//! Help and manual pages.

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
    imdsv2(&["permissions", "--help"])
        .assert()
        .code(0)
        .stdout_eq(file!["snapshots/help-permissions.txt"].raw());
    imdsv2(&["restore", "--help"]).assert().code(0).stdout_eq(file!["snapshots/help-restore.txt"].raw());
}

#[test]
fn each_command_has_a_manual_page() {
    let version = stdout(&imdsv2(&["--version"]).assert().code(0));
    let page = stdout(&imdsv2(&["man", "scan"]).assert().code(0));
    let page = page.replace(version.trim_end(), "imdsv2 VERSION");
    snapbox::assert_data_eq!(page, file!["snapshots/man-scan.1"].raw());
    let version = env!("CARGO_PKG_VERSION");
    for command in ["evaluate", "remediate", "restore", "permissions"] {
        let page = stdout(&imdsv2(&["man", command]).assert().code(0));
        let title = format!(".TH IMDSV2-{} 1  \"imdsv2 {version}", command.to_uppercase());
        assert!(page.contains(&title), "{page}");
        assert!(page.contains(".SH EXAMPLES"), "{page}");
        assert!(!page.contains(".SH EXTRA"), "{page}");
    }
    let page = stdout(&imdsv2(&["man"]).assert().code(0));
    assert!(page.contains(".TH IMDSV2 1") && page.contains(".SH SUBCOMMANDS"), "{page}");
}
