//! Why signatures of real models run alone, and what measuring them finds.

use std::sync::Arc;
use std::time::Duration;

use engine::{Beside, Measured, RunMode, ServedModel, calibrate};

use crate::environment::{Request, built, load};
use crate::graph::{Attribute, FLOAT, Model};

const BUDGET: Duration = Duration::from_secs(2);

const BY_ITSELF: Beside<'static> = Beside {
    is_wanted: &|| true,
    others_answer: &|| false,
};

fn alone(model: &ServedModel, signature: &str) -> Option<String> {
    let (index, _) = model.signature(signature).unwrap();
    model.why_alone(index).map(str::to_owned)
}

/// What measuring said of the default signature of a model of ours.
fn measured(name: &str) -> (Arc<ServedModel>, Measured) {
    let model = load(&built(name, 1));
    let measured = calibrate(&model, BUDGET, &|_| None, &BY_ITSELF).unwrap();
    let (index, _) = model.signature("").unwrap();
    let default = measured[index].clone();
    model.learn(measured);
    (model, default)
}

#[test]
fn a_counter_runs_alone_and_is_not_run_to_measure() {
    let model = load(&built("counter", 1));
    assert_eq!(
        alone(&model, "").as_deref(),
        Some("its graph has the operation AssignAddVariableOp, which is stateful")
    );
    assert_eq!(alone(&model, "read").as_deref(), Some("it has no inputs"));
    let (model, measured) = self::measured("counter");
    let reason = "a run of it changes what later ones answer";
    assert_eq!(measured.unmeasured.as_deref(), Some(reason));
    assert_eq!(
        model.unmeasured(model.signature("").unwrap().0),
        Some(reason)
    );
    let total = Request {
        signature: "read",
        ..Request::new(Vec::new())
    }
    .run(&model)
    .unwrap();
    assert_eq!(total[0].data(), &tensor::Data::Fixed(vec![0; 8].into()));
}

#[test]
fn scalars_and_fixed_shapes_run_alone() {
    let model = load(&built("half_plus_two", 1));
    assert_eq!(alone(&model, ""), None);
    assert_eq!(
        alone(&model, "scaled").as_deref(),
        Some("its input \"factor\" is a scalar")
    );
    assert!(alone(&load(&built("sleep", 1)), "").is_some());
    assert!(alone(&load(&built("no_inputs", 1)), "").is_some());
}

#[test]
fn variables_and_tables_that_are_read_are_no_state() {
    for name in ["mlp", "conv", "table", "keras_export", "shout", "utf16"] {
        assert_eq!(alone(&load(&built(name, 1)), ""), None, "{name}");
    }
}

#[test]
fn a_network_has_a_curve() {
    for name in ["mlp", "conv", "half_plus_two", "keras_export"] {
        let (model, measured) = measured(name);
        assert_eq!(measured.alone, None, "{name}");
        assert_eq!(measured.unmeasured, None, "{name}");
        let curve = model.curve(model.signature("").unwrap().0).unwrap();
        assert!(curve.points.len() >= 6, "{name}: {curve:?}");
        assert!(
            curve
                .points
                .windows(2)
                .all(|pair| pair[1].rows == 2 * pair[0].rows)
        );
        assert!(
            curve.expected(1) < Duration::from_millis(50),
            "{name}: {curve:?}"
        );
    }
    let (model, _) = measured("mlp");
    let curve = model.curve(0).unwrap();
    assert_eq!((curve.row_bytes, curve.mode(1)), (128, RunMode::Caller));
}

#[test]
fn any_rank_and_any_type_are_measured() {
    for name in [
        "identity_float",
        "identity_string",
        "identity_half",
        "identity_bool",
        "identity_int8",
    ] {
        let (_, measured) = measured(name);
        assert_eq!(
            (&measured.alone, &measured.unmeasured),
            (&None, &None),
            "{name}"
        );
    }
}

/// Of a vector, a softmax is over the rows.
fn normalising() -> Model {
    Model::new()
        .placeholder("x", FLOAT)
        .node(
            ("y", "Softmax"),
            &["x"],
            &[("T", Attribute::of_dtype(FLOAT))],
        )
        .signature("serving_default", &[("x", "x:0")], &[("y", "y:0")])
}

#[test]
fn a_model_that_normalises_over_its_batch_runs_alone() {
    let directory = normalising().write();
    let model = load(directory.path());
    assert_eq!(alone(&model, ""), None);
    let measured = calibrate(&model, BUDGET, &|_| None, &BY_ITSELF).unwrap();
    model.learn(measured);
    assert_eq!(
        alone(&model, "").as_deref(),
        Some("its output \"y\" for a row depends on the other rows of the batch")
    );
    assert!(model.curve(0).is_some());
}

#[test]
fn random_numbers_run_alone() {
    let int = || Attribute::of_dtype(3);
    let directory = Model::new()
        .placeholder("x", FLOAT)
        .node(
            ("shape", "Shape"),
            &["x"],
            &[("T", Attribute::of_dtype(FLOAT)), ("out_type", int())],
        )
        .node(
            ("noise", "RandomUniform"),
            &["shape"],
            &[("T", int()), ("dtype", Attribute::of_dtype(FLOAT))],
        )
        .node(
            ("y", "Add"),
            &["x", "noise"],
            &[("T", Attribute::of_dtype(FLOAT))],
        )
        .signature("serving_default", &[("x", "x:0")], &[("y", "y:0")])
        .identity("z", "x", FLOAT)
        .signature("quiet", &[("x", "x:0")], &[("y", "z:0")])
        .write();
    let model = load(directory.path());
    assert_eq!(
        alone(&model, "").as_deref(),
        Some("its graph has the operation RandomUniform, whose result is another each time")
    );
    assert_eq!(alone(&model, "quiet"), None);
    // It may be run all the same.
    assert!(
        calibrate(&model, BUDGET, &|_| None, &BY_ITSELF)
            .unwrap()
            .iter()
            .all(|each| each.curve.is_some())
    );
}
