//! Inputs made up from a signature, for a model that brings none: several guesses, since
//! a signature says little of what its model accepts.

use bytes::Bytes;
use tensor::{DType, Shape, Tensor};

use super::sample::Sample;
use crate::{Signature, TensorSpec};

/// Different rows of a sample: enough to tell a row's outputs from another's.
const ROWS: usize = 4;

/// Most bytes of a generated row.
const MAX_ROW_BYTES: usize = 16 << 20;

/// Sizes tried for dimensions of unknown size: sequences are mostly short.
const SIZES: [usize; 7] = [16, 8, 32, 64, 1, 128, 224];

/// The same for what looks like images: networks refuse those that are too small.
const IMAGE_SIZES: [usize; 6] = [64, 32, 128, 224, 299, 1];

/// An image that every decoder takes: PNG, one grey pixel.
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\
    \0\0\0\x0dIHDR\0\0\0\x01\0\0\0\x01\x08\0\0\0\0\x3a\x7e\x9b\x55\
    \0\0\0\x0aIDAT\x78\xda\x63\x68\0\0\0\x82\0\x81\xda\x45\x08\x3b\
    \0\0\0\0IEND\xae\x42\x60\x82";

/// What elements are like. Floats are always in [0, 1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Numbers {
    /// Whole numbers 0 to 9: indices that most vocabularies have.
    Small,
    /// All ones: lengths, flags.
    One,
    /// All zeros.
    Zero,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Text {
    /// Digits, which are text and numbers.
    Digits,
    /// Nothing; also a `tf.Example` without features.
    Empty,
    /// An image.
    Png,
}

/// The samples to try for a signature, the likeliest first; none where one of its inputs is
/// too large to be made up. Inputs whose declared first size is unknown are made of rows;
/// `alone`: of one row.
pub(super) fn samples(signature: &Signature, alone: bool) -> impl Iterator<Item = Sample> {
    let specs = || signature.inputs.iter();
    let has = |wanted: fn(DType) -> bool| specs().any(|spec| wanted(spec.dtype));
    let texts: &[Text] = if has(|dtype| dtype == DType::String) {
        &[Text::Digits, Text::Empty, Text::Png]
    } else {
        &[Text::Digits]
    };
    let numbers: &[Numbers] = if has(is_whole) {
        &[Numbers::Small, Numbers::One, Numbers::Zero]
    } else {
        &[Numbers::Small]
    };
    let sizes = sizes(signature);
    let styles = texts
        .iter()
        .flat_map(|text| numbers.iter().map(|numbers| (*numbers, *text)));
    styles.flat_map(move |style| {
        let sizes = sizes.iter();
        sizes.filter_map(move |size| sample(signature, *size, style, alone))
    })
}

fn is_whole(dtype: DType) -> bool {
    use DType::{Int8, Int16, Int32, Int64, UInt8, UInt16, UInt32, UInt64};
    matches!(
        dtype,
        Int8 | Int16 | Int32 | Int64 | UInt8 | UInt16 | UInt32 | UInt64
    )
}

/// Sizes to try for unknown inner dimensions; any one where there are none.
fn sizes(signature: &Signature) -> &'static [usize] {
    let inner = |spec: &TensorSpec| spec.shape.clone().map(|shape| shape.into_iter().skip(1));
    let is_free =
        |spec: &TensorSpec| inner(spec).is_none_or(|mut sizes| sizes.any(|size| size < 0));
    let is_image = |spec: &TensorSpec| match spec.shape.as_deref() {
        Some([_, height, width, channels]) => {
            (*height < 0 || *width < 0) && matches!(channels, 1 | 3 | 4)
        }
        _ => false,
    };
    if signature.inputs.iter().any(is_image) {
        &IMAGE_SIZES
    } else if signature.inputs.iter().any(is_free) {
        &SIZES
    } else {
        &SIZES[..1]
    }
}

fn sample(
    signature: &Signature,
    size: usize,
    style: (Numbers, Text),
    alone: bool,
) -> Option<Sample> {
    let rows = if alone { 1 } else { ROWS };
    let input = |spec: &TensorSpec| {
        let of_rows = spec
            .shape
            .as_ref()
            .is_none_or(|shape| shape.first() == Some(&-1));
        if let Some(default) = signature.defaults.get(&spec.alias) {
            let has_rows = default.shape().dims().first().is_some_and(|rows| *rows > 0);
            if has_rows || !of_rows {
                return Some((default.clone(), of_rows));
            }
        }
        Some((tensor(spec, shape(spec, rows, size)?, style)?, of_rows))
    };
    let inputs: Option<Vec<_>> = signature.inputs.iter().map(input).collect();
    inputs.map(Sample::new)
}

/// The declared shape with `rows` for an unknown first size and `size` for others; of an
/// unknown rank, a vector of rows, or for the size 1 a matrix.
fn shape(spec: &TensorSpec, rows: usize, size: usize) -> Option<Shape> {
    let dims = match &spec.shape {
        None if size == 1 => vec![rows, 8],
        None => vec![rows],
        Some(declared) => {
            let first = declared
                .first()
                .map(|first| usize::try_from(*first).unwrap_or(rows));
            let inner = declared.iter().skip(1);
            let inner = inner.map(|inner| usize::try_from(*inner).unwrap_or(size));
            first.into_iter().chain(inner).collect()
        }
    };
    let shape = Shape::new(&dims)?;
    let bytes = shape
        .elements()
        .checked_mul(spec.dtype.size().unwrap_or(128))?;
    (bytes / rows.max(1) <= MAX_ROW_BYTES).then_some(shape)
}

fn tensor(spec: &TensorSpec, shape: Shape, (numbers, text): (Numbers, Text)) -> Option<Tensor> {
    let count = shape.elements();
    let of_a_row = count / shape.dims().first().copied().unwrap_or(1).max(1);
    let mut random = Random(seed(&spec.alias));
    let first_row: Vec<u64> = (0..of_a_row).map(|_| random.below(10)).collect();
    // Whole numbers are few; this makes rows of them different for sure.
    let small = |index: usize| {
        let row = index / of_a_row.max(1);
        (first_row[index % of_a_row.max(1)] + 3 * row as u64) % 10
    };
    if spec.dtype == DType::String {
        let string = |index| match text {
            Text::Digits => Bytes::from(small(index).to_string()),
            Text::Empty => Bytes::new(),
            Text::Png => Bytes::from_static(PNG),
        };
        return Tensor::strings(shape, (0..count).map(string).collect()).ok();
    }
    let mut bytes = Vec::with_capacity(count * spec.dtype.size()?);
    for index in 0..count {
        let number = match numbers {
            Numbers::Small => small(index),
            Numbers::One => 1,
            Numbers::Zero => 0,
        };
        push_number(&mut bytes, spec.dtype, number, &mut random);
    }
    Tensor::fixed(spec.dtype, shape, bytes.into()).ok()
}

/// Adds an element: `whole` for a type of whole numbers, else one in [0, 1).
fn push_number(bytes: &mut Vec<u8>, dtype: DType, whole: u64, random: &mut Random) {
    match dtype {
        DType::Float => bytes.extend((random.unit() as f32).to_le_bytes()),
        DType::Double => bytes.extend(random.unit().to_le_bytes()),
        DType::Complex64 => {
            bytes.extend((random.unit() as f32).to_le_bytes());
            bytes.extend((random.unit() as f32).to_le_bytes());
        }
        DType::Complex128 => {
            bytes.extend(random.unit().to_le_bytes());
            bytes.extend(random.unit().to_le_bytes());
        }
        DType::BFloat16 => bytes.extend(&(random.unit() as f32).to_le_bytes()[2..]),
        // From 0.5 up to 1: one exponent, any fraction of ten bits.
        DType::Half => bytes.extend((0x3800 | random.below(1024) as u16).to_le_bytes()),
        DType::Bool => bytes.push((whole % 2) as u8),
        _ => {
            let size = dtype.size().unwrap_or(1);
            // Little-endian: the low bytes are the number in any size.
            bytes.extend(&u128::from(whole).to_le_bytes()[..size]);
        }
    }
}

/// Different inputs get different numbers; the same in every start.
fn seed(alias: &str) -> u64 {
    let step = |seed: u64, byte: u8| seed.wrapping_mul(31).wrapping_add(byte.into());
    alias.bytes().fold(7, step)
}

/// `SplitMix64`: small, and random enough that no two rows are the same.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    /// In [0, 1).
    fn unit(&mut self) -> f64 {
        (self.next() >> 40) as f64 / (1u64 << 24) as f64
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashSet};

    use tensor::{DType, Shape, Tensor};

    use super::{ROWS, samples};
    use crate::{FeedData, Signature, TensorSpec};

    fn signature(inputs: &[(DType, Option<&[i64]>)]) -> Signature {
        let spec = |(index, (dtype, shape)): (usize, &(DType, Option<&[i64]>))| TensorSpec {
            alias: format!("x{index}"),
            tensor_name: format!("x{index}:0"),
            dtype: *dtype,
            shape: shape.map(<[i64]>::to_vec),
        };
        Signature {
            name: "serving_default".into(),
            method_name: String::new(),
            inputs: inputs.iter().enumerate().map(spec).collect(),
            outputs: Vec::new(),
            defaults: BTreeMap::new(),
            unusable: None,
            alone: None,
        }
    }

    fn shapes(signature: &Signature, alone: bool) -> Vec<String> {
        let first = |sample: super::Sample| sample.feeds(0, 1)[0].shape.to_string();
        samples(signature, alone).map(first).collect()
    }

    #[test]
    fn every_type_has_rows_that_differ() {
        for dtype in DType::ALL {
            let signature = signature(&[(dtype, Some(&[-1, 2]))]);
            let sample = samples(&signature, false).next().unwrap();
            let rows = (0..ROWS).map(|row| match &sample.feeds(row, 1)[0].data {
                FeedData::Fixed(bytes) => {
                    assert_eq!(bytes.len(), dtype.size().unwrap() * 2);
                    bytes.to_vec()
                }
                FeedData::Strings(strings) => strings.concat(),
            });
            let different: HashSet<Vec<u8>> = rows.collect();
            let least = if dtype == DType::Bool { 2 } else { ROWS };
            assert!(different.len() >= least, "{dtype}");
        }
    }

    #[test]
    fn free_sizes_are_guessed() {
        let float = |shape: &'static [i64]| signature(&[(DType::Float, Some(shape))]);
        assert_eq!(shapes(&float(&[-1, 3]), false), ["[1,3]"]);
        assert_eq!(shapes(&float(&[-1, -1]), false)[..2], ["[1,16]", "[1,8]"]);
        let images = shapes(&float(&[-1, -1, -1, 3]), false);
        assert_eq!(images[..2], ["[1,64,64,3]", "[1,32,32,3]"]);
        let any = shapes(&signature(&[(DType::Float, None)]), false);
        assert_eq!((any[0].as_str(), any[4].as_str()), ("[1]", "[1,8]"));
    }

    #[test]
    fn whole_numbers_and_strings_have_several_guesses() {
        assert_eq!(
            shapes(&signature(&[(DType::Int64, Some(&[-1]))]), false).len(),
            3
        );
        assert_eq!(
            shapes(&signature(&[(DType::String, Some(&[-1]))]), false).len(),
            3
        );
    }

    #[test]
    fn what_is_not_a_row_stays_whole() {
        let mixed = signature(&[(DType::Float, Some(&[])), (DType::Float, Some(&[-1, 2]))]);
        let sample = samples(&mixed, true).next().unwrap();
        assert!(!sample.has_rows());
        let feeds = sample.feeds(0, 1);
        assert_eq!(
            (feeds[0].shape.rank(), feeds[1].shape.dims()),
            (0, &[1, 2][..])
        );
    }

    #[test]
    fn defaults_are_used_where_they_say_more() {
        let mut signature = signature(&[(DType::Int32, Some(&[])), (DType::Float, Some(&[-1]))]);
        let seven = Tensor::fixed(DType::Int32, Shape::scalar(), vec![7, 0, 0, 0].into());
        signature.defaults.insert("x0".into(), seven.unwrap());
        let sample = samples(&signature, false).next().unwrap();
        let FeedData::Fixed(bytes) = &sample.feeds(0, 1)[0].data else {
            panic!("numbers")
        };
        assert_eq!(bytes[..], [7, 0, 0, 0]);
    }

    #[test]
    fn nothing_is_made_of_any_size() {
        let huge = signature(&[(DType::Float, Some(&[-1, 1 << 40]))]);
        assert_eq!(samples(&huge, false).count(), 0);
        let many = signature(&[(DType::String, Some(&[-1, 1 << 30]))]);
        assert_eq!(samples(&many, false).count(), 0);
    }
}
