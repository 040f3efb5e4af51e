//! A `PredictionLog` whose messages stay as they are: written around messages that crossed
//! the wire, read as views of the record.

use bytes::{BufMut, Bytes};

use super::last;
use crate::Malformed;
use crate::protobuf::{Fields, Value, len_of_bytes, put_bytes_header};

/// `PredictionLog.log_metadata`.
const METADATA: u32 = 1;
/// `request` and `response` of each kind's own message.
const REQUEST: u32 = 1;
const RESPONSE: u32 = 2;

/// Which of a `PredictionLog`'s messages is set; the numbers are its fields'.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogKind {
    /// `classify_log`.
    Classify = 2,
    /// `regress_log`.
    Regress = 3,
    /// `multi_inference_log`.
    MultiInference = 4,
    /// `predict_log`.
    Predict = 6,
}

/// What is in a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Log {
    /// A request, encoded as the method of this kind takes it.
    Request(LogKind, Bytes),
    /// A record of another kind, by the number of its field; 0: it has none.
    Other(u32),
}

/// Appends a `PredictionLog` of these encoded messages: a `LogMetadata`, and the request and
/// the reply (in pieces) of this kind.
pub fn put_log(
    kind: LogKind,
    metadata: &[u8],
    (request, reply): (&[u8], &[Bytes]),
    buffer: &mut Vec<u8>,
) {
    let reply_len = reply.iter().map(Bytes::len).sum();
    put_bytes_header(METADATA, metadata.len(), buffer);
    buffer.put_slice(metadata);
    let length = len_of_bytes(REQUEST, request.len()) + len_of_bytes(RESPONSE, reply_len);
    put_bytes_header(kind as u32, length, buffer);
    put_bytes_header(REQUEST, request.len(), buffer);
    buffer.put_slice(request);
    put_bytes_header(RESPONSE, reply_len, buffer);
    for piece in reply {
        buffer.put_slice(piece);
    }
}

/// What a record holds; of several requests the last counts, as protobuf has it.
pub fn read_log(record: &Bytes) -> Result<Log, Malformed> {
    let mut set = 0;
    for field in Fields::of(record) {
        if let (number @ 2..=7, Value::Bytes(_)) = field? {
            set = number;
        }
    }
    let kind = match set {
        2 => LogKind::Classify,
        3 => LogKind::Regress,
        4 => LogKind::MultiInference,
        6 => LogKind::Predict,
        _ => return Ok(Log::Other(set)),
    };
    let log = last(record, set)?.unwrap_or_default();
    let request = last(&log, REQUEST)?.unwrap_or_default();
    Ok(Log::Request(kind, request))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use prost::Message;

    use super::{Log, LogKind, put_log, read_log};
    use crate::proto::serving::prediction_log::LogType;
    use crate::proto::serving::{
        LogMetadata, ModelSpec, PredictRequest, PredictResponse, PredictStreamedLog, PredictionLog,
    };

    fn spec(name: &str) -> ModelSpec {
        ModelSpec {
            name: name.into(),
            ..ModelSpec::default()
        }
    }

    #[test]
    fn what_is_written_is_the_generated_message() {
        let request = PredictRequest {
            model_spec: Some(spec("asked")),
            ..PredictRequest::default()
        };
        let response = PredictResponse {
            model_spec: Some(spec("answered")),
            ..PredictResponse::default()
        };
        let metadata = LogMetadata {
            timestamp_secs: 5,
            ..LogMetadata::default()
        };
        let reply = Bytes::from(response.encode_to_vec());
        let pieces = [reply.slice(..3), reply.slice(3..)];
        let asked = Bytes::from(request.encode_to_vec());
        let mut written = Vec::new();
        let messages = (&asked[..], &pieces[..]);
        put_log(
            LogKind::Predict,
            &metadata.encode_to_vec(),
            messages,
            &mut written,
        );

        let written = Bytes::from(written);
        let read = PredictionLog::decode(written.clone()).unwrap();
        assert_eq!(read.log_metadata, Some(metadata));
        let Some(LogType::PredictLog(log)) = read.log_type else {
            panic!("{read:?}");
        };
        assert_eq!((log.request, log.response), (Some(request), Some(response)));
        assert_eq!(
            read_log(&written),
            Ok(Log::Request(LogKind::Predict, asked))
        );
    }

    #[test]
    fn other_kinds() {
        assert_eq!(read_log(&Bytes::new()), Ok(Log::Other(0)));
        let streamed = PredictionLog {
            log_metadata: None,
            log_type: Some(LogType::PredictStreamedLog(PredictStreamedLog::default())),
        };
        let streamed = Bytes::from(streamed.encode_to_vec());
        assert_eq!(read_log(&streamed), Ok(Log::Other(7)));
        assert_eq!(read_log(&Bytes::from_static(&[42, 0])), Ok(Log::Other(5)));
        assert!(read_log(&Bytes::from_static(&[50, 9, 1])).is_err());
    }
}
