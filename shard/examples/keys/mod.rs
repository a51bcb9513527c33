//! Keys of the examples: spread evenly, and a function of their number.

/// Another number, as far from this one as any.
pub(crate) fn mix(n: u64) -> u64 {
    let n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    n ^ (n >> 31)
}

/// A key of 32 bytes.
pub(crate) fn key(number: u64) -> [u8; 32] {
    let mut key = [0; 32];
    for (word, bytes) in (1..).zip(key.chunks_exact_mut(8)) {
        bytes.copy_from_slice(&mix(number * 4 + word).to_be_bytes());
    }
    key
}
