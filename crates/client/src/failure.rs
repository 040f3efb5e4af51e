//! What became of one attempt, read from tonic's status and the errors under it: tonic
//! itself says "transport error" for most of them, and not always with gRPC's code.

use std::error::Error;
use std::io;
use std::time::Duration;

use tonic::{Code, ConnectError, Status, TimeoutExpired};

use crate::error::ClientError;

/// What a server says about trying again, in milliseconds; negative: don't.
const PUSHBACK_KEY: &str = "grpc-retry-pushback-ms";

/// How tonic's complaint about a reply over the limit begins.
const TOO_LARGE: &str = "Error, decoded message length too large";

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

/// Where an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// The server answered with an error.
    Answered,
    /// The connection broke, or its end is no gRPC server.
    Lost,
    /// The connection could not be made: the server saw nothing of the call.
    Unreached,
    /// The deadline passed here.
    Expired,
}

/// An attempt that failed.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) error: ClientError,
    pub(crate) pushback: Pushback,
    pub(crate) cause: Cause,
}

impl Failure {
    /// Reads the status of an attempt at the server at `address`.
    pub(crate) fn from_status(status: &Status, address: &str) -> Self {
        let chain = sources(status);
        let (code, message, cause) = if chain.is_empty() {
            from_peer(status)
        } else {
            from_transport(status, &chain, address)
        };
        Self {
            error: ClientError::at(code, message, address),
            pushback: pushback(status),
            cause,
        }
    }
}

/// The errors under a status, the outermost first; none if the server sent it.
fn sources(status: &Status) -> Vec<&(dyn Error + 'static)> {
    let mut chain = Vec::new();
    let mut next = status.source();
    while let Some(error) = next {
        chain.push(error);
        next = error.source();
    }
    chain
}

fn from_peer(status: &Status) -> (Code, String, Cause) {
    if status.code() == Code::OutOfRange && status.message().starts_with(TOO_LARGE) {
        let sizes = status.message().trim_start_matches(TOO_LARGE);
        let message = format!("the reply is longer than max_message_bytes allows{sizes}");
        return (Code::ResourceExhausted, message, Cause::Answered);
    }
    (status.code(), status.message().to_owned(), Cause::Answered)
}

fn from_transport(
    status: &Status,
    chain: &[&(dyn Error + 'static)],
    address: &str,
) -> (Code, String, Cause) {
    if chain.iter().any(|error| error.is::<TimeoutExpired>()) {
        let message = "the deadline passed".to_owned();
        return (Code::DeadlineExceeded, message, Cause::Expired);
    }
    let root = root_cause(chain);
    if chain.iter().any(|error| error.is::<ConnectError>()) {
        let message = format!("cannot connect to {address}: {root}");
        return (Code::Unavailable, message, Cause::Unreached);
    }
    if let Some(error) = chain.iter().find_map(|error| error.downcast_ref()) {
        return from_http2(error, address);
    }
    let lost =
        |error: &&(dyn Error + 'static)| error.is::<io::Error>() || error.is::<hyper::Error>();
    if chain.iter().any(lost) {
        let message = format!("the connection to {address} was lost: {root}");
        return (Code::Unavailable, message, Cause::Lost);
    }
    let message = format!("{}: {root}", status.message());
    (status.code(), message, Cause::Lost)
}

fn from_http2(error: &h2::Error, address: &str) -> (Code, String, Cause) {
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
        return (code, message, Cause::Answered);
    }
    let wrong_protocol = matches!(
        error.reason(),
        Some(Reason::FRAME_SIZE_ERROR | Reason::PROTOCOL_ERROR)
    );
    let message = if wrong_protocol && !error.is_remote() {
        format!("{address} does not answer as a gRPC server does: {error}")
    } else {
        format!("the connection to {address} was lost: {error}")
    };
    (Code::Unavailable, message, Cause::Lost)
}

/// The innermost error's text, without the number that `io::Error` adds to it.
fn root_cause(chain: &[&(dyn Error + 'static)]) -> String {
    let innermost = chain.last().map(ToString::to_string).unwrap_or_default();
    let timed_out = chain.iter().any(|error| {
        error
            .downcast_ref::<io::Error>()
            .is_some_and(|error| error.kind() == io::ErrorKind::TimedOut)
    });
    if timed_out {
        return "no answer within connect_timeout".to_owned();
    }
    match innermost.split_once(" (os error ") {
        Some((text, _)) => text.to_owned(),
        None => innermost,
    }
}

fn pushback(status: &Status) -> Pushback {
    let Some(value) = status.metadata().get(PUSHBACK_KEY) else {
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
    use std::sync::Arc;
    use std::time::Duration;

    use tonic::{Code, ConnectError, Status};

    use super::{Cause, Failure, Pushback};

    #[test]
    fn peers_status_is_kept() {
        let failure = Failure::from_status(&Status::not_found("no such model"), "a:1");
        assert_eq!(failure.error.code(), Code::NotFound);
        assert_eq!(failure.error.message(), "no such model");
        assert_eq!(failure.error.address(), "a:1");
        assert_eq!(failure.cause, Cause::Answered);
        assert_eq!(failure.pushback, Pushback::Unsaid);
    }

    #[test]
    fn connection_refused_names_address_and_cause() {
        let refused = std::io::Error::from_raw_os_error(111);
        let mut status = Status::unknown("transport error");
        status.set_source(Arc::new(ConnectError(Box::new(refused))));
        let failure = Failure::from_status(&status, "localhost:1");
        assert_eq!(failure.error.code(), Code::Unavailable);
        assert_eq!(
            failure.error.message(),
            "cannot connect to localhost:1: Connection refused"
        );
        assert_eq!(failure.cause, Cause::Unreached);
    }

    #[test]
    fn lost_connection_is_unavailable_whatever_tonic_calls_it() {
        let reset = std::io::Error::new(std::io::ErrorKind::ConnectionReset, "reset by peer");
        let mut status = Status::cancelled("operation was canceled");
        status.set_source(Arc::new(reset));
        let failure = Failure::from_status(&status, "a:1");
        assert_eq!(failure.error.code(), Code::Unavailable);
        assert_eq!(
            failure.error.message(),
            "the connection to a:1 was lost: reset by peer"
        );
        assert_eq!(failure.cause, Cause::Lost);
    }

    #[test]
    fn pushback_is_read() {
        for (text, expected) in [
            ("250", Pushback::After(Duration::from_millis(250))),
            ("-1", Pushback::Never),
            ("soon", Pushback::Never),
        ] {
            let mut status = Status::unavailable("busy");
            let value = text.parse().unwrap();
            status.metadata_mut().insert(super::PUSHBACK_KEY, value);
            assert_eq!(Failure::from_status(&status, "a:1").pushback, expected);
        }
    }
}
