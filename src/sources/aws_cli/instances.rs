//! The JSON that `aws ec2 describe-instances` prints.
//!
//! It differs from a configuration item in the spelling of its keys, and an instance names neither its Region
//! nor its account (<https://docs.aws.amazon.com/cli/latest/reference/ec2/describe-instances.html>).

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::rule::resource::{Gap, Lifecycle, Resource, ResourceType};
use crate::sources::fields::{Tags, Text, lifecycle, metadata_options, operator};
use crate::sources::{SourceError, read_object};

/// A reservation: instances that were launched together, and their owner.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Reservation<'a> {
    #[serde(borrow)]
    owner_id: Option<Text<'a>>,
    #[serde(borrow)]
    instances: Vec<Instance<'a>>,
}

/// An instance.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Instance<'a> {
    #[serde(borrow)]
    instance_id: Option<Text<'a>>,
    #[serde(borrow)]
    state: Option<&'a RawValue>,
    #[serde(borrow)]
    placement: Option<Placement<'a>>,
    #[serde(borrow)]
    tags: Option<Tags<'a>>,
    #[serde(borrow)]
    metadata_options: Option<&'a RawValue>,
    #[serde(borrow)]
    operator: Option<&'a RawValue>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Placement<'a> {
    #[serde(borrow)]
    availability_zone: Option<Text<'a>>,
}

impl<'a> Reservation<'a> {
    /// Reads a reservation from JSON.
    ///
    /// # Errors
    /// Returns an error that names the field, if `json` is not a reservation.
    pub fn from_json(json: &'a str) -> Result<Self, SourceError> {
        read_object("reservation", json)
    }

    /// Returns the instances of the reservation, each on its own: a malformed one does not hide the others.
    pub fn resources(&self) -> impl Iterator<Item = Result<Resource<'_>, SourceError>> {
        self.instances.iter().map(|instance| instance.resource_of(self.owner_id.as_ref()))
    }
}

impl<'a> Instance<'a> {
    /// Reads an instance from JSON.
    ///
    /// # Errors
    /// Returns an error that names the field, if `json` is not an instance.
    pub fn from_json(json: &'a str) -> Result<Self, SourceError> {
        read_object("instance", json)
    }

    /// Returns the instance as a resource whose account is not known.
    ///
    /// # Errors
    /// Returns an error if the instance has no `InstanceId`, or if a field that a verdict depends on is
    /// malformed.
    pub fn resource(&self) -> Result<Resource<'_>, SourceError> {
        self.resource_of(None)
    }

    fn resource_of<'s>(&'s self, owner: Option<&'s Text<'a>>) -> Result<Resource<'s>, SourceError> {
        let id = self.instance_id.as_ref().ok_or(SourceError::Missing("InstanceId"))?;
        let zone = self.placement.as_ref().and_then(|placement| placement.availability_zone.as_ref());
        let state = self.state.map(|state| lifecycle("State", state)).transpose()?;
        let options = self.metadata_options.map(|json| metadata_options("MetadataOptions", json));
        let options = options.transpose()?;
        let managed_by = self.operator.map(|json| operator("Operator", json)).transpose()?.flatten();
        Ok(Resource {
            account_id: owner.map(Text::reborrow),
            region: zone.and_then(|zone| region_of(&zone.0)).map(Into::into),
            lifecycle: state.unwrap_or(Lifecycle::Exists),
            tags: self.tags.as_ref().map(Tags::reborrow).unwrap_or_default(),
            managed_by,
            gap: options.is_none().then_some(Gap::NoMetadataOptions),
            ..Resource::existing(ResourceType::Instance, id.reborrow(), options)
        })
    }
}

/// Returns the Region of a zone: `us-east-1` of the Availability Zone `us-east-1a`, `us-west-2` of the Local
/// Zone `us-west-2-lax-1a`, `us-east-1` of the Wavelength Zone `us-east-1-wl1-bos-wlz-1`. It ends with the
/// first number
/// (<https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/using-regions-availability-zones.html>).
fn region_of(zone: &str) -> Option<&str> {
    let number = zone.find(|c: char| c.is_ascii_digit())?;
    let digits = zone.get(number..)?.find(|c: char| !c.is_ascii_digit());
    zone.get(..digits.map_or(zone.len(), |digits| number + digits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn region_is_read_from_every_kind_of_zone() {
        for (zone, region) in [
            ("us-east-1a", Some("us-east-1")),
            ("us-gov-west-1b", Some("us-gov-west-1")),
            ("us-west-2-lax-1a", Some("us-west-2")),
            ("us-east-1-wl1-bos-wlz-1", Some("us-east-1")),
            ("eu-central-12", Some("eu-central-12")),
            ("", None),
            ("nowhere", None),
        ] {
            assert_eq!(region_of(zone), region, "{zone}");
        }
    }
}
