//! Protobuf's wire format without messages: fields as they come, in views of the
//! bytes; and the few writers that go with it.

use bytes::{BufMut, Bytes};
use prost::encoding::{encode_varint, encoded_len_varint};

/// Bytes that protobuf's own parser would not take either.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed message: {0}")]
pub struct Malformed(pub(crate) &'static str);

const CUT_SHORT: Malformed = Malformed("it is cut short");
const LONG_VARINT: Malformed = Malformed("a varint is longer than ten bytes");

/// How deep unknown groups may nest; protobuf's own limit.
const MAX_GROUP_DEPTH: usize = 100;

/// A field's value as its wire type gives it. All parts are whole machine words: with
/// smaller ones the compiler moves the value piece by piece, at three times the cost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Value<'a> {
    Varint(u64),
    /// `word`: 4 or 8, its bytes, the low ones of `bits`.
    Fixed {
        word: usize,
        bits: u64,
    },
    Bytes(&'a [u8]),
    /// An unknown group, skipped.
    Group,
}

/// The fields of a message, in the order of the wire. Ends after its first error.
pub(crate) struct Fields<'a> {
    rest: &'a [u8],
}

#[expect(
    clippy::inline_always,
    reason = "a fifth off the cost of reading a whole PredictRequest (measured)"
)]
impl<'a> Fields<'a> {
    pub(crate) fn of(message: &'a [u8]) -> Self {
        Self { rest: message }
    }

    #[inline(always)]
    fn read(&mut self) -> Result<(u32, Value<'a>), Malformed> {
        let (number, wire_type) = self.tag()?;
        let value = match wire_type {
            3 => {
                self.skip_group(number, MAX_GROUP_DEPTH)?;
                Value::Group
            }
            4 => return Err(Malformed("a group ends that did not begin")),
            _ => self.value(wire_type)?,
        };
        Ok((number, value))
    }

    #[inline]
    fn tag(&mut self) -> Result<(u32, u8), Malformed> {
        // All fields that are read here have a tag of one byte or two.
        if let [tag @ 8..0x80, rest @ ..] = self.rest {
            self.rest = rest;
            return Ok((u32::from(tag >> 3), tag & 7));
        }
        self.long_tag()
    }

    fn long_tag(&mut self) -> Result<(u32, u8), Malformed> {
        let before = self.rest.len();
        let tag = take_varint(&mut self.rest)?;
        let tag = u32::try_from(tag)
            .ok()
            .filter(|_| before - self.rest.len() <= 5)
            .ok_or(Malformed("a field number is too large"))?;
        if tag < 8 {
            return Err(Malformed("a field has number 0"));
        }
        Ok((tag >> 3, (tag & 7) as u8))
    }

    #[inline(always)]
    fn value(&mut self, wire_type: u8) -> Result<Value<'a>, Malformed> {
        Ok(match wire_type {
            0 => Value::Varint(take_varint(&mut self.rest)?),
            1 => Value::Fixed {
                word: 8,
                bits: u64::from_le_bytes(self.array()?),
            },
            2 => {
                let length = take_varint(&mut self.rest)?;
                let length = usize::try_from(length).map_err(|_| CUT_SHORT)?;
                let (bytes, rest) = self.rest.split_at_checked(length).ok_or(CUT_SHORT)?;
                self.rest = rest;
                Value::Bytes(bytes)
            }
            5 => Value::Fixed {
                word: 4,
                bits: u32::from_le_bytes(self.array()?).into(),
            },
            _ => return Err(Malformed("a field has an unknown wire type")),
        })
    }

    #[inline]
    fn array<const SIZE: usize>(&mut self) -> Result<[u8; SIZE], Malformed> {
        let (array, rest) = self.rest.split_first_chunk().ok_or(CUT_SHORT)?;
        self.rest = rest;
        Ok(*array)
    }

    fn skip_group(&mut self, group: u32, depth: usize) -> Result<(), Malformed> {
        if depth == 0 {
            return Err(Malformed("groups nest too deep"));
        }
        loop {
            match self.tag()? {
                (number, 3) => self.skip_group(number, depth - 1)?,
                (number, 4) if number == group => return Ok(()),
                (_, 4) => return Err(Malformed("a group ends that did not begin")),
                (_, wire_type) => {
                    self.value(wire_type)?;
                }
            }
        }
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u32, Value<'a>), Malformed>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.read();
        if field.is_err() {
            self.rest = &[];
        }
        Some(field)
    }
}

/// Takes one varint from the front of `bytes`. Bits over the 64th are dropped, as
/// protobuf drops them.
#[inline]
pub(crate) fn take_varint(bytes: &mut &[u8]) -> Result<u64, Malformed> {
    if let Some((&byte, rest)) = bytes.split_first()
        && byte < 0x80
    {
        *bytes = rest;
        return Ok(u64::from(byte));
    }
    take_long_varint(bytes)
}

fn take_long_varint(bytes: &mut &[u8]) -> Result<u64, Malformed> {
    let mut value = 0;
    for (index, &byte) in bytes.iter().take(10).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte < 0x80 {
            *bytes = &bytes[index + 1..];
            return Ok(value);
        }
    }
    Err(if bytes.len() < 10 {
        CUT_SHORT
    } else {
        LONG_VARINT
    })
}

/// Checks that `run`, a packed field, is whole varints.
pub(crate) fn check_varints(run: &[u8]) -> Result<(), Malformed> {
    let mut unfinished = 0;
    for byte in run {
        unfinished = if *byte < 0x80 { 0 } else { unfinished + 1 };
        if unfinished == 10 {
            return Err(LONG_VARINT);
        }
    }
    if unfinished > 0 {
        return Err(CUT_SHORT);
    }
    Ok(())
}

/// A proto3 string.
pub(crate) fn text(bytes: &[u8]) -> Result<&str, Malformed> {
    std::str::from_utf8(bytes).map_err(|_| Malformed("a string is not UTF-8"))
}

/// `part` as a view of `message` that it lies in; a copy if it lies elsewhere.
pub(crate) fn view(message: &Bytes, part: &[u8]) -> Bytes {
    let (whole, inner) = (message.as_ptr_range(), part.as_ptr_range());
    if whole.start <= inner.start && inner.end <= whole.end {
        message.slice_ref(part)
    } else {
        Bytes::copy_from_slice(part)
    }
}

/// Bytes of a field of wire type 2: tag, length, `length` bytes. Zero where a proto3
/// writer leaves an empty field out is the caller's business.
pub(crate) fn len_of_bytes(number: u32, length: usize) -> usize {
    encoded_len_varint(u64::from(number) << 3) + encoded_len_varint(length as u64) + length
}

/// Writes the tag and length of such a field; its bytes follow.
pub(crate) fn put_bytes_header(number: u32, length: usize, buffer: &mut impl BufMut) {
    encode_varint(u64::from(number << 3 | 2), buffer);
    encode_varint(length as u64, buffer);
}

/// Bytes of a string field, nothing if it is empty.
pub(crate) fn len_of_text(number: u32, text: &str) -> usize {
    if text.is_empty() {
        0
    } else {
        len_of_bytes(number, text.len())
    }
}

/// Writes a string field, nothing if it is empty.
pub(crate) fn put_text(number: u32, text: &str, buffer: &mut impl BufMut) {
    if !text.is_empty() {
        put_bytes_header(number, text.len(), buffer);
        buffer.put_slice(text.as_bytes());
    }
}

/// Bytes of a varint field, nothing if it is 0.
pub(crate) fn len_of_varint(number: u32, value: u64) -> usize {
    if value == 0 {
        0
    } else {
        encoded_len_varint(u64::from(number) << 3) + encoded_len_varint(value)
    }
}

/// Writes a varint field, nothing if it is 0.
pub(crate) fn put_varint(number: u32, value: u64, buffer: &mut impl BufMut) {
    if value != 0 {
        encode_varint(u64::from(number << 3), buffer);
        encode_varint(value, buffer);
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::{any, proptest};

    use super::{Fields, MAX_GROUP_DEPTH, Malformed, Value, check_varints, take_varint, view};

    fn read(message: &[u8]) -> Result<Vec<(u32, Value<'_>)>, Malformed> {
        Fields::of(message).collect()
    }

    #[test]
    fn every_wire_type() {
        let message = [
            8, 5, // 1: varint
            17, 1, 2, 3, 4, 5, 6, 7, 8, // 2: fixed64
            26, 2, b'h', b'i', // 3: bytes
            35, 8, 1, 43, 44, 36, // 4: a group with a field and a group in it
            53, 1, 2, 3, 4, // 6: fixed32
        ];
        assert_eq!(
            read(&message).unwrap(),
            [
                (1, Value::Varint(5)),
                (
                    2,
                    Value::Fixed {
                        word: 8,
                        bits: 0x0807_0605_0403_0201
                    }
                ),
                (3, Value::Bytes(b"hi")),
                (4, Value::Group),
                (
                    6,
                    Value::Fixed {
                        word: 4,
                        bits: 0x0403_0201
                    }
                ),
            ]
        );
    }

    #[test]
    fn what_protobuf_refuses() {
        for message in [
            &[0, 0][..],                           // field 0
            &[12],                                 // a group's end alone
            &[14, 1],                              // wire type 6
            &[35, 44],                             // another group's end
            &[35],                                 // a group without end
            &[26, 3, 1, 2],                        // too few bytes
            &[26, 0xff, 0xff, 0xff, 0xff, 0x0f],   // far too few
            &[13, 1, 2, 3],                        // half a fixed32
            &[0x98, 0x80, 0x80, 0x80, 0x80, 0, 1], // a tag of six bytes
            &[0xf8, 0xff, 0xff, 0xff, 0x7f, 1],    // a tag over 32 bits
            &[8, 0x80],                            // half a varint
            &[8, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1],
        ] {
            assert!(read(message).is_err(), "{message:?}");
        }
        assert!(read(&[35; MAX_GROUP_DEPTH + 1]).is_err());
        assert!(read(&vec![35; 1_000_000]).is_err());
    }

    #[test]
    fn long_forms_that_protobuf_takes() {
        assert_eq!(
            read(&[0x98, 0x80, 0x80, 0x80, 0, 1]).unwrap(),
            [(3, Value::Varint(1))]
        );
        let mut ten = &[255, 255, 255, 255, 255, 255, 255, 255, 255, 0x7f][..];
        assert_eq!(take_varint(&mut ten).unwrap(), u64::MAX);
    }

    #[test]
    fn a_view_shares_and_a_stranger_is_copied() {
        let message = Bytes::from(vec![1, 2, 3, 4]);
        let part = &message[1..3];
        assert_eq!(view(&message, part).as_ptr(), part.as_ptr());
        assert_eq!(view(&message, &[7, 8]), [7, 8][..]);
        assert_eq!(view(&Bytes::new(), &[]), Bytes::new());
    }

    proptest! {
        #[test]
        fn varints_are_prosts(value in any::<u64>(), rest in any::<[u8; 3]>()) {
            let mut bytes = Vec::new();
            prost::encoding::encode_varint(value, &mut bytes);
            assert!(check_varints(&bytes).is_ok());
            assert!(check_varints(&bytes[..bytes.len() - 1]).is_err() || bytes.len() == 1);
            bytes.extend(rest);
            let mut left = &bytes[..];
            assert_eq!(take_varint(&mut left).unwrap(), value);
            assert_eq!(left, rest);
        }

        #[test]
        fn random_bytes_end(bytes in any::<Vec<u8>>()) {
            let _ = read(&bytes);
            let _ = check_varints(&bytes);
        }
    }
}
