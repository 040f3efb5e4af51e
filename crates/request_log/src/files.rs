//! The files of one log: one that is open, and the whole ones before it, of which the oldest
//! go. Whatever the disk does costs records, which are counted, and a warning now and then.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use crate::name::{Names, Place};
use crate::old_files::{newest, remove_old};
use crate::options::LogOptions;
use crate::queue::Source;
use crate::record_file::{Flushed, RecordFile};
use crate::recover::recover;
use crate::trouble::Trouble;

/// Most files that may be begun in one second.
const MOST_IN_A_SECOND: u64 = 100_000;

/// A log's files.
pub(crate) struct Files {
    options: LogOptions,
    names: Names,
    open: Option<Open>,
    trouble: Trouble,
    /// The least place of the next file: one that was removed must not have its name used
    /// again, nor may files of a clock that was set back seem older than those before them.
    next: Place,
    /// What an earlier process left is looked at once.
    has_looked_back: bool,
}

struct Open {
    file: RecordFile<File, Arc<Source>>,
    path: PathBuf,
    whole: PathBuf,
    begun: Instant,
    flushed: Instant,
}

impl Files {
    pub(crate) fn new(options: &LogOptions) -> Self {
        Self {
            names: Names::new(&options.prefix, options.format),
            options: options.clone(),
            open: None,
            trouble: Trouble::default(),
            next: Place::default(),
            has_looked_back: false,
        }
    }

    /// Whether a file is being written.
    pub(crate) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Adds an encoded record of this model version.
    pub(crate) fn write(&mut self, record: &[u8], source: &Arc<Source>) {
        // The latest to write says how: a model's next version may be told otherwise.
        if self.options != source.options {
            self.options = source.options.clone();
        }
        let now = Instant::now();
        if self.trouble.lasts(now) {
            self.trouble.lose();
            return source.counts.lost_on_disk.add(1);
        }
        let most = self.options.max_file_bytes;
        let is_full = |open: &Open| {
            let bytes = open.file.bytes();
            bytes > 0 && bytes + record.len() as u64 > most
        };
        if self.open.as_ref().is_some_and(is_full) {
            self.finish();
        }
        if self.open.is_none() {
            match self.begin(now) {
                Ok(open) => self.open = Some(open),
                Err(error) => {
                    source.counts.lost_on_disk.add(1);
                    return self.trouble.met(1, &error, &self.options);
                }
            }
        }
        if let Some(open) = &mut self.open
            && open.file.push(record, Arc::clone(source))
        {
            self.flush(now);
        }
    }

    /// Flushes and rotates what is due.
    pub(crate) fn tick(&mut self, now: Instant) {
        let Some(open) = &self.open else { return };
        let age = now.saturating_duration_since(open.begun);
        if self.options.max_file_age.is_some_and(|most| age >= most) {
            self.finish();
        } else if now.saturating_duration_since(open.flushed) >= self.options.flush_interval {
            self.flush(now);
        }
    }

    /// Flushes the open file and gives it its name.
    pub(crate) fn finish(&mut self) {
        self.flush(Instant::now());
        self.close();
    }

    fn close(&mut self) {
        let Some(open) = self.open.take() else { return };
        if let Err(error) = open.close() {
            log::warn!("a request log can't be finished: {error}");
        }
        remove_old(&self.names, &self.options);
    }

    fn flush(&mut self, now: Instant) {
        self.follow(now);
        let Some(open) = &mut self.open else { return };
        open.flushed = now;
        let Flushed { written, lost } = open.file.flush();
        for source in &written {
            source.counts.written.add(1);
        }
        match lost {
            None if written.is_empty() => {}
            None => self.trouble.over(&self.options),
            Some((lost, error)) => {
                self.lose(&lost, &error);
                // A full disk has room again some day; of any other error the file may not
                // recover: its server has forgotten it, or it is as large as may be.
                if !matches!(
                    error.kind(),
                    ErrorKind::StorageFull | ErrorKind::QuotaExceeded
                ) {
                    self.close();
                }
            }
        }
    }

    fn lose(&mut self, lost: &[Arc<Source>], error: &io::Error) {
        for source in lost {
            source.counts.lost_on_disk.add(1);
        }
        self.trouble.met(lost.len(), error, &self.options);
    }

    /// Has what waits written to another file if somebody has removed or renamed the open
    /// one.
    fn follow(&mut self, now: Instant) {
        let is_gone = |open: &mut Open| open.file.waits() && !open.is_there();
        let Some(mut open) = self.open.take_if(is_gone) else {
            return;
        };
        let gone = open.path.clone();
        match self.begin(now) {
            Ok(begun) => {
                log::warn!(
                    "the request log {} is gone: another is begun",
                    gone.display()
                );
                open.file.move_to(begun.file.into_storage());
                self.open = Some(Open {
                    file: open.file,
                    ..begun
                });
            }
            Err(error) => self.lose(&open.file.give_up(), &error),
        }
    }

    fn begin(&mut self, now: Instant) -> io::Result<Open> {
        fs::create_dir_all(self.names.folder())?;
        if !std::mem::replace(&mut self.has_looked_back, true) {
            recover(&self.names, self.options.format);
            self.next = newest(&self.names).map_or_else(Place::default, Place::next);
        }
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let first = Place::first_of(since.map_or(0, |since| since.as_secs())).max(self.next);
        let mut place = first;
        while place.number < first.number + MOST_IN_A_SECOND {
            self.next = place.next();
            let whole = self.names.whole(place);
            let path = Names::open(&whole);
            place = self.next;
            match OpenOptions::new().write(true).create_new(true).open(&path) {
                Ok(file) => {
                    let file = RecordFile::new(file);
                    let open = Open {
                        file,
                        path,
                        whole,
                        begun: now,
                        flushed: now,
                    };
                    if open.claim()? {
                        return Ok(open);
                    }
                }
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::Error::other("too many files were begun in one second"))
    }
}

impl Open {
    /// Says that it is written; `false`: another process of the same prefix has taken it for
    /// a leftover, or has finished one of this name.
    fn claim(&self) -> io::Result<bool> {
        // Where files can't be locked, nothing but the recovery of leftovers is lost.
        if let Err(TryLockError::WouldBlock) = self.file.storage().try_lock() {
            return Ok(false);
        }
        if self.whole.exists() {
            fs::remove_file(&self.path)?;
            return Ok(false);
        }
        Ok(self.is_there())
    }

    /// Whether its path still leads to it.
    fn is_there(&self) -> bool {
        is_at(self.file.storage(), &self.path)
    }

    /// Gives it its name, or removes it if it is empty.
    fn close(self) -> io::Result<()> {
        let Self {
            file, path, whole, ..
        } = self;
        // What could not be cut off is cut off by the next process.
        if file.is_torn() || !is_at(file.storage(), &path) {
            return Ok(());
        }
        let named = if file.bytes() == 0 {
            fs::remove_file(&path)
        } else {
            fs::rename(&path, &whole)
        };
        named.map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))
    }
}

/// Whether `path` leads to this file. Where that can't be known it is taken for so: a write
/// will tell.
pub(crate) fn is_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::metadata(path)) {
        (Ok(file), Ok(there)) => (file.dev(), file.ino()) == (there.dev(), there.ino()),
        (_, Err(error)) => !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory),
        (Err(_), Ok(_)) => true,
    }
}
