//! No input makes a decompressor panic, or take more memory than it may; what is compressed is read
//! again as it was.

#![no_main]

use kafka_wire::compression::{Codec, Compressor, decompress};
use kafka_wire_fuzz::peak_of;
use libfuzzer_sys::fuzz_target;

/// What a batch takes at most by default.
const LIMIT: usize = 1_000_000;
/// What `decompress` promises to need for tables at the most.
const TABLES: usize = 1 << 20;

fuzz_target!(|data: &[u8]| {
    let [codec, level, rest @ ..] = data else {
        return;
    };
    let codec = Codec::ALL[usize::from(*codec) % Codec::ALL.len()];
    for limit in [rest.len(), LIMIT] {
        let (decompressed, peak) = peak_of(|| decompress(codec, rest, limit));
        assert!(
            peak <= limit + TABLES,
            "{codec}: {peak} bytes, {limit} allowed"
        );
        assert!(decompressed.map_or(0, |bytes| bytes.len()) <= limit);
    }
    let mut compressor = Compressor::new();
    let compressed = compressor.compress(codec, Some(i32::from(*level as i8)), [rest]);
    if let Some(compressed) = compressed.expect("no codec fails") {
        let again = decompress(codec, compressed, rest.len());
        assert_eq!(again.as_deref(), Ok(rest), "{codec}");
    }
});
