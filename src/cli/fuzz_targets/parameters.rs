//! Bytes as rule parameters, and as the value of an exemption tag.

use time::{Date, Month};

use super::{TODAY, check};
use crate::rule::policy::Policy;
use crate::rule::resource::{Resource, ResourceType, Tag};
use crate::rule::verdict::{Compliance, evaluate};

/// Reads `input` as rule parameters: they are rejected with a message, or mean the same when they are written and read
/// again.
pub fn rule_parameters(input: &[u8]) {
    let Ok(json) = std::str::from_utf8(input) else { return };
    match Policy::from_rule_parameters(json) {
        Ok(policy) => {
            let written = serde_json::to_string(&policy.rule_parameters()).unwrap_or_default();
            assert_eq!(Policy::from_rule_parameters(&written).ok(), Some(policy), "{json}");
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// Judges a resource whose exemption tag has the value `input`: it is exempt only if that is a date `YYYY-MM-DD` that
/// has not passed.
pub fn tag_date(input: &[u8]) {
    let Ok(value) = std::str::from_utf8(input) else { return };
    let policy = Policy { exemption_tag_key: Some("until".to_owned()), ..Policy::default() };
    let mut resource = Resource::existing(ResourceType::Instance, "i-0123456789abcdef0".into(), None);
    resource.tags = vec![Tag { key: "until".into(), value: value.into() }];
    let verdict = evaluate(&resource, &policy, TODAY);
    check(&verdict);
    let is_exempt = verdict.compliance == Compliance::NotApplicable;
    assert_eq!(is_exempt, date(value).is_some_and(|last| last >= TODAY), "{value:?}");
}

/// Returns the date of a text `YYYY-MM-DD`, read independently of the rule.
fn date(text: &str) -> Option<Date> {
    let number = |at: usize, length: usize| {
        let digits = text.get(at..at + length)?;
        digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse::<u16>().ok()).flatten()
    };
    let is_separated = text.len() == 10 && text.get(4..5) == Some("-") && text.get(7..8) == Some("-");
    let (year, month, day) =
        (number(0, 4)?, u8::try_from(number(5, 2)?).ok()?, u8::try_from(number(8, 2)?).ok()?);
    let month = Month::try_from(month).ok()?;
    is_separated.then(|| Date::from_calendar_date(year.into(), month, day).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::{JSON_LIKE, damaged};
    use super::*;

    const PARAMETERS: &str = r#"{"maxHopLimit":"2","exemptionTagKey":"imdsv1-until","resourceTypes":
        "AWS::EC2::Instance, AWS::EC2::LaunchTemplate","accountDefaults":"true","defaultsCompliant":"false"}"#;

    proptest! {
        #[test]
        fn any_text_is_read(input in JSON_LIKE) {
            rule_parameters(input.as_bytes());
        }

        #[test]
        fn damaged_parameters_are_read(input in damaged(PARAMETERS)) {
            rule_parameters(&input);
        }

        #[test]
        fn any_tag_is_judged(input in "[-+0-9 .\u{ff10}-\u{ff19}]{0,12}|20[0-9]{2}-[0-9]{2}-[0-9]{2}|\\PC{0,300}") {
            tag_date(input.as_bytes());
        }
    }
}
