//! Starting and ending the admin server.

use super::history::INTERVAL;
use super::listener::{BoundedListener, Seat};
use super::state::App;
use super::token::Token;
use super::{ServeError, routes};
use crate::Database;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// How long the end of the server waits for answers that are under way.
const GRACE: Duration = Duration::from_secs(3);

/// Threads that talk to clients. What asks the store has others.
const THREADS: usize = 2;

/// Threads that ask the store: reads, and actions, one of each kind, some of which wait for others.
const BLOCKING_THREADS_MAX: usize = 24;

/// How the admin server is started.
#[derive(Debug)]
#[must_use = "it does not listen until it is started"]
pub struct Serve {
    db: Database,
    address: SocketAddr,
    token_file: Option<PathBuf>,
    beyond_loopback: bool,
}

impl Serve {
    pub(super) fn new(db: Database, address: SocketAddr) -> Self {
        Serve { db, address, token_file: None, beyond_loopback: false }
    }

    /// Takes actions from those who know the token in this file: one word of at least 16 characters, in a file that only its owner can read.
    /// Without it no action is taken.
    pub fn token_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.token_file = Some(path.into());
        self
    }

    /// Allows an address that others can reach. They then read the store's figures; what they send and get is not encrypted.
    pub fn beyond_loopback(mut self, allow: bool) -> Self {
        self.beyond_loopback = allow;
        self
    }

    /// Starts listening, on threads of its own.
    ///
    /// # Errors
    /// An address that cannot be listened on, or is not a loopback address and was not allowed; a token file that cannot be read, can be read by
    /// others, or holds no token.
    pub fn start(self) -> Result<Server, ServeError> {
        let address = self.address;
        let loopback_only = address.ip().is_loopback();
        if !loopback_only && !self.beyond_loopback {
            return Err(ServeError::NotLoopback { address });
        }
        let token = self.token_file.as_deref().map(Token::from_file).transpose()?;
        let cannot_listen = |cause| ServeError::Listen { address, cause };
        let listener = TcpListener::bind(address).map_err(cannot_listen)?;
        listener.set_nonblocking(true).map_err(cannot_listen)?;
        let address = listener.local_addr().map_err(cannot_listen)?;
        let runtime = Builder::new_multi_thread()
            .worker_threads(THREADS)
            .max_blocking_threads(BLOCKING_THREADS_MAX)
            .thread_name("shingle-admin")
            .enable_all()
            .build()
            .map_err(ServeError::Threads)?;
        let app = Arc::new(App::new(self.db, token, loopback_only));
        let (close, closed) = watch::channel(false);
        let _inside = runtime.enter();
        let listener = tokio::net::TcpListener::from_std(listener).map_err(cannot_listen)?;
        let serving = runtime.spawn(serve(listener, Arc::clone(&app), closed.clone()));
        runtime.spawn(take_samples(Arc::clone(&app), closed));
        let server = Server { address, app, close, running: Some((runtime, serving)) };
        server.app.db.announce(Some(&server.url()));
        Ok(server)
    }
}

async fn serve(listener: tokio::net::TcpListener, app: Arc<App>, mut closed: watch::Receiver<bool>) {
    let until_closed = async move {
        // An error means that the server is gone: closed as well.
        closed.wait_for(|closed| *closed).await.ok();
    };
    let router = routes::router(&app).into_make_service_with_connect_info::<Seat>();
    // It fails only if accepting does, and that is tried again.
    axum::serve(BoundedListener::new(listener), router).with_graceful_shutdown(until_closed).await.ok();
}

async fn take_samples(app: Arc<App>, mut closed: watch::Receiver<bool>) {
    let mut clock = tokio::time::interval(INTERVAL);
    clock.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    clock.tick().await;
    loop {
        tokio::select! {
            _ = clock.tick() => app.history.sample(&app.db),
            _ = closed.wait_for(|closed| *closed) => return,
        }
    }
}

/// The admin server while it runs. It ends when it is dropped.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    app: Arc<App>,
    close: watch::Sender<bool>,
    running: Option<(Runtime, JoinHandle<()>)>,
}

impl Server {
    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address of its page, and what `--url` of the command takes.
    #[must_use]
    pub fn url(&self) -> String {
        let mut address = self.address;
        // All interfaces have no name; the loopback one is among them.
        if address.ip().is_unspecified() {
            address.set_ip(match address {
                SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
                SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
            });
        }
        format!("http://{address}")
    }

    /// Takes no new request, finishes those that are under way if they don't take long, and ends. An action that runs goes on; the store is not
    /// closed.
    pub fn shutdown(mut self) {
        self.end();
    }

    fn end(&mut self) {
        let Some((runtime, serving)) = self.running.take() else { return };
        self.app.close();
        self.app.db.announce(None);
        self.close.send(true).ok();
        // On a thread of no runtime: the caller may be a task of one, which must not wait for another.
        std::thread::scope(|scope| {
            scope.spawn(|| runtime.block_on(async { tokio::time::timeout(GRACE, serving).await.ok() }));
        });
        runtime.shutdown_background();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}
