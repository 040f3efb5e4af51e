//! Cases that TensorFlow was asked about, one by one.

use bytes::{BufMut, Bytes};
use prost::Message;
use tensor::{DType, Data, Shape, Tensor};

use super::{
    Encoding, LIMIT, TensorProto, TensorProtoError, TensorShapeProto, decode, decode_proto,
    decode_tensor, elements, encode, floats, proto, shape_proto, tensor_proto_len, with,
    write_tensor_proto,
};

#[test]
fn padding() {
    let values = |count| TensorProto {
        float_val: vec![1.0; count],
        ..proto(DType::Float, &[3])
    };
    assert_eq!(elements(values(0).encode_to_vec()), floats(&[0.0; 3]));
    assert_eq!(elements(values(1).encode_to_vec()), floats(&[1.0; 3]));
    assert_eq!(elements(values(5).encode_to_vec()), floats(&[1.0; 3]));
    let strings = TensorProto {
        string_val: vec!["q".into(), "r".into()],
        ..proto(DType::String, &[3])
    };
    let Data::Strings(strings) = decode_proto(&strings).unwrap().into_parts().2 else {
        panic!("not strings");
    };
    assert_eq!(strings, ["q", "r", "r"]);
}

#[test]
fn no_shape_and_unknown_rank() {
    let mut scalar = TensorProto {
        float_val: vec![1.0, 2.0],
        tensor_shape: None,
        ..proto(DType::Float, &[])
    };
    assert_eq!(elements(scalar.encode_to_vec()), floats(&[1.0]));
    let unknown_rank = true;
    scalar.tensor_shape = Some(TensorShapeProto {
        unknown_rank,
        ..shape_proto(&[2])
    });
    assert_eq!(elements(scalar.encode_to_vec()), floats(&[1.0, 2.0]));
}

#[test]
fn content_must_fit() {
    let content = |length: usize| TensorProto {
        tensor_content: vec![0; length].into(),
        float_val: vec![9.0],
        ..proto(DType::Float, &[2])
    };
    assert_eq!(elements(content(8).encode_to_vec()), [0; 8]);
    assert_eq!(elements(content(0).encode_to_vec()), floats(&[9.0; 2]));
    assert_eq!(
        decode_proto(&content(7)).unwrap_err().to_string(),
        "tensor_content: float tensor of shape [2] needs 8 bytes, got 7"
    );
    assert!(decode_proto(&content(9)).is_err());
    // No elements: nothing is looked at.
    let empty = TensorProto {
        tensor_shape: Some(shape_proto(&[0, 2])),
        ..content(3)
    };
    assert!(elements(empty.encode_to_vec()).is_empty());
}

#[test]
fn content_of_strings_and_bools() {
    let strings = |content: &[u8]| TensorProto {
        tensor_content: content.to_vec().into(),
        string_val: vec!["ignored".into()],
        ..proto(DType::String, &[2])
    };
    let tensor = decode_proto(&strings(b"\x03\x02abcde")).unwrap();
    assert_eq!(
        *tensor.data(),
        Data::Strings(vec!["abc".into(), "de".into()])
    );
    for wrong in [
        &b"\x03\x02abcd"[..],
        b"\x03\x02abcdef",
        b"\x03",
        b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x02",
    ] {
        assert_eq!(
            decode_proto(&strings(wrong)).unwrap_err(),
            TensorProtoError::ContentStrings(2)
        );
    }
    let bools = TensorProto {
        tensor_content: vec![1, 2].into(),
        ..proto(DType::Bool, &[2])
    };
    assert_eq!(
        decode_proto(&bools).unwrap_err(),
        TensorProtoError::ContentBool(2)
    );
}

#[test]
fn integers_are_cut_and_extended() {
    let bytes = TensorProto {
        int_val: vec![300, -1],
        ..proto(DType::UInt8, &[2])
    };
    assert_eq!(elements(bytes.encode_to_vec()), [44, 255]);
    // 1 << 35 | 1, over the 32 bits of int_val
    let long = with(
        &proto(DType::Int32, &[1]),
        &[7 << 3, 0x81, 0x80, 0x80, 0x80, 0x80, 0x01],
    );
    assert_eq!(elements(long), 1_i32.to_le_bytes());
    let negative = Tensor::fixed(DType::Int8, Shape::scalar(), vec![0x80].into()).unwrap();
    assert_eq!(
        encode(&negative, Encoding::TypedFields)[4..],
        [58, 10, 0x80, 255, 255, 255, 255, 255, 255, 255, 255, 1]
    );
}

#[test]
fn half_complex_numbers_do_not_count() {
    let proto = TensorProto {
        scomplex_val: vec![1.0, 2.0, 3.0],
        ..proto(DType::Complex64, &[2])
    };
    assert_eq!(
        elements(proto.encode_to_vec()),
        floats(&[1.0, 2.0, 1.0, 2.0])
    );
    let lone = TensorProto {
        scomplex_val: vec![1.0],
        ..proto
    };
    assert_eq!(elements(lone.encode_to_vec()), [0; 16]);
}

#[test]
fn packed_unpacked_and_mixed() {
    let mut mixed = proto(DType::Float, &[5]).encode_to_vec();
    mixed.extend([5 << 3 | 5, 0, 0, 0x80, 0x3f]); // 1 unpacked
    mixed.extend([5 << 3 | 2, 8, 0, 0, 0, 0x40, 0, 0, 0x40, 0x40]); // 2, 3 packed
    mixed.extend([5 << 3 | 2, 0]); // none packed
    mixed.extend([5 << 3, 9]); // a varint: not float_val
    mixed.extend([5 << 3 | 5, 0, 0, 0x80, 0x40]); // 4 unpacked
    assert_eq!(elements(mixed), floats(&[1.0, 2.0, 3.0, 4.0, 4.0]));

    let ints = with(&proto(DType::Int16, &[4]), &[56, 1, 58, 2, 2, 3, 56, 4]);
    assert_eq!(elements(ints), [1, 0, 2, 0, 3, 0, 4, 0]);

    // A complex number in two chunks, and bools of many bits.
    let mut halves = proto(DType::Complex64, &[1]).encode_to_vec();
    for value in [1.0_f32, 2.0] {
        halves.extend([9 << 3 | 2, 4]);
        halves.extend(value.to_le_bytes());
    }
    assert_eq!(elements(halves), floats(&[1.0, 2.0]));
    let bools = with(
        &proto(DType::Bool, &[3]),
        &[90, 8, 2, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01, 0],
    );
    assert_eq!(elements(bools), [1, 1, 0]);
}

#[test]
fn given_twice() {
    let float = proto(DType::Float, &[2]);
    let shape_only = TensorProto {
        tensor_shape: Some(shape_proto(&[3])),
        ..TensorProto::default()
    };
    let tensor = decode(with(&float, &shape_only.encode_to_vec())).unwrap();
    assert_eq!(tensor.shape().dims(), [2, 3]);
    let content = |bytes: &[u8]| {
        let mut field = vec![4 << 3 | 2, bytes.len() as u8];
        field.extend(bytes);
        field
    };
    let two = [content(&[1; 8]), content(&[2; 8])].concat();
    assert_eq!(elements(with(&float, &two)), [2; 8]);
    let none = [content(&[1; 8]), content(&[])].concat();
    assert_eq!(elements(with(&float, &none)), [0; 8]);
}

#[test]
fn what_protobuf_refuses_is_refused_in_unused_fields_too() {
    let float = proto(DType::Float, &[2]);
    for wrong in [
        &[10 << 3 | 2, 1, 0x80][..],          // int64_val ends inside a value
        &[5 << 3 | 2, 5, 0, 0, 0, 0, 0],      // float_val ends inside a value
        &[2 << 3 | 2, 5, 18, 3, 18, 1, 0xff], // a dimension's name is not UTF-8
    ] {
        assert!(matches!(
            decode(with(&float, wrong)),
            Err(TensorProtoError::Malformed(_))
        ));
    }
    let group = [0xc3, 0x02, 0x08, 0x05, 0xc4, 0x02];
    assert!(decode(with(&float, &group)).is_ok());
}

#[test]
fn what_cannot_be_a_tensor() {
    let message = |proto: &TensorProto| decode_proto(proto).unwrap_err().to_string();
    assert_eq!(
        message(&proto(DType::Float, &[2, -1])),
        "a dimension has the negative size -1"
    );
    assert_eq!(
        message(&proto(DType::Float, &[1 << 40, 1 << 40])),
        "the number of elements, the product of the dimensions, overflows"
    );
    assert_eq!(
        message(&proto(DType::Float, &[1; 255])),
        "the shape has 255 dimensions, at most 254 are possible"
    );
    for number in [0, 11, 20, 21, 24, 101, -1] {
        let dtype = TensorProto {
            dtype: number,
            ..proto(DType::Float, &[])
        };
        assert_eq!(
            decode_proto(&dtype).unwrap_err(),
            TensorProtoError::DType(number)
        );
    }
}

#[test]
fn small_messages_do_not_ask_for_large_tensors() {
    for dtype in DType::ALL {
        let error = decode_proto(&proto(dtype, &[1 << 40])).unwrap_err();
        assert!(
            matches!(error, TensorProtoError::TooLarge { .. }),
            "{dtype}"
        );
    }
    assert_eq!(
        decode_proto(&proto(DType::Double, &[1 << 60]))
            .unwrap_err()
            .to_string(),
        "a double tensor of shape [1152921504606846976] takes more memory than the limit of \
         1048576 bytes"
    );
    let fits = proto(DType::Int8, &[LIMIT as i64]);
    assert_eq!(elements(fits.encode_to_vec()), vec![0; LIMIT]);
    assert!(decode_proto(&proto(DType::Int8, &[LIMIT as i64 + 1])).is_err());
}

#[test]
fn elements_are_views_where_they_can_be() {
    let numbers: Vec<f32> = (0..8_u8).map(f32::from).collect();
    let content = TensorProto {
        tensor_content: floats(&numbers).into(),
        ..proto(DType::Float, &[8])
    };
    let packed = TensorProto {
        float_val: numbers.clone(),
        ..proto(DType::Float, &[8])
    };
    let pairs = TensorProto {
        scomplex_val: numbers,
        ..proto(DType::Complex64, &[4])
    };
    let strings = TensorProto {
        string_val: vec!["view".into()],
        ..proto(DType::String, &[])
    };
    for proto in [content, packed, pairs, strings] {
        let message = Bytes::from(proto.encode_to_vec());
        let tensor = decode_tensor(&message, &message, LIMIT).unwrap();
        let first = match tensor.data() {
            Data::Fixed(bytes) => bytes,
            Data::Strings(strings) => &strings[0],
        };
        assert!(message.as_ptr_range().contains(&first.as_ptr()));
    }
}

#[test]
fn writes_into_exactly_the_room_there_is() {
    let bytes: Vec<u8> = (0..4000_i32)
        .flat_map(|n| (n * n - 5).to_le_bytes())
        .collect();
    let tensor = Tensor::fixed(DType::Int32, Shape::new(&[4000]).unwrap(), bytes.into()).unwrap();
    let mut room = vec![0; tensor_proto_len(&tensor, Encoding::TypedFields)];
    let mut rest = &mut room[..];
    write_tensor_proto(&tensor, Encoding::TypedFields, &mut rest);
    assert_eq!(rest.remaining_mut(), 0);
    assert_eq!(decode(room).unwrap(), tensor);
}

#[test]
fn true_is_true_in_any_form() {
    let tensor = Tensor::fixed(DType::Bool, Shape::scalar(), vec![0x80].into()).unwrap();
    let typed = TensorProto::decode(encode(&tensor, Encoding::TypedFields)).unwrap();
    assert_eq!(typed.bool_val, [true]);
}
