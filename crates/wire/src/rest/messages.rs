//! Generated messages as JSON by protobuf's own mapping: names as in the .proto files,
//! fields printed also where they have their default, 64-bit integers as strings.

use std::sync::LazyLock;

use bytes::Bytes;
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, SerializeOptions};
use serde::{Serialize, Serializer};

use super::refusal::RestError;
use crate::proto::FILE_DESCRIPTOR_SET;
use crate::proto::serving::GetModelStatusResponse;

static MESSAGES: LazyLock<Option<DescriptorPool>> =
    LazyLock::new(|| DescriptorPool::decode(FILE_DESCRIPTOR_SET).ok());

/// The states of a model's versions.
pub fn status_json(status: &GetModelStatusResponse) -> Result<Vec<u8>, RestError> {
    print(&status_message(status)?)
}

/// Every model with the states of its versions.
pub fn models_json(models: &[(String, GetModelStatusResponse)]) -> Result<Vec<u8>, RestError> {
    let model = |(name, status): &(String, GetModelStatusResponse)| {
        Ok(Model {
            name: name.clone(),
            status: status_message(status)?,
        })
    };
    let models = models.iter().map(model).collect::<Result<_, RestError>>()?;
    print(&Models { models })
}

#[derive(Serialize)]
struct Models {
    models: Vec<Model>,
}

#[derive(Serialize)]
struct Model {
    name: String,
    #[serde(flatten)]
    status: Mapped,
}

fn status_message(status: &GetModelStatusResponse) -> Result<Mapped, RestError> {
    let name = "tensorflow.serving.GetModelStatusResponse";
    Mapped::read(name, status.encode_to_vec().into())
}

/// A model's version and its signatures, given as an encoded `SignatureDefMap`.
pub fn metadata_json(model: &str, version: i64, signatures: &Bytes) -> Result<Vec<u8>, RestError> {
    print(&Metadata {
        model_spec: Spec {
            name: model,
            signature_name: "",
            version: version.to_string(),
        },
        metadata: Fields {
            signature_def: Mapped::read("tensorflow.serving.SignatureDefMap", signatures.clone())?,
        },
    })
}

#[derive(Serialize)]
struct Metadata<'a> {
    model_spec: Spec<'a>,
    metadata: Fields,
}

#[derive(Serialize)]
struct Spec<'a> {
    name: &'a str,
    signature_name: &'a str,
    version: String,
}

#[derive(Serialize)]
struct Fields {
    signature_def: Mapped,
}

/// A message of which its name and its bytes are known.
struct Mapped(DynamicMessage);

impl Mapped {
    fn read(name: &str, message: Bytes) -> Result<Self, RestError> {
        let descriptor = MESSAGES
            .as_ref()
            .and_then(|pool| pool.get_message_by_name(name));
        let descriptor = descriptor
            .ok_or_else(|| RestError::Unimplemented(format!("there is no message {name} here")))?;
        DynamicMessage::decode(descriptor, message)
            .map(Self)
            .map_err(|error| RestError::Invalid(format!("cannot read the {name}: {error}")))
    }
}

impl Serialize for Mapped {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let options = SerializeOptions::new()
            .skip_default_fields(false)
            .use_proto_field_name(true);
        self.0.serialize_with_options(serializer, &options)
    }
}

/// With one blank for each level, as TensorFlow Serving prints it.
fn print(value: &impl Serialize) -> Result<Vec<u8>, RestError> {
    let mut text = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(b" ");
    let mut serializer = serde_json::Serializer::with_formatter(&mut text, formatter);
    value
        .serialize(&mut serializer)
        .map_err(|error| RestError::Invalid(format!("the message has no form in JSON: {error}")))?;
    text.push(b'\n');
    Ok(text)
}
