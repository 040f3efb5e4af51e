//! What the engine makes of a signature's measures, in words and numbers.

use std::fmt::{self, Display, Formatter};

use super::{INLINE_LIMIT, RunMode};
use crate::ServedModel;

/// How requests of a measured signature are run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Most rows of a batch that an I/O thread runs itself; 0: it runs none.
    pub inline_rows: usize,
    /// Most rows of a batch; 1: every request runs alone.
    pub batch_rows: usize,
    /// The smallest measured batch that runs in the executor's own threads; `None`: none does.
    pub pool_rows: Option<usize>,
}

impl ServedModel {
    /// What is decided for a signature (its index); `None` where nothing was measured.
    pub fn decision(&self, signature: usize) -> Option<Decision> {
        let curve = self.curve(signature)?;
        let batching = &self.options().batching;
        let told = batching.max_batch_size.unwrap_or(usize::MAX);
        let in_pool = |point: &&super::Point| point.mode() == RunMode::Pool;
        let is_alone = !batching.enabled || self.why_alone(signature).is_some();
        Some(Decision {
            inline_rows: if self.executor().is_unpredictable() {
                0
            } else {
                curve.rows_within(INLINE_LIMIT)
            },
            batch_rows: if is_alone {
                1
            } else {
                curve.useful_rows().min(told)
            },
            pool_rows: curve.points.iter().find(in_pool).map(|point| point.rows),
        })
    }
}

/// `inline up to 180 rows, batches of up to 512, in the calling thread`.
impl Display for Decision {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        match self.inline_rows {
            0 => write!(formatter, "never inline")?,
            1 => write!(formatter, "inline for 1 row")?,
            rows => write!(formatter, "inline up to {rows} rows")?,
        }
        if self.batch_rows > 1 {
            write!(formatter, ", batches of up to {} rows", self.batch_rows)?;
        } else {
            write!(formatter, ", no batches")?;
        }
        match self.pool_rows {
            None => write!(formatter, ", in the calling thread"),
            Some(1) => write!(formatter, ", in the model's own threads"),
            Some(rows) => write!(
                formatter,
                ", in the model's own threads from {rows} rows on"
            ),
        }
    }
}
