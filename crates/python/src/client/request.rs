//! `Request`: what is asked, encoded once.

use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyInt, PyList, PyString, PyTuple};
use tensor::Tensor;
use wire::predict::{ModelSpec, PredictCall, Version};

use super::native_error;
use crate::arrays::tensor_of;
use crate::error::invalid_argument;
use crate::tensors::tensors_from_python;

/// A request, encoded once; it can be sent any number of times.
#[pyclass(frozen, module = "tensorwire._core")]
pub(crate) struct Request {
    pub(crate) request: client::Request,
    pub(super) form: Form,
}

/// What the reply becomes.
#[derive(Clone)]
pub(super) enum Form {
    /// `WireTensor`s, or what the method answers.
    Plain,
    /// A dict of arrays: of these outputs, in this order; if none are named, of all.
    Arrays(Arc<[String]>),
}

#[pymethods]
impl Request {
    /// PredictionService/Predict.
    #[staticmethod]
    #[expect(
        clippy::needless_pass_by_value,
        reason = "PyO3 hands over what it has made"
    )]
    fn predict(
        model: &str,
        version: Option<i64>,
        label: Option<&str>,
        signature: &str,
        inputs: &Bound<'_, PyAny>,
        outputs: Vec<String>,
    ) -> PyResult<Self> {
        let tensors = tensors_from_python(inputs)?;
        let inputs: Vec<_> = tensors
            .iter()
            .map(|(name, tensor)| (name.as_str(), tensor))
            .collect();
        let outputs: Vec<&str> = outputs.iter().map(String::as_str).collect();
        let spec = ModelSpec {
            signature_name: signature,
            ..spec(model, version, label)?
        };
        let request = client::Request::predict(&PredictCall {
            spec,
            inputs: &inputs,
            output_filter: &outputs,
        });
        Ok(Self::plain(request))
    }

    /// PredictionService/Predict of the common case, in one step.
    #[staticmethod]
    fn arrays(
        model: &Bound<'_, PyAny>,
        version: &Bound<'_, PyAny>,
        signature: &Bound<'_, PyAny>,
        inputs: &Bound<'_, PyAny>,
        outputs: &Bound<'_, PyAny>,
    ) -> Option<Self> {
        let version = if version.is_none() {
            Version::Latest
        } else {
            let number = version.cast_exact::<PyInt>().ok()?.extract().ok()?;
            Version::Number(Some(number).filter(|number| *number >= 0)?)
        };
        let spec = ModelSpec {
            name: text(model)?,
            version,
            signature_name: text(signature)?,
        };
        let inputs = named_arrays(inputs)?;
        let inputs: Vec<_> = inputs
            .iter()
            .map(|(name, tensor)| Some((text(name)?, tensor)))
            .collect::<Option<_>>()?;
        let wanted = names(outputs)?;
        let filter: Vec<&str> = wanted.iter().map(String::as_str).collect();
        Some(Self {
            request: client::Request::predict(&PredictCall {
                spec,
                inputs: &inputs,
                output_filter: &filter,
            }),
            form: Form::Arrays(wanted.into()),
        })
    }

    /// PredictionService/GetModelMetadata.
    #[staticmethod]
    fn metadata(model: &str, version: Option<i64>, label: Option<&str>) -> PyResult<Self> {
        let spec = spec(model, version, label)?;
        Ok(Self::plain(client::Request::metadata(spec)))
    }

    /// ModelService/GetModelStatus.
    #[staticmethod]
    fn status(model: &str, version: Option<i64>, label: Option<&str>) -> PyResult<Self> {
        let spec = spec(model, version, label)?;
        Ok(Self::plain(client::Request::status(spec)))
    }

    /// The text service's Predict.
    #[staticmethod]
    fn text(text: &str, model: Option<&str>) -> PyResult<Self> {
        client::Request::text(text, model)
            .map(Self::plain)
            .map_err(|error| native_error(&error))
    }

    /// Health/Check.
    #[staticmethod]
    fn health(service: &str) -> Self {
        Self::plain(client::Request::health(service))
    }

    /// A method of tensorwire.ModelRepository, by its name, with its encoded message.
    #[staticmethod]
    fn model_repository(method: &str, message: &[u8]) -> PyResult<Self> {
        client::Request::model_repository(method, message)
            .map(Self::plain)
            .map_err(|error| native_error(&error))
    }

    /// Health/List.
    #[staticmethod]
    fn health_list() -> Self {
        Self::plain(client::Request::health_list())
    }
}

impl Request {
    fn plain(request: client::Request) -> Self {
        Self {
            request,
            form: Form::Plain,
        }
    }
}

fn text<'a>(value: &'a Bound<'_, PyAny>) -> Option<&'a str> {
    value.cast_exact::<PyString>().ok()?.to_str().ok()
}

fn named_arrays<'py>(inputs: &Bound<'py, PyAny>) -> Option<Vec<(Bound<'py, PyAny>, Tensor)>> {
    let inputs = inputs.cast_exact::<PyDict>().ok()?;
    inputs
        .iter()
        .map(|(name, value)| Some((name, tensor_of(&value)?)))
        .collect()
}

/// None, to the server, means all.
fn names(outputs: &Bound<'_, PyAny>) -> Option<Vec<String>> {
    if outputs.is_none() {
        return Some(Vec::new());
    }
    let is_plain =
        outputs.is_exact_instance_of::<PyList>() || outputs.is_exact_instance_of::<PyTuple>();
    if !is_plain {
        return None;
    }
    let names = outputs.try_iter().ok()?;
    names
        .map(|name| Some(text(&name.ok()?)?.to_owned()))
        .collect()
}

fn spec<'a>(
    model: &'a str,
    version: Option<i64>,
    label: Option<&'a str>,
) -> PyResult<ModelSpec<'a>> {
    let version = match (version, label) {
        (None, None) => Version::Latest,
        (Some(number), None) => Version::Number(number),
        (None, Some(label)) => Version::Label(label),
        (Some(number), Some(label)) => {
            return Err(invalid_argument(&format!(
                "version {number} and label {label:?} are both given; a call names one of them"
            )));
        }
    };
    Ok(ModelSpec {
        name: model,
        version,
        signature_name: "",
    })
}
