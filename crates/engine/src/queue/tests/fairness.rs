//! No model waits for another's queue.

use std::sync::Arc;

use super::{Bench, at_most};
use crate::testing::PuppetModel;

/// How many batches of each of two models run in 100 ms of one runner, if both always have
/// something queued and their runs take so many milliseconds.
fn turns(bench: &mut Bench, models: [(&PuppetModel, u32); 2]) -> [usize; 2] {
    let mut turns = [0; 2];
    let mut left = 100;
    while left > 0 {
        let formed = bench.form();
        let ran = &formed.members[0].call.model;
        let which = usize::from(!Arc::ptr_eq(ran, &models[0].0.served));
        let (model, millis) = models[which];
        turns[which] += 1;
        left -= i64::from(millis);
        bench.push(model.rows(1, 1));
        bench.finish(&formed.ticket, millis);
    }
    turns
}

#[test]
fn a_light_model_does_not_wait_for_a_heavy_ones_queue() {
    let (heavy, light) = (
        PuppetModel::echoes(at_most(1)),
        PuppetModel::echoes(at_most(1)),
    );
    let mut bench = Bench::new();
    (0..50).for_each(|_| bench.push(heavy.rows(1, 1)));
    (0..5).for_each(|_| bench.push(light.rows(1, 1)));
    // Each gets half of the time: ten times the turns for a tenth of the cost.
    let [heavy_turns, light_turns] = turns(&mut bench, [(&heavy, 10), (&light, 1)]);
    assert!((4..=6).contains(&heavy_turns), "{heavy_turns}");
    assert!((40..=60).contains(&light_turns), "{light_turns}");
}

#[test]
fn who_was_idle_has_saved_up_nothing() {
    let (busy, idle) = (
        PuppetModel::echoes(at_most(1)),
        PuppetModel::echoes(at_most(1)),
    );
    let mut bench = Bench::new();
    (0..50).for_each(|_| bench.push(busy.rows(1, 1)));
    for _ in 0..40 {
        let formed = bench.form();
        bench.finish(&formed.ticket, 10);
    }
    (0..10).for_each(|_| bench.push(idle.rows(1, 1)));
    let [busy_turns, idle_turns] = turns(&mut bench, [(&busy, 10), (&idle, 10)]);
    assert!((4..=6).contains(&busy_turns), "{busy_turns}");
    assert!((4..=6).contains(&idle_turns), "{idle_turns}");
}

#[test]
fn nobody_escapes_his_debt_by_being_empty_for_a_moment() {
    let (heavy, light) = (
        PuppetModel::echoes(at_most(1)),
        PuppetModel::echoes(at_most(1)),
    );
    let mut bench = Bench::new();
    (0..30).for_each(|_| bench.push(light.rows(1, 1)));
    bench.push(heavy.rows(1, 1));
    let (mut heavy_turns, mut light_turns) = (0, 0);
    while light_turns < 20 {
        let formed = bench.form();
        if Arc::ptr_eq(&formed.members[0].call.model, &heavy.served) {
            heavy_turns += 1;
            // The next one comes when this one is answered.
            bench.finish(&formed.ticket, 10);
            bench.push(heavy.rows(1, 1));
        } else {
            light_turns += 1;
            bench.finish(&formed.ticket, 1);
        }
    }
    assert!(heavy_turns <= 3, "{heavy_turns}");
}
