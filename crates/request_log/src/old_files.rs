//! The whole files of a log: which there are, and which of them go.

use std::fs;
use std::path::PathBuf;

use crate::name::{Names, Place};
use crate::options::LogOptions;

struct WholeFile {
    place: Place,
    path: PathBuf,
    bytes: u64,
}

/// Removes the oldest files beyond the limits, never the newest.
pub(crate) fn remove_old(names: &Names, options: &LogOptions) {
    let (most, bytes) = (options.max_files, options.max_total_bytes);
    if most == 0 && bytes == 0 {
        return;
    }
    let mut files = whole_files(names);
    files.sort_unstable_by_key(|file| std::cmp::Reverse(file.place));
    let mut sum = 0_u64;
    for (index, file) in files.into_iter().enumerate() {
        sum = sum.saturating_add(file.bytes);
        let beyond = (most > 0 && index >= most) || (bytes > 0 && sum > bytes);
        if index > 0
            && beyond
            && let Err(error) = fs::remove_file(&file.path)
        {
            log::warn!(
                "the old request log {} can't be removed: {error}",
                file.path.display()
            );
        }
    }
}

/// The place of the newest whole file, if there is one.
pub(crate) fn newest(names: &Names) -> Option<Place> {
    whole_files(names).into_iter().map(|file| file.place).max()
}

fn whole_files(names: &Names) -> Vec<WholeFile> {
    let Ok(entries) = fs::read_dir(names.folder()) else {
        return Vec::new();
    };
    let whole = |entry: fs::DirEntry| {
        Some(WholeFile {
            place: names.place(entry.file_name().to_str()?)?,
            path: entry.path(),
            bytes: entry.metadata().ok()?.len(),
        })
    };
    entries.flatten().filter_map(whole).collect()
}
