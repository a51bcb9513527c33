//! Moving slots between shards, and changing the number of shards, while the store runs.

use crate::Database;
use serde::{Deserialize, Serialize};
use shingle_router::{Plan, RebalanceOptions, RebalanceStatus, Rebalanced, Result, Shortfall, Simulation};

/// What carrying out a simulation came to: the document of `shingle rebalance --json`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RebalanceOutcome {
    /// What was done.
    #[serde(flatten)]
    pub done: Rebalanced,
    /// What could not be evened out, as the simulation said.
    pub shortfalls: Vec<Shortfall>,
}

/// Rebalancing.
impl Database {
    /// Moves slots between shards, makes shards and removes them, as `plan` says. Commits and reads go on; they do not notice. It is safe against a crash at any
    /// moment: the next opening goes on with it. Returns when what `options` says is reached; `progress` is told about ten times a second how far it is.
    ///
    /// One plan at a time. Prunings go on meanwhile, but the floor stays where it is.
    ///
    /// ```
    /// use shingle::{Database, Move, Plan, RebalanceOptions};
    /// let db = Database::in_memory()?;
    /// db.transact(|txn| txn.put("greeting", "hello"))?;
    /// let moves = vec![Move { slot: 0, from: db.slot_owners()[0], to: 3 }];
    /// db.rebalance(&Plan { moves, shards_after: 4, new_dirs: Vec::new() }, RebalanceOptions::default(), &|_| {})?;
    /// assert_eq!(db.slot_owners()[0], 3);
    /// # Ok::<(), shingle::Error>(())
    /// ```
    ///
    /// # Errors
    /// `InvalidArgument` for a plan that does not fit the store, for one while another is unfinished, and for new directories that hold anything; `NoSpace`, after which
    /// nothing is lost: [resume](Database::resume_rebalance) it, or [give it up](Database::abort_rebalance); `Io`, `Poisoned`, `Closed`.
    pub fn rebalance(
        &self,
        plan: &Plan,
        options: RebalanceOptions,
        progress: &dyn Fn(&RebalanceStatus),
    ) -> Result<Rebalanced> {
        self.store.rebalance(plan, options, progress)
    }

    /// Carries out what was simulated, as [`Database::rebalance`] does. Where nothing is to be moved, nothing is done.
    ///
    /// ```
    /// use shingle::{Database, RebalanceOptions, RebalanceRequest};
    /// let db = Database::builder("").shards(4).in_memory()?;
    /// let wanted = RebalanceRequest { to_shards: Some(5), ..RebalanceRequest::default() };
    /// let simulation = db.plan_rebalance(&wanted)?;
    /// assert_eq!(db.carry_out(&simulation, RebalanceOptions::default(), &|_| {})?.done.shards, 5);
    /// # Ok::<(), shingle::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Database::rebalance`].
    pub fn carry_out(
        &self,
        simulation: &Simulation,
        options: RebalanceOptions,
        progress: &dyn Fn(&RebalanceStatus),
    ) -> Result<RebalanceOutcome> {
        let done = if simulation.is_empty() {
            Rebalanced { shards: self.shards(), ..Rebalanced::default() }
        } else {
            self.rebalance(&simulation.plan, options, progress)?
        };
        Ok(RebalanceOutcome { done, shortfalls: simulation.shortfalls.clone() })
    }

    /// How far the rebalancing under way is; `None`: there is none.
    #[must_use]
    pub fn rebalance_status(&self) -> Option<RebalanceStatus> {
        self.store.rebalance_status()
    }

    /// Goes on with a rebalancing that has failed, and waits for it. After an opening it goes on by itself. Either way
    /// it keeps the rate that it had, unless `options` give another; [`Database::set_rebalance_rate`] lifts it.
    ///
    /// # Errors
    /// `InvalidArgument` if there is none; otherwise as [`Database::rebalance`].
    pub fn resume_rebalance(
        &self,
        options: RebalanceOptions,
        progress: &dyn Fn(&RebalanceStatus),
    ) -> Result<Rebalanced> {
        self.store.resume_rebalance(options, progress)
    }

    /// Gives up the rebalancing: every slot stays where it is, and shards that were made for it go. What was copied is removed in the background.
    ///
    /// # Errors
    /// `InvalidArgument` if there is none, or if it has handed over; otherwise as [`Database::rebalance`].
    pub fn abort_rebalance(&self) -> Result<()> {
        self.store.abort_rebalance()
    }

    /// Copies at most so many bytes a second from now on, also after the next opening; `None`: as fast as it goes.
    ///
    /// # Errors
    /// `NoSpace`, `Io`: it goes on at the rate that it had.
    pub fn set_rebalance_rate(&self, bytes_per_sec: Option<u64>) -> Result<()> {
        self.store.set_rebalance_rate(bytes_per_sec)
    }

    /// The shard on which each slot lives, by slot.
    #[must_use]
    pub fn slot_owners(&self) -> Vec<usize> {
        self.store.slot_owners()
    }
}
