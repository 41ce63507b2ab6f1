//! The keys that librdkafka was asked about. The generator of `golden.bin` (`cargo xtask golden
//! partitioners`) and the test that compares with it both include this file.

/// How many.
pub(crate) const KEYS: u64 = 10_000;

/// The null key, the empty key; then Call-IDs and arbitrary bytes in turns, of every length modulo
/// the word of a hash.
pub(crate) fn key(index: u64) -> Option<Vec<u8>> {
    let mut random = SplitMix64(index);
    match index {
        0 => None,
        1 => Some(Vec::new()),
        _ if index.is_multiple_of(2) => {
            let (id, host) = (random.next() >> (index % 60), random.next() % 1000);
            Some(format!("{id:x}@sip{host}.example.org").into_bytes())
        }
        _ => {
            let len = 1 + random.next() % 64;
            Some((0..len).map(|_| random.next() as u8).collect())
        }
    }
}

/// Written out, so that no other version of a library gives other keys.
struct SplitMix64(u64);

impl SplitMix64 {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }
}
