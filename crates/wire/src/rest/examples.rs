//! The body of a classify or regress request: objects of features to `tf.Example`s.

use bytes::Bytes;
use prost::Message;

use super::column::base64;
use super::members::{Members, SIGNATURE_NAME};
use super::number::Number;
use super::refusal::{Refusal, RestError, invalid, type_name};
use super::scanner::Scanner;
use crate::examples::{HANDLE_BYTES, TooLarge};
use crate::proto::tensorflow::feature::Kind;
use crate::proto::tensorflow::{BytesList, Example, Feature, FloatList, Int64List};

const CONTEXT: &str = "context";
const EXAMPLES: &str = "examples";

/// A request as examples.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExamplesBody {
    /// The signature's name; empty where none is given.
    pub signature_name: String,
    /// The encoded examples, with the context in each.
    pub examples: Vec<Bytes>,
}

/// Reads a request's body.
///
/// A feature is a value or a list of values of one kind: numbers with a fraction or an
/// exponent are floats, others and bools are 64-bit integers, strings and
/// `{"b64": "..."}` are bytes. The examples may take `limit` bytes of memory in all.
pub fn parse_examples(body: &Bytes, limit: usize) -> Result<ExamplesBody, RestError> {
    read(body, limit).map_err(Refusal::into_error)
}

fn read(body: &Bytes, limit: usize) -> Result<ExamplesBody, Refusal> {
    let members = Members::find(body, [SIGNATURE_NAME, CONTEXT, EXAMPLES])?;
    let signature_name = members.signature_name()?;
    let context = members
        .get(CONTEXT)
        .map(|mut context| read_example(&mut context))
        .transpose()?
        .unwrap_or_default();
    let Some(mut scanner) = members.get(EXAMPLES) else {
        return Err(
            members.refuse("When method is classify, key 'examples' is expected and was not found")
        );
    };
    if !scanner.eat(b'[') {
        return Err(members.refuse("Expecting 'examples' value to be an list/array"));
    }
    if scanner.eat(b']') {
        return Err(members.refuse("'examples' value is an empty array"));
    }
    let mut examples = Vec::new();
    let mut needed = 0_usize;
    loop {
        let example = read_example(&mut scanner)?;
        needed = needed.saturating_add(context.len() + example.len() + HANDLE_BYTES);
        if needed > limit {
            return Err(Refusal::from(RestError::TooLarge(TooLarge {
                examples: examples.len() + 1,
                needed,
                limit,
            })));
        }
        // Which is how protobuf merges the two.
        examples.push([&context[..], &example].concat().into());
        if !scanner.list_goes_on()? {
            break;
        }
    }
    Ok(ExamplesBody {
        signature_name,
        examples,
    })
}

fn read_example(scanner: &mut Scanner<'_>) -> Result<Vec<u8>, Refusal> {
    let first = scanner.peek();
    if first != b'{' {
        return Err(invalid(format!(
            "Example must be JSON object but got JSON {}",
            type_name(first)
        )));
    }
    scanner.eat(b'{');
    let mut example = Example::default();
    if !scanner.eat(b'}') {
        let features = &mut example.features.get_or_insert_default().feature;
        loop {
            let name = scanner.name()?.lossy();
            let feature = read_feature(scanner, &name)?;
            // Of two of a name the last counts.
            features.insert(name, feature);
            if !scanner.object_goes_on()? {
                break;
            }
        }
    }
    Ok(example.encode_to_vec())
}

fn read_feature(scanner: &mut Scanner<'_>, name: &str) -> Result<Feature, Refusal> {
    let mut feature = Feature::default();
    if scanner.eat(b'[') {
        if !scanner.eat(b']') {
            loop {
                add_value(scanner, name, &mut feature)?;
                if !scanner.list_goes_on()? {
                    break;
                }
            }
        }
    } else {
        add_value(scanner, name, &mut feature)?;
    }
    Ok(feature)
}

/// A value by the kind of list it goes to.
enum Value {
    Bytes(Bytes),
    Float(f32),
    Int64(i64),
}

fn add_value(scanner: &mut Scanner<'_>, name: &str, feature: &mut Feature) -> Result<(), Refusal> {
    let value = read_value(scanner, name)?;
    let kind = feature.kind.get_or_insert_with(|| match &value {
        Value::Bytes(_) => Kind::BytesList(BytesList::default()),
        Value::Float(_) => Kind::FloatList(FloatList::default()),
        Value::Int64(_) => Kind::Int64List(Int64List::default()),
    });
    let expected = match (kind, value) {
        (Kind::BytesList(list), Value::Bytes(bytes)) => {
            list.value.push(bytes);
            return Ok(());
        }
        (Kind::FloatList(list), Value::Float(value)) => {
            list.value.push(value);
            return Ok(());
        }
        (Kind::Int64List(list), Value::Int64(value)) => {
            list.value.push(value);
            return Ok(());
        }
        (Kind::BytesList(_), _) => "bytes",
        (Kind::FloatList(_), _) => "float",
        (Kind::Int64List(_), _) => "int64",
    };
    Err(invalid(format!(
        "Unexpected element type in feature: {name} expecting type: {expected}"
    )))
}

fn read_value(scanner: &mut Scanner<'_>, name: &str) -> Result<Value, Refusal> {
    let first = scanner.peek();
    match first {
        b't' => {
            scanner.literal("true")?;
            Ok(Value::Int64(1))
        }
        b'f' => {
            scanner.literal("false")?;
            Ok(Value::Int64(0))
        }
        b'"' => Ok(Value::Bytes(
            scanner.string()?.decoded().into_owned().into(),
        )),
        b'{' | b'[' | b'n' => match base64(scanner) {
            Some(bytes) => Ok(Value::Bytes(bytes?)),
            None => Err(invalid(format!(
                "Feature: {name} has element with unexpected JSON type: {}",
                type_name(first)
            ))),
        },
        _ => match scanner.number()? {
            Number::Float(value) => Ok(Value::Float(value as f32)),
            whole @ Number::Whole { .. } => whole
                .to_whole()
                .and_then(|value| i64::try_from(value).ok())
                .map(Value::Int64)
                .ok_or_else(|| {
                    invalid(format!(
                        "Feature: {name} has uint64 element. Only int64 is supported."
                    ))
                }),
        },
    }
}
