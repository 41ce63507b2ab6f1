//! What others read of what the codecs write, and the other way round.

use kafka_wire::compression::{Codec, Compressor, Flaw, decompress};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::others;

/// As many bytes, of which a codec can make less the fewer different ones there are.
fn bytes(different: u8) -> impl Strategy<Value = Vec<u8>> {
    let words = vec(0..different, 1..40);
    (vec(words, 1..40), 0..6000_usize).prop_map(|(words, count)| {
        let endless = words.iter().cycle().flatten().copied();
        endless.take(count * count / 90).collect()
    })
}

fn contents() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        vec(any::<u8>(), 0..300),
        bytes(3),
        bytes(80),
        vec(any::<u8>(), 0..200_000),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn others_read_what_is_compressed_at_every_level(batches in vec(contents(), 1..3)) {
        let mut compressor = Compressor::new();
        for codec in Codec::ALL {
            for level in codec.levels().map(Some).chain([None]) {
                for batch in &batches {
                    let pieces = batch.chunks(70_000);
                    let compressed = compressor.compress(codec, level, pieces);
                    let Some(compressed) = compressed.expect("no codec fails") else {
                        continue;
                    };
                    prop_assert!(compressed.len() < batch.len());
                    let read = others::decompress(codec.number(), compressed);
                    prop_assert_eq!(&read, batch, "{} at {:?}", codec, level);
                    let read = decompress(codec, compressed, batch.len());
                    prop_assert_eq!(read.as_ref(), Ok(batch), "{} at {:?}", codec, level);
                }
            }
        }
    }

    #[test]
    fn what_others_compressed_is_read(batch in contents()) {
        for (codec, compressed) in others::compress(&batch) {
            let read = decompress(codec, &compressed, batch.len());
            prop_assert_eq!(read.as_ref(), Ok(&batch), "{}", codec);
        }
    }
}

#[test]
fn whoever_takes_a_byte_less_than_there_is_gets_none() {
    let batch = b"INVITE sip:alice@example.com ".repeat(5000);
    for (codec, compressed) in all(&batch) {
        let limit = batch.len() - 1;
        for limit in [0, 1, limit / 2, limit] {
            let refusal = decompress(codec, &compressed, limit).expect_err("it is longer");
            let too_long = refusal.flaw == Flaw::TooLong { limit };
            assert!(too_long || codec == Codec::Zstd, "{refusal}");
        }
        assert_eq!(
            decompress(codec, &compressed, batch.len()),
            Ok(batch.clone())
        );
    }
}

#[test]
fn what_is_cut_off_or_damaged_is_refused_or_read_within_the_limit() {
    let batch = b"INVITE sip:alice@example.com ".repeat(40);
    for (codec, compressed) in all(&batch) {
        for cut in 0..compressed.len() {
            let read = decompress(codec, &compressed[..cut], batch.len());
            assert!(read.as_ref() != Ok(&batch), "{codec} cut at {cut}");
            for bit in 0..8 {
                let mut damaged = compressed.clone();
                damaged[cut] ^= 1 << bit;
                let read = decompress(codec, &damaged, batch.len());
                assert!(read.is_err() || read.is_ok_and(|read| read.len() <= batch.len()));
            }
        }
    }
}

#[test]
fn what_gets_no_shorter_is_left_as_it_is() {
    let noise = noise(400_000);
    let mut compressor = Compressor::new();
    for codec in Codec::ALL {
        for batch in [&[][..], b"x", b"INVITE", &noise[..1000], &noise] {
            for level in codec.levels() {
                let compressed = compressor.compress(codec, Some(level), [batch]);
                assert_eq!(compressed, Ok(None), "{} bytes, {codec}", batch.len());
            }
        }
    }
}

#[test]
fn what_follows_a_batch_that_gets_no_shorter_is_compressed_as_if_it_stood_alone() {
    let batch = b"INVITE sip:alice@example.com ".repeat(60);
    let noise = noise(190_000);
    for codec in Codec::ALL {
        for level in codec.levels().map(Some) {
            let mut used = Compressor::new();
            let left = used.compress(codec, level, [&noise[..]]);
            assert_eq!(left, Ok(None), "{codec} at {level:?}");
            let mut fresh = Compressor::new();
            assert_eq!(
                used.compress(codec, level, [&batch[..]]),
                fresh.compress(codec, level, [&batch[..]]),
                "{codec} at {level:?}"
            );
        }
    }
}

#[test]
fn codec_and_number_name_each_other() {
    let numbers = Codec::ALL.map(|codec| (codec.name(), codec.number()));
    assert_eq!(
        numbers,
        [("gzip", 1), ("snappy", 2), ("lz4", 3), ("zstd", 4)]
    );
    for number in 0..=u8::MAX {
        let codec = Codec::with_number(number);
        assert_eq!(codec.is_some(), (1..=4).contains(&number));
        assert!(codec.is_none_or(|codec| codec.number() == number));
    }
}

#[test]
fn a_level_that_a_codec_lacks_counts_as_the_nearest() {
    let batch = b"INVITE sip:alice@example.com ".repeat(100);
    for codec in Codec::ALL {
        let (least, most) = codec.levels().into_inner();
        for (asked, taken) in [
            (i32::MIN, least),
            (least - 1, least),
            (most + 1, most),
            (i32::MAX, most),
        ] {
            let compressed = |level| {
                let mut compressor = Compressor::new();
                let compressed = compressor.compress(codec, Some(level), [&batch[..]]);
                compressed.expect("no codec fails").map(<[u8]>::to_vec)
            };
            assert!(compressed(most).is_some(), "{codec}");
            assert_eq!(compressed(asked), compressed(taken), "{codec} at {asked}");
        }
    }
}

/// Bytes of which no codec can make less.
fn noise(length: usize) -> Vec<u8> {
    (0..)
        .flat_map(|n: u32| crc32c::crc32c(&n.to_be_bytes()).to_be_bytes())
        .take(length)
        .collect()
}

/// The batch as each codec compresses it, here and elsewhere.
fn all(batch: &[u8]) -> Vec<(Codec, Vec<u8>)> {
    let mut compressor = Compressor::new();
    let ours = Codec::ALL.map(|codec| {
        let compressed = compressor.compress(codec, None, [batch]);
        let compressed = compressed.expect("no codec fails");
        (
            codec,
            compressed.expect("the batch repeats itself").to_vec(),
        )
    });
    [ours.to_vec(), others::compress(batch)].concat()
}
