//! Arguments of `shingle rebalance`, `reshard`, `shards` and `slots`.

use super::StoreArgs;
use super::number::{number, size};
use super::remote::{NodeArgs, TokenArgs};
use clap::{Args, Subcommand, ValueEnum};
use shingle::Balance;
use std::ops::RangeInclusive;
use std::path::PathBuf;

#[derive(Args, Debug)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
Nothing is moved while every shard is within the threshold of its share. New shards are
made where --shard-dir says; a shard that is left over is emptied, then removed.

Examples:
  shingle rebalance --to-shards 16 --simulate         say what would move, and change nothing
  shingle rebalance --to-shards 16 --shard-dir /mnt/c --shard-dir /mnt/d --rate 64MiB
  shingle rebalance --by bytes --measure --threshold 5
  shingle rebalance --by heat --weight 3=0.5          shard 3 is to carry half as much
  shingle rebalance --weight 3=0                      empty shard 3
  shingle rebalance status
  shingle rebalance --to-shards 16 --url http://127.0.0.1:9464 --token-file token

Exits with 0 also where nothing is to be moved, or not all can be evened out: it says why."
)]
pub(crate) struct RebalanceArgs {
    #[command(subcommand)]
    pub(crate) action: Option<RebalanceAction>,

    #[command(flatten)]
    pub(crate) wanted: WantedArgs,

    #[command(flatten)]
    pub(crate) moving: MovingArgs,

    #[command(flatten)]
    pub(crate) store: StoreArgs,

    #[command(flatten)]
    pub(crate) node: NodeArgs,

    #[command(flatten)]
    pub(crate) token: TokenArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum RebalanceAction {
    /// Say how far a rebalancing is that was begun.
    Status(RebalanceStatusArgs),
    /// Go on with one that was stopped, or change the rate of one that runs.
    Resume(ResumeArgs),
    /// Give one up: what is not handed over stays where it is.
    Abort(AbortArgs),
}

#[derive(Args, Debug)]
pub(crate) struct RebalanceStatusArgs {
    #[command(flatten)]
    pub(crate) store: StoreArgs,

    #[command(flatten)]
    pub(crate) node: NodeArgs,
}

#[derive(Args, Debug)]
pub(crate) struct AbortArgs {
    #[command(flatten)]
    pub(crate) store: StoreArgs,

    #[command(flatten)]
    pub(crate) node: NodeArgs,

    #[command(flatten)]
    pub(crate) token: TokenArgs,
}

/// What copying is to be limited to from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limit {
    /// `None`: as many as the disks take.
    pub(crate) bytes_per_sec: Option<u64>,
}

#[derive(Args, Debug)]
pub(crate) struct ResumeArgs {
    /// Copy at most so many bytes in a second, or as many as the disks take: none
    /// [default: as it was begun, or last resumed]
    #[arg(long, value_name = "BYTES|none", allow_negative_numbers = true, value_parser = limit)]
    pub(crate) rate: Option<Limit>,

    #[command(flatten)]
    pub(crate) store: StoreArgs,

    #[command(flatten)]
    pub(crate) node: NodeArgs,

    #[command(flatten)]
    pub(crate) token: TokenArgs,
}

/// What is to be reached.
#[derive(Args, Debug)]
pub(crate) struct WantedArgs {
    /// How many shards there are to be [default: as many as there are]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = number("a number of shards", 1..=1024))]
    pub(crate) to_shards: Option<u64>,

    /// What is to be even over the shards: the number of slots, bytes of keys and values, or heat, which is reads and writes, the recent ones above all.
    #[arg(long, value_enum, default_value_t = By::Slots, value_name = "WHAT")]
    pub(crate) by: By,

    /// Move nothing while every shard is within so many per cent of its share.
    #[arg(long, default_value_t = shingle::THRESHOLD_PERCENT_DEFAULT, value_name = "PERCENT", allow_negative_numbers = true, value_parser = percent)]
    pub(crate) threshold: f64,

    /// The share of a shard where others have 1; 0 empties it. May be given for several.
    #[arg(long = "weight", value_name = "SHARD=SHARE", value_parser = weight)]
    pub(crate) weights: Vec<(usize, f64)>,

    /// A directory for new shards, on a disk of its own for instance; several take turns [default: in the store's]
    #[arg(long = "shard-dir", value_name = "DIR")]
    pub(crate) shard_dirs: Vec<PathBuf>,

    /// Read every key first, so that keys and bytes of each slot are known and not estimated.
    #[arg(long)]
    pub(crate) measure: bool,
}

/// How slots are moved.
#[derive(Args, Debug)]
pub(crate) struct MovingArgs {
    /// Copy at most so many bytes in a second [default: as many as the disks take]
    #[arg(long, value_name = "BYTES", allow_negative_numbers = true, value_parser = rate)]
    pub(crate) rate: Option<u64>,

    /// Say what would be moved, and how long it would take at the rate; change nothing.
    #[arg(long)]
    pub(crate) simulate: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum By {
    // Comments, not documentation: clap would spread the whole help page to show it.
    // The number of slots.
    Slots,
    // Bytes of keys and values.
    Bytes,
    // Reads and writes, the recent ones above all.
    Heat,
}

impl From<By> for Balance {
    fn from(by: By) -> Self {
        match by {
            By::Slots => Balance::Slots,
            By::Bytes => Balance::Bytes,
            By::Heat => Balance::Heat,
        }
    }
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  shingle reshard --from 0 --to 3 --slots 100-199
  shingle reshard --from 0 --to 3 --slots 7,9,100-199 --simulate

Exits with 1 if a slot is not on the shard named.")]
pub(crate) struct ReshardArgs {
    /// The shard that the slots live on.
    #[arg(long, value_name = "SHARD", allow_negative_numbers = true, value_parser = number("a shard's number", 0..=1023))]
    pub(crate) from: u64,

    /// The shard that they go to.
    #[arg(long, value_name = "SHARD", allow_negative_numbers = true, value_parser = number("a shard's number", 0..=1023))]
    pub(crate) to: u64,

    /// The slots: numbers and ranges, separated by commas.
    #[arg(long, required = true, value_name = "SLOTS", value_delimiter = ',', value_parser = slots)]
    pub(crate) slots: Vec<RangeInclusive<u32>>,

    #[command(flatten)]
    pub(crate) moving: MovingArgs,

    #[command(flatten)]
    pub(crate) store: StoreArgs,

    #[command(flatten)]
    pub(crate) node: NodeArgs,

    #[command(flatten)]
    pub(crate) token: TokenArgs,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  shingle shards
  shingle shards --measure --json | jq '.shards[].bytes'
  shingle shards --url http://127.0.0.1:9464

Reads and writes are counted while the store is open, and lose half of their weight in ten
minutes; keys and bytes are estimates unless they were measured.")]
pub(crate) struct ShardsArgs {
    /// Read every key first, so that keys and bytes of each slot are known and not estimated.
    #[arg(long)]
    pub(crate) measure: bool,

    #[command(flatten)]
    pub(crate) store: StoreArgs,

    #[command(flatten)]
    pub(crate) node: NodeArgs,

    #[command(flatten)]
    pub(crate) token: TokenArgs,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  shingle slots
  shingle slots --by bytes --measure --ascii
  shingle slots --json | jq '.slots | max_by(.reads + .writes)'
  shingle slots --url http://127.0.0.1:9464")]
pub(crate) struct SlotsArgs {
    /// What the map shows; heat is reads and writes, the recent ones above all.
    #[arg(long, value_enum, default_value_t = SlotFigure::Heat, value_name = "WHAT")]
    pub(crate) by: SlotFigure,

    /// Draw with plain characters [default: where the output is no terminal, or its locale is not UTF-8]
    #[arg(long)]
    pub(crate) ascii: bool,

    /// Read every key first, so that keys and bytes of each slot are known and not estimated.
    #[arg(long)]
    pub(crate) measure: bool,

    #[command(flatten)]
    pub(crate) store: StoreArgs,

    #[command(flatten)]
    pub(crate) node: NodeArgs,

    #[command(flatten)]
    pub(crate) token: TokenArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum SlotFigure {
    // Comments, not documentation: clap would spread the whole help page to show it.
    // Reads and writes, the recent ones above all.
    Heat,
    // Point reads.
    Reads,
    // Writes.
    Writes,
    // Bytes of keys and values.
    Bytes,
    // Keys, or rows until they are measured.
    Keys,
}

/// `64MiB`, with or without `/s`.
pub(super) fn rate(given: &str) -> Result<u64, String> {
    size(1 << 10..=1 << 40)(given.strip_suffix("/s").unwrap_or(given))
}

/// A rate, or none.
fn limit(given: &str) -> Result<Limit, String> {
    let bytes_per_sec = match given {
        "none" => None,
        given => Some(rate(given).map_err(|expected| format!("{expected}, or none"))?),
    };
    Ok(Limit { bytes_per_sec })
}

fn percent(given: &str) -> Result<f64, String> {
    let number = given.strip_suffix('%').unwrap_or(given).trim_end().parse().ok();
    number.filter(|percent| (0.0..=100.0).contains(percent)).ok_or_else(|| "expected 0 to 100 per cent".to_owned())
}

/// `3=0.5`
fn weight(given: &str) -> Result<(usize, f64), String> {
    let parsed = given.split_once('=').and_then(|(shard, weight)| Some((shard.parse().ok()?, weight.parse().ok()?)));
    parsed
        .filter(|&(shard, weight): &(usize, f64)| shard < 1024 && (0.0..=1000.0).contains(&weight))
        .ok_or_else(|| "expected a shard's number and its share from 0 to 1000, such as 3=0.5".to_owned())
}

/// `7` or `100-199`
fn slots(given: &str) -> Result<RangeInclusive<u32>, String> {
    let (first, last) = given.split_once('-').unwrap_or((given, given));
    let parsed = first.trim().parse().ok().zip(last.trim().parse().ok());
    parsed
        .filter(|(first, last): &(u32, u32)| first <= last)
        .map(|(first, last)| first..=last)
        .ok_or_else(|| "expected a slot or a range of slots, such as 7 or 100-199".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_read_or_refused_with_what_was_expected() {
        assert_eq!((slots("7"), slots("100-199")), (Ok(7..=7), Ok(100..=199)));
        for refused in ["", "-", "9-7", "a", "1-", "-1", "1-2-3", "99999999999"] {
            assert!(slots(refused).is_err(), "{refused}");
        }
        assert_eq!((weight("3=0.5"), weight("0=0")), (Ok((3, 0.5)), Ok((0, 0.0))));
        for refused in ["3", "=1", "3=", "3=-1", "3=NaN", "3=inf", "1024=1", "x=1"] {
            assert!(weight(refused).is_err(), "{refused}");
        }
        assert_eq!((percent("2"), percent("2.5%")), (Ok(2.0), Ok(2.5)));
        assert!(percent("101").is_err() && percent("-1").is_err() && percent("nan").is_err());
        assert_eq!((rate("64MiB"), rate("1MiB/s")), (Ok(64 << 20), Ok(1 << 20)));
        assert!(rate("0").is_err());
    }
}
