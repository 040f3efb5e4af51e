//! The one table from the engine's errors to HTTP's statuses, and the page of an error.

use std::time::Duration;

use bytes::Bytes;
use engine::{Kind, ServeError};
use http::{HeaderValue, Response, StatusCode, header};
use wire::rest::RestError;

use crate::grpc::cut;
use crate::http1::pages;

/// The page of an error: `{"error": message}`. The message is as long as over gRPC at most:
/// it can quote what came.
pub(crate) fn failure(error: &ServeError) -> Response<Bytes> {
    let mut page = pages::failure(status(error.kind()), &cut(error.message()));
    if let Some(delay) = error.retry_delay() {
        let value = HeaderValue::from(whole_seconds(delay));
        page.headers_mut().insert(header::RETRY_AFTER, value);
    }
    page
}

/// What the codec says, as an error of the engine.
pub(super) fn of_codec(error: &RestError) -> ServeError {
    let message = error.to_string();
    match error {
        RestError::Invalid(_) => ServeError::invalid_argument(message),
        RestError::Unimplemented(_) => ServeError::unimplemented(message),
        RestError::TooLarge(_) => ServeError::resource_exhausted(message),
    }
}

fn status(kind: Kind) -> StatusCode {
    match kind {
        Kind::InvalidArgument | Kind::FailedPrecondition | Kind::OutOfRange => {
            StatusCode::BAD_REQUEST
        }
        Kind::Unauthenticated => StatusCode::UNAUTHORIZED,
        Kind::PermissionDenied => StatusCode::FORBIDDEN,
        Kind::NotFound => StatusCode::NOT_FOUND,
        Kind::AlreadyExists | Kind::Aborted => StatusCode::CONFLICT,
        Kind::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
        // No standard's, but everybody's: the client closed the request.
        Kind::Cancelled => StatusCode::from_u16(499).unwrap_or(StatusCode::BAD_REQUEST),
        Kind::Unknown | Kind::Internal | Kind::DataLoss => StatusCode::INTERNAL_SERVER_ERROR,
        Kind::Unimplemented => StatusCode::NOT_IMPLEMENTED,
        Kind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Kind::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
    }
}

/// HTTP counts in whole seconds: the next one.
fn whole_seconds(delay: Duration) -> u64 {
    delay.as_secs() + u64::from(delay.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use engine::{Kind, ServeError};

    use super::{failure, status};

    #[test]
    fn every_kind_has_tensorflow_servings_status() {
        let statuses: Vec<u16> = (1..=16)
            .map(|code| status(Kind::from_code(code)).as_u16())
            .collect();
        let wanted = [
            499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401,
        ];
        assert_eq!(statuses, wanted);
    }

    #[test]
    fn says_when_to_try_again() {
        let full = ServeError::resource_exhausted("full").retry_after(Duration::from_millis(20));
        let page = failure(&full);
        assert_eq!(page.headers()["retry-after"], "1");
        assert_eq!(page.body(), "{\"error\":\"full\"}");
    }

    #[test]
    fn a_long_message_is_cut() {
        let page = failure(&ServeError::invalid_argument("é".repeat(1 << 20)));
        let wanted = format!("{{\"error\":\"{}...TRUNCATED\"}}", "é".repeat(1024));
        assert_eq!(page.body(), wanted.as_bytes());
    }
}
