//! Snappy: a raw block, as librdkafka writes it, or blocks in the frames of xerial's snappy-java, as
//! Kafka's own clients do. Which of the two it is, readers see from how it begins.

use super::{Flaw, Output};

/// How xerial's frames begin: a block cannot, for it would copy from before its start.
const XERIAL_MAGIC: &[u8] = b"\x82SNAPPY\0";

/// Version, and the oldest version that can read it, of 4 bytes each: both are 1.
const XERIAL_VERSIONS: usize = 8;

/// The longest copy: 64 bytes for 3.
const RATIO: usize = 32;

#[derive(Debug)]
pub(super) struct Snappy(snap::raw::Encoder);

impl Snappy {
    pub(super) fn new() -> Self {
        Self(snap::raw::Encoder::new())
    }

    pub(super) fn compress(&mut self, plain: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
        out.resize(snap::raw::max_compress_len(plain.len()), 0);
        let compressed = self.0.compress(plain, out);
        out.truncate(compressed.map_err(|error| error.to_string())?);
        Ok(())
    }
}

pub(super) fn decompress(compressed: &[u8], limit: usize) -> Result<Vec<u8>, Flaw> {
    let mut output = Output::new(compressed, RATIO, limit);
    match compressed.strip_prefix(XERIAL_MAGIC) {
        Some(framed) => decompress_frames(framed, &mut output)?,
        None => decompress_block(compressed, &mut output)?,
    }
    Ok(output.bytes)
}

/// Reads blocks, each behind its length in 4 bytes.
fn decompress_frames(framed: &[u8], output: &mut Output) -> Result<(), Flaw> {
    let cut_off = || Flaw::malformed("it is cut off");
    let mut rest = framed.get(XERIAL_VERSIONS..).ok_or_else(cut_off)?;
    while let Some((length, behind)) = rest.split_first_chunk() {
        let length = u32::from_be_bytes(*length) as usize;
        let (block, behind) = behind.split_at_checked(length).ok_or_else(cut_off)?;
        decompress_block(block, output)?;
        rest = behind;
    }
    match rest {
        [] => Ok(()),
        _ => Err(cut_off()),
    }
}

fn decompress_block(block: &[u8], output: &mut Output) -> Result<(), Flaw> {
    let length = snap::raw::decompress_len(block).map_err(Flaw::malformed)?;
    if length > output.limit - output.bytes.len() {
        return Err(output.too_long());
    }
    output.extend(length, |_, free| {
        let mut decoder = snap::raw::Decoder::new();
        decoder.decompress(block, free).map_err(Flaw::malformed)
    })?;
    Ok(())
}
