//! A puppet executor whose runs cost simulated time: no sleep, no clock of the machine's.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tensor::{DType, Shape, Tensor};

use super::{Measured, Sample, calibrate_by};
use crate::{
    Executor, FeedData, Point, Run, RunMode, ServeError, ServedModel, Signature, TensorSpec,
};

/// The time that runs have taken so far.
#[derive(Clone)]
pub(super) struct Simulated(Arc<Mutex<Instant>>);

impl Simulated {
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(Instant::now())))
    }

    pub(super) fn now(&self) -> Instant {
        *self.0.lock().unwrap()
    }

    pub(super) fn pass(&self, time: Duration) {
        *self.0.lock().unwrap() += time;
    }
}

/// What a puppet does with a run of these rows of floats, one a row.
type Act = dyn Fn(&[f32], RunMode) -> Result<(Vec<f32>, Duration), ServeError> + Send + Sync;

pub(super) struct PuppetExecutor {
    pub(super) time: Simulated,
    pub(super) act: Box<Act>,
    pub(super) is_unpredictable: bool,
    pub(super) has_effects: bool,
    /// Rows and mode of each run.
    pub(super) runs: Arc<Mutex<Vec<(usize, RunMode)>>>,
}

impl Executor for PuppetExecutor {
    fn run(&self, run: Run<'_>) -> Result<Vec<Tensor>, ServeError> {
        let FeedData::Fixed(bytes) = &run.feeds[0].data else {
            panic!("floats")
        };
        let chunks = bytes.chunks_exact(4);
        let rows: Vec<f32> = chunks
            .map(|chunk| f32::from_le_bytes(chunk.try_into().unwrap()))
            .collect();
        self.runs.lock().unwrap().push((rows.len(), run.mode));
        let (outputs, cost) = (self.act)(&rows, run.mode)?;
        let left = run
            .deadline
            .map(|end| end.saturating_duration_since(self.time.now()));
        self.time.pass(cost.min(left.unwrap_or(cost)));
        if left.is_some_and(|left| cost > left) {
            return Err(ServeError::deadline_exceeded("too late"));
        }
        let bytes: Vec<u8> = outputs
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        let shape = Shape::new(&[outputs.len()]).unwrap();
        Ok(vec![
            Tensor::fixed(DType::Float, shape, bytes.into()).unwrap(),
        ])
    }

    fn is_unpredictable(&self) -> bool {
        self.is_unpredictable
    }

    fn has_effects(&self, _signature: usize) -> bool {
        self.has_effects
    }
}

/// A model in the making, of one signature of floats, or several of them.
pub(super) struct Puppet {
    pub(super) executor: PuppetExecutor,
    pub(super) signatures: Vec<Signature>,
    pub(super) others_answer: bool,
}

pub(super) const BUDGET: Duration = Duration::from_secs(2);

impl Puppet {
    pub(super) fn new<F>(act: F) -> Self
    where
        F: Fn(&[f32], RunMode) -> Result<(Vec<f32>, Duration), ServeError> + Send + Sync + 'static,
    {
        Self {
            executor: PuppetExecutor {
                time: Simulated::new(),
                act: Box::new(act),
                is_unpredictable: false,
                has_effects: false,
                runs: Arc::default(),
            },
            signatures: vec![signature("serving_default", DType::Float)],
            others_answer: false,
        }
    }

    /// Twice its input, at this cost.
    pub(super) fn costing(
        cost: impl Fn(usize, RunMode) -> Duration + Send + Sync + 'static,
    ) -> Self {
        Self::new(move |rows, mode| Ok((twice(rows), cost(rows.len(), mode))))
    }

    pub(super) fn edit(mut self, edit: impl FnOnce(&mut Self)) -> Self {
        edit(&mut self);
        self
    }

    /// What measuring says, the runs, and the time it took.
    pub(super) fn measure(self) -> (Vec<Measured>, Vec<(usize, RunMode)>, Duration) {
        self.measure_with(&|_| None)
    }

    pub(super) fn measure_with(
        self,
        recorded: &dyn Fn(usize) -> Option<Sample>,
    ) -> (Vec<Measured>, Vec<(usize, RunMode)>, Duration) {
        let (time, runs) = (self.executor.time.clone(), Arc::clone(&self.executor.runs));
        let model = ServedModel::new(
            ("m".into(), 1),
            self.signatures,
            Bytes::new(),
            Box::new(self.executor),
        );
        let started = time.now();
        let measured = calibrate_by(&|| time.now(), &model, BUDGET, recorded, &|| {
            self.others_answer
        });
        let runs = runs.lock().unwrap().clone();
        (measured, runs, time.now() - started)
    }
}

pub(super) fn signature(name: &str, dtype: DType) -> Signature {
    let spec = |alias: &str| TensorSpec {
        alias: alias.into(),
        tensor_name: format!("{alias}:0"),
        dtype,
        shape: Some(vec![-1]),
    };
    Signature {
        name: name.into(),
        method_name: String::new(),
        inputs: vec![spec("x")],
        outputs: vec![spec("y")],
        defaults: BTreeMap::new(),
        unusable: None,
        alone: None,
    }
}

pub(super) fn twice(rows: &[f32]) -> Vec<f32> {
    rows.iter().map(|value| value * 2.0).collect()
}

pub(super) fn micros(micros: usize) -> Duration {
    Duration::from_micros(micros as u64)
}

pub(super) fn points(measured: &Measured) -> &[Point] {
    &measured.curve.as_ref().unwrap().points
}
