//! The exemption tag: a resource is exempt through the date in the value of the tag.

use time::Date;
use time::macros::format_description;

use super::annotation;
use super::policy::Policy;
use super::resource::Resource;

/// The effect of the exemption tag on a resource.
pub(super) enum Exemption {
    /// The resource does not have the tag, or the policy has no exemptions.
    None,
    /// The resource is exempt through this day.
    Until(Date),
    /// The resource has the tag, but is not exempt; the sentence says why.
    Ignored(String),
}

impl Exemption {
    /// Reads the exemption of `resource`. `today` is the date in UTC.
    pub(super) fn of(resource: &Resource<'_>, policy: &Policy, today: Date) -> Self {
        let Some(key) = policy.exemption_tag_key.as_deref() else { return Self::None };
        let Some(value) = resource.tag(key) else { return Self::None };
        // The parser also accepts a sign before the year.
        let is_unsigned = value.starts_with(|c: char| c.is_ascii_digit());
        match Date::parse(value, format_description!("[year]-[month]-[day]")) {
            Ok(last) if is_unsigned && today <= last => Self::Until(last),
            Ok(last) if is_unsigned => Self::Ignored(annotation::expired_exemption(last)),
            Ok(_) | Err(_) => Self::Ignored(annotation::invalid_exemption(value)),
        }
    }
}
