//! Against the generated messages, which prost reads and writes.

use bytes::{Bytes, BytesMut};
use proptest::collection::{btree_map, vec};
use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop_oneof, proptest};
use prost::Message;
use tensor::{DType, Shape, Tensor};

use super::{
    ModelSpec, PredictCall, PredictReply, Version, WireError, decode_request, decode_response,
    encode_request,
};
use crate::Segments;
use crate::proto::serving::{self, model_spec::VersionChoice};
use crate::proto::tensorflow::TensorProto;
use crate::tensor_proto::{Encoding, TensorProtoError, decode_tensor};

fn tensor(values: &[f32]) -> Tensor {
    let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    Tensor::fixed(
        DType::Float,
        Shape::new(&[values.len()]).unwrap(),
        bytes.into(),
    )
    .unwrap()
}

fn any_version() -> impl Strategy<Value = Option<VersionChoice>> {
    prop_oneof![
        Just(None),
        any::<i64>().prop_map(|number| Some(VersionChoice::Version(number))),
        any::<String>().prop_map(|label| Some(VersionChoice::VersionLabel(label))),
    ]
}

fn any_spec() -> impl Strategy<Value = serving::ModelSpec> {
    (any::<String>(), any::<String>(), any_version()).prop_map(
        |(name, signature_name, version_choice)| serving::ModelSpec {
            name,
            signature_name,
            version_choice,
        },
    )
}

fn any_tensor_proto() -> impl Strategy<Value = TensorProto> {
    vec(any::<f32>(), 0..4).prop_map(|float_val| TensorProto {
        dtype: 1,
        float_val,
        ..TensorProto::default()
    })
}

fn any_request() -> impl Strategy<Value = serving::PredictRequest> {
    let spec = prop_oneof![Just(None), any_spec().prop_map(Some)];
    let inputs = btree_map(any::<String>(), any_tensor_proto(), 0..30);
    (spec, inputs, vec(any::<String>(), 0..4)).prop_map(|(model_spec, inputs, output_filter)| {
        serving::PredictRequest {
            model_spec,
            inputs,
            output_filter,
            client_id: Some(Bytes::from_static(b"not looked at")),
            ..serving::PredictRequest::default()
        }
    })
}

fn spec_of(spec: &serving::ModelSpec) -> ModelSpec<'_> {
    ModelSpec {
        name: &spec.name,
        version: match &spec.version_choice {
            None => Version::Latest,
            Some(VersionChoice::Version(number)) => Version::Number(*number),
            Some(VersionChoice::VersionLabel(label)) => Version::Label(label),
        },
        signature_name: &spec.signature_name,
    }
}

proptest! {
    #[test]
    fn requests_are_what_prost_wrote(request in any_request()) {
        let message = Bytes::from(request.encode_to_vec());
        let decoded = decode_request(&message).unwrap();
        assert_eq!(decoded.spec, request.model_spec.as_ref().map(spec_of));
        assert_eq!(decoded.output_filter, request.output_filter);
        assert_eq!(decoded.inputs.len(), request.inputs.len());
        for input in decoded.inputs {
            let tensor = TensorProto::decode(input.tensor).unwrap();
            assert_eq!(tensor.encode_to_vec(), request.inputs[input.name].encode_to_vec());
        }
    }

    #[test]
    fn calls_are_what_prost_reads(
        spec in any_spec(),
        inputs in btree_map(any::<String>(), vec(any::<f32>(), 0..4), 0..4),
        filter in vec(any::<String>(), 0..4),
    ) {
        let tensors: Vec<_> = inputs.iter().map(|(name, v)| (name.as_str(), tensor(v))).collect();
        let inputs: Vec<_> = tensors.iter().map(|(name, tensor)| (*name, tensor)).collect();
        let filter: Vec<&str> = filter.iter().map(String::as_str).collect();
        let call = PredictCall { spec: spec_of(&spec), inputs: &inputs, output_filter: &filter };
        let message = encode_request(&call);
        assert_eq!(message.len(), call.encoded_len());

        let read = serving::PredictRequest::decode(message.clone()).unwrap();
        assert_eq!(read.model_spec.as_ref(), Some(&spec));
        assert_eq!(read.output_filter, filter);
        assert_eq!(read.encoded_len(), message.len());
        assert_eq!(read.inputs.len(), inputs.len());
        assert!(read.inputs.values().all(|tensor| tensor.float_val.is_empty()));
        for input in decode_request(&message).unwrap().inputs {
            let decoded = decode_tensor(&message, input.tensor, 1000).unwrap();
            let sent = inputs.iter().find(|(name, _)| *name == input.name).unwrap();
            assert_eq!(decoded, *sent.1);
        }
    }

    #[test]
    fn replies_are_what_prost_and_the_client_read(
        names in (any::<String>(), any::<String>()),
        version in any::<i64>(),
        outputs in btree_map(any::<String>(), vec(any::<f32>(), 0..4), 0..4),
        encoding in prop_oneof![Just(Encoding::TypedFields), Just(Encoding::TensorContent)],
    ) {
        let tensors: Vec<_> = outputs.iter().map(|(name, v)| (name.as_str(), tensor(v))).collect();
        let outputs: Vec<_> = tensors.iter().map(|(name, tensor)| (*name, tensor)).collect();
        let reply = PredictReply {
            model_name: &names.0,
            version,
            signature_name: &names.1,
            outputs: &outputs,
            encoding,
        };
        let mut message = BytesMut::new();
        let reply = reply.measure();
        reply.write(&mut message);
        assert_eq!(message.len(), reply.encoded_len());
        let mut pieces = Segments::with_capacity(reply.encoded_len() - reply.shared_len());
        reply.write(&mut pieces);
        assert_eq!(pieces.into_pieces().concat(), message);
        let message = message.freeze();

        let read = serving::PredictResponse::decode(message.clone()).unwrap();
        assert_eq!(read.encoded_len(), message.len());
        let spec = read.model_spec.unwrap();
        assert_eq!(spec.version_choice, Some(VersionChoice::Version(version)));

        let response = decode_response(&message, 1000).unwrap();
        assert_eq!((response.model_name, response.signature_name), names);
        assert_eq!(response.version, Some(version));
        let got: Vec<_> = response.outputs.iter().map(|(n, t)| (n.as_str(), t)).collect();
        assert_eq!(got, outputs);
    }

    #[test]
    fn random_bytes_never_panic(bytes in any::<Vec<u8>>()) {
        let bytes = Bytes::from(bytes);
        let _ = decode_request(&bytes);
        let _ = decode_response(&bytes, 1000);
    }
}

proptest! {
    // Each case is a decoding for every byte of a message.
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn prefixes_and_noise_never_panic(request in any_request(), noise in any::<[u8; 4]>()) {
        let bytes = request.encode_to_vec();
        for end in 0..bytes.len() {
            let _ = decode_request(&Bytes::copy_from_slice(&bytes[..end]));
            let mut spoilt = bytes.clone();
            spoilt.splice(end..end, noise);
            let spoilt = Bytes::from(spoilt);
            let _ = decode_request(&spoilt);
            let _ = decode_response(&spoilt, 1000);
        }
    }
}

/// A map entry of field 2, or of another.
fn entry(number: u8, name: &str, tensor: &[u8]) -> Vec<u8> {
    let mut inner = vec![10, name.len() as u8];
    inner.extend(name.as_bytes());
    inner.extend([18, tensor.len() as u8]);
    inner.extend(tensor);
    let mut field = vec![number << 3 | 2, inner.len() as u8];
    field.extend(inner);
    field
}

#[test]
fn of_a_name_given_twice_the_last_counts() {
    for others in [0, 3, 15, 16, 17, 40] {
        let mut message = entry(2, "x", &[8, 1]);
        for other in 0..others {
            message.extend(entry(2, &format!("other{other}"), &[]));
        }
        message.extend(entry(2, "x", &[8, 2]));
        message.extend(entry(2, "other1", &[8, 3]));
        let message = Bytes::from(message);
        let inputs = decode_request(&message).unwrap().inputs;
        assert_eq!(inputs.len(), 1 + others.max(1));
        assert_eq!(inputs[0].tensor, [8, 2]);
        let other = inputs.iter().find(|input| input.name == "other1");
        assert_eq!(other.unwrap().tensor, [8, 3]);
    }
}

/// Comparing each name with all before it would take many minutes here.
#[test]
fn many_inputs_take_linear_time() {
    const COUNT: usize = 200_000;
    let mut message = Vec::new();
    for number in 0..COUNT {
        message.extend(entry(2, &number.to_string(), &[8, 1]));
    }
    message.extend(entry(2, "199999", &[8, 2]));
    let message = Bytes::from(message);
    let inputs = decode_request(&message).unwrap().inputs;
    assert_eq!(inputs.len(), COUNT);
    assert_eq!(inputs[COUNT - 1].tensor, [8, 2]);
}

#[test]
fn entries_are_bounded() {
    let names = Bytes::from([26, 0].repeat(1 << 21));
    assert_eq!(
        decode_request(&names).unwrap_err().to_string(),
        "the message has more than 1048576 names in output_filter, the most that is taken"
    );
    let same = Bytes::from([18, 0].repeat(1 << 21));
    assert_eq!(decode_request(&same).unwrap().inputs.len(), 1);
}

#[test]
fn a_spec_given_twice_is_joined() {
    let spec = |bytes: &[u8]| {
        let mut field = vec![10, bytes.len() as u8];
        field.extend(bytes);
        field
    };
    let mut message = spec(&[10, 1, b'a', 18, 2, 8, 5, 26, 1, b's']);
    message.extend(spec(&[10, 1, b'b']));
    message.extend(spec(&[18, 0]));
    let message = Bytes::from(message);
    let read = decode_request(&message).unwrap().spec.unwrap();
    let prosts = serving::PredictRequest::decode(message.clone()).unwrap();
    assert_eq!(read.name, "b");
    assert_eq!(read.signature_name, "s");
    assert_eq!(read.version, Version::Number(5));
    assert_eq!(prosts.model_spec.unwrap().name, "b");
}

#[test]
fn an_empty_label_is_a_label() {
    let spec = ModelSpec {
        version: Version::Label(""),
        ..ModelSpec::default()
    };
    let call = PredictCall {
        spec,
        inputs: &[],
        output_filter: &[],
    };
    let message = encode_request(&call);
    assert_eq!(decode_request(&message).unwrap().spec, Some(spec));
}

#[test]
fn what_is_no_request() {
    for wrong in [
        &[18, 3, 10, 1, 0xff][..], // an input's name is not UTF-8
        &[10, 3, 10, 1, 0xff],     // the model's name
        &[26, 1, 0xff],            // a name in output_filter
        &[18, 4, 18, 0, 18, 0],    // an entry with two values
        &[18, 3, 18, 4, 8],        // an entry cut short
        &[10, 4, 18, 2, 8, 0x80],  // a version cut short
    ] {
        let message = Bytes::copy_from_slice(wrong);
        assert!(
            matches!(decode_request(&message), Err(WireError::Malformed(_))),
            "{wrong:?}"
        );
    }
}

#[test]
fn the_tensors_of_a_response_share_the_limit() {
    let value = tensor(&[1.0; 100]);
    let reply = PredictReply {
        model_name: "m",
        version: 1,
        signature_name: "s",
        outputs: &[("a", &value), ("b", &value)],
        encoding: Encoding::TensorContent,
    };
    let mut message = BytesMut::new();
    reply.measure().write(&mut message);
    let message = message.freeze();
    assert!(decode_response(&message, 800).is_ok());
    let Err(WireError::Tensor { name, error }) = decode_response(&message, 799) else {
        panic!("not refused");
    };
    assert_eq!(name, "b");
    assert!(matches!(
        error,
        TensorProtoError::TooLarge { limit: 399, .. }
    ));
}
