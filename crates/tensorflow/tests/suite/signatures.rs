//! Which signatures are offered, which are kept as unusable, what metadata shows.

use engine::{Kind, Signature};
use prost::Message;
use tensor::DType;
use wire::proto::serving::SignatureDefMap;
use wire::proto::tensorflow::tensor_info::{CompositeTensor, CooSparse, Encoding};
use wire::proto::tensorflow::tensor_shape_proto::Dim;
use wire::proto::tensorflow::{TensorProto, TensorShapeProto};

use crate::environment::{Request, built, float_values, floats, load};
use crate::graph::{FLOAT, Model};

const RESOURCE: i32 = 20;

fn names(signatures: &[Signature]) -> Vec<&str> {
    signatures.iter().map(|each| each.name.as_str()).collect()
}

#[test]
fn the_initialisation_is_shown_and_not_offered() {
    let model = load(&built("half_plus_two", 1));
    let offered = names(model.signatures());
    assert_eq!(offered, ["scaled", "serving_default", "summary"]);
    let map = SignatureDefMap::decode(model.signature_def_map.clone()).unwrap();
    assert!(map.signature_def.contains_key("__saved_model_init_op"));
    assert!(map.signature_def.contains_key("serving_default"));
    let error = model.signature("__saved_model_init_op").unwrap_err();
    assert_eq!(error.kind(), Kind::FailedPrecondition);
}

#[test]
fn tensors_are_described() {
    let model = load(&built("half_plus_two", 1));
    let (_, signature) = model.signature("scaled").unwrap();
    assert_eq!(signature.method_name, "tensorflow/serving/predict");
    let [factor, x] = &signature.inputs[..] else {
        panic!("{:?}", signature.inputs);
    };
    assert_eq!((factor.alias.as_str(), x.alias.as_str()), ("factor", "x"));
    assert_eq!(factor.shape.as_deref(), Some(&[][..]));
    assert_eq!(x.shape.as_deref(), Some(&[-1][..]));
    assert_eq!(x.dtype, DType::Float);
    assert!(x.tensor_name.ends_with(":0"), "{}", x.tensor_name);

    let model = load(&built("identity_float", 1));
    assert_eq!(model.signatures()[0].inputs[0].shape, None);
}

/// A graph with an identity of a float, and a variable's handle.
fn model() -> Model {
    Model::new()
        .placeholder("x", FLOAT)
        .placeholder("handle", RESOURCE)
        .identity("y", "x", FLOAT)
        .signature("serving_default", &[("x", "x:0")], &[("y", "y:0")])
}

fn reason_of(model: Model) -> String {
    let directory = model.write();
    let model = load(directory.path());
    let outputs = Request::new(vec![("x", floats(&[1], &[1.0]))]).run(&model);
    assert_eq!(float_values(&outputs.unwrap()[0]), [1.0], "the others work");
    let error = model.signature("bad").unwrap_err();
    assert_eq!(error.kind(), Kind::FailedPrecondition);
    let start = "Serving signature key \"bad\" cannot be run: ";
    error.message().strip_prefix(start).unwrap().to_owned()
}

#[test]
fn tensors_that_the_graph_lacks() {
    for name in ["nowhere:0", "y:1", "y:-1", "^y", "y:x", "nul\0:0", ""] {
        let reason = reason_of(model().signature("bad", &[("x", "x:0")], &[("y", name)]));
        let expected =
            format!("its output \"y\" names the tensor \"{name}\", which the graph does not have");
        assert_eq!(reason, expected);
    }
}

#[test]
fn tensors_that_no_request_can_carry() {
    let reason = reason_of(model().signature("bad", &[("h", "handle:0")], &[("y", "y:0")]));
    assert_eq!(
        reason,
        "its input \"h\" is of type DT_RESOURCE, which no request or reply can carry"
    );

    let encoded = |encoding: Option<Encoding>| {
        let bad = model().signature("bad", &[("x", "x:0")], &[("y", "y:0")]);
        reason_of(bad.edit_signature("bad", |signature| {
            signature.inputs.get_mut("x").unwrap().encoding = encoding;
        }))
    };
    let sparse = Encoding::CooSparse(CooSparse::default());
    assert_eq!(encoded(Some(sparse)), "its input \"x\" is a sparse tensor");
    let composite = Encoding::CompositeTensor(CompositeTensor::default());
    assert_eq!(
        encoded(Some(composite)),
        "its input \"x\" is a composite tensor, such as a ragged one"
    );
    assert_eq!(encoded(None), "its input \"x\" names no tensor");
}

/// A default can ask for any number of elements in a few bytes.
#[test]
fn a_default_that_is_too_large() {
    let bad = model().signature("bad", &[("x", "x:0")], &[("y", "y:0")]);
    let reason = reason_of(bad.edit_signature("bad", |signature| {
        let dim = Dim {
            size: 1 << 40,
            ..Dim::default()
        };
        let shape = TensorShapeProto {
            dim: vec![dim],
            ..TensorShapeProto::default()
        };
        let default = TensorProto {
            dtype: FLOAT,
            tensor_shape: Some(shape),
            ..TensorProto::default()
        };
        signature.defaults.insert("x".into(), default);
    }));
    assert!(
        reason.starts_with("the default of its input \"x\": "),
        "{reason}"
    );
}

#[test]
fn a_broken_signature_of_a_real_model() {
    let model = load(&built("broken_signature", 1));
    assert!(model.signature("").is_ok());
    assert!(model.signature("broken").is_err());
}

/// The type that counts is the graph's: TensorFlow checks no other.
#[test]
fn a_signature_need_not_say_its_types() {
    let directory = model().write();
    let model = load(directory.path());
    let (_, signature) = model.signature("").unwrap();
    assert_eq!(signature.inputs[0].dtype, DType::Float);
    assert_eq!(signature.inputs[0].shape, None);
}
