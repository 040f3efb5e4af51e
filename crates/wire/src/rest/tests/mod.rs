//! The REST API's JSON against TensorFlow Serving's rules, and against `serde_json` where
//! both speak of the same thing.

mod examples;
mod json;
mod outputs;
mod requests;
mod values;

use bytes::Bytes;
use smallvec::SmallVec;
use tensor::{DType, Data, Shape, Tensor};

use super::{PredictBody, RestError, SignatureInputs, parse_predict};

/// The signatures of a model: `serving_default` takes `x`, `pair` takes `a` and `b`,
/// `none` nothing.
fn parse_typed(text: impl Into<Bytes>, dtype: DType) -> Result<PredictBody, RestError> {
    let body: Bytes = text.into();
    parse_predict(&body, |name| {
        let (index, inputs): (_, SmallVec<[_; 4]>) = match name {
            "" | "serving_default" => (0, SmallVec::from_slice(&[("x", dtype)])),
            "pair" => {
                let pair = [("a", dtype), ("b", DType::String)];
                (1, SmallVec::from_slice(&pair))
            }
            "none" => (2, SmallVec::new()),
            _ => return Err(RestError::Invalid(format!("no signature {name}"))),
        };
        Ok(SignatureInputs { index, inputs })
    })
}

fn parse(text: &str) -> Result<PredictBody, RestError> {
    parse_typed(text.to_owned(), DType::Float)
}

fn refusal(text: &str) -> String {
    parse(text).unwrap_err().to_string()
}

fn floats(dims: &[usize], values: &[f32]) -> Tensor {
    let bytes: Vec<u8> = values.iter().flat_map(|it| it.to_le_bytes()).collect();
    Tensor::fixed(DType::Float, Shape::new(dims).unwrap(), bytes.into()).unwrap()
}

fn strings(dims: &[usize], values: &[&[u8]]) -> Tensor {
    let values = values.iter().map(|it| Bytes::copy_from_slice(it)).collect();
    Tensor::strings(Shape::new(dims).unwrap(), values).unwrap()
}

fn elements(tensor: &Tensor) -> &[u8] {
    match tensor.data() {
        Data::Fixed(bytes) => bytes,
        Data::Strings(_) => panic!("strings"),
    }
}
