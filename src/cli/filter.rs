//! The options that select resources, whatever they are read from.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::Context;
use clap::builder::PossibleValue;
use clap::{Args, ValueEnum};

use super::input::text;
#[cfg(feature = "live")]
use crate::rule::policy::Policy;
#[cfg(feature = "live")]
use crate::rule::remedy::shell_quoted;
use crate::rule::resource::{Resource, ResourceType};
use crate::rule::verdict::Compliance;

/// The options that select resources.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Resources")]
pub(crate) struct FilterOptions {
    /// Only resources with this tag, or with != without it; may be repeated. Of several values of a key, one
    /// suffices
    #[arg(long = "tag", value_name = "KEY=VALUE")]
    tags: Vec<TagFilter>,

    /// Only resources of this type; may be repeated
    #[arg(long = "type", value_name = "TYPE", value_enum)]
    types: Vec<TypeName>,

    /// Leave out a resource, or those that a file lists, one id on each line; may be repeated. - is standard input
    #[arg(long, value_name = "ID|FILE")]
    exclude: Vec<PathBuf>,

    /// The tag that names the owner of a resource
    #[arg(long, value_name = "KEY")]
    pub(crate) owner_tag: Option<String>,
}

/// The options that limit what is shown. Everything is evaluated and counted nevertheless.
#[derive(Clone, Copy, Debug, Default, Args)]
#[command(next_help_heading = "Resources")]
pub(crate) struct ShownOptions {
    /// Show only resources with this compliance type
    #[arg(long, value_enum, value_name = "COMPLIANCE")]
    pub(crate) only: Option<ComplianceName>,

    /// Show at most N resources, the non-compliant ones first
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) limit: Option<u32>,
}

/// A compliance type, as an option names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ComplianceName {
    NonCompliant,
    Compliant,
    NotApplicable,
}

impl From<ComplianceName> for Compliance {
    fn from(name: ComplianceName) -> Self {
        match name {
            ComplianceName::NonCompliant => Self::NonCompliant,
            ComplianceName::Compliant => Self::Compliant,
            ComplianceName::NotApplicable => Self::NotApplicable,
        }
    }
}

/// A resource type, as an option names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TypeName {
    Instance,
    LaunchTemplate,
    LaunchConfiguration,
    AutoScalingGroup,
    Account,
}

impl TypeName {
    fn resource_type(self) -> ResourceType<'static> {
        match self {
            Self::Instance => ResourceType::Instance,
            Self::LaunchTemplate => ResourceType::LaunchTemplate,
            Self::LaunchConfiguration => ResourceType::LaunchConfiguration,
            Self::AutoScalingGroup => ResourceType::AutoScalingGroup,
            Self::Account => ResourceType::ACCOUNT,
        }
    }
}

impl ValueEnum for TypeName {
    fn value_variants<'a>() -> &'a [Self] {
        &[
            Self::Instance,
            Self::LaunchTemplate,
            Self::LaunchConfiguration,
            Self::AutoScalingGroup,
            Self::Account,
        ]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(match self {
            Self::Instance => PossibleValue::new("instance").alias("AWS::EC2::Instance"),
            Self::LaunchTemplate => PossibleValue::new("launch-template").alias("AWS::EC2::LaunchTemplate"),
            Self::LaunchConfiguration => {
                PossibleValue::new("launch-configuration").alias("AWS::AutoScaling::LaunchConfiguration")
            }
            Self::AutoScalingGroup => {
                PossibleValue::new("auto-scaling-group").alias("AWS::AutoScaling::AutoScalingGroup")
            }
            Self::Account => PossibleValue::new("account").alias("AWS::::Account"),
        })
    }
}

/// A condition on a tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TagFilter {
    key: String,
    value: String,
    is_equal: bool,
}

impl FromStr for TagFilter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once('=').map(|(key, value)| match key.strip_suffix('!') {
            Some(key) => (key, value, false),
            None => (key, value, true),
        });
        match parts {
            Some((key, value, is_equal)) if !key.is_empty() => {
                Ok(Self { key: key.to_owned(), value: value.to_owned(), is_equal })
            }
            _ => Err("expected KEY=VALUE or KEY!=VALUE, such as team=web".to_owned()),
        }
    }
}

impl FilterOptions {
    /// Returns the options that select the same resources, for the next command.
    #[cfg(feature = "live")]
    pub(crate) fn as_options(&self) -> String {
        let tags = self.tags.iter().map(|filter| {
            let operator = if filter.is_equal { "=" } else { "!=" };
            format!(" --tag {}", shell_quoted(&format!("{}{operator}{}", filter.key, filter.value)))
        });
        let exclude = self
            .exclude
            .iter()
            .map(|item| format!(" --exclude {}", shell_quoted(&item.display().to_string())));
        tags.chain(exclude).collect()
    }

    /// Returns whether the options leave out any resource.
    #[cfg(feature = "live")]
    pub(crate) fn is_any(&self) -> bool {
        !(self.tags.is_empty() && self.types.is_empty() && self.exclude.is_empty())
    }

    /// Returns the files that the options name: no output may replace them.
    pub(crate) fn files(&self) -> impl Iterator<Item = &Path> {
        self.exclude.iter().map(PathBuf::as_path).filter(|path| !is_id(path))
    }

    /// Reads the files, and returns the filter.
    ///
    /// # Errors
    /// Returns an error if a file cannot be read.
    pub(crate) fn filter(&self) -> anyhow::Result<Filter> {
        let mut excluded = BTreeSet::new();
        for item in &self.exclude {
            if let Some(id) = item.to_str().filter(|_| is_id(item)) {
                excluded.insert(id.to_owned());
            } else {
                let context = || format!("--exclude {}: not an id and not a readable file", item.display());
                let lines = text::read(item).with_context(context)?;
                excluded.extend(text::items(&lines).map(str::to_owned));
            }
        }
        let types = self.types.iter().map(|name| name.resource_type()).collect();
        Ok(Filter { tags: self.tags.clone(), types, excluded, owner_tag: self.owner_tag.clone() })
    }
}

/// Returns the option that passes these rule parameters, for the next command.
#[cfg(feature = "live")]
pub(crate) fn parameters_option(parameters: Option<&Policy>) -> String {
    let Some(parameters) = parameters else { return String::new() };
    let (mut parameters, default) = (parameters.rule_parameters(), Policy::default().rule_parameters());
    parameters.retain(|name, value| default.get(name) != Some(value));
    format!(" --parameters {}", shell_quoted(&serde_json::json!(parameters).to_string()))
}

/// Returns whether an argument is an id of a resource. Any other argument names a file.
fn is_id(argument: &Path) -> bool {
    let text = argument.to_str().unwrap_or_default();
    let has_id_shape = ["i-", "lt-"].iter().any(|prefix| {
        text.strip_prefix(prefix).is_some_and(|rest| rest.chars().all(|c| c.is_ascii_hexdigit()))
    });
    has_id_shape || text.starts_with("arn:")
}

/// Selects resources.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter {
    tags: Vec<TagFilter>,
    types: Vec<ResourceType<'static>>,
    excluded: BTreeSet<String>,
    pub(crate) owner_tag: Option<String>,
}

impl Filter {
    /// Returns whether resources of a type may be selected.
    pub(crate) fn includes_type(&self, resource_type: &ResourceType<'_>) -> bool {
        self.types.is_empty() || self.types.contains(resource_type)
    }

    /// Returns whether a resource is selected.
    pub(crate) fn includes(&self, resource: &Resource<'_>) -> bool {
        self.includes_type(&resource.resource_type)
            && !self.excluded.contains(resource.resource_id.as_ref())
            && self.tags.iter().all(|filter| self.holds(filter, resource))
    }

    fn holds(&self, filter: &TagFilter, resource: &Resource<'_>) -> bool {
        let value = resource.tag(&filter.key);
        if !filter.is_equal {
            return value != Some(&filter.value);
        }
        let mut same_key = self.tags.iter().filter(|other| other.is_equal && other.key == filter.key);
        same_key.any(|other| value == Some(&other.value))
    }

    /// Returns the tags that the filter reads.
    #[cfg(feature = "live")]
    pub(crate) fn tag_keys(&self) -> impl Iterator<Item = &str> {
        self.tags.iter().map(|filter| filter.key.as_str()).chain(self.owner_tag.as_deref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::resource::Tag;

    fn filter(tags: &[&str]) -> Filter {
        let tags = tags.iter().map(|text| text.parse().expect(text)).collect();
        Filter { tags, ..Filter::default() }
    }

    fn instance(tags: &[(&'static str, &'static str)]) -> Resource<'static> {
        let tags = tags.iter().map(|(key, value)| Tag { key: (*key).into(), value: (*value).into() });
        Resource { tags: tags.collect(), ..Resource::existing(ResourceType::Instance, "i-1".into(), None) }
    }

    #[test]
    fn all_conditions_on_tags_must_hold_and_one_value_of_a_key_suffices() {
        let (web, db) = (instance(&[("team", "web"), ("env", "prod")]), instance(&[("team", "db")]));
        for (tags, expected) in [
            (&[][..], (true, true)),
            (&["team=web"], (true, false)),
            (&["team=web", "team=db"], (true, true)),
            (&["team=web", "env=dev"], (false, false)),
            (&["team!=web"], (false, true)),
            (&["env!=prod"], (false, true)),
            (&["team!=web", "team!=db"], (false, false)),
            (&["team="], (false, false)),
        ] {
            let filter = filter(tags);
            assert_eq!((filter.includes(&web), filter.includes(&db)), expected, "{tags:?}");
        }
        for bad in ["", "team", "=web", "!=web"] {
            assert!(bad.parse::<TagFilter>().is_err(), "{bad}");
        }
    }

    #[test]
    fn types_and_ids_are_left_out() {
        let template = Resource::existing(ResourceType::LaunchTemplate, "lt-1".into(), None);
        let options = FilterOptions { types: vec![TypeName::LaunchTemplate], ..FilterOptions::default() };
        let only_templates = options.filter().expect("a filter");
        assert!(only_templates.includes(&template) && !only_templates.includes(&instance(&[])));
        let options = FilterOptions { exclude: vec!["lt-1".into()], ..FilterOptions::default() };
        let without = options.filter().expect("a filter");
        assert!(!without.includes(&template) && without.includes(&instance(&[])));
        let options = FilterOptions { exclude: vec!["no/such/file".into()], ..FilterOptions::default() };
        let error = format!("{:#}", options.filter().expect_err("no file"));
        assert!(error.starts_with("--exclude no/such/file: not an id and not a readable file: "), "{error}");
    }
}
