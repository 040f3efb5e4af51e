//! How long a connection lives: until the drain, its age, its idleness or a peer that
//! answers no ping ends it. One task a connection watches for these, so that the
//! connection itself looks at no clock on the way of a request.

use std::cell::{Cell, RefCell};
use std::future::{pending, poll_fn};
use std::rc::Rc;
use std::task::Waker;
use std::time::{Duration, Instant};

use h2::{Ping, PingPong};
use serde::{Deserialize, Deserializer};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::app::App;
use crate::drain::begun;
use crate::shared_stream::SharedStream;
use crate::unsent::Unsent;

/// How many connections there may be, and how long each. Times are in seconds.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConnectionOptions {
    /// Connections open at once; 0: as many as the system lets in.
    pub max_connections: usize,
    /// Requests that a client may have open at once on an HTTP/2 connection; it waits
    /// with further ones.
    pub max_concurrent_streams: u32,
    /// After this time, more or less a tenth, a connection takes no new requests.
    #[serde(deserialize_with = "seconds")]
    pub max_connection_age: Option<Duration>,
    /// How long its requests may then still take; `None`: any time.
    #[serde(deserialize_with = "seconds")]
    pub max_connection_age_grace: Option<Duration>,
    /// After this time without a request a connection ends.
    #[serde(deserialize_with = "seconds")]
    pub max_connection_idle: Option<Duration>,
    /// The distance between HTTP/2 pings; `None`: none are sent.
    #[serde(deserialize_with = "seconds")]
    pub keepalive_time: Option<Duration>,
    /// How long a peer may then stay silent; `None`: for ever.
    #[serde(deserialize_with = "seconds")]
    pub keepalive_timeout: Option<Duration>,
}

/// How long a client may leave it open whether it has anything more to ask on a connection
/// that ends because it asked nothing.
const FAREWELL_LIMIT: Duration = Duration::from_secs(20);

/// A time that is given in seconds.
pub(crate) fn seconds<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
    Option::<f64>::deserialize(from)?
        .map(Duration::try_from_secs_f64)
        .transpose()
        .map_err(serde::de::Error::custom)
}

/// What is to become of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It goes on.
    Open,
    /// It finishes the requests it has.
    Finish,
    /// It ends now.
    Cut,
}

/// A connection's verdict, between the one who serves it and the one who watches.
pub(crate) struct Fate {
    verdict: Cell<Verdict>,
    /// Since when it has had no request, where that matters; `None`: it has some.
    quiet_since: Cell<Option<Instant>>,
    /// Who serves it.
    server: RefCell<Option<Waker>>,
}

impl Fate {
    fn new() -> Self {
        Self {
            verdict: Cell::new(Verdict::Open),
            quiet_since: Cell::new(Some(Instant::now())),
            server: RefCell::new(None),
        }
    }

    /// The present verdict; a later one wakes `waker`.
    pub(crate) fn verdict(&self, waker: &Waker) -> Verdict {
        let mut server = self.server.borrow_mut();
        if !server.as_ref().is_some_and(|known| known.will_wake(waker)) {
            *server = Some(waker.clone());
        }
        self.verdict.get()
    }

    /// Notes whether the connection has requests.
    pub(crate) fn note_requests(&self, any: bool) {
        if any {
            self.quiet_since.set(None);
        } else if self.quiet_since.get().is_none() {
            self.quiet_since.set(Some(Instant::now()));
        }
    }

    fn decide(&self, verdict: Verdict) {
        self.verdict.set(verdict);
        if let Some(server) = self.server.borrow().as_ref() {
            server.wake_by_ref();
        }
    }
}

/// Watches a connection until it is dropped.
pub(crate) struct Watch {
    pub(crate) fate: Rc<Fate>,
    task: JoinHandle<()>,
}

impl Watch {
    /// Begins to watch an HTTP/2 connection.
    pub(crate) fn begin(
        app: &Rc<App>,
        (stream, pings): (SharedStream, Option<PingPong>),
        unsent: Rc<Unsent>,
    ) -> Self {
        let fate = Rc::new(Fate::new());
        let (fated, app) = (Rc::clone(&fate), Rc::clone(app));
        let task = tokio::task::spawn_local(async move {
            tokio::select! {
                () = watch(&fated, &app, stream, pings) => {}
                () = unsent.abandoned() => log::debug!("a client has stopped reading"),
            }
            fated.decide(Verdict::Cut);
        });
        Self { fate, task }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn watch(fate: &Fate, app: &App, stream: SharedStream, pings: Option<PingPong>) {
    let options = &app.connections;
    let end = async {
        tokio::select! {
            () = begun(app.drain.subscribe()) => {
                fate.decide(Verdict::Finish);
                pending::<()>().await;
            }
            () = idle(fate, options.max_connection_idle) => {
                fate.decide(Verdict::Finish);
                // It ends when its client agrees, which one that reads nothing never does.
                idle(fate, Some(FAREWELL_LIMIT)).await;
            }
            () = of_age(options.max_connection_age) => {
                fate.decide(Verdict::Finish);
                elapsed(options.max_connection_age_grace).await;
            }
        }
    };
    let silent = async {
        let (Some(pings), Some(time), Some(limit)) =
            (pings, options.keepalive_time, options.keepalive_timeout)
        else {
            return pending().await;
        };
        until_silent(pings, time, limit, &stream).await;
    };
    tokio::select! {
        () = end => {}
        () = silent => log::debug!("a client answered no ping; its connection is closed"),
    }
}

/// Why a connection should take no new requests.
#[derive(Clone, Copy)]
pub(crate) enum Reason {
    /// The server stops, and has a limit of its own.
    Drain,
    /// It has lived long enough.
    Age,
}

/// Ends when a connection should take no new requests.
pub(crate) async fn finish(app: &App) -> Reason {
    tokio::select! {
        () = begun(app.drain.subscribe()) => Reason::Drain,
        () = of_age(app.connections.max_connection_age) => Reason::Age,
    }
}

/// Ends when the requests that a connection then still had have had their time.
pub(crate) async fn overdue(app: &App, reason: Reason) {
    match reason {
        Reason::Drain => pending().await,
        Reason::Age => elapsed(app.connections.max_connection_age_grace).await,
    }
}

/// Connections that were opened together don't end together.
async fn of_age(age: Option<Duration>) {
    elapsed(age.map(|age| age.mul_f64(0.9 + 0.2 * fastrand::f64()))).await;
}

async fn elapsed(time: Option<Duration>) {
    match time {
        Some(time) => sleep(time).await,
        None => pending().await,
    }
}

async fn idle(fate: &Fate, limit: Option<Duration>) {
    let Some(limit) = limit else {
        return pending().await;
    };
    let mut wait = limit;
    loop {
        sleep(wait).await;
        wait = match fate.quiet_since.get().map(|since| since.elapsed()) {
            Some(quiet) if quiet >= limit => return,
            Some(quiet) => limit.saturating_sub(quiet),
            None => limit,
        };
    }
}

/// Pings until the peer has been silent for `limit` after a ping. An answer may be held up
/// behind a large message; that is heard too.
async fn until_silent(mut pings: PingPong, time: Duration, limit: Duration, stream: &SharedStream) {
    loop {
        sleep(time).await;
        if pings.send_ping(Ping::opaque()).is_err() {
            // The connection is ending.
            return pending().await;
        }
        loop {
            let heard = stream.reads();
            match timeout(limit, poll_fn(|context| pings.poll_pong(context))).await {
                Ok(Ok(_)) => break,
                Ok(Err(_)) => return pending().await,
                Err(_) if stream.reads() != heard => {}
                Err(_) => return,
            }
        }
    }
}
