//! What goes in and comes out: every element type, strings, shapes, defaults, filters.

use bytes::Bytes;
use tensor::{DType, Shape, Tensor};

use crate::environment::{Request, built, bytes_of, call, float_values, floats, load};
use crate::graph::{Attribute, FLOAT, Model};

#[test]
fn variables_are_restored() {
    let model = load(&built("half_plus_two", 1));
    let y = call(&model, "x", floats(&[3], &[1.0, 2.0, 5.0]));
    assert_eq!(y.shape().dims(), [3]);
    assert_eq!(float_values(&y), [2.5, 3.0, 4.5]);
}

#[test]
fn undeclared_shapes_are_run_as_tensorflow_serving_does() {
    let model = load(&built("half_plus_two", 1));
    let y = call(&model, "x", floats(&[2, 1], &[1.0, 2.0]));
    assert_eq!(y.shape().dims(), [2, 1]);
    let y = call(&model, "x", floats(&[], &[1.0]));
    assert_eq!((y.shape().rank(), float_values(&y)), (0, vec![2.5]));
}

/// One row of every element type, bit for bit, with all 256 byte values in it.
#[test]
fn every_fixed_type_crosses_bit_for_bit() {
    let counting: Vec<u8> = (0..=255).collect();
    for dtype in DType::ALL {
        let Some(size) = dtype.size() else { continue };
        let model = load(&built(&format!("identity_{dtype}"), 1));
        let bytes = match dtype {
            DType::Bool => [0, 1].repeat(128),
            _ => counting.clone(),
        };
        let shape = Shape::new(&[256 / size / 8, 8]).unwrap();
        let x = Tensor::fixed(dtype, shape, bytes.into()).unwrap();
        assert_eq!(call(&model, "x", x.clone()), x, "{dtype}");
    }
}

#[test]
fn tensors_without_elements() {
    for dtype in DType::ALL {
        let model = load(&built(&format!("identity_{dtype}"), 1));
        for dims in [&[0][..], &[0, 3], &[2, 0, 5]] {
            let shape = Shape::new(dims).unwrap();
            let x = match dtype {
                DType::String => Tensor::strings(shape, Vec::new()),
                _ => Tensor::fixed(dtype, shape, Bytes::new()),
            };
            let x = x.unwrap();
            assert_eq!(call(&model, "x", x.clone()), x, "{dtype}");
        }
    }
    let model = load(&built("half_plus_two", 1));
    assert_eq!(call(&model, "x", floats(&[0], &[])), floats(&[0], &[]));
}

/// TensorFlow keeps strings of up to 22 bytes in their slot, longer ones elsewhere.
#[test]
fn strings_of_any_bytes_and_length() {
    let model = load(&built("identity_string", 1));
    let long = vec![0xfe; 1 << 20];
    let strings: [&[u8]; 8] = [
        b"",
        b"text",
        b"\xff\xfe\x00 not UTF-8",
        b"\0",
        &[7; 22],
        &[7; 23],
        "é, 漢字".as_bytes(),
        &long,
    ];
    let strings = strings.map(Bytes::copy_from_slice).to_vec();
    let x = Tensor::strings(Shape::new(&[2, 4]).unwrap(), strings).unwrap();
    assert_eq!(call(&model, "x", x.clone()), x);

    let scalar = Tensor::strings(Shape::scalar(), vec![Bytes::from_static(b"one")]).unwrap();
    assert_eq!(call(&model, "x", scalar.clone()), scalar);
}

/// `Identity` gives back the buffer it was fed with: the output is a view of what was
/// fed, kept alive by the output alone.
#[test]
fn an_output_that_shares_its_input_outlives_it() {
    let model = load(&built("identity_float", 1));
    let values: Vec<f32> = (0..100_000).map(|n| n as f32).collect();
    let outputs: Vec<Tensor> = (0..20)
        .map(|_| call(&model, "x", floats(&[100_000], &values)))
        .collect();
    drop(model);
    for output in outputs {
        assert_eq!(float_values(&output), values);
        let part = bytes_of(&output).slice(4..8);
        drop(output);
        assert_eq!(*part, 1_f32.to_le_bytes());
    }
}

/// TensorFlow 1's variables are written in place: what was read from one before must
/// stay what it was.
#[test]
fn an_output_that_shares_a_variable_does_not_change() {
    let dtype = || Attribute::of_dtype(FLOAT);
    let directory = Model::new()
        .placeholder("x", FLOAT)
        .node(
            ("variable", "VariableV2"),
            &[],
            &[("dtype", dtype()), ("shape", Attribute::of_shape(&[2]))],
        )
        .node(("set", "Assign"), &["variable", "x"], &[("T", dtype())])
        .identity("y", "set", FLOAT)
        .signature("serving_default", &[("x", "x:0")], &[("y", "y:0")])
        .write();
    let model = load(directory.path());
    let first = call(&model, "x", floats(&[2], &[1.0, 2.0]));
    let second = call(&model, "x", floats(&[2], &[3.0, 4.0]));
    assert_eq!(float_values(&second), [3.0, 4.0]);
    assert_eq!(float_values(&first), [1.0, 2.0]);
}

/// TensorFlow 2's variables move away from memory that an output shares.
#[test]
fn an_output_that_shares_a_resource_does_not_change() {
    let dtype = || ("dtype", Attribute::of_dtype(FLOAT));
    let shape = ("shape", Attribute::of_shape(&[2]));
    let name = ("shared_name", Attribute::of_text("variable"));
    let directory = Model::new()
        .placeholder("x", FLOAT)
        .node(("variable", "VarHandleOp"), &[], &[dtype(), shape, name])
        .node(("set", "AssignVariableOp"), &["variable", "x"], &[dtype()])
        .node(("is", "ReadVariableOp"), &["variable", "^set"], &[dtype()])
        .node(
            ("add", "AssignAddVariableOp"),
            &["variable", "x"],
            &[dtype()],
        )
        .node(("sum", "ReadVariableOp"), &["variable", "^add"], &[dtype()])
        .signature("serving_default", &[("x", "x:0")], &[("y", "is:0")])
        .signature("add", &[("x", "x:0")], &[("y", "sum:0")])
        .write();
    let model = load(directory.path());
    let first = call(&model, "x", floats(&[2], &[1.0, 2.0]));
    let mut request = Request::new(vec![("x", floats(&[2], &[10.0, 20.0]))]);
    request.signature = "add";
    assert_eq!(float_values(&request.run(&model).unwrap()[0]), [11.0, 22.0]);
    assert_eq!(float_values(&first), [1.0, 2.0]);
}

#[test]
fn named_signatures_and_output_filters() {
    let model = load(&built("half_plus_two", 1));
    let run = |outputs: &[&str]| {
        let mut request = Request::new(vec![("x", floats(&[2], &[2.0, 8.0]))]);
        request.signature = "summary";
        request.outputs = outputs;
        let tensors = request.run(&model).unwrap();
        tensors.iter().map(float_values).collect::<Vec<_>>()
    };
    let (least, most, y) = (vec![3.0], vec![6.0], vec![3.0, 6.0]);
    assert_eq!(run(&[]), [least.clone(), most.clone(), y.clone()]);
    assert_eq!(run(&["y"]), std::slice::from_ref(&y));
    assert_eq!(run(&["y", "least"]), [y.clone(), least.clone()]);
    assert_eq!(run(&["y", "most", "least"]), [y, most, least]);
}

#[test]
fn defaults_stand_in_for_inputs_left_out() {
    let model = load(&built("defaults", 1));
    let run = |inputs| {
        let outputs = Request::new(inputs).run(&model).unwrap();
        float_values(&outputs[0])
    };
    let x = || ("x", floats(&[2], &[1.0, 2.0]));
    assert_eq!(run(vec![x()]), [12.0, 14.0]);
    assert_eq!(run(vec![x(), ("offset", floats(&[], &[0.0]))]), [2.0, 4.0]);
}

#[test]
fn tensorflow_s_own_errors_come_through() {
    let model = load(&built("fill", 1));
    let size = Bytes::copy_from_slice(&(1_i64 << 40).to_le_bytes());
    let size = Tensor::fixed(DType::Int64, Shape::scalar(), size).unwrap();
    let error = Request::new(vec![("size", size)]).run(&model).unwrap_err();
    assert_eq!(error.kind(), engine::Kind::ResourceExhausted, "{error}");
    let size = Bytes::copy_from_slice(&(-1_i64).to_le_bytes());
    let size = Tensor::fixed(DType::Int64, Shape::scalar(), size).unwrap();
    let error = Request::new(vec![("size", size)]).run(&model).unwrap_err();
    assert_eq!(error.kind(), engine::Kind::InvalidArgument, "{error}");
}
