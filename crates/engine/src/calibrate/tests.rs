//! What is measured, of a puppet whose runs cost simulated time.

use std::cell::Cell;
use std::sync::Mutex;
use std::time::Duration;

use tensor::{DType, Shape, Tensor};

use super::Sample;
use super::puppet::{BUDGET, Puppet, micros, points, signature, twice};
use crate::{Point, RunMode, ServeError};

#[test]
fn a_quick_model_is_measured_quickly_and_far_up() {
    let puppet = Puppet::costing(|rows, mode| match mode {
        RunMode::Caller => micros(20 + rows),
        RunMode::Pool => micros(60 + rows),
    });
    let (measured, _, took) = puppet.measure();
    let points = points(&measured[0]);
    let rows: Vec<usize> = points.iter().map(|point| point.rows).collect();
    // From 256 rows to 512 the rate still rises by 4 %, then by 2 %: both are too few.
    assert_eq!(rows, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024]);
    assert_eq!(points[4].caller, micros(36));
    assert_eq!(points[4].pool, micros(76));
    let curve = measured[0].curve.as_ref().unwrap();
    assert_eq!((curve.row_bytes, curve.mode(64)), (4, RunMode::Caller));
    assert_eq!(
        (curve.rows_within(micros(200)), curve.useful_rows()),
        (180, 512)
    );
    assert_eq!(
        (&measured[0].alone, &measured[0].unmeasured),
        (&None, &None)
    );
    assert!(took < Duration::from_millis(60), "{took:?}");
}

#[test]
fn it_ends_where_more_rows_do_not_pay() {
    let (measured, ..) = Puppet::costing(|rows, _| micros(1000 + 1000 * rows.max(4))).measure();
    let rows: Vec<usize> = points(&measured[0])
        .iter()
        .map(|point| point.rows)
        .collect();
    assert_eq!(rows, [1, 2, 4, 8, 16, 32, 64]);
    assert_eq!(measured[0].curve.as_ref().unwrap().useful_rows(), 16);
}

#[test]
fn slow_models_stay_within_the_budget() {
    for (millis, least) in [(5, 3), (40, 2), (150, 2), (220, 1), (1900, 0), (5000, 0)] {
        let puppet = Puppet::costing(move |rows, _| micros(millis * 1000 * rows));
        let (measured, runs, took) = puppet.measure();
        assert!(took <= BUDGET, "{millis} ms a row: {took:?}, {runs:?}");
        let count = measured[0]
            .curve
            .as_ref()
            .map_or(0, |curve| curve.points.len());
        assert!(
            count >= least,
            "{millis} ms a row: {count} points, {runs:?}"
        );
        if count == 0 {
            let reason = measured[0].unmeasured.as_deref().unwrap();
            assert_eq!(reason, "a run takes longer than the time for measuring it");
        }
    }
}

#[test]
fn the_first_run_of_a_size_is_not_counted() {
    let seen = Mutex::new(std::collections::HashSet::new());
    let puppet = Puppet::costing(move |rows, mode| {
        let is_first = seen.lock().unwrap().insert((rows, mode == RunMode::Pool));
        micros(if is_first { 5000 } else { 10 + rows })
    });
    let (measured, ..) = puppet.measure();
    assert!(
        points(&measured[0])
            .iter()
            .all(|point| point.caller == micros(10 + point.rows))
    );
}

#[test]
fn a_first_run_that_prepares_for_long_is_not_mistaken_for_the_usual() {
    let is_first = Mutex::new(true);
    let puppet = Puppet::costing(move |rows, _| {
        let was_first = std::mem::take(&mut *is_first.lock().unwrap());
        micros(if was_first { 1_200_000 } else { 100 * rows })
    });
    let (measured, _, took) = puppet.measure();
    assert!(points(&measured[0]).len() >= 3);
    assert!(took < BUDGET);
}

#[test]
fn the_budget_is_shared_and_the_default_goes_first() {
    let puppet = Puppet::costing(|rows, _| micros(30_000 * rows)).edit(|puppet| {
        let names = ["a", "b", "serving_default", "z"];
        puppet.signatures = names.map(|name| signature(name, DType::Float)).into();
    });
    let (measured, _, took) = puppet.measure();
    assert!(took <= BUDGET);
    for each in &measured {
        assert!(points(each).len() >= 2, "{each:?}");
    }
}

#[test]
fn rows_that_notice_each_other_run_alone() {
    let normalising = |rows: &[f32], _: RunMode| {
        let mean = rows.iter().sum::<f32>() / rows.len() as f32;
        Ok((rows.iter().map(|row| row - mean).collect(), micros(10)))
    };
    let (measured, ..) = Puppet::new(normalising).measure();
    assert_eq!(
        measured[0].alone.as_deref(),
        Some("its output \"y\" for a row depends on the other rows of the batch")
    );
    // A client may still send it many rows at once.
    assert!(points(&measured[0]).len() > 3);

    let sorting = |rows: &[f32], _: RunMode| {
        let mut rows = rows.to_vec();
        rows.sort_by(f32::total_cmp);
        Ok((rows, micros(10)))
    };
    assert!(Puppet::new(sorting).measure().0[0].alone.is_some());
}

#[test]
fn outputs_without_rows_run_alone() {
    let alone = |act: fn(&[f32]) -> Vec<f32>| {
        let puppet = Puppet::new(move |rows, _| Ok((act(rows), micros(10))));
        puppet.measure().0[0].alone.clone().unwrap()
    };
    assert_eq!(
        alone(|rows| vec![rows.iter().sum()]),
        "its output \"y\" for 3 rows has the shape [1], not a row for each"
    );
    // Three values whatever comes in: a batch of three looks right.
    assert_eq!(
        alone(|_| vec![1.0; 3]),
        "its output \"y\" for 1 row has the shape [3], not a row for each"
    );
}

#[test]
fn random_outputs_run_alone() {
    let last = Mutex::new(0.0);
    let random = move |rows: &[f32], _: RunMode| {
        let mut last = last.lock().unwrap();
        *last += 1.0;
        Ok((vec![*last; rows.len()], micros(10)))
    };
    assert_eq!(
        Puppet::new(random).measure().0[0].alone.as_deref(),
        Some("the same row gives different outputs each time")
    );
}

#[test]
fn a_model_of_single_rows_runs_alone() {
    let single = |rows: &[f32], _: RunMode| match rows {
        [row] => Ok((vec![*row], micros(10))),
        _ => Err(ServeError::invalid_argument("only one")),
    };
    let (measured, ..) = Puppet::new(single).measure();
    assert_eq!(
        measured[0].alone.as_deref(),
        Some("a batch of 3 rows fails: only one")
    );
    assert_eq!(points(&measured[0]).len(), 1);
}

#[test]
fn noise_of_kernels_is_no_difference() {
    let noisy = |rows: &[f32], _: RunMode| {
        let noise = 1.0 + rows.len() as f32 * 1e-5;
        Ok((rows.iter().map(|row| row * noise).collect(), micros(10)))
    };
    assert_eq!(Puppet::new(noisy).measure().0[0].alone, None);
}

#[test]
fn refused_inputs_leave_it_to_live_traffic() {
    let (measured, runs, _) =
        Puppet::new(|_, _| Err(ServeError::invalid_argument("not these\nin node x"))).measure();
    assert_eq!(measured[0].curve, None);
    assert_eq!(
        measured[0].unmeasured.as_deref(),
        Some("it refuses the inputs made up for it: not these")
    );
    assert_eq!(runs.len(), 1);
    let (measured, ..) = Puppet::new(|_, _| panic!("as told")).measure();
    assert!(
        measured[0]
            .unmeasured
            .as_ref()
            .unwrap()
            .ends_with("the run panicked")
    );
}

#[test]
fn several_guesses_are_made() {
    let picky = |rows: &[f32], _: RunMode| {
        // As whole numbers: only a one is taken.
        let is_one = rows.iter().all(|row| row.to_bits() == 1);
        let refusal = || ServeError::invalid_argument("only ones");
        is_one
            .then(|| (twice(rows), micros(10)))
            .ok_or_else(refusal)
    };
    let puppet = Puppet::new(picky).edit(|puppet| {
        puppet.signatures[0].inputs[0].dtype = DType::Int32;
    });
    assert!(puppet.measure().0[0].curve.is_some());
}

#[test]
fn recorded_inputs_come_first() {
    let only_recorded = |rows: &[f32], _: RunMode| {
        let is_known = rows.iter().all(|row| (41.0..44.0).contains(row));
        let refusal = || ServeError::invalid_argument("unknown");
        is_known
            .then(|| (twice(rows), micros(10)))
            .ok_or_else(refusal)
    };
    let recorded = |_| {
        let bytes: Vec<u8> = [41.0f32, 42.0, 43.0]
            .iter()
            .flat_map(|v| v.to_le_bytes())
            .collect();
        let shape = Shape::new(&[3]).unwrap();
        let tensor = Tensor::fixed(DType::Float, shape, bytes.into()).unwrap();
        Some(Sample::recorded(vec![tensor]))
    };
    let (measured, ..) = Puppet::new(only_recorded).measure_with(&recorded);
    assert!(points(&measured[0]).len() > 5);
    assert_eq!(measured[0].alone, None);
}

#[test]
fn what_may_loop_runs_in_the_pool_only() {
    let puppet = Puppet::costing(|rows, _| micros(10 + rows))
        .edit(|puppet| puppet.executor.is_unpredictable = true);
    let (measured, runs, _) = puppet.measure();
    assert!(runs.iter().all(|(_, mode)| *mode == RunMode::Pool));
    assert!(
        points(&measured[0])
            .iter()
            .all(|point| point.caller == Point::NEVER)
    );
    assert_eq!(measured[0].curve.as_ref().unwrap().rows_within(BUDGET), 0);
}

#[test]
fn an_endless_loop_ends_with_the_budget() {
    let puppet = Puppet::costing(|_, _| Duration::from_secs(1 << 30))
        .edit(|puppet| puppet.executor.is_unpredictable = true);
    let (measured, runs, took) = puppet.measure();
    assert_eq!(
        (measured[0].curve.as_ref(), runs.len(), took),
        (None, 1, BUDGET)
    );
}

#[test]
fn what_has_effects_is_not_run() {
    let puppet = Puppet::costing(|_, _| micros(10)).edit(|puppet| {
        puppet.executor.has_effects = true;
        puppet.signatures[0].alone = Some("it counts".into());
    });
    let (measured, runs, _) = puppet.measure();
    assert!(runs.is_empty());
    assert_eq!(
        measured[0].unmeasured.as_deref(),
        Some("a run of it changes what later ones answer")
    );
}

#[test]
fn what_is_alone_by_its_shape_has_one_point() {
    let puppet = Puppet::costing(|_, _| micros(10)).edit(|puppet| {
        let signature = &mut puppet.signatures[0];
        signature.inputs[0].shape = Some(vec![8]);
        signature.alone = Some("fixed".into());
    });
    let (measured, runs, _) = puppet.measure();
    let rows: Vec<usize> = points(&measured[0])
        .iter()
        .map(|point| point.rows)
        .collect();
    assert_eq!(rows, [8]);
    assert!(runs.iter().all(|(rows, _)| *rows == 8));
}

#[test]
fn a_hiccup_does_not_end_the_ladder() {
    let count = Mutex::new(Cell::new(0));
    let puppet = Puppet::costing(move |rows, _| {
        let count = count.lock().unwrap();
        count.set(count.get() + 1);
        // Now and then something else has the core.
        micros(20 + rows + if count.get() % 7 == 0 { 400 } else { 0 })
    });
    let (measured, ..) = puppet.measure();
    assert!(points(&measured[0]).len() >= 9);
    assert_eq!(points(&measured[0])[0].caller, micros(21));
}

#[test]
fn beside_others_nothing_is_run_for_long() {
    let mut puppet = Puppet::costing(|_, _| Duration::from_millis(2));
    puppet.others_answer = true;
    let (measured, runs, _) = puppet.measure();
    assert_eq!(runs, [(1, RunMode::Caller), (1, RunMode::Caller)]);
    assert_eq!(
        measured[0].unmeasured.as_deref(),
        Some("a run of it takes more than 1ms, and other models answer requests")
    );
    assert!(measured[0].is_provisional && measured[0].curve.is_none());
}

#[test]
fn beside_others_quick_runs_are_measured_for_as_long_as_they_are_quick() {
    let mut puppet = Puppet::costing(|rows, _| Duration::from_micros(100 + rows as u64 * 10));
    puppet.others_answer = true;
    let (measured, runs, _) = puppet.measure();
    let curve = measured[0].curve.as_ref().unwrap();
    let last = curve.points.last().unwrap();
    assert!(
        last.rows >= 32 && last.best() <= Duration::from_millis(1),
        "{last:?}"
    );
    assert!(runs.iter().any(|(_, mode)| *mode == RunMode::Pool));
    assert!(!measured[0].is_provisional);
}

#[test]
fn beside_others_what_can_loop_is_still_interrupted() {
    let mut puppet = Puppet::costing(|_, _| Duration::from_mins(1));
    puppet.others_answer = true;
    puppet.executor.is_unpredictable = true;
    let (measured, runs, took) = puppet.measure();
    assert_eq!(runs, [(1, RunMode::Pool)]);
    assert!(took <= BUDGET && measured[0].curve.is_none());
}
