//! One model version's waiting requests, by group.

use std::collections::hash_map::Entry as MapEntry;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use crate::batch::{GroupOf, Limit, Member, full_rows, told};
use crate::respond::Respond;
use crate::{Call, ServeError, ServedModel};

/// When something can run.
#[derive(Debug)]
pub(super) enum Ready<T> {
    Now(T),
    At(Instant),
    Never,
}

impl<T> Ready<T> {
    /// The same, or at this instant if that is earlier.
    pub(super) fn or_at(self, instant: Instant) -> Self {
        match self {
            Self::Now(now) => Self::Now(now),
            Self::At(known) => Self::At(known.min(instant)),
            Self::Never => Self::At(instant),
        }
    }
}

#[derive(Debug)]
struct Entry<R> {
    member: Member<R>,
    order: u64,
    /// What it adds to the backlog.
    share: Duration,
}

/// Requests that may share a batch, the oldest first; or one that may share none.
#[derive(Debug)]
struct Group<R> {
    entries: VecDeque<Entry<R>>,
    rows: usize,
    bytes: usize,
}

/// What was taken out of a lane.
#[derive(Debug)]
pub(super) struct Taken<R> {
    pub(super) members: Vec<Member<R>>,
    /// The members' rows and bytes.
    pub(super) rows: usize,
    pub(super) bytes: usize,
    /// Members and dead together, and what they added to the backlog.
    pub(super) entries: usize,
    pub(super) backlog: Duration,
}

impl<R> Default for Taken<R> {
    fn default() -> Self {
        Self {
            members: Vec::new(),
            rows: 0,
            bytes: 0,
            entries: 0,
            backlog: Duration::ZERO,
        }
    }
}

#[derive(Debug)]
pub(super) struct Lane<R> {
    /// Keeps the address from being another model's, and not the model from being freed.
    model: Weak<ServedModel>,
    /// Runner time so far, in nanoseconds, from where the lane began.
    pub(super) charged: u64,
    /// Batches that run.
    pub(super) running: usize,
    groups: HashMap<u64, Group<R>>,
    /// The groups by their oldest request.
    oldest: BTreeMap<u64, u64>,
    /// Rows that wait for each signature.
    rows: HashMap<usize, usize>,
    hasher: RandomState,
}

impl<R: Respond> Lane<R> {
    pub(super) fn new(model: &Arc<ServedModel>) -> Self {
        Self {
            model: Arc::downgrade(model),
            charged: 0,
            running: 0,
            groups: HashMap::new(),
            oldest: BTreeMap::new(),
            rows: HashMap::new(),
            hasher: RandomState::new(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// Whether `max_enqueued_batches` leaves room for a call; TensorFlow Serving's texts.
    pub(super) fn check_room(&self, call: &Call, rows: Option<usize>) -> Result<(), ServeError> {
        let batching = &call.model.options().batching;
        let (Some(most), Some(rows)) = (batching.max_enqueued_batches, rows) else {
            return Ok(());
        };
        let full = full_rows(call);
        let waiting = self.rows.get(&call.signature).copied().unwrap_or(0);
        let room = most.saturating_mul(full).saturating_sub(waiting);
        // Larger than all of the room: let in where nothing waits, unless the model was told
        // how large a batch may be.
        let is_lone = waiting == 0 && told(call).is_none();
        if !call.is_batchable() || rows <= room || is_lone {
            return Ok(());
        }
        let full_to = "The batch scheduling queue to which this task was submitted is full";
        let batches = waiting.div_ceil(full);
        Err(ServeError::unavailable(
            if batching.enable_large_batch_splitting {
                format!(
                    "{full_to}; task size is {rows} but scheduling capacity is only {room} \
                     (num_enqueued_batches={batches}, max_enqueued_batches={most}, \
                     open_batch_size={}, max_execution_batch_size={full})",
                    waiting % full
                )
            } else {
                format!(
                    "{full_to}; currently {batches} batches enqueued and max_enqueued_batches \
                     is {most}"
                )
            },
        ))
    }

    /// Queues a request, the `order`th of all; gives what it adds to the backlog.
    pub(super) fn push(&mut self, member: Member<R>, order: u64) -> Duration {
        let share = member.call.share_of_cost();
        let rows = member.call.rows.unwrap_or(1);
        let bytes = member.call.bytes;
        *self.rows.entry(member.call.signature).or_default() += rows;
        let id = self.group_of(&member.call, order);
        let entry = Entry {
            member,
            order,
            share,
        };
        let group = match self.groups.entry(id) {
            MapEntry::Occupied(group) => group.into_mut(),
            MapEntry::Vacant(place) => {
                self.oldest.insert(order, id);
                place.insert(Group {
                    entries: VecDeque::new(),
                    rows: 0,
                    bytes: 0,
                })
            }
        };
        group.rows += rows;
        group.bytes += bytes;
        group.entries.push_back(entry);
        share
    }

    /// The group that a call belongs to, or the place of a new one.
    fn group_of(&self, call: &Call, order: u64) -> u64 {
        let is_batchable = call.is_batchable();
        let mut id = if is_batchable {
            self.hasher.hash_one(GroupOf(call))
        } else {
            self.hasher.hash_one(order)
        };
        let belongs = |group: &Group<R>| {
            let first = group.entries.front().map(|entry| &entry.member.call);
            let is_alike = |first: &Call| first.is_batchable() && GroupOf(first) == GroupOf(call);
            is_batchable && first.is_some_and(is_alike)
        };
        // Seldom: two hashes met, or a signature was found to run alone in between.
        while self.groups.get(&id).is_some_and(|group| !belongs(group)) {
            id = self.hasher.hash_one((id, order));
        }
        id
    }

    /// Whether there is nothing left of its model but the lane.
    pub(super) fn is_orphan(&self) -> bool {
        self.model.strong_count() == 0
    }

    /// The oldest request's order and its group, of those that can run at `now`; of all
    /// if there is no more waiting for batches to fill.
    pub(super) fn ready(&self, now: Option<Instant>) -> Ready<(u64, u64)> {
        let first = self.oldest.iter().next();
        let Some((leader, first)) = first.and_then(|(order, id)| {
            let front = self.groups.get(id)?.entries.front()?;
            Some((&front.member.call, (*order, *id)))
        }) else {
            return Ready::Never;
        };
        let batching = &leader.model.options().batching;
        if batching
            .num_batch_threads
            .is_some_and(|most| self.running >= most.max(1))
        {
            return Ready::Never;
        }
        let timeout = batching.batch_timeout.filter(|timeout| !timeout.is_zero());
        let (Some(now), Some(timeout)) = (now, timeout) else {
            return Ready::Now(first);
        };
        let mut wait = Ready::Never;
        for (order, id) in &self.oldest {
            let Some(group) = self.groups.get(id) else {
                continue;
            };
            match group.ready_at(timeout) {
                Some(instant) if instant > now => wait = wait.or_at(instant),
                _ => return Ready::Now((*order, *id)),
            }
        }
        wait
    }

    /// Takes a batch of this group out; the dead among those before its end go to `dead`.
    pub(super) fn form(&mut self, id: u64, now: Instant, dead: &mut Vec<Member<R>>) -> Taken<R> {
        let mut taken = Taken::default();
        let Some(group) = self.groups.get_mut(&id) else {
            return taken;
        };
        if let Some(front) = group.entries.front() {
            self.oldest.remove(&front.order);
        }
        let mut limit = None;
        while let Some(mut entry) = group.entries.pop_front() {
            let call = &entry.member.call;
            let rows = call.rows.unwrap_or(1);
            let is_dead = entry.member.is_dead(now);
            let call = &entry.member.call;
            if !is_dead {
                let limit = *limit.get_or_insert_with(|| Limit::queued(call));
                let (all_rows, all_bytes) = (taken.rows + rows, taken.bytes + call.bytes);
                if !taken.members.is_empty() && !limit.holds(all_rows, all_bytes) {
                    group.entries.push_front(entry);
                    break;
                }
                (taken.rows, taken.bytes) = (all_rows, all_bytes);
            }
            taken.entries += 1;
            taken.backlog += entry.share;
            group.rows -= rows;
            group.bytes -= call.bytes;
            subtract(&mut self.rows, call.signature, rows);
            if is_dead {
                &mut *dead
            } else {
                &mut taken.members
            }
            .push(entry.member);
        }
        self.settle(id);
        taken
    }

    /// Takes the dead out of all groups.
    pub(super) fn sweep(&mut self, now: Instant, dead: &mut Vec<Member<R>>) -> Taken<R> {
        let mut taken = Taken::default();
        let ids: Vec<u64> = self.groups.keys().copied().collect();
        for id in ids {
            let Some(group) = self.groups.get_mut(&id) else {
                continue;
            };
            if let Some(front) = group.entries.front() {
                self.oldest.remove(&front.order);
            }
            let entries = std::mem::take(&mut group.entries);
            for mut entry in entries {
                if !entry.member.is_dead(now) {
                    group.entries.push_back(entry);
                    continue;
                }
                let rows = entry.member.call.rows.unwrap_or(1);
                taken.entries += 1;
                taken.backlog += entry.share;
                group.rows -= rows;
                group.bytes -= entry.member.call.bytes;
                subtract(&mut self.rows, entry.member.call.signature, rows);
                dead.push(entry.member);
            }
            self.settle(id);
        }
        taken
    }

    /// Puts a group of which entries were taken in its new place, or away.
    fn settle(&mut self, id: u64) {
        let front = self.groups.get(&id).and_then(|group| group.entries.front());
        match front.map(|entry| entry.order) {
            Some(order) => {
                self.oldest.insert(order, id);
            }
            None => {
                self.groups.remove(&id);
            }
        }
    }
}

impl<R> Group<R> {
    /// When its batch should run: now (`None`) if it is full, else when its oldest request
    /// has waited for `timeout`.
    fn ready_at(&self, timeout: Duration) -> Option<Instant> {
        let front = &self.entries.front()?.member.call;
        if !front.is_batchable() || Limit::queued(front).is_reached(self.rows, self.bytes) {
            return None;
        }
        front.checked.checked_add(timeout)
    }
}

fn subtract(rows: &mut HashMap<usize, usize>, signature: usize, count: usize) {
    if let MapEntry::Occupied(mut waiting) = rows.entry(signature) {
        *waiting.get_mut() -= count;
        if *waiting.get() == 0 {
            waiting.remove();
        }
    }
}
