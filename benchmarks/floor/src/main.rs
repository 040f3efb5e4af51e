//! `floor PORT`: answers every gRPC request with the request's own bytes and status 0.
//!
//! One thread, one runtime, no lookup, no decoding, no model: what remains is the price of
//! HTTP/2 itself, which the benchmarks hold every real server against. Port 0 takes a free
//! one; the port listened on is the first line of the output.

mod echo;

use std::io::Write as _;
use std::net::Ipv4Addr;
use std::process::ExitCode;

use hyper::rt::Executor;
use hyper::server::conn::http2;
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
    match port_argument().and_then(run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            let _ = writeln!(std::io::stderr(), "floor: {message}");
            ExitCode::FAILURE
        }
    }
}

/// The only argument.
fn port_argument() -> Result<u16, String> {
    let mut arguments = std::env::args().skip(1);
    match (arguments.next(), arguments.next()) {
        (Some(port), None) => port
            .parse()
            .map_err(|_| format!("the port is a number from 0 to 65535, not {port:?}")),
        _ => Err("usage: floor PORT".to_owned()),
    }
}

fn run(port: u16) -> Result<(), String> {
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
            tokio::task::spawn_local(serve(stream));
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
async fn serve(stream: TcpStream) {
    // Without this every reply waits 40 ms for the peer's delayed acknowledgement.
    if stream.set_nodelay(true).is_err() {
        return;
    }
    // A load generator that stops in the middle of a request is no error of the floor's.
    let _ = http2::Builder::new(ThisThread)
        .auto_date_header(false)
        .serve_connection(TokioIo::new(stream), service_fn(echo::echo))
        .await;
}
