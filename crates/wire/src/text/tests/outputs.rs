//! Outputs to texts.

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::{any, proptest};
use serde_json::Value;
use tensor::{DType, Shape, Tensor};

use super::{fixed, floats, parse_x, strings};
use crate::text::write_outputs;

fn write(tensor: &Tensor, drop_batch: bool) -> String {
    write_outputs(&[("y", tensor)], drop_batch).unwrap()
}

#[test]
fn one_output_is_its_value() {
    let value = floats(&[1, 3], &[0.1, 2.0, -1e-9]);
    assert_eq!(write(&value, false), "[[0.1, 2.0, -1e-9]]");
    assert_eq!(write(&value, true), "[0.1, 2.0, -1e-9]");
    assert_eq!(write(&floats(&[1], &[1e20]), true), "1e20");
    assert_eq!(write(&floats(&[2], &[1.0, 2.0]), true), "[1.0, 2.0]");
    assert_eq!(write(&floats(&[], &[-0.0]), true), "-0.0");
}

#[test]
fn several_outputs_are_an_object() {
    let (a, b) = (floats(&[1], &[0.5]), strings(&[], &[b"text"]));
    assert_eq!(
        write_outputs(&[("a \"quoted\"", &a), ("b", &b)], true).unwrap(),
        r#"{"a \"quoted\"": 0.5, "b": "text"}"#
    );
    assert_eq!(write_outputs(&[], true).unwrap(), "{}");
}

#[test]
fn each_type_in_its_own_form() {
    let nan = floats(&[3], &[f32::NAN, f32::INFINITY, -f32::INFINITY]);
    assert_eq!(write(&nan, false), "[NaN, Infinity, -Infinity]");
    assert_eq!(
        write(&fixed(DType::Double, &[1], &[0.1_f64.to_le_bytes()]), false),
        "[0.1]"
    );
    assert_eq!(
        write(&fixed(DType::Half, &[2], &[[0x66, 0x2e], [0, 0x7c]]), false),
        "[0.1, Infinity]"
    );
    assert_eq!(
        write(
            &fixed(DType::BFloat16, &[2], &[[0xcd, 0x3d], [0x80, 0x3f]]),
            false
        ),
        "[0.1, 1.0]"
    );
    assert_eq!(
        write(
            &fixed(
                DType::Complex64,
                &[1],
                &[[0, 0, 0x80, 0x3f, 0, 0, 0xc0, 0x7f]]
            ),
            false
        ),
        "[[1.0, NaN]]"
    );
    assert_eq!(
        write(&fixed(DType::Bool, &[2], &[[0], [1]]), false),
        "[false, true]"
    );
    assert_eq!(
        write(&fixed(DType::Int8, &[2], &[[0x80], [1]]), false),
        "[-128, 1]"
    );
    assert_eq!(
        write(&fixed(DType::UInt64, &[], &[u64::MAX.to_le_bytes()]), false),
        "18446744073709551615"
    );
    assert_eq!(
        write(
            &strings(&[3], &[b"a\nb", "é".as_bytes(), b"\xff\x00"]),
            false
        ),
        r#"["a\nb", "é", {"b64": "/wA="}]"#
    );
}

#[test]
fn no_elements() {
    assert_eq!(write(&floats(&[0], &[]), true), "[]");
    assert_eq!(write(&floats(&[2, 0], &[]), false), "[[], []]");
    let empty = Tensor::fixed(
        DType::Float,
        Shape::new(&[1 << 40, 0]).unwrap(),
        Bytes::new(),
    );
    assert_eq!(
        write_outputs(&[("y", &empty.unwrap())], false)
            .unwrap_err()
            .to_string(),
        "output `y` has the shape [1099511627776,0], more than 1048576 empty lists"
    );
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(values in vec(any::<u64>(), 1..20)) {
        for dtype in DType::ALL {
            let Some(size) = dtype.size().filter(|size| *size <= 8) else { continue };
            let mut bytes: Vec<u8> =
                values.iter().flat_map(|value| value.to_le_bytes()[..size].to_vec()).collect();
            if dtype == DType::Bool {
                bytes.fill(1);
            }
            let shape = Shape::new(&[values.len()]).unwrap();
            let tensor = Tensor::fixed(dtype, shape, bytes.into()).unwrap();
            let text = write(&tensor, false);
            // Not every bit pattern of a NaN has a text.
            if !text.contains("NaN") {
                assert_eq!(parse_x(dtype, &text).unwrap(), tensor);
            }
            if !text.contains(['N', 'I']) {
                assert!(serde_json::from_str::<Value>(&text).is_ok(), "{text}");
            }
        }
    }
}
