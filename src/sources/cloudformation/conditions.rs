//! Conditions, worked out as far as the template alone decides
//! (<https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/intrinsic-function-reference-conditions.html>).

use super::functions::{Functions, dependency};
use super::node::Node;

/// The value of a condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Truth {
    Is(bool),
    /// Only the deployment knows it. It depends on this.
    Unresolved(String),
}

impl Truth {
    fn unresolved(what: impl Into<String>) -> Self {
        Self::Unresolved(dependency(what.into()))
    }
}

impl Functions<'_> {
    /// Returns the value of a condition, by its name.
    pub(super) fn condition(&self, name: &str) -> Truth {
        match self.judged.borrow().get(name) {
            Some(Some(truth)) => return truth.clone(),
            Some(None) => return Truth::unresolved(format!("the condition {name}, which depends on itself")),
            None => {}
        }
        self.judged.borrow_mut().insert(name.to_owned(), None);
        let truth = match self.conditions.and_then(|conditions| conditions.member(name)) {
            Some(node) => self.truth(node),
            None => Truth::unresolved(format!("the condition {name}, which the template does not have")),
        };
        self.judged.borrow_mut().insert(name.to_owned(), Some(truth.clone()));
        truth
    }

    fn truth(&self, node: &Node) -> Truth {
        self.nested(|| self.truth_of(node)).unwrap_or_else(|| Truth::unresolved("a condition"))
    }

    fn truth_of(&self, node: &Node) -> Truth {
        let Some([member]) = node.members() else { return Truth::unresolved("a condition") };
        let operands = || member.node.list().unwrap_or_default().iter().map(|operand| self.truth(operand));
        match (member.key.as_str(), &member.node) {
            ("Condition", name) => self.condition(name.text().unwrap_or_default()),
            ("Fn::Equals", operands) => match operands.list() {
                Some([left, right]) => match (self.text_of(left), self.text_of(right)) {
                    (Ok(left), Ok(right)) => Truth::Is(left == right),
                    (Err(what), _) | (_, Err(what)) => Truth::Unresolved(what),
                },
                _ => Truth::unresolved("Fn::Equals"),
            },
            ("Fn::Not", _) => match operands().next() {
                Some(Truth::Is(value)) => Truth::Is(!value),
                Some(unresolved @ Truth::Unresolved(_)) => unresolved,
                None => Truth::unresolved("Fn::Not"),
            },
            ("Fn::And", _) => decided_by(false, operands()),
            ("Fn::Or", _) => decided_by(true, operands()),
            (other, _) => Truth::unresolved(other),
        }
    }
}

/// Returns the value of operands of which one that is `decisive` decides.
fn decided_by(decisive: bool, operands: impl Iterator<Item = Truth>) -> Truth {
    let mut result = Truth::Is(!decisive);
    for operand in operands {
        match operand {
            Truth::Is(value) if value == decisive => return operand,
            Truth::Is(_) => {}
            Truth::Unresolved(_) => result = operand,
        }
    }
    result
}
