//! A byte buffer at the alignment TensorFlow's kernels want, so that a run can
//! take it over without a copy.

use aligned_vec::{AVec, ConstAlign};

/// Bytes. TensorFlow copies any input that is not aligned to this
/// (`TF_TensorDefaultAlignment` of the tested versions; checked at load).
pub const ALIGNMENT: usize = 64;

/// A growable buffer whose first byte is aligned to [`ALIGNMENT`].
#[derive(Debug)]
pub struct AlignedBuffer(AVec<u8, ConstAlign<ALIGNMENT>>);

impl AlignedBuffer {
    /// An empty buffer with room for `capacity` bytes.
    pub fn with_capacity(capacity: usize) -> Self {
        Self(AVec::with_capacity(ALIGNMENT, capacity))
    }

    /// Appends a copy of `bytes`.
    pub fn extend(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }
}

impl std::ops::Deref for AlignedBuffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl std::ops::DerefMut for AlignedBuffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }
}

#[cfg(test)]
mod tests {
    use super::{ALIGNMENT, AlignedBuffer};

    #[test]
    fn starts_aligned_and_keeps_bytes() {
        let mut buffer = AlignedBuffer::with_capacity(3);
        for chunk in [&b"abc"[..], &[7; 1000]] {
            buffer.extend(chunk);
            assert_eq!(buffer.as_ptr().addr() % ALIGNMENT, 0);
        }
        assert_eq!(buffer[..3], *b"abc");
        assert_eq!(buffer.len(), 1003);
    }
}
