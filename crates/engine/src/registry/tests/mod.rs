use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use tensor::Tensor;

use super::{ModelSelector, Registry, State, Version};
use crate::{Executor, Kind, Run, ServeError, ServedModel};

mod labels;
mod writing;

/// Says when it is dropped.
struct DropTellingExecutor(Arc<AtomicBool>);

impl Executor for DropTellingExecutor {
    fn run(&self, _run: Run<'_>) -> Result<Vec<Tensor>, ServeError> {
        Ok(vec![])
    }
}

impl Drop for DropTellingExecutor {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

fn model(version: i64, dropped: &Arc<AtomicBool>) -> ServedModel {
    ServedModel::new(
        ("m".into(), version),
        vec![],
        Bytes::new(),
        Box::new(DropTellingExecutor(Arc::clone(dropped))),
    )
}

fn with_versions(versions: &[i64]) -> Registry {
    let registry = Registry::default();
    for version in versions {
        registry
            .load("m", *version, || Ok(model(*version, &Arc::default())))
            .unwrap();
    }
    registry
}

fn select<'a>(name: &'a str, version: Version<'a>) -> ModelSelector<'a> {
    ModelSelector { name, version }
}

fn refusal(registry: &Registry, name: &str, version: Version<'static>) -> (Kind, String) {
    let error = registry.find(select(name, version)).unwrap_err();
    (error.kind(), error.message().to_owned())
}

#[test]
fn latest_is_the_highest_available() {
    let registry = with_versions(&[2, 10, 9]);
    let latest = || registry.find(select("m", Version::Latest)).unwrap().version;
    assert_eq!(latest(), 10);
    registry.fail("m", 11, ServeError::internal("broken"));
    assert_eq!(latest(), 10);
    assert!(registry.unload("m", 10));
    assert_eq!(latest(), 9);
    let second = registry.find(select("m", Version::Number(2))).unwrap();
    assert_eq!(second.version, 2);
}

#[test]
fn what_is_not_there_is_told_in_the_known_words() {
    let registry = with_versions(&[1]);
    let not_found = |text: &str| (Kind::NotFound, text.to_owned());
    let invalid = |text: &str| (Kind::InvalidArgument, text.to_owned());
    assert_eq!(
        refusal(&registry, "foo", Version::Latest),
        not_found("Servable not found for request: Latest(foo)")
    );
    assert_eq!(
        refusal(&registry, "m", Version::Number(99)),
        not_found("Servable not found for request: Specific(m, 99)")
    );
    assert_eq!(
        refusal(&registry, "m", Version::Label("canary")),
        invalid("Unrecognized servable version label: canary")
    );
    assert_eq!(
        refusal(&registry, "", Version::Latest),
        invalid("ModelSpec has no name specified.")
    );
    registry.declare("empty");
    assert_eq!(
        refusal(&registry, "empty", Version::Latest),
        not_found("Servable not found for request: Latest(empty)")
    );
}

#[test]
fn status_lists_newest_first_and_keeps_errors() {
    let registry = with_versions(&[1, 3]);
    registry.fail("m", 2, ServeError::not_found("no such file"));
    let states: Vec<_> = registry
        .status(select("m", Version::Latest))
        .unwrap()
        .into_iter()
        .map(|status| (status.version, status.state, status.error.is_some()))
        .collect();
    assert_eq!(
        states,
        [
            (3, State::Available, false),
            (2, State::End, true),
            (1, State::Available, false)
        ]
    );
    let error = |version| registry.status(select("m", version)).unwrap_err();
    assert_eq!(
        error(Version::Number(99)).message(),
        "Could not find version 99 of model m"
    );
    let unknown = registry.status(select("foo", Version::Latest)).unwrap_err();
    assert_eq!(
        unknown.message(),
        "Could not find any versions of model foo"
    );
}

#[test]
fn all_available_waits_for_every_wanted_model() {
    let registry = Registry::default();
    assert!(!registry.all_available());
    registry.declare("m");
    registry.declare("n");
    registry
        .load("m", 1, || Ok(model(1, &Arc::default())))
        .unwrap();
    assert!(!registry.all_available());
    assert_eq!(registry.is_available("m"), Some(true));
    assert_eq!(registry.is_available("n"), Some(false));
    assert_eq!(registry.is_available("o"), None);
    registry
        .load("n", 1, || Ok(model(1, &Arc::default())))
        .unwrap();
    assert!(registry.all_available());
}

fn states(registry: &Registry, name: &str) -> Vec<(i64, State)> {
    let statuses = registry.status(select(name, Version::Latest));
    let statuses = statuses.unwrap_or_default();
    statuses.iter().map(|it| (it.version, it.state)).collect()
}
