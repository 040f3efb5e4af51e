//! Entries of a `map<string, TensorProto>`.

use std::collections::HashMap;

use super::{Input, WireError};
use crate::protobuf::{Fields, Value, len_of_bytes, len_of_text, put_bytes_header, put_text, text};
use crate::tensor_proto::Layout;
use crate::{Malformed, Sink};

const KEY: u32 = 1;
const VALUE: u32 = 2;

/// Most entries of one kind: far over any signature, and few enough that what is
/// kept for each cannot matter.
pub(super) const MAX_ENTRIES: usize = 1 << 20;

/// Up to so many names are compared one by one, which is faster than hashing them.
const FEW: usize = 16;

/// Gathers entries, each name once: the last of a name wins.
#[derive(Default)]
pub(super) struct Entries<'a> {
    entries: Vec<Input<'a>>,
    /// Where each name is; empty while there are few.
    positions: HashMap<&'a str, usize>,
}

impl<'a> Entries<'a> {
    /// Adds the entry that `encoded` holds; `what` names its kind in an error.
    pub(super) fn add(&mut self, encoded: &'a [u8], what: &'static str) -> Result<(), WireError> {
        let entry = read_entry(encoded)?;
        match self.position(entry.name) {
            Some(position) => self.entries[position] = entry,
            None if self.entries.len() == MAX_ENTRIES => {
                let limit = MAX_ENTRIES;
                return Err(WireError::TooMany { what, limit });
            }
            None => self.append(entry),
        }
        Ok(())
    }

    pub(super) fn into_vec(self) -> Vec<Input<'a>> {
        self.entries
    }

    fn position(&self, name: &str) -> Option<usize> {
        if self.positions.is_empty() {
            self.entries.iter().position(|entry| entry.name == name)
        } else {
            self.positions.get(name).copied()
        }
    }

    fn append(&mut self, entry: Input<'a>) {
        if self.entries.len() == FEW {
            let names = self.entries.iter().map(|entry| entry.name);
            self.positions = names.zip(0..).collect();
        }
        if self.entries.len() >= FEW {
            self.positions.insert(entry.name, self.entries.len());
        }
        self.entries.push(entry);
    }
}

fn read_entry(encoded: &[u8]) -> Result<Input<'_>, Malformed> {
    let mut name = "";
    let mut tensor: Option<&[u8]> = None;
    for field in Fields::of(encoded) {
        match field? {
            (KEY, Value::Bytes(key)) => name = text(key)?,
            // Protobuf would join the two, which no view of the message can be; no
            // writer of maps does it.
            (VALUE, Value::Bytes(_)) if tensor.is_some() => {
                return Err(Malformed("a map entry has two values"));
            }
            (VALUE, Value::Bytes(value)) => tensor = Some(value),
            _ => {}
        }
    }
    let tensor = tensor.unwrap_or_default();
    Ok(Input { name, tensor })
}

fn inner_len(name: &str, tensor: &Layout<'_>) -> usize {
    len_of_text(KEY, name) + len_of_bytes(VALUE, tensor.len())
}

/// Bytes that [`write_entry`] writes.
pub(super) fn entry_len(number: u32, name: &str, tensor: &Layout<'_>) -> usize {
    len_of_bytes(number, inner_len(name, tensor))
}

/// Writes one entry of the map field `number`.
pub(super) fn write_entry(number: u32, name: &str, tensor: &Layout<'_>, sink: &mut impl Sink) {
    let buffer = sink.buffer();
    put_bytes_header(number, inner_len(name, tensor), buffer);
    put_text(KEY, name, buffer);
    put_bytes_header(VALUE, tensor.len(), buffer);
    tensor.write(sink);
}
