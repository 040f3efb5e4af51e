//! Measures versions that serve already, one by one, in a thread that stands back, once no
//! load is under way: where many are loaded at once, none is to wait for the measuring of the
//! others. Until a version has had its turn, its first batches are compared with its requests
//! alone, and live averages say who runs them.

use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use engine::{Beside, Engine, Registry, ServedModel};
use tensorflow::give_memory_back;

use crate::exit_gate;
use crate::loading::{Loads, run_aside};
use crate::measure::{Meter, Subject};

/// The versions that wait for their measure. Dropped, it breaks off.
pub(crate) struct LaterMeter {
    meter: Arc<Meter>,
    /// Whose versions they are.
    models: Arc<Engine>,
    loads: Arc<Loads>,
    waiting: Arc<Waiting>,
}

#[derive(Default)]
struct Waiting {
    list: Mutex<List>,
    /// Told of the end.
    ended: Condvar,
}

/// For so long no load has been under way when measuring goes on: between two of many there
/// is a moment without one.
const REST: Duration = Duration::from_millis(100);

#[derive(Default)]
struct List {
    versions: VecDeque<(Weak<ServedModel>, Subject)>,
    /// The thread that measures, from the first version to the last.
    thread: Option<JoinHandle<()>>,
    is_busy: bool,
    /// How many loads there had been when none was under way last.
    rested: Option<usize>,
    has_ended: bool,
}

impl LaterMeter {
    pub(crate) fn new(meter: Arc<Meter>, models: Arc<Engine>, loads: Arc<Loads>) -> Self {
        Self {
            meter,
            models,
            loads,
            waiting: Arc::default(),
        }
    }

    /// Whether versions wait or one is being measured.
    pub(crate) fn is_busy(&self) -> bool {
        self.waiting.lock().is_busy
    }

    /// Has a version measured when it is its turn.
    pub(crate) fn push(&self, model: &Arc<ServedModel>, subject: Subject) {
        let mut waiting = self.waiting.lock();
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
                waiting.give_up();
                log::warn!("models are not measured: cannot start a thread: {error}");
            }
        }
    }

    fn start(&self) -> io::Result<JoinHandle<()>> {
        let (meter, waiting) = (Arc::clone(&self.meter), Arc::clone(&self.waiting));
        let (models, loads) = (Arc::clone(&self.models), Arc::clone(&self.loads));
        thread::Builder::new()
            .name("tensorwire-later".to_owned())
            .spawn(move || {
                let measure = || measure_all(&meter, &models.registry, (&loads, &waiting));
                if let Err(error) = run_aside(true, measure) {
                    log::warn!("models are not measured: {error}");
                    waiting.lock().give_up();
                }
                // What loading and measuring took and no longer need: more than half a
                // megabyte a model. Not in the thread that stands back, which others that
                // ask for memory would wait for.
                exit_gate::before_the_end(give_memory_back);
            })
    }
}

impl List {
    /// Nobody measures those that wait.
    fn give_up(&mut self) {
        self.versions.clear();
        self.is_busy = false;
    }
}

impl Drop for LaterMeter {
    fn drop(&mut self) {
        let thread = {
            let mut waiting = self.waiting.lock();
            waiting.has_ended = true;
            waiting.versions.clear();
            waiting.thread.take()
        };
        self.waiting.ended.notify_all();
        // A panic in it is told by the thread itself.
        let _ = thread.map(JoinHandle::join);
    }
}

impl Waiting {
    fn lock(&self) -> MutexGuard<'_, List> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next version, once no load is under way; none: there is none, or this has ended.
    fn next(&self, loads: &Loads) -> Option<(Weak<ServedModel>, Subject)> {
        let mut list = self.lock();
        while !list.versions.is_empty() {
            let now = loads.at_rest();
            if now.is_some() && now == list.rested {
                break;
            }
            list.rested = now;
            let waited = self.ended.wait_timeout(list, REST);
            (list, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
        let next = list.versions.pop_front();
        list.is_busy = next.is_some();
        next
    }
}

fn measure_all(meter: &Meter, registry: &Registry, (loads, waiting): (&Loads, &Waiting)) {
    while let Some((model, subject)) = waiting.next(loads) {
        // A version that was unloaded meanwhile.
        let Some(model) = model.upgrade() else {
            continue;
        };
        let is_wanted =
            || !model.is_retired() && !exit_gate::is_closed() && !waiting.lock().has_ended;
        let beside = Beside {
            is_wanted: &is_wanted,
            others_answer: &|| registry.activity() != subject.activity,
        };
        let measure = || meter.measure(&model, &subject, &beside);
        // The others wait for this thread. A panic is told by its hook.
        let _ = catch_unwind(AssertUnwindSafe(|| exit_gate::before_the_end(measure)));
    }
}
