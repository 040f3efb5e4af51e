use tensor::DType;

use crate::testing::{Puppet, dispatcher, fixed, gated, strings, submit};
use crate::{Batching, Kind, ServeError};

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
    drop(answer);
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
