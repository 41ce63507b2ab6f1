//! Faults that come together.

use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use kafka_mock::{ApiKey, Cluster, Fault, Profile, ResponseError, Rule};
use kafka_protocol::messages::ProduceRequest;

use crate::client::{
    API_VERSIONS, Client, PRODUCE, TOPIC, cluster, frame, hello, produce, settle, stored,
};

/// Answers are the same whenever they are given.
fn timeless() -> Cluster {
    let cluster = Cluster::builder().start().unwrap();
    cluster.create_topic(TOPIC, 3);
    cluster
}

/// What one run of the same script showed.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Transcript {
    before_withdrawal: Vec<u8>,
    after_withdrawal: Vec<u8>,
    ended: bool,
    records: [i64; 3],
    struck: Vec<u32>,
}

/// Five requests arrive at once while these rules are in force.
fn play(rules: &[&Rule]) -> Transcript {
    let cluster = timeless();
    let mut client = Client::to(&cluster, 1);
    let faults: Vec<_> = rules
        .iter()
        .map(|rule| cluster.inject((*rule).clone()))
        .collect();
    let mut requests = BytesMut::new();
    for (correlation, partitions) in (1..).zip([&[0, 1][..], &[2], &[1, 2], &[0]]) {
        requests.extend_from_slice(&frame(PRODUCE, correlation, &produce(partitions)));
    }
    requests.extend_from_slice(&frame(API_VERSIONS, 5, &hello()));
    client.send_bytes(&requests);
    settle(&cluster);
    let (before_withdrawal, end) = client.arrived();
    let struck = faults.iter().map(|fault| cluster.struck(*fault)).collect();
    cluster.withdraw_all();
    settle(&cluster);
    let (after_withdrawal, late_end) = client.arrived();
    Transcript {
        before_withdrawal,
        after_withdrawal,
        ended: end.or(late_end).is_some(),
        records: [0, 1, 2].map(|partition| stored(&cluster, partition)),
        struck,
    }
}

/// One rule for each way to treat a request or its answer that shows in the script.
fn rules() -> Vec<Rule> {
    let text = |text: &'static [u8]| Bytes::from_static(text);
    let refused = ResponseError::NotEnoughReplicas;
    let on_produce = [
        Fault::Error(refused),
        Fault::AppliedError(refused),
        Fault::DelayBefore(Duration::MAX),
        Fault::Delay(Duration::MAX),
        Fault::CloseBefore,
        Fault::CloseAfter,
        Fault::ResetBefore,
        Fault::ResetAfter,
        Fault::HalfClose,
        Fault::IgnoreBefore,
        Fault::IgnoreAfter,
        Fault::Twice,
        Fault::SwapWithNext,
        Fault::Truncate(9),
        Fault::CutOff(11),
        Fault::Trailing(text(b"tail")),
        Fault::Garbage(text(b"garbage")),
        Fault::Overwrite {
            at: 3,
            bytes: text(b"over"),
        },
        Fault::Corrupt { bits: 5, seed: 1 },
        Fault::Announce(1000),
        Fault::Flood(300),
        Fault::WrongCorrelation(1),
        Fault::Throttle(Duration::from_secs(1)),
        Fault::OmitPartition,
        Fault::RepeatPartition,
        Fault::StrayPartition(-3),
        Fault::StrayTopic("stray".to_owned()),
        Fault::BaseOffset(-9),
    ];
    on_produce
        .into_iter()
        .map(|fault| Rule::new(fault).api(ApiKey::Produce))
        .collect()
}

#[test]
fn every_fault_shows_and_a_second_run_shows_the_same() {
    let sound = play(&[]);
    assert!(!sound.ended && sound.records == [2; 3] && sound.after_withdrawal.is_empty());
    for rule in rules() {
        let transcript = play(&[&rule]);
        assert_ne!(
            transcript.before_withdrawal, sound.before_withdrawal,
            "{rule:?}"
        );
        assert!(transcript.struck[0] > 0, "{rule:?}");
        assert_eq!(play(&[&rule]), transcript, "{rule:?}");
    }
}

#[test]
fn two_faults_strike_together_and_a_second_run_shows_the_same() {
    let rules = rules();
    for (index, one) in rules.iter().enumerate() {
        for other in &rules[index + 1..] {
            let transcript = play(&[one, other]);
            assert!(
                transcript.struck.iter().all(|count| *count > 0),
                "{one:?} {other:?}: {transcript:?}"
            );
            assert_eq!(play(&[one, other]), transcript, "{one:?} {other:?}");
        }
    }
}

fn on_produce(fault: Fault) -> Rule {
    Rule::new(fault).api(ApiKey::Produce)
}

fn inject(cluster: &Cluster, faults: impl IntoIterator<Item = Fault>) {
    for fault in faults {
        cluster.inject(on_produce(fault));
    }
}

#[test]
fn an_answer_is_late_wrong_and_comes_twice() {
    let cluster = cluster();
    let mut client = Client::to(&cluster, 1);
    let refused = ResponseError::KafkaStorageError;
    let slow = on_produce(Fault::Delay(Duration::MAX));
    let slow = cluster.inject(slow);
    inject(
        &cluster,
        [
            Fault::AppliedError(refused),
            Fault::Throttle(Duration::from_millis(5)),
            Fault::WrongCorrelation(100),
            Fault::Twice,
        ],
    );
    let sent = client.send(PRODUCE, &produce(&[0]));
    settle(&cluster);
    client.assert_waits();
    assert_eq!(stored(&cluster, 0), 1);
    cluster.withdraw(slow);
    for _ in 0..2 {
        let (correlation, answer) = client.answer::<ProduceRequest>(PRODUCE);
        assert_eq!(correlation, sent + 100);
        assert_eq!(answer.throttle_time_ms, 5);
        let partition = &answer.responses[0].partition_responses[0];
        assert_eq!(partition.error_code, refused.code());
    }
    client.assert_waits();
}

#[test]
fn garbage_comes_and_the_connection_is_closed() {
    let alert = b"\x15\x03\x03\x00\x02\x02\x46";
    let cluster = cluster();
    let mut client = Client::to(&cluster, 1);
    inject(
        &cluster,
        [Fault::Garbage(Bytes::from_static(alert)), Fault::CutOff(7)],
    );
    client.send(PRODUCE, &produce(&[0]));
    assert_eq!(client.bytes_to_end(), alert);
}

#[test]
fn a_length_that_lies_outlives_what_happens_to_the_bytes() {
    let one = [
        Fault::Announce(5000),
        Fault::Trailing(Bytes::from_static(b"tail")),
    ];
    let mut other = one.clone();
    other.reverse();
    for faults in [one, other] {
        let cluster = cluster();
        let mut client = Client::to(&cluster, 1);
        inject(&cluster, faults);
        client.send(PRODUCE, &produce(&[0]));
        settle(&cluster);
        let (bytes, _) = client.arrived();
        assert_eq!((&bytes[..]).get_u32(), 5000);
        assert!(bytes.ends_with(b"tail"));
    }
}

#[test]
fn a_swapped_answer_ends_the_connection_after_the_one_that_passed_it() {
    let cluster = cluster();
    let mut client = Client::to(&cluster, 1);
    cluster.inject(on_produce(Fault::SwapWithNext));
    cluster.inject(on_produce(Fault::CutOff(2)).times(1));
    client.send(PRODUCE, &produce(&[0]));
    let second = client.send(PRODUCE, &produce(&[1]));
    assert_eq!(client.answer::<ProduceRequest>(PRODUCE).0, second);
    assert_eq!(client.bytes_to_end().len(), 2);
}

#[test]
fn a_late_end_is_an_end_all_the_same() {
    for (fault, records) in [(Fault::CloseBefore, 0), (Fault::CloseAfter, 1)] {
        let cluster = cluster();
        let mut client = Client::to(&cluster, 1);
        let slow = cluster.inject(on_produce(Fault::Delay(Duration::MAX)));
        cluster.inject(on_produce(fault));
        client.send(PRODUCE, &produce(&[0]));
        settle(&cluster);
        client.assert_waits();
        assert_eq!(stored(&cluster, 0), records);
        cluster.withdraw(slow);
        client.assert_ends();
    }
}

#[test]
fn partitions_of_one_request_fail_in_different_ways() {
    let cluster = cluster();
    let mut client = Client::to(&cluster, 1);
    let scripted = [
        Fault::Error(ResponseError::NotLeaderOrFollower),
        Fault::AppliedError(ResponseError::RequestTimedOut),
        Fault::OmitPartition,
    ];
    for (partition, fault) in (0..).zip(scripted) {
        cluster.inject(on_produce(fault).partition(TOPIC, partition));
    }
    let answers = client.produce(&[0, 1, 2]);
    let codes: Vec<_> = answers
        .iter()
        .map(|one| (one.index, one.error_code))
        .collect();
    assert_eq!(
        codes,
        [
            (0, ResponseError::NotLeaderOrFollower.code()),
            (1, ResponseError::RequestTimedOut.code())
        ]
    );
    assert_eq!([0, 1, 2].map(|one| stored(&cluster, one)), [0, 1, 1]);
}

#[test]
fn answers_crawl_out_of_a_broker_that_has_stopped_to_read() {
    let cluster = cluster();
    let mut client = Client::to(&cluster, 1);
    let hold = cluster.inject(on_produce(Fault::Delay(Duration::MAX)));
    let sent = client.send(PRODUCE, &produce(&[0]));
    settle(&cluster);
    let blind = cluster.inject(Rule::new(Fault::NeverRead).times(1));
    cluster.inject(Rule::new(Fault::SlowWrite {
        bytes: 1,
        pause: Duration::ZERO,
    }));
    let next = client.send(PRODUCE, &produce(&[0]));
    cluster.withdraw(hold);
    assert_eq!(client.answer::<ProduceRequest>(PRODUCE).0, sent);
    settle(&cluster);
    client.assert_waits();
    cluster.withdraw(blind);
    assert_eq!(client.answer::<ProduceRequest>(PRODUCE).0, next);
}

#[test]
fn an_old_broker_comes_back_after_it_was_away() {
    let cluster = cluster();
    let away = cluster.inject(Rule::new(Fault::Refuse));
    cluster.inject(Rule::new(Fault::Downgrade(Profile::KAFKA_2_8)));
    cluster.inject(Rule::new(Fault::CloseOnAccept).times(1));
    assert!(Client::at(cluster.address(1)).is_err());
    cluster.withdraw(away);
    assert!(!Client::to(&cluster, 1).try_call());
    let mut client = Client::to(&cluster, 1);
    let offers = client.call(0, &hello()).api_keys;
    assert_eq!(offers[0].api_key, 0);
    assert_eq!(offers[0].max_version, 9);
}

#[test]
fn a_node_that_is_stopped_takes_its_held_requests_with_it() {
    let cluster = cluster();
    let mut client = Client::to(&cluster, 1);
    cluster.inject(on_produce(Fault::DelayBefore(Duration::MAX)));
    client.send(PRODUCE, &produce(&[0]));
    settle(&cluster);
    cluster.stop_node(1).unwrap();
    client.assert_ends();
    cluster.start_node(1).unwrap();
    cluster.withdraw_all();
    settle(&cluster);
    assert_eq!(stored(&cluster, 0), 0);
}
