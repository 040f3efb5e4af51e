//! The control plane's side of the registry: every change makes a new snapshot.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use super::entry::{Entry, Turn};
use super::{Models, Registry, Retired};
use crate::{Kind, ServeError, ServedModel};

/// What a load has made available.
#[derive(Debug)]
pub struct Loaded {
    /// The version.
    pub model: Arc<ServedModel>,
    /// What it has taken the place of, which requests may use still.
    pub replaced: Option<Retired>,
}

impl Registry {
    /// Says that a model of this name is wanted, before any version of it is known.
    pub fn declare(&self, name: &str) {
        self.change(|models| {
            models.entry(name.into()).or_default();
        });
    }

    /// Says that a version is wanted and will be loaded. Nothing if it is there already.
    pub fn start(&self, name: &str, version: i64) {
        self.change_entry(name, |entry| entry.start(version));
    }

    /// Loads a version with `loader`, in the calling thread, and makes it available; if
    /// `loader` fails, the version ends with its error.
    ///
    /// A version that is available answers until the new one takes its place, all at once.
    /// The caller frees it, in a thread that has time for its last request. If `loader`
    /// fails, the old one stays.
    ///
    /// # Errors
    /// What `loader` says; CANCELLED if the version was unloaded, removed or loaded once
    /// more meanwhile: what was loaded is freed again.
    pub fn load(
        &self,
        name: &str,
        version: i64,
        loader: impl FnOnce() -> Result<ServedModel, ServeError>,
    ) -> Result<Loaded, ServeError> {
        let turn = Turn::default();
        self.change_entry(name, |entry| entry.begin_load(version, Arc::clone(&turn)));
        let outcome = catch_unwind(AssertUnwindSafe(loader)).unwrap_or_else(|_panic| {
            Err(ServeError::internal(
                "loading broke off; this is a bug in TensorWire",
            ))
        });
        let ours = (version, &turn);
        let model = match outcome {
            Ok(model) => Arc::new(model),
            Err(error) => {
                self.change_known(name, |entry| entry.fail_load(ours, error.clone()));
                return Err(error);
            }
        };
        let (is_taken, replaced) = self
            .change_known(name, |entry| entry.finish_load(ours, &model))
            .unwrap_or_default();
        if is_taken {
            let replaced = replaced.map(Retired::told);
            return Ok(Loaded { model, replaced });
        }
        Err(ServeError::new(
            Kind::Cancelled,
            format!("model {name} version {version} was no longer wanted when it was loaded"),
        ))
    }

    /// Notes that a version can't be had. One that is available stays so.
    pub fn fail(&self, name: &str, version: i64, error: ServeError) {
        self.change_entry(name, |entry| entry.fail(version, error));
    }

    /// Takes a version out of service, whatever its state, waits for its last request or
    /// for a load of it that is under way, and frees it, all in the calling thread.
    /// `false`: there was none, it had ended, or another thread is unloading it.
    pub fn unload(&self, name: &str, version: i64) -> bool {
        let turn = Turn::default();
        let begin = |entry: &mut Entry| entry.begin_unload(version, Arc::clone(&turn));
        let Some(retired) = self.change_known(name, begin).flatten() else {
            return false;
        };
        retired.told().free();
        self.change_known(name, |entry| entry.finish_unload((version, &turn)));
        true
    }

    /// Gives a model these labels and no others, all at once. A label may name a version
    /// that is not available: requests are then told that there is none.
    ///
    /// # Errors
    /// `NOT_FOUND`: nobody wants a model of this name.
    pub fn set_labels(&self, name: &str, labels: BTreeMap<String, i64>) -> Result<(), ServeError> {
        self.change_known(name, |entry| entry.set_labels(labels))
            .ok_or_else(|| {
                ServeError::not_found(format!("there is no model {name} to give labels to"))
            })
    }

    /// Forgets a version that has ended. `false`: there was none, or it has not ended.
    pub fn forget(&self, name: &str, version: i64) -> bool {
        self.change_known(name, |entry| entry.forget(version))
            .unwrap_or_default()
    }

    /// Forgets all that is known of a model; what there was of it, for the caller to free:
    /// that waits for its last requests, and for loads under way. `None`: there was none.
    ///
    /// `still_wanted`: another of this name is to come, as [`Self::declare`] says, and health
    /// goes on waiting for it. Else there is none of this name from now on.
    pub fn remove(&self, name: &str, still_wanted: bool) -> Option<Retired> {
        let removed = self.change(|models| {
            let entry = models.remove(name)?;
            if still_wanted {
                models.insert(name.into(), Arc::default());
            }
            Some(entry.retire())
        });
        removed.map(Retired::told)
    }

    /// Changes a model, which is made if there is none.
    fn change_entry<R>(&self, name: &str, edit: impl FnOnce(&mut Entry) -> R) -> R {
        self.change(|models| edit(Arc::make_mut(models.entry(name.into()).or_default())))
    }

    /// Changes a model if there is one.
    fn change_known<R>(&self, name: &str, edit: impl FnOnce(&mut Entry) -> R) -> Option<R> {
        self.change(|models| Some(edit(Arc::make_mut(models.get_mut(name)?))))
    }

    fn change<R>(&self, edit: impl FnOnce(&mut Models) -> R) -> R {
        let (result, old) = {
            let _one_writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
            let mut models = Models::clone(&self.models.load());
            let result = edit(&mut models);
            if !models.is_empty() {
                self.has_begun.store(true, Ordering::Relaxed);
            }
            (result, self.models.swap(Arc::new(models)))
        };
        drop(old);
        self.changes.send_replace(());
        result
    }
}
