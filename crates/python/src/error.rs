//! The one exception of the core. The package around it makes a Python exception of
//! its own kind from each: see `tensorwire/errors.py`.

use engine::{Kind, ServeError};
use pyo3::create_exception;
use pyo3::exceptions::PyException;
use pyo3::prelude::*;

create_exception!(
    tensorwire._core,
    NativeError,
    PyException,
    "An error from the core: its code, its message and the address it came from."
);

/// A `NativeError`; `address` is empty where the error came from this process.
pub(crate) fn native_error(code: &'static str, message: &str, address: &str) -> PyErr {
    NativeError::new_err((code, message.to_owned(), address.to_owned()))
}

/// A `NativeError` for an argument that can't be right.
pub(crate) fn invalid_argument(message: &str) -> PyErr {
    native_error("INVALID_ARGUMENT", message, "")
}

/// A `NativeError` for an error of the engine.
#[expect(clippy::needless_pass_by_value, reason = "given to map_err as it is")]
pub(crate) fn serve_error(error: ServeError) -> PyErr {
    native_error(error.kind().name(), error.message(), "")
}

/// The kind of this name, `"NOT_FOUND"`; [`Kind::Unknown`] for others.
pub(crate) fn kind_named(code: &str) -> Kind {
    (1..=16)
        .map(Kind::from_code)
        .find(|kind| kind.name() == code)
        .unwrap_or(Kind::Unknown)
}
