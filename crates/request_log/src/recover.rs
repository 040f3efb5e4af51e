//! Files that a killed process left open: cut back to their last whole record, and named.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader};

use wire::warmup::Records;

use crate::files::is_at;
use crate::name::Names;
use crate::options::Format;

/// Finishes what nobody writes any more.
pub(crate) fn recover(names: &Names, format: Format) {
    let Ok(entries) = fs::read_dir(names.folder()) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Some(whole) = name.to_str().and_then(|name| names.whole_of_open(name)) else {
            continue;
        };
        let path = entry.path();
        let finished = OpenOptions::new().read(true).write(true).open(&path);
        let finished = finished.and_then(|file| {
            // Another process of the same prefix still writes it, or has finished it.
            if file.try_lock().is_err() || !is_at(&file, &path) {
                return Ok(());
            }
            let length = whole_length(&file, format)?;
            if length == 0 {
                return fs::remove_file(&path);
            }
            file.set_len(length)?;
            log::info!(
                "the request log {} was left open, and is whole now",
                whole.display()
            );
            fs::rename(&path, &whole)
        });
        if let Err(error) = finished {
            log::warn!("the request log {} stays as it is: {error}", path.display());
        }
    }
}

/// Bytes of the whole records that a file begins with.
fn whole_length(file: &File, format: Format) -> io::Result<u64> {
    let mut reader = BufReader::new(file);
    match format {
        Format::TfRecord => {
            let mut records = Records::of(reader);
            while let Some(Ok(_)) = records.next() {}
            Ok(records.offset())
        }
        Format::Jsonl => {
            let (mut length, mut line) = (0, Vec::new());
            while reader.read_until(b'\n', &mut line)? > 0 && line.ends_with(b"\n") {
                length += line.len() as u64;
                line.clear();
            }
            Ok(length)
        }
    }
}
