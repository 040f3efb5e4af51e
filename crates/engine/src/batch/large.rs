//! A request larger than a batch may be, run as parts of several batches and answered
//! as one.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};
use smallvec::SmallVec;
use tensor::{DType, Data, Shape, Tensor};

use super::limit::told;
use super::run::Member;
use super::split::{check_rows, rows_of};
use crate::respond::{Answer, Outcome, Respond};
use crate::{Call, Permit, Reply, ServeError, Timings, lost};

/// Who waits for a queued call.
#[derive(Debug)]
pub(crate) enum Waiter {
    /// The request itself.
    Whole(Reply),
    /// A request of which the call is a part.
    Part(Part),
}

impl Respond for Waiter {
    fn is_gone(&mut self) -> bool {
        match self {
            Self::Whole(reply) => reply.is_gone(),
            Self::Part(part) => part.is_gone(),
        }
    }

    fn respond(self, outcome: Outcome) {
        match self {
            Self::Whole(reply) => reply.respond(outcome),
            Self::Part(part) => part.respond(outcome),
        }
    }
}

/// The call as the queue takes it: whole, or in parts of as many rows as a batch may have
/// where its model splits large requests.
pub(crate) fn parts(call: Call, reply: Reply) -> SmallVec<[Member<Waiter>; 1]> {
    let whole = |call, reply| Member {
        call,
        respond: Waiter::Whole(reply),
    };
    let splits = call.model.options().batching.enable_large_batch_splitting;
    let limit = told(&call).filter(|_| splits && call.is_batchable());
    let (Some(limit), Some(rows)) = (limit.filter(|limit| *limit > 0), call.rows) else {
        return SmallVec::from_iter([whole(call, reply)]);
    };
    if rows <= limit {
        return SmallVec::from_iter([whole(call, reply)]);
    }
    let starts = (0..rows).step_by(limit);
    let calls: Option<Vec<Call>> = starts
        .map(|from| call.rows_of(from, limit.min(rows - from)))
        .collect();
    let Some(calls) = calls else {
        return SmallVec::from_iter([whole(call, reply)]);
    };
    let joint = Arc::new(Mutex::new(Joint {
        answers: calls.iter().map(|_| None).collect(),
        missing: calls.len(),
        reply: Some(reply),
        permit: call.permit,
    }));
    let part = |(index, call)| Member {
        call,
        respond: Waiter::Part(Part {
            joint: Arc::clone(&joint),
            index,
            is_answered: false,
        }),
    };
    calls.into_iter().enumerate().map(part).collect()
}

impl Call {
    /// A call of some of its rows, without its permit.
    fn rows_of(&self, from: usize, count: usize) -> Option<Self> {
        let inputs = self.inputs.iter().map(|input| rows_of(input, from, count));
        let mut part = Self {
            model: Arc::clone(&self.model),
            inputs: inputs.collect::<Option<_>>()?,
            outputs: self.outputs.clone(),
            permit: None,
            ..*self
        };
        part.measure();
        Some(part)
    }
}

/// What is known of a request in parts.
#[derive(Debug)]
struct Joint {
    answers: Vec<Option<Answer>>,
    missing: usize,
    /// Taken for the answer, or for the first error.
    reply: Option<Reply>,
    /// The whole request's, until its answer.
    permit: Option<Permit>,
}

/// The right to answer for one part.
#[derive(Debug)]
pub(crate) struct Part {
    joint: Arc<Mutex<Joint>>,
    index: usize,
    is_answered: bool,
}

impl Part {
    fn joint(&self) -> MutexGuard<'_, Joint> {
        self.joint.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn settle(&mut self, outcome: Outcome) {
        self.is_answered = true;
        let mut joint = self.joint();
        let mut outcome = match outcome {
            Err(error) => Err(error),
            Ok(answer) => {
                joint.answers[self.index] = Some(answer);
                joint.missing -= 1;
                if joint.missing > 0 {
                    return;
                }
                let answers: Vec<Answer> = joint.answers.drain(..).flatten().collect();
                join(&answers)
            }
        };
        let reply = joint.reply.take();
        let permit = joint.permit.take();
        drop(joint);
        match &mut outcome {
            Ok(answer) => answer.permit = permit,
            Err(_) => drop(permit),
        }
        if let Some(reply) = reply {
            reply.respond(outcome);
        }
    }
}

impl Respond for Part {
    fn is_gone(&mut self) -> bool {
        self.joint().reply.as_mut().is_none_or(Respond::is_gone)
    }

    fn respond(mut self, outcome: Outcome) {
        self.settle(outcome);
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if !self.is_answered {
            self.settle(Err(lost()));
        }
    }
}

/// The answer of the whole from those of its parts.
fn join(answers: &[Answer]) -> Outcome {
    let mut timings = Timings::default();
    let mut count = usize::MAX;
    for Answer {
        outputs,
        timings: part,
        ..
    } in answers
    {
        check_rows(outputs, part.rows)
            .map_err(|reason| ServeError::failed_precondition(reason.to_string()))?;
        count = count.min(outputs.len());
        // The parts are under way at the same time: the slowest is what was waited for.
        timings = Timings {
            decode: timings.decode.max(part.decode),
            queue: timings.queue.max(part.queue),
            merge: timings.merge.max(part.merge),
            execute: timings.execute.max(part.execute),
            split: timings.split.max(part.split),
            rows: timings.rows + part.rows,
            batch_rows: timings.batch_rows.max(part.batch_rows),
            ..timings
        };
    }
    let outputs = (0..count).map(|at| join_output(answers, at, timings.rows));
    Ok(Answer::new(outputs.collect::<Result<_, _>>()?, timings))
}

fn join_output(answers: &[Answer], at: usize, rows: usize) -> Result<Tensor, ServeError> {
    let parts = answers.iter().map(|answer| &answer.outputs[at]);
    let Some(first) = answers.first().map(|answer| &answer.outputs[at]) else {
        return Err(lost());
    };
    let mut dims: SmallVec<[usize; 8]> = SmallVec::from_slice(first.shape().dims());
    for part in parts.clone() {
        if part.shape().dims()[1..] != dims[1..] {
            return Err(ServeError::failed_precondition(format!(
                "output {at} has shape {} for some rows of the request and {} for others, so \
                 that a request of more than max_execution_batch_size rows has no one answer",
                first.shape(),
                part.shape()
            )));
        }
    }
    dims[0] = rows;
    let shape = Shape::new(&dims).ok_or_else(lost)?;
    if first.dtype() == DType::String {
        let strings = parts.flat_map(|part| match part.data() {
            Data::Strings(strings) => strings.as_slice(),
            Data::Fixed(_) => &[],
        });
        let strings: Vec<Bytes> = strings.cloned().collect();
        return Tensor::strings(shape, strings).map_err(|_| lost());
    }
    let mut joined = BytesMut::new();
    for part in parts {
        if let Data::Fixed(bytes) = part.data() {
            joined.extend_from_slice(bytes);
        }
    }
    Tensor::fixed(first.dtype(), shape, joined.freeze()).map_err(|_| lost())
}

#[cfg(test)]
#[path = "large_tests.rs"]
mod tests;
