//! One client's connection: HTTP/2 frames in, requests out, until either side ends it.

use std::convert::Infallible;
use std::future::Future;
use std::net::TcpStream;
use std::pin::pin;
use std::sync::Arc;

use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};

use crate::app::App;
use crate::counted_stream::CountedStream;
use crate::drain::begun;
use crate::routes;

/// Bytes a client may send ahead of us on one stream and on the whole connection:
/// enough that a large tensor on a fast network does not wait for permission.
const STREAM_WINDOW: u32 = 4 << 20;
const CONNECTION_WINDOW: u32 = 16 << 20;

/// Requests a client may have open at once on a connection. A multiple of what gRPC
/// clients use; a client over it waits, as HTTP/2 has it, and is not refused.
const CONCURRENT_STREAMS: u32 = 1024;

/// Serves a connection until the client closes it, or until the drain, when it
/// finishes the requests it has and closes.
pub(crate) async fn serve(stream: TcpStream, app: Arc<App>) -> Result<(), hyper::Error> {
    let Ok(stream) = tokio::net::TcpStream::from_std(stream) else {
        return Ok(());
    };
    let stream = CountedStream::new(stream, Arc::clone(&app.traffic));
    let draining = app.drain.subscribe();
    let service = service_fn(move |request| {
        let app = Arc::clone(&app);
        async move { Ok::<_, Infallible>(routes::answer(app, request).await) }
    });
    let connection = http2::Builder::new(SpawnLocal)
        .timer(TokioTimer::new())
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_concurrent_streams(CONCURRENT_STREAMS)
        .auto_date_header(false)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    tokio::select! {
        ended = connection.as_mut() => return ended,
        () = begun(draining) => connection.as_mut().graceful_shutdown(),
    }
    connection.await
}

/// Runs hyper's tasks on this thread.
#[derive(Clone, Copy)]
struct SpawnLocal;

impl<F: Future + 'static> hyper::rt::Executor<F> for SpawnLocal {
    fn execute(&self, task: F) {
        tokio::task::spawn_local(async move {
            task.await;
        });
    }
}
