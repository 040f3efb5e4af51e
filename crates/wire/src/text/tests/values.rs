//! Values by type, and what is none.

use proptest::collection::vec;
use proptest::prelude::{Strategy, any, prop_oneof, proptest};
use serde_json::{Value, json};
use tensor::{DType, Tensor};

use super::{InputForm, elements, fixed, form, parse_inputs, parse_x, refusal, strings};

// ---- values by type

#[test]
fn integers() {
    for (dtype, least, greatest) in [
        (DType::Int8, "-128", "127"),
        (DType::UInt16, "0", "65535"),
        (DType::Int64, "-9223372036854775808", "9223372036854775807"),
        (DType::UInt64, "0", "18446744073709551615"),
    ] {
        let text = format!("[{least}, {greatest}]");
        let value = parse_x(dtype, &text).unwrap();
        let size = dtype.size().unwrap();
        let ends = [least, greatest].map(|end| end.parse::<i128>().unwrap());
        let expected = ends.map(|end| end.to_le_bytes()[..size].to_vec());
        assert_eq!(elements(&value), expected.concat());
    }
    assert_eq!(
        parse_x(DType::UInt8, "[[1, 256]]").unwrap_err().to_string(),
        "input `x` takes whole numbers from 0 to 255, in JSON, of type uint8, found `256` at \
         x[0][1]"
    );
    assert_eq!(
        parse_x(DType::Int32, "2.5").unwrap_err().to_string(),
        "input `x` takes whole numbers from -2147483648 to 2147483647, in JSON, of type int32, \
         found `2.5`"
    );
    let huge = "9".repeat(100);
    assert!(parse_x(DType::UInt64, &huge).unwrap_err().to_string().len() < 200);
    assert_eq!(
        elements(&parse_x(DType::UInt8, "[3.0, 1e2]").unwrap()),
        [3, 100]
    );
    assert!(parse_x(DType::UInt8, "true").is_err());
}

#[test]
fn every_numeric_type() {
    for dtype in DType::ALL {
        let text = match dtype {
            DType::String => r#"["1"]"#,
            DType::Bool => "[true]",
            DType::Complex64 | DType::Complex128 => "[[1, 0]]",
            _ => "[1]",
        };
        let tensor = parse_x_in_object(dtype, text);
        assert_eq!(tensor.dtype(), dtype);
        assert_eq!(tensor.shape().dims(), [1]);
    }
    let halves = parse_x(DType::Half, "[1, -2, 0.1, 65504, 65520]").unwrap();
    let bits = [0x3c00, 0xc000, 0x2e66, 0x7bff, 0x7c00_u16].map(u16::to_le_bytes);
    assert_eq!(halves, fixed(DType::Half, &[5], &bits));
    let brains = parse_x(DType::BFloat16, "[1, -2, 0.1]").unwrap();
    let bits = [0x3f80, 0xc000, 0x3dcd_u16].map(u16::to_le_bytes);
    assert_eq!(brains, fixed(DType::BFloat16, &[3], &bits));
}

/// As `parse_x`, but beside another input, so that strings are JSON.
fn parse_x_in_object(dtype: DType, text: &str) -> Tensor {
    let unknown = |alias, dtype| InputForm {
        shape: None,
        ..form(alias, dtype, &[])
    };
    let forms = [unknown("x", dtype), unknown("y", DType::Float)];
    let text = format!(r#"{{"x": {text}, "y": 0}}"#);
    let mut parsed = parse_inputs(&text, &forms).unwrap();
    parsed.tensors.swap_remove(0).unwrap()
}

#[test]
fn floats_take_any_number() {
    let values = parse_x(
        DType::Float,
        "[NaN, Infinity, -Infinity, 1e39, -1e-60, 0.1, 16777217]",
    );
    let values: Vec<f32> = elements(&values.unwrap())
        .as_chunks()
        .0
        .iter()
        .map(|bytes| f32::from_le_bytes(*bytes))
        .collect();
    assert!(values[0].is_nan());
    let rest = [
        f32::INFINITY,
        -f32::INFINITY,
        f32::INFINITY,
        -0.0,
        0.1,
        16_777_216.0,
    ];
    assert_eq!(values[1..], rest);
    assert_eq!(
        parse_x(DType::Float, "hello").unwrap_err().to_string(),
        "input `x` takes numbers, in JSON, of type float, found `hello`"
    );
    for text in [
        "nan", "inf", "null", "true", "\"1\"", "", "01", "+1", ".5", "0x10", "{}[", "-",
    ] {
        assert!(parse_x(DType::Float, text).is_err(), "{text}");
    }
}

#[test]
fn bools() {
    assert_eq!(
        elements(&parse_x(DType::Bool, "[true, false]").unwrap()),
        [1, 0]
    );
    assert_eq!(
        parse_x(DType::Bool, "[true, 1]").unwrap_err().to_string(),
        "input `x` takes true or false, in JSON, found `1` at x[1]"
    );
}

#[test]
fn strings_and_base64() {
    let text = r#"["a\"b", "\u00e9\ud83d\ude00", {"b64": "/wA="}, {"b64": "/wA"}, ""]"#;
    assert_eq!(
        parse_x_in_object(DType::String, text),
        strings(
            &[5],
            &[b"a\"b", "é😀".as_bytes(), b"\xff\x00", b"\xff\x00", b""]
        )
    );
    let forms = [
        form("s", DType::String, &[-1]),
        form("t", DType::String, &[-1]),
    ];
    let refused = |value: &str| refusal(&format!(r#"{{"s": [{value}], "t": []}}"#), &forms);
    assert_eq!(
        refused("1"),
        r#"input `s` takes strings, in JSON, or {"b64": "..."}, found `1` at s[0]"#
    );
    assert_eq!(
        refused(r#"{"b64": "*"}"#),
        "input `s` has `*` at s[0], which is not base64"
    );
    assert_eq!(
        refused(r#"{"other": "*"}"#),
        r#"input `s` takes strings, in JSON, or {"b64": "..."}, found an object at s[0]"#
    );
    assert_eq!(
        refused(r#""\x""#),
        r#"the text is not JSON: the string "\x" at byte 7 has an invalid escape or a control character"#
    );
}

#[test]
fn complex_numbers_are_pairs() {
    assert_eq!(
        parse_x(DType::Complex64, "[[1, 2], [3, NaN]]")
            .unwrap()
            .shape()
            .dims(),
        [2]
    );
    let scalar = parse_x(DType::Complex128, "[1, -2]").unwrap();
    assert_eq!(scalar.shape().rank(), 0);
    assert_eq!(
        elements(&scalar),
        [1.0_f64, -2.0].map(f64::to_le_bytes).concat()
    );
    for text in ["1", "[1, 2, 3]", "[[1], [2]]"] {
        assert_eq!(
            parse_x(DType::Complex64, text).unwrap_err().to_string(),
            "input `x` takes [real, imaginary] pairs, in JSON, of type complex64, found numbers \
             that are not in pairs"
        );
    }
}

// ---- text that is no value

#[test]
fn ragged_lists() {
    let refused = |text| parse_x(DType::Float, text).unwrap_err().to_string();
    assert_eq!(
        refused("[[1, 2], [3]]"),
        "input `x` has a list of 1 at x[1], where the lists before it have 2"
    );
    assert_eq!(
        refused("[[[1], [2]], [[3], [4, 5]]]"),
        "input `x` has a list of 2 at x[1][1], where the lists before it have 1"
    );
    assert_eq!(
        refused("[1, [2]]"),
        "input `x` has a list at x[1], where the values before it are single ones"
    );
    assert_eq!(
        refused("[[1], 2]"),
        "input `x` has the single value `2` at x[1], where the values before it are lists"
    );
    for text in [
        "[[], 1]",
        "[[], [1]]",
        "[[], [[]]]",
        "[[[]], []]",
        "[1, []]",
    ] {
        assert!(parse_x(DType::Float, text).is_err(), "{text}");
    }
}

#[test]
fn not_json() {
    let refused = |text| parse_x(DType::Float, text).unwrap_err().to_string();
    assert_eq!(
        refused("[1 2]"),
        "the text is not JSON: expected `,` or `]` at byte 3, found `2`"
    );
    assert_eq!(
        refused("[1, 2"),
        "the text is not JSON: expected `,` or `]` at byte 5, found the end of the text"
    );
    assert_eq!(
        refused("1 = 1"),
        "the text is not JSON: expected nothing after the value at byte 2, found `=`"
    );
    assert_eq!(
        refused("[1,]"),
        "input `x` takes numbers, in JSON, of type float, found `]` at x[1]"
    );
    assert_eq!(
        refused(r#"{"x": "#),
        "input `x` takes numbers, in JSON, of type float, found the end of the text"
    );
    assert_eq!(
        refused(r#"{"x"#),
        "the text is not JSON: the string at byte 1 has no end"
    );
}

#[test]
fn lists_without_end() {
    let deep = "[".repeat(1_000_000);
    let message = parse_x(DType::Float, &deep).unwrap_err().to_string();
    assert!(
        message.contains("deeper in lists than the 254 possible"),
        "{message}"
    );
    assert!(message.len() < 200);
    let most = "[".repeat(254) + "1" + &"]".repeat(254);
    assert_eq!(parse_x(DType::Float, &most).unwrap().shape().rank(), 254);
    let more = "[".repeat(255) + "1" + &"]".repeat(255);
    assert!(parse_x(DType::Float, &more).is_err());
}

// ---- against serde_json

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<f64>().prop_map(|value| json!(value)),
        any::<i64>().prop_map(|value| json!(value)),
        any::<String>().prop_map(|value| json!(value)),
        any::<bool>().prop_map(|value| json!(value)),
    ];
    leaf.prop_recursive(3, 20, 4, |inner| {
        vec(inner, 0..4).prop_map(|values| json!(values))
    })
}

proptest! {
    #[test]
    fn doubles_are_exact(values in vec(any::<f64>(), 1..20), pretty in any::<bool>()) {
        let text = if pretty {
            serde_json::to_string_pretty(&values).unwrap()
        } else {
            serde_json::to_string(&values).unwrap()
        };
        // serde_json writes what is no number as null.
        if values.iter().all(|value| value.is_finite()) {
            let bytes: Vec<_> = values.iter().map(|value| value.to_le_bytes()).collect();
            let tensor = parse_x(DType::Double, &text).unwrap();
            assert_eq!(tensor, fixed(DType::Double, &[values.len()], &bytes));
        }
    }

    #[test]
    fn strings_are_exact(values in vec(any::<String>(), 1..20)) {
        let text = serde_json::to_string(&values).unwrap();
        let bytes: Vec<_> = values.iter().map(String::as_bytes).collect();
        assert_eq!(parse_x_in_object(DType::String, &text), strings(&[values.len()], &bytes));
    }

    #[test]
    fn what_is_read_is_json(value in any_json(), cut in any::<proptest::sample::Index>()) {
        let mut text = value.to_string();
        for dtype in DType::ALL {
            let _ = parse_x(dtype, &text);
        }
        let mut at = cut.index(text.len() + 1);
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        text.truncate(at);
        for dtype in [DType::Float, DType::Int32, DType::Bool] {
            if !text.is_empty() && parse_x(dtype, &text).is_ok() {
                assert!(serde_json::from_str::<Value>(&text).is_ok(), "{text}");
            }
        }
    }

    #[test]
    fn any_text_ends(text in any::<String>(), jsonish in "[\\[\\]{}\",:0-9.eE+a-z -]{0,40}") {
        for dtype in DType::ALL {
            let _ = parse_x(dtype, &text);
            if parse_x(dtype, &jsonish).is_ok() && dtype == DType::Double && !jsonish.trim().is_empty() {
                assert!(serde_json::from_str::<Value>(&jsonish).is_ok(), "{jsonish}");
            }
        }
        let forms = [form("a", DType::Float, &[-1, 2]), form("b", DType::Int8, &[-1])];
        let _ = parse_inputs(&jsonish, &forms);
    }
}
