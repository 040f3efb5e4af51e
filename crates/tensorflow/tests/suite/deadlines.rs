//! Runs that would not end by themselves end at their deadline.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use engine::{Kind, ServedModel};
use tensor::{DType, Shape, Tensor};

use crate::environment::{Request, built, float_values, floats, load};
use crate::graph::{Attribute, BOOL, FLOAT, Model};

const TIMEOUT: Duration = Duration::from_millis(200);

fn expires(model: &Arc<ServedModel>, inputs: Vec<(&str, Tensor)>) {
    let started = Instant::now();
    let mut request = Request::new(inputs);
    request.deadline = Some(started + TIMEOUT);
    let error = request.run(model).unwrap_err();
    let elapsed = started.elapsed();
    assert_eq!(error.kind(), Kind::DeadlineExceeded, "{error}");
    assert_eq!(error.message(), "Timed out waiting for notification");
    assert!(elapsed >= TIMEOUT && elapsed < 10 * TIMEOUT, "{elapsed:?}");
}

/// Takes from a queue that nothing is ever put into.
#[test]
fn a_waiting_operation() {
    let types = Attribute::of_types(&[FLOAT]);
    let directory = Model::new()
        .placeholder("x", FLOAT)
        .node(
            ("queue", "FIFOQueueV2"),
            &[],
            &[("component_types", types.clone())],
        )
        .node(
            ("taken", "QueueDequeueV2"),
            &["queue"],
            &[("component_types", types)],
        )
        .node(
            ("y", "AddV2"),
            &["x", "taken"],
            &[("T", Attribute::of_dtype(FLOAT))],
        )
        .signature("serving_default", &[("x", "x:0")], &[("y", "y:0")])
        .write();
    let model = load(directory.path());
    expires(&model, vec![("x", floats(&[1], &[1.0]))]);
    // The session is none the worse for it.
    expires(&model, vec![("x", floats(&[1], &[1.0]))]);
}

/// A loop of TensorFlow's own dataflow operations that goes on while `x` is true.
fn endless_loop(directory: &mut Option<tempfile::TempDir>) -> &Path {
    let boolean = || ("T", Attribute::of_dtype(BOOL));
    let frame = || ("frame_name", Attribute::of_text("loop"));
    let constant = |flag| ("is_constant", Attribute::of_flag(flag));
    directory
        .insert(
            Model::new()
                .placeholder("x", BOOL)
                .node(
                    ("first", "Enter"),
                    &["x"],
                    &[boolean(), frame(), constant(false)],
                )
                .node(
                    ("go_on", "Enter"),
                    &["x"],
                    &[boolean(), frame(), constant(true)],
                )
                .node(
                    ("turn", "Merge"),
                    &["first", "next"],
                    &[boolean(), ("N", Attribute::of_integer(2))],
                )
                .node(("condition", "LoopCond"), &["go_on"], &[])
                .node(("branch", "Switch"), &["turn", "condition"], &[boolean()])
                .identity("body", "branch:1", BOOL)
                .node(("next", "NextIteration"), &["body"], &[boolean()])
                .node(("y", "Exit"), &["branch"], &[boolean()])
                .signature("serving_default", &[("x", "x:0")], &[("y", "y:0")])
                .write(),
        )
        .path()
}

#[test]
fn an_endless_loop() {
    let mut directory = None;
    let model = load(endless_loop(&mut directory));
    let go_on = |flag: bool| {
        let bytes = Bytes::copy_from_slice(&[u8::from(flag)]);
        Tensor::fixed(DType::Bool, Shape::scalar(), bytes).unwrap()
    };
    expires(&model, vec![("x", go_on(true))]);
    for deadline in [None, Some(Instant::now() + Duration::from_secs(90))] {
        let mut request = Request::new(vec![("x", go_on(false))]);
        request.deadline = deadline;
        assert_eq!(request.run(&model).unwrap(), [go_on(false)]);
    }
}

#[test]
fn a_deadline_that_is_kept() {
    let model = load(&built("half_plus_two", 1));
    for timeout in [Duration::from_secs(90), Duration::from_secs(1 << 40)] {
        let mut request = Request::new(vec![("x", floats(&[1], &[4.0]))]);
        request.deadline = Some(Instant::now() + timeout);
        assert_eq!(float_values(&request.run(&model).unwrap()[0]), [4.0]);
    }
}
