//! `shingle serve`.

use super::demo;
use crate::args::ServeArgs;
use crate::failure::Usage;
use crate::interrupt::Interrupt;
use crate::output::Output;
use serde::Serialize;
use shingle::Database;
use shingle::admin::{ServeError, Server};
use std::path::Path;
use std::time::Duration;

/// How often it looks whether it is to end.
const LOOK: Duration = Duration::from_millis(100);

#[derive(Serialize)]
struct Serving<'a> {
    dir: &'a Path,
    url: String,
}

pub(crate) fn run(args: &ServeArgs, out: &mut Output) -> anyhow::Result<()> {
    let interrupt = Interrupt::listen()?;
    // An operator wants to see what RocksDB counts; a few per cent of time is what it costs.
    let builder = args.store.builder()?.with_enable_statistics(true).create_if_missing(args.demo);
    let db = builder.open()?;
    let server = start(args, &db)?;
    tell(args, &server, out)?;
    if args.demo {
        demo::run_node(&db, args.blocks_per_second, &interrupt)?;
    }
    while !interrupt.asked() {
        std::thread::sleep(LOOK);
    }
    server.shutdown();
    db.close()?;
    Ok(())
}

fn start(args: &ServeArgs, db: &Database) -> anyhow::Result<Server> {
    let mut serve = db.serve(args.listen).beyond_loopback(args.beyond_loopback);
    if let Some(path) = &args.token_file {
        serve = serve.token_file(path);
    }
    match serve.start() {
        Err(error @ ServeError::NotLoopback { .. }) => {
            Err(Usage(format!("{error}; --beyond-loopback allows it")).into())
        }
        started => Ok(started?),
    }
}

/// At once: whoever started it waits for the address.
fn tell(args: &ServeArgs, server: &Server, out: &mut Output) -> anyhow::Result<()> {
    let (dir, url) = (args.store.dir.as_path(), server.url());
    if out.json {
        out.document(&Serving { dir, url })?;
    } else {
        out.line(format_args!("serving {} at {url}; Ctrl-C ends it", dir.display()))?;
    }
    out.flush()
}
