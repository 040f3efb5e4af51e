//! Tensors to TensorFlow's and back. Numbers cross without a copy in both directions,
//! strings are copied into and out of TensorFlow's own string type.

use std::ffi::{c_char, c_int, c_void};
use std::ptr::NonNull;
use std::slice;

use bytes::Bytes;
use engine::{Feed, FeedData, ServeError};
use smallvec::SmallVec;
use tensor::{AlignedBuffer, DType, Shape, Tensor};

use crate::api::{Api, RawTensor, StringSlot};

/// A `TF_Tensor` of ours.
pub(crate) struct TfTensor {
    raw: NonNull<RawTensor>,
    api: &'static Api,
}

// SAFETY: a tensor is a counted reference to a buffer; TensorFlow counts atomically and
// lets any thread drop it.
unsafe impl Send for TfTensor {}

impl Drop for TfTensor {
    fn drop(&mut self) {
        // SAFETY: ours, deleted once, here.
        unsafe { (self.api.delete_tensor)(self.raw.as_ptr()) };
    }
}

impl TfTensor {
    /// Takes over what a call gave; `None` if it gave nothing.
    ///
    /// # Safety
    /// `raw` is null or a tensor that nobody else deletes.
    pub(crate) unsafe fn from_raw(api: &'static Api, raw: *mut RawTensor) -> Option<Self> {
        NonNull::new(raw).map(|raw| Self { raw, api })
    }

    /// A tensor for a run to be fed with.
    pub(crate) fn from_feed(api: &'static Api, feed: Feed) -> Result<Self, ServeError> {
        let Feed { dtype, shape, data } = feed;
        let elements = shape.elements();
        let (unit_size, length) = match (&data, dtype.size()) {
            (FeedData::Fixed(buffer), Some(size)) => (size, Some(buffer.len())),
            (FeedData::Strings(strings), None) => {
                let size = size_of::<StringSlot>();
                (size, strings.len().checked_mul(size))
            }
            _ => (0, None),
        };
        if length.is_none() || elements.checked_mul(unit_size) != length {
            return Err(ServeError::internal(format!(
                "a {dtype} tensor of shape {shape} was fed with elements that do not fit it"
            )));
        }
        match data {
            FeedData::Fixed(buffer) => Self::take_over(api, dtype, &shape, buffer),
            FeedData::Strings(strings) => Self::copy_strings(api, &shape, &strings),
        }
        .ok_or_else(|| {
            ServeError::invalid_argument(format!(
                "TensorFlow can't make a {dtype} tensor of shape {shape}"
            ))
        })
    }

    fn take_over(
        api: &'static Api,
        dtype: DType,
        shape: &Shape,
        buffer: AlignedBuffer,
    ) -> Option<Self> {
        let dims = signed_dims(shape);
        let length = buffer.len();
        let owner = Box::into_raw(Box::new(buffer));
        // SAFETY: `owner` is the box just given up, so it is valid and ours alone.
        let data = unsafe { (*owner).as_mut_ptr() };
        // SAFETY: `dims` has `dims.len()` sizes, and `data` is `length` bytes that stay
        // until `free_buffer` gets `owner`. TensorFlow calls that once, also where it
        // makes no tensor: so the buffer is not ours again whatever comes back.
        unsafe {
            let raw = (api.new_tensor)(
                dtype.number(),
                dims.as_ptr(),
                dims.len() as c_int,
                data.cast::<c_void>(),
                length,
                free_buffer,
                owner.cast::<c_void>(),
            );
            Self::from_raw(api, raw)
        }
    }

    fn copy_strings(api: &'static Api, shape: &Shape, strings: &[Bytes]) -> Option<Self> {
        let dims = signed_dims(shape);
        // SAFETY: `dims` has `dims.len()` sizes, and their product times the size of a
        // slot is what is asked for (it did not overflow: the caller checked).
        let tensor = unsafe {
            let raw = (api.allocate_tensor)(
                DType::String.number(),
                dims.as_ptr(),
                dims.len() as c_int,
                strings.len() * size_of::<StringSlot>(),
            );
            Self::from_raw(api, raw)?
        };
        // SAFETY: the tensor lives; the pointer is only used below, within it.
        let slots = unsafe { (api.tensor_data)(tensor.raw.as_ptr()) }.cast::<StringSlot>();
        // All of them before anything else: deleting the tensor frees what its slots
        // hold, and a slot that was never initialised holds garbage.
        for index in 0..strings.len() {
            // SAFETY: the tensor has room for `strings.len()` slots.
            unsafe { (api.string_init)(slots.add(index)) };
        }
        for (index, string) in strings.iter().enumerate() {
            // SAFETY: an initialised slot of the tensor; the string's bytes are copied.
            unsafe {
                let bytes = string.as_ptr().cast::<c_char>();
                (api.string_copy)(slots.add(index), bytes, string.len());
            }
        }
        Some(tensor)
    }

    /// For a call to read.
    pub(crate) fn as_ptr(&self) -> *mut RawTensor {
        self.raw.as_ptr()
    }

    /// The tensor that a run gave. Its elements stay where TensorFlow put them unless
    /// `may_change`: then they are copied.
    pub(crate) fn into_tensor(self, may_change: bool) -> Result<Tensor, ServeError> {
        // SAFETY: the tensor lives until `self` is dropped.
        let number = unsafe { (self.api.tensor_type)(self.as_ptr()) };
        let dtype = DType::from_number(number).ok_or_else(|| {
            ServeError::internal(format!(
                "an output is of type {number}, which can't be sent"
            ))
        })?;
        let shape = self.shape()?;
        let unit_size = dtype.size().unwrap_or(size_of::<StringSlot>());
        // SAFETY: the tensor lives until `self` is dropped.
        let available = unsafe { (self.api.tensor_byte_size)(self.as_ptr()) };
        let length = shape
            .elements()
            .checked_mul(unit_size)
            .filter(|length| *length <= available)
            .ok_or_else(|| {
                ServeError::internal(format!(
                    "an output of type {dtype} and shape {shape} has only {available} bytes"
                ))
            })?;
        let tensor = if dtype == DType::String {
            Tensor::strings(shape.clone(), self.read_strings(shape.elements()))
        } else {
            let view = TensorBytes {
                length,
                tensor: self,
            };
            let bytes = if may_change {
                Bytes::copy_from_slice(view.as_ref())
            } else {
                Bytes::from_owner(view)
            };
            Tensor::fixed(dtype, shape, bytes)
        };
        tensor.map_err(|error| ServeError::internal(error.to_string()))
    }

    fn shape(&self) -> Result<Shape, ServeError> {
        // SAFETY: the tensor lives until `self` is dropped.
        let rank = unsafe { (self.api.num_dims)(self.as_ptr()) };
        // SAFETY: as above, and `index` is below the rank.
        let dims = (0..rank).map(|index| unsafe { (self.api.dim)(self.as_ptr(), index) });
        Shape::from_signed(dims)
            .ok_or_else(|| ServeError::internal("an output has a shape that can't be sent"))
    }

    /// The strings of a string tensor of this many elements.
    fn read_strings(&self, elements: usize) -> Vec<Bytes> {
        // SAFETY: the tensor lives until `self` is dropped.
        let slots = unsafe { (self.api.tensor_data)(self.as_ptr()) }.cast::<StringSlot>();
        let read = |index| {
            // SAFETY: the caller checked that the tensor has that many slots; TensorFlow
            // initialised them, and what they point to lives as long as the tensor.
            let (data, size) = unsafe {
                let slot = slots.add(index);
                ((self.api.string_data)(slot), (self.api.string_size)(slot))
            };
            if size == 0 {
                return Bytes::new();
            }
            // SAFETY: `size` bytes at `data`, as TensorFlow's own accessors say.
            Bytes::copy_from_slice(unsafe { slice::from_raw_parts(data.cast::<u8>(), size) })
        };
        (0..elements).map(read).collect()
    }
}

/// The elements of a tensor of a fixed-size type, and what keeps them.
struct TensorBytes {
    tensor: TfTensor,
    /// At most the tensor's own length.
    length: usize,
}

impl AsRef<[u8]> for TensorBytes {
    fn as_ref(&self) -> &[u8] {
        if self.length == 0 {
            return &[];
        }
        // SAFETY: the tensor lives as long as `self` and is at least this long.
        // TensorFlow writes only into buffers that nobody shares with it; the one
        // exception, reference variables, is copied at once by `into_tensor`.
        unsafe {
            let data = (self.tensor.api.tensor_data)(self.tensor.as_ptr());
            slice::from_raw_parts(data.cast_const().cast::<u8>(), self.length)
        }
    }
}

fn signed_dims(shape: &Shape) -> SmallVec<[i64; 8]> {
    shape.dims().iter().map(|size| *size as i64).collect()
}

/// Frees the buffer behind a tensor. TensorFlow calls it from any thread, perhaps long
/// after the run: an output can share its input's buffer.
///
/// # Safety
/// `owner` is from `Box::into_raw` of a boxed [`AlignedBuffer`], given up once.
unsafe extern "C" fn free_buffer(_data: *mut c_void, _length: usize, owner: *mut c_void) {
    // SAFETY: by the contract above; TensorFlow calls it once for each tensor.
    drop(unsafe { Box::from_raw(owner.cast::<AlignedBuffer>()) });
}
