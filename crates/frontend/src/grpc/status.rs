//! The one table from the engine's errors to gRPC's statuses.

use engine::{Kind, ServeError};
use http::{HeaderMap, HeaderName, HeaderValue};

const STATUS: HeaderName = HeaderName::from_static("grpc-status");
const OK: HeaderValue = HeaderValue::from_static("0");

/// Longest message that is sent, in characters; TensorFlow Serving cuts at the same
/// length and says so in the same way.
const MESSAGE_LIMIT: usize = 1024;
const CUT: &str = "...TRUNCATED";

/// Adds an error's status and message to headers or trailers.
pub(super) fn write(error: &ServeError, headers: &mut HeaderMap) {
    headers.insert(STATUS, code(error.kind()));
    if let Some(delay) = error.retry_delay() {
        let millis = delay.as_millis().clamp(1, i32::MAX as u128) as i32;
        headers.insert("grpc-retry-pushback-ms", millis.into());
    }
    if let Ok(message) = HeaderValue::try_from(percent_encode(&cut(error.message()))) {
        headers.insert("grpc-message", message);
    }
}

/// The status of a call that went well.
pub(super) fn write_ok(headers: &mut HeaderMap) {
    headers.insert(STATUS, OK);
}

fn code(kind: Kind) -> HeaderValue {
    HeaderValue::from_static(match kind {
        Kind::Cancelled => "1",
        Kind::Unknown => "2",
        Kind::InvalidArgument => "3",
        Kind::DeadlineExceeded => "4",
        Kind::NotFound => "5",
        Kind::AlreadyExists => "6",
        Kind::PermissionDenied => "7",
        Kind::ResourceExhausted => "8",
        Kind::FailedPrecondition => "9",
        Kind::Aborted => "10",
        Kind::OutOfRange => "11",
        Kind::Unimplemented => "12",
        Kind::Internal => "13",
        Kind::Unavailable => "14",
        Kind::DataLoss => "15",
        Kind::Unauthenticated => "16",
    })
}

/// An error's message, not longer than is sent.
pub(crate) fn cut(message: &str) -> String {
    match message.char_indices().nth(MESSAGE_LIMIT) {
        None => message.to_owned(),
        Some((end, _)) => format!("{}{CUT}", &message[..end]),
    }
}

/// gRPC's own rule: space to tilde stand for themselves but `%`, all else is `%XX`.
fn percent_encode(message: &str) -> String {
    const DIGITS: [char; 16] = [
        '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F',
    ];
    let mut encoded = String::with_capacity(message.len());
    for byte in message.bytes() {
        if (b' '..=b'~').contains(&byte) && byte != b'%' {
            encoded.push(char::from(byte));
        } else {
            encoded.push('%');
            encoded.push(DIGITS[usize::from(byte >> 4)]);
            encoded.push(DIGITS[usize::from(byte & 15)]);
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::{MESSAGE_LIMIT, code, cut, percent_encode};
    use engine::Kind;

    #[test]
    fn codes_are_the_engines() {
        for number in 1..=16 {
            let kind = Kind::from_code(number);
            assert_eq!(code(kind).to_str().unwrap(), number.to_string());
        }
    }

    #[test]
    fn messages_survive_the_header() {
        assert_eq!(percent_encode("a b~"), "a b~");
        assert_eq!(percent_encode("50%\n\t"), "50%25%0A%09");
        assert_eq!(percent_encode("é"), "%C3%A9");
    }

    #[test]
    fn long_messages_are_cut_between_characters() {
        let whole = "é".repeat(MESSAGE_LIMIT);
        assert_eq!(cut(&whole), whole);
        assert_eq!(cut(&format!("{whole}x")), format!("{whole}...TRUNCATED"));
    }
}
