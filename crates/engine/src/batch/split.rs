//! From a batch's outputs to each member's: views of its rows, no copy.

use bytes::Bytes;
use smallvec::SmallVec;
use tensor::{Data, Shape, Tensor};

/// Why outputs can't be shared out; TensorFlow Serving's texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotByRows {
    #[error("Batched output tensor has 0 dimensions")]
    Scalar,
    #[error(
        "Batched output tensor's 0th dimension does not equal the sum of the 0th dimension \
         sizes of the input tensors"
    )]
    Rows,
}

/// Whether each output has one row for each row of the batch.
pub(super) fn check_rows(outputs: &[Tensor], rows: usize) -> Result<(), NotByRows> {
    for output in outputs {
        match output.shape().dims() {
            [] => return Err(NotByRows::Scalar),
            [size, ..] if *size != rows => return Err(NotByRows::Rows),
            _ => {}
        }
    }
    Ok(())
}

/// Each member's outputs, for members of `sizes` rows, one after the other; rows after
/// the last member's are padding. The outputs have at least as many rows.
pub(super) fn split(outputs: Vec<Tensor>, sizes: &[usize]) -> Vec<Vec<Tensor>> {
    let count = outputs.len();
    let mut shares: Vec<Vec<Tensor>> = sizes.iter().map(|_| Vec::with_capacity(count)).collect();
    for output in outputs {
        let (dtype, shape, data) = output.into_parts();
        let members = shares.iter_mut().zip(sizes);
        match data {
            Data::Fixed(bytes) => {
                let mut at = 0;
                let size = dtype.size().unwrap_or(0);
                for (share, rows) in members {
                    let own = with_rows(&shape, *rows);
                    let end = at + own.elements() * size;
                    share.extend(Tensor::fixed(dtype, own, bytes.slice(at..end)));
                    at = end;
                }
            }
            Data::Strings(strings) => {
                let mut strings = strings.into_iter();
                for (share, rows) in members {
                    let own = with_rows(&shape, *rows);
                    let elements: Vec<Bytes> = strings.by_ref().take(own.elements()).collect();
                    share.extend(Tensor::strings(own, elements));
                }
            }
        }
    }
    shares
}

/// The same shape with another number of rows; no more than it had.
fn with_rows(shape: &Shape, rows: usize) -> Shape {
    let mut dims: SmallVec<[usize; 8]> = SmallVec::from_slice(shape.dims());
    if let Some(first) = dims.first_mut() {
        *first = rows;
    }
    Shape::new(&dims).unwrap_or_else(Shape::scalar)
}

/// A request's inputs from row `from`, `count` rows of them.
pub(super) fn rows_of(tensor: &Tensor, from: usize, count: usize) -> Option<Tensor> {
    let all = *tensor.shape().dims().first()?;
    let shape = with_rows(tensor.shape(), count);
    let in_row = tensor.shape().elements() / all.max(1);
    let (from, end) = (from * in_row, (from + count) * in_row);
    match tensor.data() {
        Data::Fixed(bytes) => {
            let size = tensor.dtype().size()?;
            Tensor::fixed(tensor.dtype(), shape, bytes.slice(from * size..end * size)).ok()
        }
        Data::Strings(strings) => Tensor::strings(shape, strings[from..end].to_vec()).ok(),
    }
}
