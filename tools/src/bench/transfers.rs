//! `shingle bench transfers`: durable serializable transactions, each of two reads and two writes.

use super::figure::{Figure, Round, Unit};
use super::keys::KeySpace;
use super::measure::Meter;
use super::store::{Committed, Store};
use super::workload::{Plan, load};
use crate::args::TransfersArgs;
use anyhow::anyhow;
use indicatif::ProgressBar;
use serde_json::Value;
use std::time::{Duration, Instant};

pub(crate) struct Transfers<'a> {
    args: &'a TransfersArgs,
    space: KeySpace,
}

impl<'a> Transfers<'a> {
    pub(crate) fn new(args: &'a TransfersArgs) -> Self {
        Transfers { args, space: KeySpace::new(&args.options) }
    }

    /// One client: transactions until the time is up.
    fn run_client(&self, stream: u64, store: &dyn Store, until: Instant) -> anyhow::Result<Committed> {
        let mut client = store.client(self.args.in_flight as usize)?;
        let mut choices = self.space.choices(stream);
        while Instant::now() < until {
            let value = choices.value();
            client.transfer(choices.two_keys(), value)?;
        }
        client.finish()
    }
}

const FIGURES: &[Figure] = &[
    Figure::rate("transactions_per_second", "durable transactions"),
    Figure::cost("transaction_p50_ms", "transaction, p50", Unit::Millis),
    Figure::cost("transaction_p99_ms", "transaction, p99", Unit::Millis),
    Figure::cost("conflicts_per_transaction", "conflicts per transaction", Unit::Ratio),
    Figure::cost("bytes_written_per_byte_committed", "bytes written per byte committed", Unit::Ratio),
    Figure::cost("cpu_per_transaction_us", "processor time per transaction", Unit::Micros),
];

impl Plan for Transfers<'_> {
    fn name(&self) -> &'static str {
        "transfers"
    }

    fn figures(&self) -> &'static [Figure] {
        FIGURES
    }

    fn arguments(&self) -> serde_json::Result<Value> {
        serde_json::to_value(self.args)
    }

    fn settings(&self) -> Vec<(&'static str, String)> {
        vec![
            ("threads", self.args.threads.to_string()),
            ("in flight per thread", self.args.in_flight.to_string()),
            ("round", format!("{} s", self.args.seconds)),
            ("durability", "every transaction is on disk before it counts".to_owned()),
        ]
    }

    fn prepare(&self, store: &dyn Store, bar: &ProgressBar) -> anyhow::Result<()> {
        load(&self.space, store, bar)
    }

    fn round(&self, number: u64, store: &dyn Store, _bar: &ProgressBar) -> anyhow::Result<Round> {
        let threads = self.args.threads;
        let meter = Meter::begin();
        let until = Instant::now() + Duration::from_secs(self.args.seconds);
        let committed: Vec<Committed> = std::thread::scope(|scope| {
            let clients: Vec<_> = (0..threads)
                .map(|thread| scope.spawn(move || self.run_client(number * threads + thread, store, until)))
                .collect();
            let join = clients.into_iter().map(|client| client.join().map_err(|_| anyhow!("a client panicked"))?);
            join.collect::<anyhow::Result<_>>()
        })?;
        let usage = meter.end();
        store.settle()?;

        let mut all = Committed::new()?;
        for client in committed {
            all.latency.merge(&client.latency);
            all.conflicts += client.conflicts;
        }
        let total = all.latency.count() as f64;
        let latency_ms = |quantile| Some(all.latency.quantile(quantile).as_secs_f64() * 1e3);
        let committed_bytes = total * 2.0 * self.space.update_bytes() as f64;
        Ok(vec![
            Some(total / usage.elapsed.as_secs_f64()),
            latency_ms(0.50),
            latency_ms(0.99),
            Some(all.conflicts as f64 / total),
            usage.written_bytes.map(|written| written as f64 / committed_bytes),
            usage.cpu.map(|cpu| cpu.as_secs_f64() * 1e6 / total),
        ])
    }
}
