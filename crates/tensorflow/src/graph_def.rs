//! The parts of a SavedModel's graph that are looked at before TensorFlow builds it.
//! Names and attributes stay views of the file: most are never read.

use bytes::Bytes;
use prost::{DecodeError, Message};

/// `tensorflow.SavedModel`, reduced to its graphs.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct SavedModel {
    #[prost(message, repeated, tag = "2")]
    pub(crate) meta_graphs: Vec<MetaGraph>,
}

/// `tensorflow.MetaGraphDef`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct MetaGraph {
    #[prost(message, optional, tag = "2")]
    pub(crate) graph: Option<Graph>,
    #[prost(message, optional, tag = "3")]
    pub(crate) saver: Option<Saver>,
}

impl MetaGraph {
    /// The meta graph at `index` of an encoded `SavedModel`, or what is corrupt in it.
    pub(crate) fn read(saved_model: Bytes, index: usize) -> Result<Self, String> {
        let model =
            SavedModel::decode(saved_model).map_err(|error: DecodeError| error.to_string())?;
        Ok(model.meta_graphs.into_iter().nth(index).unwrap_or_default())
    }
}

/// `tensorflow.SaverDef`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Saver {
    #[prost(string, tag = "3")]
    pub(crate) restore_operation: String,
}

/// `tensorflow.GraphDef`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Graph {
    #[prost(message, repeated, tag = "1")]
    pub(crate) nodes: Vec<Node>,
    #[prost(message, optional, tag = "2")]
    pub(crate) library: Option<FunctionLibrary>,
}

/// `tensorflow.FunctionDefLibrary`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct FunctionLibrary {
    #[prost(message, repeated, tag = "1")]
    pub(crate) functions: Vec<Function>,
}

/// `tensorflow.FunctionDef`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Function {
    #[prost(message, optional, tag = "1")]
    pub(crate) signature: Option<FunctionSignature>,
    #[prost(message, repeated, tag = "3")]
    pub(crate) nodes: Vec<Node>,
}

/// `tensorflow.OpDef`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct FunctionSignature {
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) name: Bytes,
    #[prost(message, repeated, tag = "3")]
    pub(crate) outputs: Vec<Argument>,
}

/// `tensorflow.OpDef.ArgDef`: one tensor, or a list of them by an attribute.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Argument {
    #[prost(bytes = "bytes", tag = "5")]
    pub(crate) number_attribute: Bytes,
    #[prost(bytes = "bytes", tag = "6")]
    pub(crate) type_list_attribute: Bytes,
}

/// `tensorflow.NodeDef`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Node {
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) name: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    pub(crate) operation: Bytes,
    /// `node`, `node:1` or `^node`; in a function also `node:output:1` and its arguments.
    #[prost(bytes = "bytes", repeated, tag = "3")]
    pub(crate) inputs: Vec<Bytes>,
    /// Encoded entries of a map of names to values; see [`Self::attribute`].
    #[prost(bytes = "bytes", repeated, tag = "5")]
    pub(crate) attributes: Vec<Bytes>,
}

impl Node {
    /// The names of all functions that its attributes mention: those that it calls.
    pub(crate) fn functions(&self) -> impl Iterator<Item = Bytes> {
        let values = self.attributes.iter().filter_map(|encoded| {
            let attribute = Attribute::decode(encoded.clone()).ok()?;
            attribute.value
        });
        values.flat_map(|value| {
            let listed = value.list.map(|list| list.functions).unwrap_or_default();
            let named = value.function.into_iter().chain(listed);
            named.map(|function| function.name)
        })
    }

    /// The attribute of this name, if the node has it and it can be read.
    pub(crate) fn attribute(&self, name: &str) -> Option<AttributeValue> {
        // Of equal keys in a map, the last counts.
        self.attributes
            .iter()
            .rev()
            .filter_map(|encoded| Attribute::decode(encoded.clone()).ok())
            .find(|attribute| attribute.name == name)
            .map(|attribute| attribute.value.unwrap_or_default())
    }
}

/// An entry of `NodeDef.attr`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Attribute {
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) name: Bytes,
    #[prost(message, optional, tag = "2")]
    pub(crate) value: Option<AttributeValue>,
}

/// `tensorflow.AttrValue`, reduced to what calls and constants have.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct AttributeValue {
    #[prost(message, optional, tag = "1")]
    pub(crate) list: Option<TypeList>,
    #[prost(int32, tag = "6")]
    pub(crate) dtype: i32,
    #[prost(message, optional, tag = "8")]
    pub(crate) tensor: Option<ConstantTensor>,
    #[prost(message, optional, tag = "10")]
    pub(crate) function: Option<FunctionName>,
}

/// `tensorflow.AttrValue.ListValue`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct TypeList {
    #[prost(int32, repeated, tag = "6")]
    pub(crate) types: Vec<i32>,
    #[prost(message, repeated, tag = "9")]
    pub(crate) functions: Vec<FunctionName>,
}

/// `tensorflow.TensorProto`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct ConstantTensor {
    #[prost(int32, tag = "1")]
    pub(crate) dtype: i32,
}

/// `tensorflow.NameAttrList`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct FunctionName {
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) name: Bytes,
}
