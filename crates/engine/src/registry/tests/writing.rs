//! What the control plane does, alone and under readers.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};

use bytes::Bytes;
use tensor::Tensor;

use super::{model, refusal, select, states, with_versions};
use crate::{Executor, Kind, Registry, Retired, Run, ServeError, ServedModel, State, Version};

#[test]
fn a_failed_load_ends_with_its_error() {
    let registry = Registry::default();
    let failed = registry.load("m", 1, || Err(ServeError::not_found("gone")));
    assert_eq!(failed.unwrap_err().message(), "gone");
    let status = &registry.status(select("m", Version::Latest)).unwrap()[0];
    assert_eq!(status.state, State::End);
    assert_eq!(status.error.as_ref().unwrap().kind(), Kind::NotFound);
}

#[test]
fn a_load_that_panics_ends_like_one_that_fails() {
    let registry = Registry::default();
    let failed = registry.load("m", 1, || panic!("as told"));
    assert_eq!(failed.unwrap_err().kind(), Kind::Internal);
    let status = &registry.status(select("m", Version::Latest)).unwrap()[0];
    assert_eq!(status.state, State::End);
}

#[test]
fn of_two_unloads_one_does_it() {
    for _ in 0..200 {
        let registry = with_versions(&[1]);
        let unload = || registry.unload("m", 1);
        let (first, second) = std::thread::scope(|scope| {
            let other = scope.spawn(unload);
            (unload(), other.join().unwrap())
        });
        assert!(first != second);
    }
}

#[test]
fn unload_waits_for_the_last_request_and_frees() {
    let registry = Arc::new(Registry::default());
    let dropped = Arc::new(AtomicBool::new(false));
    registry.load("m", 1, || Ok(model(1, &dropped))).unwrap();
    let request = registry.find(select("m", Version::Latest)).unwrap();
    let mut changes = registry.subscribe();
    changes.mark_unchanged();
    let unloading = std::thread::spawn({
        let registry = Arc::clone(&registry);
        move || registry.unload("m", 1)
    });
    while !changes.has_changed().unwrap() {
        std::thread::yield_now();
    }
    // Out of service at once, alive while the request holds it.
    assert!(registry.find(select("m", Version::Latest)).is_err());
    assert!(!dropped.load(Ordering::SeqCst));
    drop(request);
    assert!(unloading.join().unwrap());
    assert!(dropped.load(Ordering::SeqCst));
    let status = &registry.status(select("m", Version::Latest)).unwrap()[0];
    assert_eq!(status.state, State::End);
    assert!(!registry.unload("m", 1));
}

#[test]
fn a_changed_version_replaces_the_old_one_without_a_gap() {
    let registry = Arc::new(with_versions(&[1]));
    let stop = Arc::new(AtomicBool::new(false));
    let reader = std::thread::spawn({
        let (registry, stop) = (Arc::clone(&registry), Arc::clone(&stop));
        move || {
            let mut last = 1;
            while !stop.load(Ordering::SeqCst) {
                let version = registry.find(select("m", Version::Latest)).unwrap().version;
                assert!(version >= last);
                last = version;
            }
        }
    });
    for version in 2..50 {
        registry
            .load("m", version, || Ok(model(version, &Arc::default())))
            .unwrap();
        assert!(registry.unload("m", version - 1));
    }
    stop.store(true, Ordering::SeqCst);
    reader.join().unwrap();
}

#[test]
fn a_version_goes_through_its_states() {
    let registry = Registry::default();
    registry.start("m", 3);
    assert_eq!(states(&registry, "m"), [(3, State::Start)]);
    assert_eq!(registry.is_available("m"), Some(false));
    registry
        .load("m", 3, || {
            assert_eq!(states(&registry, "m"), [(3, State::Loading)]);
            Ok(model(3, &Arc::default()))
        })
        .unwrap();
    assert_eq!(states(&registry, "m"), [(3, State::Available)]);
    // What is there is not begun again.
    registry.start("m", 3);
    assert_eq!(states(&registry, "m"), [(3, State::Available)]);
    assert!(!registry.forget("m", 3));
    assert!(registry.unload("m", 3));
    assert_eq!(states(&registry, "m"), [(3, State::End)]);
    registry.start("m", 3);
    assert_eq!(states(&registry, "m"), [(3, State::Start)]);
    // One that never was available is unloaded too.
    assert!(registry.unload("m", 3));
    assert_eq!(states(&registry, "m"), [(3, State::End)]);
    assert!(registry.forget("m", 3));
    assert!(!registry.forget("m", 3));
    assert_eq!(states(&registry, "m"), []);
    assert_eq!(registry.is_available("m"), Some(false));
}

#[test]
fn a_load_of_the_same_number_replaces_when_it_is_ready() {
    let registry = with_versions(&[]);
    let dropped = Arc::new(AtomicBool::new(false));
    let load = registry.load("m", 1, || Ok(model(1, &dropped)));
    let first = Arc::downgrade(&load.unwrap().model);
    let second = registry
        .load("m", 1, || {
            // It answers, and looks as ever.
            let found = registry.find(select("m", Version::Number(1))).unwrap();
            assert!(Arc::ptr_eq(&found, &first.upgrade().unwrap()));
            assert_eq!(states(&registry, "m"), [(1, State::Available)]);
            Ok(model(1, &Arc::default()))
        })
        .unwrap();
    assert!(!dropped.load(Ordering::SeqCst));
    second.replaced.unwrap().free();
    assert!(dropped.load(Ordering::SeqCst));
    assert!(registry.find(select("m", Version::Latest)).is_ok());
}

/// Version 1 loaded once more, with a request to what was there before; that, the request,
/// and whether it is dropped.
fn replaced_under_a_request(registry: &Registry) -> (Retired, Arc<ServedModel>, Arc<AtomicBool>) {
    let dropped = Arc::new(AtomicBool::new(false));
    registry.load("m", 1, || Ok(model(1, &dropped))).unwrap();
    let request = registry.find(select("m", Version::Number(1))).unwrap();
    let again = registry.load("m", 1, || Ok(model(1, &Arc::default())));
    (again.unwrap().replaced.unwrap(), request, dropped)
}

#[test]
fn a_load_does_not_wait_for_the_requests_of_what_it_replaces() {
    let registry = with_versions(&[]);
    let (replaced, request, dropped) = replaced_under_a_request(&registry);
    // It is told to those who measure it.
    assert!(request.is_retired());
    let freeing = std::thread::spawn(move || replaced.free());
    let third = registry.load("m", 1, || Ok(model(1, &Arc::default())));
    third.unwrap().replaced.unwrap().free();
    assert!(!freeing.is_finished() && !dropped.load(Ordering::SeqCst));
    drop(request);
    freeing.join().unwrap();
    assert!(dropped.load(Ordering::SeqCst));
}

/// Takes away a version that has replaced one with a request under way.
fn taken_away_after_it_replaced(away: fn(&Registry)) {
    let registry = with_versions(&[]);
    let (replaced, request, dropped) = replaced_under_a_request(&registry);
    // As many times more as one likes.
    let third = registry.load("m", 1, || Ok(model(1, &Arc::default())));
    third.unwrap().replaced.unwrap().free();
    std::thread::scope(|scope| {
        let mut changes = registry.subscribe();
        changes.mark_unchanged();
        let taking = scope.spawn(|| away(&registry));
        while !changes.has_changed().unwrap() {
            std::thread::yield_now();
        }
        assert!(registry.find(select("m", Version::Latest)).is_err());
        drop(request);
        // Nobody frees it yet.
        assert!(!taking.is_finished());
        replaced.free();
        taking.join().unwrap();
        assert!(dropped.load(Ordering::SeqCst));
    });
}

#[test]
fn who_takes_a_version_away_waits_for_what_it_had_replaced() {
    taken_away_after_it_replaced(|registry| {
        assert!(registry.unload("m", 1));
    });
    taken_away_after_it_replaced(|registry| {
        registry.remove("m", false).unwrap().free();
    });
}

#[test]
fn a_failed_load_of_the_same_number_leaves_the_old_one() {
    let registry = with_versions(&[1]);
    let failed = registry.load("m", 1, || Err(ServeError::not_found("gone")));
    assert_eq!(failed.unwrap_err().message(), "gone");
    registry.fail("m", 1, ServeError::internal("not even begun"));
    let status = &registry.status(select("m", Version::Latest)).unwrap()[0];
    assert_eq!(status.state, State::Available);
    assert!(status.error.is_none());
    assert!(registry.find(select("m", Version::Number(1))).is_ok());
}

/// Begins a load in a thread of its own, takes its version away by `away`, and lets it end.
fn taken_away_while_loading(away: fn(&Registry)) -> Registry {
    let registry = Registry::default();
    let dropped = Arc::new(AtomicBool::new(false));
    let (begun, may_end) = (Barrier::new(2), Barrier::new(2));
    std::thread::scope(|scope| {
        let loading = scope.spawn(|| {
            registry.load("m", 1, || {
                begun.wait();
                may_end.wait();
                Ok(model(1, &dropped))
            })
        });
        begun.wait();
        let mut changes = registry.subscribe();
        changes.mark_unchanged();
        let taking = scope.spawn(|| away(&registry));
        while !changes.has_changed().unwrap() {
            std::thread::yield_now();
        }
        // Whoever takes it away waits until nothing of it is left.
        assert!(!taking.is_finished());
        may_end.wait();
        taking.join().unwrap();
        assert!(dropped.load(Ordering::SeqCst));
        let error = loading.join().unwrap().unwrap_err();
        assert_eq!(error.kind(), Kind::Cancelled);
    });
    registry
}

#[test]
fn a_version_that_is_unloaded_while_it_loads_never_answers() {
    let registry = taken_away_while_loading(|registry| {
        assert!(registry.unload("m", 1));
    });
    assert_eq!(states(&registry, "m"), [(1, State::End)]);
}

#[test]
fn a_model_that_is_removed_while_it_loads_does_not_come_back() {
    let registry = taken_away_while_loading(|registry| {
        registry.remove("m", false).unwrap().free();
    });
    assert_eq!(registry.is_available("m"), None);
}

#[test]
fn of_two_loads_of_a_version_the_later_stays() {
    let registry = Registry::default();
    let later = registry.load("m", 1, || {
        // Another one begins and ends meanwhile.
        registry.load("m", 1, || Ok(model(1, &Arc::default())))?;
        Ok(model(1, &Arc::default()))
    });
    assert_eq!(later.unwrap_err().kind(), Kind::Cancelled);
    assert_eq!(states(&registry, "m"), [(1, State::Available)]);
}

#[test]
fn a_removed_model_is_not_waited_for_and_is_freed() {
    let registry = with_versions(&[]);
    let dropped = Arc::new(AtomicBool::new(false));
    registry.load("m", 1, || Ok(model(1, &dropped))).unwrap();
    registry.declare("n");
    assert!(!registry.all_available());
    registry.remove("n", false).unwrap().free();
    assert!(registry.all_available());
    assert!(registry.remove("n", false).is_none());
    registry.remove("m", false).unwrap().free();
    assert!(dropped.load(Ordering::SeqCst));
    assert!(registry.names().is_empty());
    assert_eq!(
        refusal(&registry, "m", Version::Latest).1,
        "Servable not found for request: Latest(m)"
    );
}

#[test]
fn a_model_is_waited_for_again_while_the_one_before_it_leaves() {
    let registry = with_versions(&[]);
    let dropped = Arc::new(AtomicBool::new(false));
    registry.load("m", 1, || Ok(model(1, &dropped))).unwrap();
    let request = registry.find(select("m", Version::Latest)).unwrap();
    let leaving = registry.remove("m", false).unwrap();
    assert!(request.is_retired());
    assert_eq!(registry.is_available("m"), None);
    registry.declare("m");
    assert_eq!(registry.is_available("m"), Some(false));
    drop(request);
    leaving.free();
    assert!(dropped.load(Ordering::SeqCst));
    assert_eq!(registry.is_available("m"), Some(false));
    assert_eq!(states(&registry, "m"), []);
}

#[test]
fn a_model_that_is_emptied_is_waited_for_all_the_time() {
    let registry = with_versions(&[1]);
    let mut changes = registry.subscribe();
    changes.mark_unchanged();
    registry.remove("m", true).unwrap().free();
    assert!(changes.has_changed().unwrap());
    assert_eq!(registry.is_available("m"), Some(false));
    assert!(registry.remove("n", true).is_none());
    assert_eq!(registry.is_available("n"), None);
}

#[test]
fn the_versions_that_ended_first_are_forgotten() {
    let registry = Registry::default();
    registry.fail("m", 99, ServeError::internal("broken"));
    for version in 1..=11 {
        registry
            .load("m", version, || Ok(model(version, &Arc::default())))
            .unwrap();
    }
    for version in (1..=10).rev() {
        assert!(registry.unload("m", version));
    }
    let left: Vec<i64> = states(&registry, "m").iter().map(|it| it.0).collect();
    assert_eq!(left, [11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1]);
    // One that ends again counts from then.
    registry.start("m", 10);
    registry.fail("m", 10, ServeError::internal("broken"));
    registry.fail("m", 50, ServeError::internal("broken"));
    let left: Vec<i64> = states(&registry, "m").iter().map(|it| it.0).collect();
    assert_eq!(left, [50, 11, 10, 8, 7, 6, 5, 4, 3, 2, 1]);
    assert_eq!(states(&registry, "m")[1], (11, State::Available));
}

#[test]
fn readers_meet_no_gap_while_a_version_is_loaded_again_and_again() {
    let registry = with_versions(&[1]);
    let alive = Arc::new(AtomicUsize::new(0));
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !stop.load(Ordering::SeqCst) {
                    let found = registry.find(select("m", Version::Number(1)));
                    assert_eq!(found.unwrap().version, 1);
                }
            });
        }
        for _ in 0..300 {
            let counted = Counted::new(&alive);
            let loaded = registry
                .load("m", 1, || {
                    Ok(ServedModel::new(
                        ("m".into(), 1),
                        vec![],
                        Bytes::new(),
                        Box::new(counted),
                    ))
                })
                .unwrap();
            if let Some(replaced) = loaded.replaced {
                replaced.free();
            }
            assert_eq!(alive.load(Ordering::SeqCst), 1);
        }
        stop.store(true, Ordering::SeqCst);
    });
}

/// Counts those that live.
struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn new(alive: &Arc<AtomicUsize>) -> Self {
        alive.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(alive))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Executor for Counted {
    fn run(&self, _run: Run<'_>) -> Result<Vec<Tensor>, ServeError> {
        Ok(vec![])
    }
}
