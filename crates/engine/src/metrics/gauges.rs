//! What the engine has in hand at one moment.

/// Admitted and unanswered work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gauges {
    /// Requests that were let in and are not answered.
    pub requests: usize,
    /// Their rows.
    pub rows: usize,
    /// Bytes of their input tensors.
    pub bytes: usize,
    /// Those of them that wait for a runner thread.
    pub queued: usize,
}
