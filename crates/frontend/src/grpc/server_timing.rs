//! Telling a caller where its request's time went: the metadata `tensorwire-timings: 1`
//! asks, and trailers answer.

use std::fmt::Write;
use std::time::Duration;

use bytes::BytesMut;
use engine::Timings;
use http::{HeaderMap, HeaderName, HeaderValue};

const ASKED: HeaderName = HeaderName::from_static("tensorwire-timings");
const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");
const ROWS: HeaderName = HeaderName::from_static("tensorwire-rows");
const BATCH_ROWS: HeaderName = HeaderName::from_static("tensorwire-batch-rows");

/// Whether a call's metadata asks for its timings.
pub(crate) fn is_asked(metadata: &HeaderMap) -> bool {
    metadata.get(&ASKED).is_some_and(|value| value == "1")
}

/// Writes the trailers: W3C's `server-timing`, and the rows of the request and of the
/// batch it ran in, each as a number that any client reads by its key.
pub(crate) fn write(timings: &Timings, trailers: &mut HeaderMap) {
    trailers.insert(SERVER_TIMING, header(timings));
    trailers.insert(ROWS, HeaderValue::from(timings.rows));
    trailers.insert(BATCH_ROWS, HeaderValue::from(timings.batch_rows));
}

/// `decode;dur=0.012, queue;dur=0.004, ...`, milliseconds with their microseconds.
pub(crate) fn header(timings: &Timings) -> HeaderValue {
    let phases = [
        ("decode", timings.decode),
        ("queue", timings.queue),
        ("merge", timings.merge),
        ("execute", timings.execute),
        ("split", timings.split),
        ("encode", timings.encode),
        ("total", timings.total),
    ];
    let mut text = BytesMut::with_capacity(160);
    for (name, duration) in phases {
        let separator = if text.is_empty() { "" } else { ", " };
        let (millis, micros) = milliseconds(duration);
        // A buffer that grows takes everything.
        let _ = write!(text, "{separator}{name};dur={millis}.{micros:03}");
    }
    HeaderValue::from_maybe_shared(text.freeze()).unwrap_or(HeaderValue::from_static(""))
}

/// Whole milliseconds, and the microseconds beyond them; to the nearest microsecond, so
/// that the sum of phases is not always short.
fn milliseconds(duration: Duration) -> (u128, u128) {
    let micros = (duration.as_nanos() + 500) / 1000;
    (micros / 1000, micros % 1000)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use engine::Timings;
    use http::{HeaderMap, HeaderValue};

    use super::{header, is_asked, write};

    fn timings() -> Timings {
        Timings {
            decode: Duration::from_nanos(12_345),
            queue: Duration::from_nanos(499),
            merge: Duration::from_nanos(500),
            execute: Duration::from_millis(1_234),
            split: Duration::from_millis(1),
            encode: Duration::from_micros(7_089),
            total: Duration::from_hours(24),
            rows: 3,
            batch_rows: 64,
        }
    }

    #[test]
    fn milliseconds_with_three_digits() {
        assert_eq!(
            header(&timings()),
            "decode;dur=0.012, queue;dur=0.000, merge;dur=0.001, execute;dur=1234.000, \
             split;dur=1.000, encode;dur=7.089, total;dur=86400000.000"
        );
        let longest = Timings {
            total: Duration::MAX,
            ..Timings::default()
        };
        assert!(
            header(&longest)
                .to_str()
                .unwrap()
                .ends_with("total;dur=18446744073709551616000.000")
        );
    }

    #[test]
    fn rows_are_numbers_of_their_own() {
        let mut trailers = HeaderMap::new();
        write(&timings(), &mut trailers);
        assert_eq!(trailers.len(), 3);
        assert_eq!(trailers["tensorwire-rows"], "3");
        assert_eq!(trailers["tensorwire-batch-rows"], "64");
    }

    #[test]
    fn asked_by_1_alone() {
        let mut metadata = HeaderMap::new();
        assert!(!is_asked(&metadata));
        for (value, asked) in [("1", true), ("0", false), ("true", false), ("", false)] {
            metadata.insert("tensorwire-timings", HeaderValue::from_static(value));
            assert_eq!(is_asked(&metadata), asked, "{value}");
        }
    }
}
