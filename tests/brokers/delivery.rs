//! What the producer promises, read back by independent clients.

use std::collections::{BTreeMap, HashMap};

use event_kafka::{DeliveryError, Header, PublishError, Record, SendError};

use crate::producer::{PATIENCE, producer, reports};
use crate::support::{self, Needs};

#[test]
fn every_message_is_in_the_log_once_where_its_report_says() {
    let Some(cluster) = support::cluster(Needs::ANY) else {
        return;
    };
    let topic_name = support::unique_name("delivery-once");
    cluster.create_topic(&topic_name, 12);
    let producer = producer(cluster.bootstrap(), &[("acks", "all")]);
    let topic = producer.topic(&topic_name).unwrap();

    let count = 20_000_u64;
    for n in 0..count {
        let (key, value) = (format!("call-{}", n % 1000), format!("event {n}"));
        topic
            .publish(Record::new(&value).key(&key).opaque(n))
            .unwrap();
    }
    let reports = reports(&producer, count as usize);

    let records = cluster.read_all(&topic_name);
    assert_eq!(records.len() as u64, count);
    let mut last_of_key = HashMap::new();
    for record in records {
        let value = String::from_utf8(record.value.unwrap().to_vec()).unwrap();
        let n: u64 = value.strip_prefix("event ").unwrap().parse().unwrap();
        let delivered = reports[&n].outcome.as_ref().unwrap();
        assert_eq!(
            (delivered.partition, delivered.offset),
            (record.partition, Some(record.offset))
        );
        let before = last_of_key.insert(record.key.unwrap(), (record.partition, n));
        if let Some((partition, earlier)) = before {
            assert_eq!(partition, record.partition, "a key stays in its partition");
            assert!(earlier < n, "{earlier} stands before {n}");
        }
    }
    producer.close(PATIENCE).unwrap();
}

#[test]
fn keys_go_to_the_partitions_that_librdkafka_chooses() {
    let Some(cluster) = support::cluster(Needs::ANY.kcat()) else {
        return;
    };
    let (ours, theirs) = (
        support::unique_name("delivery-ours"),
        support::unique_name("delivery-theirs"),
    );
    let keys: Vec<String> = (0..500)
        .map(|n| format!("{:x}@10.0.0.{n}", n * 7919))
        .collect();
    for topic in [&ours, &theirs] {
        cluster.create_topic(topic, 12);
    }

    let producer = producer(cluster.bootstrap(), &[]);
    let topic = producer.topic(&ours).unwrap();
    keys.iter()
        .for_each(|key| topic.publish(Record::new("x").key(key)).unwrap());
    producer.close(PATIENCE).unwrap();
    let lines: String = keys.iter().map(|key| format!("{key}=x\n")).collect();
    cluster.kcat_with_input(&["-P", "-t", &theirs, "-K", "="], &lines);

    let placed = |topic: &str| -> BTreeMap<Vec<u8>, i32> {
        let records = cluster.read_all(topic).into_iter();
        records
            .map(|record| (record.key.unwrap().to_vec(), record.partition))
            .collect()
    };
    assert_eq!(placed(&ours).len(), keys.len());
    assert_eq!(placed(&ours), placed(&theirs));
}

#[test]
fn key_value_headers_and_timestamp_arrive_as_given() {
    let Some(cluster) = support::cluster(Needs::ANY) else {
        return;
    };
    let name = support::unique_name("delivery-whole");
    cluster.create_topic(&name, 3);
    let producer = producer(cluster.bootstrap(), &[]);
    let topic = producer.topic(&name).unwrap();
    let headers = [("h", Some("1")), ("none", None)].map(|(name, value)| {
        let value = value.map(str::as_bytes);
        Header { name, value }
    });
    let binary = b"bin \0\xff nul";
    let record = Record::new(binary).key(binary).headers(&headers);
    topic
        .publish(record.partition(2).timestamp(1_700_000_000_123))
        .unwrap();
    topic
        .publish(Record::tombstone().key("gone").partition(0))
        .unwrap();
    topic.publish(Record::new("").key("").partition(1)).unwrap();
    producer.close(PATIENCE).unwrap();

    let mut records = cluster.read_all(&name);
    records.sort_by_key(|record| record.partition);
    let [tombstone, empty, whole] = &records[..] else {
        panic!("{records:?}")
    };
    assert_eq!(
        (tombstone.key.as_deref(), &tombstone.value),
        (Some(&b"gone"[..]), &None)
    );
    assert_eq!(
        (empty.key.as_deref(), empty.value.as_deref()),
        (Some(&b""[..]), Some(&b""[..]))
    );
    assert_eq!(whole.key.as_deref(), Some(&binary[..]));
    assert_eq!(whole.value.as_deref(), Some(&binary[..]));
    assert_eq!(whole.timestamp, 1_700_000_000_123);
    assert_eq!(
        whole.headers,
        [
            ("h".to_owned(), Some("1".into())),
            ("none".to_owned(), None)
        ]
    );
}

#[test]
fn headers_of_one_name_all_arrive_in_order() {
    // The decoder of the tests keeps one header of a name; kcat shows them all.
    let Some(cluster) = support::cluster(Needs::ANY.kcat()) else {
        return;
    };
    let name = support::unique_name("delivery-headers");
    cluster.create_topic(&name, 1);
    let producer = producer(cluster.bootstrap(), &[]);
    let topic = producer.topic(&name).unwrap();
    let headers = [("h", Some("1")), ("h", Some("2")), ("none", None)].map(|(name, value)| {
        let value = value.map(str::as_bytes);
        Header { name, value }
    });
    topic.publish(Record::new("x").headers(&headers)).unwrap();
    producer.close(PATIENCE).unwrap();

    let by_kcat = cluster.kcat(&["-C", "-t", &name, "-e", "-q", "-f", "%h"]);
    assert_eq!(by_kcat, "h=1,h=2,none=NULL");
}

#[test]
fn each_kind_of_acks_delivers() {
    let Some(cluster) = support::cluster(Needs::ANY) else {
        return;
    };
    for (acks, knows_offset) in [("0", false), ("1", true), ("all", true)] {
        let name = support::unique_name("delivery-acks");
        cluster.create_topic(&name, 1);
        let producer = producer(cluster.bootstrap(), &[("acks", acks)]);
        let topic = producer.topic(&name).unwrap();
        (0..100).for_each(|n| topic.publish(Record::new("x").opaque(n)).unwrap());
        for (n, report) in reports(&producer, 100) {
            let offset = report.outcome.unwrap().offset;
            assert_eq!(offset, knows_offset.then_some(n as i64), "acks={acks}");
        }
        assert_eq!(cluster.read_at_least(&name, 100).len(), 100);
        producer.close(PATIENCE).unwrap();
    }
}

#[test]
fn a_large_message_and_many_small_ones_share_a_topic() {
    let Some(cluster) = support::cluster(Needs::ANY) else {
        return;
    };
    let name = support::unique_name("delivery-sizes");
    cluster.create_topic(&name, 2);
    let producer = producer(cluster.bootstrap(), &[]);
    let topic = producer.topic(&name).unwrap();
    let sizes = [1, 100, 4_096, 65_536, 70_000, 900_000, 10, 999_900];
    for (n, size) in sizes.into_iter().enumerate() {
        let value = vec![b'a' + n as u8; size];
        topic
            .publish(Record::new(&value).partition(0).opaque(n as u64))
            .unwrap();
    }
    let too_large = topic.publish(Record::new(&[0; 1_000_000]));
    assert!(
        matches!(too_large, Err(PublishError::MessageTooLarge { size, limit: 1_000_000 }) if size > 1_000_000)
    );
    reports(&producer, sizes.len())
        .into_values()
        .for_each(|report| {
            report.outcome.unwrap();
        });
    let found: Vec<usize> = cluster
        .read_all(&name)
        .iter()
        .map(|record| record.value.as_ref().unwrap().len())
        .collect();
    assert_eq!(found, sizes);
}

#[test]
fn the_future_of_a_message_ends_with_its_offset_and_it_has_no_report() {
    let Some(cluster) = support::cluster(Needs::ANY) else {
        return;
    };
    let name = support::unique_name("delivery-send");
    cluster.create_topic(&name, 1);
    let producer = producer(cluster.bootstrap(), &[("linger.ms", "0")]);
    let topic = producer.topic(&name).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(async {
        for n in 0..10 {
            let delivered = topic.send(Record::new("x")).await.unwrap();
            assert_eq!((delivered.partition, delivered.offset), (0, Some(n)));
        }
        let refused = topic.send(Record::new("x").partition(1)).await;
        let error = PublishError::UnknownPartition {
            partition: 1,
            count: 1,
        };
        assert_eq!(refused, Err(SendError::NotAccepted(error)));
    });
    assert_eq!(producer.reports().take().count(), 0);
    assert_eq!(producer.balance().delivered, 10);
}

#[test]
fn a_partition_that_the_topic_turns_out_not_to_have_fails_its_message_alone() {
    let Some(cluster) = support::cluster(Needs::ANY) else {
        return;
    };
    let name = support::unique_name("delivery-partition");
    cluster.create_topic(&name, 2);
    let producer = producer(cluster.bootstrap(), &[]);
    let topic = producer.topic(&name).unwrap();
    // The producer has not even connected: both are staged.
    topic
        .publish(Record::new("x").partition(7).opaque(7))
        .unwrap();
    topic
        .publish(Record::new("x").partition(1).opaque(1))
        .unwrap();
    let reports = reports(&producer, 2);
    assert_eq!(reports[&1].outcome.as_ref().unwrap().partition, 1);
    let failure = reports[&7].outcome.as_ref().unwrap_err();
    assert_eq!(
        (failure.error, reports[&7].partition),
        (DeliveryError::UnknownPartition, 7)
    );
}

#[test]
fn a_full_queue_makes_the_publisher_wait_and_loses_nothing() {
    let Some(cluster) = support::cluster(Needs::ANY) else {
        return;
    };
    let name = support::unique_name("delivery-full");
    cluster.create_topic(&name, 4);
    let producer = producer(
        cluster.bootstrap(),
        &[("queue.buffering.max.messages", "50")],
    );
    let topic = producer.topic(&name).unwrap();
    let count = 5_000;
    let reports = std::thread::scope(|scope| {
        let taker = scope.spawn(|| reports(&producer, count));
        for n in 0..count as u64 {
            topic
                .publish_within(Record::new("x").opaque(n), PATIENCE)
                .unwrap();
        }
        taker.join().unwrap()
    });
    assert!(reports.into_values().all(|report| report.outcome.is_ok()));
    assert_eq!(cluster.read_all(&name).len(), count);
}

#[test]
fn threads_publish_to_one_topic_and_each_keeps_its_order() {
    let Some(cluster) = support::cluster(Needs::ANY) else {
        return;
    };
    let name = support::unique_name("delivery-threads");
    cluster.create_topic(&name, 3);
    let producer = producer(cluster.bootstrap(), &[]);
    let topic = producer.topic(&name).unwrap();
    let (threads, each) = (4, 5_000);
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let topic = &topic;
            scope.spawn(move || {
                for n in 0..each {
                    let value = format!("{thread} {n}");
                    topic
                        .publish(Record::new(&value).partition(thread % 3))
                        .unwrap();
                }
            });
        }
    });
    producer.close(PATIENCE).unwrap();

    let mut next = HashMap::new();
    for record in cluster.read_all(&name) {
        let value = String::from_utf8(record.value.unwrap().to_vec()).unwrap();
        let (thread, n) = value.split_once(' ').unwrap();
        let expected = next.entry(thread.to_owned()).or_insert(0);
        assert_eq!(n.parse::<i32>().unwrap(), *expected, "thread {thread}");
        *expected += 1;
    }
    assert!(next.len() == threads as usize && next.values().all(|count| *count == each));
}
