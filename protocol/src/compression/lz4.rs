//! LZ4 in its standard frame format.
//!
//! The crate's own frames would allocate up to 8 MiB when a peer says so, and new tables with every
//! frame; the format is a few bytes around its blocks.

use std::fmt;

use lz4_flex::block::{
    CompressTable, compress_into_with_table, decompress_into, decompress_into_with_dict,
    get_maximum_output_size,
};

use super::{Flaw, Output};

const MAGIC: [u8; 4] = 0x184d_2204_u32.to_le_bytes();

/// Version 1, independent blocks, no checksums, no length: the checksum of the batch covers all.
const FLAGS: u8 = VERSION | INDEPENDENT_BLOCKS;
/// Blocks of up to 64 KiB, as Kafka's own clients write them.
const BLOCK_DESCRIPTOR: u8 = 4 << 4;
/// The second byte of the XXH32 of the two bytes before it.
const DESCRIPTOR_CHECKSUM: u8 = 0x82;
const HEADER: [u8; 7] = {
    let [a, b, c, d] = MAGIC;
    [a, b, c, d, FLAGS, BLOCK_DESCRIPTOR, DESCRIPTOR_CHECKSUM]
};
const BLOCK: usize = 64 << 10;

const VERSION_MASK: u8 = 0b1100_0000;
const VERSION: u8 = 0b0100_0000;
const INDEPENDENT_BLOCKS: u8 = 0b0010_0000;
const BLOCK_CHECKSUMS: u8 = 0b0001_0000;
const CONTENT_LENGTH: u8 = 0b0000_1000;
const CONTENT_CHECKSUM: u8 = 0b0000_0100;
const DICTIONARY: u8 = 0b0000_0001;

/// In the length of a block: it is stored as it is.
const STORED: u32 = 1 << 31;
/// Where a length would be: there is no further block.
const END: u32 = 0;
/// As far back as a block that is not independent refers.
const WINDOW: usize = 64 << 10;

/// Lengths count 255 for each byte.
const RATIO: usize = 256;

pub(super) struct Lz4(CompressTable);

impl Default for Lz4 {
    fn default() -> Self {
        Self(CompressTable::large())
    }
}

impl Lz4 {
    pub(super) fn compress(&mut self, plain: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
        out.extend_from_slice(&HEADER);
        for block in plain.chunks(BLOCK) {
            self.compress_block(block, out)?;
        }
        out.extend_from_slice(&END.to_le_bytes());
        Ok(())
    }

    fn compress_block(&mut self, block: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
        let length_at = out.len();
        let start = length_at + size_of::<u32>();
        out.resize(start + get_maximum_output_size(block.len()), 0);
        let compressed = compress_into_with_table(block, &mut out[start..], &mut self.0)
            .map_err(|error| error.to_string())?;
        out.truncate(start + compressed);
        let mut length = compressed as u32;
        if compressed >= block.len() {
            out.truncate(start);
            out.extend_from_slice(block);
            length = block.len() as u32 | STORED;
        }
        out[length_at..start].copy_from_slice(&length.to_le_bytes());
        Ok(())
    }
}

impl fmt::Debug for Lz4 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lz4")
    }
}

/// Reads all frames, one after the other. Checksums are passed over.
pub(super) fn decompress(compressed: &[u8], limit: usize) -> Result<Vec<u8>, Flaw> {
    let mut output = Output::new(compressed, RATIO, limit);
    let mut frames = Frames(compressed);
    loop {
        frames.decompress_frame(&mut output)?;
        if frames.0.is_empty() {
            return Ok(output.bytes);
        }
    }
}

struct Frames<'a>(&'a [u8]);

impl Frames<'_> {
    fn decompress_frame(&mut self, output: &mut Output) -> Result<(), Flaw> {
        if self.take(MAGIC.len())? != MAGIC {
            return Err(Flaw::malformed("it does not begin like a frame"));
        }
        let [flags, block_descriptor] = *self.array()?;
        if flags & VERSION_MASK != VERSION {
            return Err(Flaw::malformed("its frame is not of version 1"));
        }
        if flags & DICTIONARY != 0 {
            return Err(Flaw::malformed("it needs a dictionary"));
        }
        let block_size = match block_descriptor >> 4 {
            size @ 4..=7 => 1 << (8 + 2 * size),
            size => return Err(Flaw::malformed(format!("it has blocks of size {size}"))),
        };
        if flags & CONTENT_LENGTH != 0 {
            self.take(size_of::<u64>())?;
        }
        self.take(1)?; // The checksum of the header.
        let frame_start = output.bytes.len();
        loop {
            let length = u32::from_le_bytes(*self.array()?);
            if length == END {
                break;
            }
            let block = self.take((length & !STORED) as usize)?;
            let window = match flags & INDEPENDENT_BLOCKS {
                0 => WINDOW.min(output.bytes.len() - frame_start),
                _ => 0,
            };
            decompress_block(block, length & STORED != 0, block_size, window, output)?;
            if flags & BLOCK_CHECKSUMS != 0 {
                self.take(size_of::<u32>())?;
            }
        }
        if flags & CONTENT_CHECKSUM != 0 {
            self.take(size_of::<u32>())?;
        }
        Ok(())
    }

    fn take(&mut self, length: usize) -> Result<&[u8], Flaw> {
        let split = self.0.split_at_checked(length);
        let (taken, rest) = split.ok_or_else(|| Flaw::malformed("it is cut off"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<&[u8; N], Flaw> {
        let taken = self.take(N)?;
        Ok(taken.try_into().expect("as many as were taken"))
    }
}

/// `window` says how many of the bytes before it the block may refer to.
fn decompress_block(
    block: &[u8],
    stored: bool,
    block_size: usize,
    window: usize,
    output: &mut Output,
) -> Result<(), Flaw> {
    let too_long = output.too_long();
    let room = output.room();
    if stored && block.len() > room {
        return Err(too_long);
    }
    output.extend(block_size, |before, free| {
        if stored {
            let free = free.get_mut(..block.len());
            let free = free.ok_or_else(|| Flaw::malformed("a block is too large"))?;
            free.copy_from_slice(block);
            return Ok(block.len());
        }
        let decompressed = match window {
            0 => decompress_into(block, free),
            _ => decompress_into_with_dict(block, free, &before[before.len() - window..]),
        };
        decompressed.map_err(|error| match error {
            lz4_flex::block::DecompressError::OutputTooSmall { .. } if room < block_size => {
                too_long
            }
            error => Flaw::malformed(error),
        })
    })?;
    Ok(())
}
