//! A few bytes that stand for very many must not make a decoder take more memory than it may.
//!
//! One test only, so that nothing else allocates while it counts.

use kafka_wire::compression::{Codec, Compressor, decompress};
use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// What [`decompress`] promises to need for tables at the most.
const TABLES: usize = 1 << 20;

#[test]
fn decompressing_takes_no_more_memory_than_it_may() {
    let zeros = vec![0; 64 << 20];
    let mut compressor = Compressor::new();
    for codec in Codec::ALL {
        let bomb = compressor.compress(codec, None, [&zeros[..]]);
        let bomb = bomb.expect("no codec fails").expect("zeros get shorter");
        println!("{codec}: {} bytes for {}", bomb.len(), zeros.len());
        for limit in [0, 1000, 1 << 20, 1_000_000, zeros.len() - 1] {
            assert_eq!(peak_of(codec, bomb, limit), None, "{codec}");
        }
        assert_eq!(peak_of(codec, bomb, zeros.len()), Some(zeros.len()));
    }
    // Frames without an end of what they announce.
    let c_made = zstd::encode_all(&zeros[..], 1).expect("compresses");
    for (codec, bomb) in [
        (Codec::Zstd, &c_made[..]),
        (
            Codec::Zstd,
            b"\x28\xb5\x2f\xfd\xc0\x00\x00\x00\x00\x00\xff\xff\xff\xff\x7f",
        ),
        (Codec::Zstd, b"\x28\xb5\x2f\xfd\x00\xf8\x03\x00\x10\x41"),
        (Codec::Snappy, b"\xff\xff\xff\xff\x0f\x00"),
        (Codec::Lz4, b"\x04\x22\x4d\x18\x60\x70\x73\xff\xff\xff\x7f"),
    ] {
        for limit in [0, 1000, 1 << 20] {
            assert_eq!(peak_of(codec, bomb, limit), None, "{codec}");
        }
    }
}

/// How many bytes there were, if the codec yields them.
fn peak_of(codec: Codec, bomb: &[u8], limit: usize) -> Option<usize> {
    let before = ALLOCATOR.current_usage();
    ALLOCATOR.reset_peak_usage();
    let decompressed = decompress(codec, bomb, limit);
    let peak = ALLOCATOR.peak_usage() - before;
    assert!(
        peak <= limit + TABLES,
        "{codec}: {peak} bytes are taken, {limit} allowed"
    );
    decompressed.ok().map(|bytes| bytes.len())
}
