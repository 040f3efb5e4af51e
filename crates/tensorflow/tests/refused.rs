//! Libraries that are not the TensorFlow we need. In a process of its own: the real
//! one, once open, is all that a process can have.

#![allow(clippy::unwrap_used, reason = "a test that fails panics")]

use std::fs;
use std::path::Path;
use std::process::Command;

use engine::Kind;
use tempfile::TempDir;
use tensorflow::Library;

const FILE_NAME: &str = "libtensorflow_cc.so.2";

fn refusal(directory: &Path) -> String {
    let error = Library::open(directory).unwrap_err();
    assert_eq!(error.kind(), Kind::FailedPrecondition, "{error}");
    let path = directory.canonicalize().unwrap();
    assert!(error.message().contains(path.to_str().unwrap()), "{error}");
    error.message().to_owned()
}

/// A directory with a library made of this C source.
fn compiled(source: &str) -> TempDir {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("fake.c");
    fs::write(&file, source).unwrap();
    let status = Command::new("cc")
        .args(["-shared", "-fPIC", "-o"])
        .arg(directory.path().join(FILE_NAME))
        .arg(file)
        .status()
        .unwrap();
    assert!(status.success());
    directory
}

#[test]
fn no_library() {
    let directory = TempDir::new().unwrap();
    let message = refusal(directory.path());
    assert!(
        message.ends_with("install TensorFlow 2.20.x or 2.21.x there"),
        "{message}"
    );
    fs::write(directory.path().join(FILE_NAME), "not a library").unwrap();
    let message = refusal(directory.path());
    assert!(message.starts_with("cannot open "), "{message}");
}

#[test]
fn another_library() {
    let directory = compiled("int nothing;");
    let message = refusal(directory.path());
    assert!(
        message.ends_with("is not TensorFlow's C library: it lacks TF_Version"),
        "{message}"
    );
}

#[test]
fn another_version() {
    let directory = compiled("const char* TF_Version(void) { return \"2.19.1\"; }");
    let message = refusal(directory.path());
    assert!(message.starts_with("TensorFlow 2.19.1 in "), "{message}");
    assert!(
        message.ends_with("is not supported; install 2.20.x or 2.21.x"),
        "{message}"
    );
}

#[test]
fn missing_functions_are_named_together() {
    let source = "const char* TF_Version(void) { return \"2.21.0\"; }
                  void* TF_NewStatus(void) { return 0; }";
    let directory = compiled(source);
    let message = refusal(directory.path());
    let (_, missing) = message.split_once(" lacks the functions ").unwrap();
    let missing: Vec<&str> = missing.split(", ").collect();
    assert!(missing.contains(&"TF_SessionRun") && missing.contains(&"TF_NewTensor"));
    assert!(!missing.contains(&"TF_NewStatus"), "{missing:?}");
}
