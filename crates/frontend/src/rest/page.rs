//! What all pages of the REST API have in common: type, headers, compression.

use std::io::Write;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};

use super::aside::{LARGE, aside};
use crate::http1::pages;

/// The version that answered. TensorFlow Serving's replies do not say it.
const MODEL_VERSION: HeaderName = HeaderName::from_static("tensorwire-model-version");

/// Smaller pages gain nothing, bytes.
const LEAST_COMPRESSED: usize = 1 << 10;

/// A page of JSON.
pub(super) fn json(body: Vec<u8>) -> Response<Bytes> {
    let mut page = Response::new(Bytes::from(body));
    let headers = page.headers_mut();
    headers.insert(header::CONTENT_TYPE, pages::JSON);
    page
}

/// A page of JSON that a version of a model answered.
pub(super) fn json_of(version: i64, body: Vec<u8>) -> Response<Bytes> {
    let mut page = json(body);
    let version = HeaderValue::from(version);
    page.headers_mut().insert(MODEL_VERSION, version);
    page
}

/// Answers a browser that asks what it may do before it does it.
pub(super) fn preflight(headers: &HeaderMap) -> Response<Bytes> {
    let origin = headers.get(header::ORIGIN).map(HeaderValue::as_bytes);
    let contains = |origin: &[u8], word: &[u8]| origin.windows(word.len()).any(|it| it == word);
    let is_known = |origin: &[u8]| contains(origin, b"http://") || contains(origin, b"https://");
    let mut page = json(Vec::new());
    if !origin.is_some_and(is_known) {
        *page.status_mut() = StatusCode::BAD_REQUEST;
    }
    page
}

/// Lets scripts of any origin call, and read what they are answered.
pub(super) fn allow_all_origins(headers: &mut HeaderMap) {
    for (name, value) in [
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        (header::ACCESS_CONTROL_ALLOW_METHODS, "POST, GET"),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, "Content-Type"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

/// Whether a client wants its page compressed: it names gzip, and not with `q=0`.
pub(super) fn accepts_gzip(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::ACCEPT_ENCODING)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|coding| {
            let (name, parameters) = coding.split_once(';').unwrap_or((coding, ""));
            let weight = parameters.trim().strip_prefix("q=").unwrap_or("1");
            name.trim().eq_ignore_ascii_case("gzip")
                && weight.trim().parse().is_ok_and(|weight: f32| weight > 0.0)
        })
}

/// The page compressed, if that makes it smaller.
pub(super) async fn compressed(page: Response<Bytes>) -> Response<Bytes> {
    let body = page.body().clone();
    if body.len() < LEAST_COMPRESSED {
        return page;
    }
    let small = if body.len() < LARGE {
        gzip(&body)
    } else {
        aside(move || gzip(&body)).await.flatten()
    };
    let Some(small) = small else {
        return page;
    };
    let mut page = page.map(|_| Bytes::from(small));
    let headers = page.headers_mut();
    headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    headers.append(header::VARY, HeaderValue::from_static("accept-encoding"));
    page
}

fn gzip(body: &[u8]) -> Option<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(body).ok()?;
    encoder
        .finish()
        .ok()
        .filter(|small| small.len() < body.len())
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue, header};

    use super::accepts_gzip;

    #[test]
    fn who_wants_it_compressed() {
        for (value, wanted) in [
            ("gzip", true),
            ("deflate, GZIP;q=0.5", true),
            ("br,gzip ; q=1.0", true),
            ("gzip;q=0", false),
            ("identity", false),
            ("*", false),
            ("", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(value));
            assert_eq!(accepts_gzip(&headers), wanted, "{value}");
        }
        assert!(!accepts_gzip(&HeaderMap::new()));
    }
}
