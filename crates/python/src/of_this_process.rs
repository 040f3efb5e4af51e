//! What must not outlive a `fork`: the threads behind it are the parent's alone, and
//! joining or using them in the child crashes it.

use engine::ServeError;
use pyo3::prelude::*;

/// A value of the process that made it. In a child of that process it can't be
/// reached, and dropping it there leaks it.
pub(crate) struct OfThisProcess<T: Send> {
    value: Option<T>,
    process: u32,
}

impl<T: Send> OfThisProcess<T> {
    pub(crate) fn new(value: T) -> Self {
        Self {
            value: Some(value),
            process: std::process::id(),
        }
    }

    /// The value; an error in a child of the process that made it.
    pub(crate) fn get(&self) -> Result<&T, ServeError> {
        let ours = self.process == std::process::id();
        self.value.as_ref().filter(|_| ours).ok_or_else(|| {
            ServeError::failed_precondition(format!(
                "it belongs to process {}, of which this is a fork; make a new one here",
                self.process
            ))
        })
    }
}

impl<T: Send> Drop for OfThisProcess<T> {
    /// Without the interpreter lock: the threads that the value waits for may want it,
    /// to log.
    fn drop(&mut self) {
        let value = self.value.take();
        if self.process == std::process::id() {
            Python::try_attach(|py| py.detach(move || drop(value)));
        } else {
            std::mem::forget(value);
        }
    }
}
