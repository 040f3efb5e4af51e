//! The requests that wait for a runner, and which of them run next. A plain state
//! machine: it has no thread and no clock, and is told the time.

mod lane;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::batch::Member;
use crate::respond::Respond;
use crate::{Call, ServeError, ServedModel};
use lane::{Lane, Ready};

/// What a free runner does next.
#[derive(Debug)]
pub(crate) enum Next<R> {
    /// Runs this.
    Run(Formed<R>),
    /// Waits for a push, or until then.
    WaitUntil(Instant),
    /// Waits for a push.
    Idle,
}

/// A batch taken from the queue.
#[derive(Debug)]
pub(crate) struct Formed<R> {
    /// Of one group, at least one, the oldest first.
    pub(crate) members: Vec<Member<R>>,
    /// To be given back with the time that the run took.
    pub(crate) ticket: Ticket,
}

/// Stands for a batch that runs.
#[derive(Debug)]
pub(crate) struct Ticket {
    lane: LaneId,
    charged: u64,
}

/// The address of a lane's model; the lane keeps it from being used again.
type LaneId = usize;

/// One lane for each model version. Runners go to the lane that has been charged the
/// least of their time so far, and there to the group with the oldest request.
#[derive(Debug)]
pub(crate) struct Queue<R> {
    lanes: HashMap<LaneId, Lane<R>>,
    /// Where lanes that were idle begin, in charged nanoseconds: nobody saves up turns.
    virtual_time: u64,
    /// Requests, so far; their order.
    pushed: u64,
    queued: usize,
    running: usize,
    /// What is expected of all that is queued.
    backlog: Duration,
    /// Whether batches wait no more to fill.
    hurries: bool,
    is_closed: bool,
}

impl<R> Default for Queue<R> {
    fn default() -> Self {
        Self {
            lanes: HashMap::new(),
            virtual_time: 0,
            pushed: 0,
            queued: 0,
            running: 0,
            backlog: Duration::ZERO,
            hurries: false,
            is_closed: false,
        }
    }
}

impl<R: Respond> Queue<R> {
    /// Whether a call of so many rows may be queued, of which `call` is the whole or a part:
    /// an error if its signature has as many batches waiting as its model was told, or after
    /// [`Queue::close`].
    pub(crate) fn check_room(&self, call: &Call, rows: Option<usize>) -> Result<(), ServeError> {
        if self.is_closed {
            return Err(ServeError::unavailable("the server is shutting down"));
        }
        match self.lanes.get(&lane_id(&call.model)) {
            Some(lane) => lane.check_room(call, rows),
            None => Ok(()),
        }
    }

    /// Queues a request.
    pub(crate) fn push(&mut self, member: Member<R>) {
        let lane = self
            .lanes
            .entry(lane_id(&member.call.model))
            .or_insert_with(|| Lane::new(&member.call.model));
        if lane.is_empty() {
            lane.charged = lane.charged.max(self.virtual_time);
        }
        self.pushed += 1;
        self.queued += 1;
        self.backlog = self.backlog.saturating_add(lane.push(member, self.pushed));
    }

    /// The batch to run now, formed now. What nobody waits for any more, or whose deadline
    /// has passed, goes to `dead` on the way, to be answered.
    pub(crate) fn next(&mut self, now: Instant, dead: &mut Vec<Member<R>>) -> Next<R> {
        loop {
            let (lane, group) = match self.choose(now) {
                Ready::Now(chosen) => chosen,
                Ready::At(instant) => return Next::WaitUntil(instant),
                Ready::Never => return Next::Idle,
            };
            let Some(chosen) = self.lanes.get_mut(&lane) else {
                return Next::Idle;
            };
            let taken = chosen.form(group, now, dead);
            self.queued -= taken.entries;
            self.backlog = self.backlog.saturating_sub(taken.backlog);
            let Some(leader) = taken.members.first() else {
                continue;
            };
            let cost = leader.call.batch_cost(taken.rows, taken.bytes);
            // At least something, so that free runs take their turns as well.
            let charged = u64::try_from(cost.as_nanos()).unwrap_or(u64::MAX).max(1000);
            self.virtual_time = self.virtual_time.max(chosen.charged);
            chosen.charged = chosen.charged.saturating_add(charged);
            chosen.running += 1;
            self.running += 1;
            return Next::Run(Formed {
                members: taken.members,
                ticket: Ticket { lane, charged },
            });
        }
    }

    /// Takes note that a batch has run, and what it took in truth.
    pub(crate) fn finished(&mut self, ticket: &Ticket, took: Duration) {
        self.running -= 1;
        if let Some(lane) = self.lanes.get_mut(&ticket.lane) {
            let took = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
            lane.charged = lane
                .charged
                .saturating_sub(ticket.charged)
                .saturating_add(took);
            lane.running -= 1;
        }
        if self.running == 0 && self.queued == 0 {
            // Nobody waits: no lane owes another a turn.
            self.lanes.clear();
            self.virtual_time = 0;
            return;
        }
        let virtual_time = self.virtual_time;
        self.lanes.retain(|_, lane| {
            let owes = lane.charged > virtual_time && !lane.is_orphan();
            !lane.is_empty() || lane.running > 0 || owes
        });
    }

    /// Takes out all that nobody waits for any more or whose deadline has passed.
    pub(crate) fn sweep(&mut self, now: Instant, dead: &mut Vec<Member<R>>) {
        for lane in self.lanes.values_mut() {
            let taken = lane.sweep(now, dead);
            self.queued -= taken.entries;
            self.backlog = self.backlog.saturating_sub(taken.backlog);
        }
    }

    /// Waits no more for batches to fill, from now on.
    pub(crate) fn hurry(&mut self) {
        self.hurries = true;
    }

    /// Refuses what comes from now on, and waits no more for batches to fill.
    pub(crate) fn close(&mut self) {
        self.hurry();
        self.is_closed = true;
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// Requests that wait; of a large request, its parts.
    pub(crate) fn queued(&self) -> usize {
        self.queued
    }

    /// Batches taken and not finished.
    pub(crate) fn running(&self) -> usize {
        self.running
    }

    /// What all that waits is expected to take.
    pub(crate) fn backlog(&self) -> Duration {
        self.backlog
    }

    /// The lane and its group whose turn it is.
    fn choose(&self, now: Instant) -> Ready<(LaneId, u64)> {
        let now = (!self.hurries).then_some(now);
        let mut wait = Ready::Never;
        let mut best: Option<(u64, u64, LaneId, u64)> = None;
        for (id, lane) in &self.lanes {
            match lane.ready(now) {
                Ready::Now((oldest, group)) => {
                    // Between lanes that are charged the same, the oldest request.
                    let candidate = (lane.charged, oldest, *id, group);
                    best = Some(best.map_or(candidate, |best| best.min(candidate)));
                }
                Ready::At(instant) => wait = wait.or_at(instant),
                Ready::Never => {}
            }
        }
        match best {
            Some((_, _, lane, group)) => Ready::Now((lane, group)),
            None => wait,
        }
    }
}

fn lane_id(model: &Arc<ServedModel>) -> LaneId {
    Arc::as_ptr(model).addr()
}

#[cfg(test)]
mod tests;
