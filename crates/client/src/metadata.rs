//! What users send along with a call, checked before it is sent.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::code::Code;
use crate::error::ClientError;

/// The request metadata key that asks how reply tensors are to be encoded.
pub const ENCODING_KEY: &str = "tensorwire-encoding";

/// Its value for elements as one block of bytes instead of typed values: no work for
/// the server and none for us. Servers that don't know the key answer as they like.
pub const TENSOR_CONTENT: &str = "tensor_content";

/// A value of a metadata entry.
#[derive(Clone, Debug)]
pub enum MetadataValue {
    /// Printable ASCII, for any key but those that end in `-bin`.
    Text(String),
    /// Any bytes, for keys that end in `-bin`; printable ASCII for others.
    Bytes(Vec<u8>),
}

/// The entries of a call; keys may repeat.
#[derive(Clone, Debug, Default)]
pub struct UserMetadata(pub(crate) HeaderMap);

impl UserMetadata {
    /// Checks the entries.
    pub fn new<I>(entries: I) -> Result<Self, ClientError>
    where
        I: IntoIterator<Item = (String, MetadataValue)>,
    {
        let mut map = HeaderMap::new();
        for (key, value) in entries {
            append(&mut map, &key, value)?;
        }
        Ok(Self(map))
    }
}

fn append(map: &mut HeaderMap, key: &str, value: MetadataValue) -> Result<(), ClientError> {
    let key = key.to_ascii_lowercase();
    if key.starts_with("grpc-") || RESERVED.contains(&key.as_str()) {
        return Err(refuse(&key, "gRPC sets it itself"));
    }
    let name = HeaderName::from_bytes(key.as_bytes())
        .ok()
        .filter(|_| key.bytes().all(is_of_keys))
        .ok_or_else(|| refuse(&key, WANTED_KEY))?;
    let value = if key.ends_with("-bin") {
        let MetadataValue::Bytes(bytes) = value else {
            return Err(refuse(&key, "a key that ends in -bin needs bytes"));
        };
        STANDARD_NO_PAD.encode(bytes).into_bytes()
    } else {
        match value {
            MetadataValue::Text(text) => text.into_bytes(),
            MetadataValue::Bytes(bytes) => bytes,
        }
    };
    let printable = value.iter().all(|byte| (b' '..=b'~').contains(byte));
    let value = HeaderValue::try_from(value)
        .ok()
        .filter(|_| printable)
        .ok_or_else(|| refuse(&key, WANTED_VALUE))?;
    map.append(name, value);
    Ok(())
}

fn is_of_keys(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)
}

/// Headers of the protocol, which a user's entry would break.
const RESERVED: [&str; 5] = ["te", "content-type", "user-agent", "host", "connection"];

const WANTED_VALUE: &str =
    "its value must be printable ASCII; other bytes need a key that ends in -bin";

const WANTED_KEY: &str = "a key has letters, digits and any of - _ . alone";

fn refuse(key: &str, why: &str) -> ClientError {
    ClientError::local(
        Code::InvalidArgument,
        format!("metadata key {key:?} can't be sent: {why}"),
    )
}

#[cfg(test)]
mod tests {
    use super::{MetadataValue, UserMetadata};

    fn text(value: &str) -> MetadataValue {
        MetadataValue::Text(value.to_owned())
    }

    #[test]
    fn keeps_what_can_be_sent() {
        let entries = [
            ("Model".to_owned(), text("mnist")),
            ("trace-bin".to_owned(), MetadataValue::Bytes(vec![0, 255])),
            ("trace-bin".to_owned(), MetadataValue::Bytes(vec![1])),
        ];
        let map = UserMetadata::new(entries).unwrap().0;
        assert_eq!(map.get("model").unwrap(), "mnist");
        let binary: Vec<_> = map.get_all("trace-bin").iter().collect();
        assert_eq!(binary, ["AP8", "AQ"]);
    }

    #[test]
    fn refuses_what_cannot() {
        for (key, value) in [
            ("grpc-timeout", text("1S")),
            ("content-type", text("text/plain")),
            ("trace-bin", text("text")),
            ("a b", text("x")),
            ("", text("x")),
            ("key", text("täxt")),
            ("key", text("a\nb")),
        ] {
            let error = UserMetadata::new([(key.to_owned(), value)]).unwrap_err();
            assert!(error.message().contains(&format!("{key:?}")), "{error}");
        }
    }
}
