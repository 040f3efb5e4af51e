//! The body of a predict request.

use bytes::Bytes;
use smallvec::SmallVec;
use tensor::{DType, Tensor};

use super::members::{Members, SIGNATURE_NAME, read_string};
use super::refusal::{Refusal, RestError, invalid};
use super::rows::{read_columns, read_rows};
use super::scanner::Scanner;

const INSTANCES: &str = "instances";
const INPUTS: &str = "inputs";

/// In which form a request gives its values, and its reply the outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `instances` and `predictions`: a list with an entry for each row.
    Row,
    /// `inputs` and `outputs`: each tensor at once.
    Columnar,
}

/// A signature of the model that a request is for.
#[derive(Clone, Debug)]
pub struct SignatureInputs<'a> {
    /// What the caller knows it by.
    pub index: usize,
    /// The name and the element type of each input.
    pub inputs: SmallVec<[(&'a str, DType); 4]>,
}

/// A request as tensors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PredictBody {
    /// The signature's index, as it was given.
    pub signature: usize,
    /// The form of its values.
    pub format: Format,
    /// One tensor for each of the signature's inputs, in their order.
    pub tensors: Vec<Tensor>,
}

/// Reads a request's body; `find` says what the signature of a name takes (no name: the
/// default one).
///
/// Elements are of the input's type: any number is a float, one that is too large an
/// infinity; whole numbers must be written as such and be in their type's range; bools
/// are `true` and `false`; strings are JSON's, of any bytes, or `{"b64": "..."}`.
/// Complex numbers have no form.
pub fn parse_predict<'a, E: From<RestError>>(
    body: &'a Bytes,
    find: impl Fn(&str) -> Result<SignatureInputs<'a>, E>,
) -> Result<PredictBody, E> {
    match read_at_once(body, &find) {
        Some(read) => Ok(read),
        None => read_in_turn(body, &find),
    }
}

/// What is wrong with a body whatever its model: for a request whose model is not there,
/// as TensorFlow Serving looks for it only then.
pub fn check_body(body: &[u8]) -> Result<(), RestError> {
    let members = Members::find(body, [SIGNATURE_NAME]).map_err(Refusal::into_error)?;
    members.signature_name().map_err(Refusal::into_error)?;
    Ok(())
}

/// Reads a body in one go: one that is right, and whose signature has its name before its
/// values or is the default one.
fn read_at_once<'a, E>(
    body: &'a Bytes,
    find: &impl Fn(&str) -> Result<SignatureInputs<'a>, E>,
) -> Option<PredictBody> {
    let mut scanner = Scanner::new(body);
    let mut name = String::new();
    let mut named = false;
    let mut read: Option<PredictBody> = None;
    if !scanner.eat(b'{') || scanner.eat(b'}') {
        return None;
    }
    loop {
        let member = scanner.name().ok()?;
        if member.is(INSTANCES) || member.is(INPUTS) {
            if read.is_some() {
                return None;
            }
            let format = if member.is(INSTANCES) {
                Format::Row
            } else {
                Format::Columnar
            };
            let signature = find(&name).ok()?;
            read = Some(read_values(body, &mut scanner, (&signature, format)).ok()?);
        } else if member.is(SIGNATURE_NAME) {
            if named || read.is_some() {
                return None;
            }
            named = true;
            name = read_string(&mut scanner)?.lossy();
        } else {
            scanner.skip().ok()?;
        }
        if !scanner.object_goes_on().ok()? {
            return read;
        }
    }
}

/// Reads a body in the order in which TensorFlow Serving looks at it: first whether it is
/// JSON, then the signature, then the values.
fn read_in_turn<'a, E: From<RestError>>(
    body: &'a Bytes,
    find: &impl Fn(&str) -> Result<SignatureInputs<'a>, E>,
) -> Result<PredictBody, E> {
    let own = |refusal: Refusal| E::from(refusal.into_error());
    let members = Members::find(body, [SIGNATURE_NAME, INSTANCES, INPUTS]).map_err(own)?;
    let name = members.signature_name().map_err(own)?;
    let signature = find(&name)?;
    let (format, mut values) = find_values(&members).map_err(own)?;
    read_values(body, &mut values, (&signature, format)).map_err(own)
}

fn find_values<'a>(members: &Members<'a, 3>) -> Result<(Format, Scanner<'a>), Refusal> {
    match (members.get(INSTANCES), members.get(INPUTS)) {
        (Some(_), Some(_)) => Err(members.refuse(
            "Not formatted correctly expecting only one of 'inputs' or 'instances' keys to exist ",
        )),
        (Some(mut instances), None) => {
            if instances.peek() != b'[' {
                return Err(members.refuse("Expecting 'instances' to be an list/array"));
            }
            let mut first = instances;
            first.eat(b'[');
            if first.peek() == b']' {
                return Err(members.refuse("No values in 'instances' array"));
            }
            Ok((Format::Row, instances))
        }
        (None, Some(inputs)) => Ok((Format::Columnar, inputs)),
        (None, None) => Err(invalid("Missing 'inputs' or 'instances' key")),
    }
}

/// Reads the value where `scanner` stands.
fn read_values<'a>(
    body: &'a Bytes,
    scanner: &mut Scanner<'a>,
    (signature, format): (&SignatureInputs<'a>, Format),
) -> Result<PredictBody, Refusal> {
    let tensors = match format {
        Format::Row if scanner.peek() != b'[' => {
            return Err(invalid("'instances' is no list"));
        }
        Format::Row => read_rows(body, scanner, &signature.inputs)?,
        Format::Columnar => read_columns(body, scanner, &signature.inputs)?,
    };
    Ok(PredictBody {
        signature: signature.index,
        format,
        tensors,
    })
}
