//! `shingle checkpoint`.

use crate::args::{
    CheckpointAction, CheckpointArgs, CreateArgs, DeleteCheckpointArgs, DirArgs, ExportArgs, ImportArgs, ListArgs,
    NamedArgs, RestoreArgs,
};
use crate::failure::{Negative, Usage};
use crate::output::Output;
use crate::{progress, units};
use serde::{Deserialize, Serialize};
use shingle::admin::CheckpointRequest;
use shingle::transfer::{Remote, TransferError, Transferred};
use shingle::{Checkpoint, CheckpointProgress, CheckpointReport, Database, RestoreOptions};
use std::future::Future;
use std::path::PathBuf;

pub(crate) fn run(args: &CheckpointArgs, out: &mut Output) -> anyhow::Result<()> {
    match &args.action {
        CheckpointAction::Create(args) => create(args, out),
        CheckpointAction::List(args) => list(args, out),
        CheckpointAction::Verify(args) => verify(args, out),
        CheckpointAction::Restore(args) => restore(args, out),
        CheckpointAction::Delete(args) => delete(args, out),
        CheckpointAction::Export(args) => export(args, out),
        CheckpointAction::Import(args) => import(args, out),
    }
}

/// Shows how far bytes are.
struct Bar(indicatif::ProgressBar);

impl Bar {
    fn new(what: &'static str) -> Self {
        Bar(progress::bar(what, 0))
    }

    fn show(&self, progress: CheckpointProgress) {
        self.0.set_length(progress.bytes_total);
        self.0.set_position(progress.bytes);
        self.0.set_message(units::bytes(progress.bytes));
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

impl DirArgs {
    /// A checkpoint by its name in this store, or by its directory.
    fn checkpoint(&self, given: &str) -> anyhow::Result<PathBuf> {
        if given.contains('/') { Ok(given.into()) } else { Ok(Database::checkpoint_path(&self.dir, given)?) }
    }
}

fn what_it_holds(checkpoint: &Checkpoint) -> String {
    let block = checkpoint.block.map_or("no blocks".to_owned(), |block| format!("height {}", block.height));
    format!(
        "version {}, {block}, {} in {}",
        checkpoint.version,
        units::bytes(checkpoint.bytes),
        units::counted(checkpoint.files as u64, "file")
    )
}

/// What a node is asked to do with a checkpoint. A name that is none is refused here, as without a node.
fn named(name: &str) -> anyhow::Result<CheckpointRequest> {
    Database::checkpoint_path("", name)?;
    Ok(CheckpointRequest { name: name.to_owned() })
}

fn create(args: &CreateArgs, out: &mut Output) -> anyhow::Result<()> {
    let checkpoint = match args.node.node()? {
        Some(node) => node.act("checkpoint", &named(&args.name)?, &args.token)?,
        None => {
            let db = args.store.open()?;
            let bar = Bar::new("hashing");
            let made = db.checkpoint_with(&args.name, &|progress| bar.show(progress));
            drop(bar);
            let made = made?;
            db.close()?;
            made
        }
    };
    if out.json {
        return out.document(&checkpoint);
    }
    out.line(format_args!("checkpoint {:?}: {}", checkpoint.name, what_it_holds(&checkpoint)))
}

fn list(args: &ListArgs, out: &mut Output) -> anyhow::Result<()> {
    if let Some(place) = &args.at {
        let found = block_on(async { open_remote(place)?.checkpoints().await.map_err(refusal) })?;
        if out.json {
            return out.document(&found);
        }
        let rows = found.into_iter().map(|found| vec![found.name, units::date(found.exported_ms)]);
        return out.table(&["name", "exported"], rows);
    }
    let found: Vec<Checkpoint> = match args.node.node()? {
        Some(node) => node.get("/checkpoints")?,
        None => Database::checkpoints_in(&args.store.dir)?,
    };
    if out.json {
        return out.document(&found);
    }
    let rows = found.iter().map(|checkpoint| {
        let verdict = if checkpoint.damage.is_some() {
            "damaged"
        } else if checkpoint.automatic {
            "by itself"
        } else {
            "by hand"
        };
        vec![
            checkpoint.name.clone(),
            checkpoint.version.to_string(),
            checkpoint.block.map_or("none".to_owned(), |block| block.height.to_string()),
            units::date(checkpoint.created_ms),
            units::bytes(checkpoint.bytes),
            verdict.to_owned(),
        ]
    });
    out.table(&["name", "version", "height", "made", "size", "how"], rows)
}

fn verify(args: &NamedArgs, out: &mut Output) -> anyhow::Result<()> {
    #[derive(Serialize)]
    struct Verified<'a> {
        sound: bool,
        #[serde(flatten)]
        report: &'a CheckpointReport,
    }
    let report: CheckpointReport = match args.node.node()? {
        Some(node) => node.act("checkpoint/verify", &named(&args.checkpoint)?, &args.token)?,
        None => {
            let path = args.store.checkpoint(&args.checkpoint)?;
            let bar = Bar::new("verifying");
            let report = Database::verify_checkpoint(path, &|progress| bar.show(progress));
            drop(bar);
            report?
        }
    };
    let sound = report.is_sound();
    if out.json {
        out.document(&Verified { sound, report: &report })?;
    } else {
        for damage in &report.damage {
            out.line(format_args!("{}: {}", damage.path.display(), damage.what))?;
        }
        let verdict = if sound { "sound" } else { "DAMAGED" };
        out.line(format_args!("{verdict}: {}", what_it_holds(&report.checkpoint)))?;
    }
    if sound { Ok(()) } else { Err(Negative.into()) }
}

fn restore(args: &RestoreArgs, out: &mut Output) -> anyhow::Result<()> {
    let path = args.store.checkpoint(&args.checkpoint)?;
    let (shard_dirs, log_dir) = (args.shard_dirs.clone(), args.log_dir.clone());
    let options = RestoreOptions { shard_dirs, log_dir, copy: args.copy };
    let bar = Bar::new("restoring");
    let restored = Database::restore(path, &args.to, &options, &|progress| bar.show(progress));
    drop(bar);
    let restored = restored?;
    if out.json {
        return out.document(&restored);
    }
    let block = restored.block.map_or("no blocks".to_owned(), |block| format!("height {}", block.height));
    let (linked, copied) = (units::bytes(restored.bytes_linked), units::bytes(restored.bytes_copied));
    let dir = restored.dir.display();
    out.line(format_args!("{dir}: version {}, {block}; {linked} shared, {copied} copied", restored.version))
}

fn delete(args: &DeleteCheckpointArgs, out: &mut Output) -> anyhow::Result<()> {
    #[derive(Serialize, Deserialize)]
    struct Deleted {
        deleted: String,
    }
    let done = match args.node.node()? {
        Some(node) => node.act("checkpoint/delete", &named(&args.name)?, &args.token)?,
        None => {
            Database::delete_checkpoint_in(&args.store.dir, &args.name)?;
            Deleted { deleted: args.name.clone() }
        }
    };
    if out.json {
        return out.document(&done);
    }
    out.line(format_args!("checkpoint {:?} is deleted", done.deleted))
}

fn export(args: &ExportArgs, out: &mut Output) -> anyhow::Result<()> {
    let path = args.store.checkpoint(&args.checkpoint)?;
    let same = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let name = args.name.as_ref().unwrap_or(&same);
    // A name there is a name here, once it is imported.
    Database::checkpoint_path(&args.store.dir, name)?;
    let bar = Bar::new("exporting");
    let exported = block_on(async {
        let remote = open_remote(&args.place)?;
        remote.export(&path, name, &|progress| bar.show(progress)).await.map_err(refusal)
    });
    drop(bar);
    report("exported", name, &exported?, out)
}

fn import(args: &ImportArgs, out: &mut Output) -> anyhow::Result<()> {
    let bar = Bar::new("importing");
    let imported = block_on(async {
        let remote = open_remote(&args.place)?;
        remote.import(&args.name, &args.to, &|progress| bar.show(progress)).await.map_err(refusal)
    });
    drop(bar);
    let (_, transferred) = imported?;
    report("imported", &args.name, &transferred, out)
}

fn report(done: &str, name: &str, transferred: &Transferred, out: &mut Output) -> anyhow::Result<()> {
    if out.json {
        return out.document(transferred);
    }
    let Transferred { files, bytes, files_sent, bytes_sent } = *transferred;
    let (all, sent) = (units::counted(files, "file"), units::counted(files_sent, "file"));
    let (all_bytes, sent_bytes) = (units::bytes(bytes), units::bytes(bytes_sent));
    out.line(format_args!("checkpoint {name:?} is {done}: {all_bytes} in {all}; {sent_bytes} in {sent} travelled"))
}

fn open_remote(place: &str) -> anyhow::Result<Remote> {
    Remote::open(place).map_err(refusal)
}

/// A place that is none is a matter of usage. The store's own errors are told as such.
fn refusal(error: TransferError) -> anyhow::Error {
    if let TransferError::Place { .. } = error {
        return Usage(error.to_string()).into();
    }
    if let TransferError::Checkpoint(error) = error { error.into() } else { error.into() }
}

fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(work)
}
