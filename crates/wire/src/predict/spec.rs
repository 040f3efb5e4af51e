//! `tensorflow.serving.ModelSpec`: which model, version and signature.

use bytes::BufMut;

use crate::Malformed;
use crate::protobuf::{
    Fields, Value, len_of_bytes, len_of_text, len_of_varint, put_bytes_header, put_text,
    put_varint, text,
};

const NAME: u32 = 1;
const VERSION: u32 = 2;
const SIGNATURE_NAME: u32 = 3;
const VERSION_LABEL: u32 = 4;

/// `google.protobuf.Int64Value.value`.
const WRAPPED: u32 = 1;

/// Which version of a model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Version<'a> {
    /// The highest that is available: the message names none.
    #[default]
    Latest,
    /// This one.
    Number(i64),
    /// The one that has this label.
    Label(&'a str),
}

/// Which model, version and signature; empty where the message says nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ModelSpec<'a> {
    /// The model.
    pub name: &'a str,
    /// Its version.
    pub version: Version<'a>,
    /// Its signature; empty: the default one.
    pub signature_name: &'a str,
}

impl<'a> ModelSpec<'a> {
    /// Takes over what `encoded` says; a message given twice is joined so.
    pub(crate) fn merge(&mut self, encoded: &'a [u8]) -> Result<(), Malformed> {
        for field in Fields::of(encoded) {
            match field? {
                (NAME, Value::Bytes(name)) => self.name = text(name)?,
                (VERSION, Value::Bytes(wrapper)) => {
                    let mut number = match self.version {
                        Version::Number(number) => number,
                        Version::Latest | Version::Label(_) => 0,
                    };
                    for field in Fields::of(wrapper) {
                        if let (WRAPPED, Value::Varint(value)) = field? {
                            number = value as i64;
                        }
                    }
                    self.version = Version::Number(number);
                }
                (VERSION_LABEL, Value::Bytes(label)) => self.version = Version::Label(text(label)?),
                (SIGNATURE_NAME, Value::Bytes(name)) => self.signature_name = text(name)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn inner_len(&self) -> usize {
        let version = match self.version {
            Version::Latest => 0,
            Version::Number(number) => len_of_bytes(VERSION, len_of_varint(WRAPPED, number as u64)),
            Version::Label(label) => len_of_bytes(VERSION_LABEL, label.len()),
        };
        len_of_text(NAME, self.name) + version + len_of_text(SIGNATURE_NAME, self.signature_name)
    }

    /// Bytes that [`Self::write_field`] writes.
    pub(crate) fn field_len(&self, number: u32) -> usize {
        len_of_bytes(number, self.inner_len())
    }

    /// Writes this as a message's field.
    pub(crate) fn write_field(&self, number: u32, buffer: &mut impl BufMut) {
        put_bytes_header(number, self.inner_len(), buffer);
        put_text(NAME, self.name, buffer);
        if let Version::Number(number) = self.version {
            put_bytes_header(VERSION, len_of_varint(WRAPPED, number as u64), buffer);
            put_varint(WRAPPED, number as u64, buffer);
        }
        put_text(SIGNATURE_NAME, self.signature_name, buffer);
        if let Version::Label(label) = self.version {
            // Written even if empty: that it is there says that a label is meant.
            put_bytes_header(VERSION_LABEL, label.len(), buffer);
            buffer.put_slice(label.as_bytes());
        }
    }
}
