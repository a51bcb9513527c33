//! `shingle bench history`: gets at random heights of a history in which every key has many versions.
//!
//! Version `p` of a key is written in pass `p`, and a pass writes the keys in the order of their numbers: what a key must hold at
//! any height can be computed, and every answer is checked.

use super::clients::drive;
use super::contender::Contender;
use super::driven::{self, Written};
use super::figure::{Figure, Round};
use super::keys::{Choices, KeySpace};
use super::page_cache;
use super::reading::Reads;
use super::store::{Found, Reader, Store};
use super::workload::{Plan, loaded_height};
use crate::args::{BenchOptions, HistoryArgs, ReadersArgs};
use anyhow::{bail, ensure};
use indicatif::ProgressBar;
use rand::Rng;

/// Reads at one height before the next is chosen: opening a snapshot is not what is measured.
const READS_PER_HEIGHT: u64 = 256;

pub(crate) struct History<'a> {
    args: &'a HistoryArgs,
    space: KeySpace,
}

impl<'a> History<'a> {
    pub(crate) fn new(args: &'a HistoryArgs, options: &BenchOptions) -> Self {
        History { args, space: KeySpace::new(options) }
    }

    fn blocks_per_pass(&self) -> u64 {
        loaded_height(&self.space)
    }
}

impl Plan for History<'_> {
    fn name(&self) -> &'static str {
        "history"
    }

    fn figures(&self) -> &'static [Figure] {
        driven::FIGURES
    }

    fn space(&self) -> &KeySpace {
        &self.space
    }

    fn settings(&self) -> Vec<(&'static str, String)> {
        let mut settings = vec![
            ("versions of every key", self.args.versions.to_string()),
            ("heights", format!("a random one for every {READS_PER_HEIGHT} reads")),
            ("threads", self.args.readers.threads.to_string()),
            ("round", format!("{} s", self.args.readers.pace.seconds)),
            ("page cache", "the store's files are read through before each round".to_owned()),
            ("checked", "every value is the one that its key had at that height".to_owned()),
        ];
        settings.extend(self.args.readers.pace.due("reads"));
        settings
    }

    fn prepare(&self, contender: &mut Contender, bar: &ProgressBar) -> anyhow::Result<()> {
        let store = contender.store()?;
        let mut choices = self.space.choices(u64::MAX);
        let (blocks, per_block) = (self.blocks_per_pass(), self.space.keys_per_block());
        bar.set_length(self.args.versions * blocks);
        for pass in 0..self.args.versions {
            for block in 0..blocks {
                let height = pass * blocks + block + 1;
                let keys = block * per_block..self.space.keys.min((block + 1) * per_block);
                store.commit_block(height, &mut |writes| {
                    for number in keys.clone() {
                        let (key, value) = choices.entry(number, pass, self.space.value_bytes());
                        writes.put(key, value);
                    }
                })?;
                bar.set_position(height);
            }
        }
        store.settle().map(drop)
    }

    fn round(&self, number: u64, contender: &mut Contender, bar: &ProgressBar) -> anyhow::Result<Round> {
        // What the system has forgotten of them while another store worked would be measured else.
        page_cache::read_files(contender.dir())?;
        let store = contender.store()?;
        let ReadersArgs { threads, pace } = &self.args.readers;
        let driven = drive(*threads, pace, bar, |thread| {
            let choices = self.space.choices(number * threads + thread);
            let mut remembering = Remembering { history: self, store, choices, at: None };
            Ok(Box::new(Reads::at(pace, move || remembering.read())))
        })?;
        Ok(driven::round("read", driven, Written::default()))
    }
}

struct Remembering<'a> {
    history: &'a History<'a>,
    store: &'a dyn Store,
    choices: Choices<'a>,
    /// The height, its reader, and how many reads it is still for.
    at: Option<(u64, Box<dyn Reader + 'a>, u64)>,
}

impl Remembering<'_> {
    fn read(&mut self) -> anyhow::Result<()> {
        let blocks = self.history.blocks_per_pass();
        let (height, reader) = match &mut self.at {
            Some((height, reader, left @ 1..)) => {
                *left -= 1;
                (*height, reader)
            }
            at => {
                // From the height on at which every key has its first version.
                let height = self.choices.rng().random_range(blocks..=self.history.args.versions * blocks);
                let Some(reader) = self.store.reader_at(height)? else { bail!("it keeps no older versions") };
                let (height, reader, _) = at.insert((height, reader, READS_PER_HEIGHT - 1));
                (*height, reader)
            }
        };
        let number = self.choices.number();
        let (full_passes, blocks_since) = (height / blocks, height % blocks);
        let written_since = number / self.history.space.keys_per_block() < blocks_since;
        let stamp = full_passes - 1 + u64::from(written_since);
        let expected = Some(Found { value_bytes: self.history.space.value_bytes(), stamp });
        let found = reader.get(self.choices.key(number))?;
        ensure!(found == expected, "a read at height {height} gave {found:?} instead of {expected:?}");
        Ok(())
    }
}
