//! `TFRecord`: records one after the other, each with its length before it and a masked
//! CRC-32C of the length and of the record.

use std::io::{self, Read};

use bytes::Bytes;

/// Before each record: its length and that length's checksum.
const HEADER: usize = 12;

/// Longest record that is read: as long as a gRPC message can be.
const MAX_RECORD: u64 = i32::MAX as u64;

/// Why a file's records can't be read on.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The file.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It ends within a record.
    #[error("record {number} is cut short")]
    CutShort {
        /// Which record, from 0.
        number: usize,
        /// Where in the file it begins, in bytes.
        offset: u64,
    },
    /// What the checksum says is not what is there.
    #[error("the checksum of record {number} is wrong; the file is damaged or no TFRecord file")]
    Checksum {
        /// Which record, from 0.
        number: usize,
        /// Where in the file it begins, in bytes.
        offset: u64,
    },
    /// A length that no record has.
    #[error("record {number} has {length} bytes, more than {MAX_RECORD}")]
    TooLong {
        /// Which record, from 0.
        number: usize,
        /// Its length, in bytes.
        length: u64,
    },
}

/// The records of a file, in order. Ends after its first error.
#[derive(Debug)]
pub struct Records<R> {
    file: R,
    number: usize,
    offset: u64,
    is_over: bool,
}

impl<R: Read> Records<R> {
    /// The records of `file`, which should be buffered.
    pub fn of(file: R) -> Self {
        Self {
            file,
            number: 0,
            offset: 0,
            is_over: false,
        }
    }

    fn read(&mut self) -> Result<Option<Bytes>, RecordError> {
        let mut header = [0; HEADER];
        match self.fill(&mut header)? {
            0 => return Ok(None),
            HEADER => {}
            _ => return Err(self.cut_short()),
        }
        let [length @ .., _, _, _, _] = header;
        let [.., a, b, c, d] = header;
        self.check(&length, [a, b, c, d])?;
        let length = u64::from_le_bytes(length);
        if length > MAX_RECORD {
            return Err(RecordError::TooLong {
                number: self.number,
                length,
            });
        }
        // Grows with what is there: a length alone takes no memory.
        let mut record = Vec::new();
        (&mut self.file).take(length).read_to_end(&mut record)?;
        let mut checksum = [0; 4];
        if record.len() as u64 != length || self.fill(&mut checksum)? != 4 {
            return Err(self.cut_short());
        }
        self.check(&record, checksum)?;
        self.number += 1;
        self.offset += (HEADER + record.len() + checksum.len()) as u64;
        Ok(Some(record.into()))
    }

    /// Where the record begins that is read next, in bytes: the end of all whole ones.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    fn cut_short(&self) -> RecordError {
        RecordError::CutShort {
            number: self.number,
            offset: self.offset,
        }
    }

    /// Reads as much as there is; how much that was.
    fn fill(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.file.read(&mut buffer[filled..]) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }

    fn check(&self, bytes: &[u8], checksum: [u8; 4]) -> Result<(), RecordError> {
        if masked(crc32c::crc32c(bytes)) == u32::from_le_bytes(checksum) {
            return Ok(());
        }
        Err(RecordError::Checksum {
            number: self.number,
            offset: self.offset,
        })
    }
}

impl<R: Read> Iterator for Records<R> {
    type Item = Result<Bytes, RecordError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        let record = self.read().transpose();
        self.is_over = !matches!(record, Some(Ok(_)));
        record
    }
}

/// Appends a record to `file`: what `write` appends to it.
pub fn put_record(file: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let start = file.len();
    file.extend([0; HEADER]);
    write(file);
    let content = start + HEADER;
    let length = ((file.len() - content) as u64).to_le_bytes();
    let checksum = masked(crc32c::crc32c(&file[content..])).to_le_bytes();
    file.extend(checksum);
    let (front, back) = file[start..content].split_at_mut(length.len());
    front.copy_from_slice(&length);
    back.copy_from_slice(&masked(crc32c::crc32c(&length)).to_le_bytes());
}

/// As `TFRecord` stores a checksum, so that one of data with checksums in it stays good.
fn masked(checksum: u32) -> u32 {
    checksum.rotate_right(15).wrapping_add(0xa282_ead8)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::{RecordError, Records, masked, put_record};

    fn record(content: &[u8]) -> Vec<u8> {
        let mut file = Vec::new();
        put_record(&mut file, |file| file.extend(content));
        file
    }

    fn read(file: &[u8]) -> (Vec<Bytes>, Option<RecordError>) {
        let mut records = Vec::new();
        for record in Records::of(file) {
            match record {
                Ok(record) => records.push(record),
                Err(error) => return (records, Some(error)),
            }
        }
        (records, None)
    }

    /// As `tf.io.TFRecordWriter` writes "hello".
    const HELLO: [u8; 21] = [
        5, 0, 0, 0, 0, 0, 0, 0, 0xea, 0xb2, 0x04, 0x3e, b'h', b'e', b'l', b'l', b'o', 0xbb, 0x1f,
        0x1c, 0x19,
    ];

    #[test]
    fn records_of_a_file() {
        assert_eq!(record(b"hello"), HELLO);
        let file = [HELLO.to_vec(), record(b""), record(&vec![7; 100_000])].concat();
        let (records, error) = read(&file);
        assert!(error.is_none());
        assert_eq!(records.len(), 3);
        assert_eq!(
            (&records[0][..], records[2].len()),
            (&b"hello"[..], 100_000)
        );
        assert!(read(b"").0.is_empty());
        let mut cut = Records::of(&file[..30]);
        assert!(cut.next().unwrap().is_ok() && cut.next().unwrap().is_err());
        assert_eq!(cut.offset(), 21);
    }

    #[test]
    fn every_wrong_byte_is_found() {
        for index in 0..HELLO.len() {
            let mut file = HELLO.to_vec();
            file[index] ^= 4;
            let (records, error) = read(&file);
            assert!(records.is_empty() && error.is_some(), "{index}");
        }
        for end in 1..HELLO.len() {
            let (records, error) = read(&HELLO[..end]);
            assert!(records.is_empty(), "{end}");
            assert!(
                matches!(error, Some(RecordError::CutShort { number: 0, .. })),
                "{end}"
            );
        }
    }

    #[test]
    fn a_length_alone_takes_no_memory() {
        let length = |length: u64| {
            let length = length.to_le_bytes();
            [&length[..], &masked(crc32c::crc32c(&length)).to_le_bytes()].concat()
        };
        assert!(matches!(
            read(&length(u64::MAX)).1,
            Some(RecordError::TooLong { number: 0, .. })
        ));
        assert!(matches!(
            read(&length(1 << 30)).1,
            Some(RecordError::CutShort { number: 0, .. })
        ));
    }
}
