//! Stand-ins for the engine's tests: an executor that does as it is told, callers whose
//! answers are kept, and runners that are held up.

mod callers;
pub(crate) use callers::{Caller, Callers};

mod dispatching;

mod held;
pub(crate) use held::{
    Gated, HOUR, acting, dispatcher, gated, limited, options, refused, submit, until,
};

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tensor::{DType, Shape, Tensor};

use crate::{
    Batching, Call, Clock, Curve, Executor, FeedData, ModelOptions, Outputs, Point, Run, RunMode,
    ServeError, ServedModel, Signature, TensorSpec,
};

/// A run as the executor saw it.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) signature: usize,
    pub(crate) feeds: Vec<Tensor>,
    pub(crate) outputs: Vec<usize>,
    pub(crate) deadline: Option<Instant>,
    pub(crate) mode: RunMode,
}

impl Seen {
    fn of(run: Run<'_>) -> Self {
        let tensor = |feed: crate::Feed| match feed.data {
            FeedData::Fixed(buffer) => {
                assert_eq!(buffer.as_ptr().addr() % tensor::ALIGNMENT, 0);
                Tensor::fixed(feed.dtype, feed.shape, Bytes::copy_from_slice(&buffer)).unwrap()
            }
            FeedData::Strings(strings) => Tensor::strings(feed.shape, strings).unwrap(),
        };
        Self {
            signature: run.signature,
            feeds: run.feeds.into_iter().map(tensor).collect(),
            outputs: run.outputs.to_vec(),
            deadline: run.deadline,
            mode: run.mode,
        }
    }

    /// What an executor whose outputs are its inputs answers.
    #[expect(clippy::unnecessary_wraps, reason = "it is what an executor answers")]
    pub(crate) fn echo(&self) -> Result<Vec<Tensor>, ServeError> {
        let outputs = self.outputs.iter();
        Ok(outputs.map(|at| self.feeds[*at].clone()).collect())
    }

    /// The bytes of its first input.
    pub(crate) fn bytes(&self) -> &[u8] {
        match self.feeds[0].data() {
            tensor::Data::Fixed(bytes) => bytes,
            tensor::Data::Strings(_) => panic!("strings"),
        }
    }
}

type Act = Box<dyn Fn(&Seen) -> Result<Vec<Tensor>, ServeError> + Send + Sync>;

/// Does what the test says, and keeps what it saw.
struct PuppetExecutor {
    act: Act,
    seen: Arc<Mutex<Vec<Seen>>>,
    is_unpredictable: bool,
}

impl Executor for PuppetExecutor {
    fn run(&self, run: Run<'_>) -> Result<Vec<Tensor>, ServeError> {
        let seen = Seen::of(run);
        self.seen.lock().unwrap().push(seen.clone());
        (self.act)(&seen)
    }

    fn is_unpredictable(&self) -> bool {
        self.is_unpredictable
    }
}

/// A model of two signatures that are alike, and what its executor saw.
pub(crate) struct PuppetModel {
    pub(crate) served: Arc<ServedModel>,
    seen: Arc<Mutex<Vec<Seen>>>,
}

/// How a [`PuppetModel`] is made.
pub(crate) struct Puppet {
    pub(crate) dtypes: Vec<DType>,
    pub(crate) batching: Batching,
    pub(crate) alone: Option<String>,
    pub(crate) is_unpredictable: bool,
    /// Whether its batches are compared with their members alone.
    pub(crate) is_unproven: bool,
}

impl Default for Puppet {
    fn default() -> Self {
        Self {
            dtypes: vec![DType::UInt8],
            batching: Batching::default(),
            alone: None,
            is_unpredictable: false,
            is_unproven: false,
        }
    }
}

impl Puppet {
    pub(crate) fn acts(
        self,
        act: impl Fn(&Seen) -> Result<Vec<Tensor>, ServeError> + Send + Sync + 'static,
    ) -> PuppetModel {
        let spec = |(index, dtype): (usize, &DType)| TensorSpec {
            alias: format!("x{index}"),
            tensor_name: format!("x{index}:0"),
            dtype: *dtype,
            shape: None,
        };
        let specs: Vec<_> = self.dtypes.iter().enumerate().map(spec).collect();
        let signature = |name: &str| Signature {
            name: name.into(),
            method_name: String::new(),
            inputs: specs.clone(),
            outputs: specs.clone(),
            defaults: BTreeMap::new(),
            unusable: None,
            alone: self.alone.clone(),
        };
        let seen = Arc::default();
        let executor = PuppetExecutor {
            act: Box::new(act),
            seen: Arc::clone(&seen),
            is_unpredictable: self.is_unpredictable,
        };
        let signatures = vec![signature("serving_default"), signature("other")];
        let id = ("m".into(), 1);
        let served = ServedModel::new(id, signatures, Bytes::new(), Box::new(executor));
        if !self.is_unproven {
            (0..2).for_each(|signature| served.note_agreement(signature, true));
        }
        let batching = self.batching;
        PuppetModel {
            served: Arc::new(served.with_options(ModelOptions {
                batching,
                ..ModelOptions::default()
            })),
            seen,
        }
    }

    /// Its outputs are its inputs.
    pub(crate) fn echoes(self) -> PuppetModel {
        self.acts(Seen::echo)
    }
}

impl PuppetModel {
    pub(crate) fn echoes(batching: Batching) -> Self {
        Puppet {
            batching,
            ..Puppet::default()
        }
        .echoes()
    }

    /// With a curve on which a batch of each of `points`' rows takes so many microseconds.
    pub(crate) fn measured(self, points: &[(usize, u64)], row_bytes: usize) -> Self {
        let point = |(rows, micros): &(usize, u64)| Point {
            rows: *rows,
            caller: Duration::from_micros(*micros),
            pool: Duration::from_micros(*micros + 1),
        };
        for signature in 0..2 {
            let points = points.iter().map(point).collect();
            let curve = Curve { points, row_bytes };
            self.served.set_curve(signature, curve);
        }
        self
    }

    pub(crate) fn seen(&self) -> MutexGuard<'_, Vec<Seen>> {
        self.seen.lock().unwrap()
    }

    /// Rows of each run's first input, in the order of the runs.
    pub(crate) fn rows_run(&self) -> Vec<usize> {
        let rows = |seen: &Seen| seen.feeds[0].shape().dims()[0];
        self.seen().iter().map(rows).collect()
    }

    /// A call of these inputs that fetches all outputs.
    pub(crate) fn call(&self, inputs: Vec<Tensor>) -> Call {
        let outputs = (0..inputs.len()).collect();
        self.call_of((0, outputs), inputs, Clock::until(None))
    }

    /// A call of one input of so many rows of two bytes each, all `fill`.
    pub(crate) fn rows(&self, rows: usize, fill: u8) -> Call {
        self.call(vec![rows_of_two(rows, fill)])
    }

    /// The same with a clock.
    pub(crate) fn rows_at(&self, rows: usize, clock: Clock) -> Call {
        let outputs = Outputs::from_elem(0, 1);
        let mut call = self.call_of((0, outputs), vec![rows_of_two(rows, 1)], clock);
        call.checked = clock.arrived;
        call
    }

    pub(crate) fn call_of(
        &self,
        (signature, outputs): (usize, Outputs),
        inputs: Vec<Tensor>,
        clock: Clock,
    ) -> Call {
        Call::new(Arc::clone(&self.served), signature, inputs, outputs, clock).unwrap()
    }
}

/// A tensor `[rows, 2]` of this byte.
pub(crate) fn rows_of_two(rows: usize, fill: u8) -> Tensor {
    fixed(&[rows, 2], &vec![fill; rows * 2])
}

/// A tensor of bytes.
pub(crate) fn fixed(dims: &[usize], bytes: &[u8]) -> Tensor {
    let shape = Shape::new(dims).unwrap();
    Tensor::fixed(DType::UInt8, shape, Bytes::copy_from_slice(bytes)).unwrap()
}

/// A tensor of strings.
pub(crate) fn strings(dims: &[usize], strings: &[&'static str]) -> Tensor {
    let strings = strings
        .iter()
        .map(|text| Bytes::from_static(text.as_bytes()));
    Tensor::strings(Shape::new(dims).unwrap(), strings.collect()).unwrap()
}
