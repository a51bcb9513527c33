//! What the admin server's handlers share.

use super::history::History;
use super::operations::Operations;
use super::token::Token;
use crate::Database;
use crate::metrics::StoreCollector;
use prometheus::Registry;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::Semaphore;

/// Requests that are answered at a time; more are refused.
const REQUESTS_MAX: usize = 64;

/// Of them, those that ask every shard for its figures; more wait.
const READS_MAX: usize = 4;

#[derive(Debug)]
pub(super) struct App {
    pub(super) db: Database,
    pub(super) registry: Registry,
    pub(super) operations: Operations,
    pub(super) history: History,
    /// `None`: no action is taken.
    pub(super) token: Option<Token>,
    /// Names under which a page in a browser may have come here; `None`: any.
    pub(super) loopback_only: bool,
    pub(super) requests: Arc<Semaphore>,
    pub(super) reads: Arc<Semaphore>,
    closing: AtomicBool,
}

impl App {
    pub(super) fn new(db: Database, token: Option<Token>, loopback_only: bool) -> Self {
        let registry = Registry::new();
        registry.register(Box::new(StoreCollector::new(&db))).expect("the registry is empty");
        App {
            history: History::new(&db),
            db,
            registry,
            operations: Operations::default(),
            token,
            loopback_only,
            requests: Arc::new(Semaphore::new(REQUESTS_MAX)),
            reads: Arc::new(Semaphore::new(READS_MAX)),
            closing: AtomicBool::new(false),
        }
    }

    pub(super) fn close(&self) {
        self.closing.store(true, Ordering::Release);
    }

    pub(super) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }
}
