//! The bodies of classify and regress replies.

use super::outputs::{push_bytes, push_float};
use super::refusal::RestError;
use crate::proto::serving::{ClassificationResult, RegressionResult};

/// Writes `{"results": [[["label", 0.5], ...], ...]}`: for each example its classes.
pub fn write_classifications(result: &ClassificationResult) -> Result<Vec<u8>, RestError> {
    if result.classifications.is_empty() {
        return Err(RestError::Invalid(
            "Cannot convert empty ClassificationResults to JSON".into(),
        ));
    }
    let mut text = b"{\"results\":[".to_vec();
    for (index, classifications) in result.classifications.iter().enumerate() {
        comma(&mut text, index);
        text.push(b'[');
        for (index, class) in classifications.classes.iter().enumerate() {
            comma(&mut text, index);
            text.push(b'[');
            push_bytes(&mut text, class.label.as_ref(), false);
            text.push(b',');
            push_float(&mut text, class.score);
            text.push(b']');
        }
        text.push(b']');
    }
    text.extend_from_slice(b"]}");
    Ok(text)
}

/// Writes `{"results": [3.0, ...]}`: for each example its value.
pub fn write_regressions(result: &RegressionResult) -> Result<Vec<u8>, RestError> {
    if result.regressions.is_empty() {
        return Err(RestError::Invalid(
            "Cannot convert empty RegressionResults to JSON".into(),
        ));
    }
    let mut text = b"{\"results\":[".to_vec();
    for (index, regression) in result.regressions.iter().enumerate() {
        comma(&mut text, index);
        push_float(&mut text, regression.value);
    }
    text.extend_from_slice(b"]}");
    Ok(text)
}

fn comma(text: &mut Vec<u8>, index: usize) {
    if index > 0 {
        text.push(b',');
    }
}
