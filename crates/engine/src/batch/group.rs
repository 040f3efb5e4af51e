//! Which requests may share a batch: those of one version, signature and output filter
//! whose inputs differ in their first dimension only.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use tensor::Shape;

use crate::Call;
use crate::batch::pad::MAX_PADDED_RANK;

/// A call as a member of its group, for maps and comparisons: nothing is built.
pub(crate) struct GroupOf<'a>(pub(crate) &'a Call);

impl GroupOf<'_> {
    fn pads(&self) -> bool {
        self.0.model.options().batching.pad_variable_length_inputs
    }
}

/// The sizes that must be the same in a batch: all but the first, or none of them where
/// inputs are padded to each other.
fn fixed_sizes(shape: &Shape, pads: bool) -> &[usize] {
    match shape.dims() {
        dims if pads && dims.len() <= MAX_PADDED_RANK => &[],
        [_rows, inner @ ..] => inner,
        [] => &[],
    }
}

impl PartialEq for GroupOf<'_> {
    fn eq(&self, other: &Self) -> bool {
        let (one, two) = (self.0, other.0);
        let pads = self.pads();
        let agree = |(one, two): (&tensor::Tensor, &tensor::Tensor)| {
            let (one, two) = (one.shape(), two.shape());
            one.rank() == two.rank() && fixed_sizes(one, pads) == fixed_sizes(two, pads)
        };
        Arc::ptr_eq(&one.model, &two.model)
            && one.signature == two.signature
            && one.outputs == two.outputs
            && one.inputs.iter().zip(&two.inputs).all(agree)
    }
}

impl Hash for GroupOf<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let pads = self.pads();
        Arc::as_ptr(&self.0.model).hash(state);
        self.0.signature.hash(state);
        self.0.outputs.hash(state);
        for input in &self.0.inputs {
            input.shape().rank().hash(state);
            fixed_sizes(input.shape(), pads).hash(state);
        }
    }
}
