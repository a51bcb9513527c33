//! Optimistic transactions: read at a snapshot, write in private, be validated when they commit.

use crate::batch::Batch;
use crate::commit::{CommitHandle, Prepared, ReadKey, ReadSet};
use crate::core::Core;
use crate::ending::Ending;
use crate::scan::Scan;
use crate::{Durability, Error, ErrorKind, Result};
use shingle_shard::{KeyRange, Version, check_key, check_value};
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

/// How often `transact` tries before it gives the conflict back.
const ATTEMPTS_MAX: u32 = 100;

/// So many of the keys that a transaction has read are compared with each one that it writes.
const KEYS_COMPARED_MAX: usize = 8;

/// What a transaction is validated against when it commits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Isolation {
    /// Everything that it read or wrote, ranges included: the outcome is that of some serial order, the order of the versions.
    #[default]
    Serializable,
    /// What it wrote: two transactions that read what the other writes may both commit (write skew).
    Snapshot,
}

type Writes = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// A transaction. It sees its snapshot and its own writes; nobody sees those before the commit. Dropping it aborts it.
///
/// Keys and values are checked when they are given. A commit consumes the transaction:
///
/// ```compile_fail,E0382
/// fn use_after_commit(mut txn: shingle_router::Transaction) -> shingle_router::Result<()> {
///     txn.commit()?;
///     txn.put("key", "value")
/// }
/// ```
#[derive(Debug)]
pub struct Transaction {
    isolation: Isolation,
    durability: Option<Durability>,
    writes: Writes,
    keys_read: Vec<ReadKey>,
    ranges_read: Vec<KeyRange>,
    ending: Ending,
}

impl Transaction {
    pub(crate) fn begin(core: &Arc<Core>, isolation: Isolation) -> Self {
        Transaction {
            ending: Ending::begin(core),
            isolation,
            durability: None,
            writes: Writes::new(),
            keys_read: Vec::new(),
            ranges_read: Vec::new(),
        }
    }

    /// The version that the transaction reads at.
    #[must_use]
    pub fn version(&self) -> Version {
        self.ending.snapshot.version()
    }

    /// The value of `key`: the transaction's own if it has written it.
    ///
    /// # Errors
    /// A key out of bounds, a rollback below the snapshot, damage, I/O.
    pub fn get(&mut self, key: impl AsRef<[u8]>) -> Result<Option<Vec<u8>>> {
        let key = key.as_ref();
        if let Some(value) = self.writes.get(key) {
            return Ok(value.clone());
        }
        let value = self.ending.snapshot.get(key)?;
        if self.isolation == Isolation::Serializable {
            self.keys_read.push(ReadKey::new(key.to_vec()));
        }
        Ok(value)
    }

    /// The keys of `range` and their values, the transaction's own writes among them. A serializable transaction has read what
    /// the iterator has gone over, not the rest of the range.
    pub fn range<K: AsRef<[u8]>>(&mut self, range: impl std::ops::RangeBounds<K>) -> TransactionScan<'_> {
        self.scan(KeyRange {
            start: range.start_bound().map(|key| key.as_ref().to_vec()),
            end: range.end_bound().map(|key| key.as_ref().to_vec()),
        })
    }

    /// The keys that begin with `prefix`, as [`Transaction::range`].
    pub fn prefix(&mut self, prefix: impl AsRef<[u8]>) -> TransactionScan<'_> {
        self.scan(KeyRange::prefix(prefix.as_ref()))
    }

    fn scan(&mut self, range: KeyRange) -> TransactionScan<'_> {
        let own: Vec<_> = if range.is_empty() {
            Vec::new()
        } else {
            let bounds = (range.start.as_ref().map(Vec::as_slice), range.end.as_ref().map(Vec::as_slice));
            self.writes.range::<[u8], _>(bounds).map(|(key, value)| (key.clone(), value.clone())).collect()
        };
        let serializable = self.isolation == Isolation::Serializable;
        if serializable {
            // All of it until the scan is dropped and says how far it went: one that is leaked has read everything.
            self.ranges_read.push(range.clone());
        }
        TransactionScan {
            stored: self.ending.snapshot.scan(range.clone()),
            stored_front: None,
            stored_back: None,
            own: own.into(),
            whole: range,
            front: None,
            back: None,
            exhausted: false,
            ranges_read: serializable.then_some(&mut self.ranges_read),
        }
    }

    /// Sets `key` to `value`.
    ///
    /// # Errors
    /// A key or a value out of bounds; the transaction is as before.
    pub fn put(&mut self, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Result<()> {
        check_key(key.as_ref())?;
        check_value(value.as_ref())?;
        self.writes.insert(key.as_ref().to_vec(), Some(value.as_ref().to_vec()));
        Ok(())
    }

    /// Deletes `key`; deleting what is not there is no error.
    ///
    /// # Errors
    /// A key out of bounds; the transaction is as before.
    pub fn delete(&mut self, key: impl AsRef<[u8]>) -> Result<()> {
        check_key(key.as_ref())?;
        self.writes.insert(key.as_ref().to_vec(), None);
        Ok(())
    }

    /// Asks for another durability than the store's.
    pub fn set_durability(&mut self, durability: Durability) {
        self.durability = Some(durability);
    }

    /// Forgets the transaction. The same as dropping it.
    pub fn abort(self) {
        drop(self);
    }

    /// Commits and waits until the commit is visible and durable. Returns its version, or the snapshot's if nothing was written.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] if something that the transaction saw has been written since: worth trying again. Otherwise as
    /// [`CommitHandle::wait`].
    pub fn commit(self) -> Result<Version> {
        self.submit()?.wait()
    }

    /// Validates and queues the commit, and returns its handle.
    ///
    /// # Errors
    /// As [`Transaction::commit`]; conflicts are reported here, not by the handle.
    pub fn submit(self) -> Result<CommitHandle> {
        self.ending.snapshot.check()?;
        if self.writes.is_empty() {
            // It saw one version of the store, and so stands in the serial order right behind that version.
            let version = self.version();
            self.ending.committed();
            return Ok(CommitHandle::finished(version));
        }
        let core = self.ending.snapshot.core();
        let mut batch = Batch::new();
        for (key, value) in &self.writes {
            match value {
                Some(value) => batch.put(key, value),
                None => batch.delete(key),
            };
        }
        let durability = self.durability.unwrap_or(core.options.durability);
        let topology = core.shards.keep();
        let mut prepared = Prepared::commit(topology, &batch, None, durability, core.options.batch_bytes_max)?;
        prepared.is_transaction = true;
        let mut reads = ReadSet {
            at: self.version(),
            rollbacks_seen: self.ending.snapshot.rollbacks_seen(),
            keys: self.keys_read,
            ranges: self.ranges_read,
        };
        // What was read and is written is validated once. Where much was read, looking for it would cost more.
        let seen = reads.keys.len().min(KEYS_COMPARED_MAX);
        let written = self.writes.into_keys().filter(|key| reads.keys[..seen].iter().all(|read| read.key != *key));
        let written: Vec<_> = written.map(ReadKey::new).collect();
        reads.keys.extend(written);
        let handle = core.submit(prepared, Some(&reads))?;
        self.ending.handed_over();
        Ok(handle)
    }

    /// Runs `body` in transactions until one commits, at most [`ATTEMPTS_MAX`] times.
    pub(crate) fn transact<T>(
        core: &Arc<Core>,
        isolation: Isolation,
        mut body: impl FnMut(&mut Transaction) -> Result<T>,
    ) -> Result<T> {
        let mut attempt = 1;
        loop {
            let mut transaction = Transaction::begin(core, isolation);
            let outcome = body(&mut transaction).and_then(|value| transaction.commit().map(|_| value));
            match outcome {
                Err(error) if retry_helps(&error) => {
                    if attempt == ATTEMPTS_MAX {
                        return Err(Error::TooManyConflicts { attempts: attempt });
                    }
                    attempt += 1;
                    core.wait_for_winner(&error);
                }
                outcome => return outcome,
            }
        }
    }
}

fn retry_helps(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Conflict | ErrorKind::RolledBack)
}

/// What a transaction sees of a range: the snapshot's rows under its own writes, in byte order, from both ends.
///
/// Each item may be an error; after one the scan is over.
#[derive(Debug)]
pub struct TransactionScan<'t> {
    stored: Scan,
    /// A stored row that was fetched but not returned, because an own write came before it.
    stored_front: Option<(Vec<u8>, Vec<u8>)>,
    stored_back: Option<(Vec<u8>, Vec<u8>)>,
    own: std::collections::VecDeque<(Vec<u8>, Option<Vec<u8>>)>,
    whole: KeyRange,
    /// The last key returned from either end.
    front: Option<Vec<u8>>,
    back: Option<Vec<u8>>,
    exhausted: bool,
    /// Where a serializable transaction notes what was read; `None` under snapshot isolation.
    ranges_read: Option<&'t mut Vec<KeyRange>>,
}

impl TransactionScan<'_> {
    fn step(&mut self, forward: bool) -> Result<Option<(Vec<u8>, Vec<u8>)>> {
        // Own writes may be left after an error; without the stored rows between them they would say what is not so.
        while !self.exhausted {
            let own_key = if forward { self.own.front() } else { self.own.back() }.map(|(key, _)| key.clone());
            let stored = self.take_stored(forward)?;
            let Some(own_key) = own_key else { return Ok(stored) };
            let order = stored.as_ref().map(|(key, _)| if forward { key.cmp(&own_key) } else { own_key.cmp(key) });
            if order == Some(std::cmp::Ordering::Less) {
                return Ok(stored);
            }
            if order == Some(std::cmp::Ordering::Greater) {
                *(if forward { &mut self.stored_front } else { &mut self.stored_back }) = stored;
            }
            let own = if forward { self.own.pop_front() } else { self.own.pop_back() };
            if let Some((key, Some(value))) = own {
                return Ok(Some((key, value)));
            }
        }
        Ok(None)
    }

    /// The next stored row of this end; in the end, the one that the other end has fetched and not returned.
    fn take_stored(&mut self, forward: bool) -> Result<Option<(Vec<u8>, Vec<u8>)>> {
        let (mine, other) = if forward {
            (&mut self.stored_front, &mut self.stored_back)
        } else {
            (&mut self.stored_back, &mut self.stored_front)
        };
        if let Some(row) = mine.take() {
            return Ok(Some(row));
        }
        let row = if forward { self.stored.next() } else { self.stored.next_back() };
        row.transpose().map(|row| row.or_else(|| other.take()))
    }

    fn note(&mut self, forward: bool, item: &Result<Option<(Vec<u8>, Vec<u8>)>>) {
        match item {
            Ok(Some((key, _))) if forward => self.front = Some(key.clone()),
            Ok(Some((key, _))) => self.back = Some(key.clone()),
            Ok(None) | Err(_) => self.exhausted = true,
        }
    }
}

impl Iterator for TransactionScan<'_> {
    type Item = Result<(Vec<u8>, Vec<u8>)>;

    fn next(&mut self) -> Option<Self::Item> {
        let item = self.step(true);
        self.note(true, &item);
        item.transpose()
    }
}

impl DoubleEndedIterator for TransactionScan<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        let item = self.step(false);
        self.note(false, &item);
        item.transpose()
    }
}

impl Drop for TransactionScan<'_> {
    /// Notes what the scan went over: all of its range, or what lies before the last key of the front and behind that of the back.
    fn drop(&mut self) {
        let Some(ranges_read) = &mut self.ranges_read else { return };
        if self.exhausted {
            return;
        }
        // The whole range, noted when the scan began; nothing was noted since, for the scan borrows the transaction.
        ranges_read.pop();
        if let Some(last) = self.front.take() {
            ranges_read.push(KeyRange { start: self.whole.start.clone(), end: Bound::Included(last) });
        }
        if let Some(last) = self.back.take() {
            ranges_read.push(KeyRange { start: Bound::Included(last), end: self.whole.end.clone() });
        }
    }
}
