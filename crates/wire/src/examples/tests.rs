use bytes::Bytes;
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::{Just, Strategy, any, prop_oneof, proptest};
use prost::Message;
use tensor::{DType, Shape, Tensor};

use super::{
    Classes, ExampleResult, HANDLE_BYTES, Reply, ResultError, TaskReply, TooLarge, Values,
    decode_multi_request, decode_request, write_multi_response,
};
use crate::predict::{ModelSpec, Version};
use crate::proto::serving::input::Kind;
use crate::proto::serving::{
    ClassificationRequest, ClassificationResponse, ExampleList, ExampleListWithContext,
    InferenceTask, Input, MultiInferenceRequest, MultiInferenceResponse, RegressionResponse,
    inference_result,
};
use crate::proto::tensorflow::{
    BytesList, Example, Feature, Features, FloatList, Int64List, feature,
};

fn feature() -> impl Strategy<Value = Feature> {
    let kind = prop_oneof![
        vec(vec(any::<u8>(), 0..4), 0..3).prop_map(|value| feature::Kind::BytesList(BytesList {
            value: value.into_iter().map(Bytes::from).collect(),
        })),
        vec(-10_i64..10, 0..3).prop_map(|value| feature::Kind::Int64List(Int64List { value })),
        vec(-4.0_f32..4.0, 0..3).prop_map(|value| feature::Kind::FloatList(FloatList { value })),
    ];
    option::of(kind).prop_map(|kind| Feature { kind })
}

fn example() -> impl Strategy<Value = Example> {
    let features = btree_map("[abc]", feature(), 0..4).prop_map(|feature| Features { feature });
    option::of(features).prop_map(|features| Example { features })
}

fn input() -> impl Strategy<Value = Input> {
    let list = vec(example(), 0..5);
    let kind = prop_oneof![
        Just(None),
        list.prop_map(|examples| Some(Kind::ExampleList(ExampleList { examples }))),
        (vec(example(), 0..5), option::of(example())).prop_map(|(examples, context)| {
            Some(Kind::ExampleListWithContext(ExampleListWithContext {
                examples,
                context,
            }))
        }),
    ];
    kind.prop_map(|kind| Input { kind })
}

/// The examples as protobuf itself merges them with their context.
fn merged(input: Option<Input>) -> Vec<Example> {
    match input.and_then(|input| input.kind) {
        None => Vec::new(),
        Some(Kind::ExampleList(list)) => list.examples,
        Some(Kind::ExampleListWithContext(list)) => {
            let context = list.context.unwrap_or_default();
            let merge = |example: Example| {
                let mut merged = context.clone();
                merged.merge(example.encode_to_vec().as_slice()).unwrap();
                merged
            };
            list.examples.into_iter().map(merge).collect()
        }
    }
}

fn serialized(message: &Bytes) -> Vec<Example> {
    let request = decode_request(message).unwrap();
    let examples = request.input.serialized(message, (1, usize::MAX)).unwrap();
    assert_eq!(examples.len(), request.input.len());
    let decode = |example: Bytes| Example::decode(example).unwrap();
    examples.into_iter().map(decode).collect()
}

proptest! {
    #[test]
    fn examples_are_what_prost_reads(input in option::of(input())) {
        let request = ClassificationRequest { model_spec: None, input: input.clone() };
        let message = Bytes::from(request.encode_to_vec());
        assert_eq!(serialized(&message), merged(input));
    }

    /// A message in two halves is one message: fields are joined as protobuf joins them.
    #[test]
    fn inputs_are_joined(first in input(), second in input()) {
        let half = |input| ClassificationRequest { model_spec: None, input: Some(input) };
        let mut message = half(first).encode_to_vec();
        message.extend(half(second).encode_to_vec());
        let whole = ClassificationRequest::decode(message.as_slice()).unwrap();
        assert_eq!(serialized(&Bytes::from(message)), merged(whole.input));
    }

    #[test]
    fn random_bytes_end(bytes in any::<Vec<u8>>()) {
        let message = Bytes::from(bytes);
        if let Ok(request) = decode_request(&message) {
            let _ = request.input.serialized(&message, (1, 1 << 20));
        }
        let _ = decode_multi_request(&message);
    }

    #[test]
    fn values_are_what_prost_writes(values in vec(any::<f32>(), 0..20), two_dims in any::<bool>()) {
        let rows = values.len();
        let dims = if two_dims { vec![rows, 1] } else { vec![rows] };
        let result = ExampleResult::Values(Values::new(&floats(&dims, &values), rows).unwrap());
        let reply = RegressionResponse::decode(written(&result)).unwrap();
        let regressions = reply.result.unwrap().regressions;
        let read: Vec<u32> = regressions.iter().map(|it| it.value.to_bits()).collect();
        assert_eq!(read, values.iter().map(|it| it.to_bits()).collect::<Vec<_>>());
        assert_eq!(reply.model_spec.unwrap().signature_name, "sign");
    }

    #[test]
    fn classes_are_what_prost_writes(
        rows in 0_usize..4,
        (with_labels, with_scores) in prop_oneof![
            Just((true, true)), Just((true, false)), Just((false, true))
        ],
        labels in vec("\\PC{0,3}", 12),
        scores in vec(any::<f32>(), 12),
    ) {
        let count = rows * 3;
        let classes = strings(&[rows, 3], &labels[..count]);
        let numbers = floats(&[rows, 3], &scores[..count]);
        let classes = Some(&classes).filter(|_| with_labels);
        let numbers = Some(&numbers).filter(|_| with_scores);
        let result = ExampleResult::Classes(Classes::new(classes, numbers, rows).unwrap());
        let reply = ClassificationResponse::decode(written(&result)).unwrap();
        let rows_read = reply.result.unwrap().classifications;
        assert_eq!(rows_read.len(), rows);
        assert!(rows_read.iter().all(|row| row.classes.len() == 3));
        let read = rows_read.into_iter().flat_map(|row| row.classes);
        for (at, class) in read.enumerate() {
            assert_eq!(class.label, if with_labels { &labels[at] } else { "" });
            let score = if with_scores { scores[at] } else { 0.0 };
            assert_eq!(class.score.to_bits(), score.to_bits());
        }
    }
}

fn spec() -> ModelSpec<'static> {
    ModelSpec {
        name: "model",
        version: Version::Number(7),
        signature_name: "sign",
    }
}

fn written(result: &ExampleResult) -> Bytes {
    let reply = Reply::new(spec(), result).unwrap();
    let mut message = Vec::new();
    reply.write(&mut message);
    assert_eq!(message.len(), reply.encoded_len());
    Bytes::from(message)
}

fn floats(dims: &[usize], values: &[f32]) -> Tensor {
    let bytes: Vec<u8> = values.iter().flat_map(|it| it.to_le_bytes()).collect();
    Tensor::fixed(DType::Float, Shape::new(dims).unwrap(), bytes.into()).unwrap()
}

fn strings<S: AsRef<[u8]>>(dims: &[usize], values: &[S]) -> Tensor {
    let copy = |value: &S| Bytes::copy_from_slice(value.as_ref());
    let values = values.iter().map(copy).collect();
    Tensor::strings(Shape::new(dims).unwrap(), values).unwrap()
}

#[test]
fn all_tasks_in_one_reply() {
    let values = ExampleResult::Values(Values::new(&floats(&[2], &[1.5, 0.0]), 2).unwrap());
    let classes = strings(&[2, 1], &["a", "b"]);
    let classes = ExampleResult::Classes(Classes::new(Some(&classes), None, 2).unwrap());
    let tasks = [&values, &classes].map(|result| TaskReply::new(spec(), result).unwrap());
    let mut message = Vec::new();
    write_multi_response(&tasks, &mut message);
    assert_eq!(message.len(), TaskReply::len_of_all(&tasks));
    let reply = MultiInferenceResponse::decode(message.as_slice()).unwrap();
    let [first, second] = &reply.results[..] else {
        panic!("{reply:?}");
    };
    assert_eq!(first.model_spec.as_ref().unwrap().name, "model");
    let Some(inference_result::Result::RegressionResult(values)) = &first.result else {
        panic!("{first:?}");
    };
    assert_eq!(values.regressions[0].value.to_bits(), 1.5_f32.to_bits());
    let Some(inference_result::Result::ClassificationResult(classes)) = &second.result else {
        panic!("{second:?}");
    };
    assert_eq!(classes.classifications[1].classes[0].label, "b");
}

#[test]
fn tasks_are_read_in_their_order() {
    let task = |signature: &str, method: &str| InferenceTask {
        model_spec: Some(crate::proto::serving::ModelSpec {
            name: "m".into(),
            signature_name: signature.into(),
            ..Default::default()
        }),
        method_name: method.into(),
    };
    let request = MultiInferenceRequest {
        tasks: vec![
            task("a", "tensorflow/serving/regress"),
            InferenceTask::default(),
            task("b", "c"),
        ],
        input: None,
    };
    let message = request.encode_to_vec();
    let request = decode_multi_request(&message).unwrap();
    let read: Vec<_> = request
        .tasks
        .iter()
        .map(|task| (task.spec.name, task.spec.signature_name, task.method_name))
        .collect();
    assert_eq!(
        read,
        [
            ("m", "a", "tensorflow/serving/regress"),
            ("", "", ""),
            ("m", "b", "c")
        ]
    );
    assert!(request.input.is_empty());
    let many = [10, 0].repeat(1 << 13);
    assert_eq!(
        decode_multi_request(&many).unwrap_err().to_string(),
        "the message has more than 4096 tasks, the most that is taken"
    );
}

#[test]
fn examples_are_views_of_their_message() {
    let message = Bytes::from_static(&[18, 10, 10, 8, 10, 0, 10, 4, 1, 2, 3, 4]);
    let request = decode_request(&message).unwrap();
    let examples = request.input.serialized(&message, (1, 1000)).unwrap();
    assert_eq!(examples, [&[][..], &[1, 2, 3, 4]]);
    assert_eq!(examples[1].as_ptr(), message[8..].as_ptr());
}

/// A large context in a request of many empty examples would be their product.
#[test]
fn a_context_does_not_multiply_without_end() {
    let list = ExampleListWithContext {
        examples: vec![Example::default(); 1000],
        context: Some(Example {
            features: Some(Features {
                feature: [("x".repeat(1000), Feature::default())].into(),
            }),
        }),
    };
    let request = ClassificationRequest {
        model_spec: None,
        input: Some(Input {
            kind: Some(Kind::ExampleListWithContext(list)),
        }),
    };
    let message = Bytes::from(request.encode_to_vec());
    let input = decode_request(&message).unwrap().input;
    let TooLarge { needed, .. } = input.serialized(&message, (1, 1 << 20)).unwrap_err();
    assert!(needed > 1 << 20);
    assert!(input.serialized(&message, (1, needed)).is_ok());
    assert!(input.serialized(&message, (1, needed - 1)).is_err());
    // Each further task has a list of its own of what finds them.
    let tasks = 9;
    let more = input.serialized(&message, (tasks, needed)).unwrap_err();
    assert_eq!(more.needed, needed + (tasks - 1) * 1000 * HANDLE_BYTES);
    assert!(input.serialized(&message, (tasks, more.needed)).is_ok());
}

#[test]
fn outputs_that_are_no_classes() {
    let words = strings(&[2, 2], &["a", "b", "c", "d"]);
    let numbers = floats(&[2, 2], &[0.0; 4]);
    let refused = |classes, scores, examples| {
        let refused = Classes::new(classes, scores, examples);
        refused.unwrap_err().to_string()
    };
    let flat = floats(&[2], &[0.0; 2]);
    assert_eq!(
        refused(None, Some(&flat), 2),
        "Expected Tensor shape: [batch_size num_classes] but got [2]"
    );
    assert_eq!(
        refused(Some(&numbers), None, 2),
        "Expected classes Tensor of DT_STRING. Got: DT_FLOAT"
    );
    assert_eq!(
        refused(None, Some(&words), 2),
        "Expected scores Tensor of DT_FLOAT. Got: DT_STRING"
    );
    assert_eq!(
        refused(Some(&words), None, 3),
        "Expected classes output batch size of 3. Got: 2"
    );
    assert_eq!(
        refused(Some(&words), Some(&floats(&[2, 1], &[0.0; 2])), 2),
        "Tensors class and score should match in dim_size(1). Got 2 vs. 1"
    );
}

#[test]
fn outputs_that_are_no_values() {
    let refused = |tensor: &Tensor| Values::new(tensor, 2).unwrap_err().to_string();
    assert_eq!(
        refused(&floats(&[2, 2], &[0.0; 4])),
        "Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got [2,2]"
    );
    assert_eq!(
        refused(&floats(&[3], &[0.0; 3])),
        "Input batch size did not match output batch size: 2 vs. 3"
    );
    assert_eq!(
        refused(&strings(&[2], &["", ""])),
        "Expected output Tensor of DT_FLOAT.  Got: DT_STRING"
    );
}

#[test]
fn labels_must_be_text() {
    let labels = strings(&[2, 2], &[&b"a"[..], b"b", b"c", b"\xff"]);
    let result = ExampleResult::Classes(Classes::new(Some(&labels), None, 2).unwrap());
    let (example, class) = (1, 1);
    assert_eq!(
        Reply::new(spec(), &result).err(),
        Some(ResultError::Label { example, class })
    );
}
