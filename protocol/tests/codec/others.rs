//! The other implementations.

use std::io::Write;

use kafka_wire::Codec;

#[path = "../../../tests/support/decompress.rs"]
mod decompress;

pub(crate) use decompress::decompress;

/// What others make of a batch: every codec, and every form of it that brokers may hold.
pub(crate) fn compress(batch: &[u8]) -> Vec<(Codec, Vec<u8>)> {
    let gzip = [
        deflated(batch, &batch[..0]),
        deflated(&batch[..batch.len() / 2], &batch[batch.len() / 2..]),
    ];
    let snappy = [xerial(batch, 1 << 15), xerial(batch, usize::MAX)];
    let lz4 = [
        (
            lz4::BlockMode::Linked,
            lz4::ContentChecksum::ChecksumEnabled,
            lz4::BlockSize::Max64KB,
        ),
        (
            lz4::BlockMode::Linked,
            lz4::ContentChecksum::NoChecksum,
            lz4::BlockSize::Max1MB,
        ),
        (
            lz4::BlockMode::Independent,
            lz4::ContentChecksum::NoChecksum,
            lz4::BlockSize::Max4MB,
        ),
    ];
    let lz4 = lz4.map(|(mode, checksum, size)| framed(batch, mode, checksum, size));
    let zstd = [1, 3, 19].map(|level| zstd::encode_all(batch, level).expect("compresses"));
    let gzip = gzip.into_iter().map(|gzip| (Codec::Gzip, gzip));
    let snappy = snappy.into_iter().map(|snappy| (Codec::Snappy, snappy));
    let lz4 = lz4.into_iter().map(|lz4| (Codec::Lz4, lz4));
    let zstd = zstd.into_iter().map(|zstd| (Codec::Zstd, zstd));
    gzip.chain(snappy).chain(lz4).chain(zstd).collect()
}

/// Two members of gzip, one after the other; the second only if there is something for it.
fn deflated(first: &[u8], second: &[u8]) -> Vec<u8> {
    let member = |plain: &[u8]| {
        let deflated = miniz_oxide::deflate::compress_to_vec(plain, 6);
        let header = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
        let checksum = crc32fast::hash(plain).to_le_bytes();
        let length = (plain.len() as u32).to_le_bytes();
        [&header[..], &deflated, &checksum, &length].concat()
    };
    match second {
        [] => member(first),
        _ => [member(first), member(second)].concat(),
    }
}

/// Blocks in the frames of snappy-java. They are literals only, which is Snappy, too.
fn xerial(batch: &[u8], block_len: usize) -> Vec<u8> {
    let mut framed = b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01".to_vec();
    for plain in batch.chunks(block_len) {
        let block = literals(plain);
        framed.extend((block.len() as u32).to_be_bytes());
        framed.extend(block);
    }
    framed
}

fn literals(plain: &[u8]) -> Vec<u8> {
    let mut block = Vec::new();
    let mut length = plain.len();
    while length >= 0x80 {
        block.push(length as u8 | 0x80);
        length >>= 7;
    }
    block.push(length as u8);
    for piece in plain.chunks(1 << 16) {
        const TWO_BYTES_OF_LENGTH: u8 = 61 << 2;
        block.push(TWO_BYTES_OF_LENGTH);
        block.extend(((piece.len() - 1) as u16).to_le_bytes());
        block.extend(piece);
    }
    block
}

fn framed(
    batch: &[u8],
    mode: lz4::BlockMode,
    checksum: lz4::ContentChecksum,
    size: lz4::BlockSize,
) -> Vec<u8> {
    let mut encoder = lz4::EncoderBuilder::new();
    encoder.block_mode(mode).checksum(checksum).block_size(size);
    let mut encoder = encoder.build(Vec::new()).expect("an encoder");
    encoder.write_all(batch).expect("memory");
    let (framed, ended) = encoder.finish();
    ended.expect("memory");
    framed
}
