use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::thread::ThreadId;
use std::time::{Duration, Instant};

use tensor::DType;
use tokio::sync::oneshot;

use super::{Call, Dispatcher};
use crate::respond::Outcome;
use crate::testing::{Puppet, PuppetModel, Seen, fixed, rows_of_two, strings};
use crate::{
    Batching, Clock, EngineOptions, Gauges, Kind, Limits, Outputs, Registry, RunMode, ServeError,
    ServedModel, State,
};
use crate::{ModelSelector, Version};

/// Far enough that a real clock never comes there; a paused one jumps to it when all
/// others wait.
const HOUR: Duration = Duration::from_hours(1);

fn options() -> EngineOptions {
    EngineOptions {
        runner_threads: 1,
        limits: Limits::default(),
        default_timeout: None,
    }
}

fn dispatcher() -> Dispatcher {
    Dispatcher::new(&options()).unwrap()
}

fn limited(limits: Limits) -> Dispatcher {
    Dispatcher::new(&EngineOptions {
        limits,
        ..options()
    })
    .unwrap()
}

fn acting(act: impl Fn() -> Result<(), ServeError> + Send + Sync + 'static) -> PuppetModel {
    Puppet::default().acts(move |seen| {
        act()?;
        seen.echo()
    })
}

fn until(model: &PuppetModel, deadline: Instant) -> Call {
    model.rows_at(1, Clock::until(Some(deadline)))
}

/// A model that tells when a run begins, and waits for leave to end it.
struct Gated {
    model: PuppetModel,
    beginnings: Receiver<()>,
    leave: Sender<()>,
}

fn gated(batching: Batching) -> Gated {
    let (began, beginnings) = channel();
    let (leave, gate) = channel();
    let gate = Mutex::new(gate);
    let act = move |seen: &Seen| {
        began.send(()).unwrap();
        gate.lock().unwrap().recv().unwrap();
        seen.echo()
    };
    let model = Puppet {
        batching,
        ..Puppet::default()
    };
    Gated {
        model: model.acts(act),
        beginnings,
        leave,
    }
}

impl Gated {
    /// Submits a request that keeps the only runner busy until `leave`.
    fn occupy(&self, dispatcher: &Dispatcher) -> oneshot::Receiver<Outcome> {
        let answer = submit(dispatcher, self.model.rows(1, 255));
        self.beginnings.recv().unwrap();
        answer
    }

    fn leave(&self, runs: usize) {
        (0..runs).for_each(|_| self.leave.send(()).unwrap());
    }
}

fn submit(dispatcher: &Dispatcher, mut call: Call) -> oneshot::Receiver<Outcome> {
    dispatcher.admit(&mut call).unwrap();
    dispatcher.submit(call).unwrap()
}

fn refused(dispatcher: &Dispatcher, mut call: Call) -> ServeError {
    dispatcher.admit(&mut call).unwrap_err()
}

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
    assert!(!is_inline(9) && !is_inline(100));
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

fn splitting(most: usize) -> Batching {
    Batching {
        max_batch_size: Some(most),
        enable_large_batch_splitting: true,
        ..Batching::default()
    }
}

#[test]
fn a_large_request_is_split_and_joined() {
    let dispatcher = dispatcher();
    let model = Puppet {
        dtypes: vec![DType::UInt8, DType::String],
        batching: splitting(4),
        ..Puppet::default()
    }
    .echoes();
    let texts = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];
    let inputs = vec![fixed(&[10, 1], b"0123456789"), strings(&[10], &texts)];
    let answer = submit(&dispatcher, model.call(inputs.clone()));
    let answer = answer.blocking_recv().unwrap().unwrap();
    assert_eq!(answer.outputs, inputs);
    assert_eq!((answer.timings.rows, answer.timings.batch_rows), (10, 4));
    let mut rows = model.rows_run();
    rows.sort_unstable();
    assert_eq!(rows, [2, 4, 4]);
    assert_eq!(dispatcher.gauges().requests, 0);
}

#[test]
fn the_execution_size_splits_and_its_rest_meets_others() {
    let dispatcher = dispatcher();
    let gated = gated(Batching {
        max_execution_batch_size: Some(4),
        ..splitting(100)
    });
    let mut answers = vec![gated.occupy(&dispatcher)];
    answers.push(submit(&dispatcher, gated.model.rows(6, 1)));
    answers.push(submit(&dispatcher, gated.model.rows(2, 2)));
    assert_eq!(dispatcher.gauges().queued, 3);
    assert_eq!(dispatcher.gauges().requests, 3);
    gated.leave(3);
    for answer in answers {
        answer.blocking_recv().unwrap().unwrap();
    }
    assert_eq!(gated.model.rows_run(), [1, 4, 4]);
}

#[test]
fn an_error_of_a_part_is_the_answer_of_the_whole() {
    let dispatcher = dispatcher();
    let model = Puppet {
        batching: splitting(2),
        ..Puppet::default()
    }
    .acts(|seen| {
        if seen.bytes().contains(&66) {
            return Err(ServeError::invalid_argument("bad row"));
        }
        seen.echo()
    });
    let rows = fixed(&[6, 1], &[1, 1, 1, 66, 1, 1]);
    let answer = submit(&dispatcher, model.call(vec![rows]));
    let error = answer.blocking_recv().unwrap().unwrap_err();
    assert_eq!(error.message(), "bad row");
    drop(dispatcher);
}

#[test]
fn parts_without_a_row_for_each_can_t_be_joined() {
    let dispatcher = dispatcher();
    let model = Puppet {
        batching: splitting(2),
        ..Puppet::default()
    }
    .acts(|_| Ok(vec![fixed(&[], &[1])]));
    let answer = submit(&dispatcher, model.rows(4, 1));
    let error = answer.blocking_recv().unwrap().unwrap_err();
    assert_eq!(error.kind(), Kind::FailedPrecondition);
    assert_eq!(error.message(), "Batched output tensor has 0 dimensions");
    // From now on it is known for what it is, and runs whole.
    let answer = submit(&dispatcher, model.rows(4, 1));
    assert!(answer.blocking_recv().unwrap().is_ok());
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
    let served = registry.load("m", 1, || Ok(served)).unwrap();
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
