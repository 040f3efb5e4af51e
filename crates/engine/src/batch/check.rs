//! Whether a signature that was not measured may be batched: the first batches of it are
//! compared with what their members get alone.

use std::time::Instant;

use tensor::Tensor;

use super::pad::Plan;
use super::run::{How, Member, Ran, attempt};
use crate::calibrate::is_same;

/// Most members that are run alone to be compared.
const COMPARED: usize = 3;

/// What comparing said of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is right as far as can be seen.
    Right,
    /// A member gets other results alone, or nothing.
    Wrong,
}

/// Compares a batch with its members alone, if its signature is not known yet, and tells
/// the model what came of it.
pub(super) fn check<R>(members: &[Member<R>], ran: &Ran, how: How, plan: Plan) -> Verdict {
    let Some(call) = members.first().map(|member| &member.call) else {
        return Verdict::Right;
    };
    // Padding to the largest was asked for, and changes what a model sees.
    if plan.widens || call.model.is_proven(call.signature) {
        return Verdict::Right;
    }
    let how = How {
        is_counted: false,
        ..how
    };
    for (member, share) in members.iter().zip(&ran.shares).take(COMPARED) {
        let alone = std::slice::from_ref(member);
        let Ok(single) = attempt(alone, how, (Plan::new(alone), Instant::now())) else {
            return Verdict::Wrong;
        };
        let single = single.shares.first().map_or(&[][..], Vec::as_slice);
        if let Some(position) = difference(share, single) {
            let output = call.outputs.get(position).copied().unwrap_or(position);
            let outputs = &call.model.signatures()[call.signature].outputs;
            let alias = outputs.get(output).map_or("", |output| &output.alias);
            let reason =
                format!("its output \"{alias}\" for a request differs in a batch with others");
            call.model.run_alone(call.signature, &reason);
            return Verdict::Wrong;
        }
    }
    // Of equal requests a batch says less: a sorted one is the same.
    let first = &call.inputs;
    let differ = members.iter().any(|member| &member.call.inputs != first);
    call.model.note_agreement(call.signature, differ);
    Verdict::Right
}

/// The first output in which the two are not the same.
fn difference(share: &[Tensor], single: &[Tensor]) -> Option<usize> {
    if share.len() != single.len() {
        return Some(share.len().min(single.len()));
    }
    let mut pairs = share.iter().zip(single);
    pairs.position(|(share, single)| !is_same(share, single))
}
