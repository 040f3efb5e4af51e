//! A model's signatures as its `SignatureDefMap` describes them, for people who ask.

use prost::Message;

use crate::proto::serving::SignatureDefMap;
use crate::proto::tensorflow::tensor_info::Encoding;
use crate::proto::tensorflow::{SignatureDef, TensorInfo};

/// A signature, usable or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignatureDescription {
    /// Its name.
    pub name: String,
    /// TensorFlow Serving's name of its kind.
    pub method_name: String,
    /// What it takes, sorted by alias.
    pub inputs: Vec<TensorDescription>,
    /// What it gives, sorted by alias.
    pub outputs: Vec<TensorDescription>,
    /// Aliases of the inputs that may be left out.
    pub defaults: Vec<String>,
}

/// An input or output of a signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorDescription {
    /// The name that requests and replies use.
    pub alias: String,
    /// The tensor's name in the graph; empty if it isn't one dense tensor.
    pub tensor_name: String,
    /// The `tensorflow.DataType` number; may be of a type that we don't carry.
    pub dtype: i32,
    /// The sizes, -1 where unknown; `None`: any rank.
    pub shape: Option<Vec<i64>>,
}

/// Reads an encoded `SignatureDefMap`; sorted by name.
pub fn describe(map: &[u8]) -> Result<Vec<SignatureDescription>, prost::DecodeError> {
    let map = SignatureDefMap::decode(map)?;
    Ok(map.signature_def.into_iter().map(signature).collect())
}

fn signature((name, definition): (String, SignatureDef)) -> SignatureDescription {
    SignatureDescription {
        name,
        method_name: definition.method_name,
        inputs: definition.inputs.into_iter().map(tensor).collect(),
        outputs: definition.outputs.into_iter().map(tensor).collect(),
        defaults: definition.defaults.into_keys().collect(),
    }
}

fn tensor((alias, info): (String, TensorInfo)) -> TensorDescription {
    TensorDescription {
        alias,
        tensor_name: match info.encoding {
            Some(Encoding::Name(name)) => name,
            _ => String::new(),
        },
        dtype: info.dtype,
        shape: info
            .tensor_shape
            .filter(|shape| !shape.unknown_rank)
            .map(|shape| shape.dim.iter().map(|dim| dim.size).collect()),
    }
}
