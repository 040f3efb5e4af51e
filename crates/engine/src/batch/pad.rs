//! What a batch is filled up with: rows up to an allowed size, and elements up to the
//! largest of its members. Both as TensorFlow Serving does it.

use bytes::Bytes;
use smallvec::SmallVec;
use tensor::{AlignedBuffer, STRING_HANDLE_BYTES, Shape};

use super::run::Member;
use crate::{Call, ServeError};

/// Highest rank of a tensor that is padded; others share a batch as they are.
pub(super) const MAX_PADDED_RANK: usize = 6;

/// Members are not padded to each other if that makes more than this many times their
/// bytes, and more than the floor: two small requests could declare a batch of any size.
const EXPANSION_RATIO: usize = 16;
const EXPANSION_FLOOR: usize = 16 << 20;

/// The sizes of a batch, and what it may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    /// The members' rows together; 1 for a request without a batch dimension.
    pub(super) rows: usize,
    /// The same up to the next allowed size.
    pub(super) padded_rows: usize,
    /// Whether outputs should have a row for each of the batch.
    pub(super) is_by_rows: bool,
    /// Whether members are padded to the largest of them.
    pub(super) widens: bool,
}

impl Plan {
    /// Of a batch of these members, which are of one group.
    pub(super) fn new<R>(members: &[Member<R>]) -> Self {
        let rows = members.iter().map(|member| member.call.rows.unwrap_or(1));
        let rows = rows.sum();
        // Asked once for each batch: the answer can change between two looks.
        let batching = members.first().and_then(|member| {
            let call = &member.call;
            call.is_batchable().then(|| &call.model.options().batching)
        });
        let allowed = batching.map_or(&[][..], |batching| &batching.allowed_batch_sizes);
        let next = allowed.iter().find(|size| **size >= rows);
        Self {
            rows,
            padded_rows: next.copied().unwrap_or(rows),
            is_by_rows: batching.is_some(),
            widens: members.len() > 1
                && batching.is_some_and(|batching| batching.pad_variable_length_inputs),
        }
    }

    /// Rows that belong to nobody.
    pub(super) fn padding(self) -> usize {
        self.padded_rows - self.rows
    }
}

/// The sizes of an input's dimensions but the first.
pub(super) type Sizes = SmallVec<[usize; 8]>;

/// The largest inner sizes of each input among the members.
pub(super) fn largest_sizes<R>(members: &[Member<R>]) -> Vec<Sizes> {
    let inputs = members.first().map_or(0, |first| first.call.inputs.len());
    (0..inputs).map(|at| largest_of(members, at)).collect()
}

fn largest_of<R>(members: &[Member<R>], at: usize) -> Sizes {
    let mut largest = Sizes::new();
    for member in members {
        let inner = member.call.inputs[at].shape().dims().iter().skip(1);
        for (position, size) in inner.enumerate() {
            match largest.get_mut(position) {
                None => largest.push(*size),
                Some(known) => *known = (*size).max(*known),
            }
        }
    }
    largest
}

/// Whether padding these members to each other stays within bounds.
pub(super) fn is_worth_widening<R>(members: &[Member<R>], largest: &[Sizes]) -> bool {
    let Some(first) = members.first() else {
        return true;
    };
    let given: usize = members.iter().map(|member| member.call.bytes).sum();
    let rows = members.iter().map(|member| member.call.rows.unwrap_or(1));
    let rows: usize = rows.sum();
    let widened = first.call.inputs.iter().zip(largest).map(|(input, sizes)| {
        let row = input.dtype().size().unwrap_or(STRING_HANDLE_BYTES);
        let sizes = sizes
            .iter()
            .fold(row, |all, size| all.saturating_mul(*size));
        rows.saturating_mul(sizes)
    });
    let widened = widened.fold(0, usize::saturating_add);
    widened <= EXPANSION_FLOOR.max(given.saturating_mul(EXPANSION_RATIO))
}

/// Whether a member would have to be padded and has no element to pad with.
pub(super) fn is_unpaddable(call: &Call, largest: &[Sizes]) -> bool {
    let mut pairs = call.inputs.iter().zip(largest);
    pairs.any(|(tensor, largest)| {
        let shape = tensor.shape();
        shape.elements() == 0 && shape.dims().get(1..) != Some(&largest[..])
    })
}

/// What such a member is told; TensorFlow Serving's text.
pub(super) fn unpaddable() -> ServeError {
    ServeError::invalid_argument("Got empty tensor in batch of non-empty tensors.")
}

/// Where a padded tensor goes.
pub(super) trait Sink {
    /// What the elements come from.
    type Source: ?Sized;
    /// Appends elements of the source.
    fn copy(&mut self, source: &Self::Source, from: usize, count: usize);
    /// Appends the source's first element.
    fn fill(&mut self, source: &Self::Source, count: usize);
}

/// Elements of so many bytes.
impl Sink for (&mut AlignedBuffer, usize) {
    type Source = Bytes;

    fn copy(&mut self, source: &Bytes, from: usize, count: usize) {
        self.0.extend(&source[from * self.1..][..count * self.1]);
    }

    fn fill(&mut self, source: &Bytes, count: usize) {
        for _ in 0..count {
            self.0.extend(&source[..self.1]);
        }
    }
}

impl Sink for Vec<Bytes> {
    type Source = [Bytes];

    fn copy(&mut self, source: &[Bytes], from: usize, count: usize) {
        self.extend_from_slice(&source[from..][..count]);
    }

    fn fill(&mut self, source: &[Bytes], count: usize) {
        self.extend(std::iter::repeat_n(&source[0], count).cloned());
    }
}

/// Appends a tensor's elements, each row made as large as in `wide`, with copies of its
/// first element. It has at least one element.
pub(super) fn widen<S: Sink>(sink: &mut S, source: &S::Source, (shape, wide): (&Shape, &Shape)) {
    let [rows, inner @ ..] = shape.dims() else {
        return;
    };
    let wide = wide.dims().get(1..).unwrap_or_default();
    let size: usize = inner.iter().product();
    for row in 0..*rows {
        widen_block(sink, source, row * size, (inner, wide));
    }
}

fn widen_block<S: Sink>(
    sink: &mut S,
    source: &S::Source,
    from: usize,
    (sizes, wide): (&[usize], &[usize]),
) {
    let ([count, inner @ ..], [wide_count, wide_inner @ ..]) = (sizes, wide) else {
        return sink.copy(source, from, 1);
    };
    if inner == wide_inner {
        sink.copy(source, from, count * inner.iter().product::<usize>());
    } else {
        let size: usize = inner.iter().product();
        for index in 0..*count {
            widen_block(sink, source, from + index * size, (inner, wide_inner));
        }
    }
    let missing = wide_count - count;
    sink.fill(source, missing * wide_inner.iter().product::<usize>());
}
