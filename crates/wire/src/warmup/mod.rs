//! Recorded requests: a `TFRecord` file of `tensorflow.serving.PredictionLog`, which is what
//! a model is warmed up with and what request logs are.

mod log;
pub use log::{Log, LogKind, put_log, read_log};

mod records;
pub use records::{RecordError, Records, put_record};

use bytes::Bytes;

use crate::Malformed;
use crate::protobuf::{Fields, Value, view};

/// Where a version's records are, under its directory.
pub const FILE: &str = "assets.extra/tf_serving_warmup_requests";

/// `PredictionLog.predict_log`.
const PREDICT_LOG: u32 = 6;
/// `PredictLog.request`.
const REQUEST: u32 = 1;

/// The `PredictRequest` of a `PredictionLog`, still encoded, a view of `record`; `None` for
/// a record of another kind.
pub fn predict_request(record: &Bytes) -> Result<Option<Bytes>, Malformed> {
    let Some(log) = last(record, PREDICT_LOG)? else {
        return Ok(None);
    };
    last(&log, REQUEST)
}

/// The last of a message's fields of this number: of a field given twice it counts.
fn last(message: &Bytes, number: u32) -> Result<Option<Bytes>, Malformed> {
    let mut found = None;
    for field in Fields::of(message) {
        if let (field, Value::Bytes(bytes)) = field?
            && field == number
        {
            found = Some(view(message, bytes));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use prost::Message;

    use super::predict_request;
    use crate::predict::decode_request;
    use crate::proto::serving::prediction_log::LogType;
    use crate::proto::serving::{ModelSpec, PredictLog, PredictRequest, PredictionLog};

    fn log(request: Option<PredictRequest>) -> Bytes {
        let predict_log = PredictLog {
            request,
            response: None,
        };
        let log = PredictionLog {
            log_type: Some(LogType::PredictLog(predict_log)),
            ..PredictionLog::default()
        };
        log.encode_to_vec().into()
    }

    #[test]
    fn the_request_of_a_record() {
        let request = PredictRequest {
            model_spec: Some(ModelSpec {
                signature_name: "other".into(),
                ..ModelSpec::default()
            }),
            ..PredictRequest::default()
        };
        let found = predict_request(&log(Some(request))).unwrap().unwrap();
        let read = decode_request(&found).unwrap();
        assert_eq!(read.spec.unwrap().signature_name, "other");
    }

    #[test]
    fn records_of_other_kinds() {
        assert_eq!(predict_request(&Bytes::new()), Ok(None));
        assert_eq!(predict_request(&log(None)), Ok(None));
        // A classify_log.
        assert_eq!(
            predict_request(&Bytes::from_static(&[18, 2, 10, 0])),
            Ok(None)
        );
        assert!(predict_request(&Bytes::from_static(&[50, 9, 1])).is_err());
    }
}
