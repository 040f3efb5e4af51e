//! One client's connection: HTTP/2 frames or HTTP/1.x in, requests out, until either side
//! ends it.

use std::convert::Infallible;
use std::future::Future;
use std::net::TcpStream;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};

use crate::app::App;
use crate::drain::begun;
use crate::http1;
use crate::http1::sniff::{Protocol, Rewound, rewind, sniff};
use crate::routes;
use crate::shared_stream::SharedStream;

/// Bytes a client may send ahead of us on one stream and on the whole connection:
/// enough that a large tensor on a fast network does not wait for permission.
const STREAM_WINDOW: u32 = 4 << 20;
const CONNECTION_WINDOW: u32 = 16 << 20;

/// Requests a client may have open at once on a connection. A multiple of what gRPC
/// clients use; a client over it waits, as HTTP/2 has it, and is not refused.
const CONCURRENT_STREAMS: u32 = 1024;

/// Refused requests whose body was still coming, over the life of a connection, after
/// which it is closed. The count never falls, and a proxy's connection lives for days.
const REFUSED_STREAMS: usize = 1 << 20;

/// How long a client may take to read what the kernel still has for it, and to close,
/// after the last reply to it. One that has stopped reading is not waited for longer.
const LINGER_LIMIT: Duration = Duration::from_secs(10);

/// Serves a connection until the client closes it, or until the drain, when it
/// finishes the requests it has and closes.
pub(crate) async fn serve(stream: TcpStream, app: Arc<App>) -> Result<(), hyper::Error> {
    let Ok(stream) = tokio::net::TcpStream::from_std(stream) else {
        return Ok(());
    };
    let mut stream = SharedStream::new(stream);
    let told = tokio::select! {
        // What has arrived when the drain begins is still answered.
        biased;
        told = sniff(&mut stream) => told,
        () = begun(app.drain.subscribe()) => return Ok(()),
    };
    // A connection that ends, fails or stays silent before it has said what it is.
    let Ok(Some((protocol, first))) = told else {
        return Ok(());
    };
    let rewound = rewind(first, stream.clone());
    let traffic = Arc::clone(&app.traffic);
    let ended = match protocol {
        Protocol::Http1 => http1::serve(rewound, app).await,
        Protocol::Http2 => return serve_http2(rewound, stream, app).await,
    };
    // HTTP/1.1 also closes first when something is wrong, with the rest still to come.
    let _lingering = traffic.begin_linger();
    let _ = tokio::time::timeout(LINGER_LIMIT, stream.linger()).await;
    ended
}

async fn serve_http2(
    rewound: Rewound<SharedStream>,
    stream: SharedStream,
    app: Arc<App>,
) -> Result<(), hyper::Error> {
    let traffic = Arc::clone(&app.traffic);
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
        .max_pending_accept_reset_streams(CONCURRENT_STREAMS as usize)
        .max_local_error_reset_streams(REFUSED_STREAMS)
        .auto_date_header(false)
        .serve_connection(TokioIo::new(rewound), service);
    let mut connection = pin!(connection);
    tokio::select! {
        ended = connection.as_mut() => return ended,
        () = begun(draining) => connection.as_mut().graceful_shutdown(),
    }
    connection.await?;
    // The client has agreed that this was all; what it has not read yet is on its way.
    let _lingering = traffic.begin_linger();
    let _ = tokio::time::timeout(LINGER_LIMIT, stream.linger()).await;
    Ok(())
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
