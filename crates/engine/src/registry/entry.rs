//! What is known of one model: its versions and its labels.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::retired::Retired;
use super::{State, Version, VersionStatus};
use crate::{ServeError, ServedModel};

/// Ended versions that a model's status keeps: enough to see what went wrong lately. A
/// model with a new version each hour must not have a status of thousands of lines.
const ENDED_KEPT: usize = 10;

/// The right to decide what becomes of a version: whoever took it last has it. Held by the
/// version and by the thread that works on it, so that others can wait for that thread.
pub(super) type Turn = Arc<()>;

/// One version.
#[derive(Clone, Debug)]
pub(super) struct Slot {
    pub(super) status: VersionStatus,
    pub(super) model: Option<Arc<ServedModel>>,
    pub(super) turn: Turn,
    /// Held by those who free what has been replaced under this number.
    leaving: Turn,
    /// Which of the model's versions ended first.
    ended: u64,
}

/// One model.
#[derive(Clone, Debug, Default)]
pub(super) struct Entry {
    versions: BTreeMap<i64, Slot>,
    labels: BTreeMap<String, i64>,
    /// Versions that have ended so far.
    ends: u64,
}

impl Entry {
    /// The version that a request means; none where there is no such version.
    pub(super) fn slot(&self, version: Version<'_>) -> Result<Option<&Slot>, ServeError> {
        Ok(match version {
            Version::Latest => {
                let available = |slot: &&Slot| slot.model.is_some();
                self.versions.values().rev().find(available)
            }
            Version::Number(number) => self.versions.get(&number),
            Version::Label(label) => self.versions.get(&self.number_of(label)?),
        })
    }

    /// The version that carries a label.
    pub(super) fn number_of(&self, label: &str) -> Result<i64, ServeError> {
        let number = self.labels.get(label).copied();
        number.ok_or_else(|| unknown_label(label))
    }

    /// All states, newest version first.
    pub(super) fn statuses(&self) -> Vec<VersionStatus> {
        let slots = self.versions.values().rev();
        slots.map(|slot| slot.status.clone()).collect()
    }

    /// How many versions are on their way: wanted, and neither available nor given up.
    pub(super) fn coming(&self) -> usize {
        let states = self.versions.values().map(|slot| slot.status.state);
        states
            .filter(|state| matches!(state, State::Start | State::Loading))
            .count()
    }

    /// The versions that answer.
    pub(super) fn served(&self) -> impl Iterator<Item = &Arc<ServedModel>> {
        self.versions
            .values()
            .filter_map(|slot| slot.model.as_ref())
    }

    /// Whether a version answers.
    pub(super) fn answers(&self) -> bool {
        self.versions.values().any(|slot| slot.model.is_some())
    }

    pub(super) fn set_labels(&mut self, labels: BTreeMap<String, i64>) {
        self.labels = labels;
    }

    /// Notes a version that is wanted and not in anybody's hands.
    pub(super) fn start(&mut self, version: i64) {
        let state = self.versions.get(&version).map(|slot| slot.status.state);
        if matches!(state, None | Some(State::End)) {
            self.put(version, State::Start, Turn::default());
        }
    }

    /// Notes that a version is being loaded by the holder of `turn`. One that is available
    /// stays so.
    pub(super) fn begin_load(&mut self, version: i64, turn: Turn) {
        match self.versions.get_mut(&version) {
            Some(slot) if slot.model.is_some() => slot.turn = turn,
            _ => self.put(version, State::Loading, turn),
        }
    }

    /// Makes a version available and gives what it replaces; none and `false` where somebody
    /// else has taken the version in hand meanwhile.
    pub(super) fn finish_load(
        &mut self,
        (version, turn): (i64, &Turn),
        model: &Arc<ServedModel>,
    ) -> (bool, Option<Retired>) {
        let Some(slot) = self.slot_in_turn(version, turn) else {
            return (false, None);
        };
        slot.status.state = State::Available;
        slot.status.error = None;
        let replaced = slot.model.replace(Arc::clone(model));
        let leaving = replaced.map(|replaced| Retired {
            models: vec![replaced],
            awaited: vec![],
            leaving: Some(Arc::clone(&slot.leaving)),
        });
        (true, leaving)
    }

    /// Notes that a version can't be had. One that is available stays so.
    pub(super) fn fail(&mut self, version: i64, error: ServeError) {
        let available = |slot: &Slot| slot.model.is_some();
        if !self.versions.get(&version).is_some_and(available) {
            self.put(version, State::End, Turn::default());
            self.end(version, Some(error));
        }
    }

    /// The same by the holder of `turn`, if it still has it.
    pub(super) fn fail_load(&mut self, (version, turn): (i64, &Turn), error: ServeError) {
        if self.slot_in_turn(version, turn).is_some() {
            self.fail(version, error);
        }
    }

    /// Takes a version out of service for the holder of `turn`; none if there is nothing to
    /// take: it has ended, or somebody else is about it.
    pub(super) fn begin_unload(&mut self, version: i64, turn: Turn) -> Option<Retired> {
        let slot = self.versions.get_mut(&version)?;
        if matches!(slot.status.state, State::Unloading | State::End) {
            return None;
        }
        slot.status.state = State::Unloading;
        Some(Retired {
            models: slot.model.take().into_iter().collect(),
            awaited: vec![
                std::mem::replace(&mut slot.turn, turn),
                std::mem::take(&mut slot.leaving),
            ],
            leaving: None,
        })
    }

    pub(super) fn finish_unload(&mut self, (version, turn): (i64, &Turn)) {
        if self.slot_in_turn(version, turn).is_some() {
            self.end(version, None);
        }
    }

    /// Drops what is known of a version that has ended. `false`: it has not.
    pub(super) fn forget(&mut self, version: i64) -> bool {
        let slot = self.versions.get(&version);
        let has_ended = slot.is_some_and(|slot| slot.status.state == State::End);
        if has_ended {
            self.versions.remove(&version);
        }
        has_ended
    }

    /// What the model's memory still hangs on, once nobody can find it any more.
    pub(super) fn retire(&self) -> Retired {
        let slots = self.versions.values();
        let turns = |slot: &Slot| [Arc::clone(&slot.turn), Arc::clone(&slot.leaving)];
        Retired {
            models: self.served().map(Arc::clone).collect(),
            awaited: slots.flat_map(turns).collect(),
            leaving: None,
        }
    }

    fn slot_in_turn(&mut self, version: i64, turn: &Turn) -> Option<&mut Slot> {
        let slot = self.versions.get_mut(&version)?;
        Arc::ptr_eq(&slot.turn, turn).then_some(slot)
    }

    fn put(&mut self, version: i64, state: State, turn: Turn) {
        let slot = Slot {
            status: VersionStatus {
                version,
                state,
                error: None,
            },
            model: None,
            turn,
            leaving: Turn::default(),
            ended: 0,
        };
        self.versions.insert(version, slot);
    }

    /// Ends a version, and forgets the one that ended first if there are too many.
    fn end(&mut self, version: i64, error: Option<ServeError>) {
        self.ends += 1;
        if let Some(slot) = self.versions.get_mut(&version) {
            slot.status.state = State::End;
            slot.status.error = error;
            slot.ended = self.ends;
        }
        let ended = self
            .versions
            .values()
            .filter(|slot| slot.status.state == State::End);
        if ended.clone().count() > ENDED_KEPT
            && let Some(first) = ended.min_by_key(|slot| slot.ended)
        {
            let first = first.status.version;
            self.versions.remove(&first);
        }
    }
}

/// TensorFlow Serving's answer to a label that a model does not have, or to any label where
/// there is no such model.
pub(super) fn unknown_label(label: &str) -> ServeError {
    ServeError::invalid_argument(format!("Unrecognized servable version label: {label}"))
}
