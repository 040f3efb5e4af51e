//! Callers whose answers are kept.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use crate::batch::Member;
use crate::respond::{Outcome, Respond};
use crate::{Call, lost};

/// Callers and what they were told.
#[derive(Clone, Debug, Default)]
pub(crate) struct Callers {
    told: Arc<Mutex<Vec<(usize, Outcome)>>>,
    made: Arc<AtomicUsize>,
}

impl Callers {
    /// The next caller with this call; callers are counted from 0.
    pub(crate) fn with(&self, call: Call) -> Member<Caller> {
        let respond = Caller {
            number: self.made.fetch_add(1, Ordering::Relaxed),
            callers: self.clone(),
            is_gone: false,
            panics: false,
            is_told: false,
        };
        Member { call, respond }
    }

    /// Who was answered so far, and with what; each once.
    pub(crate) fn told(&self) -> BTreeMap<usize, Outcome> {
        let mut told = BTreeMap::new();
        for (number, outcome) in self.told.lock().unwrap().drain(..) {
            assert!(told.insert(number, outcome).is_none(), "answered twice");
        }
        told
    }

    /// The one outcome that was told.
    pub(crate) fn only(&self) -> Outcome {
        let told = self.told();
        assert_eq!(told.len(), 1);
        told.into_values().next().unwrap()
    }
}

/// Keeps what it is told.
#[derive(Debug)]
pub(crate) struct Caller {
    number: usize,
    callers: Callers,
    pub(crate) is_gone: bool,
    pub(crate) panics: bool,
    is_told: bool,
}

impl Respond for Caller {
    fn is_gone(&mut self) -> bool {
        self.is_gone
    }

    fn respond(mut self, mut outcome: Outcome) {
        // Kept for the test, it would hold its place for ever.
        if let Ok(answer) = &mut outcome {
            answer.permit = None;
        }
        assert!(!self.panics, "as told");
        self.is_told = true;
        let mut told = self.callers.told.lock().unwrap();
        told.push((self.number, outcome));
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        if !self.is_told {
            let mut told = self.callers.told.lock().unwrap();
            told.push((self.number, Err(lost())));
        }
    }
}
