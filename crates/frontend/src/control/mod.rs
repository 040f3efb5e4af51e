//! Requests that change which models there are: taken off the wire here, put into a queue,
//! and answered by the control plane, which is not in this crate and may take minutes.

mod command;
pub use command::Command;

mod permitted;
pub use permitted::Permitted;

mod methods;
pub(crate) use methods::method_at;

mod queue;
pub(crate) use queue::{CommandQueue, MAX_BYTES};

mod answer;
pub(crate) use answer::answer;

mod rest;
pub(crate) use rest::{Verb, check, command};
