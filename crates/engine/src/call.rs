//! A request whose names and types are right, ready to run.

use std::sync::Arc;
use std::time::Instant;

use smallvec::SmallVec;
use tensor::Tensor;

use crate::metrics::Tally;
use crate::{Permit, ServeError, ServedModel, Signature};

/// Positions among a signature's outputs.
pub type Outputs = SmallVec<[usize; 8]>;

/// A checked and admitted request.
#[derive(Debug)]
pub struct Call {
    pub(crate) model: Arc<ServedModel>,
    pub(crate) signature: usize,
    pub(crate) inputs: Vec<Tensor>,
    pub(crate) outputs: Outputs,
    pub(crate) deadline: Option<Instant>,
    /// When its message was whole.
    pub(crate) arrived: Instant,
    /// When it was checked: the queue begins.
    pub(crate) checked: Instant,
    /// The size of the first dimension, if all inputs have the same one and there is
    /// something in it.
    pub(crate) rows: Option<usize>,
    /// What its inputs take.
    pub(crate) bytes: usize,
    /// Held until it is answered or dropped, wherever it waits.
    pub(crate) permit: Option<Permit>,
}

/// When a request came and how long its caller waits.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// When its message was whole.
    pub arrived: Instant,
    /// When the caller stops waiting.
    pub deadline: Option<Instant>,
}

impl Clock {
    /// Arrived now.
    pub fn until(deadline: Option<Instant>) -> Self {
        let arrived = Instant::now();
        Self { arrived, deadline }
    }
}

impl Call {
    /// A call of the model's signature of this index. `inputs` has one tensor for
    /// each of its inputs, in their order (as [`crate::Signature::bind_inputs`] gave
    /// them); `outputs` are positions among its outputs.
    pub fn new(
        model: Arc<ServedModel>,
        signature: usize,
        inputs: Vec<Tensor>,
        outputs: Outputs,
        clock: Clock,
    ) -> Result<Self, ServeError> {
        model.signatures()[signature].check_dtypes(&inputs)?;
        let mut call = Self {
            model,
            signature,
            inputs,
            outputs,
            deadline: clock.deadline,
            arrived: clock.arrived,
            checked: Instant::now(),
            rows: None,
            bytes: 0,
            permit: None,
        };
        call.measure();
        Ok(call)
    }

    /// Counts its rows and bytes.
    pub(crate) fn measure(&mut self) {
        let mut sizes = self.inputs.iter().map(|input| input.shape().dims().first());
        self.rows = sizes.next().flatten().copied();
        if !sizes.all(|size| size == self.rows.as_ref()) {
            self.rows = None;
        }
        self.bytes = self.inputs.iter().map(Tensor::weight).sum();
        // Rows without an element cost nothing to declare: 2^61 of them fit in a few bytes
        // of message. Only what takes memory is counted, shared out and split by rows, so
        // that no sum of rows can overflow.
        self.rows = self.rows.filter(|rows| *rows == 0 || self.bytes > 0);
    }

    /// Whether it may share a batch with others of its group.
    pub(crate) fn is_batchable(&self) -> bool {
        self.model.options().batching.enabled
            && self.rows.is_some_and(|rows| rows > 0)
            && self.model.why_alone(self.signature).is_none()
    }

    /// The model version it runs on.
    pub fn model(&self) -> &Arc<ServedModel> {
        &self.model
    }

    /// What counts it, however it ends.
    pub fn tally(&self) -> Tally {
        Tally::new(Arc::clone(&self.model), Some(self.signature))
    }

    /// The signature it calls.
    pub fn signature(&self) -> &Signature {
        &self.model.signatures()[self.signature]
    }

    /// One tensor for each of the signature's inputs.
    pub fn inputs(&self) -> &[Tensor] {
        &self.inputs
    }

    /// The outputs it asks for, as positions among the signature's.
    pub fn outputs(&self) -> &[usize] {
        &self.outputs
    }

    /// When its message was whole.
    pub fn arrived(&self) -> Instant {
        self.arrived
    }

    /// When the caller stops waiting.
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Rows: the size of the first dimension, if all inputs have the same one and there is
    /// something in it.
    pub fn rows(&self) -> Option<usize> {
        self.rows
    }

    /// Bytes of its inputs; a string counts as its bytes and its handle.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether its caller has stopped waiting by `now`.
    pub fn has_expired(&self, now: Instant) -> bool {
        self.deadline.is_some_and(|deadline| deadline <= now)
    }
}
