//! Whole numbers as arguments: a refusal says what was expected, with its unit and its bounds.

use crate::units;
use std::ops::RangeInclusive;

/// Reads a whole number of `what` within `bounds`.
pub(crate) fn number(
    what: &'static str,
    bounds: RangeInclusive<u64>,
) -> impl Fn(&str) -> Result<u64, String> + Clone + Send + Sync + 'static {
    move |given| {
        given.parse().ok().filter(|number| bounds.contains(number)).ok_or_else(|| {
            let (least, most) = (bounds.start(), bounds.end());
            match *most {
                u64::MAX if *least == 0 => format!("expected {what}, a whole number"),
                u64::MAX => format!("expected {what}, a whole number, {least} or more"),
                _ => format!("expected {what}, a whole number from {least} to {most}"),
            }
        })
    }
}

/// Reads a number of bytes within `bounds`, with or without a unit.
pub(crate) fn size(
    bounds: RangeInclusive<u64>,
) -> impl Fn(&str) -> Result<u64, String> + Clone + Send + Sync + 'static {
    move |given| {
        let bytes = units::parse_bytes(given)?;
        let (least, most) = (units::bytes(*bounds.start()), units::bytes(*bounds.end()));
        if bounds.contains(&bytes) { Ok(bytes) } else { Err(format!("expected bytes, from {least} to {most}")) }
    }
}

#[cfg(test)]
mod tests {
    use super::{number, size};

    #[test]
    fn a_refusal_says_what_is_expected() {
        let shards = number("a number of shards", 1..=1024);
        assert_eq!((shards("1"), shards("1024")), (Ok(1), Ok(1024)));
        for refused in ["0", "1025", "-1", "two", "", "1.5", "99999999999999999999"] {
            assert_eq!(shards(refused), Err("expected a number of shards, a whole number from 1 to 1024".to_owned()));
        }
        let memory = size(256 << 10..=64 << 30);
        assert_eq!(memory("1MiB"), Ok(1 << 20));
        assert_eq!(memory("1"), Err("expected bytes, from 256 KiB to 64.0 GiB".to_owned()));
        assert_eq!(number("a height", 0..=u64::MAX)("x"), Err("expected a height, a whole number".to_owned()));
    }
}
