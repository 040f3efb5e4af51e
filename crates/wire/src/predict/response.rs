//! `tensorflow.serving.PredictResponse`: written by the server, read by the client.

use bytes::Bytes;
use smallvec::SmallVec;
use tensor::Tensor;

use super::entries::{Entries, entry_len, write_entry};
use super::{Input, ModelSpec, Version, WireError};
use crate::Sink;
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
    /// The reply with its tensors measured, ready to be written.
    pub fn measure(&self) -> MeasuredReply<'_> {
        let outputs = self.outputs.iter();
        let outputs: SmallVec<[_; 4]> = outputs
            .map(|(name, tensor)| (*name, Layout::of(tensor, self.encoding)))
            .collect();
        let spec = self.spec();
        let entries = outputs
            .iter()
            .map(|(name, layout)| entry_len(OUTPUTS, name, layout))
            .sum::<usize>();
        MeasuredReply {
            len: entries + spec.field_len(MODEL_SPEC),
            shared_len: outputs.iter().map(|(_, layout)| layout.shared_len()).sum(),
            outputs,
            spec,
        }
    }

    fn spec(&self) -> ModelSpec<'_> {
        ModelSpec {
            name: self.model_name,
            version: Version::Number(self.version),
            signature_name: self.signature_name,
        }
    }
}

/// A `PredictResponse` whose length is known.
pub struct MeasuredReply<'a> {
    spec: ModelSpec<'a>,
    outputs: SmallVec<[(&'a str, Layout<'a>); 4]>,
    len: usize,
    shared_len: usize,
}

impl MeasuredReply<'_> {
    /// Of the message, in bytes.
    pub fn encoded_len(&self) -> usize {
        self.len
    }

    /// Of the parts of it that [`crate::Segments`] shares and does not copy.
    pub fn shared_len(&self) -> usize {
        self.shared_len
    }

    /// Writes the message: exactly [`Self::encoded_len`] bytes, for which `sink` must
    /// have room.
    pub fn write(&self, sink: &mut impl Sink) {
        for (name, layout) in &self.outputs {
            write_entry(OUTPUTS, name, layout, sink);
        }
        self.spec.write_field(MODEL_SPEC, sink.buffer());
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
