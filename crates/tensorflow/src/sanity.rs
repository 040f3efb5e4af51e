//! What TensorFlow does not check in a graph before it crashes on it: found by loading
//! models with wrong bits in them.

use std::collections::HashMap;

use bytes::Bytes;

use crate::graph_def::{Argument, Function, FunctionSignature, Graph, Node};

/// Operations that call a function and write an output for each that it has, whether
/// they declare it or not.
const CALLS: [&str; 2] = ["PartitionedCall", "StatefulPartitionedCall"];

/// The operation whose value is read by its declared type, whatever type it is of.
const CONSTANT: &str = "Const";

/// What is wrong with a graph that would end the process, if anything is.
pub(crate) fn check(graph: &Graph) -> Result<(), String> {
    let functions: &[Function] = graph
        .library
        .as_ref()
        .map_or(&[], |library| &library.functions);
    let outputs: HashMap<&Bytes, usize> = functions
        .iter()
        .filter_map(|function| function.signature.as_ref())
        .filter_map(|signature| Some((&signature.name, output_count(signature)?)))
        .collect();
    let inner = functions.iter().flat_map(|function| &function.nodes);
    for node in graph.nodes.iter().chain(inner) {
        if node.name.is_empty() || node.operation.is_empty() {
            return Err("a node of its graph lacks a name or an operation".to_owned());
        }
        if CALLS.iter().any(|call| node.operation == *call) {
            check_call(node, &outputs)?;
        }
        if node.operation == CONSTANT {
            check_constant(node)?;
        }
    }
    Ok(())
}

/// How many tensors a function gives; `None` where that depends on the call.
fn output_count(signature: &FunctionSignature) -> Option<usize> {
    let is_one = |argument: &Argument| {
        argument.number_attribute.is_empty() && argument.type_list_attribute.is_empty()
    };
    let outputs = &signature.outputs;
    outputs.iter().all(is_one).then_some(outputs.len())
}

fn check_call(node: &Node, outputs: &HashMap<&Bytes, usize>) -> Result<(), String> {
    let Some(function) = node.attribute("f").and_then(|value| value.function) else {
        return Ok(());
    };
    let Some(given) = outputs.get(&function.name) else {
        return Ok(());
    };
    let types = node.attribute("Tout").and_then(|value| value.list);
    let declared = types.map_or(0, |list| list.types.len());
    if declared == *given {
        return Ok(());
    }
    Err(format!(
        "the node {} of its graph declares {declared} outputs of the function {}, \
         which has {given}",
        node.name.escape_ascii(),
        function.name.escape_ascii(),
    ))
}

fn check_constant(node: &Node) -> Result<(), String> {
    let declared = node.attribute("dtype").map_or(0, |value| value.dtype);
    let tensor = node.attribute("value").and_then(|value| value.tensor);
    let actual = tensor.map_or(0, |tensor| tensor.dtype);
    if declared == actual {
        return Ok(());
    }
    Err(format!(
        "the constant {} of its graph is declared as of type {declared} and is of type {actual}",
        node.name.escape_ascii(),
    ))
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::graph_def::{
        Argument, Attribute, AttributeValue, ConstantTensor, Function, FunctionLibrary,
        FunctionName, FunctionSignature, Graph, Node, TypeList,
    };
    use prost::Message;

    fn attribute(name: &'static str, value: AttributeValue) -> bytes::Bytes {
        let value = Some(value);
        let name = name.into();
        Attribute { name, value }.encode_to_vec().into()
    }

    /// A graph that calls `inner`, which has `given` outputs, and declares `declared`.
    fn call(given: usize, declared: usize) -> Graph {
        let function = AttributeValue {
            function: Some(FunctionName {
                name: "inner".into(),
            }),
            ..AttributeValue::default()
        };
        let types = AttributeValue {
            list: Some(TypeList {
                types: vec![1; declared],
                functions: Vec::new(),
            }),
            ..AttributeValue::default()
        };
        let node = Node {
            name: "call".into(),
            operation: "PartitionedCall".into(),
            inputs: Vec::new(),
            attributes: vec![attribute("Tout", types), attribute("f", function)],
        };
        let signature = FunctionSignature {
            name: "inner".into(),
            outputs: vec![Argument::default(); given],
        };
        let inner = Function {
            signature: Some(signature),
            nodes: Vec::new(),
        };
        Graph {
            nodes: vec![node],
            library: Some(FunctionLibrary {
                functions: vec![inner],
            }),
        }
    }

    #[test]
    fn calls_declare_what_the_function_has() {
        for count in [0, 1, 3] {
            assert_eq!(check(&call(count, count)), Ok(()));
        }
        assert_eq!(
            check(&call(2, 1)).unwrap_err(),
            "the node call of its graph declares 1 outputs of the function inner, which has 2"
        );
    }

    #[test]
    fn constants_are_of_their_declared_type() {
        let constant = |declared, actual| {
            let dtype = AttributeValue {
                dtype: declared,
                ..AttributeValue::default()
            };
            let value = AttributeValue {
                tensor: Some(ConstantTensor { dtype: actual }),
                ..AttributeValue::default()
            };
            let node = Node {
                name: "constant".into(),
                operation: "Const".into(),
                inputs: Vec::new(),
                attributes: vec![attribute("dtype", dtype), attribute("value", value)],
            };
            check(&Graph {
                nodes: vec![node],
                library: None,
            })
        };
        assert_eq!(constant(3, 3), Ok(()));
        assert_eq!(
            constant(1, 3).unwrap_err(),
            "the constant constant of its graph is declared as of type 1 and is of type 3"
        );
    }

    #[test]
    fn nodes_have_names() {
        let mut graph = call(1, 1);
        graph.nodes[0].name.clear();
        assert!(check(&graph).is_err());
        graph.nodes[0].name = "call".into();
        graph.nodes[0].operation.clear();
        assert!(check(&graph).is_err());
    }
}
