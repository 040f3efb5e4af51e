//! `Engine`: the models of this process, seen from Python.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use engine::{
    Beside, Call, Clock, ModelSelector, Registry, ServeError, ServedModel, Signature, Version,
    VersionStatus,
};
use frontend::TextCall;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyTuple};
use request_log::RequestLogs;
use tensor::Tensor;
use tensorflow::{Library, SessionConfig, Tags, give_memory_back, load_saved_model};
use wire::signatures::describe;

use crate::engine_options::{EngineOptions, LoadOptions};
use crate::error::{kind_named, serve_error};
use crate::exit_gate;
use crate::later::LaterMeter;
use crate::loading::{Loads, run_aside};
use crate::measure::{Meter, Subject, cost_tuples};
use crate::model_files::file_bytes;
use crate::of_this_process::OfThisProcess;
use crate::retired::{Retired, free};
use crate::signatures::signature_tuples;
use crate::tensors::{NamedTensors, OwnedTensor, tensors_from_python, tensors_into_python};
use crate::warm_up::warmed_up;

/// (version, state, error code, message).
type StatusTuple = (i64, &'static str, &'static str, String);

/// The models of this process, loaded and run by TensorFlow's C library.
#[pyclass(frozen, module = "tensorwire._core")]
pub(crate) struct Engine {
    models: OfThisProcess<Arc<engine::Engine>>,
    library: &'static Library,
    session: SessionConfig,
    meter: Arc<Meter>,
    later: OfThisProcess<LaterMeter>,
    loads: Arc<Loads>,
    logs: RequestLogs,
    /// Ends warm-ups.
    is_stopping: AtomicBool,
}

#[pymethods]
impl Engine {
    #[new]
    fn new(py: Python<'_>, options: &str) -> PyResult<Self> {
        let options = EngineOptions::from_json(options)?;
        exit_gate::detach(py, || Self::open(&options)).map_err(serve_error)
    }

    #[staticmethod]
    fn default_session_config(py: Python<'_>) -> Bound<'_, PyBytes> {
        PyBytes::new(py, SessionConfig::default().as_bytes())
    }

    #[getter]
    fn session_config<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.session.as_bytes())
    }

    #[getter]
    fn tensorflow_version(&self) -> &str {
        self.library.version()
    }

    fn declare(&self, name: &str) -> PyResult<()> {
        self.registry()?.declare(name);
        Ok(())
    }

    fn start(&self, name: &str, version: i64) -> PyResult<()> {
        self.registry()?.start(name, version);
        Ok(())
    }

    #[expect(
        clippy::needless_pass_by_value,
        reason = "PyO3 hands over what it has made"
    )]
    fn load(
        &self,
        py: Python<'_>,
        name: &str,
        version: i64,
        path: PathBuf,
        options: &str,
    ) -> PyResult<Option<Retired>> {
        let LoadOptions {
            model,
            tags,
            warmup,
            logging,
        } = LoadOptions::from_json(options)?;
        let engine = self.models().map_err(serve_error)?;
        let registry = &engine.registry;
        let unmeasured = OnceLock::new();
        let activity = registry.activity();
        let load = || {
            let begun = Instant::now();
            let loaded =
                load_saved_model(self.library, &self.session, (name, version), &path, &tags);
            let shown = path.display().to_string();
            engine.loads.record(&shown, loaded.is_ok(), begun.elapsed());
            let loaded = loaded?.with_options(model);
            let recorder = logging.map(|log| self.logs.recorder(name, version, log));
            let recorder = recorder.transpose().map_err(|error| {
                ServeError::resource_exhausted(format!("cannot start a thread: {error}"))
            })?;
            let loaded = loaded.with_recorder(recorder);
            let subject = self.subject(&loaded, (&path, &tags), activity);
            if let Some(subject) = subject.and_then(|it| self.measure(&loaded, it)) {
                let _ = unmeasured.set(subject);
            }
            let beside = (&self.is_stopping, &engine.warmups);
            let loaded = warmed_up(loaded, &path, &warmup, beside)?;
            // Only now: what a warm-up runs is counted nowhere.
            loaded.metrics.join(engine.names.of(name));
            loaded.metrics.set_file_bytes(file_bytes(&path));
            Ok(loaded)
        };
        let load_and_measure = || {
            let _under_way = self.loads.begin();
            registry.load(name, version, load)
        };
        // The threads of a session must not inherit that their maker stands back.
        let others_serve = registry.any_available() && !self.session.has_own_threads();
        let loaded = exit_gate::detach(py, || {
            let loaded = run_aside(others_serve, load_and_measure).flatten();
            if loaded.is_err() {
                give_memory_back();
            }
            loaded
        })
        .map_err(serve_error)?;
        if let Some(subject) = unmeasured.into_inner() {
            let later = self.later().map_err(serve_error)?;
            later.push(&loaded.model, subject);
        }
        Ok(loaded.replaced.map(Retired::new))
    }

    fn fail(&self, name: &str, version: i64, code: &str, message: String) -> PyResult<()> {
        let error = ServeError::new(kind_named(code), message);
        self.registry()?.fail(name, version, error);
        Ok(())
    }

    fn unload(&self, py: Python<'_>, name: &str, version: i64) -> PyResult<bool> {
        let registry = self.registry()?;
        free(py, || registry.unload(name, version)).map_err(serve_error)
    }

    fn forget(&self, name: &str, version: i64) -> PyResult<bool> {
        Ok(self.registry()?.forget(name, version))
    }

    fn remove(&self, name: &str, still_wanted: bool) -> PyResult<Option<Retired>> {
        let removed = self.registry()?.remove(name, still_wanted);
        Ok(removed.map(Retired::new))
    }

    fn set_labels(&self, name: &str, labels: BTreeMap<String, i64>) -> PyResult<()> {
        let registry = self.registry()?;
        registry.set_labels(name, labels).map_err(serve_error)
    }

    fn stop_warmups(&self) {
        self.is_stopping.store(true, Ordering::Relaxed);
    }

    fn finish_logs(&self, py: Python<'_>, timeout: f64) -> bool {
        let limit = Duration::try_from_secs_f64(timeout.max(0.0)).unwrap_or(Duration::MAX);
        // The thread that writes is not there in a fork.
        if self.models().is_err() {
            return true;
        }
        exit_gate::detach(py, || self.logs.finish(limit))
    }

    #[pyo3(name = "models")]
    fn names(&self) -> PyResult<Vec<String>> {
        Ok(self.registry()?.names())
    }

    fn status(&self, name: &str) -> PyResult<Vec<StatusTuple>> {
        let version = Version::Latest;
        let statuses = self
            .registry()?
            .status(ModelSelector { name, version })
            .map_err(serve_error)?;
        Ok(statuses.iter().map(status_tuple).collect())
    }

    fn signatures<'py>(
        &self,
        py: Python<'py>,
        name: &str,
        version: Option<i64>,
    ) -> PyResult<(i64, Vec<Bound<'py, PyTuple>>)> {
        let model = self.find(name, version).map_err(serve_error)?;
        let signatures = describe(&model.signature_def_map)
            .map_err(|error| serve_error(ServeError::internal(error.to_string())))?;
        Ok((model.version, signature_tuples(py, signatures)?))
    }

    fn costs<'py>(
        &self,
        py: Python<'py>,
        name: &str,
        version: Option<i64>,
    ) -> PyResult<(i64, Vec<Bound<'py, PyTuple>>)> {
        let model = self.find(name, version).map_err(serve_error)?;
        Ok((model.version, cost_tuples(py, &model)?))
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "Python's side names each of them"
    )]
    fn predict<'py>(
        &self,
        py: Python<'py>,
        name: &str,
        version: Option<i64>,
        signature: &str,
        inputs: &Bound<'_, PyAny>,
        outputs: Vec<String>,
        timeout: Option<f64>,
    ) -> PyResult<(i64, Bound<'py, PyList>)> {
        let inputs = tensors_from_python(inputs)?;
        let deadline = deadline(timeout);
        let (version, tensors) = exit_gate::detach(py, move || {
            let model = self.find(name, version)?;
            let tensors = run(&model, signature, &inputs, &outputs, deadline)?;
            Ok((model.version, tensors))
        })
        .map_err(serve_error)?;
        Ok((version, tensors_into_python(py, tensors)?))
    }

    fn predict_text(&self, py: Python<'_>, name: Option<&str>, text: &str) -> PyResult<String> {
        exit_gate::detach(py, || {
            let TextCall { call, reply } =
                TextCall::new(self.models()?, name, text, Clock::until(None))?;
            reply.write(&call.run()?.outputs)
        })
        .map_err(serve_error)
    }
}

impl Engine {
    fn open(options: &EngineOptions) -> Result<Self, ServeError> {
        let library = Library::open(&options.tensorflow_dir)?;
        for path in &options.op_libraries {
            library.load_op_library(path)?;
        }
        let core = options.core();
        let runners = core.runner_threads;
        let engine = engine::Engine::new(core).map_err(|error| {
            ServeError::resource_exhausted(format!("cannot start {runners} threads: {error}"))
        })?;
        let engine = Arc::new(engine);
        let session = SessionConfig::from(&options.session);
        let meter = Arc::new(Meter::new(options, library, &session));
        let loads = Arc::default();
        let later = LaterMeter::new(Arc::clone(&meter), Arc::clone(&engine), Arc::clone(&loads));
        Ok(Self {
            models: OfThisProcess::new(engine),
            library,
            later: OfThisProcess::new(later),
            meter,
            loads,
            logs: RequestLogs::default(),
            is_stopping: AtomicBool::new(false),
            session,
        })
    }

    /// The models; an error in a fork of the process that opened them.
    pub(crate) fn models(&self) -> Result<&Arc<engine::Engine>, ServeError> {
        self.models.get()
    }

    /// What is to be measured of a version that is not served yet, if anything is;
    /// `activity`: the registry's when its load began.
    fn subject(
        &self,
        model: &ServedModel,
        (path, tags): (&Path, &Tags),
        activity: u64,
    ) -> Option<Subject> {
        if !self.meter.is_on() {
            return None;
        }
        let earlier = self.find(&model.name, None);
        let earlier = earlier.map_or_else(|_| Vec::new(), |earlier| model.curves_like(&earlier));
        Some(Subject {
            path: path.to_owned(),
            key: self.meter.key(path, tags),
            earlier,
            activity,
        })
    }

    /// Measures a version that is not served yet, or answers what is to be measured when it
    /// is: one that is loaded beside others must not wait until all of them are measured.
    fn measure(&self, model: &ServedModel, subject: Subject) -> Option<Subject> {
        if self.meter.recall(model, &subject) {
            return None;
        }
        let registry = &self.models().ok()?.registry;
        if registry.coming() > 1 || self.later().is_ok_and(LaterMeter::is_busy) {
            return Some(subject);
        }
        let beside = Beside {
            is_wanted: &|| !exit_gate::is_closed(),
            others_answer: &|| registry.activity() != subject.activity,
        };
        self.meter.measure(model, &subject, &beside);
        None
    }

    fn later(&self) -> Result<&LaterMeter, ServeError> {
        self.later.get()
    }

    fn registry(&self) -> PyResult<&Registry> {
        let models = self.models().map_err(serve_error)?;
        Ok(&models.registry)
    }

    fn find(&self, name: &str, version: Option<i64>) -> Result<Arc<ServedModel>, ServeError> {
        let version = version.map_or(Version::Latest, Version::Number);
        self.models()?
            .registry
            .find(ModelSelector { name, version })
    }
}

/// Runs in the calling thread; the outputs with their names.
fn run(
    model: &Arc<ServedModel>,
    signature: &str,
    inputs: &NamedTensors,
    wanted: &[String],
    deadline: Option<Instant>,
) -> Result<Vec<OwnedTensor>, ServeError> {
    let (index, signature) = model.signature(signature)?;
    let tensors = bind(signature, inputs)?;
    let wanted: Vec<&str> = wanted.iter().map(String::as_str).collect();
    let positions = signature.bind_outputs(&wanted)?;
    let call = Call::new(
        Arc::clone(model),
        index,
        tensors,
        positions.clone(),
        Clock::until(deadline),
    )?;
    let aliases = positions
        .iter()
        .map(|position| signature.outputs[*position].alias.clone());
    Ok(aliases
        .zip(call.run()?.outputs)
        .map(OwnedTensor::new)
        .collect())
}

/// One tensor for each of the signature's inputs.
fn bind(signature: &Signature, inputs: &[(String, Tensor)]) -> Result<Vec<Tensor>, ServeError> {
    let names: Vec<&str> = inputs.iter().map(|(name, _)| name.as_str()).collect();
    let sources = signature.bind_inputs(&names)?;
    signature.gather(sources, |_input, position| Ok(inputs[position].1.clone()))
}

fn status_tuple(status: &VersionStatus) -> StatusTuple {
    let state = match status.state {
        engine::State::Start => "START",
        engine::State::Loading => "LOADING",
        engine::State::Available => "AVAILABLE",
        engine::State::Unloading => "UNLOADING",
        engine::State::End => "END",
    };
    let (code, message) = match &status.error {
        None => ("OK", String::new()),
        Some(error) => (error.kind().name(), error.message().to_owned()),
    };
    (status.version, state, code, message)
}

/// `None` where there is no timeout, or one that the clock can't reach.
fn deadline(timeout: Option<f64>) -> Option<Instant> {
    let timeout = Duration::try_from_secs_f64(timeout?.max(0.0)).ok()?;
    Instant::now().checked_add(timeout)
}
