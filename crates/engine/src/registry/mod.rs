//! Which versions of which models there are, and in what state. The control plane
//! writes; I/O threads read one immutable snapshot without a lock.

mod entry;

mod retired;
pub use retired::Retired;

mod selector;
pub use selector::{ModelSelector, State, Version, VersionStatus};

mod writing;
pub use writing::Loaded;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;
use tokio::sync::watch;

use crate::{ServeError, ServedModel};
use entry::Entry;

/// Names and entries are shared by the snapshots: a change copies the one entry that it
/// changes.
type Models = HashMap<Arc<str>, Arc<Entry>>;

/// The models of one server.
#[derive(Debug)]
pub struct Registry {
    models: ArcSwap<Models>,
    /// Serialises writers; readers never take it.
    writer: Mutex<()>,
    /// There was a model once. Until then no label is unknown, but all are.
    has_begun: AtomicBool,
    changes: watch::Sender<()>,
}

impl Default for Registry {
    fn default() -> Self {
        Self {
            models: ArcSwap::default(),
            writer: Mutex::new(()),
            has_begun: AtomicBool::new(false),
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
        let slot = match (models.get(name), version) {
            (Some(entry), version) => entry.slot(version)?,
            (None, Version::Label(label)) => return Err(self.unknown_label(label)),
            (None, _) => None,
        };
        if let Some(model) = slot.and_then(|slot| slot.model.clone()) {
            return Ok(model);
        }
        Err(ServeError::not_found(match version {
            Version::Latest => format!("Servable not found for request: Latest({name})"),
            Version::Number(number) => specific_not_found(name, number),
            // A label is exchanged for its version before that is looked for.
            Version::Label(label) => {
                let entry = models.get(name).ok_or_else(|| self.unknown_label(label))?;
                specific_not_found(name, entry.number_of(label)?)
            }
        }))
    }

    /// TensorFlow Serving's answer to a label that a model does not have, or to any label where
    /// there is no such model.
    fn unknown_label(&self, label: &str) -> ServeError {
        if self.has_begun.load(Ordering::Relaxed) {
            return entry::unknown_label(label);
        }
        ServeError::unavailable(format!("Model labels does not init yet.{label}"))
    }

    /// The name of the only model there is, if there is only one.
    pub fn only_name(&self) -> Option<String> {
        let models = self.models.load();
        let mut names = models.keys();
        let first = names.next().filter(|_| names.next().is_none());
        first.map(|name| (**name).to_owned())
    }

    /// The names of all models, sorted.
    pub fn names(&self) -> Vec<String> {
        let models = self.models.load();
        let mut names: Vec<String> = models.keys().map(|name| (**name).to_owned()).collect();
        names.sort();
        names
    }

    /// The states of a model's versions, newest first: all, or the one asked for.
    pub fn status(&self, selector: ModelSelector<'_>) -> Result<Vec<VersionStatus>, ServeError> {
        let ModelSelector { name, version } = selector;
        let models = self.models.load();
        let entry = models.get(name);
        let number = match (version, entry) {
            (Version::Latest, _) => {
                let statuses = entry.map(|entry| entry.statuses()).unwrap_or_default();
                if statuses.is_empty() {
                    return Err(ServeError::not_found(format!(
                        "Could not find any versions of model {name}"
                    )));
                }
                return Ok(statuses);
            }
            (Version::Number(number), _) => number,
            (Version::Label(label), Some(entry)) => entry.number_of(label)?,
            (Version::Label(label), None) => return Err(self.unknown_label(label)),
        };
        let found = entry.map(|entry| entry.slot(Version::Number(number)));
        match found.transpose()?.flatten() {
            Some(slot) => Ok(vec![slot.status.clone()]),
            None => Err(ServeError::not_found(format!(
                "Could not find version {number} of model {name}"
            ))),
        }
    }

    /// Whether this model has a version that answers; `None`: no such model is wanted.
    pub fn is_available(&self, name: &str) -> Option<bool> {
        let models = self.models.load();
        models.get(name).map(|entry| entry.answers())
    }

    /// Whether any version of any model answers.
    pub fn any_available(&self) -> bool {
        let models = self.models.load();
        models.values().any(|entry| entry.answers())
    }

    /// How many versions are on their way: wanted, and neither available nor given up.
    pub fn coming(&self) -> usize {
        let models = self.models.load();
        models.values().map(|entry| entry.coming()).sum()
    }

    /// A number that changes whenever requests are answered.
    pub fn activity(&self) -> u64 {
        let models = self.models.load();
        let served = models.values().flat_map(|entry| entry.served());
        served
            .map(|model| model.metrics.activity())
            .fold(0, u64::wrapping_add)
    }

    /// Whether there are models, and each has a version that answers.
    pub fn all_available(&self) -> bool {
        let models = self.models.load();
        !models.is_empty() && models.values().all(|entry| entry.answers())
    }

    /// A receiver that wakes at each change.
    pub fn subscribe(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }
}

fn specific_not_found(name: &str, number: i64) -> String {
    format!("Servable not found for request: Specific({name}, {number})")
}

#[cfg(test)]
mod tests;
