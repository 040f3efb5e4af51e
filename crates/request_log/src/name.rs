//! The names of a log's files: `PREFIX-20261122T214001Z-000.tfrecord` when whole, with
//! `.open` behind it while it is written.

use std::path::{Path, PathBuf};

use prost_types::Timestamp;

use crate::options::Format;

/// Behind the name of a file that is being written.
const OPEN: &str = ".open";

/// Which of a log's files it is: in the order of these they were begun.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    /// The second in which it was begun, since 1970.
    second: u64,
    /// Which of that second it is, from 0.
    pub(crate) number: u64,
}

impl Place {
    /// The first of that second.
    pub(crate) fn first_of(second: u64) -> Self {
        Self { second, number: 0 }
    }

    /// The one after it.
    pub(crate) fn next(self) -> Self {
        Self {
            number: self.number.saturating_add(1),
            ..self
        }
    }
}

/// How a log's files are called.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    folder: PathBuf,
    /// The last part of the prefix, with the dash.
    start: String,
    /// With the dot.
    end: String,
}

impl Names {
    /// Those of the log with this prefix.
    pub(crate) fn new(prefix: &Path, format: Format) -> Self {
        let name = prefix.file_name().unwrap_or_default();
        Self {
            folder: prefix.parent().unwrap_or(Path::new("")).to_owned(),
            start: format!("{}-", name.to_string_lossy()),
            end: format!(".{}", format.extension()),
        }
    }

    /// Where they are.
    pub(crate) fn folder(&self) -> &Path {
        if self.folder.as_os_str().is_empty() {
            Path::new(".")
        } else {
            &self.folder
        }
    }

    /// The file of this place.
    pub(crate) fn whole(&self, Place { second, number }: Place) -> PathBuf {
        let stamp = Timestamp {
            seconds: second as i64,
            nanos: 0,
        };
        let stamp = stamp.to_string().replace(['-', ':'], "");
        let Self { start, end, .. } = self;
        self.folder()
            .join(format!("{start}{stamp}-{number:03}{end}"))
    }

    /// Its name while it is written.
    pub(crate) fn open(whole: &Path) -> PathBuf {
        let mut name = whole.as_os_str().to_owned();
        name.push(OPEN);
        name.into()
    }

    /// What a file of this name will be called when it is whole, if it is one of this log's
    /// that was being written.
    pub(crate) fn whole_of_open(&self, name: &str) -> Option<PathBuf> {
        let whole = name.strip_suffix(OPEN)?;
        self.place(whole).map(|_| self.folder().join(whole))
    }

    /// The place in the name of a whole file of this log; `None`: it is another's, perhaps
    /// one whose prefix begins as this one's.
    pub(crate) fn place(&self, name: &str) -> Option<Place> {
        let middle = name.strip_prefix(self.start.as_str())?;
        let (stamp, number) = middle.strip_suffix(self.end.as_str())?.split_once('-')?;
        let (date, time) = stamp.strip_suffix('Z')?.split_once('T')?;
        let digits = |text: &str, count| {
            text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit())
        };
        if !(digits(date, 8) && digits(time, 6) && digits(number, number.len())) {
            return None;
        }
        let (date, time) = (spaced(date, '-', 4), spaced(time, ':', 2));
        let stamp: Timestamp = format!("{date}T{time}Z").parse().ok()?;
        Some(Place {
            second: u64::try_from(stamp.seconds).ok()?,
            number: number.parse().ok()?,
        })
    }
}

/// Digits with a mark behind the first `first` of them, and behind the next two.
fn spaced(digits: &str, mark: char, first: usize) -> String {
    let (one, rest) = digits.split_at(first);
    let (two, three) = rest.split_at(2);
    format!("{one}{mark}{two}{mark}{three}")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Names, Place};
    use crate::options::Format;

    #[test]
    fn names_are_known_again() {
        let names = Names::new(Path::new("/logs/mnist"), Format::TfRecord);
        let place = Place {
            second: 1_700_000_000,
            number: 7,
        };
        let whole = names.whole(place);
        assert_eq!(
            whole,
            Path::new("/logs/mnist-20231114T221320Z-007.tfrecord")
        );
        let open = Names::open(&whole);
        let name = open.file_name().unwrap().to_str().unwrap();
        assert_eq!(names.whole_of_open(name), Some(whole));
        assert_eq!(
            names.place("mnist-20231114T221320Z-1000.tfrecord"),
            Some(Place {
                number: 1000,
                ..place
            })
        );
    }

    #[test]
    fn strangers_are_not_ours() {
        let names = Names::new(Path::new("mnist"), Format::TfRecord);
        assert_eq!(names.folder(), Path::new("."));
        for name in [
            "mnist.tfrecord",
            "mnist-20231114T221320Z-000.jsonl",
            "mnist-v2-20231114T221320Z-000.tfrecord",
            "mnist-20231114T221320Z-.tfrecord",
            "mnist-20231114T221320Z-000.tfrecord.open",
            "mnist-20231114T2213201-000.tfrecord",
            "mnist-20231314T221320Z-000.tfrecord",
            "mnist-important-notes.tfrecord",
            "other-20231114T221320Z-000.tfrecord",
        ] {
            assert_eq!(names.place(name), None, "{name}");
        }
    }
}
