//! `tensorflow.serving.PredictRequest`: read by the server, written by the client.

use bytes::{BufMut, Bytes, BytesMut};
use tensor::Tensor;

use super::entries::{Entries, MAX_ENTRIES, entry_len, write_entry};
use super::{ModelSpec, WireError};
use crate::protobuf::{Fields, Value, len_of_bytes, put_bytes_header, text};
use crate::tensor_proto::{Encoding, Layout};

const MODEL_SPEC: u32 = 1;
const INPUTS: u32 = 2;
const OUTPUT_FILTER: u32 = 3;

/// One input of a request, its tensor still encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Input<'a> {
    /// The input's name.
    pub name: &'a str,
    /// A `TensorProto`, for [`decode_tensor`](crate::tensor_proto::decode_tensor).
    pub tensor: &'a [u8],
}

/// A `PredictRequest`; all of it views of its message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PredictRequest<'a> {
    /// Which model, if the message says so at all.
    pub spec: Option<ModelSpec<'a>>,
    /// The inputs, each name once.
    pub inputs: Vec<Input<'a>>,
    /// Names of the outputs wanted, as they came; empty: all outputs.
    pub output_filter: Vec<&'a str>,
}

/// Reads a `PredictRequest`. Fields that no server looks at (streaming options, the
/// client's id) are passed over like unknown ones.
pub fn decode_request(message: &Bytes) -> Result<PredictRequest<'_>, WireError> {
    let mut spec: Option<ModelSpec<'_>> = None;
    let mut inputs = Entries::default();
    let mut output_filter = Vec::new();
    for field in Fields::of(message) {
        match field? {
            (MODEL_SPEC, Value::Bytes(encoded)) => {
                spec.get_or_insert_default().merge(encoded)?;
            }
            (INPUTS, Value::Bytes(entry)) => inputs.add(entry, "inputs")?,
            (OUTPUT_FILTER, Value::Bytes(_)) if output_filter.len() == MAX_ENTRIES => {
                return Err(WireError::TooMany {
                    what: "names in output_filter",
                    limit: MAX_ENTRIES,
                });
            }
            (OUTPUT_FILTER, Value::Bytes(name)) => output_filter.push(text(name)?),
            _ => {}
        }
    }
    Ok(PredictRequest {
        spec,
        inputs: inputs.into_vec(),
        output_filter,
    })
}

/// A `PredictRequest` to be written; its tensors go as `tensor_content`.
#[derive(Clone, Copy, Debug)]
pub struct PredictCall<'a> {
    /// Which model, version and signature.
    pub spec: ModelSpec<'a>,
    /// Names and tensors; each name should be there once.
    pub inputs: &'a [(&'a str, &'a Tensor)],
    /// Names of the outputs wanted; empty: all outputs.
    pub output_filter: &'a [&'a str],
}

impl PredictCall<'_> {
    /// The bytes that [`Self::write`] writes.
    pub fn encoded_len(&self) -> usize {
        let inputs: usize = self
            .inputs
            .iter()
            .map(|(name, tensor)| {
                entry_len(INPUTS, name, &Layout::of(tensor, Encoding::TensorContent))
            })
            .sum();
        let filter: usize = self
            .output_filter
            .iter()
            .map(|name| len_of_bytes(OUTPUT_FILTER, name.len()))
            .sum();
        self.spec.field_len(MODEL_SPEC) + inputs + filter
    }

    /// Writes the message: exactly [`Self::encoded_len`] bytes, for which `buffer` must
    /// have room.
    pub fn write(&self, buffer: &mut impl BufMut) {
        self.spec.write_field(MODEL_SPEC, buffer);
        for (name, tensor) in self.inputs {
            let layout = Layout::of(tensor, Encoding::TensorContent);
            write_entry(INPUTS, name, &layout, buffer);
        }
        for name in self.output_filter {
            put_bytes_header(OUTPUT_FILTER, name.len(), buffer);
            buffer.put_slice(name.as_bytes());
        }
    }
}

/// The message of `call`, alone in a buffer of its size.
pub fn encode_request(call: &PredictCall<'_>) -> Bytes {
    let mut buffer = BytesMut::with_capacity(call.encoded_len());
    call.write(&mut buffer);
    buffer.freeze()
}
