//! What batches of a signature cost, as measured when its model was loaded.

use std::time::Duration;

/// In whose threads a run's operations are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunMode {
    /// The calling thread's: no thread switch.
    Caller,
    /// The executor's own pool: operations side by side.
    Pool,
}

/// The measured cost of one batch size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point {
    /// Rows of the batch.
    pub rows: usize,
    /// Median time of a run in the calling thread; [`Point::NEVER`]: not measured there,
    /// because it must not run there.
    pub caller: Duration,
    /// Median time of a run in the executor's pool.
    pub pool: Duration,
}

impl Point {
    /// The cost of a run in a mode that it must not be run in.
    pub const NEVER: Duration = Duration::MAX;

    /// What a run takes in this mode.
    pub fn cost(&self, mode: RunMode) -> Duration {
        match mode {
            RunMode::Caller => self.caller,
            RunMode::Pool => self.pool,
        }
    }

    /// The mode to run it in. The pool must be a good part faster: while a model is
    /// measured the pool's other threads are idle, and under load they are not.
    pub fn mode(&self) -> RunMode {
        let worth_it = self.caller / 5 * 4;
        if self.pool < worth_it {
            RunMode::Pool
        } else {
            RunMode::Caller
        }
    }

    /// What a run takes in the mode it is run in.
    pub fn best(&self) -> Duration {
        self.cost(self.mode())
    }

    /// Rows a second in that mode.
    pub fn rate(&self) -> f64 {
        self.rows as f64 / self.best().as_secs_f64().max(1e-9)
    }
}

/// Of the best rate, what a batch size must reach to be called as good: larger batches
/// make every member wait longer for a few more rows a second.
const AS_GOOD: f64 = 0.95;

/// Points of one signature, by ascending rows. Between them a cost is on the line from
/// one to the next; beyond the last, on the line through the last two.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Curve {
    /// At least one.
    pub points: Vec<Point>,
    /// Bytes of input for a row.
    pub row_bytes: usize,
}

impl Curve {
    /// The mode for a batch of `rows`: as at the largest measured size that is no larger.
    pub fn mode(&self, rows: usize) -> RunMode {
        let below = self.points.iter().rev().find(|point| point.rows <= rows);
        below
            .or(self.points.first())
            .map_or(RunMode::Caller, Point::mode)
    }

    /// What a batch of `rows` takes in its mode.
    pub fn expected(&self, rows: usize) -> Duration {
        self.at(rows, self.mode(rows))
    }

    /// Most rows of a batch that takes at most `limit` in the calling thread; 0: none. At
    /// most twice the largest that was measured: further out nothing is known.
    pub fn rows_within(&self, limit: Duration) -> usize {
        let Some(last) = self.points.last() else {
            return 0;
        };
        let over = self.points.iter().position(|point| point.caller > limit);
        let (mut within, mut beyond) = match over {
            Some(0) => return 0,
            Some(index) => (self.points[index - 1].rows, self.points[index].rows),
            None => (last.rows, last.rows.saturating_mul(2).saturating_add(1)),
        };
        while beyond - within > 1 {
            let middle = within + (beyond - within) / 2;
            if self.at(middle, RunMode::Caller) <= limit {
                within = middle;
            } else {
                beyond = middle;
            }
        }
        within
    }

    /// Rows beyond which a larger batch gives no more rows a second worth waiting for.
    pub fn useful_rows(&self) -> usize {
        let best = self.points.iter().map(Point::rate).fold(0.0, f64::max);
        let as_good = |point: &&Point| point.rate() >= best * AS_GOOD;
        self.points
            .iter()
            .find(as_good)
            .map_or(1, |point| point.rows)
    }

    /// The same without the humps that noise makes: a batch costs no more than a larger one.
    #[must_use]
    pub(crate) fn smoothed(mut self) -> Self {
        let mut least = (Point::NEVER, Point::NEVER);
        for point in self.points.iter_mut().rev() {
            least = (least.0.min(point.caller), least.1.min(point.pool));
            (point.caller, point.pool) = least;
        }
        self
    }

    /// What a batch of `rows` takes in `mode`.
    fn at(&self, rows: usize, mode: RunMode) -> Duration {
        let above = self.points.iter().position(|point| point.rows >= rows);
        let (from, to) = match (above, &self.points[..]) {
            (_, []) => return Duration::ZERO,
            (Some(0), [first, ..]) => return first.cost(mode),
            (Some(index), points) => (points[index - 1], points[index]),
            (None, [only]) => {
                // Nothing else is known: each row as much as those measured.
                return scaled(only.cost(mode), rows as f64 / only.rows.max(1) as f64);
            }
            (None, [.., from, to]) => (*from, *to),
        };
        let span = to.rows.saturating_sub(from.rows).max(1) as f64;
        let way = rows.saturating_sub(from.rows) as f64 / span;
        let rise = to.cost(mode).saturating_sub(from.cost(mode));
        from.cost(mode).saturating_add(scaled(rise, way))
    }
}

fn scaled(duration: Duration, factor: f64) -> Duration {
    Duration::try_from_secs_f64(duration.as_secs_f64() * factor).unwrap_or(Duration::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Curve, Point, RunMode};

    fn curve(points: &[(usize, u64, u64)]) -> Curve {
        let point = |&(rows, caller, pool): &(usize, u64, u64)| Point {
            rows,
            caller: Duration::from_micros(caller),
            pool: Duration::from_micros(pool),
        };
        Curve {
            points: points.iter().map(point).collect(),
            row_bytes: 4,
        }
    }

    fn micros(micros: u64) -> Duration {
        Duration::from_micros(micros)
    }

    #[test]
    fn costs_between_and_beyond_the_points() {
        let curve = curve(&[(1, 20, 90), (2, 22, 90), (4, 30, 90), (8, 50, 90)]);
        for (rows, expected) in [
            (0, 20),
            (1, 20),
            (2, 22),
            (3, 26),
            (4, 30),
            (6, 40),
            (8, 50),
        ] {
            assert_eq!(curve.expected(rows), micros(expected), "{rows}");
        }
        assert_eq!(curve.expected(16), micros(90));
        assert_eq!(curve.expected(1008), micros(5050));
        assert!(curve.expected(usize::MAX) > Duration::from_secs(1 << 40));
    }

    #[test]
    fn a_falling_end_is_not_followed_below_the_last_point() {
        assert_eq!(
            curve(&[(1, 20, 90), (2, 10, 90)]).expected(1000),
            micros(20)
        );
    }

    #[test]
    fn one_point_is_scaled() {
        let curve = curve(&[(8, 80, 800)]);
        assert_eq!(curve.expected(1), micros(80));
        assert_eq!(curve.expected(24), micros(240));
        assert_eq!(curve.useful_rows(), 8);
    }

    #[test]
    fn no_points_know_nothing() {
        let curve = Curve::default();
        assert_eq!(curve.mode(1), RunMode::Caller);
        assert_eq!(curve.expected(7), Duration::ZERO);
        assert_eq!(curve.rows_within(micros(1000)), 0);
        assert_eq!(curve.useful_rows(), 1);
    }

    #[test]
    fn rows_that_fit_a_limit() {
        let curve = curve(&[(1, 20, 90), (2, 40, 90), (4, 80, 90), (8, 160, 90)]);
        for (limit, rows) in [
            (19, 0),
            (20, 1),
            (39, 1),
            (60, 3),
            (100, 5),
            (160, 8),
            (200, 10),
        ] {
            assert_eq!(curve.rows_within(micros(limit)), rows, "{limit}");
        }
        // No further than twice what was measured, however cheap it looks.
        assert_eq!(curve.rows_within(Duration::from_secs(1)), 16);
    }

    #[test]
    fn what_must_not_run_in_the_caller_never_does() {
        let points = [(1, 100), (2, 150)].map(|(rows, pool)| Point {
            rows,
            caller: Point::NEVER,
            pool: micros(pool),
        });
        let curve = Curve {
            points: points.into(),
            row_bytes: 4,
        };
        assert_eq!(curve.mode(1), RunMode::Pool);
        assert_eq!(curve.rows_within(Duration::from_hours(1)), 0);
        assert_eq!(curve.expected(3), micros(200));
    }

    #[test]
    fn the_pool_must_be_worth_it() {
        let curve = curve(&[(1, 100, 81), (2, 200, 150), (4, 400, 500)]);
        assert_eq!(curve.mode(1), RunMode::Caller);
        assert_eq!(curve.mode(2), RunMode::Pool);
        assert_eq!(curve.mode(3), RunMode::Pool);
        assert_eq!(curve.mode(4), RunMode::Caller);
        assert_eq!(curve.expected(2), micros(150));
    }

    #[test]
    fn the_knee_is_where_more_rows_stop_paying() {
        let curve = curve(&[
            (1, 20, 90),
            (2, 21, 90),
            (4, 24, 90),
            (8, 44, 90),
            (16, 85, 900),
        ]);
        assert_eq!(curve.useful_rows(), 8);
    }

    #[test]
    fn humps_are_smoothed() {
        let smooth = curve(&[(1, 20, 90), (2, 70, 60), (4, 30, 95)]).smoothed();
        assert_eq!(smooth, curve(&[(1, 20, 60), (2, 30, 60), (4, 30, 95)]));
    }
}
