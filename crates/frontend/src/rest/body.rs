//! The body of a request, as it comes, up to the largest message and not slower than
//! anybody sends who still means to.

use std::fmt::Display;
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use bytes::{Bytes, BytesMut};
use engine::{Kind, ServeError};
use http::{HeaderMap, header};
use http_body::Body;

use super::aside::{LARGE, aside};
use crate::app::App;
use crate::grpc::Compression;
use crate::under_way::Coming;

/// The largest buffer that is reserved on a length's word alone. A client that names
/// a large one gets memory as it sends, not as it promises.
const RESERVE_LIMIT: usize = 4 << 20;

/// How large a body may become from however few bytes: TensorFlow Serving's limit. JSON
/// shrinks far more than tensors do; a row of zeros to a hundredth.
const INFLATED_FLOOR: usize = 100_000_000;

/// Why there is no body.
#[derive(Debug)]
pub(super) enum Unread {
    /// Larger than a message may be.
    TooLarge { length: usize, limit: usize },
    /// The same of what it is when it is decompressed.
    Inflated(ServeError),
    /// Nothing more came.
    Silent(ServeError),
    /// Broken off, not what its headers say, or too much beside all others.
    Wrong(ServeError),
}

impl Unread {
    pub(super) fn to_error(&self) -> ServeError {
        match self {
            Self::TooLarge { length, limit } => ServeError::resource_exhausted(format!(
                "Received message larger than max ({length} vs. {limit})"
            )),
            Self::Inflated(error) | Self::Silent(error) | Self::Wrong(error) => error.clone(),
        }
    }
}

/// Reads a body of at most `limit` bytes, decompressed if its headers say that it is
/// compressed.
pub(super) async fn read<B>(
    app: &App,
    headers: &HeaderMap,
    body: B,
    limit: usize,
) -> Result<Bytes, Unread>
where
    B: Body<Data = Bytes>,
    B::Error: Display,
{
    let announced = body.size_hint().lower() as usize;
    if announced > limit {
        return Err(Unread::TooLarge {
            length: announced,
            limit,
        });
    }
    let body = collect(body, (limit, announced), app.under_way.begin()).await?;
    if is_gzip(headers) {
        return decompress(body, limit).await;
    }
    Ok(body)
}

async fn collect<B>(
    body: B,
    (limit, announced): (usize, usize),
    mut coming: Coming<'_>,
) -> Result<Bytes, Unread>
where
    B: Body<Data = Bytes>,
    B::Error: Display,
{
    let mut body = pin!(body);
    let mut first = Bytes::new();
    let mut buffer = BytesMut::new();
    loop {
        let next = poll_fn(|context| match body.as_mut().poll_frame(context) {
            Poll::Ready(frame) => Poll::Ready(Ok(frame)),
            Poll::Pending => coming
                .poll_silence(context)
                .map(|error| Err(Unread::Silent(error))),
        });
        let Some(frame) = next.await? else {
            break;
        };
        let frame = frame.map_err(|error| {
            let message = format!("the request broke off: {error}");
            Unread::Wrong(ServeError::new(Kind::Cancelled, message))
        })?;
        // Trailers say nothing.
        let Ok(chunk) = frame.into_data() else {
            continue;
        };
        let length = first.len() + buffer.len() + chunk.len();
        if length > limit {
            return Err(Unread::TooLarge { length, limit });
        }
        // Most bodies are one chunk, which is neither copied nor counted.
        if first.is_empty() && buffer.is_empty() {
            coming.heard();
            first = chunk;
            continue;
        }
        coming.hold(length).map_err(Unread::Wrong)?;
        if buffer.is_empty() {
            buffer.reserve(announced.min(RESERVE_LIMIT).max(length));
            buffer.extend_from_slice(&std::mem::take(&mut first));
        }
        buffer.extend_from_slice(&chunk);
    }
    Ok(if buffer.is_empty() {
        first
    } else {
        buffer.freeze()
    })
}

fn is_gzip(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_ENCODING).is_some_and(|value| {
        let value = value.as_bytes().to_ascii_lowercase();
        value.windows(4).any(|part| part == b"gzip")
    })
}

async fn decompress(body: Bytes, limit: usize) -> Result<Bytes, Unread> {
    let is_large = body.len() >= LARGE;
    let inflate = move || Compression::Gzip.decompress_from(&body, limit, INFLATED_FLOOR);
    let inflated = if is_large {
        aside(inflate).await.unwrap_or_else(|| Err(engine::lost()))
    } else {
        inflate()
    };
    inflated.map_err(|error| match error.kind() {
        // gRPC's word for what is not compressed as it should be.
        Kind::Internal => Unread::Wrong(ServeError::invalid_argument(error.message().to_owned())),
        Kind::ResourceExhausted => Unread::Inflated(error),
        _ => Unread::Wrong(error),
    })
}
