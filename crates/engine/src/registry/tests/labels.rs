//! Labels, alone and under readers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{model, select, with_versions};
use crate::{Kind, Registry, Version};

fn labels(of: &[(&str, i64)]) -> BTreeMap<String, i64> {
    let owned = |(label, version): &(&str, i64)| ((*label).to_owned(), *version);
    of.iter().map(owned).collect()
}

#[test]
fn a_label_finds_its_version() {
    let registry = with_versions(&[1, 2]);
    registry
        .set_labels("m", labels(&[("stable", 1), ("canary", 2), ("next", 3)]))
        .unwrap();
    let found = |label| registry.find(select("m", Version::Label(label)));
    assert_eq!(found("stable").unwrap().version, 1);
    assert_eq!(found("canary").unwrap().version, 2);
    let status = |label| registry.status(select("m", Version::Label(label)));
    assert_eq!(status("stable").unwrap()[0].version, 1);
    assert_eq!(status("stable").unwrap().len(), 1);

    // Of a version that is not there, it is told as if that had been asked for.
    let missing = found("next").unwrap_err();
    assert_eq!(missing.kind(), Kind::NotFound);
    assert_eq!(
        missing.message(),
        "Servable not found for request: Specific(m, 3)"
    );
    assert_eq!(
        status("next").unwrap_err().message(),
        "Could not find version 3 of model m"
    );

    // The next labels replace all of these.
    registry.set_labels("m", labels(&[("stable", 2)])).unwrap();
    assert_eq!(found("stable").unwrap().version, 2);
    let unknown = "Unrecognized servable version label: canary";
    for error in [
        found("canary").unwrap_err(),
        status("canary").unwrap_err(),
        registry
            .find(select("foo", Version::Label("canary")))
            .unwrap_err(),
        registry
            .status(select("foo", Version::Label("canary")))
            .unwrap_err(),
    ] {
        assert_eq!(error.kind(), Kind::InvalidArgument);
        assert_eq!(error.message(), unknown);
    }
}

#[test]
fn before_the_first_model_labels_are_not_known_rather_than_unknown() {
    let registry = Registry::default();
    let ask = || {
        let label = Version::Label("canary");
        [
            registry.find(select("m", label)).unwrap_err(),
            registry.status(select("m", label)).unwrap_err(),
        ]
    };
    for error in ask() {
        assert_eq!(error.kind(), Kind::Unavailable);
        assert_eq!(error.message(), "Model labels does not init yet.canary");
    }
    registry.declare("m");
    registry.remove("m", false).unwrap().free();
    for error in ask() {
        assert_eq!(error.kind(), Kind::InvalidArgument);
    }
}

#[test]
fn labels_are_for_models_that_are_wanted() {
    let registry = Registry::default();
    let error = registry.set_labels("m", labels(&[])).unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound);
    registry.declare("m");
    registry.set_labels("m", labels(&[("stable", 1)])).unwrap();
    // Labels wait for their version.
    registry
        .load("m", 1, || Ok(model(1, &Arc::default())))
        .unwrap();
    assert!(registry.find(select("m", Version::Label("stable"))).is_ok());
    registry.remove("m", false).unwrap().free();
    registry.declare("m");
    let gone = registry.find(select("m", Version::Label("stable")));
    assert_eq!(gone.unwrap_err().kind(), Kind::InvalidArgument);
}

#[test]
fn swapped_labels_never_point_at_one_version() {
    let registry = Arc::new(with_versions(&[1, 2]));
    let swap = |stable, canary| {
        let both = labels(&[("stable", stable), ("canary", canary)]);
        registry.set_labels("m", both).unwrap();
    };
    swap(1, 2);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::SeqCst) {
                for label in ["stable", "canary"] {
                    let found = registry.find(select("m", Version::Label(label)));
                    assert!(found.is_ok());
                }
            }
        });
        for round in 0..500 {
            swap(1 + round % 2, 2 - round % 2);
        }
        stop.store(true, Ordering::SeqCst);
    });
}
