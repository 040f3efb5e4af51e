//! What this build of the core is, and which messages it knows.

use std::collections::BTreeMap;
use std::env::consts::{ARCH, OS};

use pyo3::prelude::*;
use pyo3::types::PyBytes;

/// The core's version, build profile and target.
#[pyfunction]
pub(crate) fn build_info() -> BTreeMap<&'static str, String> {
    let profile = if cfg!(debug_assertions) {
        "debug"
    } else {
        "release"
    };
    BTreeMap::from([
        ("version", env!("CARGO_PKG_VERSION").to_owned()),
        ("profile", profile.to_owned()),
        ("target", format!("{ARCH}-{OS}")),
    ])
}

/// The definitions of all messages in `proto/`.
#[pyfunction]
pub(crate) fn descriptor_set(py: Python<'_>) -> Bound<'_, PyBytes> {
    PyBytes::new(py, wire::proto::FILE_DESCRIPTOR_SET)
}
