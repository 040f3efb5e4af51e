//! The thread that moves all channels' bytes: one runtime for each process, made when
//! first used and never shut down, so that leaving the process waits for nothing.

use std::future::Future;

use tokio::runtime::{Builder, Runtime};
use tokio::task::AbortHandle;

use crate::error::ClientError;
use crate::fork::{Held, PerProcess};

static RUNTIME: PerProcess<Runtime> = PerProcess::new();

/// Threads for looking up host names, which blocks; they end when idle.
const RESOLVER_THREADS: usize = 4;

fn runtime() -> Result<Held<Runtime>, ClientError> {
    RUNTIME.get_or_try_make(|| {
        Builder::new_multi_thread()
            .worker_threads(1)
            .max_blocking_threads(RESOLVER_THREADS)
            .thread_name("tensorwire-client")
            .enable_io()
            .enable_time()
            .build()
            .map_err(|error| {
                ClientError::local(
                    tonic::Code::ResourceExhausted,
                    format!("cannot start the client's thread: {error}"),
                )
            })
    })
}

/// Runs a future in the calling thread, with the client's thread moving the bytes.
pub fn block_on<F: Future>(future: F) -> Result<F::Output, ClientError> {
    Ok(runtime()?.block_on(future))
}

/// Runs a future on the client's thread.
pub fn spawn<F>(future: F) -> Result<AbortHandle, ClientError>
where
    F: Future<Output = ()> + Send + 'static,
{
    Ok(runtime()?.spawn(future).abort_handle())
}
