//! What running a signature does beyond computing its outputs: found by following its
//! outputs back through the graph and into every function on the way.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use wire::proto::tensorflow::tensor_info::Encoding;
use wire::proto::tensorflow::{SignatureDef, TensorInfo};

use crate::graph_def::{Function, Graph, Node};
use crate::operations::{Effect, Operations};

/// The strongest effect on a signature's way, and an operation that has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Effects {
    pub(crate) effect: Effect,
    operation: String,
}

impl Effects {
    /// Why requests with these effects must not share a run; a clause.
    pub(crate) fn reason(&self) -> Option<String> {
        let operation = &self.operation;
        match self.effect {
            Effect::None => None,
            Effect::Random => Some(format!(
                "its graph has the operation {operation}, whose result is another each time"
            )),
            Effect::Lasting => Some(format!(
                "its graph has the operation {operation}, which is stateful"
            )),
        }
    }
}

/// A graph, ready to be followed.
pub(crate) struct Reach<'a> {
    nodes: HashMap<&'a [u8], &'a Node>,
    functions: HashMap<&'a [u8], &'a Function>,
    operations: &'a Operations,
}

impl<'a> Reach<'a> {
    pub(crate) fn new(graph: &'a Graph, operations: &'a Operations) -> Self {
        let library = graph.library.iter();
        let functions = library.flat_map(|library| &library.functions);
        let named = |function: &'a Function| Some((&*function.signature.as_ref()?.name, function));
        Self {
            nodes: graph.nodes.iter().map(|node| (&*node.name, node)).collect(),
            functions: functions.filter_map(named).collect(),
            operations,
        }
    }

    /// What a run of the signature does, from its fed inputs to its outputs.
    pub(crate) fn of(&self, signature: &SignatureDef) -> Effects {
        let fed: HashSet<&[u8]> = names(signature.inputs.values()).collect();
        let mut walk = Walk {
            seen: HashSet::new(),
            called: HashSet::new(),
            found: Effects {
                effect: Effect::None,
                operation: String::new(),
            },
        };
        let mut waiting: Vec<&[u8]> = names(signature.outputs.values()).collect();
        while let Some(tensor) = waiting.pop() {
            let name = node_name(tensor);
            // What is fed is not computed; `x` is the same as `x:0`.
            let is_fed = fed.contains(tensor) || (tensor == name && fed.contains(&*first_of(name)));
            let Some((name, node)) = self.nodes.get_key_value(name) else {
                continue;
            };
            if !is_fed && walk.seen.insert(name) {
                self.look_at(node, &mut walk);
                waiting.extend(node.inputs.iter().map(|input| &**input));
            }
        }
        walk.found
    }

    /// Notes what a node does, and everything in the functions that it calls: TensorFlow
    /// runs what is stateful in a function whether its outputs need it or not.
    fn look_at(&self, node: &Node, walk: &mut Walk<'a>) {
        let mut waiting = vec![node];
        while let Some(node) = waiting.pop() {
            let effect = self.operations.effect(&node.operation);
            if effect > walk.found.effect {
                walk.found = Effects {
                    effect,
                    operation: String::from_utf8_lossy(&node.operation).into_owned(),
                };
            }
            // A call in its old form has the function's name for its operation.
            let called = node.functions().chain([Bytes::clone(&node.operation)]);
            for name in called {
                if let Some((name, function)) = self.functions.get_key_value(&*name)
                    && walk.called.insert(name)
                {
                    waiting.extend(&function.nodes);
                }
            }
        }
    }
}

struct Walk<'a> {
    seen: HashSet<&'a [u8]>,
    called: HashSet<&'a [u8]>,
    found: Effects,
}

/// The graph's names of plain tensors.
fn names<'t>(tensors: impl Iterator<Item = &'t TensorInfo>) -> impl Iterator<Item = &'t [u8]> {
    tensors.filter_map(|info| match &info.encoding {
        Some(Encoding::Name(name)) => Some(name.as_bytes()),
        _ => None,
    })
}

/// `x` of `x`, `x:1` and `^x`.
fn node_name(tensor: &[u8]) -> &[u8] {
    let tensor = tensor.strip_prefix(b"^").unwrap_or(tensor);
    let colon = tensor.iter().position(|byte| *byte == b':');
    &tensor[..colon.unwrap_or(tensor.len())]
}

fn first_of(name: &[u8]) -> Vec<u8> {
    [name, b":0"].concat()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use prost::Message;
    use wire::proto::tensorflow::tensor_info::Encoding;
    use wire::proto::tensorflow::{SignatureDef, TensorInfo};

    use super::Reach;
    use crate::graph_def::{
        Attribute, AttributeValue, Function, FunctionLibrary, FunctionName, FunctionSignature,
        Graph, Node, TypeList,
    };
    use crate::operations::{Effect, stateful};

    fn node(name: &'static str, operation: &'static str, inputs: &[&'static str]) -> Node {
        Node {
            name: name.into(),
            operation: operation.into(),
            inputs: inputs.iter().map(|input| (*input).into()).collect(),
            attributes: Vec::new(),
        }
    }

    fn named(name: &'static str) -> FunctionName {
        FunctionName { name: name.into() }
    }

    fn with(mut node: Node, name: &'static str, value: AttributeValue) -> Node {
        let value = Some(value);
        let name = name.into();
        let attribute = Attribute { name, value };
        node.attributes.push(attribute.encode_to_vec().into());
        node
    }

    fn calling(node: Node, function: &'static str) -> Node {
        let value = AttributeValue {
            function: Some(named(function)),
            ..AttributeValue::default()
        };
        with(node, "f", value)
    }

    fn function(name: &'static str, nodes: Vec<Node>) -> Function {
        Function {
            signature: Some(FunctionSignature {
                name: name.into(),
                outputs: Vec::new(),
            }),
            nodes,
        }
    }

    fn tensors(names: &[&str]) -> BTreeMap<String, TensorInfo> {
        let info = |name: &&str| TensorInfo {
            encoding: Some(Encoding::Name((*name).into())),
            ..TensorInfo::default()
        };
        let entries = names.iter().map(|name| ((*name).to_owned(), info(name)));
        entries.collect()
    }

    /// What a signature from `x:0` to `output` does.
    fn effect(nodes: Vec<Node>, functions: Vec<Function>, output: &str) -> (Effect, String) {
        let operations = stateful(&["AssignVariableOp", "ReadVariableOp", "RandomUniform"]);
        let graph = Graph {
            nodes,
            library: Some(FunctionLibrary { functions }),
        };
        let signature = SignatureDef {
            inputs: tensors(&["x:0"]),
            outputs: tensors(&[output]),
            ..SignatureDef::default()
        };
        let effects = Reach::new(&graph, &operations).of(&signature);
        (effects.effect, effects.operation)
    }

    #[test]
    fn only_what_the_outputs_need_counts() {
        let nodes = || {
            vec![
                node("x", "Placeholder", &[]),
                node("read", "ReadVariableOp", &[]),
                node("sum", "Add", &["x", "read:0"]),
                node("noise", "RandomUniform", &[]),
                node("noisy", "Add", &["x", "noise"]),
                node("assign", "AssignVariableOp", &["noise"]),
                node("counted", "Identity", &["sum", "^assign"]),
            ]
        };
        assert_eq!(effect(nodes(), Vec::new(), "sum:0").0, Effect::None);
        let random = (Effect::Random, "RandomUniform".to_owned());
        assert_eq!(effect(nodes(), Vec::new(), "noisy:0"), random);
        let lasting = (Effect::Lasting, "AssignVariableOp".to_owned());
        assert_eq!(effect(nodes(), Vec::new(), "counted"), lasting);
    }

    #[test]
    fn what_is_fed_is_not_computed() {
        let nodes = || {
            vec![
                node("x", "Identity", &["^assign"]),
                node("assign", "AssignVariableOp", &[]),
            ]
        };
        assert_eq!(effect(nodes(), Vec::new(), "x:0").0, Effect::None);
        let mut behind = nodes();
        behind.push(node("y", "Identity", &["x"]));
        assert_eq!(effect(behind, Vec::new(), "y:0").0, Effect::None);
    }

    #[test]
    fn functions_are_looked_into_as_deep_as_they_go() {
        let functions = || {
            vec![
                function(
                    "outer",
                    vec![calling(node("c", "PartitionedCall", &[]), "inner")],
                ),
                function("inner", vec![node("a", "AssignVariableOp", &[])]),
                function("other", vec![node("r", "RandomUniform", &[])]),
            ]
        };
        let call = |operation, function| vec![calling(node("y", operation, &["x"]), function)];
        let effect_of = |nodes| effect(nodes, functions(), "y:0").0;
        assert_eq!(
            effect_of(call("StatefulPartitionedCall", "outer")),
            Effect::Lasting
        );
        assert_eq!(effect_of(call("PartitionedCall", "other")), Effect::Random);
        assert_eq!(effect_of(call("PartitionedCall", "absent")), Effect::None);
        // Called by its name alone, and from a list of branches.
        assert_eq!(effect_of(vec![node("y", "inner", &["x"])]), Effect::Lasting);
        let branches = AttributeValue {
            list: Some(TypeList {
                types: Vec::new(),
                functions: vec![named("other"), named("outer")],
            }),
            ..AttributeValue::default()
        };
        let case = with(node("y", "Case", &["x"]), "branches", branches);
        assert_eq!(effect_of(vec![case]), Effect::Lasting);
    }

    #[test]
    fn circles_end() {
        let nodes = vec![
            node("a", "Merge", &["b"]),
            node("b", "NextIteration", &["a"]),
        ];
        let functions = vec![function("f", vec![calling(node("n", "While", &[]), "f")])];
        assert_eq!(effect(nodes, functions, "a:0").0, Effect::None);
        let functions = vec![function("f", vec![calling(node("n", "While", &[]), "f")])];
        let nodes = vec![calling(node("a", "While", &[]), "f")];
        assert_eq!(effect(nodes, functions, "a:0").0, Effect::None);
    }
}
