//! How each listener is told where it is and what it speaks.

use serde::Deserialize;

/// One place to listen on.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ListenerOptions {
    /// A TCP port.
    Tcp(TcpOptions),
    /// A Unix socket.
    Unix(UnixOptions),
}

impl ListenerOptions {
    /// Whether the server goes on without it where it can't be had.
    pub(crate) fn is_optional(&self) -> bool {
        matches!(self, Self::Tcp(tcp) if tcp.optional)
    }
}

impl std::fmt::Display for ListenerOptions {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp(tcp) => write!(formatter, "{}:{}", tcp.host, tcp.port),
            Self::Unix(unix) => write!(formatter, "unix:{}", unix.path),
        }
    }
}

/// A TCP port to listen on.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TcpOptions {
    /// Host name or address.
    pub host: String,
    /// Port; 0: any free one.
    pub port: u16,
    /// What is answered there.
    pub protocols: Protocols,
    /// What it proves itself with; `None`: it speaks in the clear.
    pub tls: Option<TlsOptions>,
    /// Whether the server goes on without it where the port can't be had.
    pub optional: bool,
}

/// A Unix socket to listen on.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnixOptions {
    /// The file; `@name`: a name in Linux's abstract namespace.
    pub path: String,
    /// What it proves itself with; `None`: it speaks in the clear.
    pub tls: Option<TlsOptions>,
}

/// What is answered at a place.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Protocols {
    /// gRPC and plain HTTP.
    All,
    /// Plain HTTP; a gRPC call is told that it is at the wrong port.
    Rest,
}

/// A server's proof of who it is, and whose proof it wants.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsOptions {
    /// The certificate and those between it and its root, in this order.
    pub certificate: Pem,
    /// The certificate's private key, unencrypted.
    pub key: Pem,
    /// Roots of the clients' certificates.
    pub client_ca: Option<Pem>,
    /// Whether a client without such a certificate is turned away.
    pub require_client: bool,
}

/// PEM text, and the name it has in messages: its file's.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pem {
    /// The text.
    pub text: String,
    /// Where it is from.
    pub source: String,
}

impl std::fmt::Debug for Pem {
    /// Without the text, which may be a key.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Pem({})", self.source)
    }
}
