//! What became of one attempt: gRPC's code, a sentence, and where it ended.

use crate::code::Code;
use crate::dial::NoLink;
use crate::error::ClientError;
use crate::exchange::Broken;
use crate::status::{Pushback, Status};
use crate::tls::late_alert;

/// Where an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// The server answered with an error.
    Answered,
    /// The connection broke, or its end is no gRPC server.
    Lost,
    /// The connection could not be made: the server saw nothing of the call.
    Unreached,
}

/// An attempt that failed.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) error: ClientError,
    pub(crate) pushback: Pushback,
    pub(crate) cause: Cause,
}

impl Failure {
    /// There is no connection to `address`.
    pub(crate) fn unreached(none: &NoLink, address: &str) -> Self {
        let message = format!("cannot connect to {address}: {}", none.why);
        let failure = Self::new(Code::Unavailable, message, Cause::Unreached, address);
        Self {
            pushback: if none.lasting {
                Pushback::Never
            } else {
                Pushback::Unsaid
            },
            ..failure
        }
    }

    /// The server at `address` said so.
    pub(crate) fn answered(status: Status, address: &str) -> Self {
        Self {
            error: ClientError::at(status.code, status.message, address),
            pushback: status.pushback,
            cause: Cause::Answered,
        }
    }

    /// No reply came; `given_up`: why the connection was closed on this side, if it was.
    pub(crate) fn broken(broken: Broken, given_up: Option<&str>, address: &str) -> Self {
        match (broken, given_up) {
            (Broken::Status(status), _) => Self::answered(status, address),
            (Broken::Http2(_), Some(why)) => Self::lost(why, address),
            (Broken::Http2(error), None) => Self::from_http2(&error, address),
        }
    }

    fn from_http2(error: &h2::Error, address: &str) -> Self {
        use h2::Reason;
        if error.is_remote() && error.is_reset() {
            let code = match error.reason() {
                Some(Reason::REFUSED_STREAM) => Code::Unavailable,
                Some(Reason::CANCEL) => Code::Cancelled,
                Some(Reason::ENHANCE_YOUR_CALM) => Code::ResourceExhausted,
                Some(Reason::INADEQUATE_SECURITY) => Code::PermissionDenied,
                _ => Code::Internal,
            };
            let message = format!("{address} ended the call without a status: {error}");
            return Self::new(code, message, Cause::Answered, address);
        }
        let wrong_protocol = matches!(
            error.reason(),
            Some(Reason::FRAME_SIZE_ERROR | Reason::PROTOCOL_ERROR)
        );
        if wrong_protocol && !error.is_remote() {
            let message = format!(
                "{address} does not answer as a gRPC server does, nor as one that wants no TLS: \
                 {error}"
            );
            return Self::new(Code::Unavailable, message, Cause::Lost, address);
        }
        let text = error.to_string();
        if let Some(why) = late_alert(&text) {
            return Self::unreached(&NoLink::lasting(&why), address);
        }
        // `io::Error` adds its number.
        Self::lost(text.split(" (os error ").next().unwrap_or(&text), address)
    }

    fn lost(why: &str, address: &str) -> Self {
        let message = format!("the connection to {address} was lost: {why}");
        Self::new(Code::Unavailable, message, Cause::Lost, address)
    }

    fn new(code: Code, message: String, cause: Cause, address: &str) -> Self {
        Self {
            error: ClientError::at(code, message, address),
            pushback: Pushback::Unsaid,
            cause,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Cause, Failure};
    use crate::code::Code;
    use crate::dial::NoLink;
    use crate::exchange::Broken;
    use crate::status::{Pushback, Status};

    #[test]
    fn peers_status_is_kept() {
        let status = Status::new(Code::NotFound, "no such model");
        let failure = Failure::broken(Broken::Status(status), Some("given up"), "a:1");
        assert_eq!(failure.error.code(), Code::NotFound);
        assert_eq!(failure.error.message(), "no such model");
        assert_eq!(failure.error.address(), "a:1");
        assert_eq!(failure.cause, Cause::Answered);
        assert_eq!(failure.pushback, Pushback::Unsaid);
    }

    #[test]
    fn connection_refused_names_address_and_cause() {
        let failure = Failure::unreached(&NoLink::passing("Connection refused"), "localhost:1");
        assert_eq!(failure.error.code(), Code::Unavailable);
        assert_eq!(
            failure.error.message(),
            "cannot connect to localhost:1: Connection refused"
        );
        assert_eq!(failure.cause, Cause::Unreached);
    }

    #[test]
    fn why_we_hung_up_is_told() {
        let error = h2::Error::from(h2::Reason::CANCEL);
        let failure = Failure::broken(Broken::Http2(error), Some("no answer to a ping"), "a:1");
        assert_eq!(failure.error.code(), Code::Unavailable);
        assert_eq!(
            failure.error.message(),
            "the connection to a:1 was lost: no answer to a ping"
        );
        assert_eq!(failure.cause, Cause::Lost);
    }
}
