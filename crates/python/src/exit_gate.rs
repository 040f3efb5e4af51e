//! Keeps our threads out of an interpreter that is coming to its end: a thread that
//! attaches then crashes the process or hangs it, and Python has no call that says so in
//! time. A function that Python runs at exit closes this gate first and waits for those
//! who are just passing.

use std::convert::Infallible;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use client::PerProcess;
use pyo3::prelude::*;

/// How long the exit waits for threads that are attaching. Each has the interpreter to
/// itself in a moment; only a `done` function that never returns takes longer.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

#[derive(Default)]
struct Gate {
    closed: AtomicBool,
    closed_by: OnceLock<ThreadId>,
    passing: AtomicUsize,
}

/// A child of `fork` has a gate of its own: the parent's threads never pass in it.
static GATE: PerProcess<Gate> = PerProcess::new();

fn with_gate<R>(action: impl FnOnce(&Gate) -> R) -> R {
    match GATE.get_or_try_make(|| Ok::<_, Infallible>(Gate::default())) {
        Ok(gate) => action(&gate),
    }
}

/// Counts as passing until dropped.
struct Passing<'a>(&'a Gate);

impl Gate {
    fn enter(&self) -> Option<Passing<'_>> {
        self.passing.fetch_add(1, Ordering::SeqCst);
        let passing = Passing(self);
        let allowed = !self.closed.load(Ordering::SeqCst)
            || self.closed_by.get() == Some(&thread::current().id());
        allowed.then_some(passing)
    }
}

impl Drop for Passing<'_> {
    fn drop(&mut self) {
        self.0.passing.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Closes the gate; Python runs it at exit.
#[pyfunction]
fn close_exit_gate(py: Python<'_>) {
    py.detach(|| {
        with_gate(|gate| {
            let _ = gate.closed_by.set(thread::current().id());
            gate.closed.store(true, Ordering::SeqCst);
            let started = Instant::now();
            while gate.passing.load(Ordering::SeqCst) > 0 && started.elapsed() < LONGEST_WAIT {
                thread::sleep(Duration::from_millis(1));
            }
        });
    });
}

/// Has Python close the gate at exit.
pub(crate) fn install(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let close = wrap_pyfunction!(close_exit_gate, module)?;
    let atexit = module.py().import("atexit")?;
    atexit.call_method1("register", (close,))?;
    Ok(())
}

/// Stops the calling thread for good once the gate is closed: a thread of Python's that
/// would begin something new while the interpreter ends. The thread that ends it passes,
/// since its own exit functions may still want something.
pub(crate) fn stop_if_closed(py: Python<'_>) {
    if with_gate(|gate| gate.enter().is_none()) {
        detach(py, || ());
    }
}

/// Runs `work` of ours, which the exit waits for and which is to look at
/// [`is_closed`] often; `None`: the interpreter is ending.
pub(crate) fn before_the_end<R>(work: impl FnOnce() -> R) -> Option<R> {
    with_gate(|gate| {
        let _passing = gate.enter()?;
        Some(work())
    })
}

/// Whether the interpreter is ending.
pub(crate) fn is_closed() -> bool {
    with_gate(|gate| gate.closed.load(Ordering::SeqCst))
}

/// Runs `action` with the interpreter, from a thread of ours; `None`: it is ending.
pub(crate) fn attach<R>(action: impl FnOnce(Python<'_>) -> R) -> Option<R> {
    with_gate(|gate| {
        let _passing = gate.enter()?;
        Python::try_attach(action)
    })
}

/// Runs `action` without the interpreter, in a thread of Python's. If the interpreter
/// ends meanwhile the thread never comes back, as Python itself does with its threads.
pub(crate) fn detach<R: Send>(py: Python<'_>, action: impl FnOnce() -> R + Send) -> R {
    with_gate(|gate| {
        let (result, _passing) = py.detach(|| {
            let result = action();
            loop {
                match gate.enter() {
                    Some(passing) => break (result, passing),
                    None => thread::park(),
                }
            }
        });
        result
    })
}
