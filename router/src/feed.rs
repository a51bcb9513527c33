//! What versions wrote: the change feed, and the difference between two heights.

use crate::snapshot::Snapshot;
use crate::{Error, Result};
use shingle_shard::Version;
use shingle_shard::backend::{ChangesFrom, Page, PageLimit, RowRef};
use std::collections::BTreeSet;

/// A page of changes of one shard.
const PAGE: PageLimit = PageLimit { rows: 1024, bytes: 1 << 20 };

/// One write of one version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The version that wrote it.
    pub version: Version,
    /// The key.
    pub key: Vec<u8>,
    /// The value that it was given; `None`: it was deleted.
    pub value: Option<Vec<u8>>,
}

/// Every write above a version, by version, then by key, up to the version that was visible when the feed was asked for.
///
/// Each item may be an error; after one the feed is over.
#[derive(Debug)]
pub struct ChangeFeed {
    snapshot: Snapshot,
    cursors: Vec<Cursor>,
    failed: bool,
}

/// How far the feed has read one shard.
#[derive(Debug)]
struct Cursor {
    shard: usize,
    seen: (Version, Option<Vec<u8>>),
    page: Page,
    next: usize,
}

impl ChangeFeed {
    /// The feed holds a snapshot at its end and one at its beginning is not needed: what a version wrote is kept as long as the floor is
    /// not above it, and the floor is checked after each page.
    pub(crate) fn new(snapshot: Snapshot, after: Version) -> Result<Self> {
        let core = snapshot.core();
        core.check_never_removed(after)?;
        let newest = snapshot.version();
        if after > newest {
            return Err(Error::AboveNewest { asked: after, newest });
        }
        let cursors = (0..snapshot.topology().all().len())
            .map(|shard| Cursor { shard, seen: (after, None), page: Page::default(), next: 0 })
            .collect();
        let feed = ChangeFeed { snapshot, cursors, failed: false };
        feed.check_floor(after)?;
        Ok(feed)
    }

    fn check_floor(&self, after: Version) -> Result<()> {
        let floor = self.snapshot.core().snapshots.floor();
        if after < floor { Err(Error::Pruned { asked: after, floor }) } else { Ok(()) }
    }

    fn step(&mut self) -> Result<Option<Change>> {
        let core = self.snapshot.core();
        for cursor in &mut self.cursors {
            while cursor.next >= cursor.page.len() && !cursor.page.finished {
                let from = match &cursor.seen {
                    (version, None) => ChangesFrom::After(*version),
                    (version, Some(key)) => ChangesFrom::Within(*version, key),
                };
                let floor = core.snapshots.floor();
                let topology = self.snapshot.topology();
                let shard = &topology.all()[cursor.shard];
                let strays = shard.strays();
                shard.changes(from, self.snapshot.version(), PAGE, &mut cursor.page)?;
                cursor.next = 0;
                self.snapshot.check()?;
                let floor = floor.max(core.snapshots.floor());
                if cursor.needs() < floor {
                    return Err(Error::Pruned { asked: cursor.needs(), floor });
                }
                if let Some(last) = cursor.page.len().checked_sub(1).and_then(|last| cursor.page.get(last)) {
                    cursor.seen = (last.version, Some(last.key.to_vec()));
                }
                if !strays.is_multiple_of(2) || shard.strays() != strays {
                    cursor.page.retain(|key| topology.lives_on(key, shard.number()));
                }
            }
        }
        let first =
            self.cursors.iter_mut().filter(|cursor| cursor.row().is_some()).min_by(|a, b| {
                a.row().map(|row| (row.version, row.key)).cmp(&b.row().map(|row| (row.version, row.key)))
            });
        let Some(first) = first else { return Ok(None) };
        let change = first.row().map(|row| Change {
            version: row.version,
            key: row.key.to_vec(),
            value: row.value.map(<[u8]>::to_vec),
        });
        first.next += 1;
        Ok(change)
    }
}

impl Cursor {
    /// The version whose successors it reads: of the one in which it stands, the rest must be there too.
    fn needs(&self) -> Version {
        match self.seen {
            (version, None) => version,
            (version, Some(_)) => version.saturating_sub(1),
        }
    }

    fn row(&self) -> Option<RowRef<'_>> {
        self.page.get(self.next)
    }
}

impl Iterator for ChangeFeed {
    type Item = Result<Change>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let item = self.step().transpose();
        self.failed = matches!(item, None | Some(Err(_)));
        item
    }
}

/// A key whose value differs between two states.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The key.
    pub key: Vec<u8>,
    /// Its value in the first state; `None`: it had none.
    pub before: Option<Vec<u8>>,
    /// Its value in the second state; `None`: it had none.
    pub after: Option<Vec<u8>>,
}

/// The keys whose values differ between two heights, in byte order. It holds every key that was written between them.
///
/// Each item may be an error; after one it is over.
#[derive(Debug)]
pub struct Diff {
    before: Snapshot,
    after: Snapshot,
    keys: std::collections::btree_set::IntoIter<Vec<u8>>,
}

impl Diff {
    /// Costs what was written between the two heights: it goes through their changes, not through the store.
    pub(crate) fn new(before: Snapshot, after: Snapshot) -> Result<Self> {
        let (older, newer) = if before.version() <= after.version() { (&before, &after) } else { (&after, &before) };
        let keys: BTreeSet<Vec<u8>> =
            ChangeFeed::new(newer.clone(), older.version())?.map(|change| Ok(change?.key)).collect::<Result<_>>()?;
        Ok(Diff { before, after, keys: keys.into_iter() })
    }
}

impl Iterator for Diff {
    type Item = Result<Difference>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let key = self.keys.next()?;
            let values = self.before.get(&key).and_then(|before| Ok((before, self.after.get(&key)?)));
            match values {
                Ok((before, after)) if before == after => {}
                Ok((before, after)) => return Some(Ok(Difference { key, before, after })),
                Err(error) => {
                    self.keys = BTreeSet::new().into_iter();
                    return Some(Err(error));
                }
            }
        }
    }
}
