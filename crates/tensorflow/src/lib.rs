//! The engine's executor over TensorFlow's C library, which is found at run time in
//! the installed Python package. The only crate with `unsafe` code: everything that
//! it gives out is safe to use.

mod api;

mod library;
pub use library::Library;

mod status;

mod config;
pub use config::SessionOptions;

mod saved_model;

mod graph_def;

mod outline;

mod sanity;

mod signature;

mod load;
pub use load::load_saved_model;

mod session;

mod executor;

mod tensor;
