//! The `shingle` command: runs, inspects, verifies and measures a Shingle store.

mod args;
mod bench;
mod bytes_text;
mod commands;
mod failure;
mod interrupt;
mod latency;
mod opening;
mod output;
mod progress;
mod remote;
mod units;

use args::{Cli, Command};
use interrupt::Interrupt;
use output::Output;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = Cli::read();
    let done = run(&cli);
    Interrupt::leave_the_end_to_it();
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failure::report(&error),
    }
}

fn run(cli: &Cli) -> anyhow::Result<()> {
    let mut output = Output::new(cli.json);
    let out = &mut output;
    let done = match &cli.command {
        Command::Demo(args) => commands::demo::run(args, out),
        Command::Replay(args) => commands::replay::run(args, out),
        Command::Status(args) => commands::status::run(args, out),
        Command::Flush(args) => commands::flush::run(args, out),
        Command::Serve(args) => commands::serve::run(args, out),
        Command::Get(args) => commands::get::run(args, out),
        Command::Put(args) => commands::put::run(args, out),
        Command::Delete(args) => commands::delete::run(args, out),
        Command::Scan(args) => commands::scan::run(args, out),
        Command::Verify(args) => commands::verify::run(args, out),
        Command::Rollback(args) => commands::rollback::run(args, out),
        Command::Checkpoint(args) => commands::checkpoint::run(args, out),
        Command::Repair(args) => commands::repair::run(args, out),
        Command::Prune(args) => commands::prune::run(args, out),
        Command::Rebalance(args) => commands::rebalance::run(args, out),
        Command::Reshard(args) => commands::rebalance::reshard(args, out),
        Command::Shards(args) => commands::shards::run(args, out),
        Command::Slots(args) => commands::slots::run(args, out),
        Command::Bench(args) => bench::run(args, out),
    };
    // What was printed before a failure is part of the answer.
    output.finish().and(done)
}
