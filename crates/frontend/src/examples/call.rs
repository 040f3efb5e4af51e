//! From encoded examples to a call, and from its outputs to a result.

use std::sync::Arc;

use bytes::Bytes;
use engine::{Call, Clock, ServeError, ServedModel};
use tensor::{Shape, Tensor};
use wire::examples::{Classes, ExampleResult, Values};

use super::Method;
use super::method::places;

/// A context is copied to each example: what they take together is bounded by this many
/// times the request's own bytes, and where that is less, by this many bytes.
const EXPANSION_RATIO: usize = 64;
const EXPANSION_FLOOR: usize = 64 << 20;

/// How much memory the examples of a request of this size may take; `most` is the largest
/// request's.
pub(crate) fn example_limit(request_bytes: usize, most: usize) -> usize {
    most.min(EXPANSION_FLOOR.max(EXPANSION_RATIO.saturating_mul(request_bytes)))
}

/// Examples ready to run, and what reads what comes of them.
#[derive(Debug)]
pub(crate) struct ExampleCall {
    pub(crate) call: Call,
    pub(crate) reader: Reader,
}

impl ExampleCall {
    /// A call of the model's signature of this index. Each of `examples` is an encoded
    /// `tensorflow.Example`, which nobody looks into before the model does.
    pub(crate) fn new(
        (model, index): (&Arc<ServedModel>, usize),
        method: Method,
        examples: Vec<Bytes>,
        clock: Clock,
    ) -> Result<Self, ServeError> {
        let outputs = method.bind(model, index)?;
        if examples.is_empty() {
            return Err(ServeError::invalid_argument("Input is empty."));
        }
        let count = examples.len();
        let (classes, scores) = places(model, index, &outputs);
        let reader = Reader {
            signature: index,
            method,
            classes,
            scores,
            examples: count,
        };
        let input = Shape::new(&[count])
            .and_then(|shape| Tensor::strings(shape, examples).ok())
            .ok_or_else(|| ServeError::internal("the examples make no tensor"))?;
        let call = Call::new(Arc::clone(model), index, vec![input], outputs, clock)?;
        Ok(Self { call, reader })
    }
}

/// Reads the outputs of an [`ExampleCall`].
#[derive(Debug)]
pub(crate) struct Reader {
    signature: usize,
    method: Method,
    classes: Option<usize>,
    scores: Option<usize>,
    examples: usize,
}

impl Reader {
    /// What is done with the examples.
    pub(crate) fn method(&self) -> Method {
        self.method
    }

    /// How many examples there are.
    pub(crate) fn examples(&self) -> usize {
        self.examples
    }

    /// The signature that runs, by its index.
    pub(crate) fn signature(&self) -> usize {
        self.signature
    }

    /// What the outputs, one for each asked for, say of the examples.
    pub(crate) fn read(&self, outputs: &[Tensor]) -> Result<ExampleResult, ServeError> {
        let output = |place: Option<usize>| place.and_then(|place| outputs.get(place));
        let result = match (self.method, outputs.first()) {
            (Method::Regress, Some(values)) => {
                Values::new(values, self.examples).map(ExampleResult::Values)
            }
            _ => Classes::new(output(self.classes), output(self.scores), self.examples)
                .map(ExampleResult::Classes),
        };
        // The request is as good as any; but so TensorFlow Serving says it.
        result.map_err(|error| ServeError::invalid_argument(error.to_string()))
    }
}
