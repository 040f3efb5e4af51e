//! A library of custom operations, compiled here, and a model that needs it.

use std::path::Path;
use std::process::Command;

use engine::Kind;

use crate::environment::{call, floats, library, load, tensorflow_dir, try_load};
use crate::graph::{FLOAT, Model};

fn compile(into: &Path) {
    let source = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/models/custom_op/triple.c"
    );
    let tensorflow = tensorflow_dir();
    let status = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-Wall", "-o"])
        .arg(into)
        .arg(source)
        .arg("-I")
        .arg(tensorflow.join("include"))
        .arg("-L")
        .arg(&tensorflow)
        .arg("-l:libtensorflow_framework.so.2")
        .status()
        .unwrap();
    assert!(status.success());
}

#[test]
fn a_model_with_a_custom_operation() {
    let model = || {
        Model::new()
            .placeholder("x", FLOAT)
            .node(("y", "TensorwireTestTriple"), &["x"], &[])
            .signature("serving_default", &[("x", "x:0")], &[("y", "y:0")])
            .write()
    };
    let directory = model();
    let error = try_load(directory.path()).unwrap_err();
    assert!(error.message().contains("TensorwireTestTriple"), "{error}");

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("triple.so");
    compile(&file);
    library().load_op_library(&file).unwrap();
    library().load_op_library(&file).unwrap();
    let model = load(directory.path());
    let y = call(&model, "x", floats(&[2, 1], &[1.5, -2.0]));
    assert_eq!(y, floats(&[2, 1], &[4.5, -6.0]));
    assert_eq!(call(&model, "x", floats(&[0], &[])), floats(&[0], &[]));
}

#[test]
fn what_is_no_op_library() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ops.so");
    let error = library().load_op_library(&file).unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound);
    assert!(error.message().starts_with("no op library at "), "{error}");
    std::fs::write(&file, "not a library").unwrap();
    let error = library().load_op_library(&file).unwrap_err();
    assert!(
        error.message().contains("cannot load the op library"),
        "{error}"
    );
    assert!(error.message().contains(file.to_str().unwrap()), "{error}");
}
