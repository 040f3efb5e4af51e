use std::cell::Cell;
use std::hint::black_box;
use std::time::{Duration, Instant};

use tensor::{DType, Tensor};

use super::{TURN, Tick};
use crate::respond::{Outcome, Respond};
use crate::testing::{Caller, Callers, Puppet, PuppetModel, Seen, fixed, rows_of_two};
use crate::{
    Batching, Call, Clock, Executor, Feed, FeedData, Outputs, Run, RunMode, ServeError, lost,
};

fn gather(tick: &mut Tick<Caller>, callers: &Callers, call: Call) {
    let member = callers.with(call);
    tick.push(member.call, member.respond);
}

/// Runs it for as many turns as it takes.
fn finish<R: Respond>(tick: &mut Tick<R>) {
    while !tick.is_empty() {
        tick.run();
    }
}

/// Runs these in one tick; the outputs of each.
fn run_all(calls: impl IntoIterator<Item = Call>) -> Vec<Vec<Tensor>> {
    let mut tick = Tick::default();
    let callers = Callers::default();
    for call in calls {
        gather(&mut tick, &callers, call);
    }
    finish(&mut tick);
    let told = callers.told().into_values();
    told.map(|outcome| outcome.unwrap().outputs).collect()
}

/// A model of which nothing holds an I/O thread up.
fn quick() -> PuppetModel {
    PuppetModel::echoes(Batching::default()).measured(&[(1, 20), (1024, 100)], 2)
}

#[test]
fn what_arrived_in_one_turn_is_one_batch() {
    let model = quick();
    let outputs = run_all((0..64).map(|n| model.rows(1, n)));
    assert_eq!(model.rows_run(), [64]);
    for (n, outputs) in outputs.into_iter().enumerate() {
        assert_eq!(outputs, [rows_of_two(1, n as u8)]);
    }
    let seen = model.seen();
    assert_eq!((seen[0].mode, seen[0].deadline), (RunMode::Caller, None));
}

#[test]
fn a_tick_can_be_used_again() {
    let model = quick();
    let mut tick = Tick::default();
    let callers = Callers::default();
    for _ in 0..3 {
        assert!(tick.is_empty());
        gather(&mut tick, &callers, model.rows(1, 1));
        gather(&mut tick, &callers, model.rows(1, 2));
        assert!(!tick.is_empty());
        finish(&mut tick);
        assert_eq!(callers.told().len(), 2);
    }
    assert_eq!(model.rows_run(), [2, 2, 2]);
}

#[test]
fn rows_of_nothing_are_not_counted() {
    // 8 times 2^61 is 0 in 64 bits: a batch of any limit holds that.
    let model = quick();
    let empty = || model.call(vec![fixed(&[1 << 61, 0], &[])]);
    assert_eq!(empty().rows(), None);
    run_all((0..8).map(|_| empty()));
    assert_eq!(model.seen().len(), 8);
    let none = model.call(vec![fixed(&[0, 2], &[])]);
    assert_eq!(none.rows(), Some(0));
}

/// Panics when it is asked, and counts its ends.
struct Touchy<'a>(&'a Cell<usize>);

impl Respond for Touchy<'_> {
    fn is_gone(&mut self) -> bool {
        panic!("touchy");
    }

    fn respond(self, _outcome: Outcome) {}
}

impl Drop for Touchy<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() + 1);
    }
}

#[test]
fn a_panic_ends_no_later_tick_and_keeps_no_request() {
    let model = quick();
    let ended = Cell::new(0);
    let mut tick = Tick::default();
    for _ in 0..2 {
        ended.set(0);
        tick.push(model.rows(1, 1), Touchy(&ended));
        tick.push(model.rows(1, 2), Touchy(&ended));
        tick.push(model.call(vec![fixed(&[1, 3], &[1; 3])]), Touchy(&ended));
        tick.run();
        assert!(tick.is_empty());
        assert_eq!(ended.get(), 3);
    }
}

#[test]
fn versions_signatures_filters_and_shapes_are_kept_apart() {
    let (one, two) = (quick(), quick());
    let of_signature = |signature| {
        let outputs = Outputs::from_elem(0, 1);
        one.call_of(
            (signature, outputs),
            vec![rows_of_two(1, 1)],
            Clock::until(None),
        )
    };
    let odd = || one.call(vec![fixed(&[1, 3], &[1, 2, 3])]);
    let calls = (0..3).flat_map(|n| [of_signature(0), of_signature(1), odd(), two.rows(1, n)]);
    run_all(calls);
    assert_eq!(one.rows_run(), [3, 3, 3]);
    assert_eq!(two.rows_run(), [3]);
    let signatures: Vec<_> = one.seen().iter().map(|seen| seen.signature).collect();
    assert_eq!(signatures, [0, 1, 0]);

    let model = Puppet {
        dtypes: vec![DType::UInt8; 2],
        ..Puppet::default()
    }
    .echoes();
    let inputs = || vec![rows_of_two(1, 1), rows_of_two(1, 2)];
    let filtered =
        |outputs: &[usize]| model.call_of((0, outputs.into()), inputs(), Clock::until(None));
    let answers = run_all([filtered(&[0]), filtered(&[1]), filtered(&[0, 1])]);
    assert_eq!(model.rows_run(), [1, 1, 1]);
    let counts: Vec<usize> = answers.iter().map(Vec::len).collect();
    assert_eq!(counts, [1, 1, 2]);
}

#[test]
fn other_inner_sizes_share_a_batch_only_where_they_are_padded() {
    let calls = |model: &PuppetModel| {
        let odd = fixed(&[1, 3], &[1, 2, 3]);
        run_all([model.rows(1, 1), model.call(vec![odd])]);
        model.rows_run()
    };
    assert_eq!(calls(&quick()), [1, 1]);
    let padding = Batching {
        pad_variable_length_inputs: true,
        ..Batching::default()
    };
    let model = PuppetModel::echoes(padding).measured(&[(1, 20), (1024, 100)], 2);
    assert_eq!(calls(&model), [2]);
    // Another rank, or one that is never padded, is another group all the same.
    let deep = |last| model.call(vec![fixed(&[1, 1, 1, 1, 1, 1, last], &vec![1; last])]);
    run_all([model.rows(1, 1), deep(1), deep(2)]);
    assert_eq!(model.rows_run()[1..], [1, 1, 1]);
}

#[test]
fn those_without_one_number_of_rows_run_alone() {
    let two = || Puppet {
        dtypes: vec![DType::UInt8; 2],
        ..Puppet::default()
    };
    let unequal = two().echoes();
    let call = |model: &PuppetModel| model.call(vec![rows_of_two(1, 1), rows_of_two(2, 2)]);
    run_all([call(&unequal), call(&unequal)]);
    assert_eq!(unequal.rows_run(), [1, 1]);

    let scalars = quick();
    let answers = run_all([
        scalars.call(vec![fixed(&[], &[1])]),
        scalars.call(vec![fixed(&[], &[2])]),
    ]);
    assert_eq!(answers, [[fixed(&[], &[1])], [fixed(&[], &[2])]]);
    assert_eq!(scalars.seen().len(), 2);

    let empty = quick();
    run_all([empty.rows(0, 1), empty.rows(0, 1), empty.rows(1, 1)]);
    assert_eq!(empty.rows_run(), [0, 0, 1]);
}

#[test]
fn batching_is_off_where_it_is_told_so_or_known_at_load() {
    let off = Batching {
        enabled: false,
        ..Batching::default()
    };
    let models = [
        PuppetModel::echoes(off),
        Puppet {
            alone: Some("stateful".into()),
            ..Puppet::default()
        }
        .echoes(),
    ];
    for model in models {
        run_all([model.rows(1, 1), model.rows(1, 2)]);
        assert_eq!(model.rows_run(), [1, 1]);
    }
}

#[test]
fn batches_take_no_longer_than_an_io_thread_may_be_held_up() {
    let points = [(1, 20), (8, 100), (16, 190), (32, 390)];
    let model = PuppetModel::echoes(Batching::default()).measured(&points, 2);
    run_all((0..5).map(|n| model.rows(5, n)).chain([model.rows(40, 9)]));
    assert_eq!(model.rows_run(), [15, 10, 40]);

    let told = Batching {
        max_batch_size: Some(4),
        ..Batching::default()
    };
    let model = PuppetModel::echoes(told).measured(&points, 2);
    run_all((0..5).map(|n| model.rows(1, n)));
    assert_eq!(model.rows_run(), [4, 1]);
}

#[test]
fn without_a_curve_batches_grow_by_doubling_as_they_are_measured() {
    let model = PuppetModel::echoes(Batching::default());
    // Known of one request: 2 bytes, 20 µs.
    let cost = model.served.cost(0);
    let quick = Duration::from_micros(20);
    (0..2).for_each(|_| cost.record(2, quick, true));
    run_all((0..32).map(|n| model.rows(1, n)));
    // 3 bytes is the end of that size, 7 the end of the next, which nobody knows.
    assert_eq!(model.rows_run()[0], 3);
    for _ in 0..20 {
        run_all((0..32).map(|n| model.rows(1, n)));
    }
    assert_eq!(model.rows_run().last(), Some(&32));

    // Sizes that are slow are not gone to.
    let model = PuppetModel::echoes(Batching::default());
    let cost = model.served.cost(0);
    (0..2).for_each(|_| cost.record(2, quick, true));
    (0..2).for_each(|_| cost.record(4, Duration::from_secs(1), true));
    run_all((0..4).map(|n| model.rows(1, n)));
    assert_eq!(model.rows_run(), [1, 1, 1, 1]);
}

#[test]
fn many_groups_are_not_quadratic() {
    let model = PuppetModel::echoes(Batching::default()).measured(&[(1, 20), (1024, 100)], 0);
    let started = Instant::now();
    let shape = |n: usize| model.call(vec![fixed(&[1, n], &vec![1; n])]);
    // Alternating, so that the last group is never the next one's.
    run_all((0..2).flat_map(|_| 1..3000).map(shape));
    assert_eq!(model.seen().len(), 2999);
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_turn_ends_in_time_and_the_next_goes_on() {
    let slow = |seen: &Seen| {
        std::thread::sleep(TURN);
        seen.echo()
    };
    let puppet = || Puppet {
        alone: Some("as told".into()),
        ..Puppet::default()
    };
    for model in [
        puppet().acts(slow),
        Puppet::default().acts(slow).measured(&[(1, 20)], 2),
    ] {
        let (mut tick, callers) = (Tick::default(), Callers::default());
        let mut told = Vec::new();
        for n in 0..6 {
            gather(&mut tick, &callers, model.rows(200, n));
        }
        for n in 6..12 {
            tick.run();
            told.extend(callers.told().into_keys());
            assert_eq!(told.len(), usize::from(n) - 5);
            // A load that never ends keeps no memory of what was answered.
            gather(&mut tick, &callers, model.rows(200, n));
            assert!(tick.groups.len() <= 8);
        }
        finish(&mut tick);
        told.extend(callers.told().into_keys());
        assert_eq!(told, (0..12).collect::<Vec<_>>());
    }
}

#[test]
fn a_group_that_is_left_takes_what_comes_in_between() {
    let turn = |seen: &Seen| {
        std::thread::sleep(TURN);
        seen.echo()
    };
    let model = Puppet::default()
        .acts(turn)
        .measured(&[(1, 20), (1024, 100)], 0);
    let shape = |n: usize| model.call(vec![fixed(&[1, n], &vec![1; n])]);
    let (mut tick, callers) = (Tick::default(), Callers::default());
    for n in 1..4 {
        gather(&mut tick, &callers, shape(n));
    }
    tick.run();
    for n in [3, 1, 2, 3] {
        gather(&mut tick, &callers, shape(n));
    }
    finish(&mut tick);
    assert_eq!(model.rows_run(), [1, 2, 3, 1]);
    assert_eq!(callers.told().len(), 7);
}

#[test]
fn a_tick_that_is_dropped_answers_all() {
    let model = quick();
    let callers = Callers::default();
    let mut tick = Tick::default();
    gather(&mut tick, &callers, model.rows(1, 1));
    drop(tick);
    assert_eq!(callers.only().unwrap_err(), lost());
}

/// Answers at once with what it was made with.
struct IdleExecutor;

impl Executor for IdleExecutor {
    fn run(&self, run: Run<'_>) -> Result<Vec<Tensor>, ServeError> {
        let Feed { dtype, shape, data } = run.feeds.into_iter().next().unwrap();
        let FeedData::Fixed(buffer) = data else {
            return Err(lost());
        };
        let bytes = bytes::Bytes::from_owner(buffer_of(buffer));
        Ok(vec![Tensor::fixed(dtype, shape, bytes).unwrap()])
    }
}

fn buffer_of(buffer: tensor::AlignedBuffer) -> impl AsRef<[u8]> + Send + 'static {
    struct Owner(tensor::AlignedBuffer);
    impl AsRef<[u8]> for Owner {
        fn as_ref(&self) -> &[u8] {
            &self.0
        }
    }
    Owner(buffer)
}

struct Ignore;

impl Respond for Ignore {
    fn is_gone(&mut self) -> bool {
        false
    }

    fn respond(self, outcome: Outcome) {
        black_box(outcome.unwrap());
    }
}

/// What the engine itself costs for a request; prints nanoseconds.
/// `cargo test -p engine --release -- --ignored --nocapture cost_of_a_tick`
#[test]
#[ignore = "a measurement"]
fn cost_of_a_tick() {
    use crate::{Dispatcher, EngineOptions, Limits, ServedModel};

    let template = PuppetModel::echoes(Batching::default()).measured(&[(1, 20), (1024, 100)], 128);
    let signatures = template.served.signatures().to_vec();
    let id = ("m".into(), 1);
    let served = ServedModel::new(id, signatures, bytes::Bytes::new(), Box::new(IdleExecutor));
    let model = std::sync::Arc::new(served);
    model.set_curve(0, template.served.curve(0).unwrap().clone());
    let dispatcher = Dispatcher::new(&EngineOptions {
        runner_threads: 1,
        limits: Limits {
            requests: 1 << 20,
            rows: 1 << 20,
            bytes: 1 << 30,
        },
        default_timeout: None,
    })
    .unwrap();
    let input = Tensor::fixed(
        DType::UInt8,
        tensor::Shape::new(&[1, 128]).unwrap(),
        vec![1; 128].into(),
    )
    .unwrap();
    for size in [1_u32, 32, 128] {
        let rounds = 400_000 / size;
        let mut tick = Tick::default();
        let (mut gathering, mut running) = (Vec::new(), Vec::new());
        let clock = Clock::until(Some(Instant::now() + Duration::from_mins(10)));
        for _ in 0..rounds {
            let inputs: Vec<_> = (0..size).map(|_| vec![input.clone()]).collect();
            let began = Instant::now();
            for inputs in inputs {
                let outputs = Outputs::from_elem(0, 1);
                let mut call = Call::new(model.clone(), 0, inputs, outputs, clock).unwrap();
                dispatcher.admit(&mut call).unwrap();
                black_box(dispatcher.is_inline(&call));
                tick.push(call, Ignore);
            }
            let gathered = Instant::now();
            finish(&mut tick);
            gathering.push(gathered - began);
            running.push(gathered.elapsed());
        }
        // The median: on a busy machine the mean is other people's work.
        let each = |times: &mut Vec<Duration>| {
            times.sort();
            times[times.len() / 2].as_nanos() / u128::from(size)
        };
        println!(
            "{size:4} requests a tick: {} ns a request to check, admit and gather, {} ns to run",
            each(&mut gathering),
            each(&mut running)
        );
    }
    println!("a call is {} bytes", size_of::<Call>());
    assert_eq!(dispatcher.gauges(), crate::Gauges::default());
}
