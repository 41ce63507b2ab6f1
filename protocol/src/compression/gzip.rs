//! Gzip.

use std::ops::RangeInclusive;

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use super::{Flaw, Output};

pub(super) const LEVELS: RangeInclusive<i32> = 0..=9;
pub(super) const DEFAULT_LEVEL: i32 = 6;

/// The largest: what every reader must have room for.
const WINDOW_BITS: u8 = 15;

/// How much is decompressed at once.
const CHUNK: usize = 64 << 10;

/// Deflate has 258 bytes for two bits.
const RATIO: usize = 1040;

#[derive(Debug)]
pub(super) struct Gzip {
    encoder: Compress,
    level: i32,
    /// The stream before was written to its end.
    ended: bool,
}

impl Gzip {
    pub(super) fn new(level: i32) -> Self {
        Self {
            encoder: Compress::new_gzip(Compression::new(level as u32), WINDOW_BITS),
            level,
            ended: true,
        }
    }

    pub(super) fn compress(
        &mut self,
        plain: &[u8],
        level: i32,
        out: &mut Vec<u8>,
    ) -> Result<(), String> {
        // zlib-rs 0.6.8 forgets at a reset of level 1 that a block was open.
        match self.ended && level == self.level {
            true => self.encoder.reset(),
            false => *self = Self::new(level),
        }
        // What gets no shorter is not needed to its end.
        out.reserve(plain.len());
        let status = self.encoder.compress_vec(plain, out, FlushCompress::Finish);
        let status = status.map_err(|error| error.to_string())?;
        self.ended = status == Status::StreamEnd;
        Ok(())
    }
}

/// Reads all members, one after the other.
pub(super) fn decompress(compressed: &[u8], limit: usize) -> Result<Vec<u8>, Flaw> {
    let mut output = Output::new(compressed, RATIO, limit);
    let mut rest = compressed;
    loop {
        let read = decompress_member(rest, &mut output)?;
        rest = &rest[read..];
        if rest.is_empty() {
            return Ok(output.bytes);
        }
    }
}

/// Returns the length of the member.
fn decompress_member(member: &[u8], output: &mut Output) -> Result<usize, Flaw> {
    let mut decoder = Decompress::new_gzip(WINDOW_BITS);
    loop {
        let read = decoder.total_in() as usize;
        let mut status = Status::Ok;
        let written = output.extend(CHUNK, |_, free| {
            let before = decoder.total_out();
            status = decoder
                .decompress(&member[read..], free, FlushDecompress::None)
                .map_err(Flaw::malformed)?;
            Ok((decoder.total_out() - before) as usize)
        })?;
        let total = decoder.total_in() as usize;
        match status {
            Status::StreamEnd => return Ok(total),
            _ if written > 0 || total > read => {}
            _ if output.room() == 0 => return Err(output.too_long()),
            _ => return Err(Flaw::malformed("it is cut off")),
        }
    }
}
