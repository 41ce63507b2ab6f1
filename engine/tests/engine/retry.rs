//! What is sent again, where to, how often; and what is known of a message that failed.

use kafka_engine::error::{DeliveryError, Persisted, Place};
use kafka_engine::settings::{Settings, TopicSettings};
use kafka_wire::ApiKey::{Metadata, Produce};
use kafka_wire::ErrorCode;

use kafka_sim::{Cluster, Fault, Message, Reach, World, millis, secs};

#[test]
fn a_batch_refused_by_a_former_leader_goes_to_the_new_one() {
    let mut world = World::new(Cluster::new(2).with_topic("t", 1), Settings::default());
    let topic = world.topic("t");
    world.run_for(millis(200));
    world.cluster.lead("t", 0, Some(2));
    world.publish(&topic, &Message::of(10));
    world.run_dry(secs(1));
    let brokers: Vec<i32> = world.cluster.produced.iter().map(|p| p.broker).collect();
    assert_eq!(brokers, [1, 2]);
    world.verify();
}

#[test]
fn a_new_leader_that_the_former_one_names_is_served_at_once() {
    let mut world = World::new(Cluster::new(2).with_topic("t", 2), Settings::default());
    let topic = world.topic("t");
    world.publish(&topic, &Message::of(10).to(0));
    world.publish(&topic, &Message::of(10).to(1));
    world.run_dry(secs(1));
    world.cluster.hints = true;
    world.cluster.lead("t", 0, Some(2));
    for broker in 1..=2 {
        let slow = Fault::Slow(secs(5));
        world.cluster.broker(broker).script(Metadata, [slow]);
    }
    world.publish(&topic, &Message::of(10).to(0));
    world.run_dry(millis(20));
    world.verify();
}

#[test]
fn a_new_leader_that_nobody_knows_is_found_where_the_former_one_says() {
    let mut world = World::new(Cluster::new(1).with_topic("t", 1), Settings::default());
    let topic = world.topic("t");
    world.publish(&topic, &Message::of(10));
    world.run_dry(secs(1));
    let newcomer = Cluster::new(2).brokers.remove(&2).expect("made");
    world.cluster.brokers.insert(2, newcomer);
    world.cluster.hints = true;
    world.cluster.lead("t", 0, Some(2));
    let slow = Fault::Slow(secs(5));
    world.cluster.broker(1).script(Metadata, [slow]);
    world.publish(&topic, &Message::of(10));
    world.run_dry(millis(20));
    world.verify();
}

#[test]
fn a_leader_that_is_none_is_not_taken_for_a_bootstrap_address() {
    let mut world = World::new(Cluster::new(2).with_topic("t", 1), Settings::default());
    world.cluster.lead("t", 0, Some(2));
    let topic = world.topic("t");
    world.publish(&topic, &Message::of(10));
    world.run_dry(secs(1));
    let nobody = Fault::Misreport(|response| {
        let answer = &mut response.topics[0].partitions[0];
        answer.error_code = ErrorCode::NOT_LEADER_OR_FOLLOWER;
        answer.base_offset = -1;
        answer.current_leader.leader_epoch += 1;
        answer.current_leader.leader_id = -1;
    });
    world.cluster.broker(2).script(Produce, [nobody]);
    world.publish(&topic, &Message::of(10));
    world.run_dry(secs(10));
    assert_eq!(world.requests_of(Produce, 1), 0);
}

#[test]
fn leaders_that_name_each_other_are_not_hammered() {
    let mut world = World::new(Cluster::new(2).with_topic("t", 1), Settings::default());
    let topic = world.topic("t");
    world.publish(&topic, &Message::of(10));
    world.run_dry(secs(1));
    for broker in 1..=2 {
        let name_the_other = Fault::Misreport(|response| {
            let answer = &mut response.topics[0].partitions[0];
            answer.error_code = ErrorCode::NOT_LEADER_OR_FOLLOWER;
            answer.base_offset = -1;
            answer.current_leader.leader_epoch = i32::MAX;
            answer.current_leader.leader_id = 2;
        });
        world.cluster.broker(broker).always(Produce, name_the_other);
    }
    world.publish(&topic, &Message::of(10));
    world.run_for(secs(10));
    let sent = world.cluster.produced.len();
    assert!((5..25).contains(&sent), "{sent} requests");
    for broker in 1..=2 {
        world.cluster.broker(broker).forget_script();
    }
    world.run_dry(secs(5));
}

#[test]
fn a_former_leader_gets_nothing_more_while_the_new_one_is_not_known() {
    let mut world = World::new(Cluster::new(2).with_topic("t", 1), Settings::default());
    let topic = world.topic("t");
    world.run_for(millis(200));
    world.cluster.lead("t", 0, Some(2));
    for broker in 1..=2 {
        let slow = Fault::Slow(secs(5));
        world.cluster.broker(broker).script(Metadata, [slow]);
    }
    for _ in 0..10 {
        world.publish(&topic, &Message::of(10));
        world.run_for(millis(100));
    }
    // Both were asked in the end: what the new leader is sent waits for its slow answer, too.
    world.run_dry(secs(8));
    let brokers: Vec<i32> = world.cluster.produced.iter().map(|p| p.broker).collect();
    assert_eq!(brokers[..2], [1, 2]);
    assert!(!brokers[1..].contains(&1));
    world.verify_order();
    world.verify();
}

#[test]
fn an_election_holds_a_partition_up_only_while_it_lasts() {
    let mut world = World::new(Cluster::new(2).with_topic("t", 2), Settings::default());
    let topic = world.topic("t");
    world.run_for(millis(200));
    world.cluster.lead("t", 0, None);
    for number in 0..60 {
        world.publish(&topic, &Message::of(10).to(number % 2));
        world.run_for(millis(50));
    }
    assert_eq!(
        world.held(),
        30,
        "only the partition without a leader waits"
    );
    world.cluster.lead("t", 0, Some(2));
    world.run_dry(secs(2));
    assert_eq!(world.delivered(), 60);
    world.verify_order();
    world.verify();
}

#[test]
fn what_was_on_a_lost_connection_is_sent_again() {
    for fault in [Fault::Close, Fault::AppendThenClose] {
        let mut world = World::new(Cluster::new(1).with_topic("t", 4), Settings::default());
        let topic = world.topic("t");
        world.cluster.broker(1).script(Produce, [fault]);
        for partition in 0..4 {
            world.publish(&topic, &Message::of(10).to(partition));
        }
        world.run_dry(secs(2));
        assert_eq!(world.delivered(), 4);
        assert_eq!(world.connects.len(), 2);
        world.verify();
    }
}

#[test]
fn a_request_without_an_answer_ends_its_connection_and_is_sent_again() {
    for fault in [Fault::Hang, Fault::AppendThenHang] {
        let settings = Settings {
            request_timeout: secs(5),
            ..Settings::default()
        };
        let mut world = World::new(Cluster::new(1).with_topic("t", 1), settings);
        let topic = world.topic("t");
        world.run_for(secs(1));
        world.cluster.broker(1).script(Produce, [fault]);
        world.publish_many(&topic, 10, &Message::of(10));
        world.run_for(secs(5));
        assert_eq!(world.connects.len(), 1, "not before the request time-out");
        world.run_dry(secs(1));
        assert_eq!(world.connects.len(), 2);
        assert_eq!(world.delivered(), 10);
        world.verify();
    }
}

#[test]
fn waits_between_attempts_double_up_to_their_limit() {
    let mut world = World::new(Cluster::new(1).with_topic("t", 1), Settings::default());
    let topic = world.topic("t");
    let refuse = Fault::Refuse(ErrorCode::NOT_ENOUGH_REPLICAS);
    world.cluster.broker(1).script(Produce, vec![refuse; 9]);
    world.publish(&topic, &Message::of(10));
    world.run_dry(secs(20));
    let times: Vec<u64> = world
        .cluster
        .produced
        .iter()
        .map(|p| p.at.as_nanos() / 1_000_000)
        .collect();
    let waits: Vec<u64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    for (wait, expected) in waits
        .iter()
        .zip([100, 200, 400, 800, 1000, 1000, 1000, 1000, 1000])
    {
        let range = expected * 8 / 10 - 1..=(expected * 12 / 10).min(1000) + 1;
        assert!(range.contains(wait), "{waits:?}");
    }
    world.verify();
}

#[test]
fn a_final_error_fails_at_once_and_is_not_in_the_log() {
    let mut world = World::new(Cluster::new(1).with_topic("t", 2), Settings::default());
    let topic = world.topic("t");
    world.run_for(millis(200));
    world
        .cluster
        .broker(1)
        .script(Produce, [Fault::Refuse(ErrorCode::INVALID_RECORD)]);
    let opaque = world.publish(&topic, &Message::of(10));
    world.run_dry(millis(100));
    let failure = world.failure(opaque);
    assert_eq!(
        failure.error,
        DeliveryError::Broker(ErrorCode::INVALID_RECORD)
    );
    assert_eq!((failure.place, failure.attempts), (Place::InFlight, 1));
    assert_eq!(failure.persisted, Persisted::No);
    assert!(failure.to_string().contains("b1:9092"), "{failure}");
    world.verify();
}

#[test]
fn retries_end_after_so_many() {
    let settings = Settings {
        max_retries: 2,
        ..Settings::default()
    };
    let mut world = World::new(Cluster::new(1).with_topic("t", 1), settings);
    let topic = world.topic("t");
    let refuse = Fault::Refuse(ErrorCode::NOT_ENOUGH_REPLICAS);
    world.cluster.broker(1).script(Produce, vec![refuse; 3]);
    let opaque = world.publish(&topic, &Message::of(10));
    world.run_dry(secs(2));
    let failure = world.failure(opaque);
    assert_eq!(
        failure.error,
        DeliveryError::Broker(ErrorCode::NOT_ENOUGH_REPLICAS)
    );
    assert_eq!((failure.attempts, failure.persisted), (3, Persisted::No));
    world.verify();
}

#[test]
fn a_lost_connection_without_retries_may_have_persisted_the_message() {
    for (fault, logged) in [(Fault::Close, 0), (Fault::AppendThenClose, 1)] {
        let settings = Settings {
            max_retries: 0,
            ..Settings::default()
        };
        let mut world = World::new(Cluster::new(1).with_topic("t", 1), settings);
        let topic = world.topic("t");
        world.cluster.broker(1).script(Produce, [fault]);
        let opaque = world.publish(&topic, &Message::of(10));
        world.run_dry(secs(2));
        let failure = world.failure(opaque);
        assert_eq!(failure.error, DeliveryError::Transport);
        assert_eq!((failure.attempts, failure.persisted), (1, Persisted::Maybe));
        assert_eq!(world.cluster.log("t", 0).len(), logged);
        world.verify();
    }
}

#[test]
fn an_answer_after_the_append_leaves_it_open_whether_the_message_is_in_the_log() {
    for code in [
        ErrorCode::REQUEST_TIMED_OUT,
        ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND,
    ] {
        let settings = Settings {
            max_retries: 1,
            ..Settings::default()
        };
        let mut world = World::new(Cluster::new(1).with_topic("t", 1), settings);
        let topic = world.topic("t");
        let faults = [
            Fault::AppendThenRefuse(code),
            Fault::Refuse(ErrorCode::NOT_ENOUGH_REPLICAS),
        ];
        world.cluster.broker(1).script(Produce, faults);
        let opaque = world.publish(&topic, &Message::of(10));
        world.run_dry(secs(2));
        assert_eq!(world.failure(opaque).persisted, Persisted::Maybe);
        assert_eq!(world.cluster.log("t", 0).len(), 1);
        world.verify();
    }
}

#[test]
fn a_message_that_was_sent_once_keeps_its_doubt_when_it_expires_later() {
    let mut world = World::new(Cluster::new(1).with_topic("t", 1), Settings::default());
    let settings = TopicSettings {
        message_timeout: Some(secs(3)),
        ..TopicSettings::default()
    };
    let topic = world.topic_with("t", &settings);
    world.run_for(millis(200));
    world
        .cluster
        .broker(1)
        .script(Produce, [Fault::AppendThenClose]);
    let sent = world.publish(&topic, &Message::of(10));
    world.run_for(millis(10));
    world.crash(1, Reach::Refuses);
    let unsent = world.publish(&topic, &Message::of(10));
    world.run_dry(secs(4));
    assert_eq!(world.failure(sent).persisted, Persisted::Maybe);
    assert_eq!(world.failure(sent).attempts, 1);
    assert_eq!(world.failure(unsent).persisted, Persisted::No);
    assert_eq!(world.failure(unsent).attempts, 0);
    world.verify();
}

#[test]
fn an_error_of_one_partition_does_not_hold_up_the_others() {
    let mut world = World::new(Cluster::new(1).with_topic("t", 3), Settings::default());
    let topic = world.topic("t");
    world.run_for(millis(200));
    world.cluster.lead("t", 1, None);
    for partition in 0..3 {
        world.publish(&topic, &Message::of(10).to(partition));
    }
    world.run_for(secs(1));
    assert_eq!(world.delivered(), 2);
    world.cluster.lead("t", 1, Some(1));
    world.run_dry(secs(2));
    world.verify();
}

#[test]
fn answers_that_were_given_up_count_for_nothing_and_their_connection_is_kept() {
    let settings = Settings {
        max_fails: None,
        ..Settings::default()
    };
    let mut world = World::new(Cluster::new(1).with_topic("t", 2), settings);
    let topic = world.topic("t");
    world.run_for(secs(1));
    let slow = [Fault::Slow(secs(70)), Fault::Slow(secs(20)), Fault::Obey];
    world.cluster.broker(1).script(Produce, slow);
    world
        .cluster
        .broker(1)
        .script(Metadata, [Fault::Slow(secs(70))]);
    let first = world.publish(&topic, &Message::of(10).to(0));
    world.run_for(secs(50));
    let second = world.publish(&topic, &Message::of(10).to(1));
    world.run_dry(secs(200));
    world.run_for(secs(400));
    // It was taken each time: whoever forgoes an answer does not know. The second answer came behind
    // the one about metadata, and so late, too.
    assert_eq!(world.cluster.log("t", 0).len(), 3);
    assert_eq!((world.offset(first), world.offset(second)), (2, 0));
    assert_eq!(world.connects.len(), 1);
    world.verify();
}

#[test]
fn a_connection_is_closed_when_too_many_answers_were_given_up() {
    let settings = Settings {
        max_fails: Some(3),
        ..Settings::default()
    };
    let mut world = World::new(Cluster::new(1).with_topic("t", 1), settings);
    let topic = world.topic("t");
    world.run_for(secs(1));
    world.cluster.broker(1).script(Produce, [Fault::Hang]);
    world.publish(&topic, &Message::of(10));
    // The batch, then the batch again and a question for its leader.
    world.run_for(secs(119));
    assert_eq!(
        (world.connects.len(), world.requests_of(Produce, 1)),
        (1, 2)
    );
    world.run_dry(secs(2));
    assert_eq!(world.connects.len(), 2);
    world.verify();
}

#[test]
fn a_connection_with_a_half_written_request_is_never_kept() {
    let settings = Settings {
        max_fails: None,
        ..Settings::default()
    };
    let mut world = World::new(Cluster::new(1).with_topic("t", 1), settings);
    let topic = world.topic("t");
    world.run_for(secs(1));
    world.cluster.broker(1).reads = false;
    world.publish(&topic, &Message::of(10));
    world.run_for(secs(61));
    assert_eq!(world.connects.len(), 2);
    world.read_on(1);
    world.run_dry(secs(61));
    world.verify();
}
