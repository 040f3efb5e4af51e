use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread::ThreadId;
use std::time::Duration;

use super::Call;
use crate::testing::{Puppet, PuppetModel, acting, dispatcher, fixed, rows_of_two, strings};
use crate::{Batching, Clock, Kind, Outputs, ServeError};

#[tokio::test]
async fn answers_what_the_executor_answers() {
    let dispatcher = dispatcher();
    let model = PuppetModel::echoes(Batching::default());
    let answer = dispatcher.dispatch(model.rows(3, 7)).await.unwrap();
    assert_eq!(answer.outputs, [rows_of_two(3, 7)]);
    let failing = acting(|| Err(ServeError::failed_precondition("no table")));
    let error = dispatcher.dispatch(failing.rows(1, 1)).await.unwrap_err();
    assert_eq!(error.kind(), Kind::FailedPrecondition);
}

#[tokio::test]
async fn unknown_cost_goes_to_a_runner_and_a_small_one_stays_here() {
    let here = std::thread::current().id();
    let (ran_on, threads) = channel();
    let model = acting(move || {
        ran_on.send(std::thread::current().id()).unwrap();
        Ok(())
    });
    let dispatcher = dispatcher();
    // The first run is not measured, the second is the first measure.
    for _ in 0..2 {
        dispatcher.dispatch(model.rows(1, 1)).await.unwrap();
        assert_ne!(threads.recv().unwrap(), here);
    }
    // A busy machine may have made the measured run slow; its average then sinks.
    for _ in 0..1000 {
        dispatcher.dispatch(model.rows(1, 1)).await.unwrap();
        if threads.recv().unwrap() == here {
            return;
        }
    }
    panic!("a run of microseconds never came to this thread");
}

#[test]
fn the_curve_tells_who_runs_it_until_live_traffic_knows_better() {
    let dispatcher = dispatcher();
    let points = [(1, 50), (8, 150), (16, 300)];
    let model = PuppetModel::echoes(Batching::default()).measured(&points, 2);
    let is_inline = |rows| dispatcher.is_inline(&model.rows(rows, 1));
    assert!(is_inline(1) && is_inline(8));
    assert!(!is_inline(11) && !is_inline(100));
    // Rows that are much larger than those measured are another matter.
    let wide = fixed(&[1, 64], &[1; 64]);
    assert!(!dispatcher.is_inline(&model.call(vec![wide])));
    let record = |micros| {
        let cost = model.served.cost(0);
        (0..40).for_each(|_| cost.record(16, Duration::from_micros(micros), true));
    };
    record(2000);
    assert!(!is_inline(8));
    assert!(is_inline(1));
}

#[test]
fn what_waits_or_is_split_or_counted_is_for_the_runners() {
    let dispatcher = dispatcher();
    let is_inline = |batching| {
        let model = PuppetModel::echoes(batching).measured(&[(64, 20)], 2);
        dispatcher.is_inline(&model.rows(4, 1))
    };
    assert!(is_inline(Batching::default()));
    assert!(!is_inline(Batching {
        batch_timeout: Some(Duration::from_millis(1)),
        ..Batching::default()
    }));
    assert!(!is_inline(Batching {
        num_batch_threads: Some(1),
        ..Batching::default()
    }));
    let splitting = |most| Batching {
        max_batch_size: Some(most),
        enable_large_batch_splitting: true,
        ..Batching::default()
    };
    assert!(is_inline(splitting(4)));
    assert!(!is_inline(splitting(3)));
}

#[tokio::test]
async fn what_may_take_any_time_never_stays_here() {
    let here = std::thread::current().id();
    let looping = Puppet {
        is_unpredictable: true,
        ..Puppet::default()
    }
    .acts(move |seen| {
        assert_ne!(std::thread::current().id(), here);
        seen.echo()
    });
    let dispatcher = dispatcher();
    for _ in 0..100 {
        dispatcher.dispatch(looping.rows(1, 1)).await.unwrap();
    }
}

#[tokio::test]
async fn what_was_once_very_slow_here_does_not_stay_again() {
    let here = std::thread::current().id();
    let (ran_on, threads): (_, Receiver<ThreadId>) = channel();
    let model = acting(move || {
        let thread = std::thread::current().id();
        ran_on.send(thread).unwrap();
        if thread == here {
            std::thread::sleep(Duration::from_millis(60));
        }
        Ok(())
    });
    let dispatcher = dispatcher();
    for _ in 0..1000 {
        dispatcher.dispatch(model.rows(1, 1)).await.unwrap();
    }
    assert!(threads.try_iter().filter(|thread| *thread == here).count() <= 1);
}

#[test]
fn a_wrong_dtype_makes_no_call() {
    let model = PuppetModel::echoes(Batching::default());
    let error = Call::new(
        Arc::clone(&model.served),
        0,
        vec![strings(&[1], &["a"])],
        Outputs::from_elem(0, 1),
        Clock::until(None),
    )
    .unwrap_err();
    assert_eq!(
        error.message(),
        "Expects arg[0] to be uint8 but string is provided"
    );
}
