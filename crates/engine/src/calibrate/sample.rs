//! Inputs that a signature is measured with: a few rows, repeated up to any batch size.

use bytes::Bytes;
use tensor::{AlignedBuffer, Data, Shape, Tensor};

use crate::{Feed, FeedData};

/// One tensor for each input of a signature, in their order.
#[derive(Clone, Debug)]
pub struct Sample {
    inputs: Vec<Input>,
}

#[derive(Clone, Debug)]
enum Input {
    /// At least one row, which batches are made of.
    Rows(Tensor),
    /// The same in every run.
    Whole(Tensor),
}

impl Sample {
    /// A sample of `inputs`, given with whether each is made of rows: then a batch repeats
    /// them. A tensor without a row is taken as it is.
    pub(super) fn new(inputs: impl IntoIterator<Item = (Tensor, bool)>) -> Self {
        let input = |(tensor, of_rows): (Tensor, bool)| {
            let has_rows = tensor.shape().dims().first().is_some_and(|rows| *rows > 0);
            if of_rows && has_rows {
                Input::Rows(tensor)
            } else {
                Input::Whole(tensor)
            }
        };
        Self {
            inputs: inputs.into_iter().map(input).collect(),
        }
    }

    /// A sample of a request's inputs, whose rows are repeated to make batches.
    pub fn recorded(inputs: Vec<Tensor>) -> Self {
        Self::new(inputs.into_iter().map(|tensor| (tensor, true)))
    }

    /// The same, of which every run gets everything as it is.
    #[must_use]
    pub(super) fn whole(self) -> Self {
        let tensors = self.inputs.into_iter().map(|input| match input {
            Input::Rows(tensor) | Input::Whole(tensor) => (tensor, false),
        });
        Self::new(tensors)
    }

    /// Whether batches of any size can be made of it.
    pub(super) fn has_rows(&self) -> bool {
        !self.inputs.is_empty()
            && self
                .inputs
                .iter()
                .all(|input| matches!(input, Input::Rows(_)))
    }

    /// Rows of the smallest batch: 1, and if it has no rows, what a request of all its
    /// inputs counts as.
    pub(super) fn least_rows(&self) -> usize {
        if self.has_rows() {
            return 1;
        }
        let mut sizes = self.inputs.iter().map(|input| match input {
            Input::Rows(tensor) | Input::Whole(tensor) => tensor.shape().dims().first(),
        });
        let first = sizes.next().flatten().copied().unwrap_or(1);
        if sizes.all(|size| size == Some(&first)) {
            first.max(1)
        } else {
            1
        }
    }

    /// Bytes of input for a row. A string counts as its
    /// bytes and its handle, as in [`crate::Call::bytes`].
    pub(super) fn row_bytes(&self) -> usize {
        let bytes = self.inputs.iter().map(|input| match input {
            Input::Rows(tensor) => bytes_of(tensor).div_ceil(tensor.shape().dims()[0].max(1)),
            Input::Whole(tensor) => bytes_of(tensor).div_ceil(self.least_rows()),
        });
        bytes.sum()
    }

    /// What a run is fed with for the batch of rows `start..start + count`, counted round
    /// and round through those there are.
    pub(super) fn feeds(&self, start: usize, count: usize) -> Vec<Feed> {
        let feed = |input: &Input| match input {
            Input::Rows(tensor) => repeat(tensor, start, count),
            Input::Whole(tensor) => copy(tensor),
        };
        self.inputs.iter().map(feed).collect()
    }
}

fn bytes_of(tensor: &Tensor) -> usize {
    match tensor.data() {
        Data::Fixed(bytes) => bytes.len(),
        Data::Strings(strings) => strings.iter().map(|string| string.len() + 24).sum(),
    }
}

fn copy(tensor: &Tensor) -> Feed {
    let data = match tensor.data() {
        Data::Fixed(bytes) => {
            let mut buffer = AlignedBuffer::with_capacity(bytes.len());
            buffer.extend(bytes);
            FeedData::Fixed(buffer)
        }
        Data::Strings(strings) => FeedData::Strings(strings.clone()),
    };
    Feed {
        dtype: tensor.dtype(),
        shape: tensor.shape().clone(),
        data,
    }
}

/// `count` rows of `tensor`, which has at least one, from row `start` on and round again.
fn repeat(tensor: &Tensor, start: usize, count: usize) -> Feed {
    let dims = tensor.shape().dims();
    let rows = dims[0].max(1);
    let mut wanted = dims.to_vec();
    wanted[0] = count;
    // The callers keep batches far below what overflows.
    let shape = Shape::new(&wanted).unwrap_or_else(Shape::scalar);
    let numbers = (start..start + count).map(|row| row % rows);
    let data = match tensor.data() {
        Data::Fixed(bytes) => {
            let size = bytes.len() / rows;
            let mut buffer = AlignedBuffer::with_capacity(size * count);
            for row in numbers {
                buffer.extend(&bytes[row * size..(row + 1) * size]);
            }
            FeedData::Fixed(buffer)
        }
        Data::Strings(strings) => {
            let size = strings.len() / rows;
            let rows = numbers.flat_map(|row| &strings[row * size..(row + 1) * size]);
            FeedData::Strings(rows.map(Bytes::clone).collect())
        }
    };
    Feed {
        dtype: tensor.dtype(),
        shape,
        data,
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use tensor::{DType, Shape, Tensor};

    use super::Sample;
    use crate::FeedData;

    fn sample() -> Sample {
        let shape = Shape::new(&[3, 2]).unwrap();
        let numbers = Tensor::fixed(DType::UInt8, shape, vec![1, 2, 3, 4, 5, 6].into()).unwrap();
        let texts = ["a", "bc", "def"].map(Bytes::from).to_vec();
        let strings = Tensor::strings(Shape::new(&[3]).unwrap(), texts).unwrap();
        Sample::recorded(vec![numbers, strings])
    }

    #[test]
    fn rows_go_round() {
        let [numbers, texts] = &sample().feeds(2, 5)[..] else {
            panic!("two inputs")
        };
        assert_eq!(numbers.shape.dims(), [5, 2]);
        let FeedData::Fixed(bytes) = &numbers.data else {
            panic!("numbers")
        };
        assert_eq!(bytes[..], [5, 6, 1, 2, 3, 4, 5, 6, 1, 2]);
        let FeedData::Strings(strings) = &texts.data else {
            panic!("strings")
        };
        assert_eq!(strings[..], ["def", "a", "bc", "def", "a"]);
        assert_eq!(sample().row_bytes(), 2 + (24 * 3 + 6) / 3);
    }

    #[test]
    fn what_has_no_rows_is_fed_as_it_is() {
        let whole = sample().whole();
        assert!(sample().has_rows() && !whole.has_rows());
        assert_eq!(whole.feeds(0, 7)[0].shape.dims(), [3, 2]);
        assert_eq!((sample().least_rows(), whole.least_rows()), (1, 3));
        assert_eq!(whole.row_bytes(), 2 + (24 * 3 + 6) / 3);
        let empty = Tensor::strings(Shape::new(&[0]).unwrap(), Vec::new()).unwrap();
        assert!(!Sample::recorded(vec![empty]).has_rows());
        assert!(!Sample::recorded(Vec::new()).has_rows());
    }
}
