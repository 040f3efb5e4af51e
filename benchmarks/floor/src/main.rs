//! `floor [--http1] PORT`: answers every request with the request's own bytes: gRPC's with
//! status 0, or over HTTP/1.1.
//!
//! One thread, one runtime, no lookup, no decoding, no model: what remains is the price of
//! HTTP itself, which the benchmarks hold every real server against. Port 0 takes a free
//! one; the port listened on is the first line of the output.

mod echo;

use std::io::Write as _;
use std::net::Ipv4Addr;
use std::process::ExitCode;

use hyper::rt::Executor;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::LocalSet;

/// Runs hyper's stream tasks in this thread: they need not be `Send`, and no other
/// thread has to be woken for them.
#[derive(Clone, Copy)]
struct ThisThread;

impl<F> Executor<F> for ThisThread
where
    F: Future + 'static,
    F::Output: 'static,
{
    fn execute(&self, task: F) {
        tokio::task::spawn_local(task);
    }
}

fn main() -> ExitCode {
    match arguments().and_then(|(protocol, port)| run(protocol, port)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            let _ = writeln!(std::io::stderr(), "floor: {message}");
            ExitCode::FAILURE
        }
    }
}

/// What is spoken.
#[derive(Clone, Copy)]
enum Protocol {
    Http1,
    Http2,
}

/// What to speak, and where.
fn arguments() -> Result<(Protocol, u16), String> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (protocol, port) = match &arguments[..] {
        [port] => (Protocol::Http2, port),
        [flag, port] if flag == "--http1" => (Protocol::Http1, port),
        _ => return Err("usage: floor [--http1] PORT".to_owned()),
    };
    let port = port
        .parse()
        .map_err(|_| format!("the port is a number from 0 to 65535, not {port:?}"))?;
    Ok((protocol, port))
}

fn run(protocol: Protocol, port: u16) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()
        .map_err(|error| format!("can't start the runtime: {error}"))?;
    LocalSet::new().block_on(&runtime, async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
            .await
            .map_err(|error| format!("can't listen on 127.0.0.1:{port}: {error}"))?;
        announce(&listener).map_err(|error| format!("can't say the port: {error}"))?;
        loop {
            let (stream, _) = listener
                .accept()
                .await
                .map_err(|error| format!("can't accept: {error}"))?;
            tokio::task::spawn_local(serve(protocol, stream));
        }
    })
}

/// Tells whoever started this process that connections are taken from now on.
fn announce(listener: &TcpListener) -> std::io::Result<()> {
    let mut output = std::io::stdout();
    writeln!(output, "{}", listener.local_addr()?.port())?;
    output.flush()
}

/// Serves one connection until its peer closes it.
async fn serve(protocol: Protocol, stream: TcpStream) {
    // Without this every reply waits 40 ms for the peer's delayed acknowledgement.
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let stream = TokioIo::new(stream);
    // A load generator that stops in the middle of a request is no error of the floor's.
    let _ = match protocol {
        Protocol::Http1 => {
            http1::Builder::new()
                .auto_date_header(false)
                .serve_connection(stream, service_fn(echo::echo_plain))
                .await
        }
        Protocol::Http2 => {
            http2::Builder::new(ThisThread)
                .auto_date_header(false)
                .serve_connection(stream, service_fn(echo::echo))
                .await
        }
    };
}
