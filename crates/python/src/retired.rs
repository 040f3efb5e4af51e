//! `Retired`: what is out of service and waits to be freed, in the hands of Python, which
//! has the threads for that.

use std::sync::{Mutex, PoisonError};

use engine::ServeError;
use pyo3::prelude::*;
use tensorflow::give_memory_back;

use crate::error::serve_error;
use crate::exit_gate;
use crate::loading::run_aside;
use crate::of_this_process::OfThisProcess;

/// What no further request finds.
#[pyclass(frozen, module = "tensorwire._core")]
pub(crate) struct Retired {
    /// None: somebody has begun to free it.
    models: OfThisProcess<Mutex<Option<engine::Retired>>>,
}

impl Retired {
    pub(crate) fn new(models: engine::Retired) -> Self {
        Self {
            models: OfThisProcess::new(Mutex::new(Some(models))),
        }
    }
}

#[pymethods]
impl Retired {
    fn free(&self, py: Python<'_>) -> PyResult<()> {
        let models = self.models.get().map_err(serve_error)?;
        let free_models = || {
            // Only in that thread: where there is none, it can be tried again.
            let models = models.lock().unwrap_or_else(PoisonError::into_inner).take();
            models.map(engine::Retired::free).is_some()
        };
        free(py, free_models).map_err(serve_error)?;
        Ok(())
    }
}

/// Frees in a thread of its own that stands back, and has the memory given back; what
/// `unload` says: there was something.
pub(crate) fn free(
    py: Python<'_>,
    unload: impl FnOnce() -> bool + Send,
) -> Result<bool, ServeError> {
    exit_gate::detach(py, || {
        let freed = run_aside(true, unload)?;
        if freed {
            give_memory_back();
        }
        Ok(freed)
    })
}
