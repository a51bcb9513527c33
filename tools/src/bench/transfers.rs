//! `shingle bench transfers` and `hot`: durable serializable transactions, each of two reads and two writes.

use super::clients::Work;
use super::contender::{Contender, Opening};
use super::driven::{measure_writes, percentiles_us};
use super::figure::{Figure, Round, Unit};
use super::keys::{Choices, KeySpace};
use super::recorder::Recorder;
use super::store::Client;
use super::workload::{Plan, loaded_sum, sum};
use crate::args::{BenchOptions, ClientsArgs, HotArgs};
use crate::units::count;
use anyhow::ensure;
use indicatif::ProgressBar;
use rand::Rng;
use std::time::Instant;

pub(crate) struct Transfers<'a> {
    clients: &'a ClientsArgs,
    hot: Option<Hot>,
    space: KeySpace,
}

/// `percent` of the transactions are between the first `keys` keys.
#[derive(Clone, Copy, Debug)]
struct Hot {
    keys: u64,
    percent: u32,
}

impl<'a> Transfers<'a> {
    pub(crate) fn new(clients: &'a ClientsArgs, options: &BenchOptions) -> Self {
        Transfers { clients, hot: None, space: KeySpace::new(options) }
    }

    pub(crate) fn hot(args: &'a HotArgs, options: &BenchOptions) -> Self {
        let hot = Hot { keys: args.hot_keys.min(options.keys), percent: args.hot_percent as u32 };
        Transfers { hot: Some(hot), ..Transfers::new(&args.clients, options) }
    }
}

const FIGURES: &[Figure] = &[
    Figure::rate("transactions_per_second", "durable transactions"),
    Figure::cost("transaction_p50_ms", "transaction, p50", Unit::Millis),
    Figure::cost("transaction_p90_ms", "transaction, p90", Unit::Millis),
    Figure::cost("transaction_p99_ms", "transaction, p99", Unit::Millis),
    Figure::cost("transaction_p999_ms", "transaction, p99.9", Unit::Millis),
    Figure::cost("transaction_max_ms", "transaction, longest", Unit::Millis),
    Figure::cost("conflicts_per_transaction", "conflicts per transaction", Unit::Ratio),
    Figure::cost("bytes_written_per_byte_committed", "bytes written per byte committed", Unit::Ratio),
    Figure::cost("cpu_per_transaction_us", "processor time per transaction", Unit::Micros),
    Figure::cost("stalled_ms", "time writes were held back", Unit::Millis),
];

impl Plan for Transfers<'_> {
    fn name(&self) -> &'static str {
        if self.hot.is_some() { "hot" } else { "transfers" }
    }

    fn figures(&self) -> &'static [Figure] {
        FIGURES
    }

    fn space(&self) -> &KeySpace {
        &self.space
    }

    fn settings(&self) -> Vec<(&'static str, String)> {
        let mut settings = self.clients.settings();
        settings.push(("checked", "the sum over all keys is what it was".to_owned()));
        settings.extend(self.hot.map(|hot| ("hot", format!("{} % between {} keys", hot.percent, count(hot.keys)))));
        settings.extend(self.clients.pace.due("transactions"));
        settings
    }

    fn opening(&self) -> Opening {
        Opening { transactions: true, ..Opening::default() }
    }

    fn round(&self, number: u64, contender: &mut Contender, bar: &ProgressBar) -> anyhow::Result<Round> {
        let store = contender.store()?;
        let update_bytes = self.space.update_bytes() as f64;
        let (driven, written) = measure_writes(
            store,
            self.clients.threads,
            &self.clients.pace,
            bar,
            |driven| driven.recorder.trace.operations as f64 * 2.0 * update_bytes,
            |thread| {
                let choices = self.space.choices(number * self.clients.threads + thread);
                let client = store.client(self.clients.in_flight as usize)?;
                Ok(Box::new(Transferring { client, choices, hot: self.hot, keys: self.space.keys }))
            },
        )?;
        let (found, expected) = (sum(store)?, loaded_sum(&self.space));
        ensure!(found == expected, "transfers changed the number of keys and their sum from {expected:?} to {found:?}");

        let total = driven.recorder.trace.operations as f64;
        let mut values = vec![Some(driven.per_second())];
        values.extend(percentiles_us(&driven.recorder.trace.latency).map(|us| us.map(|us| us / 1e3)));
        values.extend([
            Some(driven.recorder.conflicts as f64 / total),
            written.disk_bytes.zip(written.committed_bytes).map(|(disk, committed)| disk as f64 / committed),
            driven.cpu_us_per_operation(),
            written.stalled_ms,
        ]);
        Ok(Round { values, traces: vec![("transaction", driven.recorder.trace)] })
    }
}

struct Transferring<'a> {
    client: Box<dyn Client + 'a>,
    choices: Choices<'a>,
    hot: Option<Hot>,
    keys: u64,
}

impl Work for Transferring<'_> {
    fn step(&mut self, due: Instant, recorder: &mut Recorder<'_>) -> anyhow::Result<()> {
        let rng = self.choices.rng();
        let amount: u64 = rng.random();
        let keys = match self.hot {
            Some(hot) if rng.random_range(0..100) < hot.percent => hot.keys,
            Some(_) | None => self.keys,
        };
        let keys = self.choices.two_keys_of(keys);
        self.client.add(&keys, &[amount, amount.wrapping_neg()], due, recorder)
    }

    fn idle(&mut self, until: Instant, recorder: &mut Recorder<'_>) -> anyhow::Result<()> {
        self.client.idle(until, recorder)
    }

    fn finish(&mut self, recorder: &mut Recorder<'_>) -> anyhow::Result<()> {
        self.client.finish(recorder)
    }
}
