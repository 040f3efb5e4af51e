//! What a model's outputs mean to those who asked for classes or for values. Checks and
//! texts are TensorFlow Serving's.

use bytes::Bytes;
use tensor::{DType, Data, Shape, Tensor};

use crate::proto::tensorflow::DataType;

/// Why a model's outputs are no result; the model's fault, and TensorFlow Serving's texts.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResultError {
    /// Classes or scores of the wrong rank.
    #[error("Expected Tensor shape: [batch_size num_classes] but got {0}")]
    ClassShape(Shape),
    /// Classes or scores of the wrong type.
    #[error("Expected {what} Tensor of {wanted}. Got: {got}")]
    ClassType {
        /// `classes` or `scores`.
        what: &'static str,
        /// The type by TensorFlow's name of it.
        wanted: &'static str,
        /// The same.
        got: &'static str,
    },
    /// Not one row of classes or scores for each example.
    #[error("Expected {what} output batch size of {wanted}. Got: {got}")]
    ClassRows {
        /// `classes` or `scores`.
        what: &'static str,
        /// Examples.
        wanted: usize,
        /// Rows.
        got: usize,
    },
    /// More or fewer classes than scores.
    #[error("Tensors class and score should match in dim_size(1). Got {classes} vs. {scores}")]
    ClassCount {
        /// Of each example.
        classes: usize,
        /// Of each example.
        scores: usize,
    },
    /// Values of the wrong rank.
    #[error(
        "Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got {0}"
    )]
    ValueShape(Shape),
    /// Not one value for each example.
    #[error("Input batch size did not match output batch size: {wanted} vs. {got}")]
    ValueRows {
        /// Examples.
        wanted: usize,
        /// Rows.
        got: usize,
    },
    /// Values of the wrong type.
    #[error("Expected output Tensor of DT_FLOAT.  Got: {0}")]
    ValueType(&'static str),
    /// A label that no reply can carry; TensorFlow Serving sends it, and its clients can't
    /// read the reply.
    #[error("label {class} of example {example} is not text in UTF-8, as a reply must have it")]
    Label {
        /// Which example, from 0.
        example: usize,
        /// Which of its classes, from 0.
        class: usize,
    },
}

/// The result of a call with examples.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExampleResult {
    /// Of Classify.
    Classes(Classes),
    /// Of Regress.
    Values(Values),
}

/// The classes of each example, with a label, a score or both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Classes {
    /// Row-major; empty if the model gives none.
    labels: Vec<Bytes>,
    /// 32-bit floats, row-major; empty if the model gives none.
    scores: Bytes,
    examples: usize,
    per_example: usize,
}

impl Classes {
    /// Of tensors `classes` (strings) and `scores` (floats), `[examples, classes]` each.
    pub fn new(
        classes: Option<&Tensor>,
        scores: Option<&Tensor>,
        examples: usize,
    ) -> Result<Self, ResultError> {
        let class_count = classes
            .map(|tensor| per_example("classes", tensor, DType::String, examples))
            .transpose()?;
        let score_count = scores
            .map(|tensor| per_example("scores", tensor, DType::Float, examples))
            .transpose()?;
        if let (Some(classes), Some(scores)) = (class_count, score_count)
            && classes != scores
        {
            return Err(ResultError::ClassCount { classes, scores });
        }
        Ok(Self {
            labels: match classes.map(Tensor::data) {
                Some(Data::Strings(labels)) => labels.clone(),
                _ => Vec::new(),
            },
            scores: scores.map(fixed).unwrap_or_default(),
            examples,
            per_example: class_count.or(score_count).unwrap_or(0),
        })
    }

    /// How many examples there are.
    pub fn examples(&self) -> usize {
        self.examples
    }

    /// The classes of one example, in the model's order: labels, which need not be text and
    /// are empty where the model gives none, and scores, 0 where it gives none.
    pub fn of(&self, example: usize) -> impl Iterator<Item = (&[u8], f32)> {
        let start = example * self.per_example;
        (start..start + self.per_example).map(|at| {
            let label = self.labels.get(at).map_or(&[][..], |label| label);
            (label, float_at(&self.scores, at))
        })
    }

    /// The same if all labels are text, as protobuf needs them.
    pub(super) fn check_text(&self) -> Result<(), ResultError> {
        let is_text = |label: &Bytes| std::str::from_utf8(label).is_ok();
        match self.labels.iter().position(|label| !is_text(label)) {
            None => Ok(()),
            Some(at) => Err(ResultError::Label {
                example: at / self.per_example,
                class: at % self.per_example,
            }),
        }
    }
}

/// The value of each example.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Values(Bytes);

impl Values {
    /// Of the tensor `outputs`, floats of `[examples]` or `[examples, 1]`.
    pub fn new(outputs: &Tensor, examples: usize) -> Result<Self, ResultError> {
        let rows = match outputs.shape().dims() {
            [rows] | [rows, 1] => *rows,
            _ => return Err(ResultError::ValueShape(outputs.shape().clone())),
        };
        if rows != examples {
            return Err(ResultError::ValueRows {
                wanted: examples,
                got: rows,
            });
        }
        if outputs.dtype() != DType::Float {
            return Err(ResultError::ValueType(type_name(outputs.dtype())));
        }
        Ok(Self(fixed(outputs)))
    }

    /// One for each example, in their order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = f32> {
        (0..self.0.len() / size_of::<f32>()).map(|at| float_at(&self.0, at))
    }
}

/// How many classes the tensor has for each example.
fn per_example(
    what: &'static str,
    tensor: &Tensor,
    wanted: DType,
    examples: usize,
) -> Result<usize, ResultError> {
    let [rows, count] = *tensor.shape().dims() else {
        return Err(ResultError::ClassShape(tensor.shape().clone()));
    };
    if tensor.dtype() != wanted {
        return Err(ResultError::ClassType {
            what,
            wanted: type_name(wanted),
            got: type_name(tensor.dtype()),
        });
    }
    if rows != examples {
        return Err(ResultError::ClassRows {
            what,
            wanted: examples,
            got: rows,
        });
    }
    Ok(count)
}

fn type_name(dtype: DType) -> &'static str {
    DataType::try_from(dtype.number()).map_or("unknown", |known| known.as_str_name())
}

fn fixed(tensor: &Tensor) -> Bytes {
    match tensor.data() {
        Data::Fixed(bytes) => bytes.clone(),
        Data::Strings(_) => Bytes::new(),
    }
}

fn float_at(bytes: &[u8], at: usize) -> f32 {
    let (floats, _) = bytes.as_chunks();
    floats.get(at).copied().map_or(0.0, f32::from_le_bytes)
}
