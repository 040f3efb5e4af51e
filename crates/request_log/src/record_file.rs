//! A file that holds whole records and nothing else, whatever becomes of a write.

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};

/// Bytes that gather before they are handed to the system.
const BUFFER: usize = 256 << 10;

/// Where records are written to.
pub(crate) trait Storage: Write {
    /// Cuts everything behind `length` bytes, and goes on there.
    fn cut(&mut self, length: u64) -> io::Result<()>;
}

impl Storage for File {
    fn cut(&mut self, length: u64) -> io::Result<()> {
        self.set_len(length)?;
        self.seek(SeekFrom::Start(length)).map(drop)
    }
}

/// What became of the records that were handed to the system.
#[derive(Debug, Default)]
pub(crate) struct Flushed<Owner> {
    /// Those that are in the file.
    pub(crate) written: Vec<Owner>,
    /// Those that are not, and why.
    pub(crate) lost: Option<(Vec<Owner>, io::Error)>,
}

/// A file of records, each of which belongs to an `Owner`.
#[derive(Debug)]
pub(crate) struct RecordFile<S, Owner> {
    storage: S,
    /// Bytes of whole records in it.
    length: u64,
    buffer: Vec<u8>,
    /// Where each record in the buffer ends.
    ends: Vec<(usize, Owner)>,
    /// A write left something behind that could not be cut off yet.
    is_torn: bool,
}

impl<S: Storage, Owner> RecordFile<S, Owner> {
    /// An empty one.
    pub(crate) fn new(storage: S) -> Self {
        Self {
            storage,
            length: 0,
            buffer: Vec::new(),
            ends: Vec::new(),
            is_torn: false,
        }
    }

    /// Bytes in it, those that wait included.
    pub(crate) fn bytes(&self) -> u64 {
        self.length + self.buffer.len() as u64
    }

    /// Adds a record; `true`: so much waits that it should be flushed.
    pub(crate) fn push(&mut self, record: &[u8], owner: Owner) -> bool {
        self.buffer.extend_from_slice(record);
        self.ends.push((self.buffer.len(), owner));
        self.buffer.len() >= BUFFER
    }

    /// Hands what waits to the system. Where that fails, the file is cut back to its last
    /// whole record, and the others are lost.
    pub(crate) fn flush(&mut self) -> Flushed<Owner> {
        let (written, failed) = if self.buffer.is_empty() {
            (0, None)
        } else {
            self.write_buffer()
        };
        let mut ends = std::mem::take(&mut self.ends);
        let whole = ends.partition_point(|(end, _)| *end <= written);
        let lost = ends.split_off(whole);
        let kept = ends.last().map_or(0, |(end, _)| *end);
        self.length += kept as u64;
        if written > kept {
            self.is_torn = true;
        }
        if self.is_torn {
            self.is_torn = self.storage.cut(self.length).is_err();
        }
        self.buffer.clear();
        // A large record must not hold its memory for ever.
        self.buffer.shrink_to(2 * BUFFER);
        let owners = |ends: Vec<(usize, Owner)>| ends.into_iter().map(|(_, owner)| owner).collect();
        Flushed {
            written: owners(ends),
            lost: failed.map(|error| (owners(lost), error)),
        }
    }

    /// How much of the buffer was written, and why not all.
    fn write_buffer(&mut self) -> (usize, Option<io::Error>) {
        if self.is_torn
            && let Err(error) = self.storage.cut(self.length)
        {
            return (0, Some(error));
        }
        self.is_torn = false;
        let mut written = 0;
        while written < self.buffer.len() {
            match self.storage.write(&self.buffer[written..]) {
                Ok(0) => return (written, Some(io::ErrorKind::WriteZero.into())),
                Ok(count) => written += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return (written, Some(error)),
            }
        }
        (written, None)
    }

    /// Whether records wait to be handed to the system.
    pub(crate) fn waits(&self) -> bool {
        !self.ends.is_empty()
    }

    /// Whether behind its whole records there is something that could not be cut off.
    pub(crate) fn is_torn(&self) -> bool {
        self.is_torn
    }

    /// Goes on in another, empty place: what waits will be written there.
    pub(crate) fn move_to(&mut self, storage: S) {
        self.storage = storage;
        self.length = 0;
        self.is_torn = false;
    }

    /// Whose records wait, which are lost with it.
    pub(crate) fn give_up(self) -> Vec<Owner> {
        self.ends.into_iter().map(|(_, owner)| owner).collect()
    }

    /// What it writes to.
    pub(crate) fn storage(&self) -> &S {
        &self.storage
    }

    /// The same, alone.
    pub(crate) fn into_storage(self) -> S {
        self.storage
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};

    use bytes::Bytes;
    use proptest::prelude::{any, prop, proptest};
    use wire::warmup::{Records, put_record};

    use super::{RecordFile, Storage};

    /// A disk with room for so many bytes.
    #[derive(Default)]
    struct SmallDisk {
        content: Vec<u8>,
        room: usize,
        /// How many cuts fail.
        stuck: usize,
    }

    impl Write for SmallDisk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let count = bytes.len().min(self.room - self.content.len()).min(1000);
            if count == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.content.extend(&bytes[..count]);
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Storage for SmallDisk {
        fn cut(&mut self, length: u64) -> io::Result<()> {
            if self.stuck > 0 {
                self.stuck -= 1;
                return Err(io::ErrorKind::Other.into());
            }
            self.content.truncate(length as usize);
            Ok(())
        }
    }

    fn record(content: &[u8]) -> Vec<u8> {
        let mut record = Vec::new();
        put_record(&mut record, |file| file.extend(content));
        record
    }

    fn read(content: &[u8]) -> Vec<Bytes> {
        Records::of(content).collect::<Result<_, _>>().unwrap()
    }

    proptest! {
        /// Whatever fits where: the file is whole records, those that count as written, in
        /// their order; and what has room again is written again.
        #[test]
        fn no_record_is_torn(
            sizes in prop::collection::vec((0..3000_usize, any::<bool>()), 1..40),
            rooms in prop::collection::vec(0..20_000_usize, 1..5),
            stuck in 0..3_usize,
        ) {
            let mut file = RecordFile::new(SmallDisk { stuck, ..SmallDisk::default() });
            let (mut written, mut lost) = (Vec::new(), 0);
            for (number, (size, flush)) in sizes.iter().enumerate() {
                file.storage.room = rooms[number % rooms.len()].max(file.storage.content.len());
                file.push(&record(&vec![number as u8; *size]), number);
                if *flush || number + 1 == sizes.len() {
                    let flushed = file.flush();
                    written.extend(flushed.written);
                    lost += flushed.lost.map_or(0, |(lost, _)| lost.len());
                }
            }
            file.storage.stuck = 0;
            file.flush();
            let found = read(&file.storage.content);
            let firsts: Vec<(usize, usize)> = found.iter().map(Bytes::len).zip(&written).map(|(l, n)| (l, *n)).collect();
            assert_eq!(found.len(), written.len());
            assert_eq!(written.len() + lost, sizes.len());
            assert!(firsts.iter().all(|(length, number)| *length == sizes[*number].0));
            assert_eq!(file.bytes(), file.storage.content.len() as u64);
        }
    }

    #[test]
    fn a_full_disk_loses_what_does_not_fit_and_no_more() {
        let mut file = RecordFile::new(SmallDisk {
            room: 50,
            ..SmallDisk::default()
        });
        for name in ["a", "b", "c", "d"] {
            file.push(&record(name.as_bytes()), name);
        }
        let flushed = file.flush();
        assert_eq!(flushed.written, ["a", "b"]);
        let (lost, error) = flushed.lost.unwrap();
        assert_eq!(
            (lost, error.kind()),
            (vec!["c", "d"], io::ErrorKind::StorageFull)
        );
        assert_eq!(read(&file.storage.content), ["a", "b"]);
        file.storage.room = 1000;
        file.push(&record(b"e"), "e");
        assert_eq!(file.flush().written, ["e"]);
        assert_eq!(read(&file.into_storage().content), ["a", "b", "e"]);
    }
}
