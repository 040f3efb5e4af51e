//! The requests that arrived in one turn of an I/O thread's event loop, which the
//! thread runs itself: gathered while they are decoded, run together at its end.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use crate::batch::{self, GroupOf, How, Limit, Member};
use crate::respond::Respond;
use crate::{Call, RunMode};

/// How long requests are run before the connections are looked at again: replies are sent
/// then, and pings answered. No request takes more than a tenth of it.
const TURN: Duration = Duration::from_millis(2);

/// Groups, and requests of a group, for which memory is kept from one tick to the next.
const KEPT_GROUPS: usize = 16;
const KEPT_MEMBERS: usize = 1024;

/// One I/O thread's gathered requests; `R` answers them.
#[derive(Debug)]
pub struct Tick<R> {
    /// The first `used` have members; the others are kept for their memory.
    groups: Vec<Group<R>>,
    used: usize,
    /// The first of them that has not been run as a whole.
    done: usize,
    /// The group of the last request: the next is mostly of the same.
    last: usize,
    /// Where groups are, by the hash of what their members share.
    places: HashMap<u64, usize>,
    hasher: RandomState,
    /// Members of a batch that is not the whole of its group.
    some: Vec<Member<R>>,
}

#[derive(Debug)]
struct Group<R> {
    members: Vec<Member<R>>,
    is_batchable: bool,
    rows: usize,
    bytes: usize,
}

impl<R> Default for Tick<R> {
    fn default() -> Self {
        Self {
            groups: Vec::new(),
            used: 0,
            done: 0,
            last: 0,
            places: HashMap::new(),
            hasher: RandomState::new(),
            some: Vec::new(),
        }
    }
}

impl<R: Respond> Tick<R> {
    /// Gathers a request for which [`crate::Dispatcher::is_inline`].
    pub fn push(&mut self, call: Call, respond: R) {
        self.last = self.group_of(&call);
        self.groups[self.last].add(Member { call, respond });
    }

    /// Whether nothing is gathered.
    pub fn is_empty(&self) -> bool {
        self.used == 0
    }

    /// Runs and answers what is gathered, in the order of the groups, for as long as a turn
    /// may take; what is left then is for the next. A panic is no end of the thread's ticks:
    /// those that it leaves unanswered answer for themselves when they are dropped.
    pub fn run(&mut self) {
        let end = Instant::now() + TURN;
        let run_all = AssertUnwindSafe(|| {
            (self.done..self.used).all(|at| {
                self.done = at;
                self.run_group(at, end)
            })
        });
        match catch_unwind(run_all) {
            Ok(true) => self.clear(),
            Ok(false) => self.drop_done(),
            Err(_panic) => {
                log::error!("running a tick's requests panicked");
                *self = Self::default();
            }
        }
    }

    /// Takes the groups that were run out of the way of those that are left: there may always
    /// be some for as long as the load lasts.
    fn drop_done(&mut self) {
        let done = std::mem::take(&mut self.done);
        self.groups.rotate_left(done);
        self.used -= done;
        self.last = self.last.saturating_sub(done);
        self.places.retain(|_, place| {
            let left = place.checked_sub(done);
            *place = left.unwrap_or(0);
            left.is_some()
        });
    }

    /// Keeps some of the memory for the next tick.
    fn clear(&mut self) {
        self.used = 0;
        self.done = 0;
        self.last = 0;
        self.places.clear();
        if self.groups.len() > KEPT_GROUPS {
            self.groups.truncate(KEPT_GROUPS);
            self.places.shrink_to(KEPT_GROUPS);
        }
        self.some.shrink_to(KEPT_MEMBERS);
    }

    /// The index of the group that a call goes to.
    fn group_of(&mut self, call: &Call) -> usize {
        if !call.is_batchable() {
            return self.new_group(false);
        }
        if self.used > 0 && self.groups[self.last].takes(call) {
            return self.last;
        }
        match self.used {
            // Most ticks have one group, and need no map for it.
            0 => return self.new_group(true),
            1 => self.note_first(),
            _ => {}
        }
        let mut hash = self.hasher.hash_one(GroupOf(call));
        loop {
            match self.places.get(&hash) {
                Some(place) if self.groups[*place].takes(call) => return *place,
                // Two groups of one hash, or one that was marked in between.
                Some(_) => hash = hash.wrapping_add(1),
                None => break,
            }
        }
        self.places.insert(hash, self.used);
        self.new_group(true)
    }

    /// Notes the place of the only group, as there will be another.
    fn note_first(&mut self) {
        let group = &self.groups[0];
        let first = group.members.first().filter(|_| group.is_batchable);
        if let Some(first) = first {
            self.places
                .insert(self.hasher.hash_one(GroupOf(&first.call)), 0);
        }
    }

    fn new_group(&mut self, is_batchable: bool) -> usize {
        let at = self.used;
        if at == self.groups.len() {
            self.groups.push(Group {
                members: Vec::new(),
                is_batchable,
                rows: 0,
                bytes: 0,
            });
        }
        self.groups[at].is_batchable = is_batchable;
        self.used += 1;
        at
    }

    /// Whether all of it was run, and there is time for the next.
    fn run_group(&mut self, at: usize, end: Instant) -> bool {
        let group = &mut self.groups[at];
        let (rows, bytes) = (group.rows, group.bytes);
        (group.rows, group.bytes) = (0, 0);
        let Some(leader) = group.members.first() else {
            return true;
        };
        let limit = Limit::inline(&leader.call);
        if group.members.len() == 1 || limit.holds(rows, bytes) {
            run_here(&mut group.members);
        } else {
            let rest = run_in_batches(&mut group.members, limit, (&mut self.some, end));
            for member in rest {
                group.add(member);
            }
        }
        group.members.shrink_to(KEPT_MEMBERS);
        group.members.is_empty() && (at + 1 == self.used || Instant::now() < end)
    }
}

/// Runs a group in batches within the limit, made in `some`, until `end`; what is left then.
fn run_in_batches<R: Respond>(
    members: &mut Vec<Member<R>>,
    limit: Limit,
    (some, end): (&mut Vec<Member<R>>, Instant),
) -> Vec<Member<R>> {
    let (mut rows, mut bytes) = (0, 0);
    let mut waiting = members.drain(..);
    while let Some(member) = waiting.next() {
        let (more_rows, more_bytes) = (member.call.rows.unwrap_or(1), member.call.bytes);
        if !some.is_empty() && !limit.holds(rows + more_rows, bytes + more_bytes) {
            run_here(some);
            (rows, bytes) = (0, 0);
            if Instant::now() >= end {
                return std::iter::once(member).chain(waiting).collect();
            }
        }
        rows += more_rows;
        bytes += more_bytes;
        some.push(member);
    }
    run_here(some);
    Vec::new()
}

fn run_here<R: Respond>(members: &mut Vec<Member<R>>) {
    let how = How {
        formed: Instant::now(),
        mode: RunMode::Caller,
        // It takes less than a deadline is long, and nothing can end it in this thread.
        is_timed: false,
        is_counted: true,
    };
    batch::run(members, how);
}

impl<R> Group<R> {
    fn add(&mut self, member: Member<R>) {
        self.rows += member.call.rows.unwrap_or(1);
        self.bytes += member.call.bytes;
        self.members.push(member);
    }

    fn takes(&self, call: &Call) -> bool {
        let first = self.members.first().map(|member| &member.call);
        self.is_batchable && first.is_some_and(|first| GroupOf(first) == GroupOf(call))
    }
}

#[cfg(test)]
#[path = "tick_tests.rs"]
mod tests;
