//! What is compressed here is read by others, as it was published.

use std::collections::BTreeMap;

use event_kafka::{Header, Producer, Record};

use crate::producer::{PATIENCE, producer, reports};
use crate::support::{self, Needs};

const CODECS: [&str; 5] = ["none", "gzip", "snappy", "lz4", "zstd"];

/// A message of a shape that some codec or broker might dislike.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Shape {
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(String, Option<Vec<u8>>)>,
}

fn shapes() -> Vec<Shape> {
    let plain = |value: Option<Vec<u8>>| Shape {
        key: Some(b"call-1".to_vec()),
        value,
        headers: Vec::new(),
    };
    let every_byte: Vec<u8> = (0..=u8::MAX).collect();
    let headers = (0..100).map(|n| {
        let value = (n % 3 > 0).then(|| every_byte[..n].to_vec());
        (format!("header-{n}"), value)
    });
    let sizes = [1, 2, 100, 1_000, 10_000, 65_535, 65_536, 70_000, 1_000_000];
    let text = |size| {
        b"INVITE sip:alice@example.com;"
            .iter()
            .copied()
            .cycle()
            .take(size)
    };
    let noise = |size: usize| {
        let mut state = size as u32;
        let next = move |_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        (0..size).map(next)
    };
    let mut shapes = vec![
        plain(Some(Vec::new())),
        plain(None),
        Shape {
            key: None,
            ..plain(None)
        },
        Shape {
            key: None,
            ..plain(Some(every_byte.clone()))
        },
        Shape {
            key: Some(Vec::new()),
            ..plain(Some(every_byte.repeat(300)))
        },
        Shape {
            key: Some(every_byte.clone()),
            headers: headers.collect(),
            ..plain(Some(b"a hundred headers".to_vec()))
        },
    ];
    shapes.extend(sizes.map(|size| plain(Some(text(size).collect()))));
    shapes.extend(sizes.map(|size| plain(Some(noise(size).collect()))));
    shapes
}

fn publish(producer: &Producer, topic: &str, shapes: &[Shape], first: u64) {
    let topic = producer.topic(topic).unwrap();
    for (opaque, shape) in (first..).zip(shapes) {
        let headers: Vec<Header<'_>> = shape
            .headers
            .iter()
            .map(|(name, value)| Header {
                name,
                value: value.as_deref(),
            })
            .collect();
        let record = Record {
            key: shape.key.as_deref(),
            value: shape.value.as_deref(),
            headers: &headers,
            ..Record::default()
        };
        topic
            .publish_within(record.partition(0).opaque(opaque), PATIENCE)
            .unwrap();
    }
}

#[test]
fn every_shape_arrives_equal_through_every_codec_with_and_without_idempotence() {
    let Some(cluster) = support::cluster(Needs::ANY) else {
        return;
    };
    let mut shapes = shapes();
    // Alone in their batches, and with others.
    let alone = shapes.len();
    shapes.extend(shapes.clone());
    for codec in CODECS {
        for idempotence in ["false", "true"] {
            let name = support::unique_name(&format!("compression-{codec}-{idempotence}"));
            cluster.create_topic(&name, 1);
            let properties = [
                ("compression.codec", codec),
                ("enable.idempotence", idempotence),
                // A megabyte and its framing; Kafka takes a little more.
                ("message.max.bytes", "1001000"),
            ];
            let producer = producer(cluster.bootstrap(), &properties);
            for (n, shape) in shapes[..alone].iter().enumerate() {
                publish(&producer, &name, std::slice::from_ref(shape), n as u64);
                producer.flush(PATIENCE).unwrap();
            }
            publish(&producer, &name, &shapes[alone..], alone as u64);
            for report in reports(&producer, shapes.len()).values() {
                let offset = report.outcome.as_ref().unwrap().offset;
                assert_eq!(offset, Some(report.opaque as i64), "{codec}");
            }
            let read = cluster.read_all(&name).into_iter().map(|record| Shape {
                key: record.key.map(|key| key.to_vec()),
                value: record.value.map(|value| value.to_vec()),
                headers: record
                    .headers
                    .into_iter()
                    .map(|(name, value)| (name, value.map(|value| value.to_vec())))
                    .collect(),
            });
            let read: Vec<Shape> = read.collect();
            assert_eq!(read.len(), shapes.len(), "{codec}");
            for (n, (read, published)) in read.iter().zip(&shapes).enumerate() {
                assert!(read == published, "message {n} through {codec}");
            }
            producer.close(PATIENCE).unwrap();
        }
    }
}

#[test]
fn batches_are_compressed_by_the_codec_of_their_topic() {
    let Some(cluster) = support::cluster(Needs::ANY) else {
        return;
    };
    let mut sizes = BTreeMap::new();
    let knows_zstd = cluster.newest_produce() >= 7;
    for (number, codec) in (0..).zip(CODECS) {
        let name = support::unique_name(&format!("compression-used-{codec}"));
        cluster.create_topic(&name, 1);
        // One is said by the producer, the others by the topic.
        let properties = [
            ("compression.type", "gzip"),
            ("topic.compression.type", codec),
        ];
        let producer = producer(cluster.bootstrap(), &properties);
        let topic = producer.topic(&name).unwrap();
        for n in 0..1000 {
            let value = format!("INVITE sip:user{n}@example.com SIP/2.0, call {}", n * 7919);
            topic.publish(Record::new(&value)).unwrap();
        }
        producer.close(PATIENCE).unwrap();
        let number = if codec == "zstd" && !knows_zstd {
            0
        } else {
            number
        };
        let batches = cluster.read_batches(&name);
        assert!(
            batches.iter().all(|batch| batch.codec == number),
            "{codec}: {batches:?}"
        );
        if number > 0 || codec == "none" {
            let bytes: usize = batches.iter().map(|batch| batch.bytes).sum();
            sizes.insert(codec, bytes);
        }
    }
    let plain = sizes.remove("none").unwrap();
    for (codec, bytes) in sizes {
        assert!(bytes < plain / 2, "{codec}: {bytes} of {plain}");
    }
}

#[test]
fn librdkafka_reads_every_codec() {
    let Some(cluster) = support::cluster(Needs::ANY.kcat()) else {
        return;
    };
    for codec in CODECS {
        let name = support::unique_name(&format!("compression-kcat-{codec}"));
        cluster.create_topic(&name, 1);
        let producer = producer(cluster.bootstrap(), &[("compression.codec", codec)]);
        let topic = producer.topic(&name).unwrap();
        let mut expected = String::new();
        for n in 0..3_000 {
            let (key, value) = (format!("call-{}", n % 17), "BYE sip:alice ".repeat(n % 40));
            topic.publish(Record::new(&value).key(&key)).unwrap();
            expected += &format!("{n} {key} {value}\n");
        }
        producer.close(PATIENCE).unwrap();
        let read = cluster.kcat(&["-C", "-t", &name, "-e", "-q", "-f", "%o %k %s\n"]);
        assert!(read == expected, "{codec}: {} bytes", read.len());
    }
}

#[test]
fn the_reader_of_the_tests_reads_what_librdkafka_compresses() {
    let Some(cluster) = support::cluster(Needs::ANY.kcat()) else {
        return;
    };
    let lines: String = (0..500)
        .map(|n| format!("BYE sip:user{n}@example.com\n"))
        .collect();
    // kcat is also built without zstd.
    for codec in &CODECS[..4] {
        let name = support::unique_name(&format!("compression-theirs-{codec}"));
        cluster.create_topic(&name, 1);
        cluster.kcat_with_input(&["-P", "-t", &name, "-z", codec], &lines);
        let read = cluster.read_all(&name).into_iter();
        let read: String = read
            .map(|record| String::from_utf8(record.value.unwrap().to_vec()).unwrap() + "\n")
            .collect();
        assert!(read == lines, "{codec}: {read}");
    }
}
