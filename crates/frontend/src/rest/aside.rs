//! Work of milliseconds and more, which would hold up an I/O thread's other requests: it is
//! done in threads of its own, and only so much of it at once.

use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

/// From this size on what is compressed or decompressed is done aside, bytes.
pub(super) const LARGE: usize = 64 << 10;

/// How much is done at once. What it makes is let in nowhere yet, so this bounds the memory
/// that a flood of small bodies which inflate to large ones can take; and one core's work
/// more would be taken from those that serve.
static SLOTS: Semaphore = Semaphore::const_new(4);

/// Does `work` when it is its turn; `None` if it panicked. It keeps its turn until its
/// result is taken, or, if nobody waits any more, until it is done.
pub(super) async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let slot = SLOTS.acquire().await.ok()?;
    let done = spawn_blocking(move || (work(), slot)).await;
    done.ok().map(|(result, _slot)| result)
}
