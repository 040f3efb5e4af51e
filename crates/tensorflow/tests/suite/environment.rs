//! What every test needs: TensorFlow, the built models, a call.

use std::env;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use engine::{Call, Clock, InputSource, ServeError, ServedModel};
use tensor::{DType, Data, Shape, Tensor};
use tensorflow::{Library, SessionConfig, Tags, load_saved_model};

fn path_from(variable: &str) -> PathBuf {
    env::var_os(variable)
        .unwrap_or_else(|| panic!("{variable} is not set; run these tests with `make test`"))
        .into()
}

pub(crate) fn tensorflow_dir() -> PathBuf {
    path_from("TENSORWIRE_TENSORFLOW_DIR")
}

pub(crate) fn library() -> &'static Library {
    Library::open(&tensorflow_dir()).unwrap()
}

/// The directory of a built model's version.
pub(crate) fn built(name: &str, version: i64) -> PathBuf {
    path_from("TENSORWIRE_TEST_MODELS")
        .join(name)
        .join(version.to_string())
}

pub(crate) fn try_load(path: &Path) -> Result<Arc<ServedModel>, ServeError> {
    try_load_tagged(path, &Tags::default())
}

pub(crate) fn try_load_tagged(path: &Path, tags: &Tags) -> Result<Arc<ServedModel>, ServeError> {
    let config = SessionConfig::default();
    load_saved_model(library(), &config, ("model", 1), path, tags).map(Arc::new)
}

pub(crate) fn load(path: &Path) -> Arc<ServedModel> {
    try_load(path).unwrap()
}

/// A call of a signature by names, as a request would make it.
pub(crate) struct Request<'a> {
    pub(crate) signature: &'a str,
    pub(crate) inputs: Vec<(&'a str, Tensor)>,
    pub(crate) outputs: &'a [&'a str],
    pub(crate) deadline: Option<Instant>,
}

impl<'a> Request<'a> {
    pub(crate) fn new(inputs: Vec<(&'a str, Tensor)>) -> Self {
        Self {
            signature: "",
            inputs,
            outputs: &[],
            deadline: None,
        }
    }

    pub(crate) fn run(self, model: &Arc<ServedModel>) -> Result<Vec<Tensor>, ServeError> {
        let (index, signature) = model.signature(self.signature)?;
        let names: Vec<&str> = self.inputs.iter().map(|(name, _)| *name).collect();
        let inputs = signature
            .bind_inputs(&names)?
            .into_iter()
            .zip(&signature.inputs)
            .map(|(source, input)| match source {
                InputSource::Request(position) => self.inputs[position].1.clone(),
                InputSource::Default => signature.defaults[&input.alias].clone(),
            })
            .collect();
        let outputs = signature.bind_outputs(self.outputs)?;
        Call::new(
            Arc::clone(model),
            index,
            inputs,
            outputs,
            Clock::until(self.deadline),
        )?
        .run()
        .map(|answer| answer.outputs)
    }
}

/// Runs the default signature on its one input.
pub(crate) fn call(model: &Arc<ServedModel>, name: &str, input: Tensor) -> Tensor {
    let mut outputs = Request::new(vec![(name, input)]).run(model).unwrap();
    assert_eq!(outputs.len(), 1);
    outputs.remove(0)
}

pub(crate) fn floats(dims: &[usize], values: &[f32]) -> Tensor {
    let bytes: Vec<u8> = values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect();
    Tensor::fixed(DType::Float, Shape::new(dims).unwrap(), bytes.into()).unwrap()
}

pub(crate) fn float_values(tensor: &Tensor) -> Vec<f32> {
    assert_eq!(tensor.dtype(), DType::Float);
    bytes_of(tensor)
        .chunks_exact(4)
        .map(|chunk| f32::from_le_bytes(chunk.try_into().unwrap()))
        .collect()
}

pub(crate) fn bytes_of(tensor: &Tensor) -> &Bytes {
    match tensor.data() {
        Data::Fixed(bytes) => bytes,
        Data::Strings(_) => panic!("a string tensor"),
    }
}
