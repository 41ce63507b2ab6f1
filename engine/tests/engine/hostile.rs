//! Answers that no broker should give: they end that connection with an error that says where and
//! what, disturb no other broker, and lose nothing.

use kafka_engine::settings::{Settings, TopicSettings};
use kafka_wire::ApiKey::{self, ApiVersions, Metadata, Produce};
use kafka_wire::message::{
    MetadataPartition, MetadataResponse, ProducePartitionResponse, ProduceResponse,
};
use kafka_wire::{ErrorCode, Uuid, VersionRange};

use kafka_sim::{Cluster, Fault, Message, Reach, World, millis, secs};

/// What the log says of broker 1 after its next answer went wrong. Broker 2 must not notice, and
/// nothing must be lost.
fn said_of(api: ApiKey, fault: Fault) -> String {
    let mut world = World::new(Cluster::new(2).with_topic("t", 2), Settings::default());
    let topic = world.topic("t");
    for partition in 0..2 {
        world.publish(&topic, &Message::of(10).to(partition));
    }
    world.run_for(millis(1));
    world.run_dry(secs(1));
    world.run_for(secs(1));
    if api == ApiVersions {
        world.crash(1, Reach::Up);
        world.run_for(millis(1));
    }
    world.log.clear();
    world.connects.clear();
    world.cluster.broker(1).script(api, [fault]);
    if api == Metadata {
        world.topic("of no use");
    }
    world.cluster.broker(2).latency = millis(500);
    let elsewhere = world.publish(&topic, &Message::of(10).to(1));
    for _ in 0..2 {
        world.publish(&topic, &Message::of(10).to(0));
        world.run_for(millis(10));
    }
    world.run_dry(secs(2));
    assert_eq!(world.offset(elsewhere), 1, "it was answered as ever");
    assert!(world.connects.iter().all(|(_, host)| host == "b1"));
    world.verify();
    let mut lines = world.log.lines();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert_eq!(lines.pop().expect("two"), "INFO works again broker=b1:9092");
    lines.pop().expect("two")
}

fn assert_said(api: ApiKey, fault: Fault, words: &[&str]) {
    let name = format!("{fault:?}");
    let said = said_of(api, fault);
    assert!(said.starts_with("WARN b1:9092: "), "{said}");
    for word in words {
        assert!(said.contains(word), "{name}: {word:?} is not in {said}");
    }
}

#[test]
fn an_answer_that_cannot_be_read_ends_its_connection_and_is_said_with_api_version_and_byte() {
    let garbage: fn(&mut Vec<u8>) = |answer| answer[4..].fill(0x7f);
    let longer: fn(&mut Vec<u8>) = |answer| answer.push(0);
    let http = || Fault::Say(b"HTTP/1.1 400 Bad Request".to_vec());
    let apis = [
        (ApiVersions, "ApiVersions version 4"),
        (Metadata, "Metadata version 13"),
        (Produce, "Produce version 13"),
    ];
    for (api, name) in apis {
        let unread = "cannot read the answer to";
        let cases = [
            (Fault::Alter(garbage), &["at byte "][..]),
            (Fault::Alter(longer), &["at byte ", "1 bytes too many"]),
            (http(), &["correlation_id at byte 0: is 1213486160"]),
            (Fault::WrongCorrelation, &["correlation_id at byte 0: is "]),
            (Fault::Say(Vec::new()), &["correlation_id at byte 0"]),
            (Fault::Truncate(3), &["correlation_id at byte 0"]),
            (Fault::Truncate(5), &["at byte "]),
            (Fault::Truncate(9), &["at byte "]),
            (Fault::Truncate(20), &["at byte "]),
        ];
        for (fault, words) in cases {
            assert_said(api, fault, &[&[name, unread], words].concat());
        }
    }
}

#[test]
fn answers_that_come_twice_or_in_the_wrong_order_end_their_connection() {
    for api in [ApiVersions, Metadata, Produce] {
        let unasked = "bytes that nothing asked for";
        let said = said_of(api, Fault::Repeat);
        let overtaken = "ResponseHeader.correlation_id at byte 0: is ";
        assert!(said.contains(unasked) || said.contains(overtaken), "{said}");
    }
    assert_said(
        Produce,
        Fault::Overtaken,
        &["Produce version 13", "correlation_id at byte 0"],
    );
}

#[test]
fn an_answer_to_metadata_that_cannot_be_true_ends_its_connection_and_is_said() {
    type Lie = fn(&mut MetadataResponse<'_>);
    let lies: [(Lie, &str, &str); 15] = [
        (
            |r| r.brokers[0].node_id = -1,
            "MetadataBroker.node_id",
            "-1 is no id",
        ),
        (
            |r| r.brokers[0].node_id = i32::MIN,
            "MetadataBroker.node_id",
            "is no id",
        ),
        (
            |r| r.brokers[0].node_id = 2,
            "MetadataBroker.node_id",
            "2 is there twice",
        ),
        (
            |r| r.brokers[0].port = 70_000,
            "MetadataBroker.port",
            "70000",
        ),
        (
            |r| r.brokers[0].port = 0,
            "MetadataBroker.port",
            "cannot listen on 0",
        ),
        (
            |r| r.brokers[0].port = -9092,
            "MetadataBroker.port",
            "-9092",
        ),
        (
            |r| r.brokers[0].host = "",
            "MetadataBroker.host",
            "broker 1 has a name of 0 bytes",
        ),
        (many_brokers, "MetadataResponse.brokers", "20000 of them"),
        (
            |r| r.topics[0].name = Some("other"),
            "MetadataTopic.name",
            "\"other\" was not asked",
        ),
        (
            |r| r.topics[0].name = None,
            "MetadataTopic.name",
            "\"\" was not asked",
        ),
        (
            |r| r.topics.push(r.topics[0].clone()),
            "MetadataTopic.name",
            "twice",
        ),
        (
            |r| index(r, -1),
            "MetadataPartition.partition_index",
            "-1 of \"t\"",
        ),
        (
            |r| index(r, i32::MAX),
            "MetadataPartition.partition_index",
            "2147483647 of \"t\"",
        ),
        (
            |r| index(r, 1),
            "MetadataPartition.partition_index",
            "1 of \"t\" is there twice",
        ),
        (
            many_partitions,
            "MetadataTopic.partitions",
            "1000000 of \"t\"",
        ),
    ];
    for (lie, field, words) in lies {
        let said = [
            "cannot believe the answer to Metadata version 13",
            field,
            words,
        ];
        assert_said(Metadata, Fault::Misstate(lie), &said);
    }
}

fn index(response: &mut MetadataResponse<'_>, index: i32) {
    let topic = response.topics.iter_mut().find(|t| t.name == Some("t"));
    topic.expect("asked for").partitions[0].partition_index = index;
}

fn many_brokers(response: &mut MetadataResponse<'_>) {
    let broker = response.brokers[0].clone();
    response.brokers = vec![broker; 20_000];
}

fn many_partitions(response: &mut MetadataResponse<'_>) {
    let topic = response.topics.iter_mut().find(|t| t.name == Some("t"));
    let topic = topic.expect("asked for");
    topic.partitions = (0..1_000_000)
        .map(|partition_index| MetadataPartition {
            partition_index,
            ..MetadataPartition::default()
        })
        .collect();
}

#[test]
fn an_answer_to_produce_that_cannot_be_true_ends_its_connection_and_is_said() {
    type Lie = fn(&mut ProduceResponse<'_>);
    let lies: [(Lie, &str, &str); 7] = [
        (
            |r| r.topics.clear(),
            "ProduceTopicResponse.partitions",
            "leaves out partition 0 of \"t\"",
        ),
        (
            |r| partition(r).index = 1,
            "ProducePartitionResponse.index",
            "partition 1 of the topic",
        ),
        (
            |r| partition(r).index = -1,
            "ProducePartitionResponse.index",
            "partition -1 of",
        ),
        (
            |r| r.topics[0].topic_id = Uuid([9; 16]),
            "ProducePartitionResponse.index",
            "09, 09",
        ),
        (
            |r| r.topics.push(r.topics[0].clone()),
            "ProducePartitionResponse.index",
            "or twice",
        ),
        (
            |r| partition(r).base_offset = -5,
            "ProducePartitionResponse.base_offset",
            "-5",
        ),
        (
            |r| partition(r).base_offset = i64::MIN,
            "ProducePartitionResponse.base_offset",
            "-9",
        ),
    ];
    for (lie, field, words) in lies {
        let said = [
            "cannot believe the answer to Produce version 13",
            field,
            words,
        ];
        assert_said(Produce, Fault::Misreport(lie), &said);
    }
}

fn partition<'a, 'b>(
    response: &'a mut ProduceResponse<'b>,
) -> &'a mut ProducePartitionResponse<'b> {
    &mut response.topics[0].partitions[0]
}

#[test]
fn a_topic_that_is_answered_by_name_and_not_asked_for_is_named() {
    let mut cluster = Cluster::new(1).with_topic("t", 1);
    let range = VersionRange { min: 0, max: 12 };
    cluster.broker(1).offers.insert(Produce, range);
    cluster.broker(1).script(
        Produce,
        [Fault::Misreport(|response| response.topics[0].name = "u")],
    );
    let mut world = World::new(cluster, Settings::default());
    let topic = world.topic("t");
    world.publish(&topic, &Message::of(10));
    world.run_dry(secs(1));
    let said = &world.log.lines()[0];
    assert!(said.contains("partition 0 of \"u\" is answered"), "{said}");
    world.verify();
}

#[test]
fn what_is_no_frame_at_all_is_said_together_with_the_answer_that_was_due() {
    let mut world = World::new(Cluster::new(1).with_topic("t", 1), Settings::default());
    let topic = world.topic("t");
    world.run_for(secs(1));
    world.garble(1, "byte 12 is nothing");
    world.run_for(secs(1));
    world.cluster.broker(1).latency = secs(1);
    world.publish(&topic, &Message::of(10));
    world.run_for(millis(10));
    world.garble(1, "byte 3 neither");
    world.run_dry(secs(5));
    let lines = world.log.lines();
    let due = "WARN b1:9092: byte 3 neither; an answer to Produce version 13 was due";
    assert!(lines[0].starts_with("WARN b1:9092: byte 12 is nothing; no answer was due"));
    assert!(lines[2].starts_with(due), "{lines:?}");
    world.verify();
}

#[test]
fn odd_times_are_not_believed_and_do_no_harm() {
    let odd = [i32::MIN, -1, i32::MAX];
    for version in [5, 13] {
        for throttle in odd {
            let mut cluster = Cluster::new(1).with_topic("t", 1);
            cluster.throttle_ms = throttle;
            cluster.log_append_time = Some(i64::from(throttle) << 31);
            let range = VersionRange {
                min: 0,
                max: version,
            };
            cluster.broker(1).offers.insert(Produce, range);
            let mut world = World::new(cluster, Settings::default());
            let topic = world.topic("t");
            world.publish(&topic, &Message::of(10));
            // Nobody is left alone for longer than a request may take.
            let longest = if throttle > 0 { secs(60) } else { millis(10) };
            world.run_dry(longest);
            world.verify();
        }
    }
}

#[test]
fn versions_that_make_no_sense_are_refused_like_old_ones() {
    for (min, max) in [
        (13, 3),
        (-5, -1),
        (i16::MIN, 2),
        (14, i16::MAX),
        (i16::MAX, i16::MIN),
    ] {
        let mut cluster = Cluster::new(1).with_topic("t", 1);
        cluster
            .broker(1)
            .offers
            .insert(Produce, VersionRange { min, max });
        let mut world = World::new(cluster, Settings::default());
        world.run_for(secs(1));
        let said = &world.log.lines()[0];
        assert!(said.contains("speaks Produce "), "{said}");
    }
}

#[test]
fn garbage_of_any_length_never_stops_the_partition() {
    let mut random = fastrand::Rng::with_seed(3);
    for round in 0..200 {
        let mut world = World::new(Cluster::new(1).with_topic("t", 1), Settings::default());
        let topic = world.topic("t");
        let api = [ApiVersions, Metadata, Produce][round % 3];
        let mut garbage: Vec<u8> = (0..random.usize(0..60)).map(|_| random.u8(..)).collect();
        if garbage.len() >= 4 && random.bool() {
            // The right correlation id, so that the body is read.
            let correlation: i32 = match api {
                ApiVersions => 0,
                Metadata => 1,
                _ => 2,
            };
            garbage[..4].copy_from_slice(&correlation.to_be_bytes());
        }
        world.crash(1, Reach::Refuses);
        world.run_for(millis(10));
        world.cluster.broker(1).reach = Reach::Up;
        world.cluster.broker(1).script(api, [Fault::Say(garbage)]);
        world.publish(&topic, &Message::of(10));
        world.run_dry(secs(30));
        assert_eq!(world.delivered(), 1);
        world.verify();
    }
}

#[test]
fn an_answer_that_nothing_asked_for_ends_the_connection() {
    let mut world = World::new(Cluster::new(1).with_topic("t", 1), Settings::default());
    let topic = world.topic("t");
    world.publish(&topic, &Message::of(10));
    world.run_dry(secs(1));
    world.say_unasked(1, vec![0; 8]);
    world.run_for(millis(1));
    assert_eq!(world.connections(), 0);
    world.publish(&topic, &Message::of(10));
    world.run_dry(secs(1));
    world.verify();
}

#[test]
fn a_partition_is_not_stuck_by_a_short_answer_though_its_messages_never_expire() {
    for len in 0..4 {
        let mut world = World::new(Cluster::new(1).with_topic("t", 1), Settings::default());
        let settings = TopicSettings {
            message_timeout: None,
            ..TopicSettings::default()
        };
        let topic = world.topic_with("t", &settings);
        world.run_for(millis(100));
        world
            .cluster
            .broker(1)
            .script(Produce, [Fault::Truncate(len)]);
        world.publish(&topic, &Message::of(10));
        world.run_dry(secs(5));
        world.verify();
    }
}

#[test]
fn a_metadata_answer_that_leaves_the_topic_out_is_asked_for_again() {
    let mut world = World::new(Cluster::new(1).with_topic("t", 1), Settings::default());
    world
        .cluster
        .broker(1)
        .script(Metadata, vec![Fault::LeaveOut; 3]);
    let topic = world.topic("t");
    world.publish(&topic, &Message::of(10));
    world.run_dry(secs(2));
    world.verify();
}

#[test]
fn an_error_code_from_the_future_fails_the_message_and_is_named_by_number() {
    let settings = Settings::default();
    let mut world = World::new(Cluster::new(1).with_topic("t", 1), settings);
    let topic = world.topic("t");
    world
        .cluster
        .broker(1)
        .script(Produce, [Fault::Refuse(ErrorCode(999))]);
    let opaque = world.publish(&topic, &Message::of(10));
    world.run_dry(secs(1));
    assert_eq!(world.failure(opaque).error.code(), 999);
    world.verify();
}

#[test]
fn handshakes_that_go_wrong_are_tried_again_with_growing_waits() {
    let faults = [
        Fault::Refuse(ErrorCode::UNKNOWN_SERVER_ERROR),
        Fault::Truncate(7),
        Fault::Close,
        Fault::WrongCorrelation,
    ];
    for fault in faults {
        let mut cluster = Cluster::new(1).with_topic("t", 1);
        cluster
            .broker(1)
            .script(ApiKey::ApiVersions, vec![fault; 6]);
        let mut world = World::new(cluster, Settings::default());
        let topic = world.topic("t");
        world.publish(&topic, &Message::of(10));
        world.run_for(millis(400));
        assert!(world.connects.len() <= 4, "{:?}", world.connects);
        world.run_dry(secs(60));
        assert_eq!(world.connects.len(), 7);
        world.verify();
    }
}
