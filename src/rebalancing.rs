//! Moving slots between shards, and changing the number of shards, while the store runs.

use crate::Database;
use shingle_router::{Plan, RebalanceOptions, RebalanceStatus, Rebalanced, Result};

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

    /// How far the rebalancing under way is; `None`: there is none.
    #[must_use]
    pub fn rebalance_status(&self) -> Option<RebalanceStatus> {
        self.store.rebalance_status()
    }

    /// Goes on with a rebalancing that has failed, and waits for it. After an opening it goes on by itself.
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

    /// Copies at most so many bytes a second from now on; `None`: as fast as it goes.
    pub fn set_rebalance_rate(&self, bytes_per_sec: Option<u64>) {
        self.store.set_rebalance_rate(bytes_per_sec);
    }

    /// The shard on which each slot lives, by slot.
    #[must_use]
    pub fn slot_owners(&self) -> Vec<usize> {
        self.store.slot_owners()
    }
}
