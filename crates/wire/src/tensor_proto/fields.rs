//! Which of `TensorProto`'s fields holds an element type's values.

use tensor::DType;

pub(super) const DTYPE: u32 = 1;
pub(super) const SHAPE: u32 = 2;
pub(super) const CONTENT: u32 = 4;

const FLOAT: u32 = 5;
const DOUBLE: u32 = 6;
const INT: u32 = 7;
pub(super) const STRING: u32 = 8;
const SCOMPLEX: u32 = 9;
const INT64: u32 = 10;
const BOOL: u32 = 11;
const DCOMPLEX: u32 = 12;
const HALF: u32 = 13;
const UINT32: u32 = 16;
const UINT64: u32 = 17;

/// `TensorShapeProto.dim`.
pub(super) const DIM: u32 = 2;
/// `TensorShapeProto.Dim.size` and `.name`.
pub(super) const DIM_SIZE: u32 = 1;
pub(super) const DIM_NAME: u32 = 2;

/// How a typed field writes one value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// As in memory, in words of so many bytes (a complex number is two words).
    Fixed {
        word: usize,
    },
    Varint,
    Bytes,
}

/// The form of the typed field of this number; `None` if it is no field of values.
pub(super) fn form_of(number: u32) -> Option<Form> {
    match number {
        FLOAT | SCOMPLEX => Some(Form::Fixed { word: 4 }),
        DOUBLE | DCOMPLEX => Some(Form::Fixed { word: 8 }),
        INT | INT64 | BOOL | HALF | UINT32 | UINT64 => Some(Form::Varint),
        STRING => Some(Form::Bytes),
        _ => None,
    }
}

/// The number of the typed field that holds values of this type.
pub(super) fn number_of(dtype: DType) -> u32 {
    match dtype {
        DType::Float => FLOAT,
        DType::Double => DOUBLE,
        DType::Int8 | DType::Int16 | DType::Int32 | DType::UInt8 | DType::UInt16 => INT,
        DType::String => STRING,
        DType::Complex64 => SCOMPLEX,
        DType::Int64 => INT64,
        DType::Bool => BOOL,
        DType::Complex128 => DCOMPLEX,
        DType::Half | DType::BFloat16 => HALF,
        DType::UInt32 => UINT32,
        DType::UInt64 => UINT64,
    }
}
