//! One request and its reply over an open connection.

use bytes::{Buf, Bytes, BytesMut};
use h2::RecvStream;
use http::{HeaderMap, Request, Response};

use crate::code::Code;
use crate::dial::Link;
use crate::status::Status;

/// Bytes that gRPC puts before each message: a flag and the length.
pub(crate) const PREFIX_BYTES: usize = 5;

/// Why there is no reply.
#[derive(Debug)]
pub(crate) enum Broken {
    /// The server says so, or its reply breaks gRPC's rules.
    Status(Status),
    /// HTTP/2 says so.
    Http2(h2::Error),
}

impl Broken {
    /// Whether the server said farewell before it saw the call: it is free to go elsewhere,
    /// at no cost and no risk.
    pub(crate) fn unseen(&self) -> bool {
        match self {
            Self::Status(_) => false,
            // Calls that it did see end in other ways.
            Self::Http2(error) => {
                error.is_go_away()
                    && error.is_remote()
                    && error.reason() == Some(h2::Reason::NO_ERROR)
            }
        }
    }
}

impl From<h2::Error> for Broken {
    fn from(error: h2::Error) -> Self {
        Self::Http2(error)
    }
}

/// Sends `frame`, a message with gRPC's prefix, and reads the reply's message, of `limit`
/// bytes at most, and its trailers. Dropping the future tells the server that nobody wants the reply.
pub(crate) async fn exchange(
    link: &mut Link,
    head: Request<()>,
    frame: Bytes,
    limit: usize,
) -> Result<(Bytes, HeaderMap), Broken> {
    let (response, mut body) = link.sender.send_request(head, false)?;
    // All of it is in memory already: HTTP/2 sends it as the server's windows allow. If the
    // connection has ended since, the response says why, and this does not.
    let _ = body.send_data(frame, true);
    let response = response.await?;
    read(response, limit).await
}

async fn read(response: Response<RecvStream>, limit: usize) -> Result<(Bytes, HeaderMap), Broken> {
    let status = response.status();
    if let Some(result) = Status::read(response.headers()) {
        // A reply of nothing but headers: it can't be a success, which has a message.
        return Err(Broken::Status(match result {
            Err(status) => status,
            Ok(()) => no_message(),
        }));
    }
    if status != http::StatusCode::OK {
        return Err(Broken::Status(Status::of_http(status)));
    }
    let mut stream = response.into_body();
    let mut message = Assembly::Empty;
    while let Some(chunk) = stream.data().await {
        let chunk = chunk?;
        stream.flow_control().release_capacity(chunk.len())?;
        message = message.with(chunk, limit).map_err(Broken::Status)?;
    }
    let trailers = stream.trailers().await?.unwrap_or_default();
    match Status::read(&trailers) {
        Some(Err(status)) => Err(Broken::Status(status)),
        Some(Ok(())) => {
            let message = message.finish().map_err(Broken::Status)?;
            Ok((message, trailers))
        }
        None => Err(Broken::Status(Status::of_http(status))),
    }
}

/// A message as its parts come. The common one comes in one part, and stays a view of it.
enum Assembly {
    Empty,
    /// Less than the prefix.
    Beginning(Bytes),
    Whole(Bytes),
    /// `wanted` bytes in all.
    Part {
        gathered: BytesMut,
        wanted: usize,
    },
}

impl Assembly {
    fn with(self, chunk: Bytes, limit: usize) -> Result<Self, Status> {
        if chunk.is_empty() {
            return Ok(self);
        }
        match self {
            Self::Empty => Self::begin(chunk, limit),
            Self::Beginning(start) => {
                let mut joined = BytesMut::with_capacity(start.len() + chunk.len());
                joined.extend_from_slice(&start);
                joined.extend_from_slice(&chunk);
                Self::begin(joined.freeze(), limit)
            }
            Self::Whole(_) => Err(too_much()),
            Self::Part {
                mut gathered,
                wanted,
            } => {
                if chunk.len() > wanted - gathered.len() {
                    return Err(too_much());
                }
                gathered.extend_from_slice(&chunk);
                Ok(if gathered.len() == wanted {
                    Self::Whole(gathered.freeze())
                } else {
                    Self::Part { gathered, wanted }
                })
            }
        }
    }

    fn begin(mut chunk: Bytes, limit: usize) -> Result<Self, Status> {
        let Some(prefix) = chunk.first_chunk::<PREFIX_BYTES>() else {
            return Ok(Self::Beginning(chunk));
        };
        let [compressed, length @ ..] = *prefix;
        if compressed != 0 {
            let message = "the reply is compressed, which was not asked for";
            return Err(Status::new(Code::Internal, message));
        }
        let wanted = u32::from_be_bytes(length) as usize;
        if wanted > limit {
            let message = format!(
                "the reply is longer than max_message_bytes allows: \
                 it has {wanted} bytes, the limit is {limit}"
            );
            return Err(Status::new(Code::ResourceExhausted, message));
        }
        chunk.advance(PREFIX_BYTES);
        match chunk.len() {
            length if length > wanted => Err(too_much()),
            length if length == wanted => Ok(Self::Whole(chunk)),
            _ => {
                let mut gathered = BytesMut::with_capacity(wanted);
                gathered.extend_from_slice(&chunk);
                Ok(Self::Part { gathered, wanted })
            }
        }
    }

    fn finish(self) -> Result<Bytes, Status> {
        match self {
            Self::Whole(message) => Ok(message),
            Self::Empty => Err(no_message()),
            Self::Beginning(_) | Self::Part { .. } => Err(Status::new(
                Code::Internal,
                "the reply ends within its message",
            )),
        }
    }
}

fn no_message() -> Status {
    Status::new(Code::Internal, "the reply has no message")
}

fn too_much() -> Status {
    Status::new(Code::Internal, "the reply goes on after its message")
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::Assembly;
    use crate::code::Code;
    use crate::status::Status;

    fn assemble(chunks: &[&[u8]], limit: usize) -> Result<Bytes, Status> {
        let mut message = Assembly::Empty;
        for chunk in chunks {
            message = message.with(Bytes::copy_from_slice(chunk), limit)?;
        }
        message.finish()
    }

    #[test]
    fn however_it_is_cut() {
        let frame = [0, 0, 0, 0, 3, 7, 8, 9];
        for first in 0..=frame.len() {
            for second in first..=frame.len() {
                let chunks = [&frame[..first], &frame[first..second], &frame[second..]];
                assert_eq!(assemble(&chunks, 3).unwrap(), [7, 8, 9][..]);
            }
        }
        assert_eq!(assemble(&[&[0; 5]], 0).unwrap(), Bytes::new());
    }

    #[test]
    fn what_is_none() {
        for (chunks, limit, code, text) in [
            (&[][..], 9, Code::Internal, "no message"),
            (&[&[0, 0, 0][..]][..], 9, Code::Internal, "ends within"),
            (&[&[0, 0, 0, 0, 2, 1]], 9, Code::Internal, "ends within"),
            (&[&[0, 0, 0, 0, 1, 1, 2]], 9, Code::Internal, "goes on"),
            (&[&[0, 0, 0, 0, 1, 1], &[2]], 9, Code::Internal, "goes on"),
            (
                &[&[0, 0, 0, 0, 2, 1], &[2, 3]],
                9,
                Code::Internal,
                "goes on",
            ),
            (&[&[1, 0, 0, 0, 1, 1]], 9, Code::Internal, "compressed"),
            (
                &[&[0, 0, 0, 1, 0]],
                9,
                Code::ResourceExhausted,
                "256 bytes, the limit is 9",
            ),
        ] {
            let status = assemble(chunks, limit).unwrap_err();
            assert_eq!(status.code, code);
            assert!(status.message.contains(text), "{status:?}");
        }
    }
}
