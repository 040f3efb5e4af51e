//! `tensorflow.serving.ClassificationRequest`, `RegressionRequest` (their fields are the
//! same) and `MultiInferenceRequest`, as the server reads them.

use super::ExampleInput;
use crate::Malformed;
use crate::predict::{ModelSpec, WireError};
use crate::protobuf::{Fields, Value, text};

const MODEL_SPEC: u32 = 1;
const INPUT: u32 = 2;

const TASKS: u32 = 1;

const TASK_MODEL_SPEC: u32 = 1;
const TASK_METHOD_NAME: u32 = 2;

/// Most tasks of a request: far over any model's signatures, each of which can be asked for
/// once, and few enough that what is kept for each cannot matter.
const MAX_TASKS: usize = 1 << 12;

/// A `ClassificationRequest` or `RegressionRequest`; all of it views of its message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExampleRequest<'a> {
    /// Which model, if the message says so at all.
    pub spec: Option<ModelSpec<'a>>,
    /// The examples.
    pub input: ExampleInput<'a>,
}

/// Reads a `ClassificationRequest` or a `RegressionRequest`.
pub fn decode_request(message: &[u8]) -> Result<ExampleRequest<'_>, WireError> {
    let mut request = ExampleRequest::default();
    for field in Fields::of(message) {
        match field? {
            (MODEL_SPEC, Value::Bytes(encoded)) => {
                request.spec.get_or_insert_default().merge(encoded)?;
            }
            (INPUT, Value::Bytes(encoded)) => request.input.merge(encoded)?,
            _ => {}
        }
    }
    Ok(request)
}

/// One of the runs that a `MultiInferenceRequest` asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Task<'a> {
    /// Which model and signature; empty where the message says nothing.
    pub spec: ModelSpec<'a>,
    /// `tensorflow/serving/classify` or `tensorflow/serving/regress`, if it is right.
    pub method_name: &'a str,
}

/// A `MultiInferenceRequest`; all of it views of its message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MultiRequest<'a> {
    /// What is to be run, in the order of the reply.
    pub tasks: Vec<Task<'a>>,
    /// The examples, the same for each.
    pub input: ExampleInput<'a>,
}

/// Reads a `MultiInferenceRequest`.
pub fn decode_multi_request(message: &[u8]) -> Result<MultiRequest<'_>, WireError> {
    let mut request = MultiRequest::default();
    for field in Fields::of(message) {
        match field? {
            (TASKS, Value::Bytes(_)) if request.tasks.len() == MAX_TASKS => {
                return Err(WireError::TooMany {
                    what: "tasks",
                    limit: MAX_TASKS,
                });
            }
            (TASKS, Value::Bytes(encoded)) => request.tasks.push(read_task(encoded)?),
            (INPUT, Value::Bytes(encoded)) => request.input.merge(encoded)?,
            _ => {}
        }
    }
    Ok(request)
}

fn read_task(encoded: &[u8]) -> Result<Task<'_>, Malformed> {
    let mut task = Task::default();
    for field in Fields::of(encoded) {
        match field? {
            (TASK_MODEL_SPEC, Value::Bytes(encoded)) => task.spec.merge(encoded)?,
            (TASK_METHOD_NAME, Value::Bytes(name)) => task.method_name = text(name)?,
            _ => {}
        }
    }
    Ok(task)
}
