//! Models written by hand, for graphs that no exporter makes.

use std::collections::BTreeMap;
use std::fs;

use prost::Message;
use tempfile::TempDir;
use wire::proto::tensorflow::meta_graph_def::MetaInfoDef;
use wire::proto::tensorflow::tensor_info::Encoding;
use wire::proto::tensorflow::tensor_shape_proto::Dim;
use wire::proto::tensorflow::{SignatureDef, TensorInfo, TensorShapeProto};

pub(crate) const FLOAT: i32 = 1;
pub(crate) const BOOL: i32 = 10;

#[derive(Clone, PartialEq, Message)]
struct SavedModel {
    #[prost(int64, tag = "1")]
    schema_version: i64,
    #[prost(message, repeated, tag = "2")]
    meta_graphs: Vec<MetaGraph>,
}

#[derive(Clone, PartialEq, Message)]
struct MetaGraph {
    #[prost(message, optional, tag = "1")]
    info: Option<MetaInfoDef>,
    #[prost(message, optional, tag = "2")]
    graph: Option<GraphDef>,
    #[prost(btree_map = "string, message", tag = "5")]
    signatures: BTreeMap<String, SignatureDef>,
}

#[derive(Clone, PartialEq, Message)]
struct GraphDef {
    #[prost(message, repeated, tag = "1")]
    nodes: Vec<Node>,
    #[prost(message, optional, tag = "4")]
    versions: Option<Versions>,
}

#[derive(Clone, PartialEq, Message)]
struct Versions {
    #[prost(int32, tag = "1")]
    producer: i32,
}

#[derive(Clone, PartialEq, Message)]
struct Node {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    operation: String,
    #[prost(string, repeated, tag = "3")]
    inputs: Vec<String>,
    #[prost(btree_map = "string, message", tag = "5")]
    attributes: BTreeMap<String, Attribute>,
}

/// `tensorflow.AttrValue`: one of its kinds.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Attribute {
    #[prost(message, optional, tag = "1")]
    types: Option<TypeList>,
    #[prost(bytes = "vec", optional, tag = "2")]
    text: Option<Vec<u8>>,
    #[prost(int64, optional, tag = "3")]
    integer: Option<i64>,
    #[prost(bool, optional, tag = "5")]
    flag: Option<bool>,
    #[prost(int32, optional, tag = "6")]
    dtype: Option<i32>,
    #[prost(message, optional, tag = "7")]
    shape: Option<TensorShapeProto>,
}

#[derive(Clone, PartialEq, Message)]
struct TypeList {
    #[prost(int32, repeated, tag = "6")]
    types: Vec<i32>,
}

impl Attribute {
    pub(crate) fn of_dtype(number: i32) -> Self {
        Self {
            dtype: Some(number),
            ..Self::default()
        }
    }

    pub(crate) fn of_types(numbers: &[i32]) -> Self {
        Self {
            types: Some(TypeList {
                types: numbers.to_vec(),
            }),
            ..Self::default()
        }
    }

    pub(crate) fn of_text(text: &str) -> Self {
        Self {
            text: Some(text.into()),
            ..Self::default()
        }
    }

    pub(crate) fn of_integer(integer: i64) -> Self {
        Self {
            integer: Some(integer),
            ..Self::default()
        }
    }

    pub(crate) fn of_shape(sizes: &[i64]) -> Self {
        let dim = |size: &i64| Dim {
            size: *size,
            ..Dim::default()
        };
        Self {
            shape: Some(TensorShapeProto {
                dim: sizes.iter().map(dim).collect(),
                ..TensorShapeProto::default()
            }),
            ..Self::default()
        }
    }

    pub(crate) fn of_flag(flag: bool) -> Self {
        Self {
            flag: Some(flag),
            ..Self::default()
        }
    }
}

/// A model in the making, tagged `serve`.
pub(crate) struct Model {
    tags: Vec<String>,
    nodes: Vec<Node>,
    signatures: BTreeMap<String, SignatureDef>,
}

impl Model {
    pub(crate) fn new() -> Self {
        Self {
            tags: vec!["serve".into()],
            nodes: Vec::new(),
            signatures: BTreeMap::new(),
        }
    }

    pub(crate) fn tags(mut self, tags: &[&str]) -> Self {
        self.tags = tags.iter().map(ToString::to_string).collect();
        self
    }

    pub(crate) fn node(
        mut self,
        (name, operation): (&str, &str),
        inputs: &[&str],
        attributes: &[(&str, Attribute)],
    ) -> Self {
        self.nodes.push(Node {
            name: name.into(),
            operation: operation.into(),
            inputs: inputs.iter().map(ToString::to_string).collect(),
            attributes: attributes
                .iter()
                .map(|(name, attribute)| ((*name).to_owned(), attribute.clone()))
                .collect(),
        });
        self
    }

    pub(crate) fn placeholder(self, name: &str, dtype: i32) -> Self {
        let attributes = [("dtype", Attribute::of_dtype(dtype))];
        self.node((name, "Placeholder"), &[], &attributes)
    }

    pub(crate) fn identity(self, name: &str, input: &str, dtype: i32) -> Self {
        let attributes = [("T", Attribute::of_dtype(dtype))];
        self.node((name, "Identity"), &[input], &attributes)
    }

    /// A signature of tensors by (alias, name in the graph).
    pub(crate) fn signature(
        mut self,
        name: &str,
        inputs: &[(&str, &str)],
        outputs: &[(&str, &str)],
    ) -> Self {
        let tensors = |tensors: &[(&str, &str)]| {
            let info = |(alias, name): &(&str, &str)| ((*alias).to_owned(), named(name));
            tensors.iter().map(info).collect()
        };
        let signature = SignatureDef {
            inputs: tensors(inputs),
            outputs: tensors(outputs),
            ..SignatureDef::default()
        };
        self.signatures.insert(name.into(), signature);
        self
    }

    pub(crate) fn edit_signature(
        mut self,
        name: &str,
        edit: impl FnOnce(&mut SignatureDef),
    ) -> Self {
        edit(self.signatures.get_mut(name).unwrap());
        self
    }

    /// Writes it to a directory that is removed when dropped.
    pub(crate) fn write(self) -> TempDir {
        let graph = GraphDef {
            nodes: self.nodes,
            versions: Some(Versions { producer: 1882 }),
        };
        let meta_graph = MetaGraph {
            info: Some(MetaInfoDef {
                tags: self.tags,
                ..MetaInfoDef::default()
            }),
            graph: Some(graph),
            signatures: self.signatures,
        };
        let model = SavedModel {
            schema_version: 1,
            meta_graphs: vec![meta_graph],
        };
        let directory = TempDir::new().unwrap();
        let file = directory.path().join("saved_model.pb");
        fs::write(file, model.encode_to_vec()).unwrap();
        directory
    }
}

pub(crate) fn named(tensor_name: &str) -> TensorInfo {
    TensorInfo {
        encoding: Some(Encoding::Name(tensor_name.into())),
        ..TensorInfo::default()
    }
}
