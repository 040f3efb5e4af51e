//! Many threads, many versions, loading and unloading.

use std::sync::Arc;
use std::thread;

use engine::Kind;
use tensorflow::Library;

use crate::environment::{
    Request, built, call, float_values, floats, library, load, tensorflow_dir,
};
use crate::graph::{FLOAT, Model};

#[test]
fn one_library_in_a_process() {
    let library = library();
    assert!(library.version().starts_with("2."), "{}", library.version());
    let again = Library::open(&tensorflow_dir().join(".")).unwrap();
    assert!(std::ptr::eq(library, again));

    let other = tempfile::tempdir().unwrap();
    let error = Library::open(other.path()).unwrap_err();
    assert!(error.message().contains("already open from"), "{error}");
    let error = Library::open(&other.path().join("nowhere")).unwrap_err();
    assert_eq!(error.kind(), Kind::FailedPrecondition);
    assert!(error.message().contains("nowhere"), "{error}");
}

#[test]
fn many_threads_run_one_model() {
    let model = load(&built("half_plus_two", 1));
    thread::scope(|scope| {
        for thread in 0..8_u16 {
            let model = &model;
            scope.spawn(move || {
                for run in 0..500_u16 {
                    let x = f32::from(thread) * 1000.0 + f32::from(run);
                    let size = usize::from(run % 7);
                    let y = call(model, "x", floats(&[size], &vec![x; size]));
                    assert_eq!(float_values(&y), vec![x / 2.0 + 2.0; size]);
                }
            });
        }
    });
}

/// Both have variables of the same names.
#[test]
fn versions_side_by_side_keep_their_own_variables() {
    let first = load(&built("half_plus_two", 1));
    let second = load(&built("half_plus_two", 2));
    let x = || floats(&[1], &[4.0]);
    assert_eq!(float_values(&call(&first, "x", x())), [4.0]);
    assert_eq!(float_values(&call(&second, "x", x())), [5.0]);
    drop(first);
    assert_eq!(float_values(&call(&second, "x", x())), [5.0]);
}

#[test]
fn outputs_outlive_the_model() {
    let model = load(&built("half_plus_two", 1));
    let y = call(&model, "x", floats(&[2], &[1.0, 2.0]));
    drop(Arc::into_inner(model).unwrap());
    assert_eq!(float_values(&y), [2.5, 3.0]);
}

#[test]
fn loaded_and_freed_from_many_threads() {
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..5 {
                    let model = load(&built("half_plus_two", 1));
                    let y = call(&model, "x", floats(&[1], &[2.0]));
                    assert_eq!(float_values(&y), [3.0]);
                }
            });
        }
    });
}

/// A client may ask for outputs in any selection and order; the number of executors
/// that TensorFlow builds for them is bounded, the answers are right all the same.
#[test]
fn any_number_of_output_filters() {
    let names: Vec<String> = (0..7).map(|n| format!("y{n}")).collect();
    let outputs: Vec<(&str, &str)> = names.iter().map(|n| (n.as_str(), n.as_str())).collect();
    let mut model = Model::new().placeholder("x", FLOAT).signature(
        "serving_default",
        &[("x", "x:0")],
        &outputs,
    );
    for name in &names {
        model = model.identity(name, "x", FLOAT);
    }
    let directory = model.write();
    let model = load(directory.path());
    for mask in 1_u32..128 {
        let wanted: Vec<&str> = (0..7)
            .rev()
            .filter(|bit| mask >> bit & 1 == 1)
            .map(|bit| names[bit].as_str())
            .collect();
        let mut request = Request::new(vec![("x", floats(&[1], &[3.0]))]);
        request.outputs = &wanted;
        let tensors = request.run(&model).unwrap();
        assert_eq!(tensors.len(), wanted.len());
        assert!(tensors.iter().all(|tensor| float_values(tensor) == [3.0]));
    }
}
