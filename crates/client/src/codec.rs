//! Messages pass as they are: requests are encoded before they get here, replies
//! decoded after.

use bytes::{Buf, BufMut, Bytes};
use tonic::Status;
use tonic::codec::{BufferSettings, Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};

/// Bytes that gRPC puts before each message: a flag and the length.
const PREFIX_BYTES: usize = 5;

/// Room for a reply of a small model; larger ones grow to their announced length once.
const REPLY_BUFFER_BYTES: usize = 1024;

/// Carries one message each way.
pub(crate) struct RawCodec {
    /// The length of the message to send.
    pub(crate) request_bytes: usize,
}

pub(crate) struct RawEncoder {
    request_bytes: usize,
}

pub(crate) struct RawDecoder;

impl Codec for RawCodec {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = RawEncoder;
    type Decoder = RawDecoder;

    fn encoder(&mut self) -> RawEncoder {
        RawEncoder {
            request_bytes: self.request_bytes,
        }
    }

    fn decoder(&mut self) -> RawDecoder {
        RawDecoder
    }
}

impl Encoder for RawEncoder {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, message: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.reserve(message.len());
        buffer.put_slice(&message);
        Ok(())
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::new(self.request_bytes + PREFIX_BYTES, usize::MAX)
    }
}

impl Decoder for RawDecoder {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::new(REPLY_BUFFER_BYTES, usize::MAX)
    }
}
