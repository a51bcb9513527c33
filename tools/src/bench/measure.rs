//! What a stretch of work cost: time, processor time, bytes written and read.

use std::time::{Duration, Instant};

/// Fields of `/proc/self/stat` after the command's name, counted from 0: user and system time, in ticks.
const STAT_UTIME: usize = 11;
const STAT_STIME: usize = 12;

/// Linux counts them in hundredths of a second, whatever the kernel's own tick is.
const TICK: Duration = Duration::from_millis(10);

/// Less processor time than this many ticks is not known well enough to be told: the last one is a tenth of it.
const TICKS_MIN: u32 = 10;

/// A running measurement of this process. One store works at a time, so what the process does is what the store does.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Meter {
    begun: Instant,
    cpu: Option<Duration>,
    written_bytes: Option<u64>,
    disks_written_bytes: Option<u64>,
    read_bytes: Option<u64>,
}

/// What was used. `None` where the system does not tell, or where it was too little to be measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    pub(crate) elapsed: Duration,
    pub(crate) cpu: Option<Duration>,
    pub(crate) written_bytes: Option<u64>,
    pub(crate) read_bytes: Option<u64>,
}

impl Meter {
    pub(crate) fn begin() -> Self {
        rustix::fs::sync();
        Meter {
            written_bytes: io_bytes("write_bytes: "),
            disks_written_bytes: disks_written_bytes(),
            read_bytes: io_bytes("read_bytes: "),
            cpu: cpu_time(),
            begun: Instant::now(),
        }
    }

    pub(crate) fn end(self) -> Usage {
        let elapsed = self.begun.elapsed();
        let cpu = difference(cpu_time(), self.cpu, Duration::saturating_sub);
        // Each is too much: Linux counts for a process all of a page that it changes a byte of, and a page may have hundreds of KiB; disks are not this
        // process's alone.
        let written = difference(io_bytes("write_bytes: "), self.written_bytes, u64::saturating_sub);
        rustix::fs::sync();
        let disks = difference(disks_written_bytes(), self.disks_written_bytes, u64::saturating_sub);
        Usage {
            elapsed,
            cpu: cpu.filter(|&cpu| cpu >= TICK * TICKS_MIN),
            // A disk in memory writes nothing.
            written_bytes: written
                .map(|bytes| disks.map_or(bytes, |disks| disks.min(bytes)))
                .filter(|&bytes| bytes > 0),
            read_bytes: difference(io_bytes("read_bytes: "), self.read_bytes, u64::saturating_sub),
        }
    }
}

fn difference<T>(end: Option<T>, begin: Option<T>, subtract: impl Fn(T, T) -> T) -> Option<T> {
    Some(subtract(end?, begin?))
}

fn cpu_time() -> Option<Duration> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The command's name stands in parentheses and may hold anything.
    let (_, fields) = stat.rsplit_once(") ")?;
    let fields: Vec<_> = fields.split(' ').collect();
    let ticks = |field: usize| fields.get(field)?.parse::<u32>().ok();
    Some(TICK * (ticks(STAT_UTIME)? + ticks(STAT_STIME)?))
}

/// Bytes that this process has made the disk write, the page cache's later write-backs included, or read.
fn io_bytes(field: &str) -> Option<u64> {
    let io = std::fs::read_to_string("/proc/self/io").ok()?;
    io.lines().find_map(|line| line.strip_prefix(field))?.parse().ok()
}

/// Bytes that all disks of the machine have written.
fn disks_written_bytes() -> Option<u64> {
    /// The field of `/sys/block/DISK/stat`, counted from 0, and its unit.
    const SECTORS_WRITTEN: usize = 6;
    const SECTOR_BYTES: u64 = 512;
    let of_disk = |disk: std::fs::DirEntry| {
        let stat = std::fs::read_to_string(disk.path().join("stat")).ok()?;
        stat.split_ascii_whitespace().nth(SECTORS_WRITTEN)?.parse::<u64>().ok()
    };
    let disks: Vec<_> = std::fs::read_dir("/sys/block").ok()?.filter_map(|disk| of_disk(disk.ok()?)).collect();
    (!disks.is_empty()).then(|| disks.iter().sum::<u64>() * SECTOR_BYTES)
}

/// The most memory that this process has had at a time.
pub(super) fn peak_memory_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let kib = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(kib.trim().trim_end_matches(" kB").parse::<u64>().ok()? << 10)
}

/// The middle one; the mean of the two middle ones where their number is even.
pub(crate) fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        n if n % 2 == 1 => Some(values[middle]),
        _ => Some((values[middle - 1] + values[middle]) / 2.0),
    }
}

#[cfg(test)]
mod tests {
    use super::{Meter, median};

    #[test]
    fn medians() {
        assert_eq!(median(vec![]), None);
        assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), Some(2.5));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn work_is_seen() {
        let meter = Meter::begin();
        let mut sum = 0_u64;
        while meter.end().cpu.is_none() {
            for _ in 0..1_000_000 {
                sum = std::hint::black_box(sum.wrapping_add(1));
            }
        }
        assert!(meter.cpu.is_some() && meter.written_bytes.is_some());
    }
}
