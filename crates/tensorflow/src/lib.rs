//! The engine's executor over TensorFlow's C library, which is found at run time in
//! the installed Python package. The only crate with `unsafe` code: everything that
//! it gives out is safe to use.

// The library.
mod library;
pub use library::Library;

mod api;

mod status;

// From a directory to a loaded model.
mod load;
pub use load::load_saved_model;

mod saved_model;

mod tags;
pub use tags::Tags;

mod memory;
pub use memory::give_memory_back;

mod fingerprint;
pub use fingerprint::fingerprint;

mod warmup;
pub use warmup::recorded_samples;

mod outline;

mod operations;

mod effects;

mod sanity;

mod graph_def;

mod config;
pub use config::{SessionConfig, SessionOptions};

mod session;

mod signature;

// A run of it.
mod executor;

mod tensor;
