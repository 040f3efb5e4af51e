//! One client's connection: HTTP/2 frames or HTTP/1.x in, requests out, until either side
//! ends it.

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use h2::RecvStream;
use h2::server::{Builder, Connection, SendResponse};
use http::Request;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use crate::app::App;
use crate::drain::begun;
use crate::grpc::Outgoing;
use crate::http1::sniff::{Protocol, SNIFF_LIMIT, sniff};
use crate::http1::{self, Farewell};
use crate::lifetime::{Fate, Verdict, Watch};
use crate::listen::{Arrival, Protocols};
use crate::mended_frames::MendedFrames;
use crate::read_through::ReadThrough;
use crate::rewound::Rewound;
use crate::routes;
use crate::shared_stream::SharedStream;
use crate::unsent::Unsent;

/// Bytes a client may send ahead of us on one stream and on the whole connection:
/// enough that a large tensor on a fast network does not wait for permission.
const STREAM_WINDOW: u32 = 4 << 20;
const CONNECTION_WINDOW: u32 = 16 << 20;

/// Largest frame a client may send: a large tensor in few frames is copied less often.
const FRAME_BYTES: u32 = 1 << 20;

/// Bytes that a request's headers may take.
const HEADER_BYTES: u32 = 16 << 10;

/// Refused requests whose body was still coming, over the life of a connection, after
/// which it is closed; with them those beyond the limit of open ones. The count never
/// falls, and a proxy's connection lives for days.
const REFUSED_STREAMS: usize = 1 << 20;

/// Requests that a client may have taken back before they were looked at: not fewer than
/// the library's own limit, nor so many that taking back is a way to keep a thread busy.
const LEAST_TAKEN_BACK: usize = 20;
const MOST_TAKEN_BACK: usize = 1024;

/// How long a client that speaks HTTP/2 may take to send its preface.
const HELLO_LIMIT: Duration = Duration::from_secs(20);

/// How long a client that has yet to greet still may when a drain has begun: one that is on
/// its way has a request.
const LATE_HELLO_LIMIT: Duration = Duration::from_secs(1);

/// How long a client may take to read what the kernel still has for it, and to close,
/// after the last reply to it. One that has stopped reading is not waited for longer.
const LINGER_LIMIT: Duration = Duration::from_secs(10);

/// How long a TLS handshake may take: as long as the first bytes in the clear.
const GREETING_LIMIT: Duration = SNIFF_LIMIT;

/// How long a client may take to read what is said to it at the end, where that is at most
/// why it ends: a handshake that failed, a broken rule, nothing.
const SHORT_LINGER_LIMIT: Duration = Duration::from_secs(1);

/// What TLS begins with, and no HTTP.
const TLS_RECORD: u8 = 0x16;

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

/// Who is at the other end, and what is needed to serve them.
struct Client {
    app: Rc<App>,
    /// The socket itself, whatever is spoken over it.
    socket: SharedStream,
    protocols: Protocols,
}

/// Serves a connection until the client closes it, or until its lifetime ends, when it
/// finishes the requests it has and closes.
pub(crate) async fn serve(arrival: Arrival, app: Rc<App>) -> Result<(), Broken> {
    let Ok(socket) = SharedStream::new(arrival.socket) else {
        return Ok(());
    };
    let client = Client {
        app,
        socket: socket.clone(),
        protocols: arrival.entrance.protocols,
    };
    match arrival.entrance.tls() {
        None => client.tell_apart(socket).await,
        // In a box: its state is many times that of a connection in the clear.
        Some(config) => Box::pin(client.greet(socket, config)).await,
    }
}

impl Client {
    /// Makes the TLS handshake, and serves what was agreed on in it.
    async fn greet(self, socket: SharedStream, config: Arc<ServerConfig>) -> Result<(), Broken> {
        let handshake = TlsAcceptor::from(config).accept(socket);
        let greeted = tokio::select! {
            biased;
            greeted = timeout(GREETING_LIMIT, handshake) => greeted,
            () = too_late(&self.app) => return Ok(()),
        };
        let stream = match greeted {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => {
                self.app.refusals.count_handshake();
                log::debug!("a TLS handshake failed: {}", describe(&error));
                // The client is to read why.
                let _ = timeout(SHORT_LINGER_LIMIT, self.socket.linger()).await;
                return Ok(());
            }
            Err(_late) => {
                self.app.refusals.count_handshake();
                log::debug!("a TLS handshake took longer than {GREETING_LIMIT:?}");
                return Ok(());
            }
        };
        match stream.get_ref().1.alpn_protocol() {
            Some(b"h2") => self.serve_http2(stream).await,
            Some(_) => self.serve_http1(stream).await,
            None => self.tell_apart(stream).await,
        }
    }

    /// Finds out what the client speaks, and serves that.
    async fn tell_apart<S: Transport>(self, mut stream: S) -> Result<(), Broken> {
        let told = tokio::select! {
            // What has arrived when the drain begins is still answered.
            biased;
            told = sniff(&mut stream) => told,
            () = too_late(&self.app) => return Ok(()),
        };
        // A connection that ends, fails or stays silent before it has said what it is.
        let Ok(Some((protocol, first))) = told else {
            return Ok(());
        };
        if first.first() == Some(&TLS_RECORD) {
            // It is answered in plain HTTP, which TLS clients know for what it is.
            log::debug!("a client speaks TLS where there is none");
        }
        let rewound = ReadThrough::new(stream, Rewound(first));
        match protocol {
            Protocol::Http2 => self.serve_http2(rewound).await,
            Protocol::Http1 => self.serve_http1(rewound).await,
        }
    }

    async fn serve_http1<S: Transport>(self, stream: S) -> Result<(), Broken> {
        let traffic = Arc::clone(&self.app.traffic);
        let ended = http1::serve(stream, self.socket.clone(), self.app).await;
        if matches!(ended, Ok(Farewell::Short)) {
            let _ = timeout(SHORT_LINGER_LIMIT, self.socket.linger()).await;
            return Ok(());
        }
        // It also closes first when something is wrong, with the rest still to come.
        let _lingering = traffic.begin_linger();
        let _ = timeout(LINGER_LIMIT, self.socket.linger()).await;
        ended?;
        Ok(())
    }

    async fn serve_http2<S: Transport>(self, stream: S) -> Result<(), Broken> {
        let streams = self.app.connections.max_concurrent_streams;
        let stream = ReadThrough::new(stream, MendedFrames::new(self.socket.is_unix()));
        let greeted = tokio::select! {
            // What has arrived when the drain begins is still answered.
            biased;
            greeted = timeout(HELLO_LIMIT, handshake(stream, streams)) => greeted,
            () = too_late(&self.app) => return Ok(()),
        };
        let Ok(connection) = greeted else {
            return Ok(());
        };
        let mut connection = connection?;
        let pings = connection.ping_pong();
        let unsent = Rc::new(Unsent::default());
        let stream = (self.socket.clone(), pings);
        let watch = Watch::begin(&self.app, stream, Rc::clone(&unsent));
        let requests = Requests {
            http2: connection,
            accepted: Vec::new(),
            finishing: false,
            watches_quiet: self.app.connections.max_connection_idle.is_some(),
            protocols: self.protocols,
            unsent,
        };
        match requests.answer(&self.app, &watch.fate).await {
            Ok(Ended::Cut) => {}
            Ok(Ended::Agreed) => {
                // Client and server agree that this was all; what has not been read of it is
                // on its way.
                let _lingering = self.app.traffic.begin_linger();
                let _ = timeout(LINGER_LIMIT, self.socket.linger()).await;
            }
            Err(error) => {
                // The client is to read why.
                let _ = timeout(SHORT_LINGER_LIMIT, self.socket.linger()).await;
                return Err(error.into());
            }
        }
        Ok(())
    }
}

/// What HTTP is spoken over.
trait Transport: AsyncRead + AsyncWrite + Unpin + 'static {}

impl<S: AsyncRead + AsyncWrite + Unpin + 'static> Transport for S {}

/// A failed handshake in words, where the library's own would not help.
fn describe(error: &std::io::Error) -> String {
    let cause = error.get_ref().and_then(|cause| cause.downcast_ref());
    match cause {
        Some(rustls::Error::InvalidMessage(_)) => "the client does not speak TLS".to_owned(),
        _ => error.to_string(),
    }
}

/// Ends when a drain no longer waits for a client that has not greeted.
async fn too_late(app: &App) {
    begun(app.drain.subscribe()).await;
    tokio::time::sleep(LATE_HELLO_LIMIT).await;
}

fn handshake<S: Transport>(
    stream: S,
    max_concurrent_streams: u32,
) -> impl Future<Output = Result<Connection<S, Outgoing>, h2::Error>> {
    let taken_back = (max_concurrent_streams as usize).clamp(LEAST_TAKEN_BACK, MOST_TAKEN_BACK);
    Builder::new()
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_frame_size(FRAME_BYTES)
        .max_header_list_size(HEADER_BYTES)
        .max_concurrent_streams(max_concurrent_streams)
        .max_pending_accept_reset_streams(taken_back)
        .max_local_error_reset_streams(Some(REFUSED_STREAMS))
        .handshake(stream)
}

/// How a connection ended in which nothing was wrong.
enum Ended {
    /// Either side has said that it would, and all that was asked is answered.
    Agreed,
    /// Its time is over, whatever is still asked.
    Cut,
}

type Accepted = (Request<RecvStream>, SendResponse<Outgoing>);

/// The requests of a connection.
struct Requests<S> {
    http2: Connection<S, Outgoing>,
    /// Those that one look at the connection found. All are taken off it before any is
    /// answered: each look sends what there is to send, and many replies fit in one
    /// packet.
    accepted: Vec<Accepted>,
    finishing: bool,
    /// Whether it matters since when there are none.
    watches_quiet: bool,
    protocols: Protocols,
    unsent: Rc<Unsent>,
}

impl<S: Transport> Requests<S> {
    /// Answers until the connection has ended.
    async fn answer(mut self, app: &Rc<App>, fate: &Fate) -> Result<Ended, h2::Error> {
        loop {
            let ended = poll_fn(|context| self.poll_accept(fate, context)).await?;
            for (request, respond) in self.accepted.drain(..) {
                // The connection's other requests outlive a panic in this one; its
                // responder answers it.
                let place = (self.protocols, &self.unsent);
                let route = AssertUnwindSafe(|| routes::route(app, place, request, respond));
                if catch_unwind(route).is_err() {
                    log::error!("a request handler panicked");
                }
            }
            if let Some(ended) = ended {
                return Ok(ended);
            }
        }
    }

    /// Ready with requests accepted, or with the connection's end.
    fn poll_accept(
        &mut self,
        fate: &Fate,
        context: &mut Context<'_>,
    ) -> Poll<Result<Option<Ended>, h2::Error>> {
        match fate.verdict(context.waker()) {
            Verdict::Finish if !self.finishing => {
                self.finishing = true;
                self.http2.graceful_shutdown();
            }
            Verdict::Open | Verdict::Finish => {}
            Verdict::Cut => return Poll::Ready(Ok(Some(Ended::Cut))),
        }
        loop {
            match self.http2.poll_accept(context) {
                Poll::Ready(Some(accepted)) => self.accepted.push(accepted?),
                Poll::Ready(None) => return Poll::Ready(Ok(Some(Ended::Agreed))),
                Poll::Pending if self.accepted.is_empty() => {
                    if self.watches_quiet {
                        fate.note_requests(self.http2.has_streams());
                    }
                    return Poll::Pending;
                }
                Poll::Pending => return Poll::Ready(Ok(None)),
            }
        }
    }
}
