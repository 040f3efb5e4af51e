//! Messages that a client compressed. Replies are never compressed.

use std::io::Read;

use bytes::Bytes;
use engine::ServeError;
use flate2::read::{GzDecoder, ZlibDecoder};
use http::{HeaderMap, HeaderName, HeaderValue};

const ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");

/// What we can read, as gRPC's header lists it.
pub(super) const ACCEPTED: HeaderValue = HeaderValue::from_static("identity,gzip,deflate");

/// How a call's messages are compressed, where their flag says that they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compression {
    /// None was announced.
    Identity,
    /// gzip.
    Gzip,
    /// zlib.
    Deflate,
}

impl Compression {
    /// As the call's headers announce it.
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, ServeError> {
        let Some(name) = headers.get(ENCODING) else {
            return Ok(Self::Identity);
        };
        match name.as_bytes() {
            b"identity" => Ok(Self::Identity),
            b"gzip" => Ok(Self::Gzip),
            b"deflate" => Ok(Self::Deflate),
            _ => Err(ServeError::unimplemented(format!(
                "the compression {name:?} is not known here; known are identity, gzip and deflate"
            ))),
        }
    }

    /// The message itself; an error if it is more than `limit` bytes, found before
    /// more than those are made.
    pub(super) fn decompress(self, message: &[u8], limit: usize) -> Result<Bytes, ServeError> {
        self.decompress_from(message, limit, EXPANSION_FLOOR)
    }

    /// The same, for what may become `floor` bytes however few it has.
    pub(crate) fn decompress_from(
        self,
        message: &[u8],
        limit: usize,
        floor: usize,
    ) -> Result<Bytes, ServeError> {
        let most = limit.min(floor.max(EXPANSION_RATIO.saturating_mul(message.len())));
        match self {
            Self::Identity => Err(ServeError::internal(
                "the message is marked as compressed, but no grpc-encoding says how",
            )),
            Self::Gzip => inflate(GzDecoder::new(message), most),
            Self::Deflate => inflate(ZlibDecoder::new(message), most),
        }
    }
}

/// Real tensors shrink to a tenth at best; a bomb grows a thousandfold.
const EXPANSION_RATIO: usize = 64;
const EXPANSION_FLOOR: usize = 64 << 20;

fn inflate(reader: impl Read, limit: usize) -> Result<Bytes, ServeError> {
    let mut message = Vec::new();
    reader
        .take(limit as u64 + 1)
        .read_to_end(&mut message)
        .map_err(|error| ServeError::internal(format!("cannot decompress the message: {error}")))?;
    if message.len() > limit {
        return Err(ServeError::resource_exhausted(format!(
            "Received message larger than max (more than {limit} decompressed vs. {limit})"
        )));
    }
    Ok(message.into())
}

#[cfg(test)]
mod tests {
    use super::Compression;
    use engine::Kind;
    use flate2::write::{GzEncoder, ZlibEncoder};
    use std::io::Write;

    #[test]
    fn round_trip() {
        let level = flate2::Compression::default();
        let mut gzip = GzEncoder::new(Vec::new(), level);
        gzip.write_all(b"hello").unwrap();
        let gzip = gzip.finish().unwrap();
        let mut zlib = ZlibEncoder::new(Vec::new(), level);
        zlib.write_all(b"hello").unwrap();
        let zlib = zlib.finish().unwrap();
        assert_eq!(Compression::Gzip.decompress(&gzip, 5).unwrap(), "hello");
        assert_eq!(Compression::Deflate.decompress(&zlib, 5).unwrap(), "hello");
        let refused = |result: Result<_, engine::ServeError>| result.unwrap_err().kind();
        assert_eq!(
            refused(Compression::Gzip.decompress(&gzip, 4)),
            Kind::ResourceExhausted
        );
        assert_eq!(
            refused(Compression::Deflate.decompress(&gzip, 5)),
            Kind::Internal
        );
        assert_eq!(
            refused(Compression::Identity.decompress(&gzip, 5)),
            Kind::Internal
        );
    }
}
