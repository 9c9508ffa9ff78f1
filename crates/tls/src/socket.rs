//! A TLS connection for who reads and writes what is there, and waits elsewhere.

use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use parking_lot::Mutex;
use rustls::Connection;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf, Ready};
use tokio::net::TcpStream;
use tokio_rustls::{client, server};

use crate::certificate::Certificate;
use crate::tls::told;

/// So many bytes are taken to be encrypted at once.
const CHUNK: usize = 64 << 10;

/// A TLS connection after its handshake.
#[derive(Debug)]
pub struct TlsSocket {
    socket: TcpStream,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    connection: Connection,
    /// Bytes that were encrypted and are not all on their way: the caller still has them, and hears
    /// that they were written when that is done. Else what the peer does not read would be nowhere in
    /// the caller's account, and could be lost when the caller is done.
    taken: usize,
}

impl From<server::TlsStream<TcpStream>> for TlsSocket {
    fn from(stream: server::TlsStream<TcpStream>) -> TlsSocket {
        let (socket, connection) = stream.into_inner();
        TlsSocket::new(socket, connection.into())
    }
}

impl From<client::TlsStream<TcpStream>> for TlsSocket {
    fn from(stream: client::TlsStream<TcpStream>) -> TlsSocket {
        let (socket, connection) = stream.into_inner();
        TlsSocket::new(socket, connection.into())
    }
}

/// The socket as rustls wants it.
struct Raw<'a>(&'a TcpStream);

impl Read for Raw<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.try_read(buffer)
    }
}

impl Write for Raw<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_write(bytes)
    }

    fn write_vectored(&mut self, bytes: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.try_write_vectored(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl State {
    /// Sends what is encrypted; `WouldBlock` if the socket does not take all of it.
    fn flush(&mut self, socket: &TcpStream) -> io::Result<()> {
        while self.connection.wants_write() {
            if self.connection.write_tls(&mut Raw(socket))? == 0 {
                return Err(ErrorKind::WriteZero.into());
            }
        }
        Ok(())
    }

    fn read(&mut self, socket: &TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.connection.reader().read(buffer) {
                // The end, without a word of farewell: as with plain TCP, who frames messages
                // sees by itself whether one is cut off.
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(0),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                result => return result,
            }
            // 0 is the end, which the reader tells after what came before it.
            self.connection.read_tls(&mut Raw(socket))?;
            if let Err(error) = self.connection.process_new_packets() {
                // The peer is told.
                let _ = self.flush(socket);
                return Err(told(io::Error::new(ErrorKind::InvalidData, error)).into_io());
            }
        }
    }

    fn write(
        &mut self,
        socket: &TcpStream,
        encrypt: impl FnOnce(&mut Connection) -> io::Result<usize>,
    ) -> io::Result<usize> {
        self.flush(socket)?;
        if self.taken == 0 {
            self.taken = encrypt(&mut self.connection)?;
            self.flush(socket)?;
        }
        Ok(std::mem::take(&mut self.taken))
    }
}

impl TlsSocket {
    fn new(socket: TcpStream, mut connection: Connection) -> TlsSocket {
        connection.set_buffer_limit(Some(CHUNK));
        TlsSocket {
            socket,
            state: Mutex::new(State {
                connection,
                taken: 0,
            }),
        }
    }

    /// The version that is spoken: `TLSv1_3`, `TLSv1_2`.
    pub fn version(&self) -> Option<String> {
        let version = self.state.lock().connection.protocol_version();
        version.map(|version| format!("{version:?}"))
    }

    /// The common name in the certificate that the peer has shown.
    pub fn peer_common_name(&self) -> Option<String> {
        let state = self.state.lock();
        let certificate = state.connection.peer_certificates()?.first()?;
        Certificate::parse(certificate.clone().into_owned())
            .ok()?
            .common_name
    }

    /// Waits until one of `interest` may be possible.
    pub async fn ready(&self, interest: Interest) -> io::Result<Ready> {
        let mut all = interest;
        {
            let state = self.state.lock();
            if interest.is_readable() && !state.connection.wants_read() {
                // Decrypted bytes wait, or the end does: nothing more will come from the socket.
                return Ok(Ready::READABLE);
            }
            if state.connection.wants_write() {
                all |= Interest::WRITABLE;
            }
        }
        let ready = self.socket.ready(all).await?;
        if ready.is_writable() {
            // What TLS itself has to say goes even if nobody writes. A failure comes up with the next
            // read or write.
            let _ = self.state.lock().flush(&self.socket);
        }
        Ok(ready)
    }

    /// Reads what is there; `WouldBlock` if nothing is, 0 at the end.
    pub fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.state.lock().read(&self.socket, buffer)
    }

    /// Writes what fits; `WouldBlock` if not all of that is on its way: then the next call must bring the
    /// same bytes again, perhaps with more behind them.
    pub fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.state.lock();
        state.write(&self.socket, |connection| connection.writer().write(bytes))
    }

    /// Like [`TlsSocket::try_write`], from several buffers.
    pub fn try_write_vectored(&self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut state = self.state.lock();
        state.write(&self.socket, |connection| {
            connection.writer().write_vectored(buffers)
        })
    }

    fn bid_farewell(&self) {
        let mut state = self.state.lock();
        state.connection.send_close_notify();
        let _ = state.flush(&self.socket);
    }
}

impl Drop for TlsSocket {
    fn drop(&mut self) {
        self.bid_farewell();
    }
}

impl AsyncRead for TlsSocket {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            match self.try_read(buffer.initialize_unfilled()) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    ready!(self.socket.poll_read_ready(context))?;
                }
                result => {
                    buffer.advance(result?);
                    return Poll::Ready(Ok(()));
                }
            }
        }
    }
}

impl AsyncWrite for TlsSocket {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        loop {
            match self.try_write(bytes) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    ready!(self.socket.poll_write_ready(context))?;
                }
                result => return Poll::Ready(result),
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.bid_farewell();
        Pin::new(&mut self.get_mut().socket).poll_shutdown(context)
    }
}
