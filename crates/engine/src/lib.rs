//! The flow of a request, in the order a request meets it: the registry finds the
//! model, the signature checks the request, dispatch picks the thread, the
//! executor runs it and the reply guard answers. Safe Rust; knows no network, no
//! Python and no TensorFlow: [`Executor`] is its only way out.

mod error;
pub use error::{Kind, ServeError};

mod engine;
pub use engine::Engine;

mod registry;
pub use registry::{ModelSelector, Registry, State, Version, VersionStatus};

mod signature;
pub use signature::{DEFAULT_SIGNATURE, InputSource, Signature, TensorSpec};

mod model;
pub use model::ServedModel;

mod merge;
pub use merge::{Feed, FeedData};

mod dispatch;
pub use dispatch::{Call, Dispatcher};

mod cost;

mod runner;
pub use runner::RUN_STACK;

mod reply;

mod executor;
pub use executor::{Executor, Run};
