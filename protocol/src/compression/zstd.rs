//! Zstandard.

use std::fmt;
use std::ops::RangeInclusive;

use zrip::{CompressContext, DecompressContext, DecompressError, compress_bound};

use super::Flaw;

/// What the encoder has of Zstandard's 22; 0 stands for its default, as it does there.
pub(super) const LEVELS: RangeInclusive<i32> = 0..=4;
/// Where librdkafka and Java take 3: on JSON this encoder is faster and smaller at 1.
pub(super) const DEFAULT_LEVEL: i32 = 1;

pub(super) struct Zstd(CompressContext);

impl Zstd {
    pub(super) fn new(level: i32) -> Result<Self, String> {
        let mut context = CompressContext::new(level).map_err(|error| error.to_string())?;
        // The checksum of the batch covers all.
        context.set_content_checksum(false);
        Ok(Self(context))
    }

    pub(super) fn compress(
        &mut self,
        plain: &[u8],
        level: i32,
        out: &mut Vec<u8>,
    ) -> Result<(), String> {
        let compressed = self.0.set_level(level).and_then(|()| {
            out.resize(compress_bound(plain.len()), 0);
            self.0.compress_into(plain, out)
        });
        out.truncate(compressed.map_err(|error| error.to_string())?);
        Ok(())
    }
}

impl fmt::Debug for Zstd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Zstd").field(&self.0.level()).finish()
    }
}

/// A block takes 4 bytes at the least, and yields 128 KiB at most.
const MOST_PER_BYTE: usize = 32 << 10;

/// The decoder writes so far behind what it yields.
const SLACK: usize = 64;

pub(super) fn decompress(compressed: &[u8], limit: usize) -> Result<Vec<u8>, Flaw> {
    // A frame need not say how long it is, and a vector that grows takes twice as much.
    let most = compressed.len().saturating_mul(MOST_PER_BYTE).min(limit);
    let mut plain = Vec::with_capacity(most + SLACK);
    let decompressed =
        DecompressContext::new().decompress_into_with_limit(compressed, &mut plain, limit);
    decompressed.map_err(|error| match error {
        DecompressError::OutputTooSmall => Flaw::TooLong { limit },
        error => Flaw::malformed(error),
    })?;
    Ok(plain)
}
