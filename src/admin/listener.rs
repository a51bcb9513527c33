//! Connections: a bounded number of them, none of which can be held open by a client that sends or reads too slowly.

use axum::serve::Listener;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep, sleep_until};

/// Connections at a time; more wait in the system's queue.
const CONNECTIONS_MAX: usize = 128;

/// From the first byte of a request to the first byte of its answer, and from one piece of an answer that the client takes to the next.
const PATIENCE: Duration = Duration::from_secs(15);

/// How long a connection may stay open between two requests: longer than Prometheus usually waits.
const IDLE: Duration = Duration::from_secs(90);

/// While fewer places than this are left, connections stay open between two requests only as long as [`BRIEFLY_IDLE`]: those that do nothing keep nobody out.
const PLACES_KEPT: usize = 32;

/// See [`PLACES_KEPT`].
const BRIEFLY_IDLE: Duration = Duration::from_secs(1);

/// How long accepting rests when the process has no file left for a connection.
const REST: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub(super) struct BoundedListener {
    listener: TcpListener,
    connections: Arc<Semaphore>,
}

impl BoundedListener {
    pub(super) fn new(listener: TcpListener) -> Self {
        BoundedListener { listener, connections: Arc::new(Semaphore::new(CONNECTIONS_MAX)) }
    }
}

impl Listener for BoundedListener {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        let place = Arc::clone(&self.connections).acquire_owned().await.expect("the semaphore is never closed");
        loop {
            match self.listener.accept().await {
                Ok((stream, address)) => {
                    // An answer is one piece: there is nothing to wait for.
                    stream.set_nodelay(true).ok();
                    return (Connection::new(stream, Arc::clone(&self.connections), place), address);
                }
                Err(_) => tokio::time::sleep(REST).await,
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// A connection that ends itself when its time is over.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    ends: Pin<Box<Sleep>>,
    /// A request has begun to arrive and is not answered.
    in_request: bool,
    connections: Arc<Semaphore>,
    _place: OwnedSemaphorePermit,
}

impl Connection {
    fn new(stream: TcpStream, connections: Arc<Semaphore>, place: OwnedSemaphorePermit) -> Self {
        // The first request has no reason to wait for.
        let ends = Box::pin(sleep_until(Instant::now() + PATIENCE));
        Connection { stream, ends, in_request: true, connections, _place: place }
    }

    fn allow(&mut self, time: Duration) {
        self.ends.as_mut().reset(Instant::now() + time);
    }

    fn check(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        match self.ends.as_mut().poll(context) {
            Poll::Ready(()) => Err(io::ErrorKind::TimedOut.into()),
            Poll::Pending => Ok(()),
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let had = into.filled().len();
        match Pin::new(&mut self.stream).poll_read(context, into) {
            Poll::Ready(outcome) => {
                if into.filled().len() > had && !self.in_request {
                    self.in_request = true;
                    self.allow(PATIENCE);
                }
                // Each byte in time is not enough: all of the request must be.
                self.check(context)?;
                Poll::Ready(outcome)
            }
            Poll::Pending => {
                self.check(context)?;
                Poll::Pending
            }
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match Pin::new(&mut self.stream).poll_write(context, bytes) {
            Poll::Ready(outcome) => {
                // What comes next is another request, or more of this answer.
                self.in_request = false;
                let crowded = self.connections.available_permits() < PLACES_KEPT;
                self.allow(if crowded { BRIEFLY_IDLE } else { IDLE });
                Poll::Ready(outcome)
            }
            Poll::Pending => {
                if !self.in_request {
                    self.in_request = true;
                    self.allow(PATIENCE);
                }
                self.check(context)?;
                Poll::Pending
            }
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_flush(context))?;
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
