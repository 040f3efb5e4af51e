//! The module `tensorwire._core`: the only line between Rust and Python. Its contract
//! is `python/tensorwire/_core.pyi`; every name in it is in the one list below.

use pyo3::prelude::*;

mod error;

mod exit_gate;

mod logging;

mod of_this_process;

mod tensors;

mod arrays;

mod signatures;

mod engine_options;

mod measure;

mod later;

mod warm_up;

mod model_files;

mod loading;

mod retired;

mod engine;

mod server;

mod control;

mod client;

mod load;

mod records;

mod build_info;

#[pymodule(name = "_core")]
fn core_module(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("NativeError", module.py().get_type::<error::NativeError>())?;
    exit_gate::install(module)?;
    logging::install(module.py())?;

    // What serves.
    module.add_class::<engine::Engine>()?;
    module.add_class::<retired::Retired>()?;
    module.add_class::<server::Server>()?;
    module.add_class::<control::Command>()?;

    // What calls.
    module.add_class::<client::Request>()?;
    module.add_class::<client::Channel>()?;
    module.add_class::<client::Call>()?;
    module.add_class::<client::Inbox>()?;
    module.add_class::<load::LoadTest>()?;

    // What was recorded.
    module.add_class::<records::RecordReader>()?;
    module.add_function(wrap_pyfunction!(records::frame_record, module)?)?;
    module.add_function(wrap_pyfunction!(records::decode_predict_reply, module)?)?;

    module.add_function(wrap_pyfunction!(build_info::build_info, module)?)?;
    module.add_function(wrap_pyfunction!(build_info::descriptor_set, module)?)
}
