//! The cost of batches of 1, 2, 4 ... rows, as far up as more rows pay.

use std::time::Duration;

use tensor::Tensor;

use super::sample::Sample;
use super::trial::{Failure, Trial};
use crate::{Point, RunMode};

/// Most rows that are measured.
pub(super) const MAX_ROWS: usize = 1024;

/// Most bytes of input of a measured batch, and of its outputs.
const MAX_BYTES: usize = 64 << 20;

/// A batch that takes longer is not made larger: its members would wait too long.
const LONG: Duration = Duration::from_millis(250);

/// Part by which doubling must raise the rows a second to be worth it.
const WORTH_IT: f64 = 1.05;

/// Time spent on the counted runs of one point in one mode; few of them may take longer.
const POINT_TIME: Duration = Duration::from_millis(1);

/// Fewest and most of those runs. Odd, so that one of them is the median.
const RUNS: (usize, usize) = (3, 9);

/// The modes that a signature may run in.
pub(super) const BOTH: [RunMode; 2] = [RunMode::Caller, RunMode::Pool];

/// Measures ascending sizes up to `most` rows, while the time lasts and larger ones pay;
/// only one size if the sample has no rows. At least one point, or why there is none.
pub(super) fn climb(
    trial: &Trial<'_>,
    sample: &Sample,
    modes: &[RunMode],
    most: usize,
) -> Result<Vec<Point>, Failure> {
    let mut points: Vec<Point> = Vec::new();
    let mut idle_steps = 0;
    loop {
        let rows = points
            .last()
            .map_or(sample.least_rows(), |point| point.rows * 2);
        let (point, output_bytes) = match measure(trial, sample, rows, modes) {
            Ok(measured) => measured,
            Err(failure) if points.is_empty() => return Err(failure),
            // A model that takes no more rows than this, or no time left for them.
            Err(_) => break,
        };
        if let Some(before) = points.last() {
            let pays = point.rate() >= before.rate() * WORTH_IT;
            idle_steps = if pays { 0 } else { idle_steps + 1 };
        }
        points.push(point);
        let bytes = output_bytes.max(sample.row_bytes().saturating_mul(rows));
        let is_top = !sample.has_rows()
            || rows >= most
            || bytes.saturating_mul(2) > MAX_BYTES
            || point.best() > LONG
            || !trial.is_bearable(point.best().saturating_mul(2))
            // Twice, as one may be noise; a long one must not be waited for again.
            || idle_steps > usize::from(point.best() < LONG / 5)
            || !is_affordable(trial, &point, modes);
        if is_top {
            break;
        }
    }
    Ok(points)
}

/// Whether there is time for a run of twice the rows in each mode.
fn is_affordable(trial: &Trial<'_>, point: &Point, modes: &[RunMode]) -> bool {
    let costs = modes.iter().map(|mode| point.cost(*mode).saturating_mul(2));
    let needed = costs.fold(Duration::ZERO, Duration::saturating_add);
    trial.has_time_for(needed).is_ok()
}

/// A point and the bytes of its outputs.
fn measure(
    trial: &Trial<'_>,
    sample: &Sample,
    rows: usize,
    modes: &[RunMode],
) -> Result<(Point, usize), Failure> {
    let mut point = Point {
        rows,
        caller: Point::NEVER,
        pool: Point::NEVER,
    };
    let mut output_bytes = 0;
    for mode in modes {
        // Not counted: TensorFlow prepares itself for a new shape.
        let (outputs, first) = trial.run(sample.feeds(0, rows), *mode)?;
        output_bytes = outputs.iter().map(Tensor::weight).sum();
        drop(outputs);
        let cost = median(trial, first, || trial.time(sample.feeds(0, rows), *mode))?;
        match mode {
            RunMode::Caller => point.caller = cost,
            RunMode::Pool => point.pool = cost,
        }
    }
    Ok((point, output_bytes))
}

/// The median of a few runs after one that took `first`; `first` itself if that is slow.
fn median(
    trial: &Trial<'_>,
    first: Duration,
    mut run: impl FnMut() -> Result<Duration, Failure>,
) -> Result<Duration, Failure> {
    let mut costs = Vec::with_capacity(RUNS.1);
    let mut spent = Duration::ZERO;
    while costs.len() < RUNS.1 {
        let next = costs.last().copied().unwrap_or(first);
        let is_enough = costs.len() >= RUNS.0 && spent >= POINT_TIME;
        // A slow run needs no other: what disturbs it, and what prepares it, is small.
        let is_slow = next > trial.left() / 16;
        if is_enough || is_slow {
            break;
        }
        let cost = run()?;
        spent += cost;
        costs.push(cost);
    }
    costs.sort_unstable();
    Ok(costs.get(costs.len() / 2).copied().unwrap_or(first))
}
