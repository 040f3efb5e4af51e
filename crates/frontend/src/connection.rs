//! One client's connection: HTTP/2 frames or HTTP/1.x in, requests out, until either side
//! ends it.

use std::future::{Future, poll_fn};
use std::net::TcpStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use h2::RecvStream;
use h2::server::{Builder, Connection, SendResponse};
use http::Request;

use crate::app::App;
use crate::drain::begun;
use crate::grpc::Outgoing;
use crate::http1;
use crate::http1::sniff::{Protocol, Rewound, rewind, sniff};
use crate::routes;
use crate::shared_stream::SharedStream;

/// Bytes a client may send ahead of us on one stream and on the whole connection:
/// enough that a large tensor on a fast network does not wait for permission.
const STREAM_WINDOW: u32 = 4 << 20;
const CONNECTION_WINDOW: u32 = 16 << 20;

/// Largest frame a client may send: a large tensor in few frames is copied less often.
const FRAME_BYTES: u32 = 1 << 20;

/// Bytes that a request's headers may take.
const HEADER_BYTES: u32 = 16 << 10;

/// Requests a client may have open at once on a connection. A multiple of what gRPC
/// clients use; a client over it waits, as HTTP/2 has it, and is not refused.
const CONCURRENT_STREAMS: u32 = 1024;

/// Refused requests whose body was still coming, over the life of a connection, after
/// which it is closed. The count never falls, and a proxy's connection lives for days.
const REFUSED_STREAMS: usize = 1 << 20;

/// How long a client that speaks HTTP/2 may take to send its settings.
const HELLO_LIMIT: Duration = Duration::from_secs(20);

/// How long a client may take to read what the kernel still has for it, and to close,
/// after the last reply to it. One that has stopped reading is not waited for longer.
const LINGER_LIMIT: Duration = Duration::from_secs(10);

/// How a connection ended that did not end well.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Broken {
    /// HTTP/2.
    #[error(transparent)]
    Http2(#[from] h2::Error),
    /// HTTP/1.x.
    #[error(transparent)]
    Http1(#[from] hyper::Error),
}

/// Serves a connection until the client closes it, or until the drain, when it
/// finishes the requests it has and closes.
pub(crate) async fn serve(stream: TcpStream, app: Rc<App>) -> Result<(), Broken> {
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
    match protocol {
        Protocol::Http2 => serve_http2(rewound, stream, app).await,
        Protocol::Http1 => {
            let traffic = Arc::clone(&app.traffic);
            let ended = http1::serve(rewound, app).await;
            // It also closes first when something is wrong, with the rest still to come.
            let _lingering = traffic.begin_linger();
            let _ = tokio::time::timeout(LINGER_LIMIT, stream.linger()).await;
            Ok(ended?)
        }
    }
}

async fn serve_http2(
    rewound: Rewound<SharedStream>,
    stream: SharedStream,
    app: Rc<App>,
) -> Result<(), Broken> {
    let Ok(connection) = tokio::time::timeout(HELLO_LIMIT, handshake(rewound)).await else {
        return Ok(());
    };
    let connection = connection?;
    let draining = pin!(begun(app.drain.subscribe()));
    let drained = Requests::new(connection).answer(&app, draining).await?;
    if drained {
        // The client has agreed that this was all; what it has not read is on its way.
        let traffic = Arc::clone(&app.traffic);
        let _lingering = traffic.begin_linger();
        let _ = tokio::time::timeout(LINGER_LIMIT, stream.linger()).await;
    }
    Ok(())
}

type Http2 = Connection<Rewound<SharedStream>, Outgoing>;

fn handshake(stream: Rewound<SharedStream>) -> impl Future<Output = Result<Http2, h2::Error>> {
    Builder::new()
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_frame_size(FRAME_BYTES)
        .max_header_list_size(HEADER_BYTES)
        .max_concurrent_streams(CONCURRENT_STREAMS)
        .max_pending_accept_reset_streams(CONCURRENT_STREAMS as usize)
        .max_local_error_reset_streams(Some(REFUSED_STREAMS))
        .handshake(stream)
}

type Accepted = (Request<RecvStream>, SendResponse<Outgoing>);

/// The requests of a connection.
struct Requests {
    connection: Http2,
    /// Those that one look at the connection found. All are taken off it before any is
    /// answered: each look sends what there is to send, and many replies fit in one
    /// packet.
    accepted: Vec<Accepted>,
    draining: bool,
}

impl Requests {
    fn new(connection: Http2) -> Self {
        Self {
            connection,
            accepted: Vec::new(),
            draining: false,
        }
    }

    /// Answers until the connection has ended; whether the drain ended it.
    async fn answer(
        mut self,
        app: &Rc<App>,
        mut drain: impl Future<Output = ()> + Unpin,
    ) -> Result<bool, h2::Error> {
        loop {
            let is_open = poll_fn(|context| self.poll_accept(&mut drain, context)).await?;
            for (request, respond) in self.accepted.drain(..) {
                // The connection's other requests outlive a panic in this one; its
                // responder answers it.
                let route = AssertUnwindSafe(|| routes::route(app, request, respond));
                if catch_unwind(route).is_err() {
                    log::error!("a request handler panicked");
                }
            }
            if !is_open {
                return Ok(self.draining);
            }
        }
    }

    /// Ready with requests accepted, or with `false` when the connection has ended.
    fn poll_accept(
        &mut self,
        drain: &mut (impl Future<Output = ()> + Unpin),
        context: &mut Context<'_>,
    ) -> Poll<Result<bool, h2::Error>> {
        if !self.draining && Pin::new(drain).poll(context).is_ready() {
            self.draining = true;
            self.connection.graceful_shutdown();
        }
        loop {
            match self.connection.poll_accept(context) {
                Poll::Ready(Some(accepted)) => self.accepted.push(accepted?),
                Poll::Ready(None) => return Poll::Ready(Ok(false)),
                Poll::Pending if self.accepted.is_empty() => return Poll::Pending,
                Poll::Pending => return Poll::Ready(Ok(true)),
            }
        }
    }
}
