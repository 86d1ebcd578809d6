//! Bytes as the payload of an event of AWS Config, and as a configuration item.

use serde_json::Value;

use super::{TODAY, check};
use crate::rule::policy::Policy;
use crate::rule::resource::Resource;
use crate::rule::verdict::{Compliance, evaluate};
use crate::sources::config::configuration_item::ConfigurationItem;
use crate::sources::config::event::{ConfigEvent, Trigger};

/// Evaluates `input` as the payload of an invocation: nothing panics, and every annotation can be read.
pub fn event(input: &[u8]) {
    let Ok(payload) = serde_json::from_slice::<Value>(input) else { return };
    let Ok(event) = ConfigEvent::new(&payload) else { return };
    // Each accessor fails by itself.
    let _ = (event.account_id(), event.result_token(), event.rule_name());
    let policy = event.policy().unwrap_or_default();
    let left_scope = event.left_scope().unwrap_or_default();
    if let Ok(Trigger::Change(item) | Trigger::Oversized(item)) = event.trigger() {
        let _ = item.capture_time();
        if let Ok(resource) = item.resource(left_scope) {
            check(&evaluate(&resource, &policy, TODAY));
        }
    }
}

/// Evaluates `input` as a configuration item: nothing panics, and an instance complies only if an independent reading
/// of the item finds that tokens are required or the endpoint is disabled.
pub fn item(input: &[u8]) {
    let Ok(json) = std::str::from_utf8(input) else { return };
    let Ok(item) = ConfigurationItem::from_json("item", json) else { return };
    let Ok(resource) = item.resource(false) else { return };
    let verdict = evaluate(&resource, &Policy::default(), TODAY);
    check(&verdict);
    if verdict.compliance == Compliance::Compliant && is_instance(&resource) {
        // What no verdict depends on may be what this reading does not accept, such as a number that is too large.
        let Ok(item) = serde_json::from_str::<Value>(json) else { return };
        let is = |name: &str, value: &str| option(&item, name).as_deref() == Some(value);
        assert!(is("httpTokens", "required") || is("httpEndpoint", "disabled"), "{json}");
    }
}

fn is_instance(resource: &Resource<'_>) -> bool {
    resource.resource_type.name() == "AWS::EC2::Instance"
}

/// Returns a metadata option of an item, whose configuration may be a string that contains JSON. In launch templates
/// and in the output of the AWS CLI, names begin with a capital letter.
fn option(item: &Value, name: &str) -> Option<String> {
    let configuration = match item.get("configuration")? {
        Value::String(json) => serde_json::from_str(json).ok()?,
        other => other.clone(),
    };
    let options = configuration.get("metadataOptions")?;
    let value = options.get(name).or_else(|| options.get(name.replacen('h', "H", 1)))?;
    Some(value.as_str()?.to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::{JSON_LIKE, damaged};
    use super::*;

    const EVENT: &str = include_str!("../../../tests/fixtures/instance-optional-event.json");
    const ITEM: &str = include_str!("../../../tests/fixtures/instance-required-item.json");

    proptest! {
        #[test]
        fn any_text_is_evaluated(input in JSON_LIKE) {
            event(input.as_bytes());
            item(input.as_bytes());
        }

        #[test]
        fn damaged_events_are_evaluated(input in damaged(EVENT)) {
            event(&input);
        }

        #[test]
        fn an_item_with_something_after_it_is_an_error(rest in "[^ \n\r\t]{1,9}") {
            let json = [ITEM, &rest].concat();
            prop_assert!(ConfigurationItem::from_json("item", &json).is_err());
        }

        #[test]
        fn damaged_items_are_evaluated(input in damaged(ITEM)) {
            item(&input);
        }
    }
}
