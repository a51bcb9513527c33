//! The admin server: metrics, health, status, actions, and a page for an operator.
//!
//! | path | |
//! |---|---|
//! | `GET /` | a page: shards, slots, load, latency, memory, log; live |
//! | `GET /metrics` | figures for Prometheus |
//! | `GET /healthz` | 200: the process answers |
//! | `GET /readyz` | 200: the store is recovered and takes commits; 503 and the reason otherwise |
//! | `GET /status` | the document of `shingle status --json` |
//! | `GET /shards`, `GET /slots` | the documents of `shingle shards --json` and of `shingle slots --json` |
//! | `GET /slot-map` | which shard each slot lives on, and which one it goes to: pairs of a shard and a number of slots in a row |
//! | `GET /rebalance/status` | the document of `shingle rebalance status --json` |
//! | `GET /history` | commits, latency and memory of the last minutes, a sample a second |
//! | `GET /checkpoints` | the document of `shingle checkpoint list --json` |
//! | `POST /flush`, `POST /verify` | an action, with `Authorization: Bearer TOKEN`: 202 and the operation that has begun |
//! | `POST /prune` | the same; its body is a [`PruneRequest`] |
//! | `POST /checkpoint`, `/checkpoint/verify`, `/checkpoint/delete` | the same; its body is a [`CheckpointRequest`] |
//! | `POST /rebalance`, `POST /reshard` | the same; their bodies are a [`RebalanceRequest`](crate::RebalanceRequest) and a [`ReshardRequest`](crate::ReshardRequest) |
//! | `POST /rebalance/plan`, `POST /reshard/plan` | what these would come to, at once; nothing is changed |
//! | `POST /rebalance/resume`, `/rebalance/rate`, `/rebalance/abort` | the same; the body of the first two is a [`ResumeRequest`] |
//! | `POST /slots/measure` | the same |
//! | `GET /operations`, `GET /operations/ID` | what runs, how far it is, and what came out |
//!
//! It listens on the loopback interface unless it is told otherwise, and takes no action unless it is given a file with a token. Requests are bounded in size, in
//! time and in number.
//!
//! ```
//! # let dir = tempfile::tempdir()?;
//! # let db = shingle::Database::open(dir.path().join("state"))?;
//! let server = db.serve("127.0.0.1:0".parse()?).start()?;
//! println!("{}", server.url());
//! server.shutdown(); // or drop it
//! # db.close()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod actions;
mod error;
mod guard;
mod history;
mod listener;
mod moves;
mod operations;
mod page;
mod plan;
mod routes;
mod server;
mod settings;
mod state;
mod token;

pub use error::ServeError;
pub use operations::{Operation, OperationState, Progress};
pub use server::{Serve, Server};
pub use settings::{CheckpointRequest, PruneRequest, ResumeRequest};

use crate::Database;
use std::net::SocketAddr;

impl Database {
    /// Begins to serve the store's admin pages at `address`, `127.0.0.1:9464` for instance; port 0 takes any that is free.
    pub fn serve(&self, address: SocketAddr) -> Serve {
        Serve::new(self.clone(), address)
    }
}
