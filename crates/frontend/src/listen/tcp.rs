//! TCP ports.

use std::io::{Error, Result};
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};

use socket2::{Domain, Protocol, Socket, Type};

use super::socket::BACKLOG;

/// Opens the first of the host's addresses that can be listened on.
pub(super) fn listen(host: &str, port: u16) -> Result<TcpListener> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let mut refused = None;
    for address in (bare, port).to_socket_addrs()? {
        match open(address) {
            Ok(listener) => return Ok(listener),
            Err(error) => refused = Some(error),
        }
    }
    Err(refused.unwrap_or_else(|| Error::other("the host has no address")))
}

fn open(address: SocketAddr) -> Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    if address.is_ipv6() {
        // `::` means every address, the old ones too.
        socket.set_only_v6(false)?;
    }
    // A restarted server must not wait for its predecessor's closed connections.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}
