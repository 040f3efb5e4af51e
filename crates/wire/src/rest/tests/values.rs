//! Values by type.

use bytes::Bytes;
use proptest::prelude::{any, prop, proptest};
use serde_json::json;
use tensor::{DType, Data};

use super::{elements, parse_typed, strings};

fn column(dtype: DType, values: &str) -> Result<tensor::Tensor, String> {
    let text = format!(r#"{{"inputs": {values}}}"#);
    let body = parse_typed(text, dtype).map_err(|error| error.to_string())?;
    Ok(body.tensors[0].clone())
}

#[test]
fn integers_are_written_as_such() {
    for (dtype, least, greatest, beyond) in [
        (DType::Int8, "-128", "127", "128"),
        (DType::Int16, "-32768", "32767", "-32769"),
        (DType::Int32, "-2147483648", "2147483647", "2147483648"),
        (
            DType::Int64,
            "-9223372036854775808",
            "9223372036854775807",
            "9223372036854775808",
        ),
        (DType::UInt8, "0", "255", "300"),
        (DType::UInt16, "0", "65535", "65536"),
        (DType::UInt32, "0", "4294967295", "-1"),
        (
            DType::UInt64,
            "0",
            "18446744073709551615",
            "18446744073709551616",
        ),
    ] {
        let tensor = column(dtype, &format!("[{least}, {greatest}]")).unwrap();
        let size = dtype.size().unwrap();
        let ends = [least, greatest].map(|end| end.parse::<i128>().unwrap());
        let expected = ends.map(|end| end.to_le_bytes()[..size].to_vec());
        assert_eq!(elements(&tensor), expected.concat());
        for wrong in [beyond, "1.0", "1e0", "NaN"] {
            assert_eq!(
                column(dtype, wrong).unwrap_err(),
                format!("JSON Value: {wrong} Type: Number is not of expected type: {dtype}")
            );
        }
    }
}

#[test]
fn floats_take_any_number() {
    let tensor = column(
        DType::Float,
        "[1, 1e39, -1e39, 1e-60, NaN, Inf, -Infinity, 0.1, 18446744073709551616]",
    );
    let tensor = tensor.unwrap();
    let (values, _) = elements(&tensor).as_chunks();
    let values: Vec<f32> = values.iter().map(|it| f32::from_le_bytes(*it)).collect();
    assert!(values[4].is_nan());
    let inf = f32::INFINITY;
    assert_eq!(values[..4], [1.0, inf, -inf, 0.0]);
    assert_eq!(values[5..], [inf, -inf, 0.1, 18_446_744_073_709_551_616.0]);
    let halves = column(DType::Half, "[1, -2, 0.1, 65520]").unwrap();
    assert_eq!(
        elements(&halves),
        [0x3c00, 0xc000, 0x2e66, 0x7c00_u16]
            .map(u16::to_le_bytes)
            .concat()
    );
    let brains = column(DType::BFloat16, "[1, -2, 0.1]").unwrap();
    assert_eq!(
        elements(&brains),
        [0x3f80, 0xc000, 0x3dcd_u16].map(u16::to_le_bytes).concat()
    );
}

#[test]
fn bools() {
    assert_eq!(
        elements(&column(DType::Bool, "[true, false]").unwrap()),
        [1, 0]
    );
    assert_eq!(
        column(DType::Bool, "1").unwrap_err(),
        "JSON Value: 1 Type: Number is not of expected type: bool"
    );
}

#[test]
fn complex_numbers_have_no_form() {
    for dtype in [DType::Complex64, DType::Complex128] {
        let problem = format!("Conversion of JSON Value: 0 to type: {dtype}");
        assert_eq!(column(dtype, "[0]").unwrap_err(), problem);
    }
}

#[test]
fn strings_of_any_bytes() {
    let tensor = column(
        DType::String,
        r#"["a\"\u00e9\ud83d\ude00\n", "é", {"b64": "gA=="}, {"b64": "aGVs\nbG8"}]"#,
    );
    let wanted: [&[u8]; 4] = ["a\"é😀\n".as_bytes(), "é".as_bytes(), b"\x80", b"hello"];
    assert_eq!(tensor.unwrap(), strings(&[4], &wanted));
    let body = [&br#"{"instances": [""#[..], b"\xff\xfe", br#""]}"#].concat();
    let read = parse_typed(body, DType::String).unwrap();
    assert_eq!(read.tensors, [strings(&[1], &[b"\xff\xfe"])]);
    for (value, problem) in [
        (
            "5",
            "JSON Value: 5 Type: Number is not of expected type: string",
        ),
        (
            r#"{"b64": 5}"#,
            r#"JSON Value: {"b64": 5} not formatted correctly for base64 data"#,
        ),
        (
            r#"{"b64": "AA", "x": 1}"#,
            r#"JSON Value: {"b64": "AA", "x": 1} not formatted correctly for base64 data"#,
        ),
        (r#"{"b64": "!!"}"#, "Unable to base64 decode"),
    ] {
        assert_eq!(
            column(DType::String, &format!("[{value}]")).unwrap_err(),
            problem
        );
    }
}

#[test]
fn plain_strings_are_views_of_the_body() {
    let body = Bytes::from_static(br#"{"instances": ["abcdef"]}"#);
    let read = parse_typed(body.clone(), DType::String).unwrap();
    let Data::Strings(strings) = read.tensors[0].data() else {
        panic!("no strings");
    };
    assert_eq!(strings[0].as_ptr(), body[16..].as_ptr());
}

proptest! {
    #[test]
    fn doubles(rows in prop::collection::vec(prop::collection::vec(any::<f64>(), 3), 1..5)) {
        let finite = |row: &Vec<f64>| row.iter().all(|it| it.is_finite());
        if rows.iter().all(finite) {
            let text = json!({ "instances": rows }).to_string();
            let read = parse_typed(text, DType::Double).unwrap();
            let wanted: Vec<u8> = rows.iter().flatten().flat_map(|it| it.to_le_bytes()).collect();
            assert_eq!(elements(&read.tensors[0]), wanted);
            assert_eq!(read.tensors[0].shape().dims(), [rows.len(), 3]);
        }
    }

    #[test]
    fn integers(values in prop::collection::vec(any::<i64>(), 1..9)) {
        let read = parse_typed(json!({ "inputs": values }).to_string(), DType::Int64).unwrap();
        let wanted: Vec<u8> = values.iter().flat_map(|it| it.to_le_bytes()).collect();
        assert_eq!(elements(&read.tensors[0]), wanted);
    }

    #[test]
    fn texts(values in prop::collection::vec(any::<String>(), 1..9)) {
        let read = parse_typed(json!({ "instances": values }).to_string(), DType::String).unwrap();
        let values: Vec<&[u8]> = values.iter().map(String::as_bytes).collect();
        assert_eq!(read.tensors[0], strings(&[values.len()], &values));
    }
}
