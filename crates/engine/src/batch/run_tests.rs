use std::time::{Duration, Instant};

use proptest::collection::vec;
use proptest::prelude::*;
use tensor::{DType, Data, Shape, Tensor};

use super::{How, Member, run};
use crate::testing::{Caller, Callers, Puppet, PuppetModel, Seen, fixed, rows_of_two, strings};
use crate::{Batching, Call, Clock, Kind, Outcome, Outputs, RunMode, ServeError};

fn how() -> How {
    How {
        formed: Instant::now(),
        mode: RunMode::Caller,
        is_timed: true,
        is_counted: true,
    }
}

/// Runs these as one batch; what each caller was told.
fn run_all(calls: impl IntoIterator<Item = Call>) -> Vec<Outcome> {
    let callers = Callers::default();
    let mut members: Vec<Member<Caller>> =
        calls.into_iter().map(|call| callers.with(call)).collect();
    run(&mut members, how());
    assert!(members.is_empty());
    callers.told().into_values().collect()
}

fn outputs(outcome: &Outcome) -> &[Tensor] {
    &outcome.as_ref().unwrap().outputs
}

fn refusal(outcome: &Outcome) -> (Kind, &str) {
    let error = outcome.as_ref().unwrap_err();
    (error.kind(), error.message())
}

#[test]
fn each_gets_its_own_rows() {
    let model = PuppetModel::echoes(Batching::default());
    let answers = run_all([model.rows(1, 7), model.rows(3, 8), model.rows(2, 9)]);
    assert_eq!(model.rows_run(), [6]);
    for (answer, (rows, fill)) in answers.iter().zip([(1, 7), (3, 8), (2, 9)]) {
        assert_eq!(outputs(answer), [rows_of_two(rows, fill)]);
        let timings = answer.as_ref().unwrap().timings;
        assert_eq!((timings.rows, timings.batch_rows), (rows, 6));
    }
}

#[test]
fn outputs_are_views_of_the_batchs() {
    let model = PuppetModel::echoes(Batching::default());
    let answers = run_all([model.rows(1, 7), model.rows(3, 8)]);
    let start = |answer: &Outcome| match outputs(answer)[0].data() {
        Data::Fixed(bytes) => bytes.as_ptr().addr(),
        Data::Strings(_) => panic!("strings"),
    };
    assert_eq!(start(&answers[0]) + 2, start(&answers[1]));
}

#[test]
fn a_subset_of_the_outputs_in_any_order() {
    let model = Puppet {
        dtypes: vec![DType::UInt8, DType::String],
        ..Puppet::default()
    }
    .echoes();
    let call = |fill| {
        let inputs = vec![rows_of_two(1, fill), strings(&[1], &["text"])];
        let filter = Outputs::from_slice(&[1, 0]);
        model.call_of((0, filter), inputs, Clock::until(None))
    };
    let answers = run_all([call(1), call(2)]);
    assert_eq!(model.seen()[0].outputs, [1, 0]);
    let expected = [strings(&[1], &["text"]), rows_of_two(1, 2)];
    assert_eq!(outputs(&answers[1]), expected);
}

/// Fails where a row begins with this byte.
fn fails_on(fill: u8, kind: Kind) -> PuppetModel {
    Puppet::default().acts(move |seen: &Seen| {
        if seen.bytes().contains(&fill) {
            return Err(ServeError::new(kind, "bad row"));
        }
        seen.echo()
    })
}

#[test]
fn one_bad_member_spoils_no_other() {
    let model = fails_on(66, Kind::InvalidArgument);
    let answers = run_all([model.rows(1, 1), model.rows(2, 66), model.rows(3, 3)]);
    assert_eq!(model.rows_run(), [6, 1, 2, 3]);
    assert_eq!(outputs(&answers[0]), [rows_of_two(1, 1)]);
    assert_eq!(refusal(&answers[1]), (Kind::InvalidArgument, "bad row"));
    assert_eq!(outputs(&answers[2]), [rows_of_two(3, 3)]);
}

#[test]
fn an_error_that_is_nobodys_fault_is_everybodys() {
    for kind in [Kind::DeadlineExceeded, Kind::Cancelled, Kind::Unavailable] {
        let model = fails_on(66, kind);
        let answers = run_all([model.rows(1, 1), model.rows(1, 66)]);
        assert_eq!(model.rows_run(), [2]);
        assert!(answers.iter().all(|answer| refusal(answer).0 == kind));
    }
}

#[test]
fn an_error_of_one_alone_is_told_once() {
    let model = fails_on(66, Kind::Internal);
    let answers = run_all([model.rows(1, 66)]);
    assert_eq!(model.rows_run(), [1]);
    assert_eq!(refusal(&answers[0]), (Kind::Internal, "bad row"));
}

#[test]
fn a_panic_of_the_executor_is_one_members_error() {
    let model = Puppet::default().acts(|seen: &Seen| {
        assert!(!seen.bytes().contains(&66), "as told");
        seen.echo()
    });
    let answers = run_all([model.rows(1, 66), model.rows(1, 2)]);
    assert_eq!(refusal(&answers[0]).0, Kind::Internal);
    assert_eq!(outputs(&answers[1]), [rows_of_two(1, 2)]);
}

#[test]
fn a_panic_of_an_answer_loses_no_other() {
    let model = PuppetModel::echoes(Batching::default());
    let callers = Callers::default();
    let mut members: Vec<_> = (0..4).map(|n| callers.with(model.rows(1, n))).collect();
    members[0].respond.panics = true;
    members[2].respond.panics = true;
    run(&mut members, how());
    let told = callers.told();
    let went_well: Vec<bool> = told.values().map(Result::is_ok).collect();
    assert_eq!(went_well, [false, true, false, true]);
}

#[test]
fn too_few_outputs_are_an_error_and_no_panic() {
    let model = Puppet::default().acts(|_| Ok(vec![]));
    for answer in run_all([model.rows(1, 1), model.rows(1, 2)]) {
        assert_eq!(refusal(&answer).0, Kind::Internal);
    }
}

#[test]
fn the_gone_and_the_expired_are_not_run() {
    let model = PuppetModel::echoes(Batching::default());
    let callers = Callers::default();
    let past = Clock::until(Some(Instant::now()));
    let mut members = vec![
        callers.with(model.rows(1, 1)),
        callers.with(model.rows(2, 2)),
        callers.with(model.rows_at(4, past)),
        callers.with(model.rows(8, 3)),
    ];
    members[1].respond.is_gone = true;
    run(&mut members, how());
    assert_eq!(model.rows_run(), [9]);
    let told = callers.told();
    assert_eq!(refusal(&told[&1]).0, Kind::Cancelled);
    assert_eq!(refusal(&told[&2]).0, Kind::DeadlineExceeded);
    assert_eq!(outputs(&told[&0]), [rows_of_two(1, 1)]);
    assert_eq!(outputs(&told[&3]), [rows_of_two(8, 3)]);
}

#[test]
fn nothing_is_run_for_nobody() {
    let model = PuppetModel::echoes(Batching::default());
    let past = Clock::until(Some(Instant::now()));
    let answers = run_all([model.rows_at(1, past)]);
    assert_eq!(refusal(&answers[0]).0, Kind::DeadlineExceeded);
    assert!(model.seen().is_empty());
}

#[test]
fn a_batch_has_the_latest_deadline_or_none() {
    let model = PuppetModel::echoes(Batching::default());
    let later = |seconds| Instant::now() + Duration::from_secs(seconds);
    let (near, far) = (later(100), later(200));
    let until = |deadline| model.rows_at(1, Clock::until(deadline));
    run_all([until(Some(near)), until(Some(far)), until(Some(near))]);
    run_all([until(Some(near)), until(None)]);
    let deadlines: Vec<_> = model.seen().iter().map(|seen| seen.deadline).collect();
    assert_eq!(deadlines, [Some(far), None]);
}

#[test]
fn outputs_without_a_row_for_each_of_the_batch_end_batching() {
    let scalar = |_: &Seen| Ok(vec![fixed(&[], &[5])]);
    let other_rows = |_: &Seen| Ok(vec![fixed(&[3], &[5, 6, 7])]);
    let texts = [
        "Batched output tensor has 0 dimensions",
        "Batched output tensor's 0th dimension does not equal the sum of the 0th dimension \
         sizes of the input tensors",
    ];
    let models = [
        Puppet::default().acts(scalar),
        Puppet::default().acts(other_rows),
    ];
    for (model, text) in models.iter().zip(texts) {
        let answers = run_all([model.rows(1, 1), model.rows(1, 2)]);
        assert!(answers.iter().all(Result::is_ok));
        assert_eq!(model.rows_run(), [2, 1, 1]);
        assert_eq!(model.served.why_alone(0), Some(text));
        assert_eq!(model.served.why_alone(1), None);
        assert!(!model.rows(1, 1).is_batchable());
    }
}

#[test]
fn a_batch_of_one_tells_as_much() {
    let model = Puppet::default().acts(|_| Ok(vec![fixed(&[], &[5])]));
    let answers = run_all([model.rows(1, 1)]);
    assert_eq!(outputs(&answers[0]), [fixed(&[], &[5])]);
    assert_eq!(model.rows_run(), [1]);
    assert!(model.served.why_alone(0).is_some());
}

fn allowed(sizes: &[usize]) -> Batching {
    Batching {
        max_batch_size: sizes.last().copied(),
        allowed_batch_sizes: sizes.to_vec(),
        ..Batching::default()
    }
}

#[test]
fn rounds_up_to_the_next_allowed_size_with_the_last_ones_first_row() {
    let model = PuppetModel::echoes(allowed(&[4, 8]));
    let last = fixed(&[2, 2], &[1, 2, 3, 4]);
    let answers = run_all([model.rows(3, 9), model.call(vec![last.clone()])]);
    assert_eq!(model.rows_run(), [8]);
    let expected = [9, 9, 9, 9, 9, 9, 1, 2, 3, 4, 1, 2, 1, 2, 1, 2];
    assert_eq!(model.seen()[0].bytes(), expected);
    assert_eq!(outputs(&answers[0]), [rows_of_two(3, 9)]);
    assert_eq!(outputs(&answers[1]), [last]);
    assert_eq!(answers[1].as_ref().unwrap().timings.batch_rows, 5);
}

#[test]
fn allowed_sizes_hold_for_one_and_leave_what_is_exact_or_larger() {
    let model = PuppetModel::echoes(allowed(&[4, 8]));
    for (rows, run) in [(1, 4), (4, 4), (5, 8), (9, 9)] {
        let answers = run_all([model.rows(rows, 7)]);
        assert_eq!(outputs(&answers[0]), [rows_of_two(rows, 7)]);
        assert_eq!(model.rows_run().last(), Some(&run));
    }
}

#[test]
fn padding_rows_end_with_batching() {
    let scalar = |seen: &Seen| Ok(vec![fixed(&[], &[seen.bytes().len() as u8])]);
    let model = Puppet {
        batching: allowed(&[4]),
        ..Puppet::default()
    }
    .acts(scalar);
    let answers = run_all([model.rows(3, 1)]);
    assert_eq!(model.rows_run(), [4, 3]);
    assert_eq!(outputs(&answers[0]), [fixed(&[], &[6])]);
}

fn padding() -> Batching {
    Batching {
        pad_variable_length_inputs: true,
        ..Batching::default()
    }
}

#[test]
fn pads_variable_lengths_with_each_tensors_first_element() {
    let model = PuppetModel::echoes(padding());
    let small = fixed(&[1, 1, 2], &[1, 2]);
    let tall = fixed(&[2, 2, 1], &[3, 4, 5, 6]);
    let answers = run_all([model.call(vec![small]), model.call(vec![tall])]);
    let expected = [
        [[1, 2], [1, 1]], // the missing second line, by the first element
        [[3, 3], [4, 3]], // the missing second column, by the first element of the tensor
        [[5, 3], [6, 3]],
    ];
    assert_eq!(
        model.seen()[0].bytes(),
        expected.as_flattened().as_flattened()
    );
    assert_eq!(
        outputs(&answers[0]),
        [fixed(&[1, 2, 2], expected[0].as_flattened())]
    );
}

#[test]
fn pads_strings_as_well() {
    let model = Puppet {
        dtypes: vec![DType::String],
        batching: padding(),
        ..Puppet::default()
    }
    .echoes();
    let one = model.call(vec![strings(&[1, 1], &["a"])]);
    let two = model.call(vec![strings(&[1, 2], &["b", "c"])]);
    let answers = run_all([one, two]);
    assert_eq!(outputs(&answers[0]), [strings(&[1, 2], &["a", "a"])]);
    assert_eq!(outputs(&answers[1]), [strings(&[1, 2], &["b", "c"])]);
}

#[test]
fn what_has_no_first_element_can_t_be_padded() {
    let model = PuppetModel::echoes(padding());
    let empty = model.call(vec![fixed(&[1, 0], &[])]);
    let answers = run_all([model.rows(1, 1), empty, model.rows(1, 2)]);
    let text = "Got empty tensor in batch of non-empty tensors.";
    assert_eq!(refusal(&answers[1]), (Kind::InvalidArgument, text));
    assert_eq!(outputs(&answers[0]), [rows_of_two(1, 1)]);
    assert_eq!(model.rows_run(), [2]);
    // Where none has any, there is nothing to pad.
    let empty = || model.call(vec![fixed(&[1, 0], &[])]);
    assert!(run_all([empty(), empty()]).iter().all(Result::is_ok));
}

#[test]
fn padding_does_not_blow_up() {
    let model = PuppetModel::echoes(padding());
    let long = vec![1; 100_000];
    let wide = fixed(&[1, 100_000, 1], &long);
    let tall = fixed(&[1, 1, 100_000], &long);
    let answers = run_all([
        model.call(vec![wide.clone()]),
        model.call(vec![tall.clone()]),
    ]);
    assert_eq!(model.rows_run(), [1, 1]);
    assert_eq!(outputs(&answers[0]), [wide]);
    assert_eq!(outputs(&answers[1]), [tall]);
}

#[test]
fn what_failed_quickly_is_no_measure() {
    let model = fails_on(66, Kind::InvalidArgument);
    for _ in 0..10 {
        run_all([model.rows(1, 66)]);
    }
    assert_eq!(model.served.cost(0).expected(2), None);
}

fn any_dtype() -> impl Strategy<Value = DType> {
    proptest::sample::select(&DType::ALL[..])
}

/// A tensor of these dimensions with elements from `seed`.
fn any_tensor(dtype: DType, dims: &[usize], seed: u8) -> Tensor {
    let shape = Shape::new(dims).unwrap();
    let byte = |index: usize| (index as u8).wrapping_mul(31).wrapping_add(seed);
    if let Some(size) = dtype.size() {
        let bytes: Vec<u8> = (0..shape.elements() * size).map(byte).collect();
        Tensor::fixed(dtype, shape, bytes.into()).unwrap()
    } else {
        let string = |index| vec![byte(index); index % 5].into();
        let strings = (0..shape.elements()).map(string).collect();
        Tensor::strings(shape, strings).unwrap()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn split_gives_back_what_merge_took(
        inputs in vec((any_dtype(), vec(0_usize..4, 0..4)), 1..4),
        members in vec((0_usize..5, any::<u8>()), 1..9),
        sizes in proptest::option::of(1_usize..40),
    ) {
        let model = Puppet {
            dtypes: inputs.iter().map(|(dtype, _)| *dtype).collect(),
            batching: allowed(sizes.as_slice()),
            ..Puppet::default()
        }
        .echoes();
        let tensors = |rows: usize, seed: u8| -> Vec<Tensor> {
            let tensor = |(dtype, inner): &(DType, Vec<usize>)| {
                any_tensor(*dtype, &[&[rows], inner.as_slice()].concat(), seed)
            };
            inputs.iter().map(tensor).collect()
        };
        let members: Vec<_> = members.into_iter().filter(|(rows, _)| *rows > 0).collect();
        let calls = members.iter().map(|(rows, seed)| model.call(tensors(*rows, *seed)));
        let answers = run_all(calls);
        // Rows of no elements share no batch.
        let has_elements = inputs.iter().any(|(_, inner)| !inner.contains(&0));
        prop_assert!(model.seen().len() <= 1 || !has_elements);
        prop_assert_eq!(answers.len(), members.len());
        for (answer, (rows, seed)) in answers.iter().zip(members) {
            prop_assert_eq!(outputs(answer), &tensors(rows, seed)[..]);
        }
    }
}

fn unproven(
    act: impl Fn(&Seen) -> Result<Vec<Tensor>, ServeError> + Send + Sync + 'static,
) -> PuppetModel {
    Puppet {
        is_unproven: true,
        ..Puppet::default()
    }
    .acts(act)
}

#[test]
fn the_first_batch_of_a_model_that_was_not_measured_is_compared() {
    let model = unproven(Seen::echo);
    let answers = run_all((0..5).map(|n| model.rows(2, n)));
    assert_eq!(model.rows_run(), [10, 2, 2, 2]);
    assert_eq!(outputs(&answers[4]), [rows_of_two(2, 4)]);
    run_all((0..5).map(|n| model.rows(1, n)));
    assert_eq!(model.rows_run()[4..], [5]);
}

#[test]
fn a_batch_of_equal_requests_is_not_proof_enough() {
    let model = unproven(Seen::echo);
    for _ in 0..16 {
        run_all((0..2).map(|_| model.rows(1, 1)));
    }
    assert_eq!(model.rows_run(), [2, 1, 1].repeat(16));
    run_all((0..2).map(|_| model.rows(1, 1)));
    assert_eq!(model.rows_run()[48..], [2]);
}

#[test]
fn rows_that_mix_are_found_in_the_first_batch_and_never_answered_with() {
    // Each row has what the last of its batch has.
    let model = unproven(|seen: &Seen| {
        let last = *seen.bytes().last().unwrap();
        let rows = seen.bytes().len() / 2;
        Ok(vec![rows_of_two(rows, last)])
    });
    let answers = run_all([1, 2].map(|fill| model.rows(1, fill)));
    for (answer, fill) in answers.iter().zip([1, 2]) {
        assert_eq!(outputs(answer), [rows_of_two(1, fill)]);
    }
    assert_eq!(
        model.served.why_alone(0),
        Some("its output \"x0\" for a request differs in a batch with others")
    );
}

#[test]
fn a_member_that_fails_alone_is_no_proof() {
    let model = unproven(|seen: &Seen| match seen.bytes().len() {
        2 => Err(ServeError::invalid_argument("too few")),
        _ => seen.echo(),
    });
    let answers = run_all([1, 2].map(|fill| model.rows(1, fill)));
    assert!(answers.iter().all(|answer| refusal(answer).1 == "too few"));
    assert_eq!(model.served.why_alone(0), None);
}
