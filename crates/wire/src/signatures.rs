//! A model's signatures as its `SignatureDefMap` describes them, for people who ask.

use std::fmt::Write;

use prost::Message;

use crate::proto::serving::SignatureDefMap;
use crate::proto::tensorflow::tensor_info::Encoding;
use crate::proto::tensorflow::{DataType, SignatureDef, TensorInfo};

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

/// A signature of an encoded `SignatureDefMap` in protobuf's text format, as far as requests
/// see it: names, types and sizes. Empty if there is none of this name.
pub fn debug_string(map: &[u8], name: &str) -> String {
    let definition = SignatureDefMap::decode(map)
        .ok()
        .and_then(|mut map| map.signature_def.remove(name));
    let mut text = String::new();
    if let Some(definition) = definition {
        // A string takes whatever is written to it.
        let _ = write_debug(&mut text, definition);
    }
    text
}

fn write_debug(text: &mut String, definition: SignatureDef) -> std::fmt::Result {
    for (field, tensors) in [
        ("inputs", definition.inputs),
        ("outputs", definition.outputs),
    ] {
        for each in tensors.into_iter().map(tensor) {
            write_debug_tensor(text, field, &each)?;
        }
    }
    writeln!(text, "method_name: {:?}", definition.method_name)
}

fn write_debug_tensor(
    text: &mut String,
    field: &str,
    tensor: &TensorDescription,
) -> std::fmt::Result {
    let dtype = DataType::try_from(tensor.dtype).unwrap_or(DataType::DtInvalid);
    writeln!(text, "{field} {{\n  key: {:?}\n  value {{", tensor.alias)?;
    writeln!(text, "    name: {:?}", tensor.tensor_name)?;
    writeln!(text, "    dtype: {}", dtype.as_str_name())?;
    writeln!(text, "    tensor_shape {{")?;
    match &tensor.shape {
        None => writeln!(text, "      unknown_rank: true")?,
        Some(sizes) => {
            for size in sizes {
                writeln!(text, "      dim {{\n        size: {size}\n      }}")?;
            }
        }
    }
    writeln!(text, "    }}\n  }}\n}}")
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

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::debug_string;
    use crate::proto::serving::SignatureDefMap;
    use crate::proto::tensorflow::tensor_info::Encoding;
    use crate::proto::tensorflow::tensor_shape_proto::Dim;
    use crate::proto::tensorflow::{SignatureDef, TensorInfo, TensorShapeProto};

    #[test]
    fn a_signature_as_text() {
        let dim = |size| Dim {
            size,
            ..Dim::default()
        };
        let info = TensorInfo {
            encoding: Some(Encoding::Name("x:0".into())),
            dtype: 1,
            tensor_shape: Some(TensorShapeProto {
                dim: vec![dim(-1), dim(2)],
                unknown_rank: false,
            }),
        };
        let definition = SignatureDef {
            inputs: [("x".to_owned(), info)].into(),
            method_name: "tensorflow/serving/predict".into(),
            ..SignatureDef::default()
        };
        let map = SignatureDefMap {
            signature_def: [("s".to_owned(), definition)].into(),
        };
        let map = map.encode_to_vec();
        let lines = [
            "inputs {",
            "  key: \"x\"",
            "  value {",
            "    name: \"x:0\"",
            "    dtype: DT_FLOAT",
            "    tensor_shape {",
            "      dim {",
            "        size: -1",
            "      }",
            "      dim {",
            "        size: 2",
            "      }",
            "    }",
            "  }",
            "}",
            "method_name: \"tensorflow/serving/predict\"",
            "",
        ];
        assert_eq!(debug_string(&map, "s"), lines.join("\n"));
        assert_eq!(debug_string(&map, "t"), "");
    }
}
