//! Whether a signature's requests may share a batch: each row's outputs must be the same
//! beside others as alone. A model that normalises over its batch, or draws random
//! numbers, is found here, before any request meets another.

use std::time::Duration;

use tensor::Tensor;

use super::compare::is_row;
use super::sample::Sample;
use super::trial::{Failure, Trial};
use crate::{RunMode, Signature};

/// Rows of the batch that is compared with its rows alone. Three, so that a model that
/// sorts its rows would have to get the sorted ones by chance; two of a slow one.
const ROWS: usize = 3;
const ROWS_OF_A_SLOW_MODEL: usize = 2;

/// What comparing said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Rows don't notice each other.
    Independent,
    /// They do, or there are none; a clause.
    Alone(String),
    /// The time did not suffice.
    Unknown,
}

/// Runs rows alone and in a batch, and compares; in the pool, where a run that takes too
/// long can be interrupted. `sample` has rows, one of which takes about `usual`.
pub(super) fn verify(
    trial: &Trial<'_>,
    signature: &Signature,
    sample: &Sample,
    usual: Duration,
) -> Verdict {
    let check = Check {
        trial,
        signature,
        sample,
    };
    match check.verify(usual) {
        Ok(()) => Verdict::Independent,
        Err(Objection::Dependent(reason)) => Verdict::Alone(reason),
        Err(Objection::TooLong) => Verdict::Unknown,
    }
}

struct Check<'a> {
    trial: &'a Trial<'a>,
    signature: &'a Signature,
    sample: &'a Sample,
}

enum Objection {
    Dependent(String),
    TooLong,
}

impl Check<'_> {
    fn verify(&self, usual: Duration) -> Result<(), Objection> {
        let (single, usual) = self.run(0, 1, usual)?;
        let is_slow = usual * 12 > self.trial.left();
        let rows = if is_slow { ROWS_OF_A_SLOW_MODEL } else { ROWS };
        let mut singles = vec![single];
        for row in 1..rows {
            singles.push(self.run(row, 1, usual)?.0);
        }
        let (batch, _) = self.run(0, rows, usual * rows as u32)?;
        for (row, single) in singles.iter().enumerate() {
            let mut outputs = batch.iter().zip(single);
            let Some(output) = outputs.position(|(batch, single)| !is_row(batch, row, single))
            else {
                continue;
            };
            let (again, _) = self.run(row, 1, usual)?;
            let mut outputs = single.iter().zip(&again);
            let is_steady = outputs.all(|(before, after)| is_row(before, 0, after));
            let alias = &self.signature.outputs[output].alias;
            return Err(Objection::Dependent(if is_steady {
                format!("its output \"{alias}\" for a row depends on the other rows of the batch")
            } else {
                "the same row gives different outputs each time".to_owned()
            }));
        }
        Ok(())
    }

    /// The outputs for a batch, which is expected to take `expected`, and what it took.
    fn run(
        &self,
        start: usize,
        rows: usize,
        expected: Duration,
    ) -> Result<(Vec<Tensor>, Duration), Objection> {
        let noun = if rows == 1 { "row" } else { "rows" };
        let feeds = self.sample.feeds(start, rows);
        let outcome = self.trial.has_time_for(expected);
        let (outputs, elapsed) = outcome
            .and_then(|()| self.trial.run(feeds, RunMode::Pool))
            .map_err(|failure| match failure {
                Failure::TooLong => Objection::TooLong,
                Failure::Refused(reason) => {
                    Objection::Dependent(format!("a batch of {rows} {noun} fails: {reason}"))
                }
            })?;
        let has_rows = |output: &Tensor| output.shape().dims().first() == Some(&rows);
        match outputs.iter().position(|output| !has_rows(output)) {
            None => Ok((outputs, elapsed)),
            Some(index) => Err(Objection::Dependent(format!(
                "its output \"{}\" for {rows} {noun} has the shape {}, not a row for each",
                self.signature.outputs[index].alias,
                outputs[index].shape()
            ))),
        }
    }
}
