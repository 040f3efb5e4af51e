//! Measures versions that serve already, one by one, in a thread that stands back: where
//! many are loaded at once, none is to wait for the measuring of the others. Until a version
//! has had its turn, its first batches are compared with its requests alone, and live
//! averages say who runs them.

use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::{self, JoinHandle};

use engine::{Beside, Engine, RUN_STACK, Registry, ServedModel};

use crate::exit_gate;
use crate::loading::stand_back;
use crate::measure::{Meter, Subject};

/// The versions that wait for their measure. Dropped, it breaks off.
pub(crate) struct LaterMeter {
    meter: Arc<Meter>,
    /// Whose versions they are.
    models: Arc<Engine>,
    waiting: Arc<Mutex<Waiting>>,
}

#[derive(Default)]
struct Waiting {
    versions: VecDeque<(Weak<ServedModel>, Subject)>,
    /// The thread that measures, from the first version to the last.
    thread: Option<JoinHandle<()>>,
    is_busy: bool,
    has_ended: bool,
}

impl LaterMeter {
    pub(crate) fn new(meter: Arc<Meter>, models: Arc<Engine>) -> Self {
        Self {
            meter,
            models,
            waiting: Arc::default(),
        }
    }

    /// Whether versions wait or one is being measured.
    pub(crate) fn is_busy(&self) -> bool {
        lock(&self.waiting).is_busy
    }

    /// Has a version measured when it is its turn.
    pub(crate) fn push(&self, model: &Arc<ServedModel>, subject: Subject) {
        let mut waiting = lock(&self.waiting);
        waiting.versions.push_back((Arc::downgrade(model), subject));
        if waiting.is_busy {
            return;
        }
        match self.start() {
            Ok(thread) => {
                waiting.thread = Some(thread);
                waiting.is_busy = true;
            }
            Err(error) => {
                waiting.versions.clear();
                log::warn!("models are not measured: cannot start a thread: {error}");
            }
        }
    }

    fn start(&self) -> io::Result<JoinHandle<()>> {
        let (meter, waiting) = (Arc::clone(&self.meter), Arc::clone(&self.waiting));
        let models = Arc::clone(&self.models);
        thread::Builder::new()
            .name("tensorwire-measure".to_owned())
            .stack_size(RUN_STACK)
            .spawn(move || {
                stand_back();
                measure_all(&meter, &models.registry, &waiting);
            })
    }
}

impl Drop for LaterMeter {
    fn drop(&mut self) {
        let thread = {
            let mut waiting = lock(&self.waiting);
            waiting.has_ended = true;
            waiting.versions.clear();
            waiting.thread.take()
        };
        // A panic in it is told by the thread itself.
        let _ = thread.map(JoinHandle::join);
    }
}

fn measure_all(meter: &Meter, registry: &Registry, waiting: &Mutex<Waiting>) {
    while let Some((model, subject)) = next(waiting) {
        // A version that was unloaded meanwhile.
        let Some(model) = model.upgrade() else {
            continue;
        };
        let is_wanted =
            || !model.is_retired() && !exit_gate::is_closed() && !lock(waiting).has_ended;
        let beside = Beside {
            is_wanted: &is_wanted,
            others_answer: &|| registry.activity() != subject.activity,
        };
        let measure = || meter.measure(&model, &subject, &beside);
        // The others wait for this thread. A panic is told by its hook.
        let _ = catch_unwind(AssertUnwindSafe(|| exit_gate::before_the_end(measure)));
    }
}

fn next(waiting: &Mutex<Waiting>) -> Option<(Weak<ServedModel>, Subject)> {
    let mut waiting = lock(waiting);
    let next = waiting.versions.pop_front();
    waiting.is_busy = next.is_some();
    next
}

fn lock(waiting: &Mutex<Waiting>) -> MutexGuard<'_, Waiting> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}
