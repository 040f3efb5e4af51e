//! A signature's curve with what every request asks of it, worked out once.

use super::{Curve, INLINE_LIMIT};

/// A curve, and the batch sizes that follow from it.
#[derive(Debug)]
pub(crate) struct Bounds {
    pub(crate) curve: Curve,
    /// Most rows of a batch that an I/O thread may run.
    pub(crate) inline_rows: usize,
    /// Most rows of a batch that it may run if live traffic says that it is quick.
    pub(crate) nearly_inline_rows: usize,
    /// Most rows of a batch that are worth waiting for.
    pub(crate) useful_rows: usize,
}

impl Bounds {
    pub(crate) fn new(curve: Curve) -> Self {
        Self {
            inline_rows: curve.rows_within(INLINE_LIMIT),
            nearly_inline_rows: curve.rows_within(4 * INLINE_LIMIT),
            useful_rows: curve.useful_rows(),
            curve,
        }
    }
}
