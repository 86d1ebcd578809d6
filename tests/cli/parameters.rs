//! Rule parameters on the command line.

use crate::harness::{evaluate, fixture, stderr, stdout, verdicts};

#[test]
fn parameters_take_precedence_over_those_of_an_event() {
    let hops = r#"{"maxHopLimit":"1"}"#;
    let item = fixture("instance-required-item.json"); // its hop limit is 2
    assert_eq!(verdicts(&item, &["--parameters", hops])["summary"]["nonCompliant"], 1);
    assert_eq!(verdicts(&item, &["--parameters", r#"{"maxHopLimit":"2"}"#])["summary"]["compliant"], 1);

    let event =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/exempt-event.json")).unwrap();
    assert_eq!(verdicts(&event, &[])["summary"]["notApplicable"], 1);
    assert_eq!(verdicts(&event, &["--parameters", hops])["summary"]["nonCompliant"], 1);

    let assert = evaluate(&["--parameters", r#"{"maxHopLimit":"65"}"#, "examples"]).assert().code(2);
    assert!(stderr(&assert).contains("rule parameter \"maxHopLimit\" is \"65\""), "{}", stderr(&assert));
    assert_eq!(stdout(&assert), "");
}
