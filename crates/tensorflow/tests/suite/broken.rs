//! Directories that are no SavedModel, or no longer one: a sentence each, never a crash.

use std::fs;
use std::path::Path;

use engine::{Kind, ServeError};
use tempfile::TempDir;

use tensorflow::Tags;

use crate::environment::{
    Request, built, call, float_values, floats, load, try_load, try_load_tagged,
};
use crate::graph::{FLOAT, Model};

fn refusal(path: &Path) -> ServeError {
    let error = try_load(path).unwrap_err();
    assert!(error.message().contains(path.to_str().unwrap()), "{error}");
    error
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// A copy of a model with variables, to break.
fn half_plus_two() -> TempDir {
    let directory = TempDir::new().unwrap();
    copy(&built("half_plus_two", 1), directory.path());
    directory
}

#[test]
fn no_such_directory() {
    let path = Path::new("/nowhere/at/all");
    let error = refusal(path);
    assert_eq!(error.kind(), Kind::NotFound);
    assert_eq!(error.message(), "there is no directory /nowhere/at/all");
}

#[test]
fn not_a_directory() {
    let directory = half_plus_two();
    let error = refusal(&directory.path().join("saved_model.pb"));
    assert_eq!(error.kind(), Kind::FailedPrecondition);
    assert!(error.message().contains("is a file"), "{error}");
}

#[test]
fn not_a_saved_model() {
    let directory = TempDir::new().unwrap();
    let error = refusal(directory.path());
    assert_eq!(error.kind(), Kind::NotFound);
    let expected = "Specified file path does not appear to contain a SavedModel bundle \
                    (should have a file called `saved_model.pb`)\nSpecified file path: ";
    assert!(error.message().starts_with(expected), "{error}");

    fs::write(directory.path().join("saved_model.pbtxt"), "").unwrap();
    let error = refusal(directory.path());
    assert_eq!(error.kind(), Kind::Unimplemented);

    let directory = TempDir::new().unwrap();
    fs::write(directory.path().join("model.tflite"), "TFL3").unwrap();
    let error = refusal(directory.path());
    assert_eq!(error.kind(), Kind::Unimplemented);
    assert!(
        error.message().contains("holds a TensorFlow Lite model"),
        "{error}"
    );
}

#[test]
fn no_graph_to_serve() {
    let model = |tags: &[&str]| Model::new().tags(tags).placeholder("x", FLOAT).write();
    let directory = model(&["serve", "gpu"]);
    let error = refusal(directory.path());
    assert_eq!(error.kind(), Kind::NotFound);
    assert!(
        error
            .message()
            .ends_with("has no graph with the tag set {serve}; it has {serve, gpu}"),
        "{error}"
    );
    let other = Tags::new(["gpu", "serve"]).unwrap();
    try_load_tagged(directory.path(), &other).unwrap();
    let part = Tags::new(["gpu"]).unwrap();
    let error = try_load_tagged(directory.path(), &part).unwrap_err();
    assert!(
        error.message().contains("no graph with the tag set {gpu};"),
        "{error}"
    );
    let directory = model(&[]);
    assert!(refusal(directory.path()).message().ends_with("it has {}"));

    fs::write(directory.path().join("saved_model.pb"), "").unwrap();
    let error = refusal(directory.path());
    assert_eq!(error.kind(), Kind::DataLoss);
    assert!(
        error.message().ends_with("is corrupt: it holds no graph"),
        "{error}"
    );
}

#[test]
fn variables_are_missing() {
    let directory = half_plus_two();
    let variables = directory.path().join("variables");
    fs::remove_file(variables.join("variables.index")).unwrap();
    let error = refusal(directory.path());
    assert_eq!(error.kind(), Kind::NotFound);
    assert!(
        error.message().ends_with("variables/variables.index"),
        "{error}"
    );

    fs::remove_dir_all(&variables).unwrap();
    let error = refusal(directory.path());
    assert!(
        error
            .message()
            .contains("is incomplete: its graph has variables")
            && error.message().ends_with("/variables"),
        "{error}"
    );
}

#[test]
fn a_model_without_variables_needs_no_folder_for_them() {
    let directory = TempDir::new().unwrap();
    copy(&built("identity_float", 1), directory.path());
    fs::remove_dir_all(directory.path().join("variables")).unwrap();
    let model = load(directory.path());
    let y = call(&model, "x", floats(&[1], &[7.0]));
    assert_eq!(float_values(&y), [7.0]);
}

#[test]
fn variables_are_cut_off() {
    for name in ["variables.index", "variables.data-00000-of-00001"] {
        let directory = half_plus_two();
        let file = directory.path().join("variables").join(name);
        let whole = fs::read(&file).unwrap();
        for length in [0, 1, whole.len() / 2, whole.len() - 1] {
            fs::write(&file, &whole[..length]).unwrap();
            // What is cut off may be something that is not restored.
            if let Err(error) = try_load(directory.path()) {
                assert!(error.message().contains("cannot load"), "{error}");
            }
        }
        fs::write(&file, []).unwrap();
        refusal(directory.path());
        fs::remove_file(&file).unwrap();
        refusal(directory.path());
    }
}

#[test]
fn cut_off_saved_model() {
    let directory = half_plus_two();
    let file = directory.path().join("saved_model.pb");
    let whole = fs::read(&file).unwrap();
    for part in 1..40 {
        fs::write(&file, &whole[..whole.len() * part / 40]).unwrap();
        let error = refusal(directory.path());
        assert_eq!(error.kind(), Kind::DataLoss, "{error}");
    }
}

/// Whatever bits are wrong, there is a sentence or a model that answers somehow.
#[test]
fn wrong_bits() {
    let directory = half_plus_two();
    let file = directory.path().join("saved_model.pb");
    let whole = fs::read(&file).unwrap();
    let mut random: u64 = 1;
    let mut next = |below: usize| {
        // Knuth's generator: the same bits in every run.
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) as usize % below
    };
    for _ in 0..FLIPS {
        let mut bytes = whole.clone();
        for _ in 0..=next(3) {
            let at = next(bytes.len());
            bytes[at] ^= 1 << next(8);
        }
        fs::write(&file, bytes).unwrap();
        match try_load(directory.path()) {
            Err(error) => assert!(!error.message().is_empty()),
            Ok(model) => drop(Request::new(vec![("x", floats(&[1], &[1.0]))]).run(&model)),
        }
    }
}

const FLIPS: usize = 150;

#[test]
fn random_bytes() {
    let directory = half_plus_two();
    let file = directory.path().join("saved_model.pb");
    for seed in 0..64_u8 {
        let bytes: Vec<u8> = (0..1000_u32)
            .map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8 ^ seed)
            .collect();
        fs::write(&file, bytes).unwrap();
        refusal(directory.path());
    }
}
