//! Unix sockets: files that a stopped server removes, and that one which was killed
//! leaves behind for its successor to replace.

use std::fs;
use std::io::{Error, ErrorKind, Result};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use socket2::{Domain, SockAddr, Socket, Type};

use super::socket::BACKLOG;

/// What a name in the abstract namespace begins with, which has no file.
const ABSTRACT: char = '@';

/// A socket that is listened on; its file goes first when it is closed.
pub(crate) struct UnixGate {
    pub(super) file: Option<SocketFile>,
    pub(super) listener: UnixListener,
}

/// Listens on a path, or on an abstract name.
pub(super) fn listen(path: &str) -> Result<UnixGate> {
    if let Some(name) = path.strip_prefix(ABSTRACT) {
        if name.is_empty() {
            return Err(Error::other("there is no name after the @"));
        }
        // The kernel's own way to write it.
        return Ok(UnixGate {
            file: None,
            listener: open(&format!("\0{name}"))?,
        });
    }
    let listener = match open(path) {
        Err(error) if error.kind() == ErrorKind::AddrInUse => {
            remove_stale(Path::new(path))?;
            open(path)?
        }
        opened => opened?,
    };
    let file = SocketFile::of(Path::new(path))?;
    Ok(UnixGate {
        file: Some(file),
        listener,
    })
}

fn open(path: &str) -> Result<UnixListener> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.bind(&address(path)?)?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

fn address(path: &str) -> Result<SockAddr> {
    SockAddr::unix(path).map_err(|_| {
        let bytes = path.len();
        Error::other(format!(
            "the path has {bytes} bytes, more than the system takes for a socket"
        ))
    })
}

/// Removes a socket that nobody listens on; anything else stays, and is an error.
fn remove_stale(path: &Path) -> Result<()> {
    if !fs::symlink_metadata(path)?.file_type().is_socket() {
        return Err(Error::other(
            "there is a file of this name that is no socket; it is not replaced",
        ));
    }
    let probe = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // Somebody who listens and is too busy to accept must not make this wait.
    probe.set_nonblocking(true)?;
    match probe.connect(&SockAddr::unix(path)?) {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => fs::remove_file(path),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Err(error),
        _ => Err(Error::new(
            ErrorKind::AddrInUse,
            "another process listens there",
        )),
    }
}

/// The file of a socket that is listened on, removed when this is dropped.
pub(crate) struct SocketFile {
    path: PathBuf,
    /// Device and number: a successor may have put another file there.
    identity: (u64, u64),
}

impl SocketFile {
    fn of(path: &Path) -> Result<Self> {
        Ok(Self {
            path: path.to_owned(),
            identity: identity(path)?,
        })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|present| present == self.identity) {
            // What is left if it fails is replaced by the next server.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn identity(path: &Path) -> Result<(u64, u64)> {
    let file = fs::symlink_metadata(path)?;
    Ok((file.dev(), file.ino()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::{UnixListener, UnixStream};

    use super::listen;

    #[test]
    fn a_stale_socket_is_replaced_and_a_live_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let name = path.to_str().unwrap();
        // What a server that was killed leaves.
        drop(UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        let gate = listen(name).unwrap();
        UnixStream::connect(&path).unwrap();
        let refused = listen(name).err().unwrap();
        assert_eq!(refused.to_string(), "another process listens there");
        UnixStream::connect(&path).unwrap();
        drop(gate);
        assert!(!path.exists());
    }

    #[test]
    fn what_is_no_socket_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notes.txt");
        std::fs::write(&path, "mine").unwrap();
        let refused = listen(path.to_str().unwrap()).err().unwrap();
        assert!(refused.to_string().contains("no socket"), "{refused}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
        let refused = listen(&"x".repeat(200)).err().unwrap();
        assert!(refused.to_string().contains("200 bytes"), "{refused}");
    }

    #[test]
    fn a_successors_file_is_not_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let gate = listen(path.to_str().unwrap()).unwrap();
        std::fs::rename(&path, folder.path().join("moved")).unwrap();
        let _successor = UnixListener::bind(&path).unwrap();
        drop(gate);
        assert!(path.exists());
    }
}
