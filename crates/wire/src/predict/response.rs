//! `tensorflow.serving.PredictResponse`: written by the server, read by the client.

use bytes::{BufMut, Bytes};
use tensor::Tensor;

use super::entries::{Entries, entry_len, write_entry};
use super::{Input, ModelSpec, Version, WireError};
use crate::protobuf::{Fields, Value};
use crate::tensor_proto::{Encoding, Layout, decode_tensor, tensor_memory};

const OUTPUTS: u32 = 1;
const MODEL_SPEC: u32 = 2;

/// A `PredictResponse` to be written.
#[derive(Clone, Copy, Debug)]
pub struct PredictReply<'a> {
    /// The model's name as the call gave it.
    pub model_name: &'a str,
    /// The version that ran.
    pub version: i64,
    /// The signature that ran.
    pub signature_name: &'a str,
    /// Names and tensors; each name should be there once.
    pub outputs: &'a [(&'a str, &'a Tensor)],
    /// How the tensors are written.
    pub encoding: Encoding,
}

impl PredictReply<'_> {
    /// The bytes that [`Self::write`] writes.
    pub fn encoded_len(&self) -> usize {
        let outputs: usize = self
            .outputs
            .iter()
            .map(|(name, tensor)| entry_len(OUTPUTS, name, &Layout::of(tensor, self.encoding)))
            .sum();
        outputs + self.spec().field_len(MODEL_SPEC)
    }

    /// Writes the message: exactly [`Self::encoded_len`] bytes, for which `buffer` must
    /// have room.
    pub fn write(&self, buffer: &mut impl BufMut) {
        for (name, tensor) in self.outputs {
            let layout = Layout::of(tensor, self.encoding);
            write_entry(OUTPUTS, name, &layout, buffer);
        }
        self.spec().write_field(MODEL_SPEC, buffer);
    }

    fn spec(&self) -> ModelSpec<'_> {
        ModelSpec {
            name: self.model_name,
            version: Version::Number(self.version),
            signature_name: self.signature_name,
        }
    }
}

/// A `PredictResponse` as its reader keeps it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PredictResponse {
    /// The model that answered, as the call named it.
    pub model_name: String,
    /// The version that ran, if the server says.
    pub version: Option<i64>,
    /// The signature that ran.
    pub signature_name: String,
    /// Names and tensors, each name once; elements are views of the message where
    /// they can be.
    pub outputs: Vec<(String, Tensor)>,
}

/// Reads a `PredictResponse`; `limit` is the most bytes that its tensors may take
/// together, counted as [`decode_tensor`] counts them.
pub fn decode_response(message: &Bytes, limit: usize) -> Result<PredictResponse, WireError> {
    let mut spec = ModelSpec::default();
    let mut entries = Entries::default();
    for field in Fields::of(message) {
        match field? {
            (MODEL_SPEC, Value::Bytes(encoded)) => spec.merge(encoded)?,
            (OUTPUTS, Value::Bytes(entry)) => entries.add(entry, "outputs")?,
            _ => {}
        }
    }
    let mut left = limit;
    let mut outputs = Vec::new();
    for Input { name, tensor } in entries.into_vec() {
        let name = name.to_owned();
        match decode_tensor(message, tensor, left) {
            Ok(tensor) => {
                left -= tensor_memory(&tensor);
                outputs.push((name, tensor));
            }
            Err(error) => return Err(WireError::Tensor { name, error }),
        }
    }
    Ok(PredictResponse {
        outputs,
        model_name: spec.name.to_owned(),
        version: match spec.version {
            Version::Number(number) => Some(number),
            Version::Latest | Version::Label(_) => None,
        },
        signature_name: spec.signature_name.to_owned(),
    })
}
