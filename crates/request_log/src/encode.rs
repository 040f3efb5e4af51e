//! A kept request as a record of its log's form.

use std::time::SystemTime;

use bytes::Bytes;
use engine::{Exchange, InferenceMethod, Messages};
use prost::Message;
use wire::predict::{ModelSpec, PredictCall, PredictReply, Version, encode_request};
use wire::proto::serving;
use wire::tensor_proto::Encoding;
use wire::warmup::{LogKind, put_log, put_record};

use crate::json::Lines;
use crate::options::Format;
use crate::queue::{Queued, Source};

/// Encodes records.
#[derive(Default)]
pub(crate) struct Encoder {
    lines: Option<Lines>,
}

impl Encoder {
    /// The record as it stands in the file, or a clause why there is none.
    pub(crate) fn encode(&mut self, queued: &Queued) -> Result<Vec<u8>, String> {
        let Queued {
            source, exchange, ..
        } = queued;
        let metadata = metadata(source, &exchange.signature, queued.time).encode_to_vec();
        let (request, reply) = match &exchange.messages {
            Messages::Encoded { request, reply } => (request.clone(), reply.to_vec()),
            Messages::Tensors { .. } => messages_of(source, exchange),
        };
        let kind = match exchange.method {
            InferenceMethod::Predict => LogKind::Predict,
            InferenceMethod::Classify => LogKind::Classify,
            InferenceMethod::Regress => LogKind::Regress,
            InferenceMethod::MultiInference => LogKind::MultiInference,
        };
        let mut record = Vec::new();
        let put = |buffer: &mut Vec<u8>| put_log(kind, &metadata, (&request, &reply), buffer);
        match source.options.format {
            Format::TfRecord => {
                put_record(&mut record, put);
                Ok(record)
            }
            Format::Jsonl => {
                put(&mut record);
                let lines = match self.lines.take() {
                    Some(lines) => lines,
                    None => Lines::new()?,
                };
                let lines = self.lines.insert(lines);
                lines.line(record.into(), queued.time, exchange.duration)
            }
        }
    }
}

fn metadata(source: &Source, signature: &str, time: SystemTime) -> serving::LogMetadata {
    let version = serving::model_spec::VersionChoice::Version(source.version);
    let seconds = time.duration_since(SystemTime::UNIX_EPOCH);
    serving::LogMetadata {
        model_spec: Some(serving::ModelSpec {
            name: source.model.clone(),
            signature_name: signature.to_owned(),
            version_choice: Some(version),
        }),
        sampling_config: Some(serving::SamplingConfig {
            sampling_rate: source.options.sampling_rate,
            ..serving::SamplingConfig::default()
        }),
        saved_model_tags: source.options.saved_model_tags.clone(),
        timestamp_secs: seconds.map_or(0, |since| since.as_secs() as i64),
        ..serving::LogMetadata::default()
    }
}

/// Tensors as the messages that would have carried them.
fn messages_of(source: &Source, exchange: &Exchange) -> (Bytes, Vec<Bytes>) {
    let Messages::Tensors { inputs, outputs } = &exchange.messages else {
        return (Bytes::new(), Vec::new());
    };
    let inputs: Vec<_> = inputs
        .iter()
        .map(|(name, it)| (name.as_str(), it))
        .collect();
    let outputs: Vec<_> = outputs
        .iter()
        .map(|(name, it)| (name.as_str(), it))
        .collect();
    let names: Vec<&str> = outputs.iter().map(|(name, _)| *name).collect();
    let request = encode_request(&PredictCall {
        spec: ModelSpec {
            name: &source.model,
            version: Version::Latest,
            signature_name: &exchange.signature,
        },
        inputs: &inputs,
        output_filter: &names,
    });
    let reply = PredictReply {
        model_name: &source.model,
        version: source.version,
        signature_name: &exchange.signature,
        outputs: &outputs,
        encoding: Encoding::TensorContent,
    };
    let reply = reply.measure();
    let mut written = Vec::with_capacity(reply.encoded_len());
    reply.write(&mut written);
    (request, vec![written.into()])
}
