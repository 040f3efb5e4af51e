//! One place where connections come in, as those who serve them see it.

use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::ServerConfig;

use super::{ListenError, Listener, ListenerOptions, Protocols, TlsOptions, tcp, tls, unix};

/// What is spoken at a place.
pub(crate) struct Entrance {
    pub(crate) protocols: Protocols,
    /// `None`: in the clear.
    tls: Option<ArcSwap<ServerConfig>>,
}

/// A place that is listened on.
pub(crate) struct Gate {
    pub(crate) listener: Listener,
    pub(crate) entrance: Arc<Entrance>,
}

impl Entrance {
    /// The TLS identity for a new connection.
    pub(crate) fn tls(&self) -> Option<Arc<ServerConfig>> {
        self.tls.as_ref().map(ArcSwap::load_full)
    }

    /// Takes another identity for the connections to come, if it had one.
    pub(crate) fn renew_tls(&self, config: &Arc<ServerConfig>) {
        if let Some(present) = &self.tls {
            present.store(Arc::clone(config));
        }
    }
}

/// Listens.
pub(crate) fn open(options: &ListenerOptions) -> Result<Gate, ListenError> {
    let failed = |cause: String| ListenError {
        place: options.to_string(),
        cause,
    };
    let (protocols, identity) = match options {
        ListenerOptions::Tcp(tcp) => (tcp.protocols, &tcp.tls),
        ListenerOptions::Unix(unix) => (Protocols::All, &unix.tls),
    };
    // First: a certificate that can't be used leaves no socket behind.
    let tls = match identity.as_ref().map(identify).transpose() {
        Ok(tls) => tls,
        Err(cause) => return Err(failed(cause)),
    };
    let opened = match options {
        ListenerOptions::Tcp(each) => tcp::listen(&each.host, each.port).map(Listener::Tcp),
        ListenerOptions::Unix(each) => unix::listen(&each.path).map(Listener::Unix),
    };
    match opened {
        Ok(listener) => Ok(Gate {
            listener,
            entrance: Arc::new(Entrance { protocols, tls }),
        }),
        Err(error) => Err(failed(error.to_string())),
    }
}

fn identify(options: &TlsOptions) -> Result<ArcSwap<ServerConfig>, String> {
    tls::server_config(options)
        .map(ArcSwap::new)
        .map_err(|error| error.to_string())
}
