use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use crate::testing::{
    Gated, HOUR, PuppetModel, acting, dispatcher, gated, options, rows_of_two, submit, until,
};
use crate::{
    Batching, Call, Clock, Dispatcher, EngineOptions, Gauges, Kind, ModelSelector, Outputs,
    Registry, RunMode, ServedModel, State, Version,
};

#[test]
fn batches_grow_while_the_runner_is_busy() {
    let dispatcher = dispatcher();
    let gated = gated(Batching {
        max_batch_size: Some(64),
        ..Batching::default()
    });
    let first = gated.occupy(&dispatcher);
    let answers: Vec<_> = (0..40)
        .map(|n| submit(&dispatcher, gated.model.rows(1, n)))
        .collect();
    assert_eq!(dispatcher.gauges().queued, 40);
    gated.leave(2);
    assert!(first.blocking_recv().unwrap().is_ok());
    for (n, answer) in answers.into_iter().enumerate() {
        let answer = answer.blocking_recv().unwrap().unwrap();
        assert_eq!(answer.outputs, [rows_of_two(1, n as u8)]);
        assert_eq!(answer.timings.batch_rows, 40);
    }
    assert_eq!(gated.model.rows_run(), [1, 40]);
}

#[test]
fn the_faster_mode_of_the_batchs_size_is_used() {
    let dispatcher = dispatcher();
    let gated = gated(Batching::default());
    let point = |rows, caller, pool| crate::Point {
        rows,
        caller: Duration::from_millis(caller),
        pool: Duration::from_millis(pool),
    };
    let curve = crate::Curve {
        points: vec![point(1, 1, 2), point(4, 4, 3)],
        row_bytes: 2,
    };
    gated.model.served.set_curve(0, curve);
    let mut answers = vec![gated.occupy(&dispatcher)];
    answers.extend((0..4).map(|n| submit(&dispatcher, gated.model.rows(1, n))));
    gated.leave(2);
    for answer in answers {
        answer.blocking_recv().unwrap().unwrap();
    }
    let modes: Vec<_> = gated.model.seen().iter().map(|seen| seen.mode).collect();
    assert_eq!(modes, [RunMode::Caller, RunMode::Pool]);
}

#[tokio::test(start_paused = true)]
async fn a_deadline_answers_while_the_runner_is_busy() {
    let dispatcher = dispatcher();
    let gated = gated(Batching::default());
    let in_an_hour = Instant::now() + HOUR;
    // In its run, and then in the queue behind that run.
    let error = {
        let mut running = pin!(dispatcher.dispatch(until(&gated.model, in_an_hour)));
        // Begun, and waited for only then: a paused clock gives the runner no time for it.
        poll_fn(|context| {
            assert!(running.as_mut().poll(context).is_pending());
            Poll::Ready(())
        })
        .await;
        gated.beginnings.recv().unwrap();
        running.await.unwrap_err()
    };
    assert_eq!(error.kind(), Kind::DeadlineExceeded);
    let queued = dispatcher.dispatch(until(&gated.model, in_an_hour)).await;
    assert_eq!(queued.unwrap_err().kind(), Kind::DeadlineExceeded);
    // Its place in the limits goes with it until a runner drops it.
    assert_eq!(dispatcher.gauges().requests, 2);
    gated.leave(1);
    drop(dispatcher);
    assert_eq!(gated.model.seen().len(), 1);
}

#[test]
fn what_is_cancelled_in_the_queue_is_not_run() {
    let dispatcher = dispatcher();
    let gated = gated(Batching::default());
    let first = gated.occupy(&dispatcher);
    drop(submit(&dispatcher, gated.model.rows(1, 66)));
    let other = submit(&dispatcher, gated.model.rows(1, 2));
    gated.leave(2);
    for answer in [first, other] {
        assert!(answer.blocking_recv().unwrap().is_ok());
    }
    assert_eq!(gated.model.rows_run(), [1, 1]);
    drop(dispatcher);
}

#[test]
fn a_stop_finishes_what_is_queued() {
    let dispatcher = dispatcher();
    let gated = gated(Batching {
        num_batch_threads: Some(1),
        batch_timeout: Some(HOUR),
        max_batch_size: Some(2),
        ..Batching::default()
    });
    // Full, so that it runs at once; of the rest nobody fills the batch.
    let running = submit(&dispatcher, gated.model.rows(2, 1));
    gated.beginnings.recv().unwrap();
    let queued = submit(&dispatcher, gated.model.rows(1, 2));
    gated.leave(2);
    drop(dispatcher);
    for answer in [running, queued] {
        assert!(answer.blocking_recv().unwrap().is_ok());
    }
}

#[test]
fn an_unload_waits_for_the_batches_in_flight() {
    let dispatcher = dispatcher();
    let registry = Arc::new(Registry::default());
    let Gated {
        model,
        beginnings,
        leave,
    } = gated(Batching::default());
    let served = Arc::into_inner(model.served).unwrap();
    let served = registry.load("m", 1, || Ok(served)).unwrap().model;
    let call = |served: &Arc<ServedModel>| {
        let inputs = vec![rows_of_two(1, 1)];
        let outputs = Outputs::from_elem(0, 1);
        Call::new(Arc::clone(served), 0, inputs, outputs, Clock::until(None)).unwrap()
    };
    let running = submit(&dispatcher, call(&served));
    beginnings.recv().unwrap();
    let queued = submit(&dispatcher, call(&served));
    drop(served);
    let unload = std::thread::spawn({
        let registry = Arc::clone(&registry);
        move || registry.unload("m", 1)
    });
    let selector = ModelSelector {
        name: "m",
        version: Version::Latest,
    };
    while registry.find(selector).is_ok() {
        std::thread::yield_now();
    }
    assert!(!unload.is_finished());
    for answer in [running, queued] {
        leave.send(()).unwrap();
        assert!(answer.blocking_recv().unwrap().is_ok());
    }
    assert!(unload.join().unwrap());
    assert_eq!(registry.status(selector).unwrap()[0].state, State::End);
}

#[test]
fn cancelled_or_not_all_is_given_back() {
    let model = PuppetModel::echoes(Batching {
        max_batch_size: Some(8),
        ..Batching::default()
    });
    let dispatcher = Dispatcher::new(&EngineOptions {
        runner_threads: 2,
        ..options()
    })
    .unwrap();
    let mut kept = Vec::new();
    for n in 0..2000_u32 {
        let answer = submit(&dispatcher, model.rows(1, (n % 250) as u8));
        // Others are dropped, at a moment that the runners choose.
        if n % 3 == 0 {
            kept.push((n, answer));
        }
    }
    for (n, answer) in kept {
        let answer = answer.blocking_recv().unwrap().unwrap();
        assert_eq!(answer.outputs, [rows_of_two(1, (n % 250) as u8)]);
    }
    // One that comes last in the same group is answered after all of them are done with.
    let last = submit(&dispatcher, model.rows(1, 1));
    last.blocking_recv().unwrap().unwrap();
    while dispatcher.gauges() != Gauges::default() {
        std::thread::yield_now();
    }
    drop(dispatcher);
    assert_eq!(Arc::strong_count(&model.served), 1);
}

#[tokio::test]
async fn a_panic_answers_internal_and_costs_no_runner() {
    let dispatcher = dispatcher();
    let panicking = acting(|| panic!("as told"));
    for _ in 0..3 {
        let outcome = dispatcher.dispatch(panicking.rows(1, 1)).await;
        assert_eq!(outcome.unwrap_err().kind(), Kind::Internal);
    }
    let model = PuppetModel::echoes(Batching::default());
    assert!(dispatcher.dispatch(model.rows(1, 1)).await.is_ok());
}
