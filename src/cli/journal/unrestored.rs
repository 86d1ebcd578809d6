//! What a journal says about each instance, after all its lines.

use std::collections::BTreeMap;

use super::entry::Step;
use crate::rule::instance::InstanceKey;

/// What a journal says about an instance that was not restored since.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Recorded {
    /// EC2 accepted a change.
    Changed(Before),
    /// A change was announced, and its result is not known: the process was killed, or EC2 did not respond.
    Uncertain(Before),
    /// An automation was to be started for a change, and its result is not known. It may still make the change.
    Automated(Before),
}

impl Recorded {
    /// Returns the options to restore.
    pub(crate) fn before(&self) -> &Before {
        match self {
            Self::Changed(before) | Self::Uncertain(before) | Self::Automated(before) => before,
        }
    }
}

/// The options of an instance before it was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Before {
    /// `HttpTokens`; empty if it was not set.
    pub(crate) http_tokens: String,
    /// `HttpEndpoint`; empty if it was not set.
    pub(crate) http_endpoint: String,
    /// `HttpPutResponseHopLimit`, if it was changed.
    pub(crate) hop_limit: Option<i32>,
    /// The hop limit that was requested, if it was changed. Version 0.1 did not record it.
    pub(crate) raised_to: Option<i32>,
}

/// A change that is neither refused nor restored.
struct Pending {
    before: Before,
    is_accepted: bool,
    by_automation: bool,
}

/// Returns what is left to restore.
pub(crate) fn unrestored(entries: Vec<(InstanceKey, Step)>) -> BTreeMap<InstanceKey, Recorded> {
    let mut instances: BTreeMap<InstanceKey, Vec<Pending>> = BTreeMap::new();
    for (key, step) in entries {
        let changes = instances.entry(key).or_default();
        match step {
            Step::Intended {
                http_tokens,
                http_endpoint,
                http_put_response_hop_limit,
                raise_hop_limit_to,
                by_automation,
            } => {
                let before = Before {
                    http_tokens,
                    http_endpoint,
                    hop_limit: http_put_response_hop_limit,
                    raised_to: raise_hop_limit_to,
                };
                changes.push(Pending { before, is_accepted: false, by_automation });
            }
            Step::Changed => {
                if let Some(latest) = changes.last_mut() {
                    latest.is_accepted = true;
                }
            }
            Step::Refused { .. } | Step::NotStarted => {
                changes.pop_if(|latest| !latest.is_accepted);
            }
            Step::Restored => changes.clear(),
        }
    }
    instances.into_iter().filter_map(|(key, changes)| Some((key, combine(changes)?))).collect()
}

/// Combines the changes of an instance. The options before the first of them are those to restore. The hop
/// limit to restore is from before the first change of it, which may be a later one.
fn combine(changes: Vec<Pending>) -> Option<Recorded> {
    let is_accepted = changes.iter().any(|change| change.is_accepted);
    let by_automation = changes.iter().any(|change| change.by_automation);
    let before = changes.into_iter().map(|change| change.before).reduce(|first, later| Before {
        hop_limit: first.hop_limit.or(later.hop_limit),
        raised_to: later.raised_to.or(first.raised_to),
        ..first
    })?;
    Some(match (is_accepted, by_automation) {
        (true, _) => Recorded::Changed(before),
        (false, false) => Recorded::Uncertain(before),
        (false, true) => Recorded::Automated(before),
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::{automated, intended, key};
    use super::*;

    fn before(hop_limit: Option<i32>, raised_to: Option<i32>) -> Before {
        let (http_tokens, http_endpoint) = ("optional".to_owned(), "enabled".to_owned());
        Before { http_tokens, http_endpoint, hop_limit, raised_to }
    }

    #[test]
    fn the_steps_of_an_instance_show_what_to_restore() {
        let first = || intended(Some(1));
        let second = || intended(Some(2));
        let refused = || Step::Refused { error: "denied".to_owned() };
        let changed = |hop_limit, raised_to| Some(Recorded::Changed(before(hop_limit, raised_to)));
        let uncertain = |hop_limit, raised_to| Some(Recorded::Uncertain(before(hop_limit, raised_to)));
        let cases = [
            (vec![], None),
            (vec![first()], uncertain(Some(1), Some(2))),
            (vec![first(), Step::Changed], changed(Some(1), Some(2))),
            (vec![first(), refused()], None),
            (vec![first(), Step::NotStarted], None),
            (vec![first(), Step::Restored], None),
            (vec![first(), Step::Changed, Step::Restored], None),
            (vec![first(), refused(), second()], uncertain(Some(2), Some(3))),
            (
                vec![first(), Step::Changed, Step::Restored, second(), Step::Changed],
                changed(Some(2), Some(3)),
            ),
            (vec![first(), Step::Changed, second()], changed(Some(1), Some(3))),
            (vec![first(), second(), Step::Changed], changed(Some(1), Some(3))),
            (vec![first(), second()], uncertain(Some(1), Some(3))),
            (vec![first(), Step::Changed, second(), refused()], changed(Some(1), Some(2))),
            (vec![first(), Step::Changed, second(), Step::NotStarted], changed(Some(1), Some(2))),
            (vec![first(), second(), refused()], uncertain(Some(1), Some(2))),
            (vec![first(), second(), Step::Restored], None),
            (vec![first(), Step::Changed, refused()], changed(Some(1), Some(2))),
            (vec![intended(None), Step::Changed, second(), Step::Changed], changed(Some(2), Some(3))),
            (vec![intended(None), Step::Changed], changed(None, None)),
            (vec![automated()], Some(Recorded::Automated(before(None, None)))),
            (vec![automated(), Step::Changed], changed(None, None)),
            (vec![automated(), Step::NotStarted], None),
            (vec![automated(), Step::NotStarted, first()], uncertain(Some(1), Some(2))),
            (vec![first(), automated()], Some(Recorded::Automated(before(Some(1), Some(2))))),
            // Lines whose intention cannot be read.
            (vec![Step::Changed], None),
            (vec![refused(), first()], uncertain(Some(1), Some(2))),
        ];
        for (steps, expected) in cases {
            let entries = steps.iter().map(|step| (key("i-1"), step.clone())).collect();
            assert_eq!(unrestored(entries).remove(&key("i-1")), expected, "{steps:?}");
        }
    }

    #[test]
    fn instances_do_not_affect_each_other() {
        let entries = vec![
            (key("i-1"), intended(None)),
            (key("i-2"), intended(None)),
            (key("i-2"), Step::Changed),
            (key("i-1"), Step::Restored),
        ];
        let expected = BTreeMap::from([(key("i-2"), Recorded::Changed(before(None, None)))]);
        assert_eq!(unrestored(entries), expected);
    }
}
