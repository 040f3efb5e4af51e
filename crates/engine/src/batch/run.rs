//! One batch from its members to their answers. Whatever happens on the way, a panic
//! included, each member is answered once.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use smallvec::SmallVec;
use tensor::Tensor;

use super::check::{Verdict, check};
use super::merge::merge;
use super::pad::{self, Plan};
use super::split::{NotByRows, check_rows, split};
use crate::dispatch::why_dead;
use crate::metrics::BatchRows;
use crate::respond::{Answer, Outcome, Respond};
use crate::{Call, Kind, Run, RunMode, ServeError, Timings, lost};

/// A request in a batch, and who answers it.
#[derive(Debug)]
pub(crate) struct Member<R> {
    pub(crate) call: Call,
    pub(crate) respond: R,
}

/// How a batch is run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct How {
    /// When its members were chosen: their waiting ends.
    pub(crate) formed: Instant,
    /// In whose threads.
    pub(crate) mode: RunMode,
    /// Whether the executor is told when the members stop waiting.
    pub(crate) is_timed: bool,
    /// Whether it is one of the batches that are counted: a run whose outputs are only
    /// compared answers nobody.
    pub(crate) is_counted: bool,
}

/// Runs members of one group as one batch and answers them all; `members` is empty then.
pub(crate) fn run<R: Respond>(members: &mut Vec<Member<R>>, how: How) {
    answer_dead(members, how.formed);
    let mut plan = Plan::new(members);
    let mut is_bounded = true;
    if plan.widens {
        is_bounded = prepare_padding(members);
        // Some may have been answered.
        plan = Plan::new(members);
    }
    if members.len() < 2 || !is_bounded || !plan.is_by_rows {
        return run_each(members, how);
    }
    match attempt(members, how, (plan, how.formed)) {
        Ok(ran) => match check(members, &ran, how, plan) {
            Verdict::Right => deliver(members, ran),
            Verdict::Wrong => run_each(members, how),
        },
        Err(Failure::Run(error)) if is_everyones(&error) => {
            answer_each(members.drain(..), |_| Err(error.clone()));
        }
        // One of them may be at fault: alone, once, each gets what is its own.
        Err(_) => run_each(members, how),
    }
}

/// Answers what nobody waits for any more, or whose deadline has passed.
fn answer_dead<R: Respond>(members: &mut Vec<Member<R>>, now: Instant) {
    // Seldom any: looked for first, as taking some out moves the others.
    if !members.iter_mut().any(|member| member.is_dead(now)) {
        return;
    }
    let gone = members.extract_if(.., |member| member.is_dead(now));
    answer_each(gone, |call| Err(why_dead(call, now)));
}

/// Answers every one of them, even if an answer panics.
pub(crate) fn answer_each<R: Respond>(
    members: impl Iterator<Item = Member<R>>,
    mut outcome: impl FnMut(&Call) -> Outcome,
) {
    answer_all(members.map(|member| {
        let outcome = outcome(&member.call);
        (member, outcome)
    }));
}

fn answer_all<R: Respond>(mut answers: impl Iterator<Item = (Member<R>, Outcome)>) {
    let mut is_done = false;
    while !is_done {
        let respond_all = AssertUnwindSafe(|| {
            for (Member { mut call, respond }, mut outcome) in answers.by_ref() {
                // Its share of the limits stays with the answer; without one it is given
                // back first, so that who knows of it can send the next request.
                if let Ok(answer) = &mut outcome {
                    answer.permit = call.permit.take();
                }
                drop(call);
                respond.respond(outcome);
            }
        });
        is_done = catch_unwind(respond_all)
            .inspect_err(|_panic| log::error!("answering a request panicked"))
            .is_ok();
    }
}

impl<R: Respond> Member<R> {
    pub(crate) fn is_dead(&mut self, now: Instant) -> bool {
        self.call.has_expired(now) || self.respond.is_gone()
    }
}

/// Before members are padded to each other: answers those that can't be, and tells
/// whether the others' batch stays within bounds.
fn prepare_padding<R: Respond>(members: &mut Vec<Member<R>>) -> bool {
    let largest = pad::largest_sizes(members);
    let unpaddable = members.extract_if(.., |member| pad::is_unpaddable(&member.call, &largest));
    answer_each(unpaddable, |_| Err(pad::unpaddable()));
    pad::is_worth_widening(members, &pad::largest_sizes(members))
}

/// What a run gave to each member, and where its time went.
pub(super) struct Ran {
    pub(super) shares: Vec<Vec<Tensor>>,
    formed: Instant,
    timings: Timings,
}

pub(super) enum Failure {
    Run(ServeError),
    NotByRows(NotByRows),
}

/// Whether all members would fail with it alone as well, for the same reason.
fn is_everyones(error: &ServeError) -> bool {
    // The batch had the latest of their deadlines; the model is being closed; the
    // executor can't be reached.
    matches!(
        error.kind(),
        Kind::DeadlineExceeded | Kind::Cancelled | Kind::Unavailable
    )
}

/// Runs each alone.
fn run_each<R: Respond>(members: &mut Vec<Member<R>>, how: How) {
    let many = members.len() > 1;
    answer_all(members.drain(..).map(|mut member| {
        let (mut how, mut began) = (how, how.formed);
        if many {
            began = Instant::now();
            if member.is_dead(began) {
                let error = why_dead(&member.call, began);
                return (member, Err(error));
            }
        }
        // What was faster in the pool as a batch may not be alone.
        if many && how.mode == RunMode::Pool {
            how.mode = member.call.mode(member.call.rows.unwrap_or(1));
        }
        let outcome = run_alone(&member, how, began);
        (member, outcome)
    }));
}

fn run_alone<R>(member: &Member<R>, how: How, began: Instant) -> Outcome {
    let alone = std::slice::from_ref(member);
    let ran = match attempt(alone, how, (Plan::new(alone), began)) {
        // It was padded, and its signature is known for what it is only now: not again.
        Err(Failure::NotByRows(_)) => attempt(alone, how, (Plan::new(alone), Instant::now())),
        ran => ran,
    };
    match ran {
        Ok(ran) => {
            let timings = ran.timings_of(&member.call);
            let outputs = ran.shares.into_iter().next().unwrap_or_default();
            Ok(Answer::new(outputs, timings))
        }
        Err(Failure::Run(error)) => Err(error),
        Err(Failure::NotByRows(reason)) => Err(ServeError::failed_precondition(reason.to_string())),
    }
}

/// Merges from `began` on, runs and splits; answers nobody.
pub(super) fn attempt<R>(
    members: &[Member<R>],
    how: How,
    (plan, began): (Plan, Instant),
) -> Result<Ran, Failure> {
    let Some(call) = members.first().map(|member| &member.call) else {
        return Err(Failure::Run(lost()));
    };
    let metrics = &call.model.metrics;
    let running = how.is_counted.then(|| metrics.begin_batch(call.signature));
    let mut merged = began;
    let run = AssertUnwindSafe(|| {
        let feeds = merge(members, plan)?;
        merged = Instant::now();
        call.model.executor().run(Run {
            signature: call.signature,
            feeds,
            outputs: &call.outputs,
            deadline: deadline(members).filter(|_| how.is_timed),
            mode: how.mode,
        })
    });
    let outcome = catch_unwind(run).unwrap_or_else(|_panic| {
        log::error!("a run of {:?} panicked", call.model);
        Err(lost())
    });
    let executed = Instant::now();
    let execute = executed - merged;
    let cost = call.model.cost(call.signature);
    let bytes = members.iter().map(|member| member.call.bytes).sum();
    cost.record(bytes, execute, outcome.is_ok());
    let outputs = outcome.map_err(Failure::Run)?;
    if outputs.len() != call.outputs.len() {
        return Err(Failure::Run(lost()));
    }
    if let Some(running) = running {
        let rows = BatchRows {
            rows: plan.rows,
            padding: plan.padding(),
            requests: members.len(),
        };
        running.succeeded(rows, execute);
    }
    let share = AssertUnwindSafe(|| share(members, outputs, plan));
    let shares = catch_unwind(share).unwrap_or_else(|_panic| {
        log::error!("splitting the outputs of {:?} panicked", call.model);
        Err(Failure::Run(lost()))
    })?;
    let timings = Timings {
        merge: merged - began,
        execute,
        split: executed.elapsed(),
        batch_rows: plan.rows,
        ..Timings::default()
    };
    Ok(Ran {
        shares,
        formed: how.formed,
        timings,
    })
}

/// Gives each member its rows of the outputs.
fn share<R>(
    members: &[Member<R>],
    outputs: Vec<Tensor>,
    plan: Plan,
) -> Result<Vec<Vec<Tensor>>, Failure> {
    let call = &members[0].call;
    if plan.is_by_rows
        && let Err(reason) = check_rows(&outputs, plan.padded_rows)
    {
        call.model.run_alone(call.signature, &reason.to_string());
        if members.len() > 1 || plan.padding() > 0 {
            return Err(Failure::NotByRows(reason));
        }
    } else if members.len() > 1 || plan.padding() > 0 {
        let sizes = members.iter().map(|member| member.call.rows.unwrap_or(1));
        let sizes: SmallVec<[usize; 64]> = sizes.collect();
        return Ok(split(outputs, &sizes));
    }
    Ok(vec![outputs])
}

/// The latest of the members' deadlines; none if one of them has none.
fn deadline<R>(members: &[Member<R>]) -> Option<Instant> {
    let deadlines = members.iter().map(|member| member.call.deadline);
    deadlines.reduce(|one, two| Some(one?.max(two?))).flatten()
}

impl Ran {
    fn timings_of(&self, call: &Call) -> Timings {
        Timings {
            decode: call.checked.saturating_duration_since(call.arrived),
            queue: self.formed.saturating_duration_since(call.checked),
            rows: call.rows.unwrap_or(1),
            ..self.timings
        }
    }
}

/// Answers each member with its share.
fn deliver<R: Respond>(members: &mut Vec<Member<R>>, mut ran: Ran) {
    let shares = std::mem::take(&mut ran.shares);
    answer_all(members.drain(..).zip(shares).map(|(member, outputs)| {
        let timings = ran.timings_of(&member.call);
        (member, Ok(Answer::new(outputs, timings)))
    }));
}

#[cfg(test)]
#[path = "run_tests.rs"]
mod tests;
