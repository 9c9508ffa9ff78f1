//! Unix sockets that are never taken away from a live server, at paths of any length.

use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use rustix::fs::Mode;
use socket2::{Domain, SockAddr, Socket, Type};
use tokio::net::{UnixListener, UnixStream};

use crate::own_files;

/// Bytes of `sockaddr_un.sun_path` without the terminating zero.
const MAX_SUN_PATH: usize = 107;

/// A listening socket's name in the file system. Dropping it removes the file, unless somebody else has
/// put their own there.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    /// Device and inode.
    id: (u64, u64),
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        own_files::remove(&self.path, self.id);
    }
}

/// Listens at a path, with room for so many connections that nobody has accepted yet. A socket that a
/// server has left behind is replaced. Must be called inside a tokio runtime.
///
/// # Errors
/// [`io::ErrorKind::AddrInUse`] if a live server has the socket, or something else the name;
/// whatever the system says otherwise.
pub fn listen(path: &Path, backlog: i32) -> io::Result<(UnixListener, SocketFile)> {
    remove_stale(path)?;
    let socket = nonblocking()?;
    // On Linux the file gets the socket's mode, less the umask: user and group, as the reference.
    rustix::fs::fchmod(&socket, Mode::RWXU | Mode::RWXG)?;
    with_address(path, |address| socket.bind(address))?;
    let file = SocketFile {
        id: own_files::id_of(path)?,
        path: path.to_path_buf(),
    };
    own_files::add(path, file.id);
    socket.listen(backlog)?;
    Ok((UnixListener::from_std(socket.into())?, file))
}

/// Connects with a server's socket; that does not wait. Must be called inside a tokio runtime.
///
/// # Errors
/// [`io::ErrorKind::WouldBlock`] if the server has no room for another connection; whatever the system
/// says otherwise.
pub fn connect(path: &Path) -> io::Result<UnixStream> {
    let socket = nonblocking()?;
    with_address(path, |address| socket.connect(address))?;
    UnixStream::from_std(socket.into())
}

fn nonblocking() -> io::Result<Socket> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// Removes the socket of a server that has gone. Anything else that has the name is an error.
fn remove_stale(path: &Path) -> io::Result<()> {
    let found = match std::fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(e),
    };
    let in_use = |why| Err(io::Error::new(io::ErrorKind::AddrInUse, why));
    if !found.file_type().is_socket() {
        return in_use("exists and is not a socket");
    }
    let socket = nonblocking()?;
    match with_address(path, |address| socket.connect(address)) {
        Ok(()) => in_use("in use by a live server"),
        Err(e) if e.kind() == io::ErrorKind::ConnectionRefused => std::fs::remove_file(path),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        // Its queue of connections is full.
        Err(e) if e.kind() == io::ErrorKind::WouldBlock => in_use("in use by a live server"),
        Err(e) => Err(e),
    }
}

/// Calls `action` with the address of a Unix socket. A path too long for an address goes through
/// an open folder, `/proc/self/fd/N/NAME`.
fn with_address<T>(path: &Path, action: impl FnOnce(&SockAddr) -> io::Result<T>) -> io::Result<T> {
    if path.as_os_str().len() <= MAX_SUN_PATH {
        return action(&SockAddr::unix(path)?);
    }
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::InvalidFilename.into());
    };
    let folder = std::fs::File::open(parent)?;
    let short = Path::new("/proc/self/fd")
        .join(folder.as_raw_fd().to_string())
        .join(name);
    action(&SockAddr::unix(short)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[tokio::test]
    async fn a_live_servers_socket_is_not_taken_and_a_stale_one_is() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("db.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).expect("bind"));
        let (listener, file) = listen(&path, 5).expect("stale");
        let mode = std::fs::metadata(&path).expect("file").permissions().mode();
        assert_eq!(mode & 0o007, 0);
        let error = listen(&path, 5).expect_err("live");
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        let _client = connect(&path).expect("connect");
        listener.accept().await.expect("the attempt's own");
        listener.accept().await.expect("the client");
        drop((listener, file));
        assert!(!path.exists());
        let error = connect(&path).expect_err("nobody");
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }

    #[tokio::test]
    async fn anothers_file_stays() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("db.sock");
        let (_listener, file) = listen(&path, 5).expect("listen");
        std::fs::remove_file(&path).expect("remove");
        std::fs::write(&path, "data").expect("write");
        drop(file);
        let error = listen(&path, 5).expect_err("a file");
        assert!(error.to_string().contains("not a socket"), "{error}");
        assert_eq!(std::fs::read(&path).expect("read"), b"data");
    }

    #[tokio::test]
    async fn long_paths_work() {
        let folder = tempfile::tempdir().expect("folder");
        let deep = folder.path().join("d".repeat(120));
        std::fs::create_dir(&deep).expect("create");
        let path = deep.join("db.sock");
        let (listener, file) = listen(&path, 5).expect("listen");
        let _client = connect(&path).expect("connect");
        listener.accept().await.expect("accept");
        drop(file);
        assert!(!path.exists());
    }
}
