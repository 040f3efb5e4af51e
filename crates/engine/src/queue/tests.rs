use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Formed, Next, Queue, Ticket};
use crate::batch::Member;
use crate::testing::{Caller, Callers, Puppet, PuppetModel, fixed};
use crate::{Batching, Call, Clock, Kind, Outputs};

mod fairness;

const MILLI: Duration = Duration::from_millis(1);

/// A queue whose time the test sets.
struct Bench {
    queue: Queue<Caller>,
    callers: Callers,
    now: Instant,
    dead: Vec<Member<Caller>>,
}

impl Bench {
    fn new() -> Self {
        Self {
            queue: Queue::default(),
            callers: Callers::default(),
            now: Instant::now(),
            dead: Vec::new(),
        }
    }

    fn push(&mut self, mut call: Call) {
        call.checked = self.now;
        let member = self.callers.with(call);
        self.queue
            .check_room(&member.call, member.call.rows)
            .unwrap();
        self.queue.push(member);
    }

    fn refusal(&mut self, call: &Call) -> (Kind, String) {
        let error = self.queue.check_room(call, call.rows).unwrap_err();
        (error.kind(), error.message().to_owned())
    }

    fn next(&mut self) -> Next<Caller> {
        self.queue.next(self.now, &mut self.dead)
    }

    fn form(&mut self) -> Formed<Caller> {
        match self.next() {
            Next::Run(formed) => formed,
            other => panic!("{other:?}"),
        }
    }

    /// The rows of the members of the next batch, which ends at once.
    fn run(&mut self) -> Vec<usize> {
        let formed = self.form();
        self.finish(&formed.ticket, 1);
        rows(&formed)
    }

    fn finish(&mut self, ticket: &Ticket, millis: u32) {
        self.queue.finished(ticket, MILLI * millis);
    }

    fn is_idle(&mut self) -> bool {
        matches!(self.next(), Next::Idle)
    }
}

fn rows(formed: &Formed<Caller>) -> Vec<usize> {
    let members = formed.members.iter();
    members.map(|member| member.call.rows.unwrap()).collect()
}

fn at_most(rows: usize) -> Batching {
    Batching {
        max_batch_size: Some(rows),
        ..Batching::default()
    }
}

#[test]
fn takes_all_that_fits_the_oldest_first() {
    let model = PuppetModel::echoes(at_most(10));
    let mut bench = Bench::new();
    assert!(bench.is_idle());
    for rows in [4, 5, 2, 8, 1, 1] {
        bench.push(model.rows(rows, 1));
    }
    assert_eq!(bench.queue.queued(), 6);
    assert_eq!(bench.run(), [4, 5]);
    assert_eq!(bench.run(), [2, 8]);
    assert_eq!(bench.run(), [1, 1]);
    assert!(bench.is_idle());
    assert_eq!((bench.queue.queued(), bench.queue.running()), (0, 0));
}

#[test]
fn what_is_larger_than_a_batch_is_one() {
    let model = PuppetModel::echoes(Batching::default()).measured(&[(1, 900), (4, 1000)], 2);
    let mut bench = Bench::new();
    for rows in [1, 9, 3] {
        bench.push(model.rows(rows, 1));
    }
    assert_eq!(bench.run(), [1]);
    assert_eq!(bench.run(), [9]);
    assert_eq!(bench.run(), [3]);
}

#[test]
fn the_knob_and_the_curve_both_limit() {
    let points = [(1, 900), (4, 1000)];
    for (knob, expected) in [(2, 2), (100, 4)] {
        let model = PuppetModel::echoes(at_most(knob)).measured(&points, 2);
        let mut bench = Bench::new();
        (0..6).for_each(|_| bench.push(model.rows(1, 1)));
        assert_eq!(bench.run().len(), expected);
    }
    // What would be padded up to a larger size takes real rows instead.
    let model = PuppetModel::echoes(Batching {
        allowed_batch_sizes: vec![5, 100],
        ..at_most(100)
    })
    .measured(&points, 2);
    let mut bench = Bench::new();
    (0..6).for_each(|_| bench.push(model.rows(1, 1)));
    assert_eq!(bench.run().len(), 5);
}

#[test]
fn of_an_unknown_model_batches_double() {
    let model = PuppetModel::echoes(Batching::default());
    let mut bench = Bench::new();
    (0..9).for_each(|_| bench.push(model.rows(1, 1)));
    // Two bytes each; up to seven are the next size after the first one's.
    assert_eq!(bench.run().len(), 3);
    let cost = model.served.cost(0);
    (0..2).for_each(|_| cost.record(6, MILLI, true));
    assert_eq!(bench.run().len(), 6);
}

#[test]
fn waits_for_more_only_as_long_as_it_was_told() {
    let model = PuppetModel::echoes(Batching {
        batch_timeout: Some(5 * MILLI),
        ..at_most(4)
    });
    let mut bench = Bench::new();
    let start = bench.now;
    bench.push(model.rows(1, 1));
    assert!(matches!(bench.next(), Next::WaitUntil(until) if until == start + 5 * MILLI));
    bench.now += 3 * MILLI;
    bench.push(model.rows(1, 1));
    assert!(matches!(bench.next(), Next::WaitUntil(until) if until == start + 5 * MILLI));
    bench.now = start + 5 * MILLI;
    assert_eq!(bench.run(), [1, 1]);
    assert!(bench.is_idle());
}

#[test]
fn what_is_full_or_can_t_grow_does_not_wait() {
    let waiting = |alone: bool| {
        Puppet {
            batching: Batching {
                batch_timeout: Some(5 * MILLI),
                ..at_most(4)
            },
            alone: alone.then(|| "stateful".into()),
            ..Puppet::default()
        }
        .echoes()
    };
    let model = waiting(false);
    let mut bench = Bench::new();
    // The older group waits, the younger one is full.
    bench.push(model.call(vec![fixed(&[1, 3], &[1; 3])]));
    bench.push(model.rows(3, 1));
    bench.push(model.rows(2, 1));
    assert_eq!(bench.run(), [3]);
    assert!(matches!(bench.next(), Next::WaitUntil(_)));

    let model = waiting(true);
    let mut bench = Bench::new();
    bench.push(model.rows(1, 1));
    assert_eq!(bench.run(), [1]);
}

#[test]
fn a_closed_queue_waits_for_nothing_and_takes_nothing() {
    let model = PuppetModel::echoes(Batching {
        batch_timeout: Some(5 * MILLI),
        ..at_most(4)
    });
    let mut bench = Bench::new();
    bench.push(model.rows(1, 1));
    bench.queue.close();
    let refused = bench.refusal(&model.rows(1, 1));
    assert_eq!(refused.0, Kind::Unavailable);
    assert_eq!(bench.run(), [1]);
    assert!(bench.is_idle());
}

#[test]
fn a_queue_in_a_hurry_waits_for_nothing_and_goes_on() {
    let model = PuppetModel::echoes(Batching {
        batch_timeout: Some(5 * MILLI),
        ..at_most(4)
    });
    let mut bench = Bench::new();
    bench.push(model.rows(1, 1));
    bench.queue.hurry();
    assert_eq!(bench.run(), [1]);
    bench.push(model.rows(2, 1));
    assert_eq!(bench.run(), [2]);
}

#[test]
fn signatures_filters_and_shapes_are_kept_apart_and_the_oldest_goes_first() {
    let model = PuppetModel::echoes(Batching::default());
    let mut bench = Bench::new();
    let of = |signature, width: usize| {
        let outputs = Outputs::from_elem(0, 1);
        let inputs = vec![fixed(&[1, width], &vec![1; width])];
        model.call_of((signature, outputs), inputs, Clock::until(None))
    };
    for (signature, width) in [(0, 2), (1, 2), (0, 3), (1, 2), (0, 2)] {
        bench.push(of(signature, width));
    }
    let mut batches = Vec::new();
    while let Next::Run(formed) = bench.next() {
        let leader = &formed.members[0].call;
        let width = leader.inputs[0].shape().dims()[1];
        batches.push((leader.signature, width, formed.members.len()));
        bench.finish(&formed.ticket, 1);
    }
    assert_eq!(batches, [(0, 2, 2), (1, 2, 2), (0, 3, 1)]);
}

#[test]
fn those_that_share_nothing_go_one_by_one() {
    let model = PuppetModel::echoes(Batching {
        enabled: false,
        ..Batching::default()
    });
    let mut bench = Bench::new();
    (0..3).for_each(|_| bench.push(model.rows(1, 1)));
    for _ in 0..3 {
        assert_eq!(bench.run(), [1]);
    }
    assert!(bench.is_idle());
}

#[test]
fn the_expired_and_the_gone_are_dropped_on_the_way() {
    let model = PuppetModel::echoes(at_most(3));
    let mut bench = Bench::new();
    let deadline = bench.now + 2 * MILLI;
    bench.push(model.rows(1, 1));
    bench.push(model.rows_at(2, Clock::until(Some(deadline))));
    let mut gone = bench.callers.with(model.rows(3, 1));
    gone.respond.is_gone = true;
    bench.queue.push(gone);
    bench.push(model.rows(2, 1));
    bench.now = deadline;
    assert_eq!(bench.run(), [1, 2]);
    let dead: Vec<_> = bench.dead.iter().map(|member| member.call.rows).collect();
    assert_eq!(dead, [Some(2), Some(3)]);
    assert_eq!(bench.queue.queued(), 0);
    assert_eq!(bench.queue.backlog(), Duration::ZERO);
}

#[test]
fn where_all_are_dead_the_next_group_runs() {
    let model = PuppetModel::echoes(Batching::default());
    let mut bench = Bench::new();
    let deadline = bench.now + MILLI;
    bench.push(model.rows_at(1, Clock::until(Some(deadline))));
    bench.push(model.call(vec![fixed(&[2, 3], &[1; 6])]));
    bench.now = deadline;
    assert_eq!(bench.run(), [2]);
    assert_eq!(bench.dead.len(), 1);
}

#[test]
fn a_sweep_takes_the_dead_and_leaves_the_order() {
    let model = PuppetModel::echoes(at_most(2));
    let mut bench = Bench::new();
    let deadline = bench.now + MILLI;
    bench.push(model.rows_at(1, Clock::until(Some(deadline))));
    bench.push(model.call(vec![fixed(&[2, 3], &[1; 6])]));
    bench.push(model.rows(1, 1));
    bench.now = deadline;
    bench.queue.sweep(bench.now, &mut bench.dead);
    assert_eq!((bench.dead.len(), bench.queue.queued()), (1, 2));
    assert_eq!(bench.run(), [2]);
    assert_eq!(bench.run(), [1]);
    assert!(bench.is_idle());
}

#[test]
fn no_more_batches_of_a_model_run_than_it_has_threads() {
    let model = PuppetModel::echoes(Batching {
        num_batch_threads: Some(1),
        ..at_most(1)
    });
    let other = PuppetModel::echoes(at_most(1));
    let mut bench = Bench::new();
    bench.push(model.rows(1, 1));
    bench.push(model.rows(1, 1));
    bench.push(other.rows(1, 1));
    let first = bench.form();
    assert!(Arc::ptr_eq(&first.members[0].call.model, &model.served));
    let second = bench.form();
    assert!(Arc::ptr_eq(&second.members[0].call.model, &other.served));
    assert!(bench.is_idle());
    assert_eq!((bench.queue.queued(), bench.queue.running()), (1, 2));
    bench.finish(&first.ticket, 1);
    assert_eq!(bench.run(), [1]);
}

#[test]
fn a_full_queue_refuses_in_tensorflow_servings_words() {
    let told = |enable_large_batch_splitting| Batching {
        max_enqueued_batches: Some(2),
        enable_large_batch_splitting,
        ..at_most(10)
    };
    let full_to = "The batch scheduling queue to which this task was submitted is full";
    let model = PuppetModel::echoes(told(false));
    let mut bench = Bench::new();
    (0..2).for_each(|_| bench.push(model.rows(10, 1)));
    let expected = format!("{full_to}; currently 2 batches enqueued and max_enqueued_batches is 2");
    assert_eq!(
        bench.refusal(&model.rows(1, 1)),
        (Kind::Unavailable, expected)
    );
    // Each signature has a queue of its own.
    let outputs = Outputs::from_elem(0, 1);
    let other = model.call_of((1, outputs), vec![fixed(&[1], &[1])], Clock::until(None));
    assert!(bench.queue.check_room(&other, other.rows).is_ok());
    // What runs is not in the queue.
    let running = bench.form();
    bench.push(model.rows(10, 1));
    bench.finish(&running.ticket, 1);

    let model = PuppetModel::echoes(told(true));
    let mut bench = Bench::new();
    bench.push(model.rows(13, 1));
    let expected = format!(
        "{full_to}; task size is 8 but scheduling capacity is only 7 (num_enqueued_batches=2, \
         max_enqueued_batches=2, open_batch_size=3, max_execution_batch_size=10)"
    );
    assert_eq!(
        bench.refusal(&model.rows(8, 1)),
        (Kind::Unavailable, expected)
    );
    bench.push(model.rows(7, 1));
}

#[test]
fn the_queue_keeps_no_model() {
    let model = PuppetModel::echoes(at_most(1));
    let busy = PuppetModel::echoes(at_most(1));
    let mut bench = Bench::new();
    bench.push(busy.rows(1, 1));
    bench.push(busy.rows(1, 1));
    bench.push(model.rows(1, 1));
    let counts = |model: &PuppetModel| Arc::strong_count(&model.served);
    assert_eq!(counts(&model), 2);
    bench.run();
    bench.run();
    assert_eq!(bench.run(), [1]);
    assert_eq!((counts(&model), counts(&busy)), (1, 1));
    assert!(bench.queue.lanes.is_empty());
}
