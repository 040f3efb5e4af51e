//! Element types, numbered as `tensorflow.DataType` numbers them.

/// The element types that a request or a reply can carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(i32)]
pub enum DType {
    /// 32-bit float.
    Float = 1,
    /// 64-bit float.
    Double = 2,
    /// 32-bit signed integer.
    Int32 = 3,
    /// 8-bit unsigned integer.
    UInt8 = 4,
    /// 16-bit signed integer.
    Int16 = 5,
    /// 8-bit signed integer.
    Int8 = 6,
    /// Byte strings of any length; not necessarily text.
    String = 7,
    /// Two 32-bit floats: real, imaginary.
    Complex64 = 8,
    /// 64-bit signed integer.
    Int64 = 9,
    /// One byte, 0 or 1.
    Bool = 10,
    /// The upper half of a 32-bit float.
    BFloat16 = 14,
    /// 16-bit unsigned integer.
    UInt16 = 17,
    /// Two 64-bit floats: real, imaginary.
    Complex128 = 18,
    /// 16-bit IEEE float.
    Half = 19,
    /// 32-bit unsigned integer.
    UInt32 = 22,
    /// 64-bit unsigned integer.
    UInt64 = 23,
}

impl DType {
    /// Every element type, for tables and tests.
    pub const ALL: [Self; 16] = [
        Self::Float,
        Self::Double,
        Self::Int32,
        Self::UInt8,
        Self::Int16,
        Self::Int8,
        Self::String,
        Self::Complex64,
        Self::Int64,
        Self::Bool,
        Self::BFloat16,
        Self::UInt16,
        Self::Complex128,
        Self::Half,
        Self::UInt32,
        Self::UInt64,
    ];

    /// The type with this `tensorflow.DataType` number, if we carry it.
    pub fn from_number(number: i32) -> Option<Self> {
        Self::ALL.into_iter().find(|dtype| *dtype as i32 == number)
    }

    /// The `tensorflow.DataType` number.
    pub fn number(self) -> i32 {
        self as i32
    }

    /// Bytes an element takes in memory and in `tensor_content`; `None` for strings.
    pub fn size(self) -> Option<usize> {
        match self {
            Self::UInt8 | Self::Int8 | Self::Bool => Some(1),
            Self::Int16 | Self::UInt16 | Self::Half | Self::BFloat16 => Some(2),
            Self::Float | Self::Int32 | Self::UInt32 => Some(4),
            Self::Double | Self::Int64 | Self::UInt64 | Self::Complex64 => Some(8),
            Self::Complex128 => Some(16),
            Self::String => None,
        }
    }

    /// TensorFlow's own name for it (`float`, `int32`, `half`), as its messages spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Float => "float",
            Self::Double => "double",
            Self::Int32 => "int32",
            Self::UInt8 => "uint8",
            Self::Int16 => "int16",
            Self::Int8 => "int8",
            Self::String => "string",
            Self::Complex64 => "complex64",
            Self::Int64 => "int64",
            Self::Bool => "bool",
            Self::BFloat16 => "bfloat16",
            Self::UInt16 => "uint16",
            Self::Complex128 => "complex128",
            Self::Half => "half",
            Self::UInt32 => "uint32",
            Self::UInt64 => "uint64",
        }
    }
}

impl std::fmt::Display for DType {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::DType;

    #[test]
    fn numbers_and_types_are_one_to_one() {
        for dtype in DType::ALL {
            assert_eq!(DType::from_number(dtype.number()), Some(dtype));
        }
        assert_eq!(DType::from_number(0), None);
        assert_eq!(DType::from_number(20), None);
    }
}
