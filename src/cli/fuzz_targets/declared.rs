//! Bytes as a template, and as a plan.

use super::{TODAY, check};
use crate::rule::policy::Policy;
use crate::rule::verdict::evaluate;
use crate::sources::cloudformation::parameters::TemplateParameters;
use crate::sources::cloudformation::{self, Encoding};
use crate::sources::{Declared, terraform};

/// Judges what a CloudFormation template in `input` declares, in YAML and in JSON: nothing panics, hangs or fills the memory.
pub fn template(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let parameters = TemplateParameters::from_json(text).unwrap_or_default();
    for encoding in [Encoding::Yaml, Encoding::Json] {
        let template = cloudformation::read(text, encoding, &parameters);
        judge(template.into_iter().flat_map(|template| template.resources).flatten());
    }
}

/// Judges what a Terraform plan or state in `input` declares: nothing panics.
pub fn plan(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    judge(terraform::read(text).into_iter().flatten().flatten());
}

fn judge(declared: impl Iterator<Item = Declared>) {
    for Declared { resource, .. } in declared {
        check(&evaluate(&resource, &Policy::default(), TODAY));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::{JSON_LIKE, damaged};
    use super::*;

    const TEMPLATE: &str = include_str!("../../../examples/template.yaml");
    const PLAN: &str = include_str!("../../../examples/terraform-plan.json");

    proptest! {
        #[test]
        fn any_text_is_judged(input in JSON_LIKE) {
            template(input.as_bytes());
            plan(input.as_bytes());
        }

        #[test]
        fn any_yaml_is_judged(input in "[A-Za-z:&*!?|>%@`'\"{}\\[\\],#\\- \n\t0-9]{0,120}") {
            template(input.as_bytes());
        }

        #[test]
        fn damaged_templates_are_judged(input in damaged(TEMPLATE)) {
            template(&input);
        }

        #[test]
        fn damaged_plans_are_judged(input in damaged(PLAN)) {
            plan(&input);
        }
    }
}
