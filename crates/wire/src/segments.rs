//! A message in pieces: what is small is copied together, what is large is shared.

use bytes::{BufMut, Bytes, BytesMut};
use smallvec::SmallVec;

/// From so many bytes on, a tensor's elements are sent from where they are. Below, one
/// more piece costs more than the copy.
const SHARED_FROM: usize = 16 << 10;

/// Where a message is written to.
pub trait Sink {
    /// Where its small parts go.
    type Buffer: BufMut;

    /// For everything that has to be written anew.
    fn buffer(&mut self) -> &mut Self::Buffer;

    /// Adds bytes that somebody already has.
    fn put_shared(&mut self, bytes: &Bytes);
}

/// Into one buffer everything is copied.
impl<B: BufMut> Sink for B {
    type Buffer = B;

    fn buffer(&mut self) -> &mut B {
        self
    }

    fn put_shared(&mut self, bytes: &Bytes) {
        self.put_slice(bytes);
    }
}

/// A message of one piece or several, each written or copied at most once.
#[derive(Debug, Default)]
pub struct Segments {
    finished: SmallVec<[Bytes; 2]>,
    buffer: BytesMut,
}

impl Segments {
    /// With room for so many bytes that are written, not shared.
    pub fn with_capacity(bytes: usize) -> Self {
        Self {
            finished: SmallVec::new(),
            buffer: BytesMut::with_capacity(bytes),
        }
    }

    /// The pieces so far, in order, which stay in it too.
    pub fn share(&mut self) -> SmallVec<[Bytes; 2]> {
        if !self.buffer.is_empty() {
            self.finished.push(self.buffer.split().freeze());
        }
        self.finished.clone()
    }

    /// The pieces, in order.
    pub fn into_pieces(mut self) -> SmallVec<[Bytes; 2]> {
        if !self.buffer.is_empty() || self.finished.is_empty() {
            self.finished.push(self.buffer.freeze());
        }
        self.finished
    }
}

impl Sink for Segments {
    type Buffer = BytesMut;

    fn buffer(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    fn put_shared(&mut self, bytes: &Bytes) {
        if bytes.len() < SHARED_FROM {
            self.buffer.put_slice(bytes);
            return;
        }
        if !self.buffer.is_empty() {
            self.finished.push(self.buffer.split().freeze());
        }
        self.finished.push(bytes.clone());
    }
}

/// Whether [`Segments`] shares so many bytes, so that they need no room in it.
pub(crate) fn is_shared(bytes: usize) -> bool {
    bytes >= SHARED_FROM
}

#[cfg(test)]
mod tests {
    use super::{SHARED_FROM, Segments, Sink};
    use bytes::{BufMut, Bytes};

    #[test]
    fn large_parts_stay_where_they_are() {
        let large = Bytes::from(vec![7; SHARED_FROM]);
        let mut segments = Segments::with_capacity(16);
        segments.buffer().put_slice(b"head");
        segments.put_shared(&Bytes::from_static(b"small"));
        segments.put_shared(&large);
        let so_far = segments.share();
        assert_eq!(so_far.concat().len(), 9 + SHARED_FROM);
        segments.buffer().put_slice(b"tail");
        let pieces = segments.into_pieces();
        assert_eq!(pieces[0], "headsmall");
        assert_eq!(pieces[1].as_ptr(), large.as_ptr());
        assert_eq!(pieces[2], "tail");
        assert_eq!(pieces.len(), 3);
    }

    #[test]
    fn an_empty_message_is_one_empty_piece() {
        assert_eq!(Segments::default().into_pieces()[..], [Bytes::new()]);
    }
}
