//! Wire in and out. In the order a connection comes in: the server listens (listen/)
//! and starts I/O threads, the acceptor hands each connection to the thread with the
//! fewest, the connection splits into requests, routes finds each one's service, and
//! grpc/ takes messages off the wire and puts replies back on it; http1/ takes plain
//! HTTP on the same port, and rest/ answers it.

mod server;
pub use server::{RestOptions, Server, ServerOptions};

mod listen;
pub use listen::{
    ListenError, ListenerOptions, Pem, Protocols, TcpOptions, TlsError, TlsOptions, UnixOptions,
};

mod acceptor;
mod io_thread;

mod traffic;

mod drain;

mod shared_stream;

mod read_through;
mod rewound;

mod mended_frames;

mod lifetime;
pub use lifetime::ConnectionOptions;

mod under_way;
mod unsent;

mod connection;
mod routes;

mod app;
mod grpc;
mod ticker;

mod http1;

mod rest;

mod control;
pub use control::{Command, Permitted};

mod metrics;

mod warmup;
pub use warmup::{Failing, Warmed, WarmupOptions, warm_up};

mod examples;

mod services;
pub use services::text::{TextCall, TextReply};

mod recorded;
pub use recorded::Recorded;
