//! Which text is which input, and where a batch dimension is added.

use tensor::DType;

use super::{InputForm, fixed, floats, form, parse_inputs, parse_x, refusal, strings};

// ---- one input

#[test]
fn the_text_itself_is_the_only_string() {
    let text = "{\"not\": read [as JSON";
    for (shape, dims) in [(&[-1][..], &[1][..]), (&[-1, 1], &[1, 1]), (&[1], &[1])] {
        let parsed = parse_inputs(text, &[form("x", DType::String, shape)]).unwrap();
        assert_eq!(parsed.tensors, [Some(strings(dims, &[text.as_bytes()]))]);
        assert!(parsed.batch_added);
    }
    let scalar = parse_inputs(text, &[form("x", DType::String, &[])]).unwrap();
    assert_eq!(scalar.tensors, [Some(strings(&[], &[text.as_bytes()]))]);
    assert!(!scalar.batch_added);
    let unknown = InputForm {
        shape: None,
        ..form("x", DType::String, &[])
    };
    let unknown = parse_inputs("", &[unknown]).unwrap();
    assert_eq!(unknown.tensors, [Some(strings(&[1], &[b""]))]);
    assert_eq!(
        refusal("one", &[form("x", DType::String, &[-1, 3])]),
        "input `x` takes the shape [?,3], found the shape [1,1]"
    );
}

#[test]
fn a_batch_dimension_is_added_to_one_example() {
    let form = form("x", DType::Float, &[-1, 2]);
    for text in ["[1, 2.5]", " [1,2.5] ", r#"{"x": [1, 2.5]}"#] {
        let example = parse_inputs(text, &[form]).unwrap();
        assert_eq!(example.tensors, [Some(floats(&[1, 2], &[1.0, 2.5]))]);
        assert!(example.batch_added);
    }
    let batch = parse_inputs("[[1, 2], [3, 4]]", &[form]).unwrap();
    assert_eq!(
        batch.tensors,
        [Some(floats(&[2, 2], &[1.0, 2.0, 3.0, 4.0]))]
    );
    assert!(!batch.batch_added);
    assert_eq!(
        refusal("[[[1, 2]]]", &[form]),
        "input `x` takes the shape [?,2], or the shape [2] for one example, found the shape [1,1,2]"
    );
    assert_eq!(
        refusal("[1, 2, 3]", &[form]),
        "input `x` takes the shape [?,2], found the shape [1,3]"
    );
}

#[test]
fn scalars() {
    let scalar = parse_inputs("7", &[form("x", DType::Int32, &[])]).unwrap();
    assert_eq!(
        scalar.tensors,
        [Some(fixed(DType::Int32, &[], &[7_i32.to_le_bytes()]))]
    );
    assert!(!scalar.batch_added);
    let example = parse_inputs("7", &[form("x", DType::UInt8, &[-1])]).unwrap();
    assert_eq!(example.tensors, [Some(fixed(DType::UInt8, &[1], &[[7]]))]);
    assert!(example.batch_added);
    assert_eq!(
        refusal("[7]", &[form("x", DType::Int32, &[])]),
        "input `x` takes a single value, found the shape [1]"
    );
    assert_eq!(
        refusal("7", &[form("x", DType::Int32, &[3])]),
        "input `x` takes the shape [3], found a single value"
    );
}

#[test]
fn empty_lists() {
    assert_eq!(parse_x(DType::Float, "[]").unwrap(), floats(&[0], &[]));
    assert_eq!(
        parse_x(DType::Float, "[[], []]").unwrap(),
        floats(&[2, 0], &[])
    );
    assert_eq!(
        parse_x(DType::Complex64, "[[], []]")
            .unwrap()
            .shape()
            .dims(),
        [2, 0]
    );
}

// ---- several inputs

const TWO: [&[i64]; 2] = [&[-1, 2], &[-1]];

fn two() -> [InputForm<'static>; 2] {
    [
        form("a", DType::Float, TWO[0]),
        form("b", DType::Int8, TWO[1]),
    ]
}

#[test]
fn several_inputs_are_an_object() {
    let batch = parse_inputs(r#"{"b": [5], "a": [[1, 2]]}"#, &two()).unwrap();
    let both = [
        Some(floats(&[1, 2], &[1.0, 2.0])),
        Some(fixed(DType::Int8, &[1], &[[5]])),
    ];
    assert_eq!(batch.tensors, both);
    assert!(!batch.batch_added);
    let example = parse_inputs(r#"{"a": [1, 2], "b": 5}"#, &two()).unwrap();
    assert_eq!(example.tensors, both);
    assert!(example.batch_added);
}

#[test]
fn what_several_inputs_refuse() {
    assert_eq!(
        refusal("[1]", &two()),
        "the signature has the inputs `a`, `b`: the text must be a JSON object of them, found \
         a list"
    );
    assert_eq!(
        refusal(r#"{"a": [1, 2]}"#, &two()),
        "input `b` is missing; the signature has the inputs `a`, `b`"
    );
    assert_eq!(
        refusal(r#"{"c": 1}"#, &two()),
        "there is no input `c`; the signature has the inputs `a`, `b`"
    );
    assert_eq!(
        refusal(r#"{"b": 1, "b": 2}"#, &two()),
        "input `b` is given twice"
    );
    assert_eq!(
        refusal(r#"{"a": [1, 2], "b": [5]}"#, &two()),
        "input `a` is one example and input `b` a batch: give the batch dimension to all \
         inputs or to none"
    );
}

#[test]
fn inputs_without_a_batch_stand_beside_an_example() {
    let forms = [
        form("x", DType::Float, &[-1, 2]),
        form("scale", DType::Float, &[]),
        form("weights", DType::Float, &[3]),
        InputForm {
            shape: None,
            ..form("any", DType::Float, &[])
        },
    ];
    let text = r#"{"x": [1, 2], "scale": 3, "weights": [1, 2, 3], "any": 4}"#;
    let parsed = parse_inputs(text, &forms).unwrap();
    let dims: Vec<_> = parsed
        .tensors
        .iter()
        .map(|tensor| tensor.as_ref().unwrap().shape().dims().to_vec())
        .collect();
    assert_eq!(dims, [vec![1, 2], vec![], vec![3], vec![1]]);
    assert!(parsed.batch_added);
}

#[test]
fn inputs_with_defaults_may_be_missing() {
    let [a, b] = two();
    let forms = [
        a,
        InputForm {
            optional: true,
            ..b
        },
    ];
    let parsed = parse_inputs(r#"{"a": [1, 2]}"#, &forms).unwrap();
    assert_eq!(parsed.tensors[1], None);
    assert!(parsed.batch_added);
    let only = [InputForm {
        optional: true,
        ..b
    }];
    for text in ["", " ", "{}"] {
        let parsed = parse_inputs(text, &only).unwrap();
        assert_eq!(parsed.tensors, [None]);
        assert!(!parsed.batch_added);
    }
}

#[test]
fn a_signature_without_inputs() {
    for text in ["", "{ }"] {
        assert_eq!(parse_inputs(text, &[]).unwrap().tensors, []);
    }
    assert_eq!(
        refusal("5", &[]),
        "the signature takes no inputs: the text must be empty or {}, found `5`"
    );
}
