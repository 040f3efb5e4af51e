//! One client's HTTP/1.x connection.

use std::convert::Infallible;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use engine::Permit;
use http::{Request, Response};
use http_body::Body;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use super::forsaken::{Requests, forsaken};
use super::{HeldPage, pages};
use crate::app::App;
use crate::lifetime::{finish, overdue};
use crate::rest;
use crate::shared_stream::{Sending, SharedStream};
use crate::traffic::InFlight;

/// How long a connection may be idle, or take to send a request's head: longer than the
/// minute that collectors leave at most between two scrapes, so that they keep theirs.
const HEAD_LIMIT: Duration = Duration::from_secs(75);

/// Largest head of a request, bytes. A collector's has a few hundred; with the cookies and
/// tokens of all proxies on the way, 64 KiB is more than they pass on themselves.
const HEAD_BYTES: usize = 64 << 10;

/// Serves a connection until the client closes it or has gone without a word, or until the
/// drain or its age, when it finishes the request it has and closes.
pub(crate) async fn serve<S>(
    stream: S,
    socket: SharedStream,
    app: Rc<App>,
) -> Result<Farewell, hyper::Error>
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let watched = Rc::clone(&app);
    let requests = Rc::new(Requests::default());
    let service = service_fn(|request| {
        let (app, socket) = (Rc::clone(&app), socket.clone());
        let answering = requests.begin();
        async move {
            let page = answer(&app, request, socket).await;
            answering.end(page.body().size_hint().lower());
            Ok::<_, Infallible>(page)
        }
    });
    let connection = http1::Builder::new()
        // hyper's own limit knows no reply that nobody reads, and is a timer a request.
        .header_read_timeout(None)
        .max_buf_size(HEAD_BYTES)
        // A client that has said all may close its side and still wants its answer.
        .half_close(true)
        .serve_connection(TokioIo::new(stream), service);
    let idle_limit = watched.connections.max_connection_idle;
    let idle_limit = idle_limit.map_or(HEAD_LIMIT, |limit| limit.min(HEAD_LIMIT));
    let forsaken = forsaken(&requests, || socket.sending(), idle_limit);
    let (mut connection, mut forsaken) = (pin!(connection), pin!(forsaken));
    let reason = tokio::select! {
        // What has arrived when the drain begins is still answered.
        biased;
        ended = connection.as_mut() => return ended.map(|()| Farewell::Long),
        () = forsaken.as_mut() => return Ok(Farewell::after(&requests, socket.sending())),
        reason = finish(&watched) => reason,
    };
    let farewell = Farewell::after(&requests, socket.sending());
    connection.as_mut().graceful_shutdown();
    tokio::select! {
        biased;
        ended = connection => ended.map(|()| farewell),
        () = forsaken => Ok(farewell),
        () = overdue(&watched, reason) => Ok(farewell),
    }
}

/// How long a client may take to close its side after the last that was said to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Farewell {
    /// As long as it may take to read a reply.
    Long,
    /// Not long: it had asked nothing. Pools of connections hear of their end only when
    /// they use them.
    Short,
}

impl Farewell {
    fn after(requests: &Requests, sending: Sending) -> Self {
        // What is blocked may be of an earlier page than the latest.
        if requests.owe_nothing() && !sending.is_blocked {
            Self::Short
        } else {
            Self::Long
        }
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
