//! One client's HTTP/1.x connection.

use std::convert::Infallible;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use engine::Permit;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};

use super::{HeldPage, pages};
use crate::app::App;
use crate::lifetime::finish;
use crate::rest;
use crate::shared_stream::SharedStream;
use crate::traffic::InFlight;

/// How long a connection may be idle, or take to send a request's head: longer than the
/// minute that collectors leave at most between two scrapes, so that they keep theirs.
const HEAD_LIMIT: Duration = Duration::from_secs(75);

/// Largest head of a request, bytes. A collector's has a few hundred; with the cookies and
/// tokens of all proxies on the way, 64 KiB is more than they pass on themselves.
const HEAD_BYTES: usize = 64 << 10;

/// Serves a connection until the client closes it, or until the drain or its age, when it
/// finishes the request it has and closes.
pub(crate) async fn serve<S>(
    stream: S,
    socket: SharedStream,
    app: Rc<App>,
) -> Result<(), hyper::Error>
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let watched = Rc::clone(&app);
    let watched_socket = socket.clone();
    let service = service_fn(move |request| {
        let (app, socket) = (Rc::clone(&app), socket.clone());
        async move { Ok::<_, Infallible>(answer(&app, request, socket).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_LIMIT)
        .max_buf_size(HEAD_BYTES)
        // A client that has said all may close its side and still wants its answer.
        .half_close(true)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    tokio::select! {
        ended = connection.as_mut() => return ended,
        () = finish(&watched) => connection.as_mut().graceful_shutdown(),
        () = watched_socket.abandoned() => return Ok(()),
    }
    tokio::select! {
        ended = connection => ended,
        () = watched_socket.abandoned() => Ok(()),
    }
}

async fn answer(
    app: &Rc<App>,
    request: Request<Incoming>,
    socket: SharedStream,
) -> Response<Full<Bytes>> {
    let in_flight = app.traffic.begin_request();
    let (head, body) = request.into_parts();
    let HeldPage { page, permit } = if rest::is_rest(head.uri.path()) {
        rest::answer(app, head, body, Some(socket)).await
    } else {
        HeldPage::free(pages::answer(app, &head).await)
    };
    page.map(|page| {
        Full::new(Bytes::from_owner(OpenPage {
            page,
            _in_flight: in_flight,
            _permit: permit,
        }))
    })
}

/// A page that counts as in flight, with its share of the limits, until the last of it has
/// left.
struct OpenPage {
    page: Bytes,
    _in_flight: InFlight,
    _permit: Option<Permit>,
}

impl AsRef<[u8]> for OpenPage {
    fn as_ref(&self) -> &[u8] {
        &self.page
    }
}
