//! Connections: a bounded number of them, none of which can be held open by a client that sends or reads too slowly. Who comes when there are no more
//! takes the place of the one that has asked for nothing for longest, so that those that do nothing keep nobody out, however many they are.

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::mem;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::{Instant, Sleep, sleep_until, timeout};

/// Connections at a time.
const CONNECTIONS_MAX: usize = 128;

/// From the first byte of a request to the first byte of its answer, and from one piece of an answer that the client takes to the next.
const PATIENCE: Duration = Duration::from_secs(15);

/// How long a connection may stay open between two requests: longer than Prometheus usually waits.
const IDLE: Duration = Duration::from_secs(90);

/// How long accepting rests when the process has no file left for a connection, or nobody's place is free yet.
const REST: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub(super) struct BoundedListener {
    listener: TcpListener,
    connections: Arc<Semaphore>,
    waiting: Arc<Waiting>,
    accepted: u64,
}

impl BoundedListener {
    pub(super) fn new(listener: TcpListener) -> Self {
        let connections = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        BoundedListener { listener, connections, waiting: Arc::default(), accepted: 0 }
    }

    async fn place(&self) -> OwnedSemaphorePermit {
        let connections = Arc::clone(&self.connections);
        loop {
            if let Ok(place) = Arc::clone(&connections).try_acquire_owned() {
                return place;
            }
            self.waiting.send_one_away();
            // Where all of them are answered, one that is not any more may be sent away next time.
            if let Ok(place) = timeout(REST, Arc::clone(&connections).acquire_owned()).await {
                return place.expect("the semaphore is never closed");
            }
        }
    }
}

impl Listener for BoundedListener {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        loop {
            match self.listener.accept().await {
                Ok((stream, address)) => {
                    // An answer is one piece: there is nothing to wait for.
                    stream.set_nodelay(true).ok();
                    let place = self.place().await;
                    self.accepted += 1;
                    let seat = Seat { number: self.accepted, kept: Arc::default(), waiting: Arc::clone(&self.waiting) };
                    return (Connection::new(stream, seat, place), address);
                }
                Err(_) => tokio::time::sleep(REST).await,
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// The connections without a request that is whole, by their numbers, and how each is sent away; who has waited longest is first.
#[derive(Debug, Default)]
struct Waiting(Mutex<VecDeque<(u64, oneshot::Sender<()>)>>);

impl Waiting {
    fn send_one_away(&self) {
        let mut waiting = self.0.lock();
        // One that is at its end does not listen.
        while let Some((_, connection)) = waiting.pop_front() {
            if connection.send(()).is_ok() {
                return;
            }
        }
    }
}

/// A connection as those know it who answer its requests.
#[derive(Clone, Debug)]
pub(super) struct Seat {
    number: u64,
    /// A request is there that is whole, and not answered.
    kept: Arc<AtomicBool>,
    waiting: Arc<Waiting>,
}

impl Seat {
    /// A request is there: it is answered before the connection may be sent away.
    pub(super) fn keep(&self) {
        self.kept.store(true, Ordering::Release);
        self.leave();
    }

    fn is_kept(&self) -> bool {
        self.kept.load(Ordering::Acquire)
    }

    fn release(&self) {
        self.kept.store(false, Ordering::Release);
    }

    fn wait(&self) -> oneshot::Receiver<()> {
        let (send_away, sent_away) = oneshot::channel();
        self.waiting.0.lock().push_back((self.number, send_away));
        sent_away
    }

    fn leave(&self) {
        self.waiting.0.lock().retain(|(number, _)| *number != self.number);
    }
}

impl Connected<IncomingStream<'_, BoundedListener>> for Seat {
    fn connect_info(stream: IncomingStream<'_, BoundedListener>) -> Self {
        stream.io().seat.clone()
    }
}

/// A connection that ends itself when its time is over.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    ends: Pin<Box<Sleep>>,
    /// A request has begun to arrive and is not answered.
    in_request: bool,
    /// Something that is not flushed yet.
    has_written: bool,
    seat: Seat,
    /// Told when somebody else needs the place; `None` until nothing is left to be read.
    sent_away: Option<oneshot::Receiver<()>>,
    _place: OwnedSemaphorePermit,
}

impl Connection {
    fn new(stream: TcpStream, seat: Seat, place: OwnedSemaphorePermit) -> Self {
        // The first request has no reason to wait for.
        let ends = Box::pin(sleep_until(Instant::now() + PATIENCE));
        Connection { stream, ends, in_request: true, has_written: false, seat, sent_away: None, _place: place }
    }

    fn allow(&mut self, time: Duration) {
        self.ends.as_mut().reset(Instant::now() + time);
    }

    fn check(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        let told = self.sent_away.as_mut().map_or(Poll::Pending, |sent_away| Pin::new(sent_away).poll(context));
        if told.is_ready() {
            self.sent_away = None;
        }
        // A request may have come whole when somebody had just been told.
        let sent_away = told == Poll::Ready(Ok(())) && !self.seat.is_kept();
        let is_over = self.ends.as_mut().poll(context).is_ready();
        if is_over || sent_away { Err(io::ErrorKind::TimedOut.into()) } else { Ok(()) }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.seat.leave();
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
                // What has been sent was looked at, and is no whole request.
                if self.sent_away.is_none() && !self.seat.is_kept() {
                    self.sent_away = Some(self.seat.wait());
                }
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
                (self.in_request, self.has_written) = (false, true);
                self.allow(IDLE);
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
        // All of an answer was taken.
        if mem::take(&mut self.has_written) {
            self.seat.release();
            self.sent_away = None;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
