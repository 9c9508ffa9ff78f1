//! A connection over TCP, whose bytes its own task writes and others may.

use std::io::{self, IoSlice};
use std::net::Shutdown;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, ready};

use bytes::Buf;
use socket2::SockRef;
use tokio::io::AsyncWrite;
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use super::outbox::WriteAtOnce;
use crate::wire::frame::Outgoing;

/// As many pieces go into one call.
const PIECES: usize = 16;

/// The end for writing. Closed when it is dropped.
#[derive(Debug)]
pub(super) struct WriteHalf(Arc<OwnedWriteHalf>);

/// The two ends of a connection.
pub(super) fn split(stream: TcpStream) -> (OwnedReadHalf, WriteHalf) {
    let (read, write) = stream.into_split();
    (read, WriteHalf(Arc::new(write)))
}

impl WriteHalf {
    /// For others, as long as the connection's task has it.
    pub(super) fn at_once(&self) -> Weak<dyn WriteAtOnce> {
        Arc::downgrade(&self.0) as Weak<dyn WriteAtOnce>
    }

    fn stream(&self) -> &TcpStream {
        (*self.0).as_ref()
    }
}

impl WriteAtOnce for OwnedWriteHalf {
    fn write_at_once(&self, bytes: &mut Outgoing) -> io::Result<()> {
        while bytes.has_remaining() {
            let mut slices = [IoSlice::new(&[]); PIECES];
            let count = bytes.chunks_vectored(&mut slices);
            match self.try_write_vectored(&slices[..count])? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                written => bytes.advance(written),
            }
        }
        Ok(())
    }
}

impl AsyncWrite for WriteHalf {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(context, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.stream().poll_write_ready(context))?;
            match self.stream().try_write_vectored(slices) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return Poll::Ready(result),
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(SockRef::from(self.stream()).shutdown(Shutdown::Write))
    }
}
