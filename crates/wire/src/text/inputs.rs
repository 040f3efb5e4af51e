//! The text of a call to the inputs of a signature.

use bytes::Bytes;
use tensor::{DType, Data, Shape, Tensor};

use super::TextError;
use super::json::{Json, quote};
use super::values::{Values, read_values};

/// Most names that an error lists.
const NAMES: usize = 10;

/// What a signature says of one input.
#[derive(Clone, Copy, Debug)]
pub struct InputForm<'a> {
    /// The name that clients use.
    pub alias: &'a str,
    /// Element type.
    pub dtype: DType,
    /// Declared sizes, negative where unknown; `None` where even the rank is unknown.
    pub shape: Option<&'a [i64]>,
    /// Whether it may be left out: the signature has a default for it.
    pub optional: bool,
}

/// A text as tensors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParsedInputs {
    /// One for each form, in their order; `None`: left out.
    pub tensors: Vec<Option<Tensor>>,
    /// Whether the text was one example, to which a batch dimension of 1 was added: it
    /// should be taken from the outputs again.
    pub batch_added: bool,
}

/// Reads the text of a call as the inputs that `forms` describes.
///
/// - The only input is of strings: the text itself, whatever it holds, as a batch of
///   one; a scalar if the signature wants one, of as many dimensions of 1 otherwise.
/// - Else the text is JSON: for one input its value or an object that names it, for
///   several an object of their names. Values are numbers, `true` and `false`, strings
///   or `{"b64": "..."}`, complex numbers `[real, imaginary]`, and (nested) lists of
///   them. Whole numbers must be in the range of their type; any number is a float, one
///   that is too large an infinity. No text at all is an object without names.
/// - A value with one dimension less than declared is one example: it gets a batch
///   dimension of 1. If one input does, all do whose first size is not fixed (also those
///   of unknown rank); one that brings a batch of its own beside them is an error.
/// - Sizes that are declared must be met.
pub fn parse_inputs(text: &str, forms: &[InputForm<'_>]) -> Result<ParsedInputs, TextError> {
    if let [form] = forms
        && form.dtype == DType::String
    {
        return whole_text(text, form);
    }
    let values = read_json(text, forms)?;
    let mut inputs: Vec<(&InputForm<'_>, Option<Values>)> = forms.iter().zip(values).collect();
    let batch_added = add_batch(&mut inputs)?;
    let tensors = inputs
        .into_iter()
        .map(|(form, values)| values.map(|values| tensor_of(form, values)).transpose())
        .collect::<Result<_, _>>()?;
    Ok(ParsedInputs {
        tensors,
        batch_added,
    })
}

fn whole_text(text: &str, form: &InputForm<'_>) -> Result<ParsedInputs, TextError> {
    let rank = form.shape.map_or(1, <[i64]>::len);
    let values = Values {
        dims: vec![1; rank],
        data: Data::Strings(vec![Bytes::copy_from_slice(text.as_bytes())]),
    };
    Ok(ParsedInputs {
        tensors: vec![Some(tensor_of(form, values)?)],
        batch_added: rank > 0,
    })
}

/// The values that the text gives, one for each form.
fn read_json(text: &str, forms: &[InputForm<'_>]) -> Result<Vec<Option<Values>>, TextError> {
    let mut json = Json::new(text);
    let mut values: Vec<Option<Values>> = forms.iter().map(|_| None).collect();
    match (json.peek(), forms) {
        (Some(b'{'), _) => read_object(&mut json, forms, &mut values)?,
        (None, _) => {}
        (_, [form]) => values[0] = Some(read_values(&mut json, form.alias, form.dtype)?),
        (_, []) => {
            return Err(TextError::new(format!(
                "the signature takes no inputs: the text must be empty or {{}}, found {}",
                json.found()
            )));
        }
        _ => {
            return Err(TextError::new(format!(
                "the signature has the inputs {}: the text must be a JSON object of them, \
                 found {}",
                names(forms),
                json.found()
            )));
        }
    }
    json.end()?;
    for (form, value) in forms.iter().zip(&values) {
        if value.is_none() && !form.optional {
            return Err(TextError::new(format!(
                "input {} is missing; the signature has the inputs {}",
                quote(form.alias),
                names(forms)
            )));
        }
    }
    Ok(values)
}

fn read_object(
    json: &mut Json<'_>,
    forms: &[InputForm<'_>],
    values: &mut [Option<Values>],
) -> Result<(), TextError> {
    json.expect(b'{')?;
    if json.eat(b'}') {
        return Ok(());
    }
    loop {
        let name = json.string()?;
        let Some(position) = forms.iter().position(|form| form.alias == name) else {
            return Err(TextError::new(format!(
                "there is no input {}; the signature has the inputs {}",
                quote(&name),
                names(forms)
            )));
        };
        if values[position].is_some() {
            return Err(TextError::new(format!(
                "input {} is given twice",
                quote(&name)
            )));
        }
        json.expect(b':')?;
        let form = &forms[position];
        values[position] = Some(read_values(json, form.alias, form.dtype)?);
        if !json.goes_on(b'}')? {
            return Ok(());
        }
    }
}

/// Adds the batch dimension where the values are one example; says whether they are.
fn add_batch(inputs: &mut [(&InputForm<'_>, Option<Values>)]) -> Result<bool, TextError> {
    let mut example: Option<&str> = None;
    let mut batch: Option<&str> = None;
    for (form, values) in inputs.iter() {
        let (Some(shape), Some(values)) = (form.shape, values) else {
            continue;
        };
        if values.dims.len() == shape.len() {
            if shape.first().is_some_and(|size| *size < 0) {
                batch = Some(form.alias);
            }
        } else if values.dims.len() + 1 == shape.len() && takes_batch(shape) {
            example = Some(form.alias);
        } else {
            return Err(wrong_rank(form, &values.dims));
        }
    }
    if let (Some(example), Some(batch)) = (example, batch) {
        return Err(TextError::new(format!(
            "input `{example}` is one example and input `{batch}` a batch: give the batch \
             dimension to all inputs or to none"
        )));
    }
    if example.is_none() {
        return Ok(false);
    }
    for (form, values) in inputs.iter_mut() {
        if let Some(values) = values
            && form
                .shape
                .is_none_or(|shape| shape.len() > values.dims.len())
        {
            values.dims.insert(0, 1);
        }
    }
    Ok(true)
}

/// Whether the first size of this declared shape can be a batch dimension of 1: no
/// other fixed size can.
fn takes_batch(shape: &[i64]) -> bool {
    shape.first().is_some_and(|size| *size < 0 || *size == 1)
}

fn wrong_rank(form: &InputForm<'_>, dims: &[usize]) -> TextError {
    let found = sizes(dims.iter().map(|size| *size as i64));
    let wanted = form.shape.unwrap_or_default();
    let example = if takes_batch(wanted) {
        let one = sizes(wanted[1..].iter().copied());
        format!(", or {one} for one example")
    } else {
        String::new()
    };
    TextError::new(format!(
        "input `{}` takes {}{example}, found {found}",
        form.alias,
        sizes(wanted.iter().copied())
    ))
}

fn tensor_of(form: &InputForm<'_>, values: Values) -> Result<Tensor, TextError> {
    let Values { dims, data } = values;
    if let Some(wanted) = form.shape {
        let fits = |(size, wanted): (&usize, &i64)| *wanted < 0 || *size as i64 == *wanted;
        if !dims.iter().zip(wanted).all(fits) {
            return Err(TextError::new(format!(
                "input `{}` takes {}, found {}",
                form.alias,
                sizes(wanted.iter().copied()),
                sizes(dims.iter().map(|size| *size as i64))
            )));
        }
    }
    let wrong = |problem: String| TextError::new(format!("input `{}`: {problem}", form.alias));
    let shape = Shape::new(&dims).ok_or_else(|| wrong("its shape is too large".into()))?;
    match data {
        Data::Fixed(bytes) => Tensor::fixed(form.dtype, shape, bytes),
        Data::Strings(strings) => Tensor::strings(shape, strings),
    }
    .map_err(|error| wrong(error.to_string()))
}

/// A shape in words.
fn sizes(sizes: impl ExactSizeIterator<Item = i64>) -> String {
    if sizes.len() == 0 {
        return "a single value".into();
    }
    let size = |size: i64| {
        if size < 0 {
            "?".into()
        } else {
            size.to_string()
        }
    };
    let sizes: Vec<String> = sizes.map(size).collect();
    format!("the shape [{}]", sizes.join(","))
}

fn names(forms: &[InputForm<'_>]) -> String {
    let mut names: Vec<String> = forms
        .iter()
        .take(NAMES)
        .map(|form| quote(form.alias))
        .collect();
    if forms.len() > NAMES {
        names.push(format!("and {} more", forms.len() - NAMES));
    }
    names.join(", ")
}
