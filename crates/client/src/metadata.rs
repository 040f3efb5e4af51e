//! What users send along with a call, checked before it is sent.

use tonic::Code;
use tonic::metadata::{AsciiMetadataKey, BinaryMetadataKey, MetadataMap};

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
pub struct UserMetadata(pub(crate) MetadataMap);

impl UserMetadata {
    /// Checks the entries.
    pub fn new<I>(entries: I) -> Result<Self, ClientError>
    where
        I: IntoIterator<Item = (String, MetadataValue)>,
    {
        let mut map = MetadataMap::new();
        for (key, value) in entries {
            append(&mut map, &key, value)?;
        }
        Ok(Self(map))
    }
}

fn append(map: &mut MetadataMap, key: &str, value: MetadataValue) -> Result<(), ClientError> {
    let key = key.to_ascii_lowercase();
    if key.starts_with("grpc-") || RESERVED.contains(&key.as_str()) {
        return Err(refuse(&key, "gRPC sets it itself"));
    }
    if key.ends_with("-bin") {
        let MetadataValue::Bytes(bytes) = value else {
            return Err(refuse(&key, "a key that ends in -bin needs bytes"));
        };
        let name =
            BinaryMetadataKey::from_bytes(key.as_bytes()).map_err(|_| refuse(&key, WANTED_KEY))?;
        map.append_bin(name, tonic::metadata::MetadataValue::from_bytes(&bytes));
        return Ok(());
    }
    let name =
        AsciiMetadataKey::from_bytes(key.as_bytes()).map_err(|_| refuse(&key, WANTED_KEY))?;
    let bytes = match value {
        MetadataValue::Text(text) => text.into_bytes(),
        MetadataValue::Bytes(bytes) => bytes,
    };
    let printable = bytes.iter().all(|byte| (b' '..=b'~').contains(byte));
    let value = tonic::metadata::MetadataValue::try_from(bytes)
        .ok()
        .filter(|_| printable)
        .ok_or_else(|| {
            refuse(
                &key,
                "its value must be printable ASCII; other bytes need a key that ends in -bin",
            )
        })?;
    map.append(name, value);
    Ok(())
}

/// Headers of the protocol, which a user's entry would break.
const RESERVED: [&str; 5] = ["te", "content-type", "user-agent", "host", "connection"];

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
        assert_eq!(map.get_all_bin("trace-bin").iter().count(), 2);
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
