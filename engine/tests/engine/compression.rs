//! Topics that compress: batches go through other threads, and everything else stays as it is.

use std::sync::Arc;

use kafka_engine::Purge;
use kafka_engine::accumulator::Topic;
use kafka_engine::error::{DeliveryError, Persisted, Place};
use kafka_engine::settings::{Settings, TopicCodec, TopicSettings};
use kafka_sim::{Cluster, Fault, Message, Presses, Reach, World, millis, secs};
use kafka_wire::ApiKey::Produce;
use kafka_wire::{Codec, ErrorCode, VersionRange};

fn with(codec: Codec) -> TopicSettings {
    TopicSettings {
        codec: TopicCodec::Own(Some(codec)),
        ..TopicSettings::default()
    }
}

/// A topic of one partition, whose leader has answered already.
fn started(settings: Settings, topic_settings: &TopicSettings) -> (World, Arc<Topic>) {
    let mut world = World::new(Cluster::new(3).with_topic("t", 1), settings);
    let topic = world.topic_with("t", topic_settings);
    world.publish(&topic, &Message::of(10));
    world.run_dry(secs(1));
    (world, topic)
}

/// Every batch holds ten messages, unless it is due before.
fn tens() -> Settings {
    Settings {
        batch_messages: 10,
        ..Settings::default()
    }
}

/// How the batches that were received are compressed, and how many bytes they have.
fn batches(world: &World) -> Vec<(Option<Codec>, usize)> {
    let requests = world.cluster.produced.iter();
    let batches = requests.flat_map(|r| r.codecs.iter().copied().zip(&r.batches));
    let sizes = batches.map(|(codec, (.., bytes))| (codec, *bytes));
    sizes.collect()
}

fn opaques(world: &World) -> Vec<u64> {
    world.cluster.opaques("t", 0)
}

#[test]
fn every_codec_delivers_what_was_published_in_fewer_bytes() {
    for codec in Codec::ALL {
        let (mut world, topic) = started(Settings::default(), &with(codec));
        let keyed = Message::of(1000).key("call-1");
        world.publish_many(&topic, 100, &keyed);
        world.publish(&topic, &Message::default());
        world.run_dry(secs(1));
        let (used, bytes) = batches(&world)[1];
        assert_eq!(used, Some(codec));
        assert!(bytes < 20_000, "{codec}: {bytes}");
        world.verify_order();
        world.verify();
    }
}

#[test]
fn what_gets_no_shorter_goes_as_it_is() {
    // Their frames alone are longer than what they could save.
    for codec in [Codec::Gzip, Codec::Lz4] {
        let (mut world, _) = started(Settings::default(), &with(codec));
        assert_eq!(world.presses.jobs, 1);
        assert_eq!(batches(&world)[0].0, None, "{codec}");
        world.verify();
    }
}

#[test]
fn a_topic_that_does_not_compress_gives_no_work_to_others() {
    let (mut world, topic) = started(tens(), &TopicSettings::default());
    world.publish_many(&topic, 1000, &Message::of(1000));
    world.run_dry(secs(1));
    assert_eq!(world.presses.jobs, 0);
    world.verify();
}

#[test]
fn order_holds_when_later_batches_are_compressed_first() {
    for idempotence in [false, true] {
        let settings = Settings {
            idempotence,
            ..tens()
        };
        let (mut world, topic) = started(settings, &with(Codec::Lz4));
        world.presses.durations = [90, 10, 60, 30, 0].map(millis).to_vec();
        for _ in 0..50 {
            world.publish_many(&topic, 17, &Message::of(300));
            world.run_for(millis(7));
        }
        world.run_dry(secs(10));
        assert_eq!(opaques(&world), (0..851).collect::<Vec<u64>>());
        let compressed = batches(&world)
            .into_iter()
            .filter(|(used, _)| used.is_some());
        assert!(compressed.count() > 50);
        world.verify_order();
        world.verify();
    }
}

#[test]
fn what_a_codec_fails_at_goes_as_it_is_in_its_place_and_is_said_once() {
    let (mut world, topic) = started(tens(), &with(Codec::Zstd));
    world.presses.fails = Some(|number| number % 2 == 0);
    world.publish_many(&topic, 200, &Message::of(300));
    world.run_dry(secs(1));
    assert_eq!(opaques(&world), (0..201).collect::<Vec<u64>>());
    let used: Vec<_> = batches(&world).into_iter().map(|(used, _)| used).collect();
    assert_eq!(
        used[1..5],
        [Some(Codec::Zstd), None, Some(Codec::Zstd), None]
    );
    let complaints = world.log.lines();
    assert_eq!(complaints.len(), 1, "{complaints:#?}");
    assert!(complaints[0].contains("a batch goes uncompressed: the codec panicked"));
    world.verify();
}

#[test]
fn batches_that_linger_are_not_cut_short_by_those_that_come_back() {
    let settings = Settings {
        linger: millis(20),
        ..Settings::default()
    };
    let (mut world, topic) = started(settings, &with(Codec::Gzip));
    world.presses.durations = vec![millis(3)];
    let before = world.cluster.produced.len();
    for _ in 0..200 {
        world.publish(&topic, &Message::of(300));
        world.run_for(millis(1));
    }
    world.run_dry(secs(1));
    let requests = world.cluster.produced.len() - before;
    assert!(
        (9..=12).contains(&requests),
        "{requests} requests in 200 ms"
    );
    world.verify();
}

#[test]
fn full_batches_are_compressed_while_those_before_them_are_on_the_wire() {
    let (mut world, topic) = started(tens(), &with(Codec::Lz4));
    world.cluster.broker(1).latency = millis(500);
    let before = world.presses.jobs;
    world.publish_many(&topic, 300, &Message::of(300));
    world.run_for(millis(400));
    assert_eq!(world.cluster.produced.len(), 1 + 5, "on the wire");
    assert_eq!(world.presses.jobs - before, 5 + 4, "and as many ahead");
    world.run_dry(secs(10));
    world.verify_order();
    world.verify();
}

#[test]
fn a_batch_stays_open_while_it_could_not_go_anyhow() {
    let (mut world, topic) = started(Settings::default(), &with(Codec::Lz4));
    world.cluster.broker(1).latency = secs(1);
    for _ in 0..90 {
        world.publish(&topic, &Message::of(300));
        world.run_for(millis(10));
    }
    assert_eq!(world.cluster.produced.len(), 1 + 5);
    world.run_dry(secs(5));
    assert_eq!(world.cluster.produced.len(), 1 + 6, "all the rest in one");
    world.verify();
}

#[test]
fn a_flush_cuts_no_batch_short_that_could_not_go_anyhow() {
    let (mut world, topic) = started(Settings::default(), &with(Codec::Lz4));
    world.cluster.broker(1).latency = secs(1);
    world.begin_flush();
    for _ in 0..90 {
        world.publish(&topic, &Message::of(300));
        world.run_for(millis(10));
    }
    assert_eq!(world.cluster.produced.len(), 1 + 5);
    world.run_dry(secs(5));
    assert_eq!(world.cluster.produced.len(), 1 + 6, "all the rest in one");
    world.verify();
}

#[test]
fn compressed_batches_take_less_of_the_memory_that_may_be_held() {
    let (mut world, topic) = started(
        Settings {
            batch_bytes: 200_000,
            ..Settings::default()
        },
        &with(Codec::Zstd),
    );
    world.crash(1, Reach::Hangs);
    world.run_for(millis(200));
    world.publish_many(&topic, 780, &Message::of(1000));
    let (_, plain) = world.accumulator.queued();
    world.run_for(millis(200));
    let (_, compressed) = world.accumulator.queued();
    assert!(compressed < plain / 4, "{plain} bytes became {compressed}");
    world.cluster.broker(1).reach = Reach::Up;
    world.reset_connections(1);
    world.run_dry(secs(60));
    world.verify();
}

#[test]
fn messages_expire_in_time_while_they_are_compressed() {
    let topic_settings = TopicSettings {
        message_timeout: Some(secs(1)),
        ..with(Codec::Lz4)
    };
    for duration in [millis(900), millis(1_020), secs(5)] {
        let (mut world, topic) = started(tens(), &topic_settings);
        world.presses.durations = vec![duration, millis(0)];
        // The first of these is compressed for long, and some of its messages expire meanwhile.
        world.presses.jobs = 0;
        let mut published = Vec::new();
        for _ in 0..30 {
            published.push(world.publish(&topic, &Message::of(300)));
            world.run_for(millis(4));
        }
        world.run_dry(secs(10));
        world.run_for(secs(10));
        for opaque in published {
            let outcome = &world.outcomes[&opaque].result;
            if let Err(failure) = outcome {
                assert_eq!(failure.error, DeliveryError::TimedOut);
                assert_eq!(failure.place, Place::Queued);
                assert_eq!(failure.persisted, Persisted::No, "it was never sent");
            }
        }
        world.verify_order();
        world.verify();
    }
}

#[test]
fn what_is_left_of_a_batch_is_compressed_again_before_its_first_attempt() {
    let topic_settings = TopicSettings {
        message_timeout: Some(secs(1)),
        ..with(Codec::Zstd)
    };
    let settings = Settings {
        linger: millis(500),
        ..Settings::default()
    };
    let (mut world, topic) = started(settings, &topic_settings);
    world.presses.durations = vec![millis(600), millis(0)];
    world.presses.jobs = 0;
    for _ in 0..50 {
        world.publish(&topic, &Message::of(300));
        world.run_for(millis(10));
    }
    world.run_dry(secs(10));
    assert_eq!(world.presses.jobs, 2);
    let failed = world.outcomes.values().filter(|o| o.result.is_err());
    let failed = failed.count();
    assert!((5..45).contains(&failed), "{failed} expired");
    let (used, _) = *batches(&world).last().expect("a batch");
    assert_eq!(used, Some(Codec::Zstd));
    world.verify_order();
    world.verify();
}

#[test]
fn a_retry_sends_the_same_compressed_bytes() {
    for codec in Codec::ALL {
        for idempotence in [false, true] {
            let settings = Settings {
                idempotence,
                ..tens()
            };
            let (mut world, topic) = started(settings, &with(codec));
            let script = [
                Fault::Refuse(ErrorCode::NOT_ENOUGH_REPLICAS),
                Fault::AppendThenClose,
            ];
            world.cluster.broker(1).script(Produce, script);
            world.publish_many(&topic, 10, &Message::of(300));
            world.run_dry(secs(10));
            let sent = batches(&world).split_off(1);
            assert_eq!(sent.len(), 3);
            assert_eq!(sent[0].0, Some(codec));
            assert!(sent.iter().all(|again| *again == sent[0]), "{sent:?}");
            assert_eq!(world.presses.jobs, 2, "compressed once each");
            world.verify();
        }
    }
}

#[test]
fn what_expired_before_a_retry_does_not_go_again() {
    let topic_settings = TopicSettings {
        message_timeout: Some(secs(1)),
        ..with(Codec::Gzip)
    };
    let settings = Settings {
        linger: millis(500),
        retry_backoff: millis(700),
        ..Settings::default()
    };
    let (mut world, topic) = started(settings, &topic_settings);
    let refuse = Fault::Refuse(ErrorCode::NOT_ENOUGH_REPLICAS);
    world.cluster.broker(1).script(Produce, [refuse]);
    for _ in 0..50 {
        world.publish(&topic, &Message::of(300));
        world.run_for(millis(10));
    }
    world.run_dry(secs(10));
    let delivered = world.delivered();
    assert!((6..46).contains(&delivered), "{delivered} delivered");
    world.verify_order();
    world.verify();
}

#[test]
fn a_compressed_batch_that_is_too_large_goes_in_parts() {
    for idempotence in [false, true] {
        let settings = Settings {
            idempotence,
            ..Settings::default()
        };
        let (mut world, topic) = started(settings, &with(Codec::Lz4));
        // No message fits as it is.
        world.cluster.max_batch_bytes = 500;
        world.publish_many(&topic, 100, &Message::of(1000).waited_for());
        world.run_dry(secs(10));
        assert_eq!(opaques(&world), (0..101).collect::<Vec<u64>>());
        let sent = batches(&world).split_off(1);
        assert!(sent.len() > 8, "{sent:?}");
        assert!(sent.iter().all(|(used, _)| used.is_some()), "{sent:?}");
        world.verify_order();
        world.verify();
    }
}

#[test]
fn reports_carry_records_of_compressed_batches() {
    let settings = Settings {
        report_records: true,
        ..tens()
    };
    for codec in Codec::ALL {
        let (mut world, topic) = started(settings.clone(), &with(codec));
        world.publish_many(&topic, 95, &Message::of(300).key("call-1"));
        world.run_dry(secs(1));
        // A part of a batch, after it was packed.
        world.cluster.broker(1).script(Produce, [Fault::Hang]);
        world.publish_many(&topic, 10, &Message::of(300));
        world.run_for(secs(1));
        world.run_dry(secs(400));
        world.verify();
    }
}

#[test]
fn a_flush_waits_for_no_linger() {
    let settings = Settings {
        linger: secs(60),
        ..Settings::default()
    };
    let mut world = World::new(Cluster::new(1).with_topic("t", 3), settings);
    let topic = world.topic_with("t", &with(Codec::Snappy));
    for partition in 0..3 {
        world.publish(&topic, &Message::of(300).to(partition));
    }
    world.run_for(secs(1));
    world.begin_flush();
    world.run_dry(millis(200));
    world.verify();
}

#[test]
fn purge_and_close_leave_nothing_in_compression() {
    for close in [false, true] {
        let (mut world, topic) = started(tens(), &with(Codec::Zstd));
        world.presses.durations = vec![secs(3)];
        let lost = world.publish_many(&topic, 35, &Message::of(300));
        world.run_for(millis(100));
        if close {
            let undelivered = world.close();
            let counted: u64 = undelivered.iter().map(|u| u.count).sum();
            assert_eq!(counted, 35);
        } else {
            world.purge(Purge {
                queued: true,
                in_flight: false,
            });
        }
        for opaque in lost {
            assert_eq!(world.failure(opaque).error, DeliveryError::PurgedQueued);
        }
        assert_eq!(world.held(), 0);
        world.run_for(secs(10));
        world.verify();
    }
}

#[test]
fn brokers_that_are_older_than_the_codec_get_batches_as_they_are() {
    let mut cluster = Cluster::new(1).with_topic("t", 1);
    let old = VersionRange { min: 0, max: 6 };
    cluster.broker(1).offers.insert(Produce, old);
    let mut world = World::new(cluster, tens());
    let topic = world.topic_with("t", &with(Codec::Zstd));
    world.publish_many(&topic, 100, &Message::of(300));
    world.run_dry(secs(1));
    assert_eq!(world.presses.jobs, 0);
    assert!(batches(&world).iter().all(|(used, _)| used.is_none()));
    let complaints = world.log.lines();
    assert_eq!(complaints.len(), 1, "{complaints:#?}");
    assert!(
        complaints[0].contains("zstd needs Produce 7, and b1:9092 is older"),
        "{complaints:?}"
    );

    // It is upgraded.
    let new = VersionRange { min: 0, max: 13 };
    world.cluster.broker(1).offers.insert(Produce, new);
    world.reset_connections(1);
    world.run_for(secs(1));
    world.publish_many(&topic, 20, &Message::of(300));
    world.run_dry(secs(10));
    assert_eq!(
        batches(&world).last().and_then(|(used, _)| *used),
        Some(Codec::Zstd)
    );
    world.verify_order();
    world.verify();
}

#[test]
fn a_leader_that_is_older_than_the_last_one_gets_what_it_can_read() {
    let mut cluster = Cluster::new(2).with_topic("t", 1);
    let old = VersionRange { min: 0, max: 6 };
    cluster.broker(2).offers.insert(Produce, old);
    let mut world = World::new(cluster, tens());
    let topic = world.topic_with("t", &with(Codec::Zstd));
    world.publish_many(&topic, 10, &Message::of(300));
    world.run_dry(secs(1));
    world.cluster.lead("t", 0, Some(2));
    world.publish_many(&topic, 90, &Message::of(300));
    world.run_dry(secs(10));
    assert_eq!(opaques(&world), (0..100).collect::<Vec<u64>>());
    world.verify_order();
    world.verify();
}

#[test]
fn a_level_that_the_codec_lacks_is_said_once() {
    for (codec, level, said) in [
        (Codec::Gzip, 9, None),
        (
            Codec::Gzip,
            12,
            Some("gzip has the levels 0 to 9 here: 12 counts as 9"),
        ),
        (
            Codec::Zstd,
            12,
            Some("zstd has the levels 0 to 4 here: 12 counts as 4"),
        ),
        (
            Codec::Lz4,
            3,
            Some("lz4 has the levels 0 to 0 here: 3 counts as 0"),
        ),
        (Codec::Snappy, 0, None),
    ] {
        let topic_settings = TopicSettings {
            compression_level: Some(level),
            ..with(codec)
        };
        let (mut world, topic) = started(tens(), &topic_settings);
        world.publish_many(&topic, 50, &Message::of(300));
        world.run_dry(secs(1));
        let lines = world.log.lines();
        assert_eq!(lines.len(), usize::from(said.is_some()), "{lines:?}");
        assert!(
            lines
                .iter()
                .all(|line| line.contains(said.unwrap_or_default())),
            "{lines:?}"
        );
        world.verify();
    }
}

#[test]
fn nothing_is_lost_or_reordered_when_everything_happens_at_once() {
    let settings = Settings {
        idempotence: true,
        batch_messages: 7,
        ..Settings::default()
    };
    for seed in 0..20 {
        let mut world = World::seeded(Cluster::new(3).with_topic("t", 1), settings.clone(), seed);
        let topic = world.topic_with("t", &with(Codec::ALL[seed as usize % 4]));
        let spread = [3, 0, 40, 1, 17, 0, 120].map(|ms| millis(ms * (1 + seed % 3)));
        world.presses = Presses::default();
        world.presses.durations = spread.to_vec();
        world.presses.fails = Some(|number| number % 11 == 3);
        for broker in 1..=3 {
            world.cluster.broker(broker).latency = millis(20);
            let faults = [
                Fault::Obey,
                Fault::Refuse(ErrorCode::NOT_ENOUGH_REPLICAS),
                Fault::AppendThenClose,
                Fault::Obey,
                Fault::Refuse(ErrorCode::MESSAGE_TOO_LARGE),
                Fault::Close,
            ];
            world.cluster.broker(broker).script(Produce, faults);
        }
        for round in 0..60 {
            world.publish_many(&topic, 5 + round % 9, &Message::of(200));
            world.run_for(millis(5));
            if round % 20 == 10 {
                let leader = 1 + (seed + round as u64 / 20) as i32 % 3;
                world.cluster.lead("t", 0, Some(leader));
            }
        }
        world.run_dry(secs(120));
        world.verify_order();
        world.verify();
    }
}
