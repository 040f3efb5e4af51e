//! From requests' tensors to what a run is fed with: the one copy between the receive
//! buffers and TensorFlow.

use bytes::Bytes;
use smallvec::SmallVec;
use tensor::{AlignedBuffer, DType, Data, Shape, Tensor};

use super::pad::{self, Plan};
use super::run::Member;
use crate::ServeError;

/// The elements of a [`Feed`].
#[derive(Debug)]
pub enum FeedData {
    /// Aligned for TensorFlow to take over as it is.
    Fixed(AlignedBuffer),
    /// Byte strings; copied into TensorFlow's own string type by the executor.
    Strings(Vec<Bytes>),
}

/// A tensor in the form a run takes over.
#[derive(Debug)]
pub struct Feed {
    /// Element type.
    pub dtype: DType,
    /// Full shape.
    pub shape: Shape,
    /// The elements.
    pub data: FeedData,
}

/// One feed for each input: the members' rows one after the other, then the padding
/// rows of the plan.
pub(super) fn merge<R>(members: &[Member<R>], plan: Plan) -> Result<Vec<Feed>, ServeError> {
    let [first, ..] = members else {
        return Ok(Vec::new());
    };
    (0..first.call.inputs.len())
        .map(|at| merge_input(members, at, plan))
        .collect()
}

fn merge_input<R>(members: &[Member<R>], at: usize, plan: Plan) -> Result<Feed, ServeError> {
    let tensors = members.iter().map(|member| &member.call.inputs[at]);
    let first = &members[0].call.inputs[at];
    let dtype = first.dtype();
    let shape = if members.len() == 1 && plan.padding() == 0 {
        first.shape().clone()
    } else {
        merged_shape(tensors.clone(), plan)?
    };
    let data = match dtype.size() {
        Some(size) => FeedData::Fixed(merge_fixed(tensors, &shape, (size, plan))),
        None => FeedData::Strings(merge_strings(tensors, &shape, plan)),
    };
    Ok(Feed { dtype, shape, data })
}

/// The batch's rows, each as large as the largest.
fn merged_shape<'a>(
    tensors: impl Iterator<Item = &'a Tensor>,
    plan: Plan,
) -> Result<Shape, ServeError> {
    let mut dims: SmallVec<[usize; 8]> = SmallVec::new();
    for tensor in tensors {
        match &mut dims[..] {
            [] => dims.extend_from_slice(tensor.shape().dims()),
            known if plan.widens => {
                let sizes = known.iter_mut().zip(tensor.shape().dims());
                sizes.for_each(|(largest, size)| *largest = (*largest).max(*size));
            }
            _ => break,
        }
    }
    if let Some(rows) = dims.first_mut() {
        *rows = plan.padded_rows;
    }
    Shape::new(&dims).ok_or_else(|| {
        ServeError::resource_exhausted(format!(
            "a batch of {} rows has more elements than can be addressed",
            plan.padded_rows
        ))
    })
}

fn merge_fixed<'a>(
    tensors: impl Iterator<Item = &'a Tensor>,
    shape: &Shape,
    (size, plan): (usize, Plan),
) -> AlignedBuffer {
    let length = shape.elements().saturating_mul(size);
    let mut buffer = AlignedBuffer::with_capacity(length);
    let mut last = 0;
    for tensor in tensors {
        let Data::Fixed(bytes) = tensor.data() else {
            continue;
        };
        last = buffer.len();
        if plan.widens && tensor.shape().dims()[1..] != shape.dims()[1..] {
            pad::widen(&mut (&mut buffer, size), bytes, (tensor.shape(), shape));
        } else {
            buffer.extend(bytes);
        }
    }
    if plan.padding() > 0 {
        let row = buffer[last..][..length / plan.padded_rows].to_vec();
        (0..plan.padding()).for_each(|_| buffer.extend(&row));
    }
    buffer
}

fn merge_strings<'a>(
    tensors: impl Iterator<Item = &'a Tensor>,
    shape: &Shape,
    plan: Plan,
) -> Vec<Bytes> {
    let mut merged = Vec::with_capacity(shape.elements());
    let mut last = 0;
    for tensor in tensors {
        let Data::Strings(strings) = tensor.data() else {
            continue;
        };
        last = merged.len();
        if plan.widens && tensor.shape().dims()[1..] != shape.dims()[1..] {
            pad::widen(&mut merged, strings, (tensor.shape(), shape));
        } else {
            merged.extend_from_slice(strings);
        }
    }
    if plan.padding() > 0 {
        let row = merged[last..][..shape.elements() / plan.padded_rows].to_vec();
        (0..plan.padding()).for_each(|_| merged.extend_from_slice(&row));
    }
    merged
}
