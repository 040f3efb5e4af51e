//! How a server says that a call failed: gRPC's headers, and HTTP's where there are none.

use std::time::Duration;

use http::{HeaderMap, StatusCode};
use percent_encoding::percent_decode;

use crate::code::Code;

const STATUS_KEY: &str = "grpc-status";
const MESSAGE_KEY: &str = "grpc-message";

/// What a server says about trying again, in milliseconds; negative: don't.
const PUSHBACK_KEY: &str = "grpc-retry-pushback-ms";

/// A server's wish about the next attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pushback {
    /// It has none.
    Unsaid,
    /// After this time.
    After(Duration),
    /// There must be none.
    Never,
}

/// The end of a call, in the server's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Status {
    pub(crate) code: Code,
    pub(crate) message: String,
    pub(crate) pushback: Pushback,
}

impl Status {
    /// A status without a wish.
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            pushback: Pushback::Unsaid,
        }
    }

    /// Reads trailers, or the headers of a reply that has nothing else. `Ok(())`: the
    /// call succeeded. `None`: they have no status.
    pub(crate) fn read(headers: &HeaderMap) -> Option<Result<(), Self>> {
        let number = headers.get(STATUS_KEY)?.as_bytes();
        if number == b"0" {
            return Some(Ok(()));
        }
        let code = match Code::from_header(number) {
            // Written in another way than gRPC writes it.
            Code::Ok => return Some(Ok(())),
            code => code,
        };
        let message = headers.get(MESSAGE_KEY).map_or_else(String::new, |value| {
            let decoded = percent_decode(value.as_bytes());
            decoded.decode_utf8_lossy().into_owned()
        });
        Some(Err(Self {
            code,
            message,
            pushback: pushback(headers),
        }))
    }

    /// What a reply means that has no status of gRPC's, by gRPC's own table.
    pub(crate) fn of_http(status: StatusCode) -> Self {
        let code = match status.as_u16() {
            400 => Code::Internal,
            401 => Code::Unauthenticated,
            403 => Code::PermissionDenied,
            404 => Code::Unimplemented,
            429 | 502 | 503 | 504 => Code::Unavailable,
            _ => Code::Unknown,
        };
        let message = format!(
            "the reply has HTTP status {} and no grpc-status",
            status.as_str()
        );
        Self::new(code, message)
    }
}

fn pushback(headers: &HeaderMap) -> Pushback {
    let Some(value) = headers.get(PUSHBACK_KEY) else {
        return Pushback::Unsaid;
    };
    // What can't be read counts as a refusal, as gRPC's retry design has it.
    value
        .to_str()
        .ok()
        .and_then(|text| text.parse().ok())
        .map_or(Pushback::Never, |wait| {
            Pushback::After(Duration::from_millis(wait))
        })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

    use super::{Pushback, Status};
    use crate::code::Code;

    fn headers(entries: &[(&'static str, &'static str)]) -> HeaderMap {
        entries
            .iter()
            .map(|(key, value)| {
                let key = HeaderName::from_static(key);
                (key, HeaderValue::from_static(value))
            })
            .collect()
    }

    fn read(entries: &[(&'static str, &'static str)]) -> Option<Result<(), Status>> {
        Status::read(&headers(entries))
    }

    #[test]
    fn status_is_read() {
        assert_eq!(read(&[]), None);
        assert_eq!(read(&[("grpc-status", "0")]), Some(Ok(())));
        assert_eq!(read(&[("grpc-status", "00")]), Some(Ok(())));
        let failed = read(&[("grpc-status", "5"), ("grpc-message", "no m%C3%B6del%21")]);
        let expected = Status::new(Code::NotFound, "no mödel!");
        assert_eq!(failed, Some(Err(expected)));
        let odd = read(&[("grpc-status", "many"), ("grpc-message", "%ff%")]);
        assert_eq!(odd, Some(Err(Status::new(Code::Unknown, "\u{fffd}%"))));
    }

    #[test]
    fn pushback_is_read() {
        for (text, expected) in [
            ("250", Pushback::After(Duration::from_millis(250))),
            ("-1", Pushback::Never),
            ("soon", Pushback::Never),
        ] {
            let entries = [("grpc-status", "14"), ("grpc-retry-pushback-ms", text)];
            let Some(Err(status)) = read(&entries) else {
                panic!("not read as an error");
            };
            assert_eq!(status.pushback, expected);
        }
    }

    #[test]
    fn http_alone() {
        for (number, code) in [
            (404, Code::Unimplemented),
            (503, Code::Unavailable),
            (200, Code::Unknown),
        ] {
            let status = Status::of_http(StatusCode::from_u16(number).unwrap());
            assert_eq!(status.code, code);
            assert!(status.message.contains(&number.to_string()), "{status:?}");
        }
    }
}
