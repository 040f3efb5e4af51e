//! What a signature takes and gives, and the checks that a request meets before it
//! can meet a neighbour. Texts are TensorFlow Serving's, which clients match on.

use std::collections::{BTreeMap, BTreeSet};

use smallvec::SmallVec;
use tensor::{DType, Tensor};

use crate::{Outputs, ServeError};

/// The signature that is meant where a request names none.
pub const DEFAULT_SIGNATURE: &str = "serving_default";

/// The name of the signature that a request names so; empty: the default one.
pub fn signature_name(name: &str) -> &str {
    if name.is_empty() {
        DEFAULT_SIGNATURE
    } else {
        name
    }
}

/// One input or output of a signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorSpec {
    /// The name that clients use.
    pub alias: String,
    /// The graph's name for it, `x:0`.
    pub tensor_name: String,
    /// Element type.
    pub dtype: DType,
    /// Declared sizes, -1 where unknown; `None` where even the rank is unknown.
    /// Declared only: as in TensorFlow Serving, a request of another shape is run.
    pub shape: Option<Vec<i64>>,
}

/// Where a signature's input comes from in one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InputSource {
    /// The request's input at this position.
    Request(usize),
    /// The signature's own default.
    Default,
}

/// One for each of a signature's inputs, in their order.
pub type InputSources = SmallVec<[InputSource; 8]>;

/// A named way to run a model.
#[derive(Clone, Debug)]
pub struct Signature {
    /// The name that clients use.
    pub name: String,
    /// `tensorflow/serving/predict` and the like; may be empty.
    pub method_name: String,
    /// Inputs, sorted by alias.
    pub inputs: Vec<TensorSpec>,
    /// Outputs, sorted by alias.
    pub outputs: Vec<TensorSpec>,
    /// Values for inputs that a request may leave out.
    pub defaults: BTreeMap<String, Tensor>,
    /// Why it can't be run, if it can't.
    pub unusable: Option<String>,
    /// Why its requests are never batched, if they are not: found at load.
    pub alone: Option<String>,
}

impl Signature {
    /// Finds each of the signature's inputs among a request's `names` (each name
    /// once), or its default.
    pub fn bind_inputs(&self, names: &[&str]) -> Result<InputSources, ServeError> {
        let fewer_is_fine = !self.defaults.is_empty();
        let sizes_agree = names.len() == self.inputs.len();
        if !sizes_agree && (names.len() > self.inputs.len() || !fewer_is_fine) {
            return Err(self.count_mismatch(names));
        }
        let mut sources = InputSources::with_capacity(self.inputs.len());
        for input in &self.inputs {
            match names.iter().position(|name| *name == input.alias) {
                Some(position) => sources.push(InputSource::Request(position)),
                None if self.defaults.contains_key(&input.alias) => {
                    sources.push(InputSource::Default);
                }
                None => return Err(self.input_missing(input, names)),
            }
        }
        let used = sources
            .iter()
            .filter(|source| **source != InputSource::Default)
            .count();
        if used < names.len() {
            let aliases: BTreeSet<&str> = self.inputs.iter().map(|i| i.alias.as_str()).collect();
            let names: BTreeSet<&str> = names.iter().copied().collect();
            return Err(ServeError::invalid_argument(format!(
                "Inputs contains invalid name. Used request inputs: {}, request input: {}",
                join(names.intersection(&aliases).copied()),
                join(names.iter().copied()),
            )));
        }
        Ok(sources)
    }

    /// One tensor for each input: what `given` gives for a position in the request, or
    /// the default.
    pub fn gather<E>(
        &self,
        sources: InputSources,
        mut given: impl FnMut(&TensorSpec, usize) -> Result<Tensor, E>,
    ) -> Result<Vec<Tensor>, E> {
        let inputs = self.inputs.iter().zip(sources);
        inputs
            .map(|(input, source)| match source {
                InputSource::Request(position) => given(input, position),
                InputSource::Default => Ok(self.defaults[&input.alias].clone()),
            })
            .collect()
    }

    /// Positions among the signature's outputs of those that `filter` names, in its
    /// order; all of them where it is empty.
    pub fn bind_outputs(&self, filter: &[&str]) -> Result<Outputs, ServeError> {
        if filter.is_empty() {
            return Ok((0..self.outputs.len()).collect());
        }
        let mut positions = Outputs::new();
        for alias in filter {
            let position = self.output(alias).ok_or_else(|| {
                let known = self.outputs.iter().map(|output| output.alias.as_str());
                ServeError::invalid_argument(format!(
                    "output tensor alias not found in signature: {} \
                         Outputs expected to be in the set {{{}}}.",
                    join([*alias]),
                    join(known),
                ))
            })?;
            if positions.contains(&position) {
                return Err(ServeError::invalid_argument(format!(
                    "duplicate output tensor alias: {alias}"
                )));
            }
            positions.push(position);
        }
        Ok(positions)
    }

    /// The position of the output of this alias.
    pub fn output(&self, alias: &str) -> Option<usize> {
        self.outputs.iter().position(|output| output.alias == alias)
    }

    /// Checks the element types of the tensors bound to the inputs, one for each, in
    /// their order.
    pub(crate) fn check_dtypes(&self, tensors: &[Tensor]) -> Result<(), ServeError> {
        for (index, (input, tensor)) in self.inputs.iter().zip(tensors).enumerate() {
            if input.dtype != tensor.dtype() {
                return Err(ServeError::invalid_argument(format!(
                    "Expects arg[{index}] to be {} but {} is provided",
                    input.dtype,
                    tensor.dtype(),
                )));
            }
        }
        Ok(())
    }

    fn count_mismatch(&self, names: &[&str]) -> ServeError {
        // No more names than the message has room for: there may be a million.
        let some = names.iter().take(JOIN_LIMIT);
        let sent: BTreeSet<&str> = some.copied().collect();
        let wanted: BTreeSet<&str> = self.inputs.iter().map(|i| i.alias.as_str()).collect();
        ServeError::invalid_argument(format!(
            "input size does not match signature: {}!={} len({{{}}}) != len({{{}}}). \
             Sent extra: {{{}}}. Missing but required: {{{}}}.",
            names.len(),
            self.inputs.len(),
            join(sent.iter().copied()),
            join(wanted.iter().copied()),
            join(sent.difference(&wanted).copied()),
            join(wanted.difference(&sent).copied()),
        ))
    }

    fn input_missing(&self, input: &TensorSpec, names: &[&str]) -> ServeError {
        let sent: BTreeSet<&str> = names.iter().copied().collect();
        ServeError::invalid_argument(format!(
            "Signature input alias: {}(feed name: {}) not found in request and no default \
             value provided. Inputs expected to be in the request {{{}}}, or default input \
             alias set: {}",
            input.alias,
            input.tensor_name,
            join(sent),
            join(self.defaults.keys().map(String::as_str)),
        ))
    }
}

/// Longest list that [`join`] writes, in bytes: messages are cut further down the
/// way, and a request with a million names must not make a message of their size.
const JOIN_LIMIT: usize = 1100;

fn join<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let mut joined = String::new();
    for (index, name) in names.into_iter().enumerate() {
        if index > 0 {
            joined.push(',');
        }
        let room = JOIN_LIMIT.saturating_sub(joined.len());
        joined.push_str(&name[..name.floor_char_boundary(room)]);
        if joined.len() + 4 >= JOIN_LIMIT {
            break;
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use bytes::Bytes;
    use tensor::{DType, Shape, Tensor};

    use super::{InputSource, Signature, TensorSpec};
    use crate::Kind;

    fn spec(alias: &str) -> TensorSpec {
        TensorSpec {
            alias: alias.into(),
            tensor_name: format!("{alias}:0"),
            dtype: DType::Float,
            shape: Some(vec![-1]),
        }
    }

    fn signature(inputs: &[&str], defaults: &[&str]) -> Signature {
        let value = Tensor::fixed(DType::Float, Shape::scalar(), Bytes::from(vec![0; 4])).unwrap();
        Signature {
            name: "serving_default".into(),
            method_name: String::new(),
            inputs: inputs.iter().map(|alias| spec(alias)).collect(),
            outputs: vec![spec("y"), spec("z")],
            defaults: defaults
                .iter()
                .map(|alias| ((*alias).to_owned(), value.clone()))
                .collect::<BTreeMap<_, _>>(),
            unusable: None,
            alone: None,
        }
    }

    fn refusal(inputs: &[&str], defaults: &[&str], names: &[&str]) -> String {
        let error = signature(inputs, defaults).bind_inputs(names).unwrap_err();
        assert_eq!(error.kind(), Kind::InvalidArgument);
        error.message().to_owned()
    }

    #[test]
    fn counts_that_differ() {
        assert_eq!(
            refusal(&["x"], &[], &[]),
            "input size does not match signature: 0!=1 len({}) != len({x}). \
             Sent extra: {}. Missing but required: {x}."
        );
        assert_eq!(
            refusal(&["x"], &[], &["x", "b", "a"]),
            "input size does not match signature: 3!=1 len({a,b,x}) != len({x}). \
             Sent extra: {a,b}. Missing but required: {}."
        );
    }

    #[test]
    fn wrong_name_of_the_right_count() {
        assert_eq!(
            refusal(&["x"], &[], &["z"]),
            "Signature input alias: x(feed name: x:0) not found in request and no default value \
             provided. Inputs expected to be in the request {z}, or default input alias set: "
        );
    }

    #[test]
    fn defaults_fill_in_but_hide_no_wrong_name() {
        let signature = signature(&["a", "b"], &["b"]);
        assert_eq!(
            signature.bind_inputs(&["a"]).unwrap()[..],
            [InputSource::Request(0), InputSource::Default]
        );
        assert_eq!(
            signature.bind_inputs(&["b", "a"]).unwrap()[..],
            [InputSource::Request(1), InputSource::Request(0)]
        );
        assert_eq!(
            signature.bind_inputs(&["a", "c"]).unwrap_err().message(),
            "Inputs contains invalid name. Used request inputs: a, request input: a,c"
        );
    }

    #[test]
    fn output_filter() {
        let signature = signature(&["x"], &[]);
        assert_eq!(signature.bind_outputs(&[]).unwrap()[..], [0, 1]);
        assert_eq!(signature.bind_outputs(&["z"]).unwrap()[..], [1]);
        assert_eq!(
            signature.bind_outputs(&["foo"]).unwrap_err().message(),
            "output tensor alias not found in signature: foo \
             Outputs expected to be in the set {y,z}."
        );
        assert_eq!(
            signature.bind_outputs(&["y", "y"]).unwrap_err().message(),
            "duplicate output tensor alias: y"
        );
    }

    #[test]
    fn a_million_names_make_a_short_message() {
        let names: Vec<String> = (0..1_000_000).map(|n| format!("é{n}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let message = refusal(&["x"], &[], &names);
        assert!(message.starts_with("input size does not match signature: 1000000!=1 len({é0,"));
        assert!(message.len() < 3000, "{}", message.len());
    }

    #[test]
    fn wrong_dtype() {
        let tensor = Tensor::strings(Shape::scalar(), vec![Bytes::new()]).unwrap();
        let error = signature(&["x"], &[]).check_dtypes(&[tensor]).unwrap_err();
        assert_eq!(
            error.message(),
            "Expects arg[0] to be float but string is provided"
        );
    }
}
