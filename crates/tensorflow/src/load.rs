//! Loading a SavedModel; called by the control plane, never on an I/O thread.

use std::path::Path;

use engine::{ServeError, ServedModel};
use prost::Message;
use wire::proto::serving::SignatureDefMap;

use crate::Library;
use crate::config::SessionConfig;
use crate::executor::ModelExecutor;
use crate::saved_model::SavedModel;
use crate::session::Session;
use crate::tags::Tags;

/// Loads the graph with these `tags` of the SavedModel directory at `path`, ready to run, as
/// the version of a model `(name, version)`; in the calling thread, which takes as long as the model is large.
///
/// A signature that can't be run is kept, with its reason; the others work.
///
/// # Errors
/// One sentence with the path: `NOT_FOUND` if the directory, its `saved_model.pb`, its
/// variables or a graph with these tags is missing; `DATA_LOSS` if the file is
/// corrupt; TensorFlow's own error where TensorFlow can't load it.
pub fn load_saved_model(
    library: &'static Library,
    config: &SessionConfig,
    (name, version): (&str, i64),
    path: &Path,
    tags: &Tags,
) -> Result<ServedModel, ServeError> {
    let model = SavedModel::read(path, tags, &*library.operations()?)?;
    let session = Session::load(library.api(), config, path, tags).map_err(|error| {
        let message = format!(
            "TensorFlow {} cannot load {}: {}",
            library.version(),
            path.display(),
            error.message()
        );
        ServeError::new(error.kind(), message)
    })?;
    let (executor, signatures) = ModelExecutor::new(session, &model);
    let map = SignatureDefMap {
        signature_def: model.signatures,
    };
    Ok(ServedModel::new(
        (name.to_owned(), version),
        signatures,
        map.encode_to_vec().into(),
        Box::new(executor),
    ))
}
