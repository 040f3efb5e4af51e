//! Random messages and tensors, read and written, against a simple reference.

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_oneof, proptest};
use prost::Message;
use tensor::{DType, Data, Shape, Tensor};

use super::{Encoding, TensorProto, decode, decode_proto, encode, floats, shape_proto};

// ---- the simple reference: a decoded message to elements, value by value

fn typed_values(proto: &TensorProto, dtype: DType) -> Vec<Vec<u8>> {
    fn each<T: Copy, const N: usize>(values: &[T], bytes: impl Fn(T) -> [u8; N]) -> Vec<Vec<u8>> {
        values.iter().map(|value| bytes(*value).to_vec()).collect()
    }
    match dtype {
        DType::Float => each(&proto.float_val, f32::to_le_bytes),
        DType::Double => each(&proto.double_val, f64::to_le_bytes),
        DType::Int32 => each(&proto.int_val, i32::to_le_bytes),
        DType::UInt8 | DType::Int8 => each(&proto.int_val, |value| [value as u8]),
        DType::Int16 | DType::UInt16 => each(&proto.int_val, |value| (value as u16).to_le_bytes()),
        DType::Half | DType::BFloat16 => each(&proto.half_val, |v| (v as u16).to_le_bytes()),
        DType::Int64 => each(&proto.int64_val, i64::to_le_bytes),
        DType::UInt32 => each(&proto.uint32_val, u32::to_le_bytes),
        DType::UInt64 => each(&proto.uint64_val, u64::to_le_bytes),
        DType::Bool => each(&proto.bool_val, |value| [u8::from(value)]),
        DType::Complex64 => {
            let (pairs, _) = proto.scomplex_val.as_chunks::<2>();
            pairs.iter().map(|pair| floats(pair)).collect()
        }
        DType::Complex128 => {
            let (pairs, _) = proto.dcomplex_val.as_chunks::<2>();
            let bytes = |pair: &[f64; 2]| pair.map(f64::to_le_bytes).concat();
            pairs.iter().map(bytes).collect()
        }
        DType::String => proto
            .string_val
            .iter()
            .map(|value| value.to_vec())
            .collect(),
    }
}

fn reference(proto: &TensorProto) -> Option<Tensor> {
    let dtype = DType::from_number(proto.dtype)?;
    let dims = proto.tensor_shape.iter().flat_map(|shape| &shape.dim);
    let shape = Shape::from_signed(dims.map(|dim| dim.size))?;
    let mut values = typed_values(proto, dtype);
    let zero = vec![0; dtype.size().unwrap_or(0)];
    let last = values.last().cloned().unwrap_or(zero);
    values.resize(shape.elements(), last);
    if dtype == DType::String {
        let strings = values.into_iter().map(Bytes::from).collect();
        return Tensor::strings(shape, strings).ok();
    }
    let bytes = if proto.tensor_content.is_empty() || shape.elements() == 0 {
        values.concat().into()
    } else {
        proto.tensor_content.clone()
    };
    Tensor::fixed(dtype, shape, bytes).ok()
}

// ---- random messages and tensors

fn any_dtype() -> impl Strategy<Value = DType> {
    (0..DType::ALL.len()).prop_map(|index| DType::ALL[index])
}

fn any_values() -> impl Strategy<Value = TensorProto> {
    let numbers = (
        vec(any::<f32>(), 0..9),
        vec(any::<f64>(), 0..9),
        vec(any::<i32>(), 0..9),
        vec(any::<i64>(), 0..9),
        vec(any::<bool>(), 0..9),
        vec(any::<u32>(), 0..9),
        vec(any::<u64>(), 0..9),
    );
    let strings = vec(vec(any::<u8>(), 0..5).prop_map(Bytes::from), 0..9);
    (numbers, strings).prop_map(
        |((floats, doubles, ints, longs, bools, u32s, u64s), strings)| TensorProto {
            scomplex_val: floats.iter().rev().copied().collect(),
            float_val: floats,
            dcomplex_val: doubles.iter().rev().copied().collect(),
            double_val: doubles,
            half_val: ints.iter().rev().copied().collect(),
            int_val: ints,
            int64_val: longs,
            bool_val: bools,
            uint32_val: u32s,
            uint64_val: u64s,
            string_val: strings,
            version_number: 7,
            ..TensorProto::default()
        },
    )
}

fn any_proto() -> impl Strategy<Value = TensorProto> {
    let shape = prop_oneof![
        4 => vec(0..4_i64, 0..4).prop_map(|dims| Some(shape_proto(&dims))),
        1 => Just(None),
    ];
    (any_dtype(), shape, any_values()).prop_map(|(dtype, tensor_shape, values)| TensorProto {
        dtype: dtype.number(),
        tensor_shape,
        ..values
    })
}

fn any_tensor() -> impl Strategy<Value = Tensor> {
    (any_dtype(), vec(0..5_usize, 0..4)).prop_flat_map(|(dtype, dims)| {
        let shape = Shape::new(&dims).unwrap();
        let size = dtype.size().unwrap_or(1) * shape.elements();
        vec(vec(any::<u8>(), 0..5), size).prop_map(move |bytes| {
            let shape = shape.clone();
            if dtype == DType::String {
                return Tensor::strings(shape, bytes.into_iter().map(Bytes::from).collect())
                    .unwrap();
            }
            let first = |value: &Vec<u8>| value.first().copied().unwrap_or(0xff);
            let mut bytes: Vec<u8> = bytes.iter().map(first).collect();
            if dtype == DType::Bool {
                for byte in &mut bytes {
                    *byte &= 1;
                }
            }
            Tensor::fixed(dtype, shape, bytes.into()).unwrap()
        })
    })
}

proptest! {
    #[test]
    fn typed_values_decode_as_the_reference(proto in any_proto()) {
        assert_eq!(decode_proto(&proto).ok(), reference(&proto));
    }

    #[test]
    fn content_decodes_as_the_reference(
        mut proto in any_proto(),
        content in vec(0..2_u8, 0..100),
        fitting in any::<bool>(),
    ) {
        if proto.dtype == DType::String.number() {
            proto.dtype = DType::Float.number();
        }
        let wanted = reference(&proto).map_or(0, |tensor| match tensor.data() {
            Data::Fixed(bytes) => bytes.len(),
            Data::Strings(_) => 0,
        });
        let mut content = content;
        if fitting {
            content.resize(wanted, 1);
        }
        proto.tensor_content = content.into();
        assert_eq!(decode_proto(&proto).ok(), reference(&proto));
    }

    #[test]
    fn written_tensors_are_what_prost_reads_and_writes(tensor in any_tensor()) {
        for encoding in [Encoding::TypedFields, Encoding::TensorContent] {
            let encoded = encode(&tensor, encoding);
            let message = TensorProto::decode(encoded.clone()).unwrap();
            assert_eq!(reference(&message).as_ref(), Some(&tensor));
            assert_eq!(message.encoded_len(), encoded.len());
            assert_eq!(decode(encoded).unwrap(), tensor);
        }
        // Every element is written, none left to padding.
        let typed = TensorProto::decode(encode(&tensor, Encoding::TypedFields)).unwrap();
        assert_eq!(typed_values(&typed, tensor.dtype()).len(), tensor.shape().elements());
        assert!(typed.tensor_content.is_empty());
    }

    #[test]
    fn prefixes_and_noise_never_panic(
        proto in any_proto(),
        content in any::<Vec<u8>>(),
        noise in any::<[u8; 4]>(),
        at in any::<usize>(),
    ) {
        let mut bytes = TensorProto { tensor_content: content.into(), ..proto }.encode_to_vec();
        for end in 0..bytes.len() {
            let _ = decode(bytes[..end].to_vec());
        }
        let at = at % (bytes.len() + 1);
        bytes.splice(at..at, noise);
        let _ = decode(bytes);
    }

    #[test]
    fn random_bytes_never_panic(bytes in any::<Vec<u8>>()) {
        let _ = decode(bytes);
    }
}
