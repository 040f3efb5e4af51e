//! From a SavedModel's signatures to the engine's, with every tensor found in the
//! session's graph once, at load.

use std::collections::BTreeMap;

use bytes::Bytes;
use engine::{Signature, TensorSpec};
use prost::Message;
use tensor::{DType, Tensor};
use wire::proto::tensorflow::tensor_info::Encoding;
use wire::proto::tensorflow::{DataType, SignatureDef, TensorInfo, TensorProto, TensorShapeProto};
use wire::tensor_proto::decode_tensor;

use crate::api::Output;
use crate::session::Graph;

/// TensorFlow 2 lists its initialisation as a signature; nobody can call it.
pub(crate) const INIT_SIGNATURE: &str = "__saved_model_init_op";

/// Most that a default may take in memory: a broken file can ask for any size.
const MAX_DEFAULT_BYTES: usize = 256 << 20;

/// A signature and where its tensors are in the graph.
pub(crate) struct Resolved {
    pub(crate) signature: Signature,
    /// One for each of the signature's inputs, in their order.
    pub(crate) feeds: Vec<Output>,
    /// One for each of the signature's outputs, in their order.
    pub(crate) fetches: Vec<Output>,
}

impl Resolved {
    /// Finds a signature's tensors in `graph`. One that can't be run is kept with the
    /// first reason why, and with those of its tensors that were found.
    pub(crate) fn new(name: &str, definition: &SignatureDef, graph: &Graph) -> Self {
        let mut unusable = None;
        let (inputs, feeds) = find_all("input", &definition.inputs, graph, &mut unusable);
        let (outputs, fetches) = find_all("output", &definition.outputs, graph, &mut unusable);
        let defaults = read_defaults(&definition.defaults, &inputs, &mut unusable);
        let alone = alone_by_shape(&inputs, &outputs);
        Self {
            signature: Signature {
                name: name.to_owned(),
                method_name: definition.method_name.clone(),
                inputs,
                outputs,
                defaults,
                unusable,
                alone,
            },
            feeds,
            fetches,
        }
    }
}

fn find_all(
    role: &str,
    tensors: &BTreeMap<String, TensorInfo>,
    graph: &Graph,
    unusable: &mut Option<String>,
) -> (Vec<TensorSpec>, Vec<Output>) {
    let mut found = (Vec::new(), Vec::new());
    for (alias, info) in tensors {
        match find(alias, info, graph) {
            Ok((spec, output)) => {
                found.0.push(spec);
                found.1.push(output);
            }
            Err(reason) => {
                unusable.get_or_insert_with(|| format!("its {role} \"{alias}\" {reason}"));
            }
        }
    }
    found
}

fn find(alias: &str, info: &TensorInfo, graph: &Graph) -> Result<(TensorSpec, Output), String> {
    let tensor_name = match &info.encoding {
        Some(Encoding::Name(name)) => name,
        Some(Encoding::CooSparse(_)) => return Err("is a sparse tensor".to_owned()),
        Some(Encoding::CompositeTensor(_)) => {
            return Err("is a composite tensor, such as a ragged one".to_owned());
        }
        None => return Err("names no tensor".to_owned()),
    };
    let absent = || format!("names the tensor \"{tensor_name}\", which the graph does not have");
    let (operation, index) = split_tensor_name(tensor_name).ok_or_else(absent)?;
    // The graph's type, not the signature's: it is what TensorFlow checks.
    let (output, number) = graph.output(operation, index).ok_or_else(absent)?;
    let dtype = DType::from_number(number).ok_or_else(|| {
        let name = DataType::try_from(number).map_or("unknown", |known| known.as_str_name());
        format!("is of type {name}, which no request or reply can carry")
    })?;
    let spec = TensorSpec {
        alias: alias.to_owned(),
        tensor_name: tensor_name.clone(),
        dtype,
        shape: info.tensor_shape.as_ref().and_then(declared_shape),
    };
    Ok((spec, output))
}

/// `x:1` is the second output of `x`, `x` its first; `^x` is no output at all.
fn split_tensor_name(name: &str) -> Option<(&str, i32)> {
    if name.starts_with('^') {
        return None;
    }
    match name.rsplit_once(':') {
        None => Some((name, 0)),
        Some((operation, index)) => {
            let is_number = !index.is_empty() && index.bytes().all(|byte| byte.is_ascii_digit());
            is_number
                .then(|| index.parse().ok())
                .flatten()
                .map(|index| (operation, index))
        }
    }
}

fn declared_shape(shape: &TensorShapeProto) -> Option<Vec<i64>> {
    (!shape.unknown_rank).then(|| shape.dim.iter().map(|dim| dim.size.max(-1)).collect())
}

/// Why requests of such tensors can't be laid side by side; a clause. What has no declared
/// rank may still turn out to have no rows.
fn alone_by_shape(inputs: &[TensorSpec], outputs: &[TensorSpec]) -> Option<String> {
    if inputs.is_empty() {
        return Some("it has no inputs".to_owned());
    }
    let sides = [("input", inputs), ("output", outputs)];
    let mut specs = sides
        .iter()
        .flat_map(|(role, specs)| specs.iter().map(move |spec| (role, spec)));
    specs.find_map(|(role, spec)| {
        let alias = &spec.alias;
        match spec.shape.as_ref()?.first() {
            None => Some(format!("its {role} \"{alias}\" is a scalar")),
            Some(-1) => None,
            Some(fixed) => Some(format!(
                "the first dimension of its {role} \"{alias}\" is always {fixed}"
            )),
        }
    })
}

fn read_defaults(
    defaults: &BTreeMap<String, TensorProto>,
    inputs: &[TensorSpec],
    unusable: &mut Option<String>,
) -> BTreeMap<String, Tensor> {
    let mut read = BTreeMap::new();
    for input in inputs {
        let Some(default) = defaults.get(&input.alias) else {
            continue;
        };
        let encoded = Bytes::from(default.encode_to_vec());
        match decode_tensor(&encoded, &encoded, MAX_DEFAULT_BYTES) {
            Ok(tensor) => {
                read.insert(input.alias.clone(), tensor);
            }
            Err(error) => {
                unusable.get_or_insert_with(|| {
                    format!("the default of its input \"{}\": {error}", input.alias)
                });
            }
        }
    }
    read
}

#[cfg(test)]
mod tests {
    use super::split_tensor_name;

    #[test]
    fn tensor_names() {
        assert_eq!(split_tensor_name("x:0"), Some(("x", 0)));
        assert_eq!(split_tensor_name("scope/x:12"), Some(("scope/x", 12)));
        assert_eq!(split_tensor_name("x"), Some(("x", 0)));
        for name in ["^x", "x:", "x:-1", "x:+1", "x:a", "x:99999999999"] {
            assert_eq!(split_tensor_name(name), None, "{name}");
        }
    }
}
