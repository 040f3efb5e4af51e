//! A SavedModel directory, read and checked before TensorFlow sees it: TensorFlow
//! loads some broken ones without a word and fails each of their runs.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use bytes::Bytes;
use engine::{Kind, ServeError};
use prost::Message;
use wire::proto::tensorflow::{MetaGraphDef, SavedModel as SavedModelMessage, SignatureDef};

use crate::effects::{Effects, Reach};
use crate::graph_def::MetaGraph;
use crate::operations::Operations;
use crate::outline::Outline;
use crate::tags::Tags;

const FILE_NAME: &str = "saved_model.pb";

/// Other forms of the file, which TensorFlow reads and we do not.
const OTHER_FORMS: [&str; 2] = ["saved_model.pbtxt", "saved_model.cpb"];

/// Another kind of model, which TensorFlow Serving can take in a SavedModel's place.
const LITE_FILE: &str = "model.tflite";

/// What a SavedModel directory's file says.
#[derive(Debug)]
pub(crate) struct SavedModel {
    /// All signatures of the served graph.
    pub(crate) signatures: BTreeMap<String, SignatureDef>,
    /// What its graph needs.
    pub(crate) outline: Outline,
    /// What running each of the signatures does.
    pub(crate) effects: BTreeMap<String, Effects>,
}

impl SavedModel {
    /// Reads the directory at `path`, whose graph with these tags is made of `operations`.
    pub(crate) fn read(
        path: &Path,
        tags: &Tags,
        operations: &Operations,
    ) -> Result<Self, ServeError> {
        let bytes = read_file(path)?;
        let file = path.join(FILE_NAME);
        let corrupt = |reason: String| {
            let message = format!("{} is corrupt: {reason}", file.display());
            ServeError::new(Kind::DataLoss, message)
        };
        let message =
            SavedModelMessage::decode(bytes.clone()).map_err(|error| corrupt(error.to_string()))?;
        let index = served_graph(&message.meta_graphs, tags, &file)?;
        let meta_graph = MetaGraph::read(bytes, index).map_err(corrupt)?;
        let outline = Outline::read(&meta_graph).map_err(corrupt)?;
        if outline.needs_variables {
            check_variables(path)?;
        }
        let mut meta_graphs = message.meta_graphs;
        let signatures = meta_graphs.swap_remove(index).signature_def;
        let graph = meta_graph.graph.unwrap_or_default();
        let reach = Reach::new(&graph, operations);
        let of = |(name, definition): (&String, _)| (name.clone(), reach.of(definition));
        Ok(Self {
            effects: signatures.iter().map(of).collect(),
            signatures,
            outline,
        })
    }
}

fn read_file(path: &Path) -> Result<Bytes, ServeError> {
    let cannot_read = |what: &Path, error: io::Error| {
        let message = format!("cannot read {}: {error}", what.display());
        ServeError::new(kind_of(&error), message)
    };
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let message = format!("there is no directory {}", path.display());
            return Err(ServeError::not_found(message));
        }
        Err(error) => return Err(cannot_read(path, error)),
    };
    if !metadata.is_dir() {
        return Err(ServeError::failed_precondition(format!(
            "{} is a file; a SavedModel is a directory",
            path.display()
        )));
    }
    let file = path.join(FILE_NAME);
    match fs::read(&file) {
        Ok(bytes) => Ok(bytes.into()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(no_saved_model(path)),
        Err(error) => Err(cannot_read(&file, error)),
    }
}

fn no_saved_model(path: &Path) -> ServeError {
    let path_text = path.display();
    if let Some(form) = OTHER_FORMS.iter().find(|form| path.join(form).is_file()) {
        return ServeError::unimplemented(format!(
            "{path_text} holds a SavedModel as {form}; only {FILE_NAME} can be served"
        ));
    }
    if path.join(LITE_FILE).is_file() {
        return ServeError::unimplemented(format!(
            "{path_text} holds a TensorFlow Lite model, {LITE_FILE}; only a SavedModel can be \
             served, whose file is called {FILE_NAME}"
        ));
    }
    // TensorFlow Serving's words, which its clients match on.
    ServeError::not_found(format!(
        "Specified file path does not appear to contain a SavedModel bundle \
         (should have a file called `{FILE_NAME}`)\nSpecified file path: {path_text}"
    ))
}

fn kind_of(error: &io::Error) -> Kind {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Kind::NotFound,
        io::ErrorKind::PermissionDenied => Kind::PermissionDenied,
        _ => Kind::Unavailable,
    }
}

/// The index of the first graph with these tags and no other: TensorFlow's choice.
fn served_graph(graphs: &[MetaGraphDef], wanted: &Tags, file: &Path) -> Result<usize, ServeError> {
    fn tags(graph: &MetaGraphDef) -> &[String] {
        graph
            .meta_info_def
            .as_ref()
            .map_or(&[], |info| info.tags.as_slice())
    }
    if let Some(index) = graphs.iter().position(|graph| wanted.are(tags(graph))) {
        return Ok(index);
    }
    let file = file.display();
    if graphs.is_empty() {
        return Err(ServeError::new(
            Kind::DataLoss,
            format!("{file} is corrupt: it holds no graph"),
        ));
    }
    let sets: Vec<String> = graphs
        .iter()
        .map(|graph| format!("{{{}}}", tags(graph).join(", ")))
        .collect();
    Err(ServeError::not_found(format!(
        "{file} has no graph with the tag set {wanted}; it has {}",
        sets.join(", ")
    )))
}

fn check_variables(path: &Path) -> Result<(), ServeError> {
    let folder = path.join("variables");
    let index = folder.join("variables.index");
    let missing = if !folder.is_dir() {
        &folder
    } else if !index.is_file() {
        &index
    } else {
        return Ok(());
    };
    Err(ServeError::not_found(format!(
        "the SavedModel in {} is incomplete: its graph has variables, but there is no {}",
        path.display(),
        missing.display(),
    )))
}
