//! Which operations keep or change something beyond their run. TensorFlow's own list says
//! it of every operation there is, those of op libraries included; ours only names the few
//! of them that do no harm to requests that share a run.

use std::collections::HashSet;

use prost::{DecodeError, Message};

/// Operations that TensorFlow calls stateful, or gives a reference, and that change nothing
/// a later run could see: handles, readers, calls of functions (which are looked into), and
/// state that ends with the run.
const HARMLESS: [&str; 74] = [
    // Variables, which are only read.
    "VarHandleOp",
    "_VarHandlesOp",
    "ReadVariableOp",
    "_ReadVariablesOp",
    "VariableV2",
    "Variable",
    "AutoReloadVariable",
    "VarIsInitializedOp",
    "IsVariableInitialized",
    "VariableShape",
    "ResourceGather",
    "ResourceGatherNd",
    "DisableCopyOnRead",
    "ReadVariableXlaSplitND",
    "GuaranteeConst",
    // Their references on the way to who reads them.
    "RefIdentity",
    "RefSwitch",
    "RefMerge",
    "RefSelect",
    "RefEnter",
    "RefExit",
    "RefNextIteration",
    // Tables, which are only read.
    "HashTable",
    "HashTableV2",
    "AnonymousHashTable",
    "MutableHashTable",
    "MutableHashTableV2",
    "AnonymousMutableHashTable",
    "MutableHashTableOfTensors",
    "MutableHashTableOfTensorsV2",
    "AnonymousMutableHashTableOfTensors",
    "MutableDenseHashTable",
    "MutableDenseHashTableV2",
    "AnonymousMutableDenseHashTable",
    "LookupTableFind",
    "LookupTableFindV2",
    "LookupTableSize",
    "LookupTableSizeV2",
    "LookupTableExport",
    "LookupTableExportV2",
    "BoostedTreesEnsembleResourceHandleOp",
    "IsBoostedTreesEnsembleInitialized",
    "BoostedTreesPredict",
    // Calls.
    "StatefulPartitionedCall",
    "If",
    "Case",
    "While",
    "XlaLaunch",
    "XlaCallModule",
    // What lives as long as a run.
    "TensorArray",
    "TensorArrayV2",
    "TensorArrayV3",
    "TensorArrayGradV3",
    "TensorArrayWrite",
    "TensorArrayWriteV3",
    "TensorArrayRead",
    "TensorArrayReadV3",
    "TensorArrayGather",
    "TensorArrayGatherV3",
    "TensorArrayScatter",
    "TensorArrayScatterV3",
    "TensorArrayConcatV3",
    "TensorArraySplitV3",
    "TensorArraySizeV3",
    "TensorArrayCloseV3",
    "StackV2",
    "StackPushV2",
    "StackPopV2",
    "StackCloseV2",
    // Stateful in name only.
    "Assert",
    "CheckNumerics",
    "CheckNumericsV2",
    "StatelessRandomGetAlg",
    "Empty",
];

/// Operations whose result is another each time, and that change nothing else.
const RANDOM: [&str; 21] = [
    "RandomUniform",
    "RandomUniformInt",
    "RandomStandardNormal",
    "TruncatedNormal",
    "ParameterizedTruncatedNormal",
    "RandomGamma",
    "RandomPoisson",
    "RandomPoissonV2",
    "RandomShuffle",
    "RandomCrop",
    "Multinomial",
    "NonDeterministicInts",
    "SampleDistortedBoundingBox",
    "SampleDistortedBoundingBoxV2",
    "UniformCandidateSampler",
    "LogUniformCandidateSampler",
    "LearnedUnigramCandidateSampler",
    "ThreadUnsafeUnigramCandidateSampler",
    "FixedUnigramCandidateSampler",
    "AllCandidateSampler",
    "Timestamp",
];

/// What an operation does beyond computing its outputs from its inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Effect {
    /// Nothing.
    None,
    /// Its outputs are others each time.
    Random,
    /// It keeps or changes something that later runs see, or the world does.
    Lasting,
}

/// The operations that are there, by what TensorFlow says of them.
#[derive(Debug, Default)]
pub(crate) struct Operations {
    stateful: HashSet<String>,
}

impl Operations {
    /// From an encoded `tensorflow.OpList`.
    pub(crate) fn read(encoded: &[u8]) -> Result<Self, DecodeError> {
        let list = OpList::decode(encoded)?;
        let is_stateful = |definition: &OpDef| {
            let writes = definition.inputs.iter().any(|input| input.is_reference);
            definition.is_stateful || writes
        };
        let stateful = list.definitions.into_iter().filter(is_stateful);
        Ok(Self {
            stateful: stateful.map(|definition| definition.name).collect(),
        })
    }

    /// What the operation of this name does.
    pub(crate) fn effect(&self, operation: &[u8]) -> Effect {
        let Ok(name) = std::str::from_utf8(operation) else {
            return Effect::None;
        };
        if RANDOM.contains(&name) {
            Effect::Random
        } else if self.stateful.contains(name) && !HARMLESS.contains(&name) {
            Effect::Lasting
        } else {
            Effect::None
        }
    }
}

/// `tensorflow.OpList`.
#[derive(Clone, PartialEq, Message)]
struct OpList {
    #[prost(message, repeated, tag = "1")]
    definitions: Vec<OpDef>,
}

/// `tensorflow.OpDef`.
#[derive(Clone, PartialEq, Message)]
struct OpDef {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, repeated, tag = "2")]
    inputs: Vec<OpArgument>,
    #[prost(bool, tag = "17")]
    is_stateful: bool,
}

/// `tensorflow.OpDef.ArgDef`.
#[derive(Clone, PartialEq, Message)]
struct OpArgument {
    #[prost(bool, tag = "16")]
    is_reference: bool,
}

#[cfg(test)]
pub(crate) fn stateful(names: &[&str]) -> Operations {
    Operations {
        stateful: names.iter().map(ToString::to_string).collect(),
    }
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::{Effect, OpArgument, OpDef, OpList, Operations};

    #[test]
    fn what_the_list_says() {
        let definition = |name: &str, is_reference, is_stateful| OpDef {
            name: name.into(),
            inputs: vec![OpArgument { is_reference }],
            is_stateful,
        };
        let list = OpList {
            definitions: vec![
                definition("MatMul", false, false),
                definition("AssignVariableOp", false, true),
                definition("Assign", true, false),
                definition("ReadVariableOp", false, true),
                definition("RefIdentity", true, false),
                definition("RandomUniform", false, true),
                definition("MyCounter", false, true),
            ],
        };
        let operations = Operations::read(&list.encode_to_vec()).unwrap();
        for (name, effect) in [
            ("MatMul", Effect::None),
            ("AssignVariableOp", Effect::Lasting),
            ("Assign", Effect::Lasting),
            ("ReadVariableOp", Effect::None),
            ("RefIdentity", Effect::None),
            ("RandomUniform", Effect::Random),
            ("MyCounter", Effect::Lasting),
            ("a_function", Effect::None),
        ] {
            assert_eq!(operations.effect(name.as_bytes()), effect, "{name}");
        }
    }
}
