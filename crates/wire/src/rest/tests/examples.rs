//! Bodies of classify and regress requests.

use bytes::Bytes;
use prost::Message;

use super::super::parse_examples;
use crate::proto::tensorflow::Example;
use crate::proto::tensorflow::feature::Kind;

fn refusal(text: &str) -> String {
    let body = Bytes::copy_from_slice(text.as_bytes());
    parse_examples(&body, 1000).unwrap_err().to_string()
}

fn one(features: &str) -> String {
    refusal(&format!(r#"{{"examples": [{features}]}}"#))
}

#[test]
fn features_by_the_kind_of_their_values() {
    let body = Bytes::from_static(
        br#"{"signature_name": "c", "context": {"k": 7}, "examples": [
            {"f": [1.5, 2e0, NaN], "i": [1, -2, true, false], "b": ["x", {"b64": "/w=="}],
             "none": [], "twice": 1, "twice": "s"}, {}]}"#,
    );
    let read = parse_examples(&body, 1000).unwrap();
    assert_eq!(read.signature_name, "c");
    let features = |bytes: &Bytes| {
        Example::decode(bytes.clone())
            .unwrap()
            .features
            .unwrap_or_default()
            .feature
    };
    assert_eq!(read.examples.len(), 2);
    let first = features(&read.examples[0]);
    assert!(
        matches!(&first["f"].kind, Some(Kind::FloatList(list)) if list.value[..2] == [1.5, 2.0] && list.value[2].is_nan())
    );
    assert!(matches!(&first["i"].kind, Some(Kind::Int64List(list)) if list.value == [1, -2, 1, 0]));
    assert!(
        matches!(&first["b"].kind, Some(Kind::BytesList(list)) if list.value == [&b"x"[..], b"\xff"])
    );
    assert!(first["none"].kind.is_none());
    assert!(
        matches!(&first["twice"].kind, Some(Kind::BytesList(list)) if list.value == [&b"s"[..]])
    );
    assert!(matches!(&first["k"].kind, Some(Kind::Int64List(list)) if list.value == [7]));
    assert_eq!(features(&read.examples[1]).len(), 1);
}

#[test]
fn what_is_refused() {
    for (text, problem) in [
        (
            "{}",
            "JSON Value: {} When method is classify, key 'examples' is expected and was not found",
        ),
        (
            r#"{"examples": {}}"#,
            r#"JSON Value: {"examples": {}} Expecting 'examples' value to be an list/array"#,
        ),
        (
            r#"{"examples": []}"#,
            r#"JSON Value: {"examples": []} 'examples' value is an empty array"#,
        ),
        (
            r#"{"examples": [5]}"#,
            "Example must be JSON object but got JSON Number",
        ),
        (
            r#"{"context": [], "examples": [{}]}"#,
            "Example must be JSON object but got JSON Array",
        ),
        (
            r#"{"examples": [{}]"#,
            "JSON Parse error: Missing a comma or '}' after an object member. at offset: 17",
        ),
    ] {
        assert_eq!(refusal(text), problem);
    }
    for (features, problem) in [
        (
            r#"{"f": null}"#,
            "Feature: f has element with unexpected JSON type: Null",
        ),
        (
            r#"{"f": [[1]]}"#,
            "Feature: f has element with unexpected JSON type: Array",
        ),
        (
            r#"{"f": {"x": 1}}"#,
            "Feature: f has element with unexpected JSON type: Object",
        ),
        (
            r#"{"f": [1, 2.0]}"#,
            "Unexpected element type in feature: f expecting type: int64",
        ),
        (
            r#"{"f": [1.0, 2]}"#,
            "Unexpected element type in feature: f expecting type: float",
        ),
        (
            r#"{"f": ["a", 2]}"#,
            "Unexpected element type in feature: f expecting type: bytes",
        ),
        (
            r#"{"f": 18446744073709551615}"#,
            "Feature: f has uint64 element. Only int64 is supported.",
        ),
        (r#"{"f": {"b64": "!"}}"#, "Unable to base64 decode"),
    ] {
        assert_eq!(one(features), problem);
    }
}

#[test]
fn a_context_is_not_copied_to_any_number_of_examples() {
    let context = "x".repeat(300);
    let text = format!(r#"{{"context": {{"c": "{context}"}}, "examples": [{{}}, {{}}, {{}}]}}"#);
    assert!(refusal(&text).starts_with("3 examples with their context take 1"));
}
