//! Putting replies on the wire: headers, framed messages, trailers.

use std::future::poll_fn;
use std::io::IoSlice;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use bytes::{Buf, BufMut, Bytes};
use engine::{Permit, ServeError, Timings};
use h2::SendStream;
use h2::server::SendResponse;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use smallvec::{SmallVec, smallvec};
use tokio::sync::mpsc;
use wire::{Segments, Sink};

use super::message::PREFIX;
use super::{compression, server_timing, status};
use crate::traffic::InFlight;
use crate::unsent::{OnItsWay, Unsent};

/// One message with its prefix, written once; what is large in it stays where it is.
pub(crate) struct Frame {
    segments: Segments,
    /// Of the message.
    length: usize,
}

impl Frame {
    /// A frame for a message of exactly `length` bytes, written by `write`; `shared` of
    /// them need no room, as they are sent from where they are.
    pub(crate) fn new(
        (length, shared): (usize, usize),
        write: impl FnOnce(&mut Segments),
    ) -> Result<Self, ServeError> {
        let Ok(prefix) = u32::try_from(length) else {
            return Err(ServeError::resource_exhausted(format!(
                "the reply has {length} bytes, more than gRPC's {} for a message",
                u32::MAX
            )));
        };
        let mut segments = Segments::with_capacity(PREFIX + length - shared);
        segments.buffer().put_u8(0);
        segments.buffer().put_u32(prefix);
        write(&mut segments);
        Ok(Self { segments, length })
    }

    /// Bytes of its message.
    pub(crate) fn message_bytes(&self) -> usize {
        self.length
    }

    /// Its message in pieces, without copying it.
    pub(crate) fn share(&mut self) -> SmallVec<[Bytes; 2]> {
        let mut pieces = self.segments.share();
        if let Some(first) = pieces.first_mut() {
            // The first piece begins with the whole prefix, which was written in one go.
            first.advance(PREFIX.min(first.len()));
        }
        pieces
    }

    /// A frame of a generated message.
    pub(crate) fn of(message: &impl prost::Message) -> Result<Self, ServeError> {
        Self::new((message.encoded_len(), 0), |segments| {
            // A `BytesMut` always has room.
            let _ = message.encode(segments.buffer());
        })
    }
}

/// Bytes on their way out, which count as in flight until HTTP/2 has sent the last of
/// them: long after they were handed over, if the client reads slowly.
pub(crate) struct Outgoing {
    on_its_way: Option<OnItsWay>,
    pieces: SmallVec<[Bytes; 2]>,
    /// The first that is still to be sent.
    next: usize,
    remaining: usize,
    _hold: Hold,
}

/// What a request holds until its reply has been sent.
#[derive(Default)]
pub(crate) struct Hold {
    _in_flight: Option<InFlight>,
    permit: Option<Permit>,
    unsent: Option<Rc<Unsent>>,
}

impl Outgoing {
    fn new(frame: Frame, hold: Hold) -> Self {
        Self::of(frame.segments.into_pieces(), hold)
    }

    fn page(page: Bytes, hold: Hold) -> Self {
        Self::of(smallvec![page], hold)
    }

    fn of(pieces: SmallVec<[Bytes; 2]>, hold: Hold) -> Self {
        Self {
            on_its_way: hold.unsent.as_ref().map(Unsent::begin),
            remaining: pieces.iter().map(Bytes::len).sum(),
            pieces,
            next: 0,
            _hold: hold,
        }
    }
}

impl Buf for Outgoing {
    fn remaining(&self) -> usize {
        self.remaining
    }

    fn chunk(&self) -> &[u8] {
        self.pieces.get(self.next).map_or(&[], |piece| &piece[..])
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let mut filled = 0;
        for (slice, piece) in slices.iter_mut().zip(&self.pieces[self.next..]) {
            *slice = IoSlice::new(piece);
            filled += 1;
        }
        filled
    }

    fn advance(&mut self, mut count: usize) {
        self.remaining -= count;
        if let Some(reply) = &self.on_its_way {
            reply.moved();
        }
        while let Some(piece) = self.pieces.get_mut(self.next) {
            if count < piece.len() {
                return piece.advance(count);
            }
            count -= piece.len();
            // What was sent is freed at once: a tensor of TensorFlow's, perhaps.
            *piece = Bytes::new();
            self.next += 1;
        }
    }
}

/// The sending end of a reply of many messages. The reply ends well when this is
/// dropped, and badly after the first error that is sent.
pub(crate) type Replies = mpsc::Sender<Result<Frame, ServeError>>;

/// The right to answer one request. Dropped unanswered, as a panic does it, it answers
/// INTERNAL.
pub(crate) struct Responder {
    respond: Option<SendResponse<Outgoing>>,
    hold: Hold,
}

impl Responder {
    /// For a request that counts as in flight while `in_flight` lives.
    pub(crate) fn new(respond: SendResponse<Outgoing>, in_flight: Option<InFlight>) -> Self {
        Self {
            respond: Some(respond),
            hold: Hold {
                _in_flight: in_flight,
                permit: None,
                unsent: None,
            },
        }
    }

    /// The same for a request whose reply counts among those of its connection.
    pub(crate) fn among(mut self, unsent: &Rc<Unsent>) -> Self {
        self.hold.unsent = Some(Rc::clone(unsent));
        self
    }

    /// Whether the client has gone away or given up.
    pub(crate) fn is_gone(&mut self) -> bool {
        self.poll_gone(&mut Context::from_waker(Waker::noop()))
            .is_ready()
    }

    /// Ready when the client has gone away or given up.
    pub(crate) fn poll_gone(&mut self, context: &mut Context<'_>) -> Poll<()> {
        match &mut self.respond {
            Some(respond) => respond.poll_reset(context).map(drop),
            None => Poll::Ready(()),
        }
    }

    /// Answers with one message, or an error. A client that has gone away is no error.
    pub(crate) fn finish(self, outcome: Result<Frame, ServeError>) {
        self.finish_held(outcome, None, None);
    }

    /// The same, with timings for a caller who asked for them, and what the request holds
    /// of the limits until its reply has been sent.
    pub(crate) fn finish_held(
        mut self,
        outcome: Result<Frame, ServeError>,
        timings: Option<&Timings>,
        permit: Option<Permit>,
    ) {
        self.hold.permit = permit;
        match outcome {
            Ok(frame) => self.succeed(frame, timings),
            Err(error) => self.fail(&error),
        }
    }

    fn succeed(mut self, frame: Frame, timings: Option<&Timings>) {
        let Some(mut stream) = self.begin() else {
            return;
        };
        let outgoing = Outgoing::new(frame, std::mem::take(&mut self.hold));
        if stream.send_data(outgoing, false).is_ok() {
            let mut trailers = trailers(None);
            if let Some(timings) = timings {
                server_timing::write(timings, &mut trailers);
            }
            let _ = stream.send_trailers(trailers);
        }
    }

    /// Answers with an error and nothing else.
    pub(crate) fn fail(mut self, error: &ServeError) {
        self.send_failure(error);
    }

    /// Answers with many messages, as they come; the sender is `Replies`.
    pub(super) fn stream(mut self, frames: mpsc::Receiver<Result<Frame, ServeError>>) {
        if let Some(stream) = self.begin() {
            tokio::task::spawn_local(send_all(frames, stream));
        }
    }

    /// Answers a request that is not gRPC's with a page.
    pub(crate) fn show(self, page: Response<Bytes>) {
        self.show_held(page, None);
    }

    /// The same, with what the request holds of the limits until its page has been sent.
    pub(crate) fn show_held(mut self, page: Response<Bytes>, permit: Option<Permit>) {
        self.hold.permit = permit;
        let Some(mut respond) = self.respond.take() else {
            return;
        };
        let (head, body) = page.into_parts();
        let is_empty = body.is_empty();
        let head = Response::from_parts(head, ());
        if let Ok(mut stream) = respond.send_response(head, is_empty)
            && !is_empty
        {
            let _ = stream.send_data(Outgoing::page(body, std::mem::take(&mut self.hold)), true);
        }
    }

    /// Answers a request that is not gRPC's with no more than a status.
    pub(crate) fn refuse(self, code: StatusCode) {
        let mut response = Response::new(Bytes::new());
        *response.status_mut() = code;
        self.show(response);
    }

    fn begin(&mut self) -> Option<SendStream<Outgoing>> {
        self.respond.take()?.send_response(beginning(), false).ok()
    }

    fn send_failure(&mut self, error: &ServeError) {
        if let Some(mut respond) = self.respond.take() {
            let mut response = beginning();
            let headers = response.headers_mut();
            status::write(error, headers);
            if error.kind() == engine::Kind::Unimplemented {
                headers.insert("grpc-accept-encoding", compression::ACCEPTED);
            }
            let _ = respond.send_response(response, true);
        }
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        self.send_failure(&ServeError::internal(
            "the request ended without an answer; this is a bug in TensorWire",
        ));
    }
}

/// Sends frames as they come, and no faster than the client reads them.
async fn send_all(
    mut frames: mpsc::Receiver<Result<Frame, ServeError>>,
    mut stream: SendStream<Outgoing>,
) {
    loop {
        let next = tokio::select! {
            next = frames.recv() => next,
            _ = poll_fn(|context| stream.poll_reset(context)) => return,
        };
        let error = match next {
            Some(Ok(frame)) => {
                if send_when_there_is_room(frame, &mut stream).await.is_none() {
                    return;
                }
                continue;
            }
            Some(Err(error)) => Some(error),
            None => None,
        };
        let _ = stream.send_trailers(trailers(error.as_ref()));
        return;
    }
}

/// `None` if the client has gone away.
async fn send_when_there_is_room(frame: Frame, stream: &mut SendStream<Outgoing>) -> Option<()> {
    let outgoing = Outgoing::new(frame, Hold::default());
    stream.reserve_capacity(outgoing.remaining);
    while stream.capacity() == 0 {
        poll_fn(|context| stream.poll_capacity(context))
            .await?
            .ok()?;
    }
    stream.send_data(outgoing, false).ok()
}

/// The trailers of success or of an error.
fn trailers(error: Option<&ServeError>) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(2);
    match error {
        None => status::write_ok(&mut headers),
        Some(error) => status::write(error, &mut headers),
    }
    headers
}

/// The headers that every reply begins with.
fn beginning() -> Response<()> {
    let mut response = Response::new(());
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, GRPC_PROTO);
    response
}

const GRPC_PROTO: HeaderValue = HeaderValue::from_static("application/grpc");

#[cfg(test)]
mod tests {
    use super::{Frame, Hold, Outgoing};
    use bytes::{Buf, BufMut, Bytes};
    use std::io::IoSlice;
    use wire::Sink;

    fn outgoing() -> (Outgoing, Vec<u8>) {
        let large = Bytes::from(vec![7; 100_000]);
        let frame = Frame::new((100_008, 100_000), |segments| {
            segments.buffer().put_slice(b"head");
            segments.put_shared(&large);
            segments.buffer().put_slice(b"tail");
        });
        let mut frame = frame.unwrap();
        assert_eq!(frame.share().concat().len(), 100_008);
        let outgoing = Outgoing::new(frame, Hold::default());
        let mut wanted = vec![0, 0, 1, 0x86, 0xa8];
        wanted.extend(b"head");
        wanted.extend(&large[..]);
        wanted.extend(b"tail");
        (outgoing, wanted)
    }

    #[test]
    fn pieces_are_one_message() {
        for step in [1, 7, 16_384, 99_999, 100_013] {
            let (mut outgoing, wanted) = outgoing();
            let mut sent = Vec::new();
            while outgoing.has_remaining() {
                let mut slices = [IoSlice::new(&[]); 4];
                let filled = outgoing.chunks_vectored(&mut slices);
                let offered: usize = slices[..filled].iter().map(|slice| slice.len()).sum();
                assert_eq!(offered, outgoing.remaining());
                let count = step.min(outgoing.chunk().len());
                sent.extend_from_slice(&outgoing.chunk()[..count]);
                outgoing.advance(count);
            }
            assert_eq!(sent, wanted);
        }
    }

    #[test]
    fn one_step_may_cross_pieces() {
        let (mut outgoing, wanted) = outgoing();
        outgoing.advance(100_010);
        assert_eq!(outgoing.chunk(), &wanted[100_010..]);
    }
}
