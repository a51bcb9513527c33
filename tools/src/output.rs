//! What the command prints: tables and sentences for people, JSON for scripts. Nothing but results goes to stdout.

use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;
use std::io::{self, BufWriter, StdoutLock, Write};

/// Standard output, buffered; flushed by [`Output::finish`], so that a broken pipe or a full disk is an error and not lost.
pub(crate) struct Output {
    pub(crate) json: bool,
    stdout: BufWriter<StdoutLock<'static>>,
}

impl Output {
    pub(crate) fn new(json: bool) -> Self {
        Output { json, stdout: BufWriter::new(io::stdout().lock()) }
    }

    /// One JSON document on a line of its own.
    pub(crate) fn document(&mut self, document: &impl Serialize) -> anyhow::Result<()> {
        serde_json::to_writer(&mut self.stdout, document).map_err(io::Error::from)?;
        self.stdout.write_all(b"\n")?;
        Ok(())
    }

    pub(crate) fn line(&mut self, line: impl std::fmt::Display) -> anyhow::Result<()> {
        writeln!(self.stdout, "{line}")?;
        Ok(())
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        self.stdout.write_all(bytes)?;
        Ok(())
    }

    /// `name  value` rows, aligned.
    pub(crate) fn properties(&mut self, rows: &[(&str, String)]) -> anyhow::Result<()> {
        let width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or_default();
        for (name, value) in rows {
            self.line(format_args!("{name:width$}  {value}"))?;
        }
        Ok(())
    }

    /// A table whose first column is text and whose others are numbers.
    pub(crate) fn table(&mut self, header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> anyhow::Result<()> {
        let mut table = Table::new();
        table.load_preset(presets::NOTHING).set_header(header);
        table.add_rows(rows);
        let last = table.column_count().saturating_sub(1);
        for (number, column) in table.column_iter_mut().enumerate() {
            column.set_padding((0, if number == last { 0 } else { 3 }));
            if number > 0 {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        self.line(table.trim_fmt())
    }

    /// Hands over what was printed so far.
    pub(crate) fn flush(&mut self) -> anyhow::Result<()> {
        self.stdout.flush()?;
        Ok(())
    }

    pub(crate) fn finish(mut self) -> anyhow::Result<()> {
        self.stdout.flush()?;
        Ok(())
    }
}
