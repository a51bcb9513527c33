//! Numbers for people: each with its unit.

use std::time::Duration;

const BYTE_UNITS: [&str; 6] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

/// `1536` → `1.5 KiB`.
pub(crate) fn bytes(bytes: u64) -> String {
    let mut scaled = bytes as f64;
    let mut unit = 0;
    while scaled >= 1024.0 && unit + 1 < BYTE_UNITS.len() {
        scaled /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{bytes} B") } else { format!("{} {}", significant(scaled), BYTE_UNITS[unit]) }
}

/// `1234567` → `1 234 567`.
pub(crate) fn count(count: u64) -> String {
    let digits = count.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            grouped.push(' ');
        }
        grouped.push(digit);
    }
    grouped
}

/// `1 block`, `2 blocks`.
pub(crate) fn counted(number: u64, what: &str) -> String {
    format!("{} {what}{}", count(number), if number == 1 { "" } else { "s" })
}

/// `416_123.0` → `416 k`; to be followed by what is counted: `/s`, for instance.
pub(crate) fn rate(per_second: f64) -> String {
    match per_second {
        r if r >= 1e7 => format!("{:.1} M", r / 1e6),
        r if r >= 1e6 => format!("{:.2} M", r / 1e6),
        r if r >= 1e5 => format!("{:.0} k", r / 1e3),
        r if r >= 1e3 => format!("{:.1} k", r / 1e3),
        r => format!("{r:.0} "),
    }
}

/// `1.234 ms`, with three digits that matter.
pub(crate) fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    match seconds {
        s if s >= 60.0 => format!("{} min {:02} s", s as u64 / 60, s as u64 % 60),
        s if s >= 1.0 => format!("{} s", significant(s)),
        s if s >= 1e-3 => format!("{} ms", significant(s * 1e3)),
        s if s > 0.0 => format!("{} µs", significant(s * 1e6)),
        // What is measured in whole microseconds took less than one.
        _ => "< 1 µs".to_owned(),
    }
}

/// `4 s`, `1 min 04 s`: for what is told again and again.
pub(crate) fn whole_seconds(time: Duration) -> String {
    match time.as_secs() {
        seconds if seconds < 60 => format!("{seconds} s"),
        seconds if seconds < 3600 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        seconds => format!("{} h {:02} min", seconds / 3600, seconds / 60 % 60),
    }
}

/// A block's timestamp, which is milliseconds since the beginning of 1970: `2023-11-14 22:13:20 UTC`.
pub(crate) fn date(timestamp_ms: u64) -> String {
    const SECONDS_PER_DAY: u64 = 86_400;
    /// Days of 400 years, after which the calendar repeats.
    const DAYS_PER_ERA: u64 = 146_097;
    /// From the first of March of the year 0, where an era of the calendar begins, to the first of January 1970.
    const DAYS_TO_1970: u64 = 719_468;
    let (days, second) = (timestamp_ms / 1000 / SECONDS_PER_DAY, timestamp_ms / 1000 % SECONDS_PER_DAY);
    let (era, day_of_era) = ((days + DAYS_TO_1970) / DAYS_PER_ERA, (days + DAYS_TO_1970) % DAYS_PER_ERA);
    // Leap days of the era before this one: one in 1461 days, none in 36 524, and the last day of the era is one.
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    // Years begin in March here, so that the leap day is the last; five months from March on always have 153 days.
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = 400 * era + year_of_era + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02} UTC", second / 3600, second / 60 % 60, second % 60)
}

/// Three digits that matter, as long as the number is below 1000.
pub(crate) fn significant(number: f64) -> String {
    match number.abs() {
        n if n >= 100.0 => format!("{number:.0}"),
        n if n >= 10.0 => format!("{number:.1}"),
        _ => format!("{number:.2}"),
    }
}

/// A number of bytes as an argument: `4096`, `64MiB`, `2 GiB`, `1GB`.
pub(crate) fn parse_bytes(given: &str) -> Result<u64, String> {
    let digits = given.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
    let number = &given[..given.len() - digits.len()];
    let scale: u64 = match digits.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kib" => 1 << 10,
        "kb" => 1_000,
        "m" | "mib" => 1 << 20,
        "mb" => 1_000_000,
        "g" | "gib" => 1 << 30,
        "gb" => 1_000_000_000,
        unit => return Err(format!("{unit:?} is no unit of bytes; expected bytes, such as 4096 or 64MiB")),
    };
    let number: f64 = number.parse().map_err(|_| "expected bytes, such as 4096 or 64MiB".to_owned())?;
    let scaled = number * scale as f64;
    if scaled <= 2f64.powi(53) { Ok(scaled as u64) } else { Err("more bytes than any machine has".to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::{bytes, count, date, duration, parse_bytes, rate, whole_seconds};
    use std::time::Duration;

    #[test]
    fn numbers_have_units() {
        assert_eq!([bytes(0), bytes(1023), bytes(1536), bytes(64 << 20)], ["0 B", "1023 B", "1.50 KiB", "64.0 MiB"]);
        assert_eq!([count(0), count(999), count(1000), count(1_234_567)], ["0", "999", "1 000", "1 234 567"]);
        assert_eq!(
            [rate(12.0), rate(13_500.0), rate(416_123.0), rate(3_049_000.0)],
            ["12 ", "13.5 k", "416 k", "3.05 M"]
        );
        assert_eq!(duration(Duration::from_micros(360)), "360 µs");
        assert_eq!(duration(Duration::from_micros(24_900)), "24.9 ms");
        assert_eq!(duration(Duration::from_secs(61)), "1 min 01 s");
        assert_eq!(
            [4, 64, 3784].map(|secs| whole_seconds(Duration::from_secs(secs))),
            ["4 s", "1 min 04 s", "1 h 03 min"]
        );
    }

    /// The seconds are those of `date -u -d @…`.
    #[test]
    fn timestamps_are_dates() {
        for (second, shown) in [
            (0, "1970-01-01 00:00:00 UTC"),
            (951_782_400, "2000-02-29 00:00:00 UTC"),
            (1_700_000_000, "2023-11-14 22:13:20 UTC"),
            (1_735_689_599, "2024-12-31 23:59:59 UTC"),
            (4_107_542_400, "2100-03-01 00:00:00 UTC"),
        ] {
            assert_eq!(date(second * 1000 + 999), shown);
        }
        assert!(date(u64::MAX).ends_with("UTC"));
    }

    #[test]
    fn sizes_are_read() {
        assert_eq!(parse_bytes("4096"), Ok(4096));
        assert_eq!(parse_bytes("64MiB"), Ok(64 << 20));
        assert_eq!(parse_bytes("1.5 GiB"), Ok(3 << 29));
        assert_eq!(parse_bytes("1GB"), Ok(1_000_000_000));
        for refused in ["", "MiB", "64 parsecs", "-1", "1e30", "99999999999GiB"] {
            assert!(parse_bytes(refused).is_err(), "{refused}");
        }
    }
}
