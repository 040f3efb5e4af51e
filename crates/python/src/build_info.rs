//! What this build of the core is.

use std::collections::BTreeMap;
use std::env::consts::{ARCH, OS};

use pyo3::prelude::*;

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
