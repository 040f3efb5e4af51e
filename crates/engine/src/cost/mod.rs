//! What runs cost: measured when the model is loaded, and followed while it serves.

mod curve;
pub use curve::{Curve, Point, RunMode};

mod decision;
pub use decision::Decision;

mod bounds;
pub(crate) use bounds::Bounds;

mod live;
pub(crate) use live::Cost;
pub use live::INLINE_LIMIT;
