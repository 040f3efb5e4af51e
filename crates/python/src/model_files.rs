//! How large the files of a model version are.

use std::fs;
use std::path::Path;

/// Bytes of the graph and the variables in a SavedModel's folder: about what the model takes
/// in memory once it is loaded. What can't be seen counts nothing.
pub(crate) fn file_bytes(folder: &Path) -> u64 {
    let graph = size_of(&folder.join("saved_model.pb"));
    let variables = fs::read_dir(folder.join("variables"));
    let variables = variables.into_iter().flatten().flatten();
    graph + variables.map(|entry| size_of(&entry.path())).sum::<u64>()
}

fn size_of(file: &Path) -> u64 {
    fs::metadata(file).map_or(0, |metadata| metadata.len())
}
