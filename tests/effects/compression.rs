//! How batches are compressed.

use std::fs;
use std::time::Instant;

use event_kafka::config::Config;
use kafka_sim::secs;
use kafka_wire::Codec;

use crate::effect::{Effect, and};
use crate::sockets::{PATIENCE, Real};
use crate::virtual_time::Virtual;

/// How a batch of a hundred messages is compressed, and how many bytes it has then.
fn batch(config: Config) -> (Option<Codec>, usize) {
    let mut run = Virtual::small(config);
    run.publish(100, 0);
    run.world.run_dry(secs(1));
    let request = &run.world.cluster.produced[0];
    (request.codecs[0], request.batches[0].3)
}

pub(crate) fn compression_codec(effect: &Effect) {
    for codec in Codec::ALL {
        let [plain, compressed] = effect.with(codec.name(), batch);
        assert_eq!((plain.0, compressed.0), (None, Some(codec)));
        assert!(compressed.1 < plain.1 / 4, "{compressed:?}");
    }
    for (producer, topic, used) in [
        ("gzip", "inherit", Some(Codec::Gzip)),
        ("gzip", "none", None),
        ("gzip", "snappy", Some(Codec::Snappy)),
        ("none", "zstd", Some(Codec::Zstd)),
    ] {
        for alias in ["compression.codec", "compression.type"] {
            let topic_property = format!("topic.{alias}");
            let others = [(&*topic_property, topic), (alias, producer)];
            let config = and(Config::default(), &others);
            assert_eq!(batch(config).0, used, "{producer}, topic {topic}");
        }
    }
}

pub(crate) fn compression_level(effect: &Effect) {
    // At level 0, gzip stores what it is given.
    let observed = effect.with("0", |config| {
        batch(and(config, &[("compression.codec", "gzip")])).0
    });
    assert_eq!(observed, [Some(Codec::Gzip), None]);
    let alone = and(Config::default(), &[("compression.level", "3")]);
    assert_eq!(batch(alone).0, None, "a level is no codec");
}

pub(crate) fn compression_threads(effect: &Effect) {
    let expected = [1, 3];
    let mut wanted = expected.into_iter();
    let observed = effect.with("3", |config| {
        let run = Real::start(and(config, &[("compression.codec", "lz4")]));
        assert_eq!(threads(), 0, "before the first batch");
        assert_eq!(run.deliver(1), 1);
        // A thread has its name only once it runs.
        let (wanted, deadline) = (wanted.next(), Instant::now() + PATIENCE);
        while Some(threads()) < wanted && Instant::now() < deadline {
            std::thread::yield_now();
        }
        let running = threads();
        drop(run);
        // Each ends by itself once there is nothing for it any more.
        while threads() > 0 {
            std::thread::yield_now();
        }
        running
    });
    assert_eq!(observed, expected);
}

/// Threads of this process that compress.
fn threads() -> usize {
    let tasks = fs::read_dir("/proc/self/task").unwrap().flatten();
    let names = tasks.filter_map(|task| fs::read_to_string(task.path().join("comm")).ok());
    names.filter(|name| name.trim() == "kafka-compress").count()
}
