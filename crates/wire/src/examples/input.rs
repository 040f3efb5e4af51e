//! `tensorflow.serving.Input`: encoded examples, found and not decoded.

use bytes::{BufMut, Bytes, BytesMut};

use crate::Malformed;
use crate::protobuf::{Fields, Value, view};

const EXAMPLE_LIST: u32 = 1;
const EXAMPLE_LIST_WITH_CONTEXT: u32 = 2;

/// In both kinds of list.
const EXAMPLES: u32 = 1;
const CONTEXT: u32 = 2;

/// What an example takes beside its bytes: its handle here, and TensorFlow's.
pub(crate) const HANDLE_BYTES: usize = size_of::<Bytes>() + 24;

/// The examples of a request; all of it views of its message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExampleInput<'a> {
    /// The field that the examples came in; 0: none.
    kind: u32,
    examples: Vec<&'a [u8]>,
    /// The pieces of what is merged into each of them: one, but for odd writers.
    context: Vec<&'a [u8]>,
}

/// Examples that would take more memory than they may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{examples} examples with their context take {needed} bytes, and {limit} are taken; send \
     fewer at once"
)]
pub struct TooLarge {
    /// How many there are.
    pub examples: usize,
    /// What they take.
    pub needed: usize,
    /// What they may.
    pub limit: usize,
}

impl<'a> ExampleInput<'a> {
    /// Takes over what `encoded`, an `Input`, says; a message given twice is joined so, and
    /// of its two kinds the last counts.
    pub(super) fn merge(&mut self, encoded: &'a [u8]) -> Result<(), Malformed> {
        for field in Fields::of(encoded) {
            if let (number @ (EXAMPLE_LIST | EXAMPLE_LIST_WITH_CONTEXT), Value::Bytes(list)) =
                field?
            {
                self.add(number, list)?;
            }
        }
        Ok(())
    }

    fn add(&mut self, kind: u32, list: &'a [u8]) -> Result<(), Malformed> {
        if self.kind != kind {
            *self = Self {
                kind,
                ..Self::default()
            };
        }
        for field in Fields::of(list) {
            match field? {
                (EXAMPLES, Value::Bytes(example)) => self.examples.push(example),
                (CONTEXT, Value::Bytes(context)) if kind == EXAMPLE_LIST_WITH_CONTEXT => {
                    self.context.push(context);
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// How many examples there are.
    pub fn len(&self) -> usize {
        self.examples.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.examples.is_empty()
    }

    /// Each example as one encoded `tensorflow.Example`: views of `message`, which they
    /// came in; with a context its bytes and the example's, which is how protobuf merges
    /// the two. They may take `limit` bytes of memory in all, with as many handles of each
    /// as there are `tasks` that they go to.
    pub fn serialized(
        &self,
        message: &Bytes,
        (tasks, limit): (usize, usize),
    ) -> Result<Vec<Bytes>, TooLarge> {
        let context: usize = self.context.iter().map(|piece| piece.len()).sum();
        let own: usize = self.examples.iter().map(|example| example.len()).sum();
        let count = self.examples.len();
        let needed = HANDLE_BYTES
            .saturating_mul(tasks)
            .saturating_add(context)
            .saturating_mul(count)
            .saturating_add(own);
        if needed > limit {
            return Err(TooLarge {
                examples: count,
                needed,
                limit,
            });
        }
        let examples = self.examples.iter();
        if context == 0 {
            return Ok(examples.map(|example| view(message, example)).collect());
        }
        let mut merged = BytesMut::with_capacity(context * count + own);
        let join = |example: &&[u8]| {
            for piece in &self.context {
                merged.put_slice(piece);
            }
            merged.put_slice(example);
            merged.split().freeze()
        };
        Ok(examples.map(join).collect())
    }
}
