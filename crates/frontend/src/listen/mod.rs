//! Where connections come in: TCP ports and Unix sockets, each with what is spoken there
//! and, if it has one, its TLS identity.

mod options;
pub use options::{ListenerOptions, Pem, Protocols, TcpOptions, TlsOptions, UnixOptions};

mod tcp;

mod unix;

mod socket;
pub(crate) use socket::{Arrival, AsyncListener, Listener, Socket};

mod certificate;

mod tls;
pub use tls::TlsError;
pub(crate) use tls::server_config;

mod entrance;
pub(crate) use entrance::{Entrance, Gate, open};

mod refusals;
pub(crate) use refusals::Refusals;

/// Why a server could not start; says the address.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {place}: {cause}")]
pub struct ListenError {
    pub(crate) place: String,
    pub(crate) cause: String,
}
