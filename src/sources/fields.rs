//! Fields as AWS writes them, borrowed from the input when possible.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{self, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::{SourceError, read_object};
use crate::rule::launch::{Image, LaunchSettings};
use crate::rule::resource::{Lifecycle, MetadataOptions, Tag, UNNAMED_OPERATOR};

/// A string that borrows from the input unless it contains escapes. (Inside an `Option`, a plain `Cow` never
/// borrows.)
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Text<'a>(#[serde(borrow)] pub(crate) Cow<'a, str>);

impl Text<'_> {
    /// Borrows the text.
    pub(crate) fn reborrow(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.0)
    }
}

/// Tags, either as a map (`tags` of a configuration item) or as a list of keys and values
/// (`configuration.tags`, and every EC2 response).
#[derive(Clone, Debug, Default)]
pub(crate) struct Tags<'a>(pub(crate) Vec<(Text<'a>, Text<'a>)>);

impl Tags<'_> {
    pub(crate) fn reborrow(&self) -> Vec<Tag<'_>> {
        self.0.iter().map(|(key, value)| Tag { key: key.reborrow(), value: value.reborrow() }).collect()
    }
}

impl<'a> FromIterator<(&'a str, &'a str)> for Tags<'a> {
    fn from_iter<I: IntoIterator<Item = (&'a str, &'a str)>>(tags: I) -> Self {
        let text = |text| Text(Cow::Borrowed(text));
        Self(tags.into_iter().map(|(key, value)| (text(key), text(value))).collect())
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Tags<'a> {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TagsVisitor)
    }
}

struct TagsVisitor;

impl<'de> Visitor<'de> for TagsVisitor {
    type Value = Tags<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("tags, as a map or as a list of keys and values")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
        Ok(Tags::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut tags = Vec::with_capacity(map.size_hint().unwrap_or(0));
        while let Some((key, value)) = map.next_entry::<Text<'de>, Option<Text<'de>>>()? {
            tags.extend(value.map(|value| (key, value)));
        }
        Ok(Tags(tags))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        #[derive(Deserialize)]
        struct Pair<'a> {
            #[serde(borrow, alias = "Key")]
            key: Option<Text<'a>>,
            #[serde(borrow, alias = "Value")]
            value: Option<Text<'a>>,
        }
        let mut tags = Vec::new();
        while let Some(tag) = list.next_element::<Pair<'de>>()? {
            tags.extend(tag.key.zip(tag.value));
        }
        Ok(Tags(tags))
    }
}

/// A field that AWS Config writes either as an object (events, snapshots) or as a string that contains JSON
/// (history).
#[derive(Clone, Debug, Default)]
pub(crate) enum Embedded<'a, T> {
    /// Absent or null.
    #[default]
    Absent,
    /// An object.
    Object(T),
    /// A string, expected to contain an object.
    Encoded(Cow<'a, str>),
}

impl<'de: 'a, 'a, T: Deserialize<'de>> Deserialize<'de> for Embedded<'a, T> {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(EmbeddedVisitor(std::marker::PhantomData))
    }
}

struct EmbeddedVisitor<T>(std::marker::PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for EmbeddedVisitor<T> {
    type Value = Embedded<'de, T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object, or a string that contains one")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        T::deserialize(de::value::MapAccessDeserializer::new(map)).map(Embedded::Object)
    }

    fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Embedded::Encoded(Cow::Borrowed(text)))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Embedded::Encoded(Cow::Owned(text.to_owned())))
    }

    fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
        Ok(Embedded::Absent)
    }
}

/// Metadata options in any of AWS's spellings: lower camel case in the items of instances and launch
/// configurations, Pascal case in those of launch templates and in EC2's responses. Unknown options are
/// ignored.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OptionsFields<'a> {
    #[serde(borrow, alias = "HttpTokens")]
    http_tokens: Option<Text<'a>>,
    #[serde(borrow, alias = "HttpEndpoint")]
    http_endpoint: Option<Text<'a>>,
    #[serde(alias = "HttpPutResponseHopLimit")]
    http_put_response_hop_limit: Option<i64>,
    #[serde(borrow, alias = "State")]
    state: Option<Text<'a>>,
}

/// Reads metadata options. `path` is their place in the record, for errors.
pub(crate) fn metadata_options<'a>(
    path: &str,
    json: &'a RawValue,
) -> Result<MetadataOptions<'a>, SourceError> {
    let fields: OptionsFields<'a> = read_object(path, json.get())?;
    Ok(MetadataOptions::from_api(
        fields.http_tokens.map(|text| text.0),
        fields.http_endpoint.as_ref().map(|text| text.0.as_ref()),
        fields.http_put_response_hop_limit,
        fields.state.as_ref().map(|text| text.0.as_ref()),
    ))
}

/// Reads the state of an instance, `{"code", "name"}` or `{"Code", "Name"}`.
pub(crate) fn lifecycle<'a>(path: &str, json: &'a RawValue) -> Result<Lifecycle<'a>, SourceError> {
    #[derive(Deserialize)]
    struct State<'a> {
        #[serde(borrow, alias = "Name")]
        name: Option<Text<'a>>,
    }
    let state: State<'a> = read_object(path, json.get())?;
    Ok(state.name.map_or(Lifecycle::Exists, |name| Lifecycle::from_instance_state(name.0)))
}

/// Reads the data of a launch template version: its metadata options and its AMI.
pub(crate) fn launch_template_data<'a>(
    path: &str,
    json: &'a RawValue,
) -> Result<LaunchSettings<'a>, SourceError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct LaunchTemplateData<'a> {
        #[serde(borrow)]
        metadata_options: Option<&'a RawValue>,
        #[serde(borrow)]
        image_id: Option<Text<'a>>,
    }
    let data: LaunchTemplateData<'a> = read_object(path, json.get())?;
    let options = data.metadata_options;
    let options =
        options.map(|json| metadata_options(&format!("{path}.MetadataOptions"), json)).transpose()?;
    Ok(LaunchSettings { options, image: Image::from_id(data.image_id.map(|id| id.0)) })
}

/// Reads the operator of a resource: the principal of the AWS service that manages it, if one does. Auto Scaling groups
/// have an operator only if they are managed, and do not say so.
pub(crate) fn operator<'a>(path: &str, json: &'a RawValue) -> Result<Option<Cow<'a, str>>, SourceError> {
    #[derive(Deserialize)]
    struct Operator<'a> {
        #[serde(alias = "Managed")]
        managed: Option<bool>,
        #[serde(borrow, alias = "Principal")]
        principal: Option<Text<'a>>,
    }
    let operator: Operator<'a> = read_object(path, json.get())?;
    let is_managed = operator.managed.unwrap_or(operator.principal.is_some());
    Ok(is_managed.then(|| operator.principal.map_or(UNNAMED_OPERATOR.into(), |principal| principal.0)))
}
