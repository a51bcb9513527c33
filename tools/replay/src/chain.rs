//! A chain of blocks on a store: executes, commits, and changes branches.
//!
//! The store holds one chain, the heaviest. Blocks of other branches are remembered without being executed. When one of
//! them becomes the heaviest, the store is rolled back to where the branches part, and the branch is executed from there.

use crate::block::Block;
use crate::execute::{ExecuteError, execute};
use crate::fork::{Fork, Network};
use crate::header::Header;
use crate::invalid::{InvalidBlock, check_field};
use crate::root::state_root;
use crate::state::StateError;
use crate::validate::{self, Ancestor, OMMER_GENERATIONS, Ruled};
use alloy_primitives::{B256, U256};
use shingle::{Batch, Database};
use std::collections::HashMap;

/// What became of a block that was not refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Imported {
    /// It was known.
    Known,
    /// It is the new head, on top of the old one.
    Extended,
    /// It is on a branch that is not the heaviest, and was put aside.
    Aside,
    /// Its branch is the heaviest now, and it is the new head.
    Reorganised,
}

/// What a chain has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Blocks executed and committed, again after a change of branches too.
    pub blocks_executed: u64,
    /// Changes of branches.
    pub reorganisations: u64,
    /// State roots computed over the store and found equal to the header's.
    pub state_roots_verified: u64,
}

struct Known {
    block: Block,
    total_difficulty: U256,
}

/// A chain on a store.
pub struct Chain {
    db: Database,
    network: Network,
    known: HashMap<B256, Known>,
    /// The hashes of the chain that the store holds, from the genesis block to the head. Never empty.
    canonical: Vec<B256>,
    genesis_number: u64,
    tally: Tally,
}

impl std::fmt::Debug for Chain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Chain").field("head", &self.head()).field("tally", &self.tally).finish_non_exhaustive()
    }
}

impl Chain {
    /// Starts a chain on an empty store. `state` is the state of the genesis block.
    pub fn start(db: Database, network: Network, genesis: Block, state: Batch) -> Result<Self, ExecuteError> {
        db.commit_block(genesis.seal(), state).map_err(StateError::from)?;
        let mut chain = Self {
            db,
            network,
            canonical: vec![genesis.hash],
            genesis_number: genesis.header.number,
            tally: Tally::default(),
            known: HashMap::new(),
        };
        chain.verify_root(&genesis.header)?;
        let total_difficulty = genesis.header.difficulty;
        chain.known.insert(genesis.hash, Known { block: genesis, total_difficulty });
        Ok(chain)
    }

    /// Takes a block as a node hears of it. One that is refused leaves the state as it was.
    pub fn import(&mut self, rlp: &[u8]) -> Result<Imported, ExecuteError> {
        let block = Block::decode(rlp).map_err(InvalidBlock::Rlp)?;
        if self.known.contains_key(&block.hash) {
            return Ok(Imported::Known);
        }
        self.validate(&block)?;
        let (hash, parent) = (block.hash, block.header.parent_hash);
        let total_difficulty = self.known[&parent].total_difficulty.saturating_add(block.header.difficulty);
        if parent == self.head() {
            self.append(&block)?;
            self.known.insert(hash, Known { block, total_difficulty });
            return Ok(Imported::Extended);
        }
        // After the merge difficulties are zero, and the consensus layer, whose part the order of the blocks plays here,
        // has named the newest block as the head.
        let leads =
            total_difficulty > self.known[&self.head()].total_difficulty || self.fork_of(&block.header).is_merged();
        self.known.insert(hash, Known { block, total_difficulty });
        if !leads {
            return Ok(Imported::Aside);
        }
        self.reorganise(hash)?;
        Ok(Imported::Reorganised)
    }

    /// The newest block's hash.
    pub fn head(&self) -> B256 {
        *self.canonical.last().expect("the genesis block is never removed")
    }

    /// Computes the root of the newest state again and compares it with the head's.
    pub fn verify_head(&mut self) -> Result<(), ExecuteError> {
        let header = self.known[&self.head()].block.header.clone();
        self.verify_root(&header)
    }

    /// The headers of the chain that the store holds, from the genesis block to the head.
    pub fn headers(&self) -> Vec<Header> {
        self.canonical.iter().map(|hash| self.known[hash].block.header.clone()).collect()
    }

    /// What it has done so far.
    pub fn tally(&self) -> Tally {
        self.tally
    }

    fn fork_of(&self, header: &Header) -> Fork {
        self.network.fork_at(header.number, header.timestamp)
    }

    fn ruled<'a>(&self, header: &'a Header) -> Ruled<'a> {
        Ruled { header, fork: self.fork_of(header) }
    }

    fn validate(&self, block: &Block) -> Result<(), InvalidBlock> {
        let parent = self.known.get(&block.header.parent_hash);
        let parent = parent.ok_or(InvalidBlock::UnknownParent(block.header.parent_hash))?;
        validate::header(self.ruled(&block.header), self.ruled(&parent.block.header))?;
        validate::body(block, self.fork_of(&block.header))?;
        validate::ommers(block, &self.ancestors(block), |header| self.fork_of(header))
    }

    /// A block's nearest ancestors, on its own branch.
    fn ancestors(&self, block: &Block) -> Vec<Ancestor<'_>> {
        let parent = |block: &Block| self.known.get(&block.header.parent_hash).map(|known| &known.block);
        std::iter::successors(parent(block), |ancestor| parent(ancestor))
            .map(|Block { hash, header, ommers, .. }| Ancestor { hash: *hash, header, ommers })
            .take(OMMER_GENERATIONS)
            .collect()
    }

    /// Executes a block on the head and commits it.
    fn append(&mut self, block: &Block) -> Result<(), ExecuteError> {
        let batch = execute(self.db.snapshot(), block, self.fork_of(&block.header))?;
        self.db.commit_block(block.seal(), batch).map_err(StateError::from)?;
        if let Err(error) = self.verify_root(&block.header) {
            let parent = block.header.number - 1;
            self.db.rollback_to(parent).map_err(StateError::from)?;
            return Err(error);
        }
        self.canonical.push(block.hash);
        self.tally.blocks_executed += 1;
        Ok(())
    }

    /// Compares the root of the newest state with a header's.
    fn verify_root(&mut self, header: &Header) -> Result<(), ExecuteError> {
        check_field("state root", header.state_root, state_root(&self.db.snapshot())?)?;
        self.tally.state_roots_verified += 1;
        Ok(())
    }

    /// Makes the branch that ends with `head` the store's. If a block of it turns out invalid, the branch is cut there,
    /// and the store takes the old one again.
    fn reorganise(&mut self, head: B256) -> Result<(), ExecuteError> {
        let (shared, branch) = self.branch(head);
        let abandoned = self.canonical[shared..].to_vec();
        self.roll_back(shared)?;
        if let Err(refused) = self.append_known(&branch) {
            let valid = self.canonical.len() - shared;
            self.forget(branch[valid]);
            self.roll_back(shared)?;
            self.append_known(&abandoned)?;
            return Err(refused);
        }
        self.tally.reorganisations += 1;
        Ok(())
    }

    /// How many blocks the chain shares with the branch that ends with `head`, and the branch's blocks after those.
    fn branch(&self, head: B256) -> (usize, Vec<B256>) {
        let mut branch = Vec::new();
        let mut hash = head;
        loop {
            let header = &self.known[&hash].block.header;
            let place = (header.number - self.genesis_number) as usize;
            if self.canonical.get(place) == Some(&hash) {
                branch.reverse();
                return (place + 1, branch);
            }
            branch.push(hash);
            hash = header.parent_hash;
        }
    }

    /// Forgets a block that turned out invalid, and all that build on it.
    fn forget(&mut self, invalid: B256) {
        let mut forgotten = vec![invalid];
        while let Some(hash) = forgotten.pop() {
            self.known.remove(&hash);
            let children = self.known.iter().filter(|(_, known)| known.block.header.parent_hash == hash);
            forgotten.extend(children.map(|(child, _)| *child));
        }
    }

    /// Rolls the store back to the first `shared` blocks of its chain.
    fn roll_back(&mut self, shared: usize) -> Result<(), ExecuteError> {
        self.canonical.truncate(shared);
        let fork_point = self.known[&self.head()].block.header.number;
        self.db.rollback_to(fork_point).map_err(StateError::from)?;
        self.verify_head()
    }

    fn append_known(&mut self, hashes: &[B256]) -> Result<(), ExecuteError> {
        for hash in hashes {
            let block = self.known[hash].block.clone();
            self.append(&block)?;
        }
        Ok(())
    }
}
