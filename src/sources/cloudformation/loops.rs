//! Loops
//! (<https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/intrinsic-function-reference-foreach.html>).
//!
//! The body of a loop is read once. What contains the identifier of the loop differs between its elements, and is not known.

use super::node::{Node, Value};

/// The key of a loop begins with this.
pub(super) const LOOP: &str = "Fn::ForEach::";
/// The function that stands for a text with the identifier of a loop.
const ELEMENT: &str = "Fn::ForEach";

/// Replaces the texts that contain the identifier of a loop around them, by a function whose value is not known.
pub(super) fn mask(root: &mut Node) {
    mask_with(root, &mut Vec::new());
}

/// Returns whether a value was replaced.
pub(super) fn is_masked(node: &Node) -> bool {
    node.member(ELEMENT).is_some()
}

/// `placeholders` are the two forms of each identifier.
fn mask_with(node: &mut Node, placeholders: &mut Vec<[String; 2]>) {
    let contains = |text: &str| placeholders.iter().flatten().any(|placeholder| text.contains(placeholder));
    if node.text().is_some_and(contains) {
        let nothing = Node { line: node.line, value: Value::Null };
        *node = Node::function(ELEMENT.to_owned(), nothing);
    }
    match &mut node.value {
        Value::Null | Value::Scalar(_) => {}
        Value::List(list) => list.iter_mut().for_each(|element| mask_with(element, placeholders)),
        Value::Map(members) => {
            for (key, node) in members.iter_mut() {
                let identifier = key.starts_with(LOOP).then(|| node.list()?.first()?.text()).flatten();
                let placeholder = identifier.map(|name| [format!("${{{name}}}"), format!("&{{{name}}}")]);
                let is_loop = placeholder.is_some();
                placeholders.extend(placeholder);
                mask_with(node, placeholders);
                if is_loop {
                    placeholders.pop();
                }
            }
        }
    }
}
