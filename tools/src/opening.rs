//! How the verbs open their store.

use crate::args::{AtArgs, NoStore, StoreArgs};
use crate::failure::Usage;
use shingle::{At, Builder, Config, ConfigError, Database, Snapshot};

impl StoreArgs {
    /// A builder with the settings of the file, if one was given.
    pub(crate) fn builder(&self) -> anyhow::Result<Builder> {
        let config = match &self.config {
            Some(file) => Config::from_file(file).map_err(refusal)?,
            None => Config::default(),
        };
        Ok(Database::builder(&self.dir).config(config).recover_to_last_good(self.recover_to_last_good))
    }

    /// Opens a store that is there; makes none.
    pub(crate) fn open(&self) -> anyhow::Result<Database> {
        self.open_or_create(false)
    }

    /// Opens the store, and makes it first if it is missing and `create` allows it.
    pub(crate) fn open_or_create(&self, create: bool) -> anyhow::Result<Database> {
        Ok(self.builder()?.create_if_missing(create).open()?)
    }
}

impl NoStore {
    /// Refuses `--dir`; `instead` says what there is in its place.
    pub(crate) fn check(&self, instead: &str) -> anyhow::Result<()> {
        match &self.dir {
            Some(_) => Err(Usage(format!("--dir has no meaning here: the stores are new ones; {instead}")).into()),
            None => Ok(()),
        }
    }
}

/// A configuration that is wrong is a matter of usage; one that is not there is not.
fn refusal(error: ConfigError) -> anyhow::Error {
    if matches!(error, ConfigError::Read { .. }) { error.into() } else { Usage(error.to_string()).into() }
}

impl AtArgs {
    /// The state that was asked for: the newest one unless a height or a version was given.
    pub(crate) fn snapshot(self, db: &Database) -> anyhow::Result<Snapshot> {
        let at = match (self.at_height, self.at_version) {
            (Some(height), _) => At::Height(height),
            (None, Some(version)) => At::Version(version),
            (None, None) => At::Newest,
        };
        Ok(db.snapshot_at(at)?)
    }
}
