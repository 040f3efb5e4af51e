//! What a signature must be for Classify and for Regress.

use std::sync::Arc;

use engine::{Outputs, ServeError, ServedModel, Signature};
use wire::signatures::debug_string;

/// The one input of either.
const INPUTS: &str = "inputs";
/// Classify's outputs; one of them is enough.
const CLASSES: &str = "classes";
const SCORES: &str = "scores";
/// Regress's output.
const OUTPUTS: &str = "outputs";

/// What is done with examples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    /// Each gets classes.
    Classify,
    /// Each gets a value.
    Regress,
}

impl Method {
    /// The one that signatures and tasks call so.
    pub(crate) fn of_name(name: &str) -> Option<Self> {
        [Self::Classify, Self::Regress]
            .into_iter()
            .find(|method| method.name() == name)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Classify => "tensorflow/serving/classify",
            Self::Regress => "tensorflow/serving/regress",
        }
    }

    /// The index of the model's signature of this name (empty: the default one).
    pub(crate) fn find_signature(model: &ServedModel, name: &str) -> Result<usize, ServeError> {
        Self::find_or(model, name, "No signature was found with the name: ")
    }

    /// The same for a task of several.
    pub(crate) fn find_task_signature(
        model: &ServedModel,
        name: &str,
    ) -> Result<usize, ServeError> {
        Self::find_or(
            model,
            name,
            "Requested signature not found in model graph: ",
        )
    }

    fn find_or(model: &ServedModel, name: &str, missing: &str) -> Result<usize, ServeError> {
        let found = model.usable_signature(name)?.map(|(index, _)| index);
        found.ok_or_else(|| {
            let name = engine::signature_name(name);
            ServeError::invalid_argument(format!("{missing}{name}"))
        })
    }

    /// The outputs to run the signature of this index for, if it is one for this.
    pub(super) fn bind(self, model: &ServedModel, index: usize) -> Result<Outputs, ServeError> {
        let signature = &model.signatures()[index];
        if model.options().check_method_name && signature.method_name != self.name() {
            let kind = match self {
                Self::Classify => "classification",
                Self::Regress => "regression",
            };
            return Err(ServeError::invalid_argument(format!(
                "Expected {kind} signature method_name to be {}. Was: {}",
                self.name(),
                signature.method_name
            )));
        }
        if signature.inputs.len() != 1 {
            return Err(ServeError::invalid_argument("Expected one input Tensor."));
        }
        let outputs = match self {
            Self::Classify => classes(signature),
            Self::Regress => values(signature),
        };
        outputs.map_err(|problem| match problem {
            Problem::Counted(message) => ServeError::invalid_argument(message),
            Problem::Described(before) => ServeError::invalid_argument(format!(
                "{before}{}",
                debug_string(&model.signature_def_map, &signature.name)
            )),
        })
    }
}

/// What is wrong with a signature.
enum Problem {
    /// The whole of it.
    Counted(String),
    /// What comes before the signature's description.
    Described(&'static str),
}

fn classes(signature: &Signature) -> Result<Outputs, Problem> {
    let count = signature.outputs.len();
    if count != 1 && count != 2 {
        return Err(Problem::Counted(format!(
            "Expected one or two output Tensors, found {count}"
        )));
    }
    if signature.inputs[0].alias != INPUTS {
        return Err(Problem::Described(
            "No classification inputs found in SignatureDef: ",
        ));
    }
    let outputs: Outputs = [CLASSES, SCORES]
        .into_iter()
        .filter_map(|alias| signature.output(alias))
        .collect();
    if outputs.is_empty() {
        return Err(Problem::Described(
            "Expected classification signature outputs to contain at least one of \"classes\" \
             or \"scores\". Signature was: ",
        ));
    }
    Ok(outputs)
}

fn values(signature: &Signature) -> Result<Outputs, Problem> {
    if signature.outputs.len() != 1 {
        return Err(Problem::Counted("Expected one output Tensor.".to_owned()));
    }
    if signature.inputs[0].alias != INPUTS {
        return Err(Problem::Described(
            "No regression inputs found in SignatureDef: ",
        ));
    }
    let output = signature.output(OUTPUTS);
    let output = output.ok_or(Problem::Described(
        "No regression outputs found in SignatureDef: ",
    ))?;
    Ok(Outputs::from_iter([output]))
}

/// Which of Classify's outputs are at which place among those that were run for.
pub(super) fn places(
    model: &Arc<ServedModel>,
    index: usize,
    outputs: &Outputs,
) -> (Option<usize>, Option<usize>) {
    let signature = &model.signatures()[index];
    let place = |alias| {
        outputs
            .iter()
            .position(|output| signature.outputs[*output].alias == alias)
    };
    (place(CLASSES), place(SCORES))
}
