//! What tells one model's content from another's, cheaply.

use std::fs::File;
use std::hash::{DefaultHasher, Hasher};
use std::io::{self, Read};
use std::path::Path;

use wire::warmup;

/// The graph; the index of the variables, which has a checksum of each; the recorded
/// requests.
const FILES: [&str; 3] = ["saved_model.pb", "variables/variables.index", warmup::FILE];

/// A text that is the same for the same content of the SavedModel directory at `path`, and
/// another for any other, all but certainly. Another build
/// of this crate may say another.
///
/// # Errors
/// What reading a file that is there came to.
pub fn fingerprint(path: &Path) -> io::Result<String> {
    let mut parts = Vec::with_capacity(FILES.len());
    for name in FILES {
        parts.push(match File::open(path.join(name)) {
            Ok(file) => hash(file)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => "none".to_owned(),
            Err(error) => return Err(error),
        });
    }
    Ok(parts.join(" "))
}

/// Length and hash of a file's content.
fn hash(mut file: File) -> io::Result<String> {
    let mut hasher = DefaultHasher::new();
    let mut length: u64 = 0;
    let mut buffer = vec![0; 256 << 10];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(format!("{length}-{:016x}", hasher.finish())),
            count => {
                hasher.write(&buffer[..count]);
                length += count as u64;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::tempdir;

    use super::fingerprint;

    #[test]
    fn any_other_content_is_another() {
        let folder = tempdir().unwrap();
        let path = folder.path();
        let write = |name: &str, content: &[u8]| {
            let file = path.join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, content).unwrap();
            fingerprint(path).unwrap()
        };
        let all = [
            fingerprint(path).unwrap(),
            write("saved_model.pb", b"a"),
            write("saved_model.pb", &vec![7; 1_000_000]),
            write("variables/variables.index", b"i"),
            write("assets.extra/tf_serving_warmup_requests", b"w"),
            write("variables/variables.index", b"j"),
        ];
        for (index, one) in all.iter().enumerate() {
            assert!(!all[..index].contains(one), "{one}");
        }
        assert_eq!(fingerprint(path).unwrap(), all[5]);
    }
}
