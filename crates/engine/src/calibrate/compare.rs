//! Whether two tensors are equal as far as floats of different kernels can be.

use tensor::{DType, Data, Tensor};

/// How far floats may be apart, as a part of the largest in the tensor: kernels for
/// other batch sizes add in other orders.
const TOLERANCE: f64 = 1e-3;

/// The same for floats of 8 and 11 bits of precision.
const COARSE_TOLERANCE: f64 = 2e-2;

/// Whether row `row` of `batch` is the only row of `single`: the same inner shape, floats
/// that are close, anything else the same. Both have at least one dimension.
pub(super) fn is_row(batch: &Tensor, row: usize, single: &Tensor) -> bool {
    let rows = batch.shape().dims().first().copied().unwrap_or(1);
    if batch.dtype() != single.dtype()
        || batch.shape().dims().get(1..) != single.shape().dims().get(1..)
    {
        return false;
    }
    match (batch.data(), single.data()) {
        (Data::Strings(all), Data::Strings(one)) => {
            let count = all.len() / rows.max(1);
            all.get(row * count..(row + 1) * count) == Some(&one[..])
        }
        (Data::Fixed(all), Data::Fixed(one)) => {
            let count = all.len() / rows.max(1);
            let part = all.get(row * count..(row + 1) * count);
            part.is_some_and(|part| are_close(batch.dtype(), all, part, one))
        }
        _ => false,
    }
}

/// Whether two tensors are the same in this sense.
pub(crate) fn is_same(one: &Tensor, other: &Tensor) -> bool {
    if one.dtype() != other.dtype() || one.shape() != other.shape() {
        return false;
    }
    match (one.data(), other.data()) {
        (Data::Fixed(left), Data::Fixed(right)) => are_close(one.dtype(), left, left, right),
        (left, right) => left == right,
    }
}

fn are_close(dtype: DType, all: &[u8], left: &[u8], right: &[u8]) -> bool {
    if left == right {
        return true;
    }
    let Some((read, size, tolerance)) = float_reader(dtype) else {
        return false;
    };
    if left.len() != right.len() {
        return false;
    }
    let floats = |bytes: &[u8]| -> Vec<f64> { bytes.chunks_exact(size).map(read).collect() };
    let magnitude = floats(all)
        .into_iter()
        .filter(|value| value.is_finite())
        .fold(0.0, |most: f64, value| most.max(value.abs()));
    let allowed = magnitude * tolerance;
    let mut pairs = floats(left).into_iter().zip(floats(right));
    pairs.all(|(left, right)| {
        let both_nan = left.is_nan() && right.is_nan();
        // Infinities are equal or not close to anything.
        both_nan || left.total_cmp(&right).is_eq() || (left - right).abs() <= allowed
    })
}

type Reader = fn(&[u8]) -> f64;

/// How to read an element of a float type, its bytes, and its tolerance. A complex number
/// is two floats.
fn float_reader(dtype: DType) -> Option<(Reader, usize, f64)> {
    Some(match dtype {
        DType::Float | DType::Complex64 => (read_f32 as Reader, 4, TOLERANCE),
        DType::Double | DType::Complex128 => (read_f64, 8, TOLERANCE),
        DType::Half => (read_half, 2, COARSE_TOLERANCE),
        DType::BFloat16 => (read_bfloat16, 2, COARSE_TOLERANCE),
        _ => return None,
    })
}

fn read_f32(bytes: &[u8]) -> f64 {
    let bytes = bytes.first_chunk().copied().unwrap_or_default();
    f32::from_le_bytes(bytes).into()
}

fn read_f64(bytes: &[u8]) -> f64 {
    f64::from_le_bytes(bytes.first_chunk().copied().unwrap_or_default())
}

fn read_bfloat16(bytes: &[u8]) -> f64 {
    let bits = u16::from_le_bytes(bytes.first_chunk().copied().unwrap_or_default());
    f32::from_bits(u32::from(bits) << 16).into()
}

/// Sign, 5 bits of exponent, 10 of fraction.
fn read_half(bytes: &[u8]) -> f64 {
    let bits = u16::from_le_bytes(bytes.first_chunk().copied().unwrap_or_default());
    let sign = if bits >> 15 == 0 { 1.0 } else { -1.0 };
    let fraction = f64::from(bits & 0x3ff) / 1024.0;
    match i32::from(bits >> 10 & 0x1f) {
        0 => sign * fraction * 2f64.powi(-14),
        0x1f if fraction == 0.0 => sign * f64::INFINITY,
        0x1f => f64::NAN,
        exponent => sign * (1.0 + fraction) * 2f64.powi(exponent - 15),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use tensor::{DType, Shape, Tensor};

    use super::{is_row, read_half};

    fn floats(shape: &[usize], values: &[f32]) -> Tensor {
        let bytes: Vec<u8> = values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        Tensor::fixed(DType::Float, Shape::new(shape).unwrap(), bytes.into()).unwrap()
    }

    #[test]
    fn floats_are_close_by_the_magnitude_of_all() {
        let batch = floats(&[2, 2], &[100.0, 0.001, 5.0, -7.0]);
        assert!(is_row(&batch, 0, &floats(&[1, 2], &[100.05, 0.02])));
        assert!(!is_row(&batch, 0, &floats(&[1, 2], &[100.2, 0.001])));
        assert!(is_row(&batch, 1, &floats(&[1, 2], &[5.0, -7.0])));
        assert!(!is_row(&batch, 1, &floats(&[1, 2], &[100.0, 0.001])));
        assert!(!is_row(&batch, 2, &floats(&[1, 2], &[5.0, -7.0])));
    }

    #[test]
    fn what_is_not_finite_is_the_same_or_different() {
        let (nan, infinity) = (f32::NAN, f32::INFINITY);
        let batch = floats(&[1, 3], &[nan, infinity, 1.0]);
        assert!(is_row(&batch, 0, &floats(&[1, 3], &[nan, infinity, 1.0])));
        assert!(is_row(
            &batch,
            0,
            &floats(&[1, 3], &[-nan, infinity, 1.0001])
        ));
        assert!(!is_row(&batch, 0, &floats(&[1, 3], &[nan, -infinity, 1.0])));
        assert!(!is_row(&batch, 0, &floats(&[1, 3], &[0.0, infinity, 1.0])));
        assert!(!is_row(&batch, 0, &floats(&[1, 3], &[nan, 3e38, 1.0])));
    }

    #[test]
    fn whole_numbers_and_strings_are_exact() {
        let numbers = |shape: &[usize], bytes: &[u8]| {
            let shape = Shape::new(shape).unwrap();
            Tensor::fixed(DType::UInt8, shape, Bytes::copy_from_slice(bytes)).unwrap()
        };
        assert!(is_row(
            &numbers(&[2, 1], &[7, 200]),
            1,
            &numbers(&[1, 1], &[200])
        ));
        assert!(!is_row(
            &numbers(&[2, 1], &[7, 200]),
            1,
            &numbers(&[1, 1], &[201])
        ));
        let texts = |strings: &[&'static str]| {
            let strings: Vec<Bytes> = strings.iter().map(|text| (*text).into()).collect();
            Tensor::strings(Shape::new(&[strings.len()]).unwrap(), strings).unwrap()
        };
        assert!(is_row(&texts(&["a", "b"]), 1, &texts(&["b"])));
        assert!(!is_row(&texts(&["a", "b"]), 1, &texts(&["a"])));
    }

    #[test]
    fn shapes_and_types_count() {
        let batch = floats(&[2, 2], &[1.0; 4]);
        assert!(!is_row(&batch, 0, &floats(&[1, 1, 2], &[1.0; 2])));
        assert!(!is_row(&batch, 0, &floats(&[1, 1], &[1.0])));
        let strings = Tensor::strings(Shape::new(&[1, 2]).unwrap(), vec![Bytes::new(); 2]).unwrap();
        assert!(!is_row(&batch, 0, &strings));
    }

    #[test]
    fn halves() {
        for (bits, value) in [
            (0x3c00_u16, 1.0),
            (0xc000, -2.0),
            (0x3555, 0.333_251_953_125),
            (0x7bff, 65504.0),
            (0x0001, 5.960_464_477_539_063e-8),
            (0x7c00, f64::INFINITY),
        ] {
            assert!(read_half(&bits.to_le_bytes()).total_cmp(&value).is_eq());
        }
        assert!(read_half(&0x7e00_u16.to_le_bytes()).is_nan());
        assert!(read_half(&0xfc00_u16.to_le_bytes()) < f64::MIN);
    }
}
