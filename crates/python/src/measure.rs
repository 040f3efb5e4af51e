//! Measures each version when it is loaded, or takes what was measured before.

use std::env::consts::{ARCH, OS};
use std::env::var_os;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread::available_parallelism;
use std::time::{Duration, Instant, UNIX_EPOCH};

use engine::{Beside, Curve, Point, RunMode, ServedModel, Store, calibrate};
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use tensorflow::{Library, SessionConfig, Tags, fingerprint, recorded_samples};

use crate::engine_options::{EngineOptions, Measuring};

/// How versions are measured in this process.
pub(crate) struct Meter {
    budget: Duration,
    store: Option<Store>,
    /// All that a measure depends on but the model.
    machine: String,
}

impl Meter {
    pub(crate) fn new(options: &EngineOptions, library: &Library, session: &SessionConfig) -> Self {
        let Measuring { budget, cache } = &options.measuring;
        Self {
            budget: *budget,
            store: cache.clone().map(Store::new),
            machine: format!(
                "{} operations {} session {} budget {budget:?}",
                machine(library),
                op_libraries(&options.op_libraries),
                hexadecimal(session.as_bytes()),
            ),
        }
    }

    /// Whether anything is measured here at all.
    pub(crate) fn is_on(&self) -> bool {
        !self.budget.is_zero()
    }

    /// Whether what an earlier start measured of this model is kept; the model knows it then.
    pub(crate) fn recall(&self, model: &ServedModel, subject: &Subject) -> bool {
        let kept = self
            .store
            .as_ref()
            .zip(subject.key.as_ref())
            .and_then(|(store, key)| store.read(key, model));
        let Some(measured) = kept else {
            return false;
        };
        model.learn(measured);
        tell(model, "measured at an earlier start");
        true
    }

    /// Measures a model for as long as that is wanted. Nothing here is an error: what is not
    /// known is learnt from live traffic.
    pub(crate) fn measure(&self, model: &ServedModel, subject: &Subject, beside: &Beside<'_>) {
        let started = Instant::now();
        let samples = recorded_samples(&subject.path, model).unwrap_or_else(|reason| {
            log::warn!("{reason}");
            Vec::new()
        });
        let recorded = |index: usize| samples.get(index)?.clone();
        let Some(mut measured) = calibrate(model, self.budget, &recorded, beside) else {
            return;
        };
        // What the version before it costs is a better guess than none.
        for (each, earlier) in measured.iter_mut().zip(&subject.earlier) {
            if each.is_provisional && each.curve.is_none() {
                each.curve.clone_from(earlier);
            }
        }
        let is_final = !measured.iter().any(|each| each.is_provisional);
        let store = self.store.as_ref().zip(subject.key.as_ref());
        if let Some((store, key)) = store.filter(|_| is_final) {
            store.write(key, model, &measured);
        }
        model.learn(measured);
        let millis = started.elapsed().as_millis();
        tell(model, &format!("measured in {millis} ms"));
    }

    /// Under which the measure of the graph with these tags of the directory at `path` is
    /// kept, if it is.
    pub(crate) fn key(&self, path: &Path, tags: &Tags) -> Option<String> {
        self.store.as_ref()?;
        let of_model = fingerprint(path).inspect_err(|error| {
            log::warn!(
                "what is measured of {} is not kept: {error}",
                path.display()
            );
        });
        let model = of_model.ok()?;
        Some(format!("{} model {model} tags {tags}", self.machine))
    }
}

/// What a measure is of.
pub(crate) struct Subject {
    /// The version's directory.
    pub(crate) path: PathBuf,
    /// Under which it is kept; none: it is not.
    pub(crate) key: Option<String>,
    /// By signature, what was measured of the version that is served already.
    pub(crate) earlier: Vec<Option<Curve>>,
    /// The registry's when the version's load began.
    pub(crate) activity: u64,
}

fn tell(model: &ServedModel, whence: &str) {
    log::info!(
        "model {} version {} {whence}: {}",
        model.name,
        model.version,
        summary(model)
    );
}

/// What was found of each signature, in one line.
fn summary(model: &ServedModel) -> String {
    let mut line = String::new();
    for (index, signature) in model.signatures().iter().enumerate() {
        let separator = if index == 0 { "" } else { "; " };
        // Writing to a string does not fail.
        let _ = write!(line, "{separator}{}", signature.name);
        match (model.decision(index), model.unmeasured(index)) {
            (Some(decision), _) => {
                let _ = write!(line, " {decision}");
            }
            (None, Some(reason)) => {
                let _ = write!(line, " not measured ({reason})");
            }
            (None, None) => {}
        }
        if let Some(reason) = model.why_alone(index) {
            let _ = write!(line, ", alone because {reason}");
        }
    }
    line
}

/// What this machine and this build are.
fn machine(library: &Library) -> String {
    let cores = available_parallelism().map_or(0, usize::from);
    // TensorFlow's own choice of GPUs, which is none of our settings.
    let gpus = var_os("CUDA_VISIBLE_DEVICES").unwrap_or_else(|| gpus().into());
    format!(
        "tensorwire {} tensorflow {} {ARCH}-{OS} cpu {} cores {cores} gpus {}",
        env!("CARGO_PKG_VERSION"),
        library.version(),
        cpu().unwrap_or_default(),
        gpus.to_string_lossy(),
    )
}

/// As Linux names it; nothing elsewhere, where a machine keeps its processor.
fn cpu() -> Option<String> {
    let info = fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = info.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// The models of the GPUs that NVIDIA's driver knows.
fn gpus() -> String {
    let folders = fs::read_dir("/proc/driver/nvidia/gpus")
        .into_iter()
        .flatten();
    let model = |folder: fs::DirEntry| {
        let text = fs::read_to_string(folder.path().join("information")).ok()?;
        let line = text.lines().find(|line| line.starts_with("Model:"))?;
        Some(line.trim_start_matches("Model:").trim().to_owned())
    };
    let mut models: Vec<String> = folders.flatten().filter_map(model).collect();
    models.sort();
    models.join(",")
}

/// The libraries, each with what changes when it is built again.
fn op_libraries(paths: &[PathBuf]) -> String {
    let describe = |path: &PathBuf| {
        let metadata = fs::metadata(path).ok();
        let modified = metadata.as_ref().and_then(|file| file.modified().ok());
        let age = modified.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let size = metadata.map_or(0, |file| file.len());
        format!(
            "{}:{size}:{}",
            path.display(),
            age.unwrap_or_default().as_nanos()
        )
    };
    paths.iter().map(describe).collect::<Vec<_>>().join(",")
}

fn hexadecimal(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// A list of `CostTuple`.
pub(crate) fn cost_tuples<'py>(
    py: Python<'py>,
    model: &ServedModel,
) -> PyResult<Vec<Bound<'py, PyTuple>>> {
    let signatures = model.signatures().iter().enumerate();
    signatures
        .map(|(index, signature)| {
            let curve = model.curve(index);
            let points = curve.map_or(&[][..], |curve| &curve.points);
            let point = |point: &Point| {
                let is_pooled = point.mode() == RunMode::Pool;
                (
                    point.rows,
                    seconds(point.caller),
                    seconds(point.pool),
                    is_pooled,
                )
            };
            let decision = model.decision(index);
            (
                &signature.name,
                model.why_alone(index),
                model.unmeasured(index),
                curve.map_or(0, |curve| curve.row_bytes),
                points.iter().map(point).collect::<Vec<_>>(),
                decision.map(|made| (made.inline_rows, made.batch_rows, made.pool_rows)),
            )
                .into_pyobject(py)
        })
        .collect()
}

fn seconds(cost: Duration) -> Option<f64> {
    (cost != Point::NEVER).then_some(cost.as_secs_f64())
}
