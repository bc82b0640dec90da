//! The connection under the HTTP library. That library never sends a length that is not so, nor half a
//! chunk; an answer that must be broken is given here as bytes, and takes the connection over: what the
//! library writes for that request is dropped, the bytes go out instead, and the connection is closed.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
};

use axum::{
    extract::connect_info::Connected,
    serve::{IncomingStream, Listener},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
};

/// Where a request leaves the bytes that its connection is to send.
#[derive(Debug, Clone, Default)]
pub(crate) struct Takeover(Arc<Mutex<Option<Vec<u8>>>>);

impl Takeover {
    /// Sends exactly these bytes as the answer, then closes the connection.
    pub(crate) fn send(&self, bytes: Vec<u8>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(bytes);
    }

    fn take(&self) -> Option<Vec<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// A connection that can be taken over.
#[derive(Debug)]
pub(crate) struct Wire {
    stream: TcpStream,
    takeover: Takeover,
    sending: Option<io::Cursor<Vec<u8>>>,
}

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        let wire = self.get_mut();
        if wire.sending.is_none() {
            wire.sending = wire.takeover.take().map(io::Cursor::new);
        }
        let Some(sending) = &mut wire.sending else {
            return Pin::new(&mut wire.stream).poll_write(context, buffer);
        };
        loop {
            let left = io::BufRead::fill_buf(sending)?;
            if left.is_empty() {
                break;
            }
            let sent = ready!(Pin::new(&mut wire.stream).poll_write(context, left))?;
            io::BufRead::consume(sending, sent);
        }
        ready!(Pin::new(&mut wire.stream).poll_shutdown(context))?;
        Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}

/// Accepts connections that can be taken over.
#[derive(Debug)]
pub(crate) struct WireListener(pub(crate) TcpListener);

impl Listener for WireListener {
    type Io = Wire;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Wire, SocketAddr) {
        let (stream, address) = Listener::accept(&mut self.0).await;
        // Without it, small answers may wait for the acknowledgement of the one before. A connection
        // that refuses the option is already gone, and the next read says so.
        let _ = stream.set_nodelay(true);
        (Wire { stream, takeover: Takeover::default(), sending: None }, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

impl Connected<IncomingStream<'_, WireListener>> for Takeover {
    fn connect_info(incoming: IncomingStream<'_, WireListener>) -> Self {
        incoming.io().takeover.clone()
    }
}
