//! Bytes as a file of recorded resources.

use std::io::Read;

use super::{Pieces, TODAY, check};
use crate::cli::commands::evaluate::recorded::Recorded;
use crate::cli::commands::evaluate::records;
use crate::cli::input::split;
use crate::rule::verdict::{Compliance, evaluate};
use crate::sources::cloudformation::parameters::TemplateParameters;

/// The longest record that is read.
const MAX_RECORD: usize = 1 << 20;

/// Judges what is in `input`, as if it were a snapshot, an event or the output of the AWS CLI: nothing panics, and the
/// verdicts do not depend on how the input arrives.
pub fn recorded(input: &[u8]) {
    let whole = judged(input);
    assert_eq!(whole, judged(Pieces { rest: input, length: 1 }));
}

/// The verdicts, by type and id, and the number of records that cannot be read.
type Judged = (Vec<(String, String, Compliance)>, usize);

fn judged(input: impl Read) -> Judged {
    let (mut verdicts, mut unreadable) = (Vec::new(), 0);
    let read = split::for_each(input, MAX_RECORD, &mut |_, record| {
        let Ok(record) = record else {
            unreadable += 1;
            return Ok(());
        };
        let recorded = records::read(&record, &TemplateParameters::default(), &mut |recorded| {
            let judged = match recorded {
                Recorded::Resource { resource, policy } | Recorded::LaunchSource { resource, policy, .. } => {
                    Some((resource, policy))
                }
                Recorded::Declared { resource, .. } => Some((resource, None)),
                _ => None,
            };
            if let Some((resource, policy)) = judged {
                let verdict = evaluate(&resource, &policy.unwrap_or_default(), TODAY);
                check(&verdict);
                let name = resource.resource_type.name().to_owned();
                verdicts.push((name, resource.resource_id.to_string(), verdict.compliance));
            }
            Ok(())
        });
        unreadable += usize::from(recorded.is_err());
        Ok(())
    });
    assert!(read.is_ok());
    (verdicts, unreadable)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::{JSON_LIKE, damaged};
    use super::*;

    const EVENT: &str = include_str!("../../../tests/fixtures/instance-optional-event.json");
    const INSTANCES: &str = include_str!("../../../examples/describe-instances.json");

    proptest! {
        #[test]
        fn any_text_is_judged(input in JSON_LIKE) {
            recorded(input.as_bytes());
        }

        #[test]
        fn damaged_events_are_judged(input in damaged(EVENT)) {
            recorded(&input);
        }

        #[test]
        fn damaged_outputs_are_judged(input in damaged(INSTANCES)) {
            recorded(&input);
        }
    }
}
