//! `Request`: what is asked, encoded once.

use pyo3::prelude::*;
use wire::predict::{ModelSpec, PredictCall, Version};

use super::native_error;
use crate::error::invalid_argument;
use crate::tensors::tensors_from_python;

/// A request, encoded once; it can be sent any number of times.
#[pyclass(frozen, module = "tensorwire._core")]
pub(crate) struct Request(pub(crate) client::Request);

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
        Ok(Self(client::Request::predict(&PredictCall {
            spec,
            inputs: &inputs,
            output_filter: &outputs,
        })))
    }

    /// PredictionService/GetModelMetadata.
    #[staticmethod]
    fn metadata(model: &str, version: Option<i64>, label: Option<&str>) -> PyResult<Self> {
        Ok(Self(client::Request::metadata(spec(
            model, version, label,
        )?)))
    }

    /// ModelService/GetModelStatus.
    #[staticmethod]
    fn status(model: &str, version: Option<i64>, label: Option<&str>) -> PyResult<Self> {
        Ok(Self(client::Request::status(spec(model, version, label)?)))
    }

    /// The text service's Predict.
    #[staticmethod]
    fn text(text: &str, model: Option<&str>) -> PyResult<Self> {
        client::Request::text(text, model)
            .map(Self)
            .map_err(|error| native_error(&error))
    }

    /// Health/Check.
    #[staticmethod]
    fn health(service: &str) -> Self {
        Self(client::Request::health(service))
    }

    /// Health/List.
    #[staticmethod]
    fn health_list() -> Self {
        Self(client::Request::health_list())
    }
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
