//! From gathered requests to one run and back: who may share a batch, how large it may
//! be, its inputs merged, its run, its outputs split. Whoever gathered the requests runs
//! the batch in its own thread.

mod group;
pub(crate) use group::GroupOf;

mod limit;
pub(crate) use limit::{Limit, full_rows, told};

mod pad;

mod merge;
pub use merge::{Feed, FeedData};

mod split;

mod check;

mod run;
pub(crate) use run::{How, Member, answer_each, run};

mod large;
pub(crate) use large::{Waiter, parts};
