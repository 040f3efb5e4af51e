//! The text service's rules, case by case, and its JSON against `serde_json`.

mod inputs;
mod outputs;
mod values;

use bytes::Bytes;
use tensor::{DType, Data, Shape, Tensor};

use super::{InputForm, ParsedInputs, TextError, parse_inputs};

fn form<'a>(alias: &'a str, dtype: DType, shape: &'a [i64]) -> InputForm<'a> {
    InputForm {
        alias,
        dtype,
        shape: Some(shape),
        optional: false,
    }
}

/// One input `x` whose rank is not declared.
fn parse_x(dtype: DType, text: &str) -> Result<Tensor, TextError> {
    let form = InputForm {
        shape: None,
        ..form("x", dtype, &[])
    };
    let ParsedInputs { mut tensors, .. } = parse_inputs(text, &[form])?;
    Ok(tensors.remove(0).unwrap())
}

fn refusal(text: &str, forms: &[InputForm<'_>]) -> String {
    parse_inputs(text, forms).unwrap_err().to_string()
}

fn fixed<const N: usize>(dtype: DType, dims: &[usize], elements: &[[u8; N]]) -> Tensor {
    let bytes = Bytes::from(elements.concat());
    Tensor::fixed(dtype, Shape::new(dims).unwrap(), bytes).unwrap()
}

fn floats(dims: &[usize], values: &[f32]) -> Tensor {
    let bytes: Vec<_> = values.iter().map(|value| value.to_le_bytes()).collect();
    fixed(DType::Float, dims, &bytes)
}

fn strings(dims: &[usize], values: &[&[u8]]) -> Tensor {
    let values = values.iter().map(|value| Bytes::copy_from_slice(value));
    Tensor::strings(Shape::new(dims).unwrap(), values.collect()).unwrap()
}

fn elements(tensor: &Tensor) -> &[u8] {
    match tensor.data() {
        Data::Fixed(bytes) => bytes,
        Data::Strings(_) => panic!("strings"),
    }
}
