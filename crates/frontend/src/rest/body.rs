//! The body of a request, as it comes, up to the largest message and not slower than
//! anybody sends who still means to.

use std::fmt::Display;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use engine::{Kind, ServeError};
use http::{HeaderMap, header};
use http_body::{Body, Frame};
use tokio::time::{Sleep, sleep};

use super::aside::{LARGE, aside};
use crate::grpc::Compression;

/// How long a client may send nothing in the midst of a body.
const SILENCE_LIMIT: Duration = Duration::from_secs(75);

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
    /// Nothing came for so long.
    Silent(Duration),
    /// Broken off, or not what its headers say.
    Wrong(ServeError),
}

impl Unread {
    pub(super) fn to_error(&self) -> ServeError {
        match self {
            Self::TooLarge { length, limit } => ServeError::resource_exhausted(format!(
                "Received message larger than max ({length} vs. {limit})"
            )),
            Self::Silent(time) => ServeError::new(
                Kind::Cancelled,
                format!("nothing of the request came for {} s", time.as_secs()),
            ),
            Self::Inflated(error) | Self::Wrong(error) => error.clone(),
        }
    }
}

/// Reads a body of at most `limit` bytes, decompressed if its headers say that it is
/// compressed.
pub(super) async fn read<B>(headers: &HeaderMap, body: B, limit: usize) -> Result<Bytes, Unread>
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
    let body = collect(body, limit, announced).await?;
    if is_gzip(headers) {
        return decompress(body, limit).await;
    }
    Ok(body)
}

async fn collect<B>(body: B, limit: usize, announced: usize) -> Result<Bytes, Unread>
where
    B: Body<Data = Bytes>,
    B::Error: Display,
{
    let mut body = pin!(body);
    let mut first = Bytes::new();
    let mut buffer = BytesMut::new();
    let mut patience = Patience::default();
    loop {
        let next = poll_fn(|context| patience.poll_frame(body.as_mut(), context)).await?;
        let Some(frame) = next else {
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
        // Most bodies are one chunk, which is not copied.
        if first.is_empty() && buffer.is_empty() {
            first = chunk;
            continue;
        }
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

/// What a body gives next, before its end.
type Next<B> = Result<Frame<<B as Body>::Data>, <B as Body>::Error>;

/// Waits for the next of a body, but not for ever.
#[derive(Default)]
struct Patience(Option<Pin<Box<Sleep>>>);

impl Patience {
    fn poll_frame<B: Body>(
        &mut self,
        body: Pin<&mut B>,
        context: &mut Context<'_>,
    ) -> Poll<Result<Option<Next<B>>, Unread>> {
        if let Poll::Ready(frame) = body.poll_frame(context) {
            self.0 = None;
            return Poll::Ready(Ok(frame));
        }
        let end = self.0.get_or_insert_with(|| Box::pin(sleep(SILENCE_LIMIT)));
        ready!(end.as_mut().poll(context));
        Poll::Ready(Err(Unread::Silent(SILENCE_LIMIT)))
    }
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
