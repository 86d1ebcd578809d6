//! The versions of a launch template after a plan was applied.
//!
//! Terraform describes the latest version. A change makes a new version; whether that becomes the default version,
//! `update_default_version` decides
//! (<https://registry.terraform.io/providers/hashicorp/aws/latest/docs/resources/launch_template>).

use super::document::Change;
use super::values::{Attributes, Part, metadata_options};
use crate::rule::launch::{Image, LaunchSettings};
use crate::rule::resource::{Resource, VersionNumbers};
use crate::sources::declared_launches::DeclaredLaunches;
use crate::sources::{SourceError, read_object};

/// Remembers the versions of a launch template that are known. `template` has the settings of the latest version; it gets
/// those of the default version, by which launch templates are judged.
///
/// # Errors
/// Returns an error if what the template was before is malformed.
pub(super) fn remember(
    template: &mut Resource<'static>,
    attributes: &Attributes<'_>,
    change: Option<Change<'_>>,
    launches: &mut DeclaredLaunches,
) -> Result<(), SourceError> {
    let latest = attributes.latest_version;
    let before =
        change.filter(|change| latest.is_none() && change.is_update()).and_then(|change| change.before);
    let before: Option<Attributes<'_>> = before.map(|json| read_object("before", json.get())).transpose()?;
    let previous = before.as_ref().and_then(|before| before.latest_version);
    let latest = latest.unwrap_or_else(|| previous.unwrap_or_default().saturating_add(1));
    launches.remember_version(template, latest);
    let earlier = before.as_ref().zip(previous).map(|(before, number)| (number, settings(before)));
    if let Some((number, settings)) = &earlier {
        launches.remember_version(&with(template, settings.clone()), *number);
    }
    let default = if attributes.update_default_version == Some(true) {
        latest
    } else {
        let kept = before.as_ref().and_then(|before| before.default_version);
        attributes.default_version.or(kept).unwrap_or(latest)
    };
    let numbers = VersionNumbers { default, latest };
    launches.remember_numbers(&template.resource_id, numbers);
    template.version_numbers = Some(numbers);
    if default != latest {
        let known = earlier.filter(|(number, _)| *number == default).map(|(_, settings)| settings);
        *template = with(template, known.unwrap_or_else(|| unknown_version(default)));
    }
    Ok(())
}

fn settings(attributes: &Attributes<'_>) -> LaunchSettings<'static> {
    let nothing = serde_json::Value::Null;
    let part = Part::new(&nothing, &nothing);
    let image = attributes.image_id.as_ref().map(|id| id.0.to_string().into());
    LaunchSettings {
        options: metadata_options(attributes.metadata_options.as_ref(), part),
        image: Image::from_id(image),
    }
}

fn unknown_version(number: i64) -> LaunchSettings<'static> {
    let what = format!("version {number}, the default version, which the input does not contain");
    LaunchSettings::unresolved(&what.into())
}

fn with(template: &Resource<'static>, settings: LaunchSettings<'static>) -> Resource<'static> {
    Resource { metadata_options: settings.options, image: settings.image, ..template.clone() }
}
