//! Request logs: of a share of a model's requests, what was asked and answered, in files
//! that rotate. In the order a request goes: a recorder samples and queues it, one thread
//! of the process encodes it and appends it to its model's file. A request never waits for
//! that and never fails by it: what can't be kept is counted.

mod options;
pub use options::{Format, LogOptions};

mod counts;

mod recorder;

mod logs;
pub use logs::RequestLogs;

mod queue;

mod writer;

mod encode;
mod json;

mod files;
mod name;
mod old_files;
mod trouble;

mod record_file;

mod recover;
