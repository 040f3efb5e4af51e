//! A loaded model version: what a request needs once the registry has found it.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use bytes::Bytes;

use crate::cost::{Bounds, Cost};
use crate::metrics::ModelMetrics;
use crate::{
    Curve, Executor, Measured, ModelOptions, Recorder, ServeError, Signature, signature_name,
};

/// A loaded version of a model. Held by every request that runs on it, so that the
/// executor outlives the last of them.
pub struct ServedModel {
    /// The name it is served under.
    pub name: String,
    /// Its version number.
    pub version: i64,
    /// Encoded `tensorflow.serving.SignatureDefMap`: the model's signatures as its
    /// file has them, for clients that ask.
    pub signature_def_map: Bytes,
    /// What is counted of its requests and batches.
    pub metrics: ModelMetrics,
    signatures: Vec<Signature>,
    costs: Vec<Cost>,
    bounds: Vec<OnceLock<Bounds>>,
    unmeasured: Vec<OnceLock<String>>,
    /// Why signatures run alone that were found by their runs not to be for batches.
    alone: Vec<OnceLock<String>>,
    /// How far each signature's batches were seen to give what requests get alone.
    agreements: Vec<AtomicU8>,
    options: ModelOptions,
    recorder: Option<Box<dyn Recorder>>,
    executor: Box<dyn Executor>,
    is_retired: AtomicBool,
}

/// Agreement from which on a signature's batches are no longer compared. A batch of requests
/// that differ is proof; one of equal requests is a part of it.
const PROVEN: u8 = 16;

impl ServedModel {
    /// A model that runs `signatures` on `executor`, which knows them by their index.
    pub fn new(
        (name, version): (String, i64),
        signatures: Vec<Signature>,
        signature_def_map: Bytes,
        executor: Box<dyn Executor>,
    ) -> Self {
        let costs = signatures.iter().map(|_| Cost::new()).collect();
        let bounds = signatures.iter().map(|_| OnceLock::new()).collect();
        let unmeasured = signatures.iter().map(|_| OnceLock::new()).collect();
        let alone = signatures.iter().map(|_| OnceLock::new()).collect();
        let agreements = signatures.iter().map(|_| AtomicU8::new(0)).collect();
        Self {
            name,
            version,
            signature_def_map,
            metrics: ModelMetrics::new(signatures.len()),
            signatures,
            costs,
            bounds,
            unmeasured,
            alone,
            agreements,
            options: ModelOptions::default(),
            recorder: None,
            executor,
            is_retired: AtomicBool::new(false),
        }
    }

    /// The same model with these options.
    #[must_use]
    pub fn with_options(self, options: ModelOptions) -> Self {
        Self { options, ..self }
    }

    /// The same model, some of whose requests `recorder` keeps.
    #[must_use]
    pub fn with_recorder(self, recorder: Option<Box<dyn Recorder>>) -> Self {
        Self { recorder, ..self }
    }

    /// Who keeps requests of it, if anybody does.
    pub fn recorder(&self) -> Option<&dyn Recorder> {
        self.recorder.as_deref()
    }

    /// The same model as if it had never run: what was counted of its runs, and learnt from
    /// how long they took, is forgotten. For runs that were no requests.
    #[must_use]
    pub fn rested(self) -> Self {
        let signatures = self.signatures.len();
        Self {
            metrics: ModelMetrics::new(signatures),
            costs: (0..signatures).map(|_| Cost::new()).collect(),
            ..self
        }
    }

    /// What the engine was told of it.
    pub fn options(&self) -> &ModelOptions {
        &self.options
    }

    /// The signatures that can be called, and those that can't with their reason.
    pub fn signatures(&self) -> &[Signature] {
        &self.signatures
    }

    /// The signature of this name (empty: `serving_default`) and its index, or what
    /// TensorFlow Serving answers to Predict where there is none.
    pub fn signature(&self, name: &str) -> Result<(usize, &Signature), ServeError> {
        self.usable_signature(name)?.ok_or_else(|| {
            let name = signature_name(name);
            ServeError::failed_precondition(format!("Serving signature key \"{name}\" not found."))
        })
    }

    /// The same, for those who have words of their own for one that is not there.
    ///
    /// # Errors
    ///
    /// There is one, and it can't be run.
    pub fn usable_signature(&self, name: &str) -> Result<Option<(usize, &Signature)>, ServeError> {
        let name = signature_name(name);
        let mut signatures = self.signatures.iter().enumerate();
        let found = signatures.find(|(_, signature)| signature.name == name);
        match found.and_then(|(_, signature)| signature.unusable.as_deref()) {
            None => Ok(found),
            Some(reason) => Err(ServeError::failed_precondition(format!(
                "Serving signature key \"{name}\" cannot be run: {reason}"
            ))),
        }
    }

    /// Keeps what measuring said of each signature, by its index; before the model is served
    /// or while it is, as every request looks anew. What was known of why one runs alone
    /// stays.
    pub fn learn(&self, measured: Vec<Measured>) {
        for (index, each) in measured.into_iter().enumerate() {
            if index >= self.signatures.len() {
                break;
            }
            // First of all, so that the curve finds no batches where there must be none.
            if let Some(reason) = each.alone {
                let _ = self.alone[index].set(reason);
            }
            if let Some(reason) = each.unmeasured {
                let _ = self.unmeasured[index].set(reason);
            }
            if let Some(curve) = each.curve {
                // It was compared before it was measured.
                if !each.is_provisional {
                    self.note_agreement(index, true);
                }
                self.set_curve(index, curve);
            }
        }
    }

    /// Why a signature was not measured, if that was tried; a clause.
    pub fn unmeasured(&self, signature: usize) -> Option<&str> {
        self.unmeasured.get(signature)?.get().map(String::as_str)
    }

    /// Keeps what was measured of a signature; the first measure stays.
    pub fn set_curve(&self, signature: usize, curve: Curve) {
        if let Some(slot) = self.bounds.get(signature) {
            let _ = slot.set(Bounds::new(curve));
        }
    }

    /// For each signature, by its index, what was measured of one of the same name, inputs and
    /// outputs of an `earlier` version.
    pub fn curves_like(&self, earlier: &Self) -> Vec<Option<Curve>> {
        let is_like = |one: &Signature, other: &Signature| {
            (&one.name, &one.inputs, &one.outputs) == (&other.name, &other.inputs, &other.outputs)
        };
        let signatures = self.signatures.iter();
        signatures
            .map(|signature| {
                let mut others = earlier.signatures.iter();
                let index = others.position(|other| is_like(signature, other))?;
                earlier.curve(index).cloned()
            })
            .collect()
    }

    /// What was measured of a signature when the model was loaded, if it was.
    pub fn curve(&self, signature: usize) -> Option<&Curve> {
        self.bounds(signature).map(|bounds| &bounds.curve)
    }

    /// The same with the batch sizes that follow from it.
    pub(crate) fn bounds(&self, signature: usize) -> Option<&Bounds> {
        self.bounds.get(signature).and_then(OnceLock::get)
    }

    /// Why a signature's requests run alone, if they do: found at load, while measuring, or
    /// at a batch that gave not what its requests get alone.
    pub fn why_alone(&self, signature: usize) -> Option<&str> {
        let at_load = self.signatures.get(signature)?.alone.as_deref();
        at_load.or_else(|| self.alone[signature].get().map(String::as_str))
    }

    /// Whether a signature's batches are known to give what requests get alone.
    pub(crate) fn is_proven(&self, signature: usize) -> bool {
        self.agreements[signature].load(Ordering::Relaxed) >= PROVEN
    }

    /// Notes a batch that gave what its requests got alone; `differ`: they were not all equal.
    pub(crate) fn note_agreement(&self, signature: usize, differ: bool) {
        let more = if differ { PROVEN } else { 1 };
        // Two threads that note at once may count as one: another batch is compared then.
        let agreement = self.agreements[signature].load(Ordering::Relaxed);
        self.agreements[signature].store(agreement.saturating_add(more), Ordering::Relaxed);
    }

    /// Never again batches a signature's requests, for this reason.
    pub(crate) fn run_alone(&self, signature: usize, reason: &str) {
        if self.alone[signature].set(reason.to_owned()).is_ok() {
            log::info!(
                "{} version {}: requests of signature {} run alone from now on: {reason}",
                self.name,
                self.version,
                self.signatures[signature].name,
            );
        }
    }

    /// Notes that no further request will find it.
    pub(crate) fn retire(&self) {
        self.is_retired.store(true, Ordering::Relaxed);
    }

    /// Whether it is out of service: who holds it for anything but a request should let go.
    pub fn is_retired(&self) -> bool {
        self.is_retired.load(Ordering::Relaxed)
    }

    pub(crate) fn executor(&self) -> &dyn Executor {
        &*self.executor
    }

    pub(crate) fn cost(&self, signature: usize) -> &Cost {
        &self.costs[signature]
    }
}

impl std::fmt::Debug for ServedModel {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            formatter,
            "ServedModel({} version {})",
            self.name, self.version
        )
    }
}

#[cfg(test)]
#[path = "model_tests.rs"]
mod tests;
