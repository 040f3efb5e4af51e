//! What a SavedModel's graph says about how to load and run it, read from its file
//! without building it.

use crate::graph_def::{MetaGraph, Node};
use crate::sanity;

/// Operations whose state a checkpoint brings back.
const STORED: [&str; 10] = [
    "VarHandleOp",
    "VariableV2",
    "Variable",
    "AutoReloadVariable",
    "MutableHashTable",
    "MutableHashTableV2",
    "MutableHashTableOfTensors",
    "MutableHashTableOfTensorsV2",
    "MutableDenseHashTable",
    "MutableDenseHashTableV2",
];

/// TensorFlow 1's variables, which are written in place.
const REFERENCE_VARIABLES: [&str; 3] = ["VariableV2", "Variable", "TemporaryVariable"];

/// Operations that can run for ever without being one long kernel.
const LOOPS: [&str; 7] = [
    "While",
    "StatelessWhile",
    "For",
    "Enter",
    "RefEnter",
    "NextIteration",
    "RefNextIteration",
];

/// What there is to know of a graph before it is run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outline {
    /// Without its variables' values it cannot run.
    pub(crate) needs_variables: bool,
    /// An output may share memory that a later run writes to.
    pub(crate) outputs_may_change: bool,
    /// It has loops.
    pub(crate) has_loops: bool,
}

impl Outline {
    /// The outline of a meta graph, or what is corrupt in it.
    pub(crate) fn read(meta_graph: &MetaGraph) -> Result<Self, String> {
        let saver = meta_graph.saver.as_ref();
        let restores = saver.is_some_and(|saver| !saver.restore_operation.is_empty());
        let Some(graph) = &meta_graph.graph else {
            return Ok(Self::default());
        };
        sanity::check(graph)?;
        let functions = graph.library.as_ref().map(|library| &library.functions);
        let functions = functions.into_iter().flatten();
        let inner = functions.flat_map(|function| &function.nodes);
        Ok(Self {
            needs_variables: restores && has_any(&graph.nodes, &STORED),
            outputs_may_change: has_any(&graph.nodes, &REFERENCE_VARIABLES),
            has_loops: has_any(graph.nodes.iter().chain(inner), &LOOPS),
        })
    }
}

fn has_any<'a>(nodes: impl IntoIterator<Item = &'a Node>, operations: &[&str]) -> bool {
    let is_one = |node: &Node| operations.iter().any(|name| node.operation == *name);
    nodes.into_iter().any(is_one)
}

#[cfg(test)]
mod tests {
    use super::Outline;
    use crate::graph_def::{Function, FunctionLibrary, Graph, MetaGraph, Node, SavedModel, Saver};
    use prost::Message;

    fn nodes(operations: &[&'static str]) -> Vec<Node> {
        let node = |name: &&'static str| Node {
            name: "node".into(),
            operation: (*name).into(),
            ..Node::default()
        };
        operations.iter().map(node).collect()
    }

    fn outline(operations: &[&'static str], inner: &[&'static str], restore: &str) -> Outline {
        let function = Function {
            nodes: nodes(inner),
            ..Function::default()
        };
        let graph = Graph {
            nodes: nodes(operations),
            library: Some(FunctionLibrary {
                functions: vec![function],
            }),
        };
        let meta_graph = MetaGraph {
            graph: Some(graph),
            saver: Some(Saver {
                restore_operation: restore.to_owned(),
            }),
        };
        let model = SavedModel {
            meta_graphs: vec![MetaGraph::default(), meta_graph],
        };
        let meta_graph = MetaGraph::read(model.encode_to_vec().into(), 1).unwrap();
        Outline::read(&meta_graph).unwrap()
    }

    #[test]
    fn variables_are_needed_where_they_are_restored() {
        assert!(outline(&["Const", "VarHandleOp"], &[], "restore").needs_variables);
        assert!(!outline(&["VarHandleOp"], &[], "").needs_variables);
        assert!(!outline(&["Placeholder"], &["RestoreV2"], "restore").needs_variables);
    }

    #[test]
    fn only_reference_variables_change_in_place() {
        assert!(outline(&["VariableV2"], &[], "").outputs_may_change);
        assert!(!outline(&["VarHandleOp"], &[], "").outputs_may_change);
    }

    #[test]
    fn loops_are_found_in_functions_too() {
        assert!(outline(&["Enter"], &[], "").has_loops);
        assert!(outline(&["Add"], &["StatelessWhile"], "").has_loops);
        assert!(!outline(&["Add"], &["Mul"], "").has_loops);
    }
}
