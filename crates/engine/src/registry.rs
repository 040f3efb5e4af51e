//! Which versions of which models there are, and in what state. The control plane
//! writes; I/O threads read one immutable snapshot without a lock.

use std::collections::{BTreeMap, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::watch;

use crate::{ServeError, ServedModel};

/// A version's state; numbers and names are TensorFlow Serving's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Known, not yet loading.
    Start = 10,
    /// Being loaded.
    Loading = 20,
    /// Answering requests.
    Available = 30,
    /// Finishing its requests.
    Unloading = 40,
    /// Gone, or never came to be.
    End = 50,
}

/// One version's state as a client sees it.
#[derive(Clone, Debug)]
pub struct VersionStatus {
    /// The version's number.
    pub version: i64,
    /// Where it stands.
    pub state: State,
    /// Why it ended, if an error ended it.
    pub error: Option<ServeError>,
}

/// Which version a request means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version<'a> {
    /// The highest that is available.
    Latest,
    /// This one.
    Number(i64),
    /// The one that carries this label.
    Label(&'a str),
}

/// Which model a request means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ModelSelector<'a> {
    /// The model's name.
    pub name: &'a str,
    /// The version.
    pub version: Version<'a>,
}

#[derive(Clone, Debug)]
struct Slot {
    status: VersionStatus,
    model: Option<Arc<ServedModel>>,
}

type Versions = BTreeMap<i64, Slot>;
type Models = HashMap<String, Versions>;

/// The models of one server.
#[derive(Debug)]
pub struct Registry {
    models: ArcSwap<Models>,
    /// Serialises writers; readers never take it.
    writer: Mutex<()>,
    changes: watch::Sender<()>,
}

impl Default for Registry {
    fn default() -> Self {
        Self {
            models: ArcSwap::default(),
            writer: Mutex::new(()),
            changes: watch::Sender::new(()),
        }
    }
}

impl Registry {
    /// The model that a request means, or what TensorFlow Serving answers where
    /// there is none.
    pub fn find(&self, selector: ModelSelector<'_>) -> Result<Arc<ServedModel>, ServeError> {
        let ModelSelector { name, version } = selector;
        if name.is_empty() {
            return Err(ServeError::invalid_argument(
                "ModelSpec has no name specified.",
            ));
        }
        let models = self.models.load();
        let versions = models.get(name);
        let slot = match version {
            Version::Latest => versions.and_then(|versions| {
                let available = |slot: &&Slot| slot.model.is_some();
                versions.values().rev().find(available)
            }),
            Version::Number(number) => versions.and_then(|versions| versions.get(&number)),
            Version::Label(label) => {
                return Err(ServeError::invalid_argument(format!(
                    "Unrecognized servable version label: {label}"
                )));
            }
        };
        slot.and_then(|slot| slot.model.clone()).ok_or_else(|| {
            ServeError::not_found(match version {
                Version::Number(number) => {
                    format!("Servable not found for request: Specific({name}, {number})")
                }
                _ => format!("Servable not found for request: Latest({name})"),
            })
        })
    }

    /// The name of the only model there is, if there is only one.
    pub fn only_name(&self) -> Option<String> {
        let models = self.models.load();
        let mut names = models.keys();
        names.next().filter(|_| names.next().is_none()).cloned()
    }

    /// The names of all models, sorted.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.models.load().keys().cloned().collect();
        names.sort();
        names
    }

    /// The states of a model's versions, newest first: all, or the one asked for.
    pub fn status(&self, selector: ModelSelector<'_>) -> Result<Vec<VersionStatus>, ServeError> {
        let ModelSelector { name, version } = selector;
        let models = self.models.load();
        let slots = models.get(name);
        let statuses: Vec<VersionStatus> = match version {
            Version::Latest => slots
                .into_iter()
                .flat_map(|versions| versions.values().rev())
                .map(|slot| slot.status.clone())
                .collect(),
            Version::Number(number) => slots
                .and_then(|versions| versions.get(&number))
                .map(|slot| slot.status.clone())
                .into_iter()
                .collect(),
            Version::Label(label) => {
                return Err(ServeError::invalid_argument(format!(
                    "Unrecognized servable version label: {label}"
                )));
            }
        };
        if statuses.is_empty() {
            return Err(ServeError::not_found(match version {
                Version::Number(number) => {
                    format!("Could not find version {number} of model {name}")
                }
                _ => format!("Could not find any versions of model {name}"),
            }));
        }
        Ok(statuses)
    }

    /// Whether this model has a version that answers; `None`: no such model is wanted.
    pub fn is_available(&self, name: &str) -> Option<bool> {
        let models = self.models.load();
        let versions = models.get(name)?;
        Some(versions.values().any(|slot| slot.model.is_some()))
    }

    /// Whether there are models, and each has a version that answers.
    pub fn all_available(&self) -> bool {
        let models = self.models.load();
        let answers = |versions: &Versions| versions.values().any(|slot| slot.model.is_some());
        !models.is_empty() && models.values().all(answers)
    }

    /// A receiver that wakes at each change.
    pub fn subscribe(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    /// Says that a model of this name is wanted, before any version of it is known.
    pub fn declare(&self, name: &str) {
        self.change(|models| {
            models.entry(name.to_owned()).or_default();
        });
    }

    /// Loads a version with `loader`, in the calling thread, and makes it available;
    /// if `loader` fails, the version ends with its error.
    pub fn load(
        &self,
        name: &str,
        version: i64,
        loader: impl FnOnce() -> Result<ServedModel, ServeError>,
    ) -> Result<Arc<ServedModel>, ServeError> {
        self.set(name, version, State::Loading, None, None);
        let outcome = catch_unwind(AssertUnwindSafe(loader)).unwrap_or_else(|_panic| {
            Err(ServeError::internal(
                "loading broke off; this is a bug in TensorWire",
            ))
        });
        match outcome {
            Ok(model) => {
                let model = Arc::new(model);
                let available = Some(Arc::clone(&model));
                self.set(name, version, State::Available, None, available);
                Ok(model)
            }
            Err(error) => {
                self.fail(name, version, error.clone());
                Err(error)
            }
        }
    }

    /// Notes that a version can't be had.
    pub fn fail(&self, name: &str, version: i64, error: ServeError) {
        self.set(name, version, State::End, Some(error), None);
    }

    /// Takes a version out of service, waits for its last request and frees it, all
    /// in the calling thread. `false`: it was not available.
    pub fn unload(&self, name: &str, version: i64) -> bool {
        let mut taken = None;
        self.change(|models| {
            let slot = models
                .get_mut(name)
                .and_then(|versions| versions.get_mut(&version));
            if let Some(slot) = slot {
                taken = slot.model.take();
                if taken.is_some() {
                    slot.status.state = State::Unloading;
                }
            }
        });
        let Some(model) = taken else {
            return false;
        };
        // Only requests hold it now. The last of them must not pay for freeing it,
        // so this thread stays until it is the only holder.
        while Arc::strong_count(&model) > 1 {
            std::thread::sleep(Duration::from_millis(1));
        }
        drop(model);
        self.set(name, version, State::End, None, None);
        true
    }

    fn set(
        &self,
        name: &str,
        version: i64,
        state: State,
        error: Option<ServeError>,
        model: Option<Arc<ServedModel>>,
    ) {
        let status = VersionStatus {
            version,
            state,
            error,
        };
        self.change(|models| {
            let versions = models.entry(name.to_owned()).or_default();
            versions.insert(version, Slot { status, model });
        });
    }

    fn change(&self, edit: impl FnOnce(&mut Models)) {
        {
            let _one_writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
            let mut models = Models::clone(&self.models.load());
            edit(&mut models);
            self.models.store(Arc::new(models));
        }
        self.changes.send_replace(());
    }
}

#[cfg(test)]
#[path = "registry_tests.rs"]
mod tests;
