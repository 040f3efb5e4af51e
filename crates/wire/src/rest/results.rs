//! The bodies of classify and regress replies.

use super::outputs::{push_bytes, push_float};
use super::refusal::RestError;
use crate::examples::{Classes, ExampleResult, Values};

/// Writes a result: for each example its classes, `{"results": [[["label", 0.5], ...],
/// ...]}`, or its value, `{"results": [3.0, ...]}`. A label that is not UTF-8 is
/// `{"b64": "..."}`.
pub fn write_result(result: &ExampleResult) -> Result<Vec<u8>, RestError> {
    match result {
        ExampleResult::Classes(classes) => write_classes(classes),
        ExampleResult::Values(values) => write_values(values),
    }
}

fn write_classes(classes: &Classes) -> Result<Vec<u8>, RestError> {
    if classes.examples() == 0 {
        return Err(RestError::Invalid(
            "Cannot convert empty ClassificationResults to JSON".into(),
        ));
    }
    let mut text = b"{\"results\":[".to_vec();
    for example in 0..classes.examples() {
        comma(&mut text, example);
        text.push(b'[');
        for (index, (label, score)) in classes.of(example).enumerate() {
            comma(&mut text, index);
            text.push(b'[');
            push_bytes(&mut text, label, false);
            text.push(b',');
            push_float(&mut text, score);
            text.push(b']');
        }
        text.push(b']');
    }
    text.extend_from_slice(b"]}");
    Ok(text)
}

fn write_values(values: &Values) -> Result<Vec<u8>, RestError> {
    if values.iter().len() == 0 {
        return Err(RestError::Invalid(
            "Cannot convert empty RegressionResults to JSON".into(),
        ));
    }
    let mut text = b"{\"results\":[".to_vec();
    for (index, value) in values.iter().enumerate() {
        comma(&mut text, index);
        push_float(&mut text, value);
    }
    text.extend_from_slice(b"]}");
    Ok(text)
}

fn comma(text: &mut Vec<u8>, index: usize) {
    if index > 0 {
        text.push(b',');
    }
}
