//! Recovery: what the log holds beyond the shards' files goes into their memtables again.

use crate::blocks::{BlockIndex, BlocksFile, RolledBack};
use crate::log::{CommitRecord, Cut, Frame, Held, Kind, Log, Recovered, RollbackRecord, payload_checksum};
use crate::options::Options;
use crate::workers::Workers;
use crate::{Error, Result};
use rayon::prelude::*;
use shingle_shard::{Ops, Shard, Version};
use std::path::PathBuf;

/// Commits are collected up to this size, and then applied by all shards in parallel.
const CHUNK_BYTES: usize = 8 << 20;

/// Applies the log's frames to the shards, in their order. Applying one twice changes nothing: versions tell what is there already.
#[derive(Debug)]
pub(crate) struct Replay<'a> {
    shards: Vec<Shard>,
    blocks: BlockIndex,
    blocks_file: BlocksFile,
    workers: &'a Workers,
    epoch: u64,
    memory_budget_bytes: u64,
    /// Frames that are read and not yet applied.
    chunk: Vec<(Version, Vec<u8>)>,
    chunk_bytes: usize,
    /// The newest version that is applied.
    through: Version,
    commits: u64,
}

/// What a replay leads to.
#[derive(Debug)]
pub(crate) struct Replayed {
    pub(crate) shards: Vec<Shard>,
    pub(crate) blocks: BlockIndex,
    pub(crate) blocks_file: BlocksFile,
    /// Commits that were read.
    pub(crate) commits: u64,
}

/// What opening the store has found in its log.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct Recovery {
    /// Whether the store was closed in order.
    pub clean: bool,
    /// Commits that went from the log into the memtables again.
    pub commits: u64,
    /// Where the log ended short of what stood there, and why; `None`: it was whole.
    pub cut: Option<RecoveryCut>,
}

/// Where the log was cut off.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct RecoveryCut {
    /// The segment.
    pub segment: PathBuf,
    /// Where in it the log ends.
    pub offset: u64,
    /// What was damaged, and given up on request; `None`: what was cut off was never synced, as after a power cut.
    pub damage: Option<String>,
}

impl Recovery {
    pub(crate) fn new(recovered: Recovered, commits: u64) -> Self {
        let cut = recovered.cut.map(|Cut { segment, offset, damage }| RecoveryCut { segment, offset, damage });
        Recovery { clean: recovered.clean, commits, cut }
    }
}

impl<'a> Replay<'a> {
    pub(crate) fn new(
        shards: Vec<Shard>,
        (blocks_file, blocks): (BlocksFile, BlockIndex),
        epoch: u64,
        options: &Options,
        workers: &'a Workers,
    ) -> Self {
        Replay {
            shards,
            blocks,
            blocks_file,
            workers,
            epoch,
            memory_budget_bytes: options.memory_budget_bytes,
            chunk: Vec::new(),
            chunk_bytes: 0,
            through: 0,
            commits: 0,
        }
    }

    /// What is on disk beside the log.
    pub(crate) fn held(&self) -> Held {
        let flushed = self.shards.iter().map(Shard::flushed_through);
        Held {
            by_all: flushed.clone().min().unwrap_or(0),
            by_any: flushed.max().unwrap_or(0).max(self.blocks.covers_through()),
        }
    }

    /// Gives up, on the shards and in the block index, what the damaged log gave up: some shards may have flushed it, and others not. It is a rollback
    /// like any other, so that it is repeated should it be cut short. Until the log has it, the shards are ahead of the log, which is refused as damage.
    pub(crate) fn give_up_beyond(&mut self, log: &mut Log, recovered: &mut Recovered) -> Result<()> {
        let (keep_version, at) = (recovered.last_version, recovered.next_version);
        let height = self.blocks.at_or_below_version(keep_version).map_or(0, |block| block.height);
        let payload = RollbackRecord { keep_version, height }.encode();
        let checksum = payload_checksum(&payload);
        let frame = Frame { version: at, kind: Kind::Rollback, payload: &payload, checksum };
        log.append(&[frame])?;
        log.sync()?;
        self.frame(frame)?;
        (recovered.last_version, recovered.next_version) = (at, at + 1);
        Ok(())
    }

    pub(crate) fn frame(&mut self, frame: Frame<'_>) -> Result<()> {
        match frame.kind {
            Kind::Commit => {
                self.chunk.push((frame.version, frame.payload.to_vec()));
                self.chunk_bytes += frame.payload.len();
                if self.chunk_bytes >= CHUNK_BYTES { self.apply() } else { Ok(()) }
            }
            Kind::Rollback => {
                self.apply()?;
                self.roll_back(frame)
            }
            Kind::Close => Ok(()),
        }
    }

    fn apply(&mut self) -> Result<()> {
        let mut by_shard = vec![Vec::new(); self.shards.len()];
        for (version, payload) in &self.chunk {
            let record = CommitRecord::decode(payload).ok_or_else(|| unreadable(*version))?;
            // A block that the index holds already, or that a rollback in the index has removed since.
            if let Some(block) = record.block.filter(|_| *version > self.blocks.covers_through()) {
                self.blocks.push(block.sealed(*version));
            }
            for (shard, ops) in record.sections() {
                // A shard that is no more was emptied first: what it was given went elsewhere, too.
                if let Some(writes) = by_shard.get_mut(shard as usize) {
                    writes.push((*version, ops));
                }
            }
            self.through = *version;
            self.commits += 1;
        }
        let apply = |(shard, writes): (&Shard, Vec<(Version, Ops<'_>)>)| {
            let on_disk = shard.flushed_through();
            writes
                .into_iter()
                .filter(|(version, _)| *version > on_disk)
                .for_each(|(version, ops)| shard.apply(version, ops));
        };
        self.workers.upkeep.run(|| self.shards.par_iter().zip(by_shard).for_each(apply));
        self.chunk.clear();
        self.chunk_bytes = 0;
        self.make_room()
    }

    /// The log may hold more than the memory may: a store opened with a smaller budget, for instance.
    fn make_room(&mut self) -> Result<()> {
        let memory: u64 = self.shards.iter().map(|shard| shard.memory().total_bytes).sum();
        if memory > self.memory_budget_bytes {
            // The index first: once the shards have them, these versions are not read from the log again.
            let news = self.blocks.news_through(self.through);
            self.blocks_file.append(news)?;
            let count = news.len();
            self.blocks.persisted(count);
            let (through, epoch) = (self.through, self.epoch);
            let flush = |shard: &Shard| {
                shard.seal();
                shard.flush(through, epoch, &|_| {})?;
                shard.evict(Version::MAX, u64::MAX);
                Ok::<(), Error>(())
            };
            self.workers.upkeep.run(|| self.shards.par_iter().try_for_each(flush))?;
        }
        Ok(())
    }

    /// Repeats a rollback. One that was cut short is completed; where it was complete, nothing is left to remove.
    fn roll_back(&mut self, frame: Frame<'_>) -> Result<()> {
        let record = RollbackRecord::decode(frame.payload).ok_or_else(|| unreadable(frame.version))?;
        let keep = record.keep_version;
        if frame.version > self.blocks.covers_through() {
            self.blocks.roll_back(RolledBack { keep, at: frame.version });
        }
        // A shard that was flushed beyond the rollback has nothing of what it removed.
        let (at, epoch) = (frame.version, self.epoch);
        let roll_back = |shard: &Shard| shard.rollback(keep, epoch).map(drop);
        let behind = || self.shards.par_iter().filter(|shard| shard.flushed_through() < at);
        self.workers.upkeep.run(|| behind().try_for_each(roll_back))?;
        self.through = frame.version;
        Ok(())
    }

    pub(crate) fn finish(mut self) -> Result<Replayed> {
        self.apply()?;
        let Replay { shards, blocks, blocks_file, commits, .. } = self;
        Ok(Replayed { shards, blocks, blocks_file, commits })
    }
}

/// The frame's checksum was right, so this build or an older one wrote it wrongly, or a newer one otherwise.
fn unreadable(version: Version) -> Error {
    Error::UnreadableCommit { version }
}
