//! What the parent knows of a store from its children's words, and how it holds the store to it.

use crate::group;
use crate::line::{EMPTY_BLOCK, Line, Stamp};
use rand::Rng;
use rand::rngs::SmallRng;
use rand::seq::IteratorRandom;
use shingle::{At, Block, Database, SealedBlock, Version};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

type State = BTreeMap<Vec<u8>, Vec<u8>>;

/// Everything that is known of one store.
#[derive(Default)]
pub(crate) struct Truth {
    /// Commits that must be there: acknowledged, or found by an earlier check. `None`: an empty block.
    commits: BTreeMap<Version, Option<Stamp>>,
    blocks: BTreeMap<u64, SealedBlock>,
    /// Commits of the children since the last check that were numbered: they may be there, and if they are, as they were submitted.
    tried: BTreeMap<Version, (Stamp, Option<Block>)>,
    /// Versions that children were told who were killed before anything of theirs was acknowledged, so perhaps before they wrote to the log: if
    /// they did not, others may be told the same.
    told_in_vain: BTreeSet<Version>,
    /// A rollback that a child has begun and not acknowledged.
    unsure: Option<SealedBlock>,
    /// Versions that rollbacks have removed.
    removed: Vec<Range<Version>>,
    /// No later commit may have a version up to this one.
    newest_seen: Version,
    /// How many acknowledgements were heard.
    pub(crate) acknowledged: u64,
}

impl Truth {
    /// Takes in what one child has said before it was killed. Returns whether the store must be checked before the next child: a rollback's outcome
    /// is open.
    pub(crate) fn hear(&mut self, lines: &[Line]) -> bool {
        assert!(self.unsure.is_none(), "a rollback without an outcome is checked before the next child");
        let seen_before = self.newest_seen;
        let wrote = lines.iter().any(|line| matches!(line, Line::Ack { .. }));
        let mut rolling = None;
        for line in lines {
            match line {
                Line::Ready(version) => {
                    let known = self.commits.last_key_value().map_or(0, |(version, _)| *version);
                    assert!(*version >= known, "the store opened at {version}, but {known} was acknowledged");
                }
                Line::Try { stamp, version, block } => {
                    assert!(*version > seen_before, "version {version} was given again after a kill");
                    let other = self.tried.insert(*version, (*stamp, *block));
                    let again = other.is_some() && !self.told_in_vain.contains(version);
                    assert!(!again, "version {version} was given twice: {other:?}, {stamp:x}");
                    if wrote {
                        self.newest_seen = self.newest_seen.max(*version);
                    } else {
                        self.told_in_vain.insert(*version);
                    }
                }
                Line::Ack { stamp, version, block } => {
                    self.acknowledged += 1;
                    assert_eq!(
                        self.tried.get(version),
                        Some(&(*stamp, *block)),
                        "acknowledged otherwise than submitted"
                    );
                    // The threads write in any order: this may follow the word of a rollback that has removed the commit.
                    if !self.is_removed(*version) {
                        self.expect(*version, *stamp, *block);
                    }
                }
                Line::Rolling(to) => rolling = Some(*to),
                Line::Rolled(version) => {
                    let to: SealedBlock = rolling.take().expect("a rollback begins before it ends");
                    self.remove(to, *version);
                    self.newest_seen = self.newest_seen.max(*version);
                }
                Line::Point(_) => {}
            }
        }
        self.unsure = rolling;
        self.unsure.is_some()
    }

    fn expect(&mut self, version: Version, stamp: Stamp, block: Option<Block>) {
        self.commits.insert(version, (stamp != EMPTY_BLOCK).then_some(stamp));
        if let Some(Block { height, timestamp_ms }) = block {
            self.blocks.insert(height, SealedBlock { height, timestamp_ms, version });
        }
    }

    fn remove(&mut self, to: SealedBlock, at: Version) {
        let gone = to.version + 1..at;
        self.commits.retain(|version, _| !gone.contains(version));
        self.blocks.retain(|_, block| !gone.contains(&block.version));
        self.removed.push(gone);
    }

    fn is_removed(&self, version: Version) -> bool {
        self.removed.iter().any(|gone| gone.contains(&version))
    }

    /// Compares the store with everything known, and learns what it was unsure of.
    pub(crate) fn check(&mut self, db: &Database, rng: &mut SmallRng) {
        let commits = read_commits(db);
        let newest = self.commits.last_key_value().map_or(0, |(version, _)| *version);
        assert!(
            db.version() >= newest,
            "version {newest} was acknowledged, and the store ends at {}: {:?}",
            db.version(),
            db.stats().recovery
        );
        if let Some(to) = self.unsure.take() {
            self.settle(to, &commits, db);
        }
        for (version, stamp) in &self.commits {
            let found = commits.get(version).map(|(stamp, _)| *stamp);
            assert_eq!(found, *stamp, "version {version} was acknowledged or seen before, and is not there");
        }
        for (version, (stamp, _)) in &commits {
            assert!(!self.is_removed(*version), "version {version} was rolled back, and is there");
            // Not tried and not known: killed between the numbering and the word of it.
            if let Some((tried, _)) = self.tried.get(version) {
                assert_eq!(stamp, tried, "version {version} is another commit than was submitted");
            }
        }
        self.check_blocks(db);
        self.check_states(db, &commits, rng);
        self.commits.extend(commits.iter().map(|(version, (stamp, _))| (*version, Some(*stamp))));
        self.newest_seen = self.newest_seen.max(db.version());
        self.tried.clear();
        self.told_in_vain.clear();
    }

    /// Whether an unacknowledged rollback has happened: then a run of the newest commits above its block is gone, with all that is above the block and
    /// older than any that is there.
    fn settle(&mut self, to: SealedBlock, commits: &BTreeMap<Version, (Stamp, Writes)>, db: &Database) {
        let there = |version: &Version, stamp: &Option<Stamp>| match stamp {
            Some(_) => commits.contains_key(version),
            None => db.blocks(..).iter().any(|block| block.version == *version),
        };
        let above: Vec<_> = self.commits.range(to.version + 1..).map(|(v, stamp)| (*v, there(v, stamp))).collect();
        let Some((newest_gone, _)) = above.iter().rfind(|(_, there)| !there) else { return };
        let left = above.iter().find(|(version, there)| version < newest_gone && *there);
        assert_eq!(left, None, "half of the rollback to {to:?} has happened: {newest_gone} is gone");
        let left = commits.keys().find(|version| (to.version + 1..*newest_gone).contains(*version));
        assert_eq!(left, None, "half of the rollback to {to:?} has happened: {newest_gone} is gone");
        self.remove(to, newest_gone + 1);
    }

    fn check_blocks(&mut self, db: &Database) {
        let found = db.blocks(..);
        assert_eq!(db.head(), found.last().copied());
        for pair in found.windows(2) {
            let rises = pair[0].height < pair[1].height && pair[0].version < pair[1].version;
            assert!(rises && pair[0].timestamp_ms <= pair[1].timestamp_ms, "the block index is out of order: {pair:?}");
        }
        for block in self.blocks.values() {
            assert_eq!(
                db.block(block.height),
                Some(*block),
                "an acknowledged block is not in the index: {found:?} {:?} {:?}",
                self.removed,
                self.commits.keys()
            );
        }
        for block in found {
            let known = self.blocks.insert(block.height, block).is_some_and(|known| known == block);
            let submitted = Block { height: block.height, timestamp_ms: block.timestamp_ms };
            self.commits.entry(block.version).or_insert(None);
            let tried = self.tried.get(&block.version).is_none_or(|(_, tried)| *tried == Some(submitted));
            assert!(known || tried, "{block:?} is in the index and nobody made it");
        }
    }

    /// The newest state, and one of the past, against the sum of all commits.
    fn check_states(&self, db: &Database, commits: &BTreeMap<Version, (Stamp, Writes)>, rng: &mut SmallRng) {
        let newest = db.version();
        let state = state_at(commits, newest);
        assert_eq!(read_state(&db.snapshot()), state, "the newest state");
        if let Some((key, value)) = state.iter().choose(rng) {
            assert_eq!(db.get(key).expect("a sound store").as_ref(), Some(value));
        }
        if let Some(block) = self.blocks.values().choose(rng) {
            let then = db.snapshot_at(At::Height(block.height)).expect("a retained block");
            assert_eq!(then.version(), block.version);
            assert_eq!(read_state(&then), state_at(commits, block.version), "the state at {block:?}");
        }
        let version = rng.random_range(0..=newest);
        if let Ok(then) = db.snapshot_at(At::Version(version)) {
            assert_eq!(read_state(&then), state_at(commits, version), "the state at version {version}");
        }
    }
}

type Writes = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// Every commit of the store, each of which must be whole.
fn read_commits(db: &Database) -> BTreeMap<Version, (Stamp, Writes)> {
    let mut by_version = BTreeMap::<Version, Writes>::new();
    for change in db.changes_since(0).expect("nothing is pruned") {
        let change = change.expect("a sound store");
        by_version.entry(change.version).or_default().insert(change.key, change.value);
    }
    by_version
        .into_iter()
        .map(|(version, writes)| match group::stamp_of(&writes) {
            Ok(stamp) => (version, (stamp, writes)),
            Err(wrong) => panic!("version {version}: {wrong}"),
        })
        .collect()
}

fn state_at(commits: &BTreeMap<Version, (Stamp, Writes)>, at: Version) -> State {
    let mut state = State::new();
    for (key, value) in commits.range(..=at).flat_map(|(_, (_, writes))| writes) {
        state.insert(key.clone(), value.clone().expect("nobody deletes"));
    }
    state
}

fn read_state(snapshot: &shingle::Snapshot) -> State {
    snapshot.prefix("").collect::<shingle::Result<_>>().expect("a sound store")
}
