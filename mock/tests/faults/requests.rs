//! What becomes of requests.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use kafka_mock::{ApiKey, Cluster, Fault, Profile, ResponseError, Rule};
use kafka_protocol::messages::produce_response::PartitionProduceResponse;
use kafka_protocol::messages::{MetadataRequest, ProduceRequest};

use crate::client::{
    API_VERSIONS, Client, METADATA, PATIENCE, PRODUCE, cluster, cluster_of, frame, hello, metadata,
    produce, settle, stored,
};

const REFUSED: ResponseError = ResponseError::NotEnoughReplicas;

fn on_produce(fault: Fault) -> Rule {
    Rule::new(fault).api(ApiKey::Produce)
}

fn codes(answers: &[PartitionProduceResponse]) -> Vec<(i32, i16)> {
    answers
        .iter()
        .map(|answer| (answer.index, answer.error_code))
        .collect()
}

/// The error code of the next answer, which is about one partition.
fn next_code(client: &mut Client) -> (i32, i16) {
    let (correlation, response) = client.answer::<ProduceRequest>(PRODUCE);
    let answers = &response.responses[0].partition_responses;
    assert_eq!(answers.len(), 1);
    (correlation, answers[0].error_code)
}

#[test]
fn an_error_refuses_until_it_is_withdrawn() {
    let cluster = cluster();
    let mut client = Client::to(&cluster, 1);
    let fault = cluster.inject(on_produce(Fault::Error(REFUSED)));
    for _ in 0..3 {
        assert_eq!(codes(&client.produce(&[0])), [(0, REFUSED.code())]);
    }
    assert_eq!((stored(&cluster, 0), cluster.struck(fault)), (0, 3));
    cluster.withdraw(fault);
    assert_eq!(codes(&client.produce(&[0])), [(0, 0)]);
    assert_eq!((stored(&cluster, 0), cluster.struck(fault)), (1, 0));
}

#[test]
fn an_applied_error_hides_that_the_records_are_there() {
    let cluster = cluster();
    let mut client = Client::to(&cluster, 1);
    cluster.inject(on_produce(Fault::AppliedError(REFUSED)));
    assert_eq!(codes(&client.produce(&[0])), [(0, REFUSED.code())]);
    assert_eq!(stored(&cluster, 0), 1);
}

#[test]
fn any_one_of_five_in_flight_can_be_picked() {
    for unlucky in 0..5 {
        let cluster = cluster();
        let mut client = Client::to(&cluster, 1);
        let rule = on_produce(Fault::Error(REFUSED)).after(unlucky).times(1);
        let fault = cluster.inject(rule);
        let sent: Vec<i32> = (0..5)
            .map(|_| client.send(PRODUCE, &produce(&[0])))
            .collect();
        let answers: Vec<_> = sent.iter().map(|_| next_code(&mut client)).collect();
        let expected: Vec<_> = sent
            .into_iter()
            .zip(0..)
            .map(|(id, turn)| (id, if turn == unlucky { REFUSED.code() } else { 0 }))
            .collect();
        assert_eq!(answers, expected);
        assert_eq!((stored(&cluster, 0), cluster.struck(fault)), (4, 1));
    }
}

#[test]
fn a_request_that_gathers_waits_for_so_many_more() {
    let cluster = cluster();
    let mut client = Client::to(&cluster, 1);
    cluster.inject(on_produce(Fault::Gather(4)).times(1));
    client.send(PRODUCE, &produce(&[0]));
    // Half of the last one is no request.
    let more = frame(METADATA, 2, &metadata()).repeat(4);
    let (all_but_some, some) = more.split_at(more.len() - 5);
    client.send_bytes(all_but_some);
    settle(&cluster);
    client.assert_waits();
    assert_eq!(stored(&cluster, 0), 0);
    client.send_bytes(some);
    assert_eq!(next_code(&mut client), (1, 0));
    for _ in 0..4 {
        assert_eq!(client.answer::<MetadataRequest>(METADATA).0, 2);
    }
    // Only the one gathers.
    client.produce(&[0]);
}

#[test]
fn withdrawn_a_request_gathers_no_more() {
    let cluster = cluster();
    let mut client = Client::to(&cluster, 1);
    let fault = cluster.inject(on_produce(Fault::Gather(1)));
    let sent = client.send(PRODUCE, &produce(&[0]));
    settle(&cluster);
    client.assert_waits();
    cluster.withdraw(fault);
    assert_eq!(next_code(&mut client), (sent, 0));
}

#[test]
fn each_rule_counts_what_it_matches() {
    let cluster = cluster();
    let mut client = Client::to(&cluster, 1);
    let other = ResponseError::KafkaStorageError;
    let fault = |error| on_produce(Fault::Error(error));
    cluster.inject(fault(REFUSED).times(2));
    cluster.inject(fault(other).after(1).times(2));
    let answers: Vec<i16> = (0..4).map(|_| client.produce(&[0])[0].error_code).collect();
    assert_eq!(
        answers,
        [REFUSED.code(), REFUSED.code(), other.code(), 0],
        "the first injected one has its way, and both count"
    );
}

#[test]
fn requests_of_other_apis_and_nodes_are_not_befallen() {
    let cluster = cluster_of(2);
    cluster.inject(on_produce(Fault::Error(REFUSED)).node(2));
    let mut well = Client::to(&cluster, 1);
    let mut sick = Client::to(&cluster, 2);
    assert_eq!(codes(&well.produce(&[0])), [(0, 0)]);
    assert_eq!(codes(&sick.produce(&[1])), [(1, REFUSED.code())]);
    let topic = &sick.call(METADATA, &metadata()).topics[0];
    assert_eq!(topic.error_code, 0);
}

#[test]
fn of_a_request_with_many_partitions_only_the_one_suffers() {
    let cluster = cluster();
    let mut client = Client::to(&cluster, 1);
    let fault = on_produce(Fault::Error(REFUSED)).partition("calls", 1);
    let fault = cluster.inject(fault.times(1));
    assert_eq!(codes(&client.produce(&[0, 2])), [(0, 0), (2, 0)]);
    let answers = client.produce(&[0, 1, 2]);
    assert_eq!(codes(&answers), [(0, 0), (1, REFUSED.code()), (2, 0)]);
    assert_eq!(codes(&client.produce(&[1])), [(1, 0)]);
    assert_eq!(cluster.struck(fault), 1, "one request concerned it in time");
    assert_eq!(
        [0, 1, 2].map(|partition| stored(&cluster, partition)),
        [2, 1, 2]
    );
}

#[test]
fn an_error_of_a_partition_goes_before_one_of_the_request() {
    let cluster = cluster();
    let mut client = Client::to(&cluster, 1);
    let own = ResponseError::KafkaStorageError;
    cluster.inject(on_produce(Fault::Error(REFUSED)));
    cluster.inject(on_produce(Fault::Error(own)).partition("calls", 1));
    let answers = client.produce(&[0, 1]);
    assert_eq!(codes(&answers), [(0, REFUSED.code()), (1, own.code())]);
}

#[test]
fn topics_are_known_by_their_ids_too() {
    const BY_ID: i16 = 13;
    let cluster = cluster();
    let mut client = Client::to(&cluster, 1);
    cluster.inject(on_produce(Fault::Error(REFUSED)).partition("calls", 1));
    let mut request = produce(&[0, 1]);
    request.topic_data[0].name = Default::default();
    request.topic_data[0].topic_id = cluster.topics()[0].id;
    let response = client.call(BY_ID, &request);
    let answers = &response.responses[0].partition_responses;
    assert_eq!(codes(answers), [(0, 0), (1, REFUSED.code())]);
}

#[test]
fn metadata_fails_for_topics_and_for_partitions() {
    const NO_LEADER: ResponseError = ResponseError::LeaderNotAvailable;
    let cluster = cluster();
    let mut client = Client::to(&cluster, 1);
    let rule = Rule::new(Fault::Error(NO_LEADER)).api(ApiKey::Metadata);
    let whole = cluster.inject(rule.clone());
    let topic = &client.call(METADATA, &metadata()).topics[0];
    assert_eq!(topic.error_code, NO_LEADER.code());
    cluster.withdraw(whole);
    cluster.inject(rule.partition("calls", 2));
    for request in [metadata(), MetadataRequest::default().with_topics(None)] {
        let topic = &client.call(METADATA, &request).topics[0];
        let partitions = topic.partitions.iter().map(|one| one.error_code);
        assert_eq!(topic.error_code, 0);
        assert_eq!(partitions.collect::<Vec<_>>(), [0, 0, NO_LEADER.code()]);
    }
}

#[test]
fn unsupported_versions_are_refused_in_version_0() {
    let cluster = cluster();
    let mut client = Client::to(&cluster, 1);
    let fault = Fault::Error(ResponseError::UnsupportedVersion);
    cluster.inject(Rule::new(fault).api(ApiKey::ApiVersions).times(1));
    client.send(API_VERSIONS, &hello());
    let (_, answer) = client.answer::<kafka_protocol::messages::ApiVersionsRequest>(0);
    assert_eq!(answer.error_code, ResponseError::UnsupportedVersion.code());
}

#[test]
fn a_delayed_answer_keeps_later_ones_waiting() {
    let cluster = cluster();
    let mut client = Client::to(&cluster, 1);
    let fault = cluster.inject(on_produce(Fault::Delay(Duration::MAX)).times(1));
    let sent = [0, 1, 2].map(|partition| client.send(PRODUCE, &produce(&[partition])));
    settle(&cluster);
    client.assert_waits();
    assert_eq!(
        [0, 1, 2].map(|partition| stored(&cluster, partition)),
        [1, 0, 0],
        "applied, and not taken up yet"
    );
    cluster.withdraw(fault);
    let answers = sent.map(|_| next_code(&mut client));
    assert_eq!(answers, sent.map(|correlation| (correlation, 0)));
}

#[test]
fn a_delay_ends_by_itself() {
    let time = Duration::from_millis(30);
    let cluster = cluster();
    let mut client = Client::to(&cluster, 1);
    cluster.inject(on_produce(Fault::Delay(time)));
    cluster.inject(on_produce(Fault::DelayBefore(time)));
    let begin = Instant::now();
    assert_eq!(codes(&client.produce(&[0])), [(0, 0)]);
    assert!(begin.elapsed() >= 2 * time, "delays add up");
}

#[test]
fn a_request_that_is_delayed_before_is_applied_late() {
    let cluster = cluster();
    let mut client = Client::to(&cluster, 1);
    let fault = cluster.inject(on_produce(Fault::DelayBefore(Duration::MAX)));
    client.send(PRODUCE, &produce(&[0]));
    settle(&cluster);
    client.assert_waits();
    assert_eq!(stored(&cluster, 0), 0);
    cluster.withdraw(fault);
    assert_eq!(next_code(&mut client).1, 0);
    assert_eq!(stored(&cluster, 0), 1);
}

#[test]
fn a_request_in_the_hands_of_the_broker_is_applied_though_the_client_has_gone() {
    let cluster = cluster();
    let mut client = Client::to(&cluster, 1);
    let fault = cluster.inject(on_produce(Fault::DelayBefore(Duration::MAX)));
    client.send(PRODUCE, &produce(&[0]));
    settle(&cluster);
    drop(client);
    settle(&cluster);
    assert_eq!(stored(&cluster, 0), 0);
    cluster.withdraw(fault);
    let applied = cluster.wait(PATIENCE, |cluster| (stored(cluster, 0) == 1).then_some(()));
    assert_eq!(applied, Some(()));
}

/// What a fault of the first Produce leaves behind: the client and how many records are there.
fn ended_by(cluster: &Cluster, fault: Fault) -> (Client, i64) {
    let mut client = Client::to(cluster, 1);
    let fault = cluster.inject(on_produce(fault));
    client.send(PRODUCE, &produce(&[0]));
    settle(cluster);
    assert_eq!(cluster.struck(fault), 1);
    (client, stored(cluster, 0))
}

#[test]
fn connections_are_closed_before_and_after_applying() {
    for (fault, records) in [(Fault::CloseBefore, 0), (Fault::CloseAfter, 1)] {
        let cluster = cluster();
        let (mut client, stored) = ended_by(&cluster, fault);
        client.assert_ends();
        assert_eq!(stored, records);
    }
}

#[test]
fn connections_are_reset_before_and_after_applying() {
    for (fault, records) in [(Fault::ResetBefore, 0), (Fault::ResetAfter, 1)] {
        let cluster = cluster();
        let (mut client, stored) = ended_by(&cluster, fault);
        client.assert_reset();
        assert_eq!(stored, records);
    }
}

#[test]
fn requests_that_follow_a_close_in_flight_are_lost() {
    let cluster = cluster();
    let mut client = Client::to(&cluster, 1);
    cluster.inject(on_produce(Fault::CloseAfter).after(1).times(1));
    client.send_bytes(&frame(PRODUCE, 1, &produce(&[0])).repeat(5));
    assert_eq!(next_code(&mut client).1, 0);
    client.assert_ends();
    assert_eq!(stored(&cluster, 0), 2);
}

#[test]
fn a_half_closed_connection_swallows_requests_until_withdrawal() {
    let cluster = cluster();
    let (mut client, stored_then) = ended_by(&cluster, Fault::HalfClose);
    client.assert_ends();
    for _ in 0..3 {
        client.send(PRODUCE, &produce(&[0]));
        settle(&cluster);
    }
    assert_eq!((stored_then, stored(&cluster, 0)), (1, 1));
    cluster.withdraw_all();
    settle(&cluster);
    client.assert_takes_nothing();
}

#[test]
fn an_ignored_request_is_never_answered_and_the_next_one_is() {
    for (fault, records) in [(Fault::IgnoreBefore, 0), (Fault::IgnoreAfter, 1)] {
        let cluster = cluster();
        let mut client = Client::to(&cluster, 1);
        let fault = cluster.inject(on_produce(fault).times(1));
        client.send(PRODUCE, &produce(&[0]));
        settle(&cluster);
        client.assert_waits();
        assert_eq!(stored(&cluster, 0), records);
        cluster.withdraw(fault);
        settle(&cluster);
        client.assert_waits();
        let next = client.send(PRODUCE, &produce(&[0]));
        assert_eq!(next_code(&mut client), (next, 0));
    }
}

#[test]
fn a_fault_of_whole_requests_befalls_those_that_concern_the_partition() {
    let cluster = cluster();
    let mut client = Client::to(&cluster, 1);
    cluster.inject(on_produce(Fault::CloseBefore).partition("calls", 1));
    assert_eq!(codes(&client.produce(&[0, 2])), [(0, 0), (2, 0)]);
    client.send(PRODUCE, &produce(&[0, 1]));
    client.assert_ends();
    assert_eq!([0, 1].map(|partition| stored(&cluster, partition)), [1, 0]);
}

#[test]
fn requests_without_answers_suffer_too() {
    let silent = produce(&[0]).with_acks(0);
    let cluster = cluster();
    let mut client = Client::to(&cluster, 1);
    cluster.inject(on_produce(Fault::IgnoreBefore).times(1));
    cluster.inject(on_produce(Fault::CloseAfter).after(2));
    for _ in 0..3 {
        client.send(PRODUCE, &silent);
    }
    client.assert_ends();
    assert_eq!(stored(&cluster, 0), 2);

    let mut client = Client::to(&cluster, 1);
    cluster.withdraw_all();
    cluster.inject(on_produce(Fault::Error(REFUSED)));
    client.send(PRODUCE, &silent);
    client.assert_ends();
    assert_eq!(stored(&cluster, 0), 2);
}

#[test]
fn a_throttled_request_is_answered_at_once_and_says_so() {
    let cluster = cluster();
    let mut client = Client::to(&cluster, 1);
    cluster.inject(Rule::new(Fault::Throttle(Duration::from_secs(3600))));
    cluster.inject(on_produce(Fault::Throttle(Duration::from_millis(1))));
    let throttle = client.call(PRODUCE, &produce(&[0])).throttle_time_ms;
    assert_eq!(throttle, 3_600_001);
    assert_eq!(
        client.call(METADATA, &metadata()).throttle_time_ms,
        3_600_000
    );
    let hello = client.call(API_VERSIONS, &hello());
    assert_eq!(hello.throttle_time_ms, 3_600_000);
}

#[test]
fn the_clock_of_the_broker_is_off() {
    const DAY: i64 = 86_400_000;
    let cluster = cluster();
    let mut client = Client::to(&cluster, 1);
    cluster.inject(Rule::new(Fault::ClockSkew(-10 * DAY)).partition("calls", 1));
    let answers = client.produce(&[0, 1]);
    let off = answers[0].log_append_time_ms - answers[1].log_append_time_ms;
    assert!((off - 10 * DAY).abs() < DAY, "{off}");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let true_time = answers[0].log_append_time_ms;
    assert!((now.as_millis() as i64 - true_time).abs() < DAY);
}

#[test]
#[should_panic(expected = "which are of no API or partition")]
fn a_fault_of_connections_cannot_be_narrowed_to_an_api() {
    cluster().inject(on_produce(Fault::NeverRead));
}

#[test]
#[should_panic(expected = "this befalls [Metadata], never Produce")]
fn a_fault_of_one_api_cannot_be_narrowed_to_another() {
    cluster().inject(on_produce(Fault::PartitionCount(1)));
}

#[test]
#[should_panic(expected = "there is nothing to count")]
fn a_fault_of_a_node_cannot_be_counted() {
    cluster().inject(Rule::new(Fault::Downgrade(Profile::KAFKA_2_8)).times(1));
}
