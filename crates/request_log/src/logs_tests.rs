use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use engine::{Exchange, InferenceMethod, Messages, RecordCounts, Recorder};
use smallvec::smallvec;
use tensor::{DType, Shape, Tensor};
use wire::predict::{decode_request, decode_response};
use wire::proto::serving::PredictionLog;
use wire::proto::serving::prediction_log::LogType;
use wire::warmup::{Log, LogKind, Records, read_log};

use super::RequestLogs;
use crate::options::{Format, LogOptions};

const LIMIT: Duration = Duration::from_secs(20);

/// A log of everything, without limits.
pub(crate) fn options(prefix: impl Into<PathBuf>) -> LogOptions {
    LogOptions {
        prefix: prefix.into(),
        format: Format::TfRecord,
        sampling_rate: 1.0,
        max_file_bytes: u64::MAX,
        max_file_age: None,
        max_files: 0,
        max_total_bytes: 0,
        flush_interval: Duration::from_secs(1),
        queue_records: 100_000,
        queue_bytes: usize::MAX,
        saved_model_tags: vec!["serve".to_owned()],
    }
}

fn exchange(request: &[u8]) -> Exchange {
    Exchange {
        method: InferenceMethod::Classify,
        signature: "s".to_owned(),
        duration: Duration::from_millis(2),
        messages: Messages::Encoded {
            request: Bytes::copy_from_slice(request),
            reply: smallvec![Bytes::from_static(b"\x0a"), Bytes::from_static(b"\x00")],
        },
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files
}

fn requests(file: &Path) -> Vec<Bytes> {
    let content = fs::read(file).unwrap();
    Records::of(&content[..])
        .map(|record| match read_log(&record.unwrap()).unwrap() {
            Log::Request(LogKind::Classify, request) => request,
            other => panic!("{other:?}"),
        })
        .collect()
}

fn open(logs: &RequestLogs, options: LogOptions) -> Box<dyn Recorder> {
    logs.recorder("m", 3, options).unwrap()
}

#[test]
fn what_is_kept_is_in_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let logs = RequestLogs::default();
    assert!(logs.finish(LIMIT));
    let recorder = open(&logs, options(folder.path().join("new/m")));
    assert!(recorder.wants());
    for index in 0..1000_u16 {
        recorder.keep(exchange(&index.to_le_bytes()));
    }
    assert!(logs.finish(LIMIT));
    let [file] = &files(&folder.path().join("new"))[..] else {
        panic!("one file is expected");
    };
    let wanted: Vec<_> = (0..1000_u16).map(|it| it.to_le_bytes().to_vec()).collect();
    assert_eq!(requests(file), wanted);
    assert_eq!(recorder.counts().written, 1000);
    // What comes later goes to another file.
    recorder.keep(exchange(b"\x0a\x00"));
    assert!(logs.finish(LIMIT));
    assert_eq!(files(&folder.path().join("new")).len(), 2);
}

#[test]
fn metadata_names_version_and_time() {
    let folder = tempfile::tempdir().unwrap();
    let logs = RequestLogs::default();
    let recorder = open(&logs, options(folder.path().join("m")));
    recorder.keep(exchange(b"\x0a\x00"));
    assert!(logs.finish(LIMIT));
    let content = fs::read(&files(folder.path())[0]).unwrap();
    let record = Records::of(&content[..]).next().unwrap().unwrap();
    let log: PredictionLog = prost::Message::decode(record).unwrap();
    let metadata = log.log_metadata.unwrap();
    let now = std::time::SystemTime::UNIX_EPOCH
        .elapsed()
        .unwrap()
        .as_secs() as i64;
    assert!((now - 60..=now).contains(&metadata.timestamp_secs));
    assert_eq!(metadata.saved_model_tags, ["serve"]);
    let rate = metadata.sampling_config.unwrap().sampling_rate;
    assert!((rate - 1.0).abs() < f64::EPSILON);
    let spec = metadata.model_spec.unwrap();
    assert_eq!(
        (spec.name.as_str(), spec.signature_name.as_str()),
        ("m", "s")
    );
    assert!(format!("{spec:?}").contains("Version(3)"), "{spec:?}");
    assert!(matches!(log.log_type, Some(LogType::ClassifyLog(_))));
}

#[test]
fn tensors_become_messages() {
    let folder = tempfile::tempdir().unwrap();
    let logs = RequestLogs::default();
    let recorder = open(&logs, options(folder.path().join("m")));
    let bytes = Bytes::copy_from_slice(&1.5f32.to_le_bytes());
    let tensor = Tensor::fixed(DType::Float, Shape::new(&[1]).unwrap(), bytes).unwrap();
    recorder.keep(Exchange {
        method: InferenceMethod::Predict,
        signature: "s".to_owned(),
        duration: Duration::ZERO,
        messages: Messages::Tensors {
            inputs: vec![("x".to_owned(), tensor.clone())],
            outputs: vec![("y".to_owned(), tensor.clone())],
        },
    });
    assert!(logs.finish(LIMIT));
    let content = fs::read(&files(folder.path())[0]).unwrap();
    let record = Records::of(&content[..]).next().unwrap().unwrap();
    let log: PredictionLog = prost::Message::decode(record).unwrap();
    let Some(LogType::PredictLog(log)) = log.log_type else {
        panic!("{log:?}");
    };
    let request: Bytes = prost::Message::encode_to_vec(&log.request.unwrap()).into();
    let request = decode_request(&request).unwrap();
    assert_eq!(
        (request.inputs[0].name, &request.output_filter[..]),
        ("x", &["y"][..])
    );
    let reply: Bytes = prost::Message::encode_to_vec(&log.response.unwrap()).into();
    let reply = decode_response(&reply, 1 << 20).unwrap();
    assert_eq!(reply.outputs, [("y".to_owned(), tensor)]);
    assert_eq!(reply.version, Some(3));
}

#[test]
fn files_rotate_by_size_and_the_oldest_go() {
    let folder = tempfile::tempdir().unwrap();
    let logs = RequestLogs::default();
    let wanted = LogOptions {
        max_file_bytes: 5_000,
        max_files: 3,
        ..options(folder.path().join("m"))
    };
    fs::write(folder.path().join("m-notes.tfrecord"), "mine").unwrap();
    let recorder = open(&logs, wanted);
    for index in 0..100_u8 {
        recorder.keep(exchange(&[index; 1_000]));
    }
    assert!(logs.finish(LIMIT));
    assert_eq!(recorder.counts().written, 100);
    let files = files(folder.path());
    assert_eq!(files.len(), 4, "{files:?}");
    let kept: Vec<u8> = files[..3]
        .iter()
        .flat_map(|it| requests(it))
        .map(|it| it[0])
        .collect();
    assert_eq!(kept, (88..100).collect::<Vec<u8>>());
    assert!(
        files[..3]
            .iter()
            .all(|it| it.metadata().unwrap().len() <= 5_000)
    );
}

#[test]
fn all_files_together_have_a_limit_too() {
    let folder = tempfile::tempdir().unwrap();
    let logs = RequestLogs::default();
    let wanted = LogOptions {
        max_file_bytes: 1,
        max_total_bytes: 3_500,
        ..options(folder.path().join("m"))
    };
    let recorder = open(&logs, wanted);
    for index in 0..10_u8 {
        recorder.keep(exchange(&[index; 1_000]));
    }
    assert!(logs.finish(LIMIT));
    let left = files(folder.path());
    let kept: Vec<u8> = left
        .iter()
        .flat_map(|it| requests(it))
        .map(|it| it[0])
        .collect();
    assert_eq!(kept, [7, 8, 9]);
}

#[test]
fn files_rotate_by_age() {
    let folder = tempfile::tempdir().unwrap();
    let logs = RequestLogs::default();
    let wanted = LogOptions {
        max_file_age: Some(Duration::from_millis(1)),
        ..options(folder.path().join("m"))
    };
    let recorder = open(&logs, wanted);
    let deadline = Instant::now() + LIMIT;
    for count in 1..=2 {
        recorder.keep(exchange(b"\x0a\x00"));
        // Nobody finishes it but its age.
        while !(files(folder.path()).len() == count
            && files(folder.path())
                .iter()
                .all(|it| it.extension().unwrap() == "tfrecord"))
        {
            assert!(Instant::now() < deadline, "{:?}", files(folder.path()));
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

#[test]
fn a_queue_that_is_full_loses_and_counts() {
    let folder = tempfile::tempdir().unwrap();
    let logs = RequestLogs::default();
    let wanted = LogOptions {
        queue_records: 10,
        ..options(folder.path().join("m"))
    };
    let recorder = open(&logs, wanted);
    for _ in 0..100_000 {
        recorder.keep(exchange(b"\x0a\x00"));
    }
    assert!(logs.finish(LIMIT));
    let RecordCounts {
        written,
        lost_in_queue,
        lost_on_disk,
    } = recorder.counts();
    assert!(written >= 10 && lost_in_queue > 0 && lost_on_disk == 0);
    assert_eq!(written + lost_in_queue, 100_000);
    assert_eq!(requests(&files(folder.path())[0]).len() as u64, written);
}

#[test]
fn a_share_is_sampled() {
    let logs = RequestLogs::default();
    let recorder = |rate| {
        let options = LogOptions {
            sampling_rate: rate,
            ..options("unused")
        };
        open(&logs, options)
    };
    let count = |rate| {
        let recorder = recorder(rate);
        (0..100_000).filter(|_| recorder.wants()).count()
    };
    assert_eq!((count(0.0), count(1.0)), (0, 100_000));
    // Six standard deviations: one run in half a billion is outside.
    let tenth = count(0.1);
    assert!((9_430..=10_570).contains(&tenth), "{tenth}");
}

#[test]
fn a_folder_that_can_not_be_made_costs_records() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("file"), "").unwrap();
    let logs = RequestLogs::default();
    let recorder = open(&logs, options(folder.path().join("file/m")));
    recorder.keep(exchange(b"\x0a\x00"));
    assert!(logs.finish(LIMIT));
    assert_eq!(recorder.counts().lost_on_disk, 1);
}

#[test]
fn what_a_killed_process_left_is_made_whole() {
    for format in [Format::TfRecord, Format::Jsonl] {
        let folder = tempfile::tempdir().unwrap();
        let wanted = LogOptions {
            format,
            ..options(folder.path().join("m"))
        };
        let logs = RequestLogs::default();
        let recorder = open(&logs, wanted.clone());
        recorder.keep(exchange(b"\x0a\x00"));
        assert!(logs.finish(LIMIT));
        let [whole] = &files(folder.path())[..] else {
            panic!("one file is expected");
        };
        let good = fs::read(whole).unwrap();
        let stamp = format!("m-20200101T000000Z-000.{}", format.extension());
        let left = folder.path().join(format!("{stamp}.open"));
        fs::write(&left, [&good[..], &good[..good.len() - 3]].concat()).unwrap();
        let empty = folder.path().join(format!(
            "m-20200101T000001Z-000.{}.open",
            format.extension()
        ));
        fs::write(&empty, &good[..3]).unwrap();

        let logs = RequestLogs::default();
        open(&logs, wanted).keep(exchange(b"\x0a\x00"));
        assert!(logs.finish(LIMIT));
        assert_eq!(fs::read(folder.path().join(stamp)).unwrap(), good);
        assert!(!left.exists() && !empty.exists());
        assert_eq!(files(folder.path()).len(), 3);
    }
}

#[test]
fn a_file_that_is_taken_away_is_followed_by_another() {
    let folder = tempfile::tempdir().unwrap();
    let logs = RequestLogs::default();
    let prefix = folder.path().join("logs/m");
    let wanted = LogOptions {
        flush_interval: Duration::ZERO,
        ..options(&prefix)
    };
    let recorder = open(&logs, wanted);
    recorder.keep(exchange(b"1"));
    let deadline = Instant::now() + LIMIT;
    while recorder.counts().written < 1 {
        assert!(Instant::now() < deadline);
        std::thread::sleep(Duration::from_millis(5));
    }
    fs::remove_dir_all(folder.path().join("logs")).unwrap();
    recorder.keep(exchange(b"2"));
    recorder.keep(exchange(b"3"));
    assert!(logs.finish(LIMIT));
    let files = files(&folder.path().join("logs"));
    assert_eq!(files.len(), 1);
    assert_eq!(requests(&files[0]), ["2", "3"]);
    assert_eq!(recorder.counts().written, 3);
}

/// While one log gets more than can be written, the other's record reaches the disk.
#[test]
fn a_busy_log_holds_up_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let logs = RequestLogs::default();
    let quiet = open(&logs, options(folder.path().join("quiet")));
    let busy = LogOptions {
        format: Format::Jsonl,
        queue_records: 1000,
        ..options(folder.path().join("busy"))
    };
    let busy = logs.recorder("busy", 3, busy).unwrap();
    let is_written = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !is_written.load(Ordering::Relaxed) {
                    busy.keep(exchange(b"\x0a\x00"));
                }
            });
        }
        while busy.counts().written + busy.counts().lost_in_queue == 0 {
            std::thread::yield_now();
        }
        quiet.keep(exchange(b"\x0a\x00"));
        let deadline = Instant::now() + LIMIT;
        while quiet.counts().written == 0 && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
        is_written.store(true, Ordering::Relaxed);
    });
    assert_eq!(quiet.counts().written, 1);
}

/// Else the files begun after the clock was set back would go before those begun earlier.
#[test]
fn a_clock_that_was_set_back_makes_no_file_the_oldest() {
    let folder = tempfile::tempdir().unwrap();
    for name in [
        "m-29990101T000000Z-000.tfrecord",
        "m-29990101T000000Z-007.tfrecord",
    ] {
        fs::write(folder.path().join(name), "").unwrap();
    }
    let logs = RequestLogs::default();
    let wanted = LogOptions {
        max_files: 2,
        ..options(folder.path().join("m"))
    };
    let recorder = open(&logs, wanted);
    for request in [b"1", b"2"] {
        recorder.keep(exchange(request));
        assert!(logs.finish(LIMIT));
    }
    let kept = files(folder.path());
    let kept: Vec<_> = kept.iter().flat_map(|file| requests(file)).collect();
    assert_eq!(kept, ["1", "2"]);
}
