//! A `PredictionLog` as a line: protobuf's JSON mapping with the fields' own names, and in
//! front of them what it has no field for: the time to the microsecond, and how long the
//! request took.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor, SerializeOptions};
use prost_types::Timestamp;
use serde::Serialize;
use tensor::DType;
use wire::proto::serving::PredictionLog;
use wire::proto::serving::prediction_log::LogType;
use wire::proto::tensorflow::TensorProto;
use wire::tensor_proto::{Encoding, decode_tensor, tensor_proto_len, write_tensor_proto};

/// Most bytes of a tensor that is spelled out: on the way, each of its elements takes dozens.
const SPELLED_OUT: usize = 1 << 20;

/// Writes lines.
pub(crate) struct Lines(MessageDescriptor);

#[derive(Serialize)]
struct Front<'a> {
    time: &'a str,
    duration_ms: f64,
}

impl Lines {
    /// Reads the message's own description.
    pub(crate) fn new() -> Result<Self, String> {
        let pool = DescriptorPool::decode(wire::proto::FILE_DESCRIPTOR_SET)
            .map_err(|error| error.to_string())?;
        pool.get_message_by_name("tensorflow.serving.PredictionLog")
            .map(Self)
            .ok_or_else(|| "PredictionLog is not described".to_owned())
    }

    /// The line of an encoded `PredictionLog`, with its end.
    pub(crate) fn line(
        &self,
        log: Bytes,
        time: SystemTime,
        duration: Duration,
    ) -> Result<Vec<u8>, String> {
        let readable = readable(log).map_err(|error| error.to_string())?;
        let message =
            DynamicMessage::decode(self.0.clone(), readable).map_err(|error| error.to_string())?;
        let front = Front {
            time: &to_the_microsecond(time),
            duration_ms: (duration.as_secs_f64() * 1e6).round() / 1e3,
        };
        let mut line = serde_json::to_vec(&front).map_err(|error| error.to_string())?;
        let end = line.len() - 1;
        line[end] = b',';
        let body = line.len();
        let options = SerializeOptions::new().use_proto_field_name(true);
        let mut serializer = serde_json::Serializer::new(&mut line);
        message
            .serialize_with_options(&mut serializer, &options)
            .map_err(|error| error.to_string())?;
        // The message's brace goes: its fields follow those in front.
        line.remove(body);
        line.push(b'\n');
        Ok(line)
    }
}

/// `2026-11-22T21:40:01.123456Z`.
fn to_the_microsecond(time: SystemTime) -> String {
    let mut stamp = Timestamp::from(time);
    let micros = stamp.nanos / 1000;
    stamp.nanos = 0;
    let seconds = stamp.to_string();
    format!("{}.{micros:06}Z", seconds.trim_end_matches('Z'))
}

/// The same with tensors as typed values, and large ones as raw bytes, which become base64.
fn readable(log: Bytes) -> Result<Bytes, prost::DecodeError> {
    let mut message = PredictionLog::decode(log.clone())?;
    let Some(LogType::PredictLog(predict)) = &mut message.log_type else {
        return Ok(log);
    };
    if let Some(request) = &mut predict.request {
        request.inputs.values_mut().for_each(write_out);
    }
    if let Some(response) = &mut predict.response {
        response.outputs.values_mut().for_each(write_out);
    }
    Ok(message.encode_to_vec().into())
}

fn write_out(proto: &mut TensorProto) {
    let length = proto.encoded_len();
    let (encoding, is_so) = if length > SPELLED_OUT {
        // Strings have no other form, and are not spelled out.
        let is_so = !proto.tensor_content.is_empty() || proto.dtype == DType::String.number();
        (Encoding::TensorContent, is_so)
    } else {
        (Encoding::TypedFields, proto.tensor_content.is_empty())
    };
    if is_so {
        return;
    }
    let encoded = Bytes::from(proto.encode_to_vec());
    // No element is more than 16 times as large as it was encoded, unless a few stand for
    // all; what can't be taken stays as it is.
    let Ok(tensor) = decode_tensor(&encoded, &encoded, length.saturating_mul(16)) else {
        return;
    };
    let mut written = Vec::with_capacity(tensor_proto_len(&tensor, encoding));
    write_tensor_proto(&tensor, encoding, &mut written);
    if let Ok(written) = TensorProto::decode(&written[..]) {
        *proto = written;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::{Duration, SystemTime};

    use prost::Message;
    use wire::proto::serving::prediction_log::LogType;
    use wire::proto::serving::{LogMetadata, PredictLog, PredictRequest, PredictionLog};
    use wire::proto::tensorflow::TensorProto;
    use wire::proto::tensorflow::tensor_shape_proto::Dim;

    use super::{Lines, SPELLED_OUT, to_the_microsecond, write_out};

    #[test]
    fn a_line_is_readable_and_whole() {
        let mut tensor = TensorProto {
            dtype: 1,
            tensor_content: [1.5f32, f32::NAN].map(f32::to_le_bytes).concat().into(),
            ..TensorProto::default()
        };
        tensor.tensor_shape.get_or_insert_default().dim = vec![Dim {
            size: 2,
            name: String::new(),
        }];
        let log = PredictionLog {
            log_metadata: Some(LogMetadata {
                timestamp_secs: 5,
                ..LogMetadata::default()
            }),
            log_type: Some(LogType::PredictLog(PredictLog {
                request: Some(PredictRequest {
                    inputs: BTreeMap::from([("x\n".to_owned(), tensor)]),
                    ..PredictRequest::default()
                }),
                response: None,
            })),
        };
        let time = SystemTime::UNIX_EPOCH + Duration::from_micros(5_000_007);
        let line = Lines::new()
            .unwrap()
            .line(
                log.encode_to_vec().into(),
                time,
                Duration::from_micros(1500),
            )
            .unwrap();
        let text = std::str::from_utf8(&line).unwrap();
        assert_eq!(text.matches('\n').count(), 1);
        let read: serde_json::Value = serde_json::from_str(text).unwrap();
        assert_eq!(read["time"], "1970-01-01T00:00:05.000007Z");
        assert_eq!(read["duration_ms"], 1.5);
        assert_eq!(read["log_metadata"]["timestamp_secs"], "5");
        let x = &read["predict_log"]["request"]["inputs"]["x\n"];
        assert_eq!(x["float_val"], serde_json::json!([1.5, "NaN"]));
        assert_eq!(x["dtype"], "DT_FLOAT");
    }

    /// Whichever form they come in.
    #[test]
    fn large_tensors_stay_bytes() {
        let elements = SPELLED_OUT / 4;
        let mut typed = TensorProto {
            dtype: 1,
            float_val: vec![0.5; elements + 1],
            ..TensorProto::default()
        };
        let mut dim = |size: usize| {
            typed.tensor_shape.get_or_insert_default().dim = vec![Dim {
                size: size as i64,
                name: String::new(),
            }];
            typed.clone()
        };
        let (large, filled) = (dim(elements + 1), dim(1 << 40));
        let mut found = large.clone();
        write_out(&mut found);
        assert_eq!(found.tensor_content.len(), 4 * (elements + 1));
        assert!(found.float_val.is_empty() && found.tensor_shape == large.tensor_shape);
        let mut again = found.clone();
        write_out(&mut again);
        assert_eq!(again, found);
        // One that takes more memory than its bytes say stays as it is.
        let mut same = filled.clone();
        write_out(&mut same);
        assert_eq!(same, filled);
    }

    #[test]
    fn times_have_six_places() {
        let time = SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_250);
        assert_eq!(to_the_microsecond(time), "2023-11-14T22:13:20.250000Z");
    }
}
