//! How parts of a message are shown.

/// A key as text: as it stands if it is readable, else in hex; the first bytes only if it is long.
pub(super) struct Hex<'a>(pub(super) &'a [u8]);

impl std::fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        const SHOWN: usize = 64;
        let (shown, more) = self.0.split_at(self.0.len().min(SHOWN));
        if shown.iter().all(u8::is_ascii_graphic) {
            write!(f, "\"{}\"", String::from_utf8_lossy(shown))?;
        } else {
            f.write_str("0x")?;
            shown.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        }
        if more.is_empty() { Ok(()) } else { write!(f, "… ({} bytes)", self.0.len()) }
    }
}

pub(super) struct NewestBlock(pub(super) Option<u64>);

impl std::fmt::Display for NewestBlock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(height) => write!(f, "; the newest block's height is {height}"),
            None => f.write_str("; the store has no block yet"),
        }
    }
}

pub(super) struct OldestBlock(pub(super) Option<u64>);

impl std::fmt::Display for OldestBlock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(height) => write!(f, "the oldest block that can be read is that of height {height}"),
            None => f.write_str("no block can be read"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_shown_readably() {
        assert_eq!(Hex(b"alice").to_string(), "\"alice\"");
        assert_eq!(Hex(&[0, 255]).to_string(), "0x00ff");
        assert!(Hex(&[b'a'; 100]).to_string().ends_with("… (100 bytes)"));
    }
}
