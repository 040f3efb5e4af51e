//! `tensorflow.serving.ClassificationResponse`, `RegressionResponse` and
//! `MultiInferenceResponse`, as the server writes them: measured first, then written once.

use bytes::BufMut;

use super::{Classes, ExampleResult, ResultError, Values};
use crate::predict::ModelSpec;
use crate::protobuf::{len_of_bytes, put_bytes_header};

/// Of `ClassificationResponse` and `RegressionResponse`.
const RESULT: u32 = 1;
const MODEL_SPEC: u32 = 2;

/// Of `ClassificationResult` and `RegressionResult`: one message for each example.
const EXAMPLES: u32 = 1;

const CLASSES: u32 = 1;
const LABEL: u32 = 1;
const SCORE: u32 = 2;

const VALUE: u32 = 1;

/// Of `InferenceResult`.
const TASK_MODEL_SPEC: u32 = 1;
const TASK_CLASSES: u32 = 2;
const TASK_VALUES: u32 = 3;

const RESULTS: u32 = 1;

/// Of a field's number and wire type together, for the numbers here.
const FLOAT_LEN: usize = 1 + size_of::<f32>();
const FIXED32: u32 = 5;

/// A `ClassificationResponse` or a `RegressionResponse` whose length is known.
pub struct Reply<'a> {
    spec: ModelSpec<'a>,
    result: Measured<'a>,
}

impl<'a> Reply<'a> {
    /// Measures a reply. The spec is what ran: the model's name as the call gave it, the
    /// real version, the signature.
    pub fn new(spec: ModelSpec<'a>, result: &'a ExampleResult) -> Result<Self, ResultError> {
        let result = Measured::of(result)?;
        Ok(Self { spec, result })
    }

    /// Of the message, in bytes.
    pub fn encoded_len(&self) -> usize {
        len_of_bytes(RESULT, self.result.len) + self.spec.field_len(MODEL_SPEC)
    }

    /// Writes the message: exactly [`Self::encoded_len`] bytes.
    pub fn write(&self, buffer: &mut impl BufMut) {
        self.result.write_field(RESULT, buffer);
        self.spec.write_field(MODEL_SPEC, buffer);
    }
}

/// An `InferenceResult` whose length is known: what one task of a `MultiInferenceRequest`
/// came to.
pub struct TaskReply<'a>(Reply<'a>);

impl<'a> TaskReply<'a> {
    /// Measures a task's part of the reply.
    pub fn new(spec: ModelSpec<'a>, result: &'a ExampleResult) -> Result<Self, ResultError> {
        Reply::new(spec, result).map(Self)
    }

    fn encoded_len(&self) -> usize {
        let Reply { spec, result } = &self.0;
        spec.field_len(TASK_MODEL_SPEC) + len_of_bytes(result.task_field(), result.len)
    }

    fn write(&self, buffer: &mut impl BufMut) {
        let Reply { spec, result } = &self.0;
        spec.write_field(TASK_MODEL_SPEC, buffer);
        result.write_field(result.task_field(), buffer);
    }

    /// Bytes of the tasks' `MultiInferenceResponse`.
    pub fn len_of_all(tasks: &[TaskReply<'_>]) -> usize {
        let lengths = tasks.iter().map(TaskReply::encoded_len);
        lengths.map(|length| len_of_bytes(RESULTS, length)).sum()
    }
}

/// Writes a `MultiInferenceResponse`: exactly [`TaskReply::len_of_all`] bytes.
pub fn write_multi_response(tasks: &[TaskReply<'_>], buffer: &mut impl BufMut) {
    for task in tasks {
        put_bytes_header(RESULTS, task.encoded_len(), buffer);
        task.write(buffer);
    }
}

/// A result and the length of its message.
struct Measured<'a> {
    result: &'a ExampleResult,
    len: usize,
}

impl<'a> Measured<'a> {
    fn of(result: &'a ExampleResult) -> Result<Self, ResultError> {
        let len = match result {
            ExampleResult::Classes(classes) => {
                classes.check_text()?;
                let lengths = (0..classes.examples()).map(|example| classes_len(classes, example));
                lengths.map(|length| len_of_bytes(EXAMPLES, length)).sum()
            }
            ExampleResult::Values(values) => {
                let lengths = values.iter().map(float_len);
                lengths.map(|length| len_of_bytes(EXAMPLES, length)).sum()
            }
        };
        Ok(Self { result, len })
    }

    fn task_field(&self) -> u32 {
        match self.result {
            ExampleResult::Classes(_) => TASK_CLASSES,
            ExampleResult::Values(_) => TASK_VALUES,
        }
    }

    fn write_field(&self, number: u32, buffer: &mut impl BufMut) {
        put_bytes_header(number, self.len, buffer);
        match self.result {
            ExampleResult::Classes(classes) => write_classes(classes, buffer),
            ExampleResult::Values(values) => write_values(values, buffer),
        }
    }
}

fn classes_len(classes: &Classes, example: usize) -> usize {
    let lengths = classes.of(example).map(class_len);
    lengths.map(|length| len_of_bytes(CLASSES, length)).sum()
}

fn class_len((label, score): (&[u8], f32)) -> usize {
    let label = if label.is_empty() {
        0
    } else {
        len_of_bytes(LABEL, label.len())
    };
    label + float_len(score)
}

fn write_classes(classes: &Classes, buffer: &mut impl BufMut) {
    for example in 0..classes.examples() {
        put_bytes_header(EXAMPLES, classes_len(classes, example), buffer);
        for (label, score) in classes.of(example) {
            put_bytes_header(CLASSES, class_len((label, score)), buffer);
            if !label.is_empty() {
                put_bytes_header(LABEL, label.len(), buffer);
                buffer.put_slice(label);
            }
            put_float(SCORE, score, buffer);
        }
    }
}

fn write_values(values: &Values, buffer: &mut impl BufMut) {
    for value in values.iter() {
        put_bytes_header(EXAMPLES, float_len(value), buffer);
        put_float(VALUE, value, buffer);
    }
}

/// Bytes of a float field, nothing if it is 0; not so -0.
fn float_len(value: f32) -> usize {
    if value.to_bits() == 0 { 0 } else { FLOAT_LEN }
}

fn put_float(number: u32, value: f32, buffer: &mut impl BufMut) {
    if value.to_bits() != 0 {
        buffer.put_u8((number << 3 | FIXED32) as u8);
        buffer.put_f32_le(value);
    }
}
