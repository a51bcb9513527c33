//! `shingle slots`: a map of what each slot carries.

use super::shards::{keys_or_rows, measure, measure_on, provenance};
use crate::args::{SlotFigure, SlotsArgs};
use crate::output::Output;
use crate::units;
use shingle::{SlotStatistics, SlotStats};
use std::io::{IsTerminal, stdout};

/// Cells in a row of the map.
const COLUMNS: usize = 64;
/// Rows that the map has at the most: with more slots, a cell stands for several.
const ROWS_MAX: usize = 32;
/// Slots that are named under the map.
const NAMED: usize = 8;

/// Multiples of the mean up to which the levels go; what is above the last is the last level. The first level is for nothing at all.
const LEVELS: [f64; 7] = [0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0];

/// How levels are drawn, the empty one first.
#[derive(Clone, Copy)]
struct Palette {
    glyphs: [char; 9],
    /// Colours of a terminal's 256, if it has them.
    colours: Option<[u8; 9]>,
}

const BLOCKS: [char; 9] = ['·', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
const ASCII: [char; 9] = ['.', ',', ':', '-', '=', '+', '*', '%', '#'];
/// From grey over blue and green to red.
const COLOURS: [u8; 9] = [240, 25, 31, 37, 71, 142, 178, 208, 196];

pub(crate) fn run(args: &SlotsArgs, out: &mut Output) -> anyhow::Result<()> {
    let statistics = match args.node.node()? {
        Some(node) => {
            measure_on(&node, args.measure, &args.token)?;
            node.get("/slots")?
        }
        None => {
            let db = args.store.open()?;
            measure(&db, args.measure)?;
            let statistics = db.slot_stats();
            db.close()?;
            statistics
        }
    };
    if out.json {
        out.document(&statistics)
    } else {
        print_page(args.by, &statistics, Palette::fitting(args.ascii), out)
    }
}

impl Palette {
    /// What the terminal can show, or what any reader of a file can.
    fn fitting(ascii: bool) -> Self {
        let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let locale = set("LC_ALL").or_else(|| set("LC_CTYPE")).or_else(|| set("LANG")).unwrap_or_default();
        let terminal = stdout().is_terminal();
        let unicode = terminal && locale.to_ascii_uppercase().replace('-', "").contains("UTF8");
        let colours = terminal && !ascii && set("NO_COLOR").is_none() && set("TERM").is_some_and(|term| term != "dumb");
        Palette { glyphs: if unicode && !ascii { BLOCKS } else { ASCII }, colours: colours.then_some(COLOURS) }
    }

    /// One row of cells.
    fn draw(&self, levels: impl Iterator<Item = usize>) -> String {
        let mut drawn = String::new();
        let mut last = None;
        for level in levels {
            if let Some(colours) = self.colours
                && last != Some(level)
            {
                drawn.push_str(&format!("\x1b[38;5;{}m", colours[level]));
            }
            last = Some(level);
            drawn.push(self.glyphs[level]);
        }
        if self.colours.is_some() {
            drawn.push_str("\x1b[0m");
        }
        drawn
    }
}

impl SlotFigure {
    fn of(self, slot: &SlotStats) -> u64 {
        match self {
            SlotFigure::Heat => slot.heat(),
            SlotFigure::Reads => slot.reads,
            SlotFigure::Writes => slot.writes,
            SlotFigure::Bytes => slot.bytes,
            SlotFigure::Keys => slot.keys,
        }
    }

    /// The sum over all slots, as a phrase.
    fn sum(self, total: u64, measured_at: Option<u64>) -> String {
        let counted = |what| format!("{} {what}", units::count(total));
        match self {
            SlotFigure::Heat => counted("reads and writes"),
            SlotFigure::Reads => counted("reads"),
            SlotFigure::Writes => counted("writes"),
            SlotFigure::Bytes => units::bytes(total),
            SlotFigure::Keys => counted(keys_or_rows(measured_at)),
        }
    }

    fn text(self, figure: f64) -> String {
        match self {
            SlotFigure::Bytes => units::bytes(figure as u64),
            SlotFigure::Heat | SlotFigure::Reads | SlotFigure::Writes | SlotFigure::Keys if figure < 10.0 => {
                units::significant(figure)
            }
            SlotFigure::Heat | SlotFigure::Reads | SlotFigure::Writes | SlotFigure::Keys => units::count(figure as u64),
        }
    }
}

/// The level of a figure where the mean is this.
fn level(figure: f64, mean: f64) -> usize {
    if figure == 0.0 { 0 } else { 1 + LEVELS.iter().take_while(|&&limit| figure > limit * mean).count() }
}

/// The shards of some slots: `3`, or `0-2` if there are several.
fn shards_of(slots: &[SlotStats]) -> String {
    let shards = || slots.iter().map(|slot| slot.shard);
    match (shards().min(), shards().max()) {
        (Some(least), Some(most)) if least != most => format!("{least}-{most}"),
        (least, _) => least.map(|shard| shard.to_string()).unwrap_or_default(),
    }
}

fn print_page(by: SlotFigure, statistics: &SlotStatistics, palette: Palette, out: &mut Output) -> anyhow::Result<()> {
    let slots = &statistics.slots;
    let total: u64 = slots.iter().map(|slot| by.of(slot)).sum();
    let mean = total as f64 / slots.len().max(1) as f64;
    let per_cell = slots.len().div_ceil(COLUMNS * ROWS_MAX);
    out.line(format_args!(
        "{} with {}{}\n",
        units::counted(slots.len() as u64, "slot"),
        by.sum(total, statistics.measured_at),
        if per_cell > 1 { format!("; a cell is the mean of {per_cell} slots") } else { String::new() }
    ))?;
    let digits = slots.len().to_string().len();
    for row in slots.chunks(COLUMNS * per_cell) {
        let cell = |slots: &[SlotStats]| slots.iter().map(|slot| by.of(slot)).sum::<u64>() as f64 / slots.len() as f64;
        let cells = palette.draw(row.chunks(per_cell).map(|slots| level(cell(slots), mean)));
        out.line(format_args!("{:>digits$}  {cells}  shard {}", row[0].slot, shards_of(row)))?;
    }
    if total > 0 {
        let limit = |level: usize| match level {
            0 => "none".to_owned(),
            8 => format!("above {}", by.text(LEVELS[6] * mean)),
            _ => format!("to {}", by.text(LEVELS[level - 1] * mean)),
        };
        let legend: Vec<_> =
            (0..9).map(|level| format!("{} {}", palette.draw([level].into_iter()), limit(level))).collect();
        out.line(format_args!("\n{}", legend.join("   ")))?;
        print_heaviest(by, statistics, mean, out)?;
    }
    out.line(format_args!("\n{}", provenance(statistics.measured_at, statistics.half_life_secs)))
}

fn print_heaviest(by: SlotFigure, statistics: &SlotStatistics, mean: f64, out: &mut Output) -> anyhow::Result<()> {
    let mut heaviest: Vec<_> = statistics.slots.iter().collect();
    heaviest.sort_by(|a, b| by.of(b).cmp(&by.of(a)).then(a.slot.cmp(&b.slot)));
    let rows = heaviest.into_iter().take(NAMED).map(|slot| {
        vec![
            slot.slot.to_string(),
            slot.shard.to_string(),
            units::count(slot.keys),
            units::bytes(slot.bytes),
            units::count(slot.reads),
            units::count(slot.writes),
            format!("{} x", units::significant(by.of(slot) as f64 / mean)),
        ]
    });
    out.line("")?;
    let keys = keys_or_rows(statistics.measured_at);
    out.table(&["slot", "shard", keys, "bytes", "reads", "writes", "of the mean"], rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_multiples_of_the_mean() {
        let levels: Vec<_> =
            [0.0, 1.0, 25.0, 26.0, 100.0, 101.0, 1600.0, 1601.0].map(|figure| level(figure, 100.0)).into();
        assert_eq!(levels, [0, 1, 1, 2, 3, 4, 7, 8]);
    }

    #[test]
    fn a_row_is_one_glyph_a_cell_and_colours_change_only_where_levels_do() {
        let plain = Palette { glyphs: ASCII, colours: None };
        assert_eq!(plain.draw([0, 1, 8, 8].into_iter()), ".,##");
        let coloured = Palette { glyphs: BLOCKS, colours: Some(COLOURS) };
        assert_eq!(coloured.draw([8, 8, 0].into_iter()), "\x1b[38;5;196m██\x1b[38;5;240m·\x1b[0m");
    }
}
