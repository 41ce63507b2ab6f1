//! The codecs that the records of a batch can be compressed with, in both directions.
//!
//! Only the records are compressed, all of a batch together; the header names the codec in its
//! [attributes](crate::record::Attributes::codec). Compressing keeps its tables and buffers from one
//! batch to the next ([`Compressor`]). Decompressing ([`decompress`]) is for whatever a peer may
//! have written, and never yields more than it is told to.
//!
//! ```
//! use kafka_wire::compression::{Codec, Compressor, decompress};
//!
//! let records = b"INVITE INVITE INVITE INVITE INVITE".as_slice();
//! let mut compressor = Compressor::new();
//! let compressed = compressor.compress(Codec::Lz4, None, [records])?;
//! let compressed = compressed.expect("repetitions get shorter");
//! assert_eq!(decompress(Codec::Lz4, compressed, 1 << 20)?, records);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod gzip;
mod lz4;
mod snappy;
mod zstd;

use std::fmt;
use std::ops::RangeInclusive;
use std::panic::{AssertUnwindSafe, catch_unwind};

use gzip::Gzip;
use lz4::Lz4;
use snappy::Snappy;
use zstd::Zstd;

/// A way to compress records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize, serde::Serialize))]
pub enum Codec {
    /// Gzip (RFC 1952), one member.
    Gzip,
    /// Snappy: written as one raw block, read in xerial's frames as well.
    Snappy,
    /// LZ4 in its standard frame format, with independent blocks.
    Lz4,
    /// Zstandard (RFC 8878), for brokers that know [Produce 7](Codec::oldest_produce).
    Zstd,
}

impl Codec {
    /// All of them, by their number.
    pub const ALL: [Self; 4] = [Self::Gzip, Self::Snappy, Self::Lz4, Self::Zstd];

    /// The number in a batch's attributes.
    pub fn number(self) -> u8 {
        match self {
            Self::Gzip => 1,
            Self::Snappy => 2,
            Self::Lz4 => 3,
            Self::Zstd => 4,
        }
    }

    /// The codec with this number; none has 0, which stands for records as they are.
    pub fn with_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|codec| codec.number() == number)
    }

    /// The name in `compression.codec`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Snappy => "snappy",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }

    /// The levels that there are, from the fastest to the one that compresses most. Fewer than the
    /// C libraries have for LZ4 and Zstandard.
    pub fn levels(self) -> RangeInclusive<i32> {
        match self {
            Self::Gzip => gzip::LEVELS,
            Self::Snappy | Self::Lz4 => 0..=0,
            Self::Zstd => zstd::LEVELS,
        }
    }

    /// The level that is taken where none is asked for.
    pub fn default_level(self) -> i32 {
        match self {
            Self::Gzip => gzip::DEFAULT_LEVEL,
            Self::Snappy | Self::Lz4 => 0,
            Self::Zstd => zstd::DEFAULT_LEVEL,
        }
    }

    /// The oldest version of Produce in which brokers take it (KIP-110 for Zstandard).
    pub fn oldest_produce(self) -> i16 {
        match self {
            Self::Gzip | Self::Snappy | Self::Lz4 => 3,
            Self::Zstd => 7,
        }
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Compresses one batch after the other, with tables and buffers that stay.
#[derive(Debug, Default)]
pub struct Compressor {
    gzip: Option<Gzip>,
    snappy: Option<Snappy>,
    lz4: Option<Lz4>,
    zstd: Option<Zstd>,
    plain: Vec<u8>,
    compressed: Vec<u8>,
}

/// Each buffer of a [`Compressor`] keeps so much memory from one batch to the next.
const KEPT: usize = 2 << 20;

impl Compressor {
    /// A compressor without tables yet: those of a codec are made at its first use.
    pub fn new() -> Self {
        Self::default()
    }

    /// Compresses records, which come in as many pieces as they are stored in. A level that the
    /// codec [lacks](Codec::levels) counts as the nearest one; `None` is its
    /// [default](Codec::default_level). Yields nothing if that makes the records no shorter.
    ///
    /// # Errors
    /// The codec failed; it starts anew with the next batch.
    pub fn compress<'s>(
        &mut self,
        codec: Codec,
        level: Option<i32>,
        records: impl IntoIterator<Item = &'s [u8]>,
    ) -> Result<Option<&[u8]>, CompressError> {
        self.release();
        for piece in records {
            self.plain.extend_from_slice(piece);
        }
        let (least, most) = codec.levels().into_inner();
        let level = level.unwrap_or(codec.default_level()).clamp(least, most);
        let compressed = caught(|| self.run(codec, level));
        if let Err(why) = compressed.and_then(|compressed| compressed) {
            self.forget(codec);
            return Err(CompressError { codec, level, why });
        }
        let gains = self.compressed.len() < self.plain.len();
        Ok(gains.then_some(&self.compressed))
    }

    /// What is not shorter than the records may lack its end.
    fn run(&mut self, codec: Codec, level: i32) -> Result<(), String> {
        let (plain, out) = (&self.plain, &mut self.compressed);
        match codec {
            Codec::Gzip => self
                .gzip
                .get_or_insert_with(|| Gzip::new(level))
                .compress(plain, level, out),
            Codec::Snappy => self
                .snappy
                .get_or_insert_with(Snappy::new)
                .compress(plain, out),
            Codec::Lz4 => self.lz4.get_or_insert_default().compress(plain, out),
            Codec::Zstd => match &mut self.zstd {
                Some(zstd) => zstd.compress(plain, level, out),
                none => none.insert(Zstd::new(level)?).compress(plain, level, out),
            },
        }
    }

    fn forget(&mut self, codec: Codec) {
        match codec {
            Codec::Gzip => self.gzip = None,
            Codec::Snappy => self.snappy = None,
            Codec::Lz4 => self.lz4 = None,
            Codec::Zstd => self.zstd = None,
        }
    }

    /// Empties the buffers, and gives back what a huge batch made of them.
    fn release(&mut self) {
        for buffer in [&mut self.plain, &mut self.compressed] {
            buffer.clear();
            buffer.shrink_to(KEPT);
        }
    }
}

/// Yields the records that `compressed` holds.
///
/// Allocates at most `limit` bytes for them, and less than 1 MiB for tables.
///
/// # Errors
/// There would be more than `limit` bytes, or the codec cannot read them.
pub fn decompress(
    codec: Codec,
    compressed: &[u8],
    limit: usize,
) -> Result<Vec<u8>, DecompressError> {
    let run = || match codec {
        Codec::Gzip => gzip::decompress(compressed, limit),
        Codec::Snappy => snappy::decompress(compressed, limit),
        Codec::Lz4 => lz4::decompress(compressed, limit),
        Codec::Zstd => zstd::decompress(compressed, limit),
    };
    let decompressed = caught(run).unwrap_or_else(|panic| Err(Flaw::Malformed(panic)));
    decompressed.map_err(|flaw| DecompressError { codec, flaw })
}

/// A codec's panic as an error: its code is not ours, and a producer must outlive it.
fn caught<T>(run: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(run)).map_err(|panic| {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
        text.map_or("it panicked".to_owned(), |text| {
            format!("it panicked: {text}")
        })
    })
}

/// Records that a codec failed to compress. They can be sent as they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompressError {
    /// Which codec.
    pub codec: Codec,
    /// At which of its levels.
    pub level: i32,
    /// What it says.
    pub why: String,
}

impl fmt::Display for CompressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { codec, level, why } = self;
        write!(f, "{codec} cannot compress a batch at level {level}: {why}")
    }
}

impl std::error::Error for CompressError {}

/// Records that cannot be decompressed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecompressError {
    /// By which codec.
    pub codec: Codec,
    /// Why not.
    pub flaw: Flaw,
}

/// Why records cannot be decompressed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// They take more than they may. Where Zstandard does not say beforehand how much they take,
    /// that looks as if they were malformed.
    TooLong {
        /// So many bytes.
        limit: usize,
    },
    /// The codec did not write this, or only a part of it.
    Malformed(String),
}

impl Flaw {
    fn malformed(why: impl fmt::Display) -> Self {
        Self::Malformed(why.to_string())
    }
}

impl fmt::Display for DecompressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { codec, flaw } = self;
        match flaw {
            Flaw::TooLong { limit } => {
                write!(
                    f,
                    "decompressed from {codec}, the records take more than {limit} bytes"
                )
            }
            Flaw::Malformed(why) => {
                write!(f, "the records cannot be decompressed from {codec}: {why}")
            }
        }
    }
}

impl std::error::Error for DecompressError {}

/// The memory for decompressed bytes, allocated once.
#[derive(Debug)]
struct Output {
    bytes: Vec<u8>,
    limit: usize,
}

impl Output {
    /// For what a codec can make of `compressed`, of which each byte stands for `ratio` at most.
    fn new(compressed: &[u8], ratio: usize, limit: usize) -> Self {
        let most = compressed.len().saturating_mul(ratio);
        Self {
            bytes: Vec::with_capacity(most.min(limit)),
            limit,
        }
    }

    fn room(&self) -> usize {
        self.bytes.capacity().min(self.limit) - self.bytes.len()
    }

    fn too_long(&self) -> Flaw {
        Flaw::TooLong { limit: self.limit }
    }

    /// Adds what `write` writes into the next `most` bytes, or into as many as there may be. It is
    /// also given what there is already, and returns how many bytes it wrote.
    fn extend(
        &mut self,
        most: usize,
        write: impl FnOnce(&[u8], &mut [u8]) -> Result<usize, Flaw>,
    ) -> Result<usize, Flaw> {
        let start = self.bytes.len();
        self.bytes.resize(start + most.min(self.room()), 0);
        let (before, free) = self.bytes.split_at_mut(start);
        let written = write(before, free)?;
        self.bytes.truncate(start + written);
        Ok(written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_codec_that_panics_is_an_error_and_starts_anew() {
        for (panic, why) in [
            (caught(|| panic!("index 7")), "it panicked: index 7"),
            (caught(|| panic!("index {}", 8)), "it panicked: index 8"),
            (caught(|| std::panic::panic_any(9)), "it panicked"),
        ] {
            assert_eq!(panic, Err::<(), _>(why.to_owned()));
        }
        let mut compressor = Compressor::new();
        let records = [0; 1000];
        for codec in Codec::ALL {
            let mut compressed = || {
                let compressed = compressor.compress(codec, None, [&records[..]]);
                compressed.map(|bytes| bytes.map(<[u8]>::to_vec))
            };
            let before = compressed();
            compressor.forget(codec);
            let compressed = compressor.compress(codec, None, [&records[..]]);
            assert_eq!(compressed.map(|bytes| bytes.map(<[u8]>::to_vec)), before);
        }
    }

    #[test]
    fn a_huge_batch_leaves_no_huge_buffers() {
        let huge: Vec<u8> = (0..1_000_000_u32).flat_map(u32::to_be_bytes).collect();
        let mut compressor = Compressor::new();
        for codec in Codec::ALL {
            compressor
                .compress(codec, None, [&huge[..]])
                .expect("compresses");
            compressor
                .compress(codec, None, [&b"x"[..]])
                .expect("compresses");
            let kept = [&compressor.plain, &compressor.compressed].map(Vec::capacity);
            assert!(kept.iter().all(|kept| *kept <= KEPT), "{codec}: {kept:?}");
        }
    }
}
