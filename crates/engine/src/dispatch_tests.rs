use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::ThreadId;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tensor::{DType, Shape, Tensor};

use super::{Call, Dispatcher};
use crate::{Clock, EngineOptions, FeedData, Limits, Outputs};
use crate::{Executor, Kind, Run, ServeError, ServedModel, Signature, TensorSpec};

/// Answers what its input is, after asking the test what to do.
struct PuppetExecutor<F> {
    act: F,
    is_unpredictable: bool,
}

impl<F: Fn() -> Result<(), ServeError> + Send + Sync + 'static> Executor for PuppetExecutor<F> {
    fn run(&self, run: Run<'_>) -> Result<Vec<Tensor>, ServeError> {
        (self.act)()?;
        let outputs = run.feeds.into_iter().map(|feed| match feed.data {
            FeedData::Fixed(buffer) => {
                Tensor::fixed(feed.dtype, feed.shape, Bytes::copy_from_slice(&buffer)).unwrap()
            }
            FeedData::Strings(strings) => Tensor::strings(feed.shape, strings).unwrap(),
        });
        Ok(outputs.collect())
    }

    fn is_unpredictable(&self) -> bool {
        self.is_unpredictable
    }
}

fn model<F>(act: F) -> Arc<ServedModel>
where
    F: Fn() -> Result<(), ServeError> + Send + Sync + 'static,
{
    model_of(PuppetExecutor {
        act,
        is_unpredictable: false,
    })
}

fn model_of(executor: impl Executor) -> Arc<ServedModel> {
    let spec = TensorSpec {
        alias: "x".into(),
        tensor_name: "x:0".into(),
        dtype: DType::UInt8,
        shape: None,
    };
    let signature = Signature {
        name: "serving_default".into(),
        method_name: String::new(),
        inputs: vec![spec.clone()],
        outputs: vec![spec],
        defaults: BTreeMap::new(),
        unusable: None,
        alone: None,
    };
    Arc::new(ServedModel::new(
        ("m".into(), 1),
        vec![signature],
        Bytes::new(),
        Box::new(executor),
    ))
}

fn dispatcher() -> Dispatcher {
    Dispatcher::new(&EngineOptions {
        runner_threads: 1,
        limits: Limits::default(),
        default_timeout: None,
    })
    .unwrap()
}

fn input() -> Tensor {
    Tensor::fixed(
        DType::UInt8,
        Shape::new(&[3]).unwrap(),
        Bytes::from_static(b"abc"),
    )
    .unwrap()
}

fn call(model: &Arc<ServedModel>, deadline: Option<Instant>) -> Call {
    Call::new(
        Arc::clone(model),
        0,
        vec![input()],
        Outputs::from_elem(0, 1),
        Clock::until(deadline),
    )
    .unwrap()
}

/// An executor that tells which thread it ran on and waits for leave to go on.
fn gated() -> (Arc<ServedModel>, Receiver<ThreadId>, Sender<()>) {
    let (began, beginnings) = channel();
    let (leave, gate) = channel();
    let gate = std::sync::Mutex::new(gate);
    let model = model(move || {
        began.send(std::thread::current().id()).unwrap();
        gate.lock().unwrap().recv().unwrap();
        Ok(())
    });
    (model, beginnings, leave)
}

#[tokio::test]
async fn answers_what_the_executor_answers() {
    let dispatcher = dispatcher();
    let outputs = dispatcher.dispatch(call(&model(|| Ok(())), None)).await;
    assert_eq!(outputs.unwrap().outputs, [input()]);
    let failing = model(|| Err(ServeError::failed_precondition("no table")));
    let error = dispatcher.dispatch(call(&failing, None)).await.unwrap_err();
    assert_eq!(error.kind(), Kind::FailedPrecondition);
}

#[tokio::test]
async fn unknown_cost_goes_to_a_runner_and_a_small_one_stays_here() {
    let here = std::thread::current().id();
    let (ran_on, threads) = channel();
    let model = model(move || {
        ran_on.send(std::thread::current().id()).unwrap();
        Ok(())
    });
    let dispatcher = dispatcher();
    // The first run is not measured, the second is the first measure.
    for _ in 0..2 {
        dispatcher.dispatch(call(&model, None)).await.unwrap();
        assert_ne!(threads.recv().unwrap(), here);
    }
    // A busy machine may have made the measured run slow; its average then sinks.
    for _ in 0..1000 {
        dispatcher.dispatch(call(&model, None)).await.unwrap();
        if threads.recv().unwrap() == here {
            return;
        }
    }
    panic!("a run of microseconds never came to this thread");
}

#[tokio::test]
async fn what_may_take_any_time_never_stays_here() {
    let here = std::thread::current().id();
    let act = move || {
        assert_ne!(std::thread::current().id(), here);
        Ok(())
    };
    let looping = model_of(PuppetExecutor {
        act,
        is_unpredictable: true,
    });
    let dispatcher = dispatcher();
    for _ in 0..100 {
        dispatcher.dispatch(call(&looping, None)).await.unwrap();
    }
}

#[tokio::test]
async fn what_was_once_very_slow_here_does_not_stay_again() {
    let here = std::thread::current().id();
    let (ran_on, threads) = channel();
    let model = model(move || {
        let thread = std::thread::current().id();
        ran_on.send(thread).unwrap();
        if thread == here {
            std::thread::sleep(Duration::from_millis(60));
        }
        Ok(())
    });
    let dispatcher = dispatcher();
    for _ in 0..1000 {
        dispatcher.dispatch(call(&model, None)).await.unwrap();
    }
    assert!(threads.try_iter().filter(|thread| *thread == here).count() <= 1);
}

#[tokio::test]
async fn a_panic_answers_internal_and_costs_no_runner() {
    let dispatcher = dispatcher();
    let panicking = model(|| panic!("as told"));
    for _ in 0..3 {
        let outcome = dispatcher.dispatch(call(&panicking, None)).await;
        assert_eq!(outcome.unwrap_err().kind(), Kind::Internal);
    }
    assert!(
        dispatcher
            .dispatch(call(&model(|| Ok(())), None))
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn a_deadline_answers_while_the_runner_is_busy() {
    let dispatcher = dispatcher();
    let (busy, beginnings, leave) = gated();
    let soon = Instant::now() + Duration::from_millis(20);
    let outcome = dispatcher.dispatch(call(&busy, Some(soon))).await;
    assert_eq!(outcome.unwrap_err().kind(), Kind::DeadlineExceeded);
    // The only runner is still in that run: a queued call times out as well, and
    // is then not run at all.
    beginnings.recv().unwrap();
    let soon = Instant::now() + Duration::from_millis(20);
    let outcome = dispatcher.dispatch(call(&busy, Some(soon))).await;
    assert_eq!(outcome.unwrap_err().kind(), Kind::DeadlineExceeded);
    leave.send(()).unwrap();
    drop(dispatcher);
    assert!(beginnings.try_recv().is_err());
}

#[tokio::test]
async fn an_expired_call_is_refused_without_a_run() {
    let model = model(|| panic!("must not run"));
    let dispatcher = dispatcher();
    let outcome = dispatcher
        .dispatch(call(&model, Some(Instant::now())))
        .await;
    assert_eq!(outcome.unwrap_err().kind(), Kind::DeadlineExceeded);
}

#[test]
fn a_wrong_dtype_makes_no_call() {
    let strings = Tensor::strings(Shape::scalar(), vec![Bytes::new()]).unwrap();
    let error = Call::new(
        model(|| Ok(())),
        0,
        vec![strings],
        Outputs::from_elem(0, 1),
        Clock::until(None),
    )
    .unwrap_err();
    assert_eq!(
        error.message(),
        "Expects arg[0] to be uint8 but string is provided"
    );
}
