//! Numbers as text to elements and back: ranges, rounding, shortest forms.

use tensor::DType;

use super::json::is_number;

/// A 16-bit float format: one sign bit, then these.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SmallFloat {
    exponent_bits: u32,
    fraction_bits: u32,
}

/// IEEE's 16-bit float.
pub(crate) const HALF: SmallFloat = SmallFloat {
    exponent_bits: 5,
    fraction_bits: 10,
};

/// The upper half of a 32-bit float.
pub(crate) const BFLOAT16: SmallFloat = SmallFloat {
    exponent_bits: 8,
    fraction_bits: 7,
};

impl SmallFloat {
    fn bias(self) -> i32 {
        (1 << (self.exponent_bits - 1)) - 1
    }

    fn infinity(self) -> u16 {
        ((1 << self.exponent_bits) - 1) << self.fraction_bits
    }

    /// The nearest value of this format, ties to the even one; too large: infinity.
    pub(crate) fn round(self, value: f64) -> u16 {
        let sign = u16::from(value.is_sign_negative()) << 15;
        if value.is_nan() {
            return self.infinity() | 1 << (self.fraction_bits - 1);
        }
        if value.is_infinite() {
            return sign | self.infinity();
        }
        let lowest = 1 - self.bias();
        let own = ((value.to_bits() >> 52) & 0x7ff) as i32 - 1023;
        let exponent = own.max(lowest);
        // In units of the last place there, where rounding to whole numbers is exact.
        let units = value.abs() * power_of_two(self.fraction_bits as i32 - exponent);
        let units = units.round_ties_even() as u64;
        // The leading one of a normal number adds the last step of its exponent, and so
        // does a carry out of the fraction.
        let bits = (((exponent - lowest) as u64) << self.fraction_bits) + units;
        sign | bits.min(u64::from(self.infinity())) as u16
    }

    /// The value of these bits, exactly.
    pub(super) fn expand(self, bits: u16) -> f64 {
        let magnitude = bits & 0x7fff;
        let fraction = f64::from(magnitude & ((1 << self.fraction_bits) - 1));
        let exponent = i32::from(magnitude >> self.fraction_bits);
        let value = if magnitude > self.infinity() {
            f64::NAN
        } else if magnitude == self.infinity() {
            f64::INFINITY
        } else if exponent == 0 {
            fraction * power_of_two(1 - self.bias() - self.fraction_bits as i32)
        } else {
            let one = f64::from(1 << self.fraction_bits);
            (fraction + one) * power_of_two(exponent - self.bias() - self.fraction_bits as i32)
        };
        if bits >> 15 == 0 { value } else { -value }
    }

    /// The number with the fewest digits that rounds to these bits.
    pub(crate) fn shortest(self, bits: u16) -> f64 {
        let value = self.expand(bits);
        (0..5)
            .filter_map(|digits| format!("{value:.digits$e}").parse::<f64>().ok())
            .find(|candidate| self.round(*candidate) == bits)
            .unwrap_or(value)
    }
}

/// 2 to this power, which must be one of a normal number.
fn power_of_two(exponent: i32) -> f64 {
    f64::from_bits(((exponent + 1023) as u64) << 52)
}

/// The least and the greatest value of an integer type.
pub(crate) fn range(dtype: DType) -> Option<(i128, i128)> {
    Some(match dtype {
        DType::Int8 => (i8::MIN.into(), i8::MAX.into()),
        DType::Int16 => (i16::MIN.into(), i16::MAX.into()),
        DType::Int32 => (i32::MIN.into(), i32::MAX.into()),
        DType::Int64 => (i64::MIN.into(), i64::MAX.into()),
        DType::UInt8 => (0, u8::MAX.into()),
        DType::UInt16 => (0, u16::MAX.into()),
        DType::UInt32 => (0, u32::MAX.into()),
        DType::UInt64 => (0, u64::MAX.into()),
        _ => return None,
    })
}

/// Appends the number that `word` is to the elements of a numeric type (the parts of
/// complex ones); `None` if it is no number of that type.
pub(super) fn push_number(dtype: DType, word: &str, bytes: &mut Vec<u8>) -> Option<()> {
    if let Some((least, greatest)) = range(dtype) {
        let value = whole_number(word).filter(|value| (least..=greatest).contains(value))?;
        // Of the low bytes of a two's complement number all shorter types are made.
        bytes.extend(&value.to_le_bytes()[..dtype.size()?]);
        return Some(());
    }
    match dtype {
        DType::Float | DType::Complex64 => bytes.extend(float::<f32>(word)?.to_le_bytes()),
        DType::Double | DType::Complex128 => bytes.extend(float::<f64>(word)?.to_le_bytes()),
        DType::Half => bytes.extend(HALF.round(float(word)?).to_le_bytes()),
        DType::BFloat16 => bytes.extend(BFLOAT16.round(float(word)?).to_le_bytes()),
        _ => return None,
    }
    Some(())
}

/// Too large a number is infinity, too small a one zero, as TensorFlow Serving reads
/// them.
fn float<T: std::str::FromStr>(word: &str) -> Option<T> {
    let named = matches!(word, "NaN" | "Infinity" | "-Infinity");
    if named || is_number(word) {
        word.parse().ok()
    } else {
        None
    }
}

/// A number without fraction, also if it is written with one (`3.0`, `1e3`).
fn whole_number(word: &str) -> Option<i128> {
    /// Up to here every whole number is a double, so that none is another's neighbour.
    const EXACT: f64 = (1_u64 << 53) as f64;
    if !is_number(word) {
        return None;
    }
    if !word.contains(['.', 'e', 'E']) {
        return word.parse().ok();
    }
    let value: f64 = word.parse().ok()?;
    (value.fract() == 0.0 && value.abs() <= EXACT).then_some(value as i128)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{ProptestConfig, any, proptest};

    use super::{BFLOAT16, HALF, SmallFloat, float, whole_number};

    #[test]
    fn every_small_float_survives() {
        for format in [HALF, BFLOAT16] {
            for bits in 0..=u16::MAX {
                let value = format.expand(bits);
                if value.is_nan() {
                    assert!(format.expand(format.round(value)).is_nan());
                    continue;
                }
                assert_eq!(format.round(value), bits, "{value}");
                assert_eq!(format.round(format.shortest(bits)), bits, "{value}");
            }
        }
    }

    #[test]
    fn bfloat16_is_the_upper_half_of_a_float() {
        for bits in 0..=u16::MAX {
            let float = f64::from(f32::from_bits(u32::from(bits) << 16));
            let value = BFLOAT16.expand(bits);
            assert!(value.is_nan() && float.is_nan() || value.to_bits() == float.to_bits());
        }
    }

    /// The nearest of all values, the even one of two: by looking at them all.
    fn nearest(format: SmallFloat, value: f64) -> u16 {
        let distance = |bits: &u16| (format.expand(*bits) - value).abs();
        let positive = 0..format.infinity();
        let closer = |a: &u16, b: &u16| {
            let (near, far) = (distance(a), distance(b));
            near.total_cmp(&far).then((a & 1).cmp(&(b & 1)))
        };
        positive.min_by(closer).unwrap()
    }

    proptest! {
        // Each case looks at every positive value of both formats.
        #![proptest_config(ProptestConfig::with_cases(16))]

        #[test]
        fn rounds_to_the_nearest(exponent in -30..15_i32, fraction in 1.0..2.0_f64) {
            let value = fraction * f64::powi(2.0, exponent);
            for format in [HALF, BFLOAT16] {
                assert_eq!(format.round(value), nearest(format, value), "{value}");
                assert_eq!(format.round(-value), nearest(format, value) | 0x8000);
            }
        }
    }

    proptest! {
        #[test]
        fn ties_go_to_the_even_one(bits in 0..0x7bff_u16) {
            for format in [HALF, BFLOAT16] {
                let middle = f64::midpoint(format.expand(bits), format.expand(bits + 1));
                assert_eq!(format.round(middle), bits + (bits & 1));
            }
        }

        #[test]
        fn whole_numbers(value in any::<i64>()) {
            assert_eq!(whole_number(&value.to_string()), Some(value.into()));
        }
    }

    #[test]
    fn ends_of_the_range() {
        assert_eq!(HALF.round(65504.0), 0x7bff);
        assert_eq!(HALF.round(65519.99), 0x7bff);
        assert_eq!(HALF.round(65520.0), 0x7c00);
        assert_eq!(HALF.round(1e300), 0x7c00);
        assert_eq!(HALF.round(f64::from_bits(1)), 0);
        assert_eq!(HALF.round(2_f64.powi(-25)), 0);
        assert_eq!(HALF.round(2_f64.powi(-25) * 1.001), 1);
        assert_eq!(HALF.round(-0.0), 0x8000);
        assert_eq!(HALF.round(f64::NEG_INFINITY), 0xfc00);
        assert_eq!(BFLOAT16.round(f64::MAX), 0x7f80);
        assert_eq!(HALF.shortest(HALF.round(0.1)).to_string(), "0.1");
        assert_eq!(BFLOAT16.shortest(BFLOAT16.round(2.54)).to_string(), "2.55");
    }

    #[test]
    fn whole_numbers_in_other_forms() {
        for (word, value) in [("3.0", 3), ("1e3", 1000), ("-0", 0), ("12.5e1", 125)] {
            assert_eq!(whole_number(word), Some(value));
        }
        for word in [
            "1.5",
            "1e300",
            "9007199254740994.0",
            "01",
            "+1",
            "1.",
            "NaN",
            "",
            "-",
        ] {
            assert_eq!(whole_number(word), None, "{word}");
        }
    }

    #[test]
    fn floats() {
        assert_eq!(float::<f32>("0.1"), Some(0.1));
        assert_eq!(float::<f32>("1e39"), Some(f32::INFINITY));
        assert_eq!(float::<f64>("-Infinity"), Some(f64::NEG_INFINITY));
        for word in [
            "inf", "nan", "+1", ".5", "5.", "0x1", "1e", "-NaN", "1_0", "٣",
        ] {
            assert_eq!(float::<f64>(word), None, "{word}");
        }
    }
}
