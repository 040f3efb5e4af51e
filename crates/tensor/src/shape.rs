//! The sizes of a tensor's dimensions, all known and none negative.

use smallvec::SmallVec;

/// A full shape, outermost dimension first; no dimensions: a scalar.
///
/// The product of the dimensions always fits in an `isize`; a shape that would
/// overflow cannot be made.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Shape {
    dims: SmallVec<[usize; 4]>,
    elements: usize,
}

impl Shape {
    /// TensorFlow's own limit on the number of dimensions.
    pub const MAX_RANK: usize = 254;

    /// A scalar: one element, no dimensions.
    pub fn scalar() -> Self {
        Self {
            dims: SmallVec::new(),
            elements: 1,
        }
    }

    /// A shape of these sizes; `None` if there are more than [`Self::MAX_RANK`]
    /// or their product overflows (zeros count as ones there, as in TensorFlow,
    /// so that no partial product can overflow either).
    pub fn new(dims: &[usize]) -> Option<Self> {
        if dims.len() > Self::MAX_RANK {
            return None;
        }
        let mut product: usize = 1;
        for size in dims {
            product = product.checked_mul((*size).max(1))?;
        }
        isize::try_from(product).ok()?;
        let elements = if dims.contains(&0) { 0 } else { product };
        Some(Self {
            dims: SmallVec::from_slice(dims),
            elements,
        })
    }

    /// As [`Self::new`], from the wire's signed sizes; `None` also if one is negative.
    pub fn from_signed(dims: impl IntoIterator<Item = i64>) -> Option<Self> {
        let mut sizes: SmallVec<[usize; 4]> = SmallVec::new();
        for size in dims {
            if sizes.len() == Self::MAX_RANK {
                return None;
            }
            sizes.push(usize::try_from(size).ok()?);
        }
        Self::new(&sizes)
    }

    /// The sizes, outermost first.
    pub fn dims(&self) -> &[usize] {
        &self.dims
    }

    /// The number of dimensions.
    pub fn rank(&self) -> usize {
        self.dims.len()
    }

    /// The number of elements: the product of the sizes, 1 for a scalar.
    pub fn elements(&self) -> usize {
        self.elements
    }
}

/// As TensorFlow writes shapes in its messages: `[2,31]`.
impl std::fmt::Display for Shape {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("[")?;
        for (index, size) in self.dims.iter().enumerate() {
            if index > 0 {
                formatter.write_str(",")?;
            }
            write!(formatter, "{size}")?;
        }
        formatter.write_str("]")
    }
}

impl std::fmt::Debug for Shape {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::Shape;

    #[test]
    fn counts_elements() {
        assert_eq!(Shape::scalar().elements(), 1);
        assert_eq!(Shape::new(&[2, 3]).unwrap().elements(), 6);
        assert_eq!(Shape::new(&[2, 0, 3]).unwrap().elements(), 0);
        assert_eq!(Shape::new(&[2, 31]).unwrap().to_string(), "[2,31]");
    }

    #[test]
    fn refuses_what_cannot_be_addressed() {
        assert_eq!(Shape::from_signed([2, -1]), None);
        assert_eq!(Shape::from_signed([1 << 40, 1 << 40]), None);
        assert_eq!(Shape::from_signed([1 << 40, 0, 1 << 40]), None);
        assert_eq!(Shape::new(&[1; 255]), None);
    }
}
