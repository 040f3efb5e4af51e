//! The files of one log: one that is open, and the whole ones before it, of which the oldest
//! go. Whatever the disk does costs records, which are counted, and a warning now and then.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use crate::name::Names;
use crate::options::LogOptions;
use crate::queue::Source;
use crate::record_file::RecordFile;
use crate::recover::recover;

/// After a failure, records are lost for so long before the disk is tried again.
const PAUSE: Duration = Duration::from_secs(1);

/// The shortest time between two warnings about one log.
const WARN_EVERY: Duration = Duration::from_mins(1);

/// Most files that may be begun in one second.
const MOST_IN_A_SECOND: u64 = 100_000;

/// A log's files.
pub(crate) struct Files {
    options: LogOptions,
    names: Names,
    open: Option<Open>,
    trouble: Trouble,
    /// The second, since 1970, in which the last file was begun, and the number of the next:
    /// one that was removed must not have its name used again.
    next: (u64, u64),
    /// Leftovers of a process that was killed are looked for once.
    has_recovered: bool,
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
            next: (0, 0),
            has_recovered: false,
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
            self.trouble.lost += 1;
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
        let Some(open) = self.open.take() else { return };
        let named = if open.file.bytes() == 0 {
            fs::remove_file(&open.path)
        } else {
            fs::rename(&open.path, &open.whole)
        };
        drop(open.file.into_storage());
        if let Err(error) = named {
            log::warn!(
                "the request log {} can't be named: {error}",
                open.path.display()
            );
        }
        self.remove_old();
    }

    fn flush(&mut self, now: Instant) {
        let Some(open) = &mut self.open else { return };
        open.flushed = now;
        let flushed = open.file.flush();
        for source in &flushed.written {
            source.counts.written.add(1);
        }
        match flushed.lost {
            None if flushed.written.is_empty() => {}
            None => self.trouble.over(&self.options),
            Some((lost, error)) => {
                for source in &lost {
                    source.counts.lost_on_disk.add(1);
                }
                self.trouble.met(lost.len(), &error, &self.options);
            }
        }
    }

    fn begin(&mut self, now: Instant) -> io::Result<Open> {
        fs::create_dir_all(self.names.folder())?;
        if !std::mem::replace(&mut self.has_recovered, true) {
            recover(&self.names, self.options.format);
        }
        let time = SystemTime::now();
        let second = time.duration_since(SystemTime::UNIX_EPOCH);
        let second = second.map_or(0, |since| since.as_secs());
        let first = if self.next.0 == second {
            self.next.1
        } else {
            0
        };
        for number in first..MOST_IN_A_SECOND {
            let whole = self.names.whole(time, number);
            if whole.exists() {
                continue;
            }
            let path = Names::open(&whole);
            match OpenOptions::new().write(true).create_new(true).open(&path) {
                Ok(file) => {
                    // Says that somebody writes it. Where files can't be locked, nothing
                    // but the recovery of leftovers is lost.
                    let _ = file.try_lock();
                    self.next = (second, number + 1);
                    return Ok(Open {
                        file: RecordFile::new(file),
                        path,
                        whole,
                        begun: now,
                        flushed: now,
                    });
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::Error::other("too many files were begun in one second"))
    }

    /// Removes the oldest files beyond the limits, never the newest.
    fn remove_old(&self) {
        let (most, bytes) = (self.options.max_files, self.options.max_total_bytes);
        if most == 0 && bytes == 0 {
            return;
        }
        let mut files = self.whole_files();
        files.sort_unstable_by(|one, other| other.place.cmp(&one.place));
        let mut sum = 0_u64;
        for (
            index,
            WholeFile {
                path, bytes: size, ..
            },
        ) in files.into_iter().enumerate()
        {
            sum = sum.saturating_add(size);
            let beyond = (most > 0 && index >= most) || (bytes > 0 && sum > bytes);
            if index > 0
                && beyond
                && let Err(error) = fs::remove_file(&path)
            {
                log::warn!(
                    "the old request log {} can't be removed: {error}",
                    path.display()
                );
            }
        }
    }

    fn whole_files(&self) -> Vec<WholeFile> {
        let Ok(entries) = fs::read_dir(self.names.folder()) else {
            return Vec::new();
        };
        let whole = |entry: fs::DirEntry| {
            let name = entry.file_name();
            let (stamp, number) = self.names.place(name.to_str()?)?;
            Some(WholeFile {
                place: (stamp.to_owned(), number),
                path: entry.path(),
                bytes: entry.metadata().ok()?.len(),
            })
        };
        entries.flatten().filter_map(whole).collect()
    }
}

struct WholeFile {
    /// By which the older comes first.
    place: (String, u64),
    path: PathBuf,
    bytes: u64,
}

/// What is wrong with a log's disk, and what has been said of it.
#[derive(Default)]
struct Trouble {
    since: Option<Instant>,
    warned: Option<Instant>,
    /// Records lost that nobody was told of.
    lost: u64,
}

impl Trouble {
    /// Whether it is too early to try again.
    fn lasts(&self, now: Instant) -> bool {
        self.since.is_some_and(|since| now < since + PAUSE)
    }

    fn met(&mut self, lost: usize, error: &io::Error, options: &LogOptions) {
        let now = Instant::now();
        self.since = Some(now);
        self.lost += lost as u64;
        if self.warned.is_none_or(|warned| now >= warned + WARN_EVERY) {
            self.warned = Some(now);
            let lost = std::mem::take(&mut self.lost);
            log::warn!(
                "the request log {} can't be written: {error}; {lost} records are lost, and so \
                 are more until it can",
                options.prefix.display()
            );
        }
    }

    fn over(&mut self, options: &LogOptions) {
        if self.since.take().is_some() {
            let lost = std::mem::take(&mut self.lost);
            log::info!(
                "the request log {} is written again; {lost} more records were lost",
                options.prefix.display()
            );
        }
    }
}
