//! Measurements kept between starts: one small JSON file for each model and machine.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};
use std::process;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Measured;
use crate::{Curve, Point, ServedModel};

/// Counts up when the files or what is measured change: others are then ignored.
const FORMAT: u32 = 1;

/// A file of ours is a few kilobytes; more is not read.
const MAX_BYTES: u64 = 4 << 20;

/// A folder of measurements.
#[derive(Clone, Debug)]
pub struct Store {
    folder: PathBuf,
}

#[derive(Serialize, Deserialize)]
struct File {
    format: u32,
    key: String,
    signatures: Vec<Entry>,
}

#[derive(Serialize, Deserialize)]
struct Entry {
    name: String,
    alone: Option<String>,
    unmeasured: Option<String>,
    row_bytes: usize,
    /// Rows; nanoseconds in the calling thread, null: never there; nanoseconds in the pool.
    points: Vec<(usize, Option<u64>, Option<u64>)>,
}

impl Store {
    /// The measurements in `folder`, which need not be there yet.
    pub fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// What was measured of `model` under `key`, which says everything that the measures
    /// depend on. A file that can't be used is told in the log, and measured anew.
    pub fn read(&self, key: &str, model: &ServedModel) -> Option<Vec<Measured>> {
        let path = self.path(key);
        match read(&path, key, model) {
            Ok(measured) => measured,
            Err(reason) => {
                log::warn!(
                    "the measurements in {} are ignored: {reason}",
                    path.display()
                );
                None
            }
        }
    }

    /// Keeps what was measured of `model`. A folder that can't be written is told in the log.
    pub fn write(&self, key: &str, model: &ServedModel, measured: &[Measured]) {
        let signatures = model.signatures().iter().zip(measured);
        let file = File {
            format: FORMAT,
            key: key.to_owned(),
            signatures: signatures
                .map(|(signature, measured)| Entry::new(&signature.name, measured))
                .collect(),
        };
        if let Err(error) = self.try_write(&self.path(key), &file) {
            log::warn!(
                "the measurements of {} can't be kept in {}: {error}",
                model.name,
                self.folder.display()
            );
        }
    }

    fn path(&self, key: &str) -> PathBuf {
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        self.folder.join(format!("{:016x}.json", hasher.finish()))
    }

    /// In whole or not at all: another process may read or write the same file.
    fn try_write(&self, path: &Path, file: &File) -> io::Result<()> {
        fs::create_dir_all(&self.folder)?;
        let text = serde_json::to_vec(file)?;
        let scratch = path.with_extension(format!("{}.tmp", process::id()));
        fs::write(&scratch, text)?;
        fs::rename(&scratch, path).inspect_err(|_error| {
            let _ = fs::remove_file(&scratch);
        })
    }
}

/// None: there is no such file, or it is for another key.
fn read(path: &Path, key: &str, model: &ServedModel) -> Result<Option<Vec<Measured>>, String> {
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.to_string()),
        Ok(metadata) if metadata.len() > MAX_BYTES => {
            let size = metadata.len();
            return Err(format!("it has {size} bytes, more than {MAX_BYTES}"));
        }
        Ok(_) => {}
    }
    let text = fs::read(path).map_err(|error| error.to_string())?;
    let file: File = serde_json::from_slice(&text).map_err(|error| error.to_string())?;
    if file.format != FORMAT {
        let format = file.format;
        return Err(format!("its format is {format}, not {FORMAT}"));
    }
    if file.key != key {
        return Err("it is about something else".to_owned());
    }
    let mut names = model.signatures().iter().map(|signature| &signature.name);
    if !names
        .by_ref()
        .eq(file.signatures.iter().map(|entry| &entry.name))
    {
        return Err("it is about other signatures".to_owned());
    }
    let measured: Result<_, _> = file
        .signatures
        .into_iter()
        .map(Entry::into_measured)
        .collect();
    measured.map(Some)
}

impl Entry {
    fn new(name: &str, measured: &Measured) -> Self {
        let curve = measured.curve.as_ref();
        let points = curve.map_or(&[][..], |curve| &curve.points);
        let point = |point: &Point| (point.rows, nanos(point.caller), nanos(point.pool));
        Self {
            name: name.to_owned(),
            alone: measured.alone.clone(),
            unmeasured: measured.unmeasured.clone(),
            row_bytes: curve.map_or(0, |curve| curve.row_bytes),
            points: points.iter().map(point).collect(),
        }
    }

    fn into_measured(self) -> Result<Measured, String> {
        let ascend = self.points.windows(2).all(|pair| pair[0].0 < pair[1].0);
        if !ascend || self.points.first().is_some_and(|first| first.0 == 0) {
            return Err(format!("the rows of {} do not ascend from 1", self.name));
        }
        let points: Vec<Point> = self
            .points
            .into_iter()
            .map(|(rows, caller, pool)| Point {
                rows,
                caller: duration(caller),
                pool: duration(pool),
            })
            .collect();
        let row_bytes = self.row_bytes;
        Ok(Measured {
            curve: (!points.is_empty()).then_some(Curve { points, row_bytes }),
            alone: self.alone,
            unmeasured: self.unmeasured,
            is_provisional: false,
        })
    }
}

fn nanos(cost: Duration) -> Option<u64> {
    u64::try_from(cost.as_nanos()).ok()
}

fn duration(nanos: Option<u64>) -> Duration {
    nanos.map_or(Point::NEVER, Duration::from_nanos)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;
    use std::time::Duration;

    use bytes::Bytes;
    use tempfile::tempdir;
    use tensor::Tensor;

    use super::{FORMAT, Store};
    use crate::{Curve, Executor, Measured, Point, Run, ServeError, ServedModel, Signature};

    struct IdleExecutor;

    impl Executor for IdleExecutor {
        fn run(&self, _run: Run<'_>) -> Result<Vec<Tensor>, ServeError> {
            Ok(Vec::new())
        }
    }

    fn model(names: &[&str]) -> ServedModel {
        let signature = |name: &&str| Signature {
            name: (*name).into(),
            method_name: String::new(),
            inputs: Vec::new(),
            outputs: Vec::new(),
            defaults: BTreeMap::new(),
            unusable: None,
            alone: None,
        };
        let signatures = names.iter().map(signature).collect();
        ServedModel::new(
            ("m".into(), 1),
            signatures,
            Bytes::new(),
            Box::new(IdleExecutor),
        )
    }

    fn measured() -> Vec<Measured> {
        let point = |rows, caller| Point {
            rows,
            caller,
            pool: Duration::from_nanos(1_234_567_891),
        };
        let curve = Curve {
            points: vec![point(1, Duration::from_nanos(17)), point(2, Point::NEVER)],
            row_bytes: 128,
        };
        let refused = Measured {
            alone: Some("its output \"y\" ...".into()),
            unmeasured: Some("it refuses".into()),
            ..Measured::default()
        };
        let curve = Some(curve);
        vec![
            Measured {
                curve,
                ..Measured::default()
            },
            refused,
        ]
    }

    #[test]
    fn what_was_kept_is_read() {
        let folder = tempdir().unwrap();
        let store = Store::new(folder.path().join("not/yet/there"));
        let model = model(&["a", "b"]);
        assert_eq!(store.read("key", &model), None);
        store.write("key", &model, &measured());
        assert_eq!(store.read("key", &model), Some(measured()));
        assert_eq!(store.read("other key", &model), None);
        let files = fs::read_dir(folder.path().join("not/yet/there")).unwrap();
        assert_eq!(files.count(), 1);
    }

    #[test]
    fn what_cannot_be_used_is_ignored() {
        let folder = tempdir().unwrap();
        let store = Store::new(folder.path().to_owned());
        let model = model(&["a", "b"]);
        store.write("key", &model, &measured());
        assert_eq!(store.read("key", &self::model(&["a", "c"])), None);
        assert_eq!(store.read("key", &self::model(&["a"])), None);
        let path = store.path("key");
        let good = fs::read_to_string(&path).unwrap();
        for bad in [
            String::new(),
            good[..good.len() / 2].to_owned(),
            good.replace(&format!("\"format\":{FORMAT}"), "\"format\":9999"),
            good.replace("\"key\":\"key\"", "\"key\":\"of another\""),
            good.replace("[2,", "[1,"),
            good.replace("[1,", "[0,"),
            good.replace("[1,", "[-1,"),
        ] {
            assert_ne!(bad, good);
            fs::write(&path, bad).unwrap();
            assert_eq!(store.read("key", &model), None);
        }
        store.write("key", &model, &measured());
        assert!(store.read("key", &model).is_some());
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_no_failure() {
        let folder = tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        let store = Store::new(file.join("inside"));
        let model = model(&["a", "b"]);
        store.write("key", &model, &measured());
        assert_eq!(store.read("key", &model), None);
    }
}
