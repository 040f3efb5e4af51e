//! Bodies of replies.

use bytes::Bytes;
use proptest::prelude::{any, prop, proptest};
use prost::Message;
use serde_json::{Value, json};
use tensor::{DType, Shape, Tensor};

use super::super::{
    metadata_json, models_json, status_json, write_columns, write_result, write_rows,
};
use super::{floats, strings};
use crate::examples::{Classes, ExampleResult, Values};
use crate::proto::serving::{
    GetModelStatusResponse, ModelVersionStatus, SignatureDefMap, StatusProto,
};
use crate::proto::tensorflow::{SignatureDef, TensorInfo, tensor_info};

fn text(written: Result<Vec<u8>, super::RestError>) -> String {
    String::from_utf8(written.unwrap()).unwrap()
}

fn fixed(dtype: DType, bytes: &[u8]) -> Tensor {
    let count = bytes.len() / dtype.size().unwrap();
    let bytes = Bytes::copy_from_slice(bytes);
    Tensor::fixed(dtype, Shape::new(&[count]).unwrap(), bytes).unwrap()
}

#[test]
fn rows_and_columns() {
    let x = floats(&[2, 2], &[1.0, 2.5, 1e-7, 1e30]);
    assert_eq!(
        text(write_rows(&[("x", &x)])),
        r#"{"predictions":[[1.0,2.5],[1e-7,1e+30]]}"#
    );
    assert_eq!(
        text(write_columns(&[("x", &x)])),
        r#"{"outputs":[[1.0,2.5],[1e-7,1e+30]]}"#
    );
    let y = floats(&[2], &[-0.0, 3.0]);
    assert_eq!(
        text(write_rows(&[("x", &x), ("y", &y)])),
        r#"{"predictions":[{"x":[1.0,2.5],"y":-0.0},{"x":[1e-7,1e+30],"y":3.0}]}"#
    );
    assert_eq!(
        text(write_columns(&[("x", &floats(&[], &[2.0])), ("y", &y)])),
        r#"{"outputs":{"x":2.0,"y":[-0.0,3.0]}}"#
    );
    assert_eq!(
        text(write_rows(&[("x", &floats(&[0, 2], &[]))])),
        r#"{"predictions":[]}"#
    );
    assert_eq!(
        text(write_columns(&[("x", &floats(&[2, 0], &[]))])),
        r#"{"outputs":[[],[]]}"#
    );
}

#[test]
fn every_type() {
    for (dtype, bytes, wanted) in [
        (DType::Double, 0.1_f64.to_le_bytes().to_vec(), "0.1"),
        (DType::Float, f32::NAN.to_le_bytes().to_vec(), "NaN"),
        (
            DType::Float,
            f32::NEG_INFINITY.to_le_bytes().to_vec(),
            "-Infinity",
        ),
        (
            DType::Double,
            f64::INFINITY.to_le_bytes().to_vec(),
            "Infinity",
        ),
        (DType::Half, 0x2e66_u16.to_le_bytes().to_vec(), "0.1"),
        (DType::BFloat16, 0x3f80_u16.to_le_bytes().to_vec(), "1.0"),
        (DType::Int8, vec![0xff], "-1"),
        (DType::UInt8, vec![0xff], "255"),
        (DType::Int16, vec![0, 0x80], "-32768"),
        (DType::UInt16, vec![0, 0x80], "32768"),
        (DType::Int32, (-7_i32).to_le_bytes().to_vec(), "-7"),
        (DType::UInt32, u32::MAX.to_le_bytes().to_vec(), "4294967295"),
        (
            DType::Int64,
            i64::MIN.to_le_bytes().to_vec(),
            "-9223372036854775808",
        ),
        (
            DType::UInt64,
            u64::MAX.to_le_bytes().to_vec(),
            "18446744073709551615",
        ),
        (DType::Bool, vec![1], "true"),
    ] {
        let tensor = fixed(dtype, &bytes);
        let wanted = format!(r#"{{"predictions":[{wanted}]}}"#);
        assert_eq!(text(write_rows(&[("y", &tensor)])), wanted);
    }
    for dtype in [DType::Complex64, DType::Complex128] {
        let tensor = fixed(dtype, &[0; 16]);
        let problem = format!("Failed to write JSON value for tensor type: {dtype}");
        assert_eq!(
            write_rows(&[("y", &tensor)]).unwrap_err().to_string(),
            problem
        );
    }
}

#[test]
fn strings_and_bytes() {
    let y = strings(&[2], &["a\"é\n".as_bytes(), b"\xff"]);
    assert_eq!(
        text(write_rows(&[("y", &y)])),
        r#"{"predictions":["a\"é\n",{"b64":"/w=="}]}"#
    );
    let y = strings(&[1], &[b"a"]);
    assert_eq!(
        text(write_rows(&[("y_bytes", &y)])),
        r#"{"predictions":[{"b64":"YQ=="}]}"#
    );
}

#[test]
fn outputs_that_are_no_rows() {
    let scalar = floats(&[], &[1.0]);
    let (two, three) = (floats(&[2], &[1.0; 2]), floats(&[3], &[1.0; 3]));
    for (outputs, problem) in [
        (
            &[("a", &two), ("b", &scalar)][..],
            "Tensor name: b has no shape information ",
        ),
        (
            &[("a", &two), ("b", &three)],
            "Tensor name: b has inconsistent batch size: 3 expecting: 2",
        ),
        (&[], "Cannot convert empty tensor map to JSON"),
    ] {
        assert_eq!(write_rows(outputs).unwrap_err().to_string(), problem);
    }
    assert!(write_columns(&[]).is_err());
    let hollow = floats(&[1 << 40, 0], &[]);
    assert!(write_rows(&[("y", &hollow)]).is_err());
}

#[test]
fn results() {
    let labels = strings(&[2, 2], &[b"a", b"", b"\xff", b"b"]);
    let scores = floats(&[2, 2], &[0.5, 2.0, 1.0, f32::INFINITY]);
    let classes = Classes::new(Some(&labels), Some(&scores), 2).unwrap();
    assert_eq!(
        text(write_result(&ExampleResult::Classes(classes))),
        r#"{"results":[[["a",0.5],["",2.0]],[[{"b64":"/w=="},1.0],["b",Infinity]]]}"#
    );
    let values = Values::new(&floats(&[2, 1], &[3.0, f32::NAN]), 2).unwrap();
    assert_eq!(
        text(write_result(&ExampleResult::Values(values))),
        r#"{"results":[3.0,NaN]}"#
    );
    let none = Values::new(&floats(&[0], &[]), 0).unwrap();
    assert!(write_result(&ExampleResult::Values(none)).is_err());
}

#[test]
fn status() {
    let status = GetModelStatusResponse {
        model_version_status: vec![ModelVersionStatus {
            version: 123,
            state: 30,
            status: Some(StatusProto::default()),
        }],
    };
    let wanted = concat!(
        "{\n \"model_version_status\": [\n  {\n   \"version\": \"123\",\n   \"state\": \"AVAILABLE\",\n",
        "   \"status\": {\n    \"error_code\": \"OK\",\n    \"error_message\": \"\"\n   }\n  }\n ]\n}\n",
    );
    assert_eq!(text(status_json(&status)), wanted);
    let models = text(models_json(&[
        ("m".into(), status),
        ("n".into(), GetModelStatusResponse::default()),
    ]));
    let read: Value = serde_json::from_str(&models).unwrap();
    assert_eq!(read["models"][0]["name"], "m");
    assert_eq!(
        read["models"][0]["model_version_status"][0]["version"],
        "123"
    );
    assert_eq!(
        read["models"][1],
        json!({"name": "n", "model_version_status": []})
    );
}

#[test]
fn metadata() {
    let info = |shape: &[i64]| TensorInfo {
        dtype: 1,
        tensor_shape: Some(crate::proto::tensorflow::TensorShapeProto {
            dim: shape
                .iter()
                .map(|size| crate::proto::tensorflow::tensor_shape_proto::Dim {
                    size: *size,
                    ..Default::default()
                })
                .collect(),
            ..Default::default()
        }),
        encoding: Some(tensor_info::Encoding::Name("x:0".into())),
    };
    let map = SignatureDefMap {
        signature_def: [(
            "serving_default".to_owned(),
            SignatureDef {
                inputs: [("x".to_owned(), info(&[-1, 2]))].into(),
                method_name: "tensorflow/serving/predict".into(),
                ..Default::default()
            },
        )]
        .into(),
    };
    let written = metadata_json("m", 7, &map.encode_to_vec().into()).unwrap();
    let read: Value = serde_json::from_slice(&written).unwrap();
    let wanted = json!({
        "model_spec": {"name": "m", "signature_name": "", "version": "7"},
        "metadata": {"signature_def": {"signature_def": {"serving_default": {
            "inputs": {"x": {
                "dtype": "DT_FLOAT",
                "tensor_shape": {
                    "dim": [{"size": "-1", "name": ""}, {"size": "2", "name": ""}],
                    "unknown_rank": false,
                },
                "name": "x:0",
            }},
            "outputs": {},
            "method_name": "tensorflow/serving/predict",
            "defaults": {},
        }}}},
    });
    assert_eq!(read, wanted);
}

proptest! {
    #[test]
    fn floats_read_back_the_same(values in prop::collection::vec(any::<f32>(), 1..9)) {
        let written = text(write_columns(&[("y", &floats(&[values.len()], &values))]));
        if values.iter().all(|value| value.is_finite()) {
            let read: Value = serde_json::from_str(&written).unwrap();
            for (value, read) in values.iter().zip(read["outputs"].as_array().unwrap()) {
                assert!(read.is_f64());
                assert_eq!(read.to_string().parse::<f32>().unwrap().to_bits(), value.to_bits());
            }
        }
    }

    #[test]
    fn any_strings_are_json(values in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..8), 1..9)) {
        let values: Vec<&[u8]> = values.iter().map(Vec::as_slice).collect();
        let written = write_rows(&[("y", &strings(&[values.len()], &values))]).unwrap();
        let read: Value = serde_json::from_slice(&written).unwrap();
        for (value, read) in values.iter().zip(read["predictions"].as_array().unwrap()) {
            match std::str::from_utf8(value) {
                Ok(text) => assert_eq!(read, text),
                Err(_) => assert!(read["b64"].is_string()),
            }
        }
    }
}
