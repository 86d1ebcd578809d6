//! The attributes of resources, and metadata options, of which a plan may not know all.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::Value;

use super::references::references;
use crate::rule::resource::{MetadataOptions, Tag};
use crate::rule::unresolved::Unresolved;
use crate::sources::fields::{Tags, Text};

/// The attributes that a verdict depends on, of all types of resources
/// (<https://registry.terraform.io/providers/hashicorp/aws/latest/docs>). Blocks are lists.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Attributes<'a> {
    #[serde(borrow)]
    pub(super) id: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) arn: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) name: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) region: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) ami: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) image_id: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) metadata_options: Option<Vec<OptionsBlock<'a>>>,
    #[serde(borrow)]
    pub(super) launch_configuration: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) launch_template: Option<Vec<TemplateBlock<'a>>>,
    #[serde(borrow)]
    pub(super) mixed_instances_policy: Option<Vec<PolicyBlock<'a>>>,
    #[serde(borrow)]
    tags: Option<Tags<'a>>,
    #[serde(borrow)]
    tags_all: Option<Tags<'a>>,
    /// The tags of an Auto Scaling group.
    #[serde(borrow)]
    tag: Option<Tags<'a>>,
    pub(super) default_version: Option<i64>,
    pub(super) latest_version: Option<i64>,
    pub(super) update_default_version: Option<bool>,
}

impl Attributes<'_> {
    /// Returns the tags, with those that the provider adds.
    pub(super) fn tags(&self) -> Vec<Tag<'static>> {
        let tags = self.tags_all.as_ref().or(self.tags.as_ref()).or(self.tag.as_ref());
        tags.map(Tags::reborrow).unwrap_or_default().into_iter().map(Tag::into_owned).collect()
    }
}

/// A block of metadata options, or the attributes of account-level defaults.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct OptionsBlock<'a> {
    #[serde(borrow)]
    http_tokens: Option<Text<'a>>,
    #[serde(borrow)]
    http_endpoint: Option<Text<'a>>,
    http_put_response_hop_limit: Option<i64>,
}

/// A block `launch_template`, or `launch_template_specification` with other names.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct TemplateBlock<'a> {
    #[serde(borrow, alias = "launch_template_id")]
    pub(super) id: Option<Text<'a>>,
    #[serde(borrow, alias = "launch_template_name")]
    pub(super) name: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) version: Option<Text<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct PolicyBlock<'a> {
    #[serde(borrow)]
    pub(super) launch_template: Option<Vec<PolicyTemplateBlock<'a>>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct PolicyTemplateBlock<'a> {
    #[serde(borrow)]
    pub(super) launch_template_specification: Option<Vec<TemplateBlock<'a>>>,
    #[serde(borrow, rename = "override")]
    pub(super) overrides: Option<Vec<OverrideBlock<'a>>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct OverrideBlock<'a> {
    #[serde(borrow)]
    pub(super) launch_template_specification: Option<Vec<TemplateBlock<'a>>>,
    #[serde(borrow)]
    pub(super) image_id: Option<Text<'a>>,
}

/// A part of a resource, with what the plan does not know of it and the expressions that set it.
#[derive(Clone, Copy)]
pub(super) struct Part<'v> {
    /// `after_unknown` of this part: `true`, or the same shape as the part.
    unknown: &'v Value,
    expressions: &'v Value,
    /// Whether the part is of a dynamic block, whose expressions a plan does not contain.
    is_dynamic: bool,
}

impl<'v> Part<'v> {
    pub(super) fn new(unknown: &'v Value, expressions: &'v Value) -> Self {
        Self { unknown, expressions, is_dynamic: false }
    }

    /// Returns an attribute of the part, or all blocks of a name.
    pub(super) fn get(self, key: &str) -> Self {
        self.at(key)
    }

    /// Returns one of the blocks that the part is, of which there are so many.
    pub(super) fn block(self, index: usize, number: usize) -> Self {
        // If these are not the blocks of the configuration, a dynamic block makes some.
        let is_dynamic = self.unknown.is_array() && self.expressions.as_array().map_or(0, Vec::len) != number;
        if is_dynamic {
            Self { expressions: &Value::Null, is_dynamic, ..self.at(index) }
        } else {
            self.at(index)
        }
    }

    fn at(self, key: impl serde_json::value::Index + Copy) -> Self {
        let unknown = match self.unknown {
            Value::Bool(_) => self.unknown,
            other => other.get(key).unwrap_or(&Value::Null),
        };
        Self { unknown, expressions: self.expressions.get(key).unwrap_or(&Value::Null), ..self }
    }

    /// Returns the expression that sets an attribute; null, if none does.
    pub(super) fn expression(self) -> &'v Value {
        self.expressions
    }

    /// Returns whether the whole part is unknown.
    pub(super) fn is_unknown(self) -> bool {
        self.unknown == &Value::Bool(true)
    }

    /// Returns what the unknown value of an attribute depends on; `None` if the configuration does not set it, so that AWS
    /// decides.
    pub(super) fn depends_on(self) -> Option<String> {
        if !self.is_unknown() || (self.expressions.is_null() && !self.is_dynamic) {
            return None;
        }
        let otherwise = if self.is_dynamic { "a dynamic block" } else { "an expression" };
        Some(references(self.expressions).next().unwrap_or(otherwise).to_owned())
    }
}

/// Reads a block `metadata_options`; `None` if there is none.
pub(super) fn metadata_options(
    blocks: Option<&Vec<OptionsBlock<'_>>>,
    part: Part<'_>,
) -> Option<MetadataOptions<'static>> {
    let unset = OptionsBlock::default();
    let block = blocks.and_then(|blocks| blocks.first());
    if block.is_none() && !part.is_unknown() {
        return None;
    }
    let options = options(block.unwrap_or(&unset), part.block(0, 1));
    (options != MetadataOptions::UNSET || block.is_some()).then_some(options)
}

/// Reads metadata options.
pub(super) fn options(block: &OptionsBlock<'_>, part: Part<'_>) -> MetadataOptions<'static> {
    let depends_on =
        |key: &str, is_known: bool| part.get(key).depends_on().filter(|_| !is_known).map(Cow::Owned);
    // The provider writes empty strings and zeros for what is not set.
    let text = |text: &Option<Text<'_>>| {
        text.as_ref().map(|text| text.0.to_string()).filter(|text| !text.is_empty())
    };
    let (tokens, endpoint) = (text(&block.http_tokens), text(&block.http_endpoint));
    let limit = block.http_put_response_hop_limit;
    // What means "no default" in `aws_ec2_instance_metadata_defaults`.
    let tokens = tokens.filter(|tokens| tokens != "no-preference");
    let limit = limit.filter(|limit| *limit > 0);
    let unresolved = Unresolved {
        http_tokens: depends_on("http_tokens", tokens.is_some()),
        http_endpoint: depends_on("http_endpoint", endpoint.is_some()),
        hop_limit: depends_on("http_put_response_hop_limit", limit.is_some()),
    };
    MetadataOptions {
        unresolved,
        ..MetadataOptions::from_api(tokens.map(Into::into), endpoint.as_deref(), limit, None)
    }
}
