//! A request that is to be kept: what was asked stays at hand until it is answered, and is
//! then handed to its model's recorder. Of a model without one it costs a branch.

use std::time::Instant;

use bytes::Bytes;
use engine::{Call, Exchange, InferenceMethod, Messages, ServedModel};
use smallvec::SmallVec;
use tensor::Tensor;

/// A request that is to be kept with its reply.
pub(crate) struct Recording {
    signature: String,
    asked: Asked,
}

enum Asked {
    /// A gRPC message.
    Message(InferenceMethod, Bytes),
    /// Tensors by name, as they came in another form, and the outputs wanted.
    Tensors(Vec<(String, Tensor)>, Vec<String>),
}

impl Recording {
    /// Of a call that is about to run, if it is to be kept; `message`: of gRPC's method.
    pub(super) fn begin(
        call: &Call,
        message: Option<(InferenceMethod, &Bytes)>,
    ) -> Option<Box<Self>> {
        let recorder = call.model().recorder()?;
        if !recorder.wants() {
            return None;
        }
        let signature = call.signature();
        let asked = match message {
            Some((method, message)) => Asked::Message(method, message.clone()),
            None => {
                let inputs = signature.inputs.iter().zip(call.inputs());
                let outputs = call.outputs().iter();
                Asked::Tensors(
                    inputs
                        .map(|(spec, tensor)| (spec.alias.clone(), tensor.clone()))
                        .collect(),
                    outputs
                        .map(|position| signature.outputs[*position].alias.clone())
                        .collect(),
                )
            }
        };
        let is_several = matches!(&asked, Asked::Message(InferenceMethod::MultiInference, _));
        Some(Box::new(Self {
            signature: if is_several {
                String::new()
            } else {
                signature.name.clone()
            },
            asked,
        }))
    }

    /// The tensors that answer it, where its reply is not kept as a message.
    pub(super) fn tensors(&self, outputs: Option<&[Tensor]>) -> Vec<Tensor> {
        match (&self.asked, outputs) {
            (Asked::Tensors(..), Some(outputs)) => outputs.to_vec(),
            _ => Vec::new(),
        }
    }

    /// Hands it over, answered well by `reply`, a gRPC message in pieces, or by `tensors`.
    pub(super) fn keep(
        self,
        model: &ServedModel,
        arrived: Instant,
        reply: impl FnOnce() -> SmallVec<[Bytes; 2]>,
        tensors: Vec<Tensor>,
    ) {
        let Some(recorder) = model.recorder() else {
            return;
        };
        let (method, messages) = match self.asked {
            Asked::Message(method, request) => {
                let reply = reply();
                (method, Messages::Encoded { request, reply })
            }
            Asked::Tensors(inputs, names) => {
                let outputs = names.into_iter().zip(tensors).collect();
                (
                    InferenceMethod::Predict,
                    Messages::Tensors { inputs, outputs },
                )
            }
        };
        recorder.keep(Exchange {
            method,
            signature: self.signature,
            duration: arrived.elapsed(),
            messages,
        });
    }
}
