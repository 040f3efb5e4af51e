//! Measures a model when it is loaded: what its batches cost, and whether requests may
//! share them at all. Called by the control plane, in the thread that loads; one model at
//! a time in a process, so that models that serve meanwhile are disturbed by one only.

mod compare;
pub(crate) use compare::is_same;
mod generate;
mod independence;
mod ladder;
mod sample;
pub use sample::Sample;
mod store;
pub use store::Store;
mod trial;

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use independence::Verdict;
use trial::{Failure, Now, Trial};

use crate::{Curve, DEFAULT_SIGNATURE, ServedModel, Signature};

/// What measuring said of a signature.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Measured {
    /// What its batches cost; none if it could not be measured.
    pub curve: Option<Curve>,
    /// Why its requests never share a batch, as its runs have shown; a clause.
    pub alone: Option<String>,
    /// Why there is no curve; a clause.
    pub unmeasured: Option<String>,
    /// Whether it was not seen if its rows are independent, for want of time or for the sake of
    /// others: another start may see it, and must not find this kept.
    pub is_provisional: bool,
}

/// What goes on beside the measuring.
pub struct Beside<'a> {
    /// Whether what is measured is still wanted.
    pub is_wanted: &'a dyn Fn() -> bool,
    /// Whether other models answer requests meanwhile.
    pub others_answer: &'a dyn Fn() -> bool,
}

/// Longest run that is measured while other models answer requests. An executor's own threads
/// don't stand back as the one does that loads: a longer run in them is what those requests
/// would wait for.
const BEARABLE: Duration = Duration::from_millis(1);

/// One model is measured at a time.
static TURN: Mutex<()> = Mutex::new(());

/// Measures all signatures of a model within `budget`, the default one first; answers for
/// each, by its index. `recorded` gives inputs that a signature was recorded with. Breaks
/// off, without an answer, once nobody wants it.
///
/// Nothing that a model does here is an error: what could not be measured has its reason.
/// A run that begins within the budget may end after it where the executor can't be
/// interrupted.
pub fn calibrate(
    model: &ServedModel,
    budget: Duration,
    recorded: &dyn Fn(usize) -> Option<Sample>,
    beside: &Beside<'_>,
) -> Option<Vec<Measured>> {
    let Beside {
        is_wanted,
        others_answer,
    } = beside;
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let over = Instant::now() + budget;
    // To one who is not wanted any more, all time is over.
    let now = || {
        let now = Instant::now();
        if is_wanted() { now } else { now.max(over) }
    };
    let measured = calibrate_by(&now, model, budget, recorded, others_answer);
    is_wanted().then_some(measured)
}

fn calibrate_by(
    now: Now<'_>,
    model: &ServedModel,
    budget: Duration,
    recorded: &dyn Fn(usize) -> Option<Sample>,
    others_answer: &dyn Fn() -> bool,
) -> Vec<Measured> {
    let signatures = model.signatures();
    let mut measured = vec![Measured::default(); signatures.len()];
    let mut order: Vec<usize> = (0..signatures.len()).collect();
    order.sort_by_key(|index| signatures[*index].name != DEFAULT_SIGNATURE);
    let end = now() + budget;
    let count = order.len();
    for (done, index) in order.into_iter().enumerate() {
        let share = end.saturating_duration_since(now()) / (count - done) as u32;
        let trial = Trial {
            executor: model.executor(),
            signature: index,
            outputs: (0..signatures[index].outputs.len()).collect(),
            now,
            others_answer,
            end: now() + share,
        };
        measured[index] = measure(&trial, &signatures[index], recorded(index));
    }
    measured
}

fn measure(trial: &Trial<'_>, signature: &Signature, recorded: Option<Sample>) -> Measured {
    let without = |reason: &str| Measured {
        unmeasured: Some(reason.to_owned()),
        ..Measured::default()
    };
    if signature.unusable.is_some() {
        return without("it can't be run");
    }
    if trial.executor.has_effects(trial.signature) {
        return without("a run of it changes what later ones answer");
    }
    // What can loop for ever never runs in the caller's thread.
    let modes = &ladder::BOTH[usize::from(trial.executor.is_unpredictable())..];
    let (sample, usual) = match accepted(trial, signature, recorded) {
        Ok(accepted) => accepted,
        Err(reason) => return without(&reason),
    };
    if !trial.is_bearable(usual) {
        return Measured {
            is_provisional: true,
            ..without(&format!(
                "a run of it takes more than {BEARABLE:?}, and other models answer requests"
            ))
        };
    }
    let mut measured = Measured::default();
    let mut most = ladder::MAX_ROWS;
    if signature.alone.is_none() && sample.has_rows() {
        match independence::verify(trial, signature, &sample, usual) {
            Verdict::Independent => {}
            Verdict::Alone(reason) => measured.alone = Some(reason),
            // Larger batches than one row are then neither known to be right nor measured.
            Verdict::Unknown => {
                most = 1;
                measured.is_provisional = true;
            }
        }
    }
    let climbed = trial
        .has_time_for(usual * modes.len() as u32)
        .and_then(|()| ladder::climb(trial, &sample, modes, most));
    match climbed {
        Ok(points) => {
            let row_bytes = sample.row_bytes();
            measured.curve = Some(Curve { points, row_bytes }.smoothed());
        }
        Err(failure) => measured.unmeasured = Some(reason_of(failure)),
    }
    measured
}

/// The first sample of which the model takes one row, and what that took.
fn accepted(
    trial: &Trial<'_>,
    signature: &Signature,
    recorded: Option<Sample>,
) -> Result<(Sample, Duration), String> {
    let is_alone = signature.alone.is_some();
    let recorded = recorded.map(|sample| if is_alone { sample.whole() } else { sample });
    let mut refusal = "no inputs can be made up for its signature".to_owned();
    for sample in recorded
        .into_iter()
        .chain(generate::samples(signature, is_alone))
    {
        match usual_time(trial, &sample) {
            Ok(usual) => return Ok((sample, usual)),
            Err(Failure::TooLong) => return Err(reason_of(Failure::TooLong)),
            Err(Failure::Refused(reason)) => refusal = reason_of(Failure::Refused(reason)),
        }
    }
    Err(refusal)
}

/// What a run of one row takes in the pool, where it can be interrupted; beside others in the
/// calling thread, which stands back. A first run may take far longer than any later one, so
/// one that took much of the time, or more than others can bear, is done again.
fn usual_time(trial: &Trial<'_>, sample: &Sample) -> Result<Duration, Failure> {
    let mode = trial.first_mode();
    let (_outputs, first) = trial.run(sample.feeds(0, 1), mode)?;
    if first < trial.left() / 4 && trial.is_bearable(first) {
        return Ok(first);
    }
    let (_outputs, second) = trial.run(sample.feeds(0, 1), mode)?;
    Ok(second.min(first))
}

fn reason_of(failure: Failure) -> String {
    match failure {
        Failure::Refused(reason) => format!("it refuses the inputs made up for it: {reason}"),
        Failure::TooLong => "a run takes longer than the time for measuring it".to_owned(),
    }
}

#[cfg(test)]
mod puppet;

#[cfg(test)]
mod tests;
