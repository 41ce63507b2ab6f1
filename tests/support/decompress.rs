//! Compressed records as others read and write them: the C libraries of Zstandard and LZ4,
//! miniz_oxide, and Snappy's few rules written out. None of it is what the producer compresses with.

use std::io::Read;

/// The numbers of the codecs in the attributes of a batch.
pub(crate) const GZIP: u8 = 1;
pub(crate) const SNAPPY: u8 = 2;
pub(crate) const LZ4: u8 = 3;
pub(crate) const ZSTD: u8 = 4;

/// Panics where another implementation would give up.
pub(crate) fn decompress(codec: u8, compressed: &[u8]) -> Vec<u8> {
    match codec {
        GZIP => gunzip(compressed),
        SNAPPY => unsnap(compressed),
        LZ4 => {
            let mut plain = Vec::new();
            let mut decoder = lz4::Decoder::new(compressed).expect("an LZ4 frame");
            decoder.read_to_end(&mut plain).expect("an LZ4 frame");
            let (rest, ended) = decoder.finish();
            ended.expect("the end of the LZ4 frame");
            assert!(rest.is_empty(), "nothing behind the LZ4 frame");
            plain
        }
        ZSTD => zstd::decode_all(compressed).expect("a Zstandard frame"),
        _ => panic!("there is no codec {codec}"),
    }
}

const GZIP_HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];

fn gunzip(compressed: &[u8]) -> Vec<u8> {
    let (header, rest) = compressed.split_at(GZIP_HEADER.len());
    assert_eq!(
        header[..4],
        GZIP_HEADER[..4],
        "a gzip member without a name"
    );
    let (deflated, trailer) = rest.split_at(rest.len() - 8);
    let plain = miniz_oxide::inflate::decompress_to_vec(deflated).expect("a deflated stream");
    let length = u32::from_le_bytes(trailer[4..].try_into().expect("four bytes"));
    assert_eq!(length, plain.len() as u32, "the length in the trailer");
    plain
}

/// Snappy's raw format: a length, then literals and copies of what came before.
fn unsnap(block: &[u8]) -> Vec<u8> {
    let mut at = 0;
    let mut byte = || {
        at += 1;
        usize::from(block[at - 1])
    };
    let mut length = 0;
    for shift in (0..).step_by(7) {
        let next = byte();
        length |= (next & 0x7f) << shift;
        if next < 0x80 {
            break;
        }
    }
    let mut plain = Vec::with_capacity(length);
    while plain.len() < length {
        let tag = byte();
        let mut number = |bytes| (0..bytes).fold(0, |sum, place| sum | byte() << (8 * place));
        let (count, back) = match tag & 0b11 {
            0 if tag >> 2 < 60 => ((tag >> 2) + 1, None),
            0 => (number((tag >> 2) - 59) + 1, None),
            1 => (4 + (tag >> 2 & 0b111), Some(tag >> 5 << 8 | number(1))),
            2 => ((tag >> 2) + 1, Some(number(2))),
            _ => ((tag >> 2) + 1, Some(number(4))),
        };
        for _ in 0..count {
            plain.push(match back {
                Some(back) => plain[plain.len() - back],
                None => byte() as u8,
            });
        }
    }
    assert_eq!((plain.len(), at), (length, block.len()), "the length");
    plain
}
