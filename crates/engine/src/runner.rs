//! The threads that run what would hold an I/O thread up.

use std::thread::{self, JoinHandle};

use crossbeam_channel::{Receiver, Sender, unbounded};
use tokio::sync::oneshot;

use crate::reply::Reply;
use crate::respond::{Outcome, Respond};
use crate::{Call, ServeError};

/// Bytes of stack for a thread that runs models: TensorFlow optimises a graph in the
/// thread of its first run, and needs for a deep one what C programs usually have.
pub const RUN_STACK: usize = 8 << 20;

struct Entry {
    call: Call,
    reply: Reply,
}

/// A pool of threads and the queue before them. Dropped, it finishes what is queued.
pub(crate) struct Runners {
    queue: Option<Sender<Entry>>,
    threads: Vec<JoinHandle<()>>,
}

impl Runners {
    pub(crate) fn start(count: usize) -> std::io::Result<Self> {
        let (queue, entries) = unbounded();
        let start_one = |index| {
            let entries = entries.clone();
            thread::Builder::new()
                .name(format!("tensorwire-run-{index}"))
                .stack_size(RUN_STACK)
                .spawn(move || run_entries(&entries))
        };
        Ok(Self {
            threads: (0..count.max(1)).map(start_one).collect::<Result<_, _>>()?,
            queue: Some(queue),
        })
    }

    /// Calls that wait.
    pub(crate) fn queued(&self) -> usize {
        self.queue.as_ref().map_or(0, Sender::len)
    }

    /// Queues a call; the receiver gets its answer, whatever happens.
    pub(crate) fn submit(&self, call: Call) -> Result<oneshot::Receiver<Outcome>, ServeError> {
        let (reply, answer) = Reply::new();
        self.queue
            .as_ref()
            .and_then(|queue| queue.send(Entry { call, reply }).ok())
            .ok_or_else(|| ServeError::unavailable("the server is shutting down"))?;
        Ok(answer)
    }
}

fn run_entries(entries: &Receiver<Entry>) {
    while let Ok(Entry { call, mut reply }) = entries.recv() {
        if !reply.is_gone() {
            reply.respond(call.run());
        }
    }
}

impl Drop for Runners {
    fn drop(&mut self) {
        self.queue = None;
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl std::fmt::Debug for Runners {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Runners({})", self.threads.len())
    }
}
