//! A disk in memory that loses what was not synced when its power is cut, and fails when it is told to.
//!
//! A file has the contents that the system shows and those that the disk has. A write goes to the first and waits, in
//! sectors, for its way to the second; a sync completes all that waits; a power cut completes any part of it. Names in
//! a directory behave alike.

use super::disk::{Disk, DiskFile};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use rustix::io::Errno;
use std::collections::BTreeMap;
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What a disk writes whole or not at all.
const SECTOR_BYTES: usize = 512;

/// What a failing call does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The disk is full: a write is done in part.
    NoSpace,
    /// The disk fails: a write is done in part, what a sync should have written is lost though the system shows it.
    Io,
}

/// The disk; clones are the same disk.
#[derive(Clone, Debug)]
pub(super) struct SimDisk(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    rng: SmallRng,
    files: Vec<Contents>,
    /// Names as the system shows them, and as the disk has them.
    names: BTreeMap<PathBuf, usize>,
    durable_names: BTreeMap<PathBuf, usize>,
    /// Changes of names that wait.
    renames: Vec<Rename>,
    /// After how many more calls that write the next one fails.
    fault_in: Option<(u64, Fault)>,
}

/// A name that goes, a name that comes, or both at once.
#[derive(Clone, Debug, Default)]
struct Rename {
    goes: Option<PathBuf>,
    comes: Option<(PathBuf, usize)>,
}

#[derive(Clone, Debug, Default)]
struct Contents {
    shown: Vec<u8>,
    durable: Vec<u8>,
    /// Sectors, and lengths of the file, that wait.
    pending: Vec<Pending>,
}

#[derive(Clone, Debug)]
enum Pending {
    Sector { offset: usize, bytes: Vec<u8> },
    Length(usize),
}

#[derive(Debug)]
struct SimFile {
    disk: SimDisk,
    file: usize,
}

impl SimDisk {
    pub(super) fn new(seed: u64) -> Self {
        SimDisk(Arc::new(Mutex::new(State {
            rng: SmallRng::seed_from_u64(seed),
            files: Vec::new(),
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            renames: Vec::new(),
            fault_in: None,
        })))
    }

    /// Cuts the power: of what waits, any part reaches the disk, in any order; the rest is gone.
    pub(super) fn cut_power(&self) {
        let mut state = self.state();
        let State { rng, files, names, durable_names, renames, .. } = &mut *state;
        // Cuts after which all or nothing is there are as likely as those in between.
        let share = [0.0, 0.1, 0.5, 0.9, 1.0][rng.random_range(0..5)];
        for file in files {
            let pending = std::mem::take(&mut file.pending);
            let kept: Vec<Pending> = pending.into_iter().filter(|_| rng.random_bool(share)).collect();
            kept.iter().for_each(|change| apply(&mut file.durable, change));
            file.shown = file.durable.clone();
        }
        for change in std::mem::take(renames) {
            if rng.random_bool(share) {
                apply_name(durable_names, change);
            }
        }
        *names = durable_names.clone();
        state.fault_in = None;
    }

    /// Makes the call that writes after the next `calls` ones fail; the one after it succeeds again.
    pub(super) fn fail_after(&self, calls: u64, fault: Fault) {
        self.state().fault_in = Some((calls, fault));
    }

    /// Forgets a failure that has not come.
    pub(super) fn heal(&self) {
        self.state().fault_in = None;
    }

    /// The names of all files.
    pub(super) fn paths(&self) -> Vec<PathBuf> {
        self.state().names.keys().cloned().collect()
    }

    /// A file's contents.
    pub(super) fn read(&self, path: &Path) -> Vec<u8> {
        let state = self.state();
        state.names.get(path).map(|&file| state.files[file].shown.clone()).unwrap_or_default()
    }

    /// Changes a file behind everybody's back, as a rotting disk does.
    pub(super) fn rot(&self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
        let mut state = self.state();
        if let Some(&file) = state.names.get(path) {
            let contents = &mut state.files[file];
            change(&mut contents.shown);
            contents.durable = contents.shown.clone();
            contents.pending.clear();
        }
    }

    /// Another disk with the same contents.
    pub(super) fn fork(&self, seed: u64) -> SimDisk {
        let state = self.state();
        SimDisk(Arc::new(Mutex::new(State {
            rng: SmallRng::seed_from_u64(seed),
            files: state.files.clone(),
            names: state.names.clone(),
            durable_names: state.durable_names.clone(),
            renames: state.renames.clone(),
            fault_in: None,
        })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Counts a call that writes, and says whether it fails.
    fn next_fault(&mut self) -> Option<Fault> {
        match self.fault_in {
            Some((0, fault)) => {
                self.fault_in = None;
                Some(fault)
            }
            Some((calls, fault)) => {
                self.fault_in = Some((calls - 1, fault));
                None
            }
            None => None,
        }
    }

    fn check(&mut self) -> io::Result<()> {
        self.next_fault().map_or(Ok(()), |fault| Err(fault.into()))
    }
}

impl From<Fault> for io::Error {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::NoSpace => Errno::NOSPC.into(),
            Fault::Io => Errno::IO.into(),
        }
    }
}

fn apply(contents: &mut Vec<u8>, change: &Pending) {
    match change {
        Pending::Sector { offset, bytes } => {
            let end = offset + bytes.len();
            if contents.len() < end {
                contents.resize(end, 0);
            }
            contents[*offset..end].copy_from_slice(bytes);
        }
        Pending::Length(bytes) => contents.resize(*bytes, 0),
    }
}

fn apply_name(names: &mut BTreeMap<PathBuf, usize>, Rename { goes, comes }: Rename) {
    if let Some(goes) = goes {
        names.remove(&goes);
    }
    names.extend(comes);
}

impl Disk for SimDisk {
    fn create_dir(&self, _dir: &Path) -> io::Result<()> {
        Ok(())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let state = self.state();
        let names = state.names.keys().filter(|path| path.parent() == Some(dir));
        Ok(names.filter_map(|path| path.file_name()?.to_str().map(str::to_owned)).collect())
    }

    fn create(&self, path: &Path, bytes: u64) -> io::Result<Box<dyn DiskFile>> {
        let mut state = self.state();
        state.check()?;
        if state.names.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let file = state.files.len();
        let pending = vec![Pending::Length(bytes as usize)];
        state.files.push(Contents { shown: vec![0; bytes as usize], durable: Vec::new(), pending });
        let change = Rename { goes: None, comes: Some((path.to_owned(), file)) };
        apply_name(&mut state.names, change.clone());
        state.renames.push(change);
        drop(state);
        Ok(Box::new(SimFile { disk: self.clone(), file }))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let file = *self.state().names.get(path).ok_or(io::ErrorKind::NotFound)?;
        Ok(Box::new(SimFile { disk: self.clone(), file }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.check()?;
        let file = *state.names.get(from).ok_or(io::ErrorKind::NotFound)?;
        let change = Rename { goes: Some(from.to_owned()), comes: Some((to.to_owned(), file)) };
        apply_name(&mut state.names, change.clone());
        state.renames.push(change);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.check()?;
        if !state.names.contains_key(path) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let change = Rename { goes: Some(path.to_owned()), comes: None };
        apply_name(&mut state.names, change.clone());
        state.renames.push(change);
        Ok(())
    }

    fn sync_dir(&self, _dir: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.check()?;
        for change in std::mem::take(&mut state.renames) {
            apply_name(&mut state.durable_names, change);
        }
        Ok(())
    }
}

impl DiskFile for SimFile {
    fn bytes(&self) -> io::Result<u64> {
        Ok(self.disk.state().files[self.file].shown.len() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let state = self.disk.state();
        let shown = &state.files[self.file].shown;
        let rest = shown.get(offset as usize..).unwrap_or_default();
        let bytes = rest.len().min(buffer.len());
        buffer[..bytes].copy_from_slice(&rest[..bytes]);
        Ok(bytes)
    }

    fn write_at(&mut self, pieces: &mut [IoSlice<'_>], offset: u64) -> io::Result<()> {
        let mut bytes: Vec<u8> = pieces.iter().flat_map(|piece| piece.iter().copied()).collect();
        let mut state = self.disk.state();
        let fault = state.next_fault();
        if fault.is_some() {
            let whole = state.rng.random_bool(0.5);
            let written = if whole { bytes.len() } else { state.rng.random_range(0..=bytes.len()) };
            bytes.truncate(written);
        }
        let contents = &mut state.files[self.file];
        let mut at = offset as usize;
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let (sector, after) = rest.split_at(rest.len().min(SECTOR_BYTES - at % SECTOR_BYTES));
            let change = Pending::Sector { offset: at, bytes: sector.to_vec() };
            apply(&mut contents.shown, &change);
            contents.pending.push(change);
            (at, rest) = (at + sector.len(), after);
        }
        fault.map_or(Ok(()), |fault| Err(fault.into()))
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut state = self.disk.state();
        let fault = state.next_fault();
        let contents = &mut state.files[self.file];
        let pending = std::mem::take(&mut contents.pending);
        match fault {
            // The system takes for written what it failed to write.
            Some(fault) => Err(fault.into()),
            None => {
                pending.iter().for_each(|change| apply(&mut contents.durable, change));
                Ok(())
            }
        }
    }

    fn drop_cache(&mut self) -> io::Result<()> {
        let contents = &mut self.disk.state().files[self.file];
        if contents.pending.is_empty() {
            contents.shown = contents.durable.clone();
        }
        Ok(())
    }

    fn truncate(&mut self, bytes: u64) -> io::Result<()> {
        let mut state = self.disk.state();
        state.check()?;
        let contents = &mut state.files[self.file];
        contents.shown.resize(bytes as usize, 0);
        contents.pending.push(Pending::Length(bytes as usize));
        Ok(())
    }
}
