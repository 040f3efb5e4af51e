use std::time::{Duration, Instant};

use crate::testing::{
    HOUR, PuppetModel, acting, dispatcher, gated, limited, options, refused, submit, until,
};
use crate::{Batching, Clock, Dispatcher, EngineOptions, Gauges, Kind, Limits};

#[test]
fn a_call_without_a_deadline_gets_the_servers() {
    let dispatcher = Dispatcher::new(&EngineOptions {
        default_timeout: Some(HOUR),
        ..options()
    })
    .unwrap();
    let model = PuppetModel::echoes(Batching::default());
    let mut call = model.rows(1, 1);
    dispatcher.admit(&mut call).unwrap();
    assert_eq!(call.deadline(), Some(call.arrived + HOUR));
    let own = Instant::now() + 2 * HOUR;
    let mut call = until(&model, own);
    dispatcher.admit(&mut call).unwrap();
    assert_eq!(call.deadline(), Some(own));
}

#[test]
fn what_can_t_be_done_in_time_is_refused_at_once() {
    let dispatcher = dispatcher();
    let gated = gated(Batching::default());
    let slow = PuppetModel::echoes(Batching::default()).measured(&[(1, 3_000_000)], 2);
    let first = gated.occupy(&dispatcher);
    // Nothing waits yet, and three seconds are enough.
    let clock = |seconds| {
        let arrived = Instant::now();
        let deadline = Some(arrived + Duration::from_secs(seconds));
        Clock { arrived, deadline }
    };
    let mut answers: Vec<_> = (0..2)
        .map(|_| submit(&dispatcher, slow.rows_at(1, clock(7))))
        .collect();
    let error = refused(&dispatcher, slow.rows_at(1, clock(7)));
    assert_eq!(error.kind(), Kind::DeadlineExceeded);
    assert_eq!(
        error.message(),
        "the request would have to wait about 6000 ms and then run for about 3000 ms, and its \
         deadline is in 7000 ms"
    );
    assert_eq!(dispatcher.gauges().requests, 3);
    answers.push(submit(&dispatcher, slow.rows_at(1, clock(10))));
    // An I/O thread runs this one, whatever waits for the runners.
    let quick = PuppetModel::echoes(Batching::default()).measured(&[(1, 20)], 2);
    let mut call = quick.rows_at(1, clock(1));
    dispatcher.admit(&mut call).unwrap();
    // An expectation may be wrong, and is tested now and then.
    let is_let_in = |_: &i32| dispatcher.admit(&mut slow.rows_at(1, clock(1))).is_ok();
    assert_eq!((0..15).filter(is_let_in).count(), 1);
    gated.leave(1);
    answers.push(first);
    for answer in answers {
        answer.blocking_recv().unwrap().unwrap();
    }
}

#[tokio::test]
async fn an_expired_call_is_refused_without_a_run() {
    let model = acting(|| panic!("must not run"));
    let dispatcher = dispatcher();
    let outcome = dispatcher.dispatch(until(&model, Instant::now())).await;
    let error = outcome.unwrap_err();
    assert_eq!(error.kind(), Kind::DeadlineExceeded);
    assert_eq!(error.message(), "Timed out waiting for notification");
}

#[test]
fn a_request_larger_than_a_batch_may_be_is_refused_where_the_model_was_told() {
    let dispatcher = dispatcher();
    let told = PuppetModel::echoes(Batching {
        max_batch_size: Some(10),
        ..Batching::default()
    });
    let error = refused(&dispatcher, told.rows(11, 1));
    assert_eq!(error.kind(), Kind::InvalidArgument);
    assert_eq!(
        error.message(),
        "Task size 11 is larger than maximum input batch size 10"
    );
    assert!(dispatcher.admit(&mut told.rows(10, 1)).is_ok());
    let untold = PuppetModel::echoes(Batching::default()).measured(&[(1, 1), (4, 2)], 2);
    let answer = submit(&dispatcher, untold.rows(1000, 1));
    assert!(answer.blocking_recv().unwrap().is_ok());
    assert_eq!(untold.rows_run(), [1000]);
}

#[test]
fn a_request_of_too_many_parts_is_refused() {
    let dispatcher = dispatcher();
    let model = PuppetModel::echoes(Batching {
        max_execution_batch_size: Some(2),
        enable_large_batch_splitting: true,
        ..Batching::default()
    });
    let rows = 2 << 16;
    assert!(dispatcher.admit(&mut model.rows(rows, 1)).is_ok());
    let error = refused(&dispatcher, model.rows(rows + 1, 1));
    assert_eq!(error.kind(), Kind::InvalidArgument);
    assert_eq!(
        error.message(),
        "a request of 131073 rows would run as more than 65536 batches of 2; send it in smaller \
         ones"
    );
}

#[test]
fn over_a_limit_a_request_is_refused_and_takes_nothing() {
    let model = PuppetModel::echoes(Batching::default());
    let limits = [
        (
            Limits {
                requests: 2,
                ..Limits::default()
            },
            "2 requests of 2 are in flight",
            1,
        ),
        (
            Limits {
                rows: 6,
                ..Limits::default()
            },
            "6 rows of 6 are in flight",
            3,
        ),
        (
            Limits {
                bytes: 12,
                ..Limits::default()
            },
            "12 bytes of input of 12 are in flight",
            6,
        ),
    ];
    for (limits, text, wanted) in limits {
        let dispatcher = limited(limits);
        let mut calls = [model.rows(3, 1), model.rows(3, 1)];
        for call in &mut calls {
            dispatcher.admit(call).unwrap();
        }
        let before = dispatcher.gauges();
        let error = refused(&dispatcher, model.rows(3, 1));
        assert_eq!(error.kind(), Kind::ResourceExhausted);
        assert_eq!(
            error.message(),
            format!("the server is full: {text}, and this request has {wanted}; try again later")
        );
        assert!(error.retry_delay().unwrap() > Duration::ZERO);
        assert_eq!(dispatcher.gauges(), before);
        drop(calls);
        assert_eq!(dispatcher.gauges(), Gauges::default());
        assert!(dispatcher.admit(&mut model.rows(3, 1)).is_ok());
    }
}

#[test]
fn a_request_larger_than_a_whole_limit_is_told_so() {
    let model = PuppetModel::echoes(Batching::default());
    let dispatcher = limited(Limits {
        rows: 4,
        bytes: 7,
        ..Limits::default()
    });
    for (rows, what) in [
        (5, "5 rows, and the server takes 4 rows"),
        (4, "8 bytes of input"),
    ] {
        let error = refused(&dispatcher, model.rows(rows, 1));
        assert_eq!(error.kind(), Kind::ResourceExhausted);
        assert!(
            error.message().starts_with("the request alone has "),
            "{error}"
        );
        assert!(error.message().contains(what), "{error}");
        assert_eq!(error.retry_delay(), None);
    }
    assert_eq!(dispatcher.gauges(), Gauges::default());
}

#[test]
fn the_dead_in_the_queue_make_room_for_the_living() {
    let dispatcher = limited(Limits {
        requests: 3,
        ..Limits::default()
    });
    let gated = gated(Batching::default());
    let first = gated.occupy(&dispatcher);
    for _ in 0..2 {
        drop(submit(&dispatcher, gated.model.rows(1, 66)));
    }
    // The queue is looked through seldom, counted by the time of the call.
    let clock = Clock {
        arrived: Instant::now() + HOUR,
        deadline: None,
    };
    let last = submit(&dispatcher, gated.model.rows_at(1, clock));
    assert_eq!(dispatcher.gauges().requests, 2);
    gated.leave(2);
    for answer in [first, last] {
        assert!(answer.blocking_recv().unwrap().is_ok());
    }
    assert_eq!(gated.model.rows_run(), [1, 1]);
}
