//! What moves all channels' bytes: one runtime for each process, made when first used and
//! never shut down, so that leaving the process waits for nothing.
//!
//! Whoever waits for a call drives it, and with it everybody else's bytes: a call that
//! waits alone is sent and answered without another thread. One thread of ours, the
//! keeper, drives while nobody does: for calls that nobody waits for, for pings and for
//! connections that end while they are idle.

use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::{self, Thread};
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::sync::Notify;
use tokio::task::AbortHandle;

use crate::code::Code;
use crate::error::ClientError;
use crate::fork::{Held, PerProcess};

static DRIVER: PerProcess<Driver> = PerProcess::new();

/// Threads for looking up host names, which blocks; they end when idle.
const RESOLVER_THREADS: usize = 4;

/// How long nobody must have waited for a call before the keeper drives again. Between
/// the calls of a busy thread it stays out of the way: to step aside costs two switches
/// of threads. Long enough that it looks 50 times a second at most, short enough that a
/// connection which ended is noticed before a person could call again.
const QUIET: Duration = Duration::from_millis(20);

/// How often it looks while one call takes long.
const LONG_CALL: Duration = Duration::from_millis(200);

struct Driver {
    crew: Arc<Crew>,
    /// `None`: it could not be started. Started only once the driver has its place, since
    /// one that lost the race for it is dropped.
    keeper: OnceLock<Option<Thread>>,
}

/// Who drives, and who wants to. All of it is ordered sequentially: the keeper and a
/// caller each say what they do before they look at what the other does.
struct Crew {
    runtime: Runtime,
    /// Threads in `block_on`.
    waiting: AtomicUsize,
    /// All `block_on` so far.
    calls: AtomicUsize,
    /// Futures of `spawn` that have not ended.
    spawned: AtomicUsize,
    keeper_drives: AtomicBool,
    step_aside: Notify,
}

/// Runs a future in the calling thread, which moves the bytes meanwhile.
pub fn block_on<F: Future>(future: F) -> Result<F::Output, ClientError> {
    let driver = driver()?;
    let _waiting = Waiting::enter(&driver.crew);
    Ok(driver.crew.runtime.block_on(future))
}

/// Runs a future on the client's thread.
pub fn spawn<F>(future: F) -> Result<AbortHandle, ClientError>
where
    F: Future<Output = ()> + Send + 'static,
{
    let driver = driver()?;
    let spawned = Spawned::enter(&driver.crew);
    let handle = driver.crew.runtime.spawn(async move {
        let _spawned = spawned;
        future.await;
    });
    if !driver.crew.keeper_drives.load(Ordering::SeqCst)
        && let Some(Some(keeper)) = driver.keeper.get()
    {
        keeper.unpark();
    }
    Ok(handle.abort_handle())
}

fn driver() -> Result<Held<Driver>, ClientError> {
    let driver = DRIVER.get_or_try_make(Driver::new)?;
    let keeper = driver.keeper.get_or_init(|| {
        let crew = Arc::clone(&driver.crew);
        thread::Builder::new()
            .name("tensorwire-client".to_owned())
            .spawn(move || crew.keep())
            .ok()
            .map(|handle| handle.thread().clone())
    });
    if keeper.is_none() {
        return Err(cannot_start("the system gives no more threads"));
    }
    Ok(driver)
}

fn cannot_start(why: impl std::fmt::Display) -> ClientError {
    ClientError::local(
        Code::ResourceExhausted,
        format!("cannot start the client's thread: {why}"),
    )
}

impl Driver {
    fn new() -> Result<Self, ClientError> {
        let runtime = Builder::new_current_thread()
            .max_blocking_threads(RESOLVER_THREADS)
            .thread_name("tensorwire-resolver")
            .enable_io()
            .enable_time()
            .build()
            .map_err(cannot_start)?;
        Ok(Self {
            crew: Arc::new(Crew {
                runtime,
                waiting: AtomicUsize::new(0),
                calls: AtomicUsize::new(0),
                spawned: AtomicUsize::new(0),
                keeper_drives: AtomicBool::new(false),
                step_aside: Notify::new(),
            }),
            keeper: OnceLock::new(),
        })
    }
}

impl Crew {
    /// The keeper's life.
    fn keep(&self) {
        loop {
            self.keeper_drives.store(true, Ordering::SeqCst);
            self.runtime.block_on(self.until_somebody_else_can());
            self.keeper_drives.store(false, Ordering::SeqCst);
            self.until_quiet();
        }
    }

    async fn until_somebody_else_can(&self) {
        while !self.can_step_aside() {
            self.step_aside.notified().await;
        }
    }

    /// A future of `spawn` must go on however short the waits of others are.
    fn can_step_aside(&self) -> bool {
        self.waiting.load(Ordering::SeqCst) > 0 && self.spawned.load(Ordering::SeqCst) == 0
    }

    fn until_quiet(&self) {
        let mut seen = self.calls.load(Ordering::SeqCst);
        let mut pause = QUIET;
        loop {
            // Before the pause as well: a future that was spawned while the keeper still
            // seemed to drive wakes nobody.
            if self.spawned.load(Ordering::SeqCst) > 0 {
                return;
            }
            // Ends early for a future of `spawn`.
            thread::park_timeout(pause);
            let calls = self.calls.load(Ordering::SeqCst);
            let somebody_drives = self.waiting.load(Ordering::SeqCst) > 0;
            if calls == seen && !somebody_drives {
                return;
            }
            pause = if calls == seen { LONG_CALL } else { QUIET };
            seen = calls;
        }
    }
}

/// Counts as waiting until dropped.
struct Waiting<'a>(&'a Crew);

impl<'a> Waiting<'a> {
    fn enter(crew: &'a Crew) -> Self {
        crew.waiting.fetch_add(1, Ordering::SeqCst);
        crew.calls.fetch_add(1, Ordering::SeqCst);
        if crew.keeper_drives.load(Ordering::SeqCst) && crew.can_step_aside() {
            crew.step_aside.notify_one();
        }
        Self(crew)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Counts as spawned until dropped.
struct Spawned(Arc<Crew>);

impl Spawned {
    fn enter(crew: &Arc<Crew>) -> Self {
        crew.spawned.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(crew))
    }
}

impl Drop for Spawned {
    fn drop(&mut self) {
        self.0.spawned.fetch_sub(1, Ordering::SeqCst);
        if self.0.can_step_aside() {
            self.0.step_aside.notify_one();
        }
    }
}
