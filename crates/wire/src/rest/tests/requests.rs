//! Bodies of predict requests: their forms, and what is said of those that are none.

use bytes::Bytes;
use tensor::DType;

use super::super::{Format, RestError, SignatureInputs, check_body, parse_predict};
use super::{floats, parse, parse_typed, refusal, strings};

fn only(text: &str) -> tensor::Tensor {
    let mut body = parse(text).unwrap();
    assert_eq!(body.tensors.len(), 1);
    body.tensors.remove(0)
}

#[test]
fn rows() {
    let body = parse(r#"{"instances": [1, 2.5, -3e0]}"#).unwrap();
    assert_eq!((body.signature, body.format), (0, Format::Row));
    assert_eq!(body.tensors, [floats(&[3], &[1.0, 2.5, -3.0])]);
    assert_eq!(
        only(r#"{"instances":[[1,2],[3,4]]}"#),
        floats(&[2, 2], &[1.0, 2.0, 3.0, 4.0])
    );
    assert_eq!(
        only(r#"{"instances":[[[]],[[]]]}"#),
        floats(&[2, 1, 0], &[])
    );
    assert_eq!(
        only(r#"{"instances":[{"x":[1]},{"x":[2]}]}"#),
        floats(&[2, 1], &[1.0, 2.0])
    );
}

#[test]
fn columns() {
    let body = parse(r#"{"inputs": [[1, 2], [3, 4]]}"#).unwrap();
    assert_eq!((body.signature, body.format), (0, Format::Columnar));
    assert_eq!(body.tensors, [floats(&[2, 2], &[1.0, 2.0, 3.0, 4.0])]);
    assert_eq!(only(r#"{"inputs": 7}"#), floats(&[], &[7.0]));
    assert_eq!(
        only(r#"{"inputs": {"y": [{}], "x": [7], "x": []}}"#),
        floats(&[1], &[7.0])
    );
}

#[test]
fn several_inputs() {
    let wanted = [
        floats(&[2, 1], &[1.0, 2.0]),
        strings(&[2], &[b"p", b"\xff"]),
    ];
    for text in [
        r#"{"signature_name": "pair", "instances": [{"a":[1],"b":"p"},{"b":{"b64":"/w=="},"a":[2]}]}"#,
        r#"{"instances": [{"a":[1],"b":"p"},{"b":{"b64":"/w"},"a":[2]}], "signature_name": "pair"}"#,
        r#"{"signature_name": "pair", "inputs": {"a":[[1],[2]],"b":["p",{"b64":"/w=="}], "c": 1}}"#,
    ] {
        let body = parse(text).unwrap();
        assert_eq!(
            (body.signature, &body.tensors[..]),
            (1, &wanted[..]),
            "{text}"
        );
    }
}

#[test]
fn keys_in_any_order() {
    let row = |[first, second, third]: [&str; 3], n: usize| {
        let value = |name: &str| match name {
            "a" => format!("{n}"),
            "b" => format!("{}", n + 10),
            _ => format!("{}", n + 20),
        };
        let (x, y, z) = (value(first), value(second), value(third));
        format!(
            r#"{{"{first}":{x},"{second}":{y},"\u{:04x}":{z}}}"#,
            third.as_bytes()[0]
        )
    };
    let orders = [
        ["a", "b", "c"],
        ["c", "b", "a"],
        ["c", "b", "a"],
        ["b", "a", "c"],
        ["a", "b", "c"],
    ];
    let rows: Vec<String> = (0..5).map(|n| row(orders[n], n)).collect();
    let body = Bytes::from(format!(r#"{{"instances": [{}]}}"#, rows.join(",")));
    let read = parse_predict(&body, |_| {
        let inputs = ["c", "a", "b"].map(|name| (name, DType::Float));
        Ok::<_, RestError>(SignatureInputs {
            index: 0,
            inputs: inputs.into_iter().collect(),
        })
    });
    let from = |first: u8| floats(&[5], &[0, 1, 2, 3, 4].map(|n| f32::from(first + n)));
    assert_eq!(read.unwrap().tensors, [from(20), from(0), from(10)]);
}

/// The names of so many inputs, all of one length.
fn wide(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("{n:05}")).collect()
}

#[test]
fn many_inputs_are_not_each_compared_with_each() {
    let time = |count: usize, rows: usize| {
        let names = wide(count);
        let members: Vec<String> = names.iter().map(|name| format!(r#""{name}":1"#)).collect();
        let row = format!("{{{}}}", members.join(","));
        let text = format!(r#"{{"instances": [{}]}}"#, vec![row; rows].join(","));
        let body = Bytes::from(text);
        let begun = std::time::Instant::now();
        let read = parse_predict(&body, |_| {
            let inputs = names.iter().map(|name| (&**name, DType::Float));
            Ok::<_, RestError>(SignatureInputs {
                index: 0,
                inputs: inputs.collect(),
            })
        });
        assert_eq!(read.unwrap().tensors.len(), count);
        begun.elapsed()
    };
    // As many keys in all; 50 times as many comparisons if each is compared with each.
    let (narrow, wide) = (time(20, 5000), time(1000, 100));
    assert!(wide < 4 * narrow, "{wide:?} {narrow:?}");
}

#[test]
fn a_large_name_of_escapes_is_not_decoded_for_each_input() {
    let names = wide(1000);
    let escapes = "\\u0061".repeat(100_000);
    let body = Bytes::from(format!(r#"{{"instances": [{{"{escapes}": 1}}]}}"#));
    let begun = std::time::Instant::now();
    let read = parse_predict(&body, |_| {
        let inputs = names.iter().map(|name| (&**name, DType::Float));
        Ok::<_, RestError>(SignatureInputs {
            index: 0,
            inputs: inputs.collect(),
        })
    });
    assert!(read.is_err());
    // Decoded for each, it would be 200 MB.
    assert!(begun.elapsed().as_secs_f32() < 3.0, "{:?}", begun.elapsed());
}

#[test]
fn no_inputs() {
    for text in [
        r#"{"signature_name": "none", "inputs": {}}"#,
        r#"{"inputs": {"x": 1}, "signature_name": "none"}"#,
        r#"{"signature_name": "none", "instances": [{}]}"#,
    ] {
        let body = parse(text).unwrap();
        assert_eq!((body.signature, &body.tensors[..]), (2, &[][..]));
    }
    for value in [r#""instances": [1]"#, r#""inputs": 1"#] {
        let problem = refusal(&format!(r#"{{"signature_name": "none", {value}}}"#));
        assert_eq!(problem, "the signature takes no inputs");
    }
}

#[test]
fn what_is_ignored() {
    let wanted = floats(&[1], &[1.0]);
    for text in [
        r#"{"instances":[1]} and more { "#,
        r#"{"other": [[{"a": null}]], "instances": [1], "last": "\u00e9"}"#,
        "\u{feff} \r\n\t{ \"instances\" : [ 1 ] }",
        r#"{"inst\u0061nces": [1]}"#,
        r#"{"instances": [1], "instances": 2}"#,
        r#"{"instances": [1], "signature_name": ""}"#,
        r#"{"instances": [1], "signature_name": "serving_default", "signature_name": 5}"#,
    ] {
        assert_eq!(only(text), wanted, "{text}");
    }
}

#[test]
fn bodies_as_a_whole() {
    for (text, problem) in [
        ("[1]", "JSON Value: [1] Is not object"),
        (" 5 x", "JSON Value: 5 Is not object"),
        (
            r#"{"signature_name": 5, "instances": [1]}"#,
            r#"JSON Value: {"signature_name": 5, "instances": [1]} not formatted correctly. 'signature_name' key must be a string value."#,
        ),
        (
            r#"{"signature_name": "foo", "inputs": [], "instances": 5}"#,
            "no signature foo",
        ),
        ("{}", "Missing 'inputs' or 'instances' key"),
        (r#"{"x": 1}"#, "Missing 'inputs' or 'instances' key"),
        (
            r#"{"inputs": 1, "instances": [1]}"#,
            r#"JSON Value: {"inputs": 1, "instances": [1]} Not formatted correctly expecting only one of 'inputs' or 'instances' keys to exist "#,
        ),
        (
            r#"{"instances": 1}"#,
            r#"JSON Value: {"instances": 1} Expecting 'instances' to be an list/array"#,
        ),
        (
            r#"{"instances": [ ]}"#,
            r#"JSON Value: {"instances": [ ]} No values in 'instances' array"#,
        ),
    ] {
        assert_eq!(refusal(text), problem);
    }
    let long = format!(r#"{{"x": "{}"}}"#, "é".repeat(1000));
    let quoted = refusal(&format!("[{long}]"));
    assert!(
        quoted.starts_with(r#"JSON Value: [{"x": "éé"#) && quoted.ends_with("éé Is not object")
    );
    assert!(quoted.len() < 300, "{quoted}");
}

#[test]
fn values_of_the_wrong_kind() {
    for (text, problem) in [
        (
            r#"{"instances": ["x"]}"#,
            r#"Failed to process element: 0 of 'instances' list. Error: INVALID_ARGUMENT: JSON Value: "x" Type: String is not of expected type: float"#,
        ),
        (
            r#"{"instances": [1, null]}"#,
            "Failed to process element: 1 of 'instances' list. Error: INVALID_ARGUMENT: JSON Value: null Type: Null is not of expected type: float",
        ),
        (
            r#"{"instances": [{"x": true}]}"#,
            "Failed to process element: 0 key: x of 'instances' list. Error: INVALID_ARGUMENT: JSON Value: true Type: True is not of expected type: float",
        ),
        (
            r#"{"instances": [{"k": 1}]}"#,
            "Failed to process element: 0 key: k of 'instances' list. Error: INVALID_ARGUMENT: JSON object: does not have named input: k",
        ),
        (
            r#"{"instances": [{"x": 1, "x": 2}]}"#,
            "Failed to process element: 0 key: x of 'instances' list. Error: INVALID_ARGUMENT: the key is given twice",
        ),
        (
            r#"{"instances": [{"x": 1}, {}]}"#,
            "Failed to process element: 1 of 'instances' list. JSON object: {} keys must be equal to: x",
        ),
        (
            r#"{"instances": [{"x": 1}, [2]]}"#,
            "Expecting object but got list at item 1 of input list",
        ),
        (
            r#"{"instances": [1, {"x": 2}]}"#,
            "Expecting value/list but got object at item 1 of input list",
        ),
        (
            r#"{"signature_name": "pair", "instances": [{"b": "1", "a": 1}, {"a": 1}]}"#,
            r#"Failed to process element: 1 of 'instances' list. JSON object: {"a": 1} keys must be equal to: a,b"#,
        ),
        (
            r#"{"signature_name": "pair", "instances": [1]}"#,
            "instances is a plain list, but expecting list of objects as multiple input tensors required as per tensorinfo_map",
        ),
        (
            r#"{"signature_name": "pair", "inputs": [1]}"#,
            "inputs is a plain value/list, but expecting an object as multiple input tensors required as per tensorinfo_map",
        ),
        (
            r#"{"signature_name": "pair", "inputs": {"b": "x"}}"#,
            "Missing named input: a in 'inputs' object.",
        ),
        (
            r#"{"inputs": ["x"]}"#,
            r#"JSON Value: "x" Type: String is not of expected type: float"#,
        ),
        (
            r#"{"inputs": [{"b64": "AA"}]}"#,
            r#"JSON Value: {"b64": "AA"} Type: Object is not of expected type: float"#,
        ),
    ] {
        assert_eq!(refusal(text), problem);
    }
}

#[test]
fn ragged_lists() {
    for (text, problem) in [
        (
            r#"{"instances": [[1, 2], [3]]}"#,
            "Failed to process element: 1 of 'instances' list. Error: INVALID_ARGUMENT: Expecting tensor size: 2 but got: 1",
        ),
        (
            r#"{"instances": [[1, 2], [[3], [4]]]}"#,
            "Failed to process element: 1 of 'instances' list. Error: INVALID_ARGUMENT: Expecting shape [2] but got: [2,1]",
        ),
        (
            r#"{"instances": [[], 1]}"#,
            "Failed to process element: 1 of 'instances' list. Error: INVALID_ARGUMENT: Expecting tensor size: 0 but got: 1",
        ),
        (
            r#"{"inputs": [[1, 2], [3]]}"#,
            "Encountered list at unexpected size: 1 at level: 1 expected size: 2",
        ),
        (
            r#"{"inputs": [1, [2]]}"#,
            "Encountered list at unexpected level: 1 expected < 1",
        ),
        (
            r#"{"inputs": [[1], 2]}"#,
            "JSON Value: 2 found at incorrect level: 2 in the JSON DOM. Expected at level: 2",
        ),
        (
            r#"{"inputs": [[], [1]]}"#,
            "Encountered list at unexpected size: 1 at level: 1 expected size: 0",
        ),
        (
            r#"{"inputs": [[], 1]}"#,
            "JSON Value: 1 found at incorrect level: 2 in the JSON DOM. Expected at level: 2",
        ),
        // A list's size is looked at before what is in it, the outermost first.
        (
            r#"{"inputs": [[1, 2], ["x"]]}"#,
            "Encountered list at unexpected size: 1 at level: 1 expected size: 2",
        ),
        (
            r#"{"inputs": [[1, 2], ["x", 1]]}"#,
            r#"JSON Value: "x" Type: String is not of expected type: float"#,
        ),
        (
            r#"{"inputs": [[[1], [2]], [["x", 3]]]}"#,
            "Encountered list at unexpected size: 1 at level: 1 expected size: 2",
        ),
        (
            r#"{"inputs": [[[1], [2]], [["x", 3], [4]]]}"#,
            "Encountered list at unexpected size: 2 at level: 2 expected size: 1",
        ),
    ] {
        assert_eq!(refusal(text), problem, "{text}");
    }
}

#[test]
fn what_is_no_json_comes_first() {
    for text in [
        r#"{"instances": ["x"], "y": tru}"#,
        r#"{"signature_name": "foo", "instances": 5, "y": tru}"#,
    ] {
        let problem = refusal(text);
        assert!(
            problem.starts_with("JSON Parse error: Invalid value. at offset: "),
            "{problem}"
        );
    }
    assert!(check_body(br#"{"instances": "what"}"#).is_ok());
    assert_eq!(
        check_body(b"{\"instances\": ").unwrap_err().to_string(),
        "JSON Parse error: Invalid value. at offset: 14"
    );
}

#[test]
fn deep_lists() {
    let nested = |depth: usize| {
        let (open, close) = ("[".repeat(depth), "]".repeat(depth));
        format!(r#"{{"inputs": {open}1{close}}}"#)
    };
    assert_eq!(parse(&nested(254)).unwrap().tensors[0].shape().rank(), 254);
    let problem = refusal(&nested(255));
    assert_eq!(
        problem,
        "input x goes deeper in lists than the 254 possible"
    );
    assert_eq!(refusal(&nested(1_000_000)), problem);
    let ignored = format!(
        r#"{{"deep": {}0{}, "instances": [1]}}"#,
        "[".repeat(1_000_000),
        "]".repeat(1_000_000)
    );
    assert!(parse(&ignored).is_ok());
}

#[test]
fn a_wrong_element_in_nested_lists_takes_one_look() {
    // Each of the lists around it is counted once, not once for each level.
    let depth = 250;
    let row = format!(
        "{}{}{}",
        "[".repeat(depth),
        vec!["1"; 200_000].join(","),
        "]".repeat(depth)
    );
    let bad = row.replacen("1,1]", "1,\"x\"]", 1);
    let time = |second: &str| {
        let text = format!(r#"{{"inputs": [{row}, {second}]}}"#);
        let begun = std::time::Instant::now();
        let is_taken = parse_typed(text, DType::Float).is_ok();
        (is_taken, begun.elapsed())
    };
    let (taken, plain) = time(&row);
    let (refused, looked) = time(&bad);
    assert!(taken && !refused);
    // It is 250 times as long where each level looks again.
    assert!(looked < 40 * plain, "{looked:?} {plain:?}");
}
