//! A server of the text service that answers with the text it got: the two messages have
//! the same form, so that it sends back the bytes. On a runtime in a thread of its own.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    dead_code,
    reason = "a test that fails panics, and none of them uses all of it"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use client::{CallOptions, Channel, ChannelOptions, ClientError, Reply, Request, block_on};
use h2::server::{Connection, SendResponse};
use h2::{Reason, RecvStream};
use http::{HeaderMap, HeaderName, HeaderValue, Response};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

/// What the server does with its connections and calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Answers everything.
    Patient,
    /// Answers nothing.
    Silent,
    /// Answers this many calls a connection, and then says farewell.
    Farewell(usize),
    /// Answers this many calls a connection, and then hangs up.
    HangUp(usize),
    /// Resets each call with this reason.
    Reset(Reason),
}

pub(crate) struct EchoServer {
    pub(crate) address: String,
    pub(crate) connections: Arc<AtomicUsize>,
    /// Connections that it hung up.
    pub(crate) hung_up: Arc<AtomicUsize>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl EchoServer {
    pub(crate) fn start(manner: Manner) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let connections = Arc::new(AtomicUsize::new(0));
        let hung_up = Arc::new(AtomicUsize::new(0));
        let counts = (Arc::clone(&connections), Arc::clone(&hung_up));
        let (stop, stopped) = oneshot::channel();
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                tokio::select! {
                    () = accept(listener, manner, counts) => {}
                    _ = stopped => {}
                }
            });
        });
        Self {
            address,
            connections,
            hung_up,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    pub(crate) fn channel(&self, retries: u32) -> Channel {
        Channel::new(&[&self.address], options(retries)).unwrap()
    }
}

impl Drop for EchoServer {
    fn drop(&mut self) {
        drop(self.stop.take());
        self.thread.take().unwrap().join().unwrap();
    }
}

pub(crate) fn options(retries: u32) -> ChannelOptions {
    ChannelOptions {
        connect_timeout: Duration::from_secs(5),
        keepalive_time: None,
        keepalive_timeout: Duration::from_secs(1),
        retries,
        retry_initial_backoff: Duration::from_millis(1),
        retry_max_backoff: Duration::from_millis(10),
        max_message_bytes: 1 << 24,
        tls: None,
        user_agent: "test".to_owned(),
    }
}

/// Sends `text` and answers what came back.
pub(crate) async fn echo(channel: &Channel, text: &str) -> Result<String, ClientError> {
    let request = Request::text(text, None).unwrap();
    match channel.call(&request, &CallOptions::default()).await? {
        Reply::Text { prediction, .. } => Ok(prediction),
        other => panic!("not the text service's reply: {other:?}"),
    }
}

/// The same from a thread that waits.
pub(crate) fn echo_and_wait(channel: &Channel, text: &str) -> Result<String, ClientError> {
    block_on(echo(channel, text)).unwrap()
}

async fn accept(
    listener: std::net::TcpListener,
    manner: Manner,
    (connections, hung_up): (Arc<AtomicUsize>, Arc<AtomicUsize>),
) {
    let listener = TcpListener::from_std(listener).unwrap();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        connections.fetch_add(1, Ordering::SeqCst);
        stream.set_nodelay(true).unwrap();
        let hung_up = Arc::clone(&hung_up);
        tokio::spawn(async move {
            serve(stream, manner).await;
            hung_up.fetch_add(1, Ordering::SeqCst);
        });
    }
}

async fn serve(stream: TcpStream, manner: Manner) {
    let Ok(mut connection) = h2::server::handshake(stream).await else {
        return;
    };
    let mut answered = 0;
    while let Some(Ok((request, respond))) = connection.accept().await {
        match manner {
            Manner::Silent => {
                tokio::spawn(never_answer(request.into_body(), respond));
            }
            Manner::Reset(reason) => {
                let mut respond = respond;
                respond.send_reset(reason);
            }
            Manner::Patient | Manner::Farewell(_) | Manner::HangUp(_) => {
                tokio::spawn(answer(request.into_body(), respond));
                answered += 1;
            }
        }
        if manner == Manner::Farewell(answered) {
            connection.graceful_shutdown();
        }
        if manner == Manner::HangUp(answered) {
            finish(connection).await;
            return;
        }
    }
}

/// Sends what is under way, and closes without a word.
async fn finish(mut connection: Connection<TcpStream, Bytes>) {
    let quiet = Duration::from_millis(50);
    let _ = tokio::time::timeout(quiet, connection.accept()).await;
}

async fn never_answer(mut body: RecvStream, respond: SendResponse<Bytes>) {
    let _ = read(&mut body).await;
    std::future::pending::<()>().await;
    drop(respond);
}

async fn answer(mut body: RecvStream, mut respond: SendResponse<Bytes>) {
    let Some(message) = read(&mut body).await else {
        return;
    };
    let response = Response::builder()
        .header("content-type", "application/grpc")
        .body(())
        .unwrap();
    let Ok(mut stream) = respond.send_response(response, false) else {
        return;
    };
    let _ = stream.send_data(message.into(), false);
    let mut trailers = HeaderMap::new();
    let status = HeaderName::from_static("grpc-status");
    trailers.insert(status, HeaderValue::from_static("0"));
    let _ = stream.send_trailers(trailers);
}

async fn read(body: &mut RecvStream) -> Option<Vec<u8>> {
    let mut message = Vec::new();
    while let Some(chunk) = body.data().await {
        let chunk = chunk.ok()?;
        body.flow_control().release_capacity(chunk.len()).ok()?;
        message.extend_from_slice(&chunk);
    }
    Some(message)
}
