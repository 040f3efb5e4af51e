//! `tensorflow.serving.PredictRequest` and `PredictResponse`, both ways, by hand: names
//! stay views of the message, tensors are decoded once somebody wants them.

mod request;
pub use request::{Input, PredictCall, PredictRequest, decode_request, encode_request};

mod response;
pub use response::{MeasuredReply, PredictReply, PredictResponse, decode_response};

mod spec;
pub use spec::{ModelSpec, Version};

mod entries;

#[cfg(test)]
mod tests;

use crate::Malformed;
use crate::tensor_proto::TensorProtoError;

/// Why a message can't be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// Not a protobuf message.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// So many entries that their bookkeeping would outgrow the message.
    #[error("the message has more than {limit} {what}, the most that is taken")]
    TooMany {
        /// Entries of what: `inputs` or the like.
        what: &'static str,
        /// How many there may be.
        limit: usize,
    },
    /// One of the tensors in it.
    #[error("tensor `{name}`: {error}")]
    Tensor {
        /// The tensor's name.
        name: String,
        /// What is wrong with it.
        error: TensorProtoError,
    },
}
