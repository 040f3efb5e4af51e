//! The flow of a request, in the order a request meets it: the registry finds the
//! model, the signature checks the request, dispatch picks the thread, the
//! executor runs it and the reply guard answers. Safe Rust; knows no network, no
//! Python and no TensorFlow: [`Executor`] is its only way out.

mod error;
pub use error::{Kind, ServeError};

mod options;
pub use options::{Batching, EngineOptions, Limits, ModelOptions};

mod engine;
pub use engine::Engine;

mod registry;
pub use registry::{Loaded, ModelSelector, Registry, Retired, State, Version, VersionStatus};

mod signature;
pub use signature::{
    DEFAULT_SIGNATURE, InputSource, InputSources, Signature, TensorSpec, signature_name,
};

mod model;
pub use model::ServedModel;

mod recorder;
pub use recorder::{Exchange, InferenceMethod, Messages, RecordCounts, Recorder};

mod admission;
pub use admission::{Admission, Permit};

mod call;
pub use call::{Call, Clock, Outputs};

mod respond;
pub use respond::{Answer, Outcome, Respond};

mod timings;
pub use timings::Timings;

pub mod metrics;

mod dispatch;
pub use dispatch::{Dispatcher, Gauges, expired};

mod cost;
pub use cost::{Curve, Decision, INLINE_LIMIT, Point, RunMode};

mod calibrate;
pub use calibrate::{Beside, Measured, Sample, Store, calibrate};

mod queue;

mod tick;
pub use tick::Tick;

mod runner;
pub use runner::RUN_STACK;

mod batch;
pub use batch::{Feed, FeedData};

mod reply;
pub use reply::{Reply, lost};

mod executor;
pub use executor::{Executor, Run};

#[cfg(test)]
mod testing;
