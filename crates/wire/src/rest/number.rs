//! Numbers as a text has them.

/// A number, as its text has it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Number {
    /// Without fraction and exponent, in the range of the 64-bit types.
    Whole { negative: bool, magnitude: u64 },
    /// Any other; one too large for a double is an infinity.
    Float(f64),
}

impl Number {
    pub(super) fn to_f64(self) -> f64 {
        match self {
            Self::Float(value) => value,
            Self::Whole {
                negative,
                magnitude,
            } => {
                let value = magnitude as f64;
                if negative { -value } else { value }
            }
        }
    }

    /// The whole number; none if it is written with a fraction or an exponent.
    pub(super) fn to_whole(self) -> Option<i128> {
        match self {
            Self::Float(_) => None,
            Self::Whole {
                negative,
                magnitude,
            } => {
                let value = i128::from(magnitude);
                Some(if negative { -value } else { value })
            }
        }
    }
}

/// Decimal digits, of which the first so many are kept as a number.
#[derive(Clone, Copy, Default)]
pub(super) struct Digits {
    pub(super) value: u64,
    pub(super) count: usize,
}

impl Digits {
    /// So many digits always fit.
    pub(super) const KEPT: usize = 19;

    /// The number that these digits are times a power of ten, where both are doubles
    /// themselves, so that one operation rounds it right.
    #[inline]
    pub(super) fn exact(self, exponent: i64) -> Option<f64> {
        const LARGEST: u64 = 1 << 53;
        const POWERS: [f64; 23] = [
            1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
            1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
        ];
        if self.count > Self::KEPT || self.value > LARGEST {
            return None;
        }
        let power = POWERS.get(exponent.unsigned_abs() as usize)?;
        let value = self.value as f64;
        Some(if exponent < 0 {
            value / power
        } else {
            value * power
        })
    }
}
