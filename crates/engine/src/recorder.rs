//! Whoever keeps some of a model's requests with their replies. The engine knows neither
//! where nor in which form.

use std::time::Duration;

use bytes::Bytes;
use smallvec::SmallVec;
use tensor::Tensor;

/// Keeps requests of one model version.
///
/// Called by the threads that serve: nothing here may wait or fail.
pub trait Recorder: Send + Sync + 'static {
    /// Whether a request is one of those that are kept; asked once for each, when its model
    /// is known.
    fn wants(&self) -> bool;

    /// Keeps a request that was answered well. What there is no room for is counted and
    /// lost.
    fn keep(&self, exchange: Exchange);

    /// What became of the requests of the model so far, of all its versions.
    fn counts(&self) -> RecordCounts;
}

/// A request and its reply.
#[derive(Debug)]
pub struct Exchange {
    /// The method that was called.
    pub method: InferenceMethod,
    /// The signature that ran; empty where there were several.
    pub signature: String,
    /// From the request's whole message to its written reply.
    pub duration: Duration,
    /// What was asked and answered.
    pub messages: Messages,
}

/// The methods whose requests are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InferenceMethod {
    /// `PredictRequest`, `PredictResponse`.
    Predict,
    /// `ClassificationRequest`, `ClassificationResponse`.
    Classify,
    /// `RegressionRequest`, `RegressionResponse`.
    Regress,
    /// `MultiInferenceRequest`, `MultiInferenceResponse`.
    MultiInference,
}

/// What crossed the wire, or what it would be as messages.
#[derive(Debug)]
pub enum Messages {
    /// The method's own messages, encoded.
    Encoded {
        /// The request.
        request: Bytes,
        /// The reply, in pieces.
        reply: SmallVec<[Bytes; 2]>,
    },
    /// Tensors that came and went in another form; becomes the messages of
    /// [`InferenceMethod::Predict`].
    Tensors {
        /// The request's, by name.
        inputs: Vec<(String, Tensor)>,
        /// The reply's, by name.
        outputs: Vec<(String, Tensor)>,
    },
}

/// What became of the requests that were to be kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecordCounts {
    /// Written.
    pub written: u64,
    /// Lost because too many waited to be written.
    pub lost_in_queue: u64,
    /// Lost because they could not be written.
    pub lost_on_disk: u64,
}
