//! Every message is in the log once and in its place, whatever happens on the way.

use std::collections::BTreeSet;
use std::sync::Arc;

use kafka_engine::Purge;
use kafka_engine::accumulator::Topic;
use kafka_engine::error::{DeliveryError, Persisted, Place, PublishError};
use kafka_engine::settings::{Acks, Settings, TopicSettings};
use kafka_wire::ApiKey::{InitProducerId, Metadata, Produce};
use kafka_wire::{ErrorCode, Uuid, VersionRange};

use kafka_sim::{Cluster, Fault, Message, Reach, World, millis, secs};

/// Every message is a batch of its own.
fn idempotent() -> Settings {
    Settings {
        idempotence: true,
        batch_messages: 1,
        ..Settings::default()
    }
}

fn world(settings: Settings) -> (World, Arc<Topic>) {
    let mut world = World::new(Cluster::new(3).with_topic("t", 1), settings);
    let topic = world.topic("t");
    (world, topic)
}

/// A world whose only partition has taken a first batch, with answers on their way for 100 ms.
fn pipelining(settings: Settings) -> (World, Arc<Topic>) {
    let (mut world, topic) = world(settings);
    world.publish(&topic, &Message::of(10));
    world.run_dry(secs(1));
    for broker in 1..=3 {
        world.cluster.broker(broker).latency = millis(100);
    }
    (world, topic)
}

/// Has the request with the `nth` of five batches on the wire go wrong.
fn fail_one_of_five(world: &mut World, nth: usize, fault: Fault) {
    let script = [vec![Fault::Obey; nth], vec![fault]].concat();
    world.cluster.broker(1).script(Produce, script);
}

/// Producer id, epoch and sequence number of every batch that was received.
fn stamps(world: &World) -> Vec<(i64, i16, i32)> {
    let requests = world.cluster.produced.iter();
    requests.flat_map(|r| r.sequences.clone()).collect()
}

fn epochs(world: &World) -> BTreeSet<i16> {
    stamps(world)
        .into_iter()
        .map(|(_, epoch, _)| epoch)
        .collect()
}

/// Everything that was delivered is in the log once and in order, and nothing is there twice.
fn verify(world: &mut World) {
    world.verify();
    world.verify_order();
    world.verify_once();
}

fn verify_complete(world: &mut World, messages: u64) {
    verify(world);
    let opaques = world.cluster.opaques("t", 0);
    assert_eq!(opaques, (0..messages).collect::<Vec<_>>());
}

// Who the producer is.

#[test]
fn nothing_is_sent_before_there_is_a_producer_id_and_numbers_run_on() {
    let (mut world, topic) = world(Settings {
        batch_messages: 10,
        ..idempotent()
    });
    world
        .cluster
        .broker(1)
        .script(InitProducerId, [Fault::Slow(secs(1))]);
    for _ in 0..3 {
        world.publish_many(&topic, 10, &Message::of(10));
        world.run_for(millis(100));
    }
    assert!(world.cluster.produced.is_empty());
    world.run_dry(secs(2));
    assert_eq!(stamps(&world), [(1000, 0, 0), (1000, 0, 10), (1000, 0, 20)]);
    verify_complete(&mut world, 30);
}

#[test]
fn without_idempotence_nobody_asks_for_a_producer_id() {
    let (mut world, topic) = world(Settings::default());
    world.publish(&topic, &Message::of(10));
    world.run_dry(secs(1));
    assert!(
        world
            .requests
            .iter()
            .all(|(.., api)| *api != InitProducerId)
    );
    assert_eq!(stamps(&world), [(-1, -1, -1)]);
}

#[test]
fn one_broker_is_asked_for_a_producer_id_and_another_one_if_that_takes_long() {
    let (mut world, topic) = world(idempotent());
    for broker in 1..=3 {
        world
            .cluster
            .broker(broker)
            .script(InitProducerId, [Fault::Hang]);
    }
    world.publish_many(&topic, 20, &Message::of(10));
    let asked = |world: &World| {
        let requests = world.requests.iter();
        requests.filter(|(.., api)| *api == InitProducerId).count()
    };
    world.run_for(millis(1_900));
    assert_eq!(asked(&world), 1);
    world.run_for(millis(600));
    assert_eq!(asked(&world), 2);
    world.run_dry(secs(100));
    verify_complete(&mut world, 20);
}

#[test]
fn a_producer_id_is_asked_for_with_growing_waits_until_there_is_one() {
    let (mut world, topic) = world(idempotent());
    let refuse = Fault::Refuse(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS);
    for broker in 1..=3 {
        let script = vec![refuse.clone(); 100];
        world.cluster.broker(broker).script(InitProducerId, script);
    }
    let settings = TopicSettings {
        message_timeout: Some(secs(5)),
        ..TopicSettings::default()
    };
    let brief = world.topic_with("u", &settings);
    world.cluster.create("u", 1);
    let expired = world.publish(&brief, &Message::of(10));
    world.publish(&topic, &Message::of(10));
    world.run_for(secs(10));
    let asked = world.requests.iter();
    let asked = asked.filter(|(.., api)| *api == InitProducerId).count();
    assert!((10..=20).contains(&asked), "{asked} questions");
    let failure = world.failure(expired);
    let why = failure.last_error.as_deref().expect("a reason");
    assert!(why.contains("COORDINATOR_LOAD_IN_PROGRESS"), "{why}");
    assert_eq!(failure.place, Place::Queued);
    for broker in 1..=3 {
        world.cluster.broker(broker).forget_script();
    }
    world.run_dry(secs(2));
    verify(&mut world);
}

#[test]
fn a_producer_id_that_is_none_is_not_believed() {
    for (id, epoch) in [(-500, 0), (7, -1), (i64::MIN, i16::MIN)] {
        let mut cluster = Cluster::new(1).with_topic("t", 1);
        (cluster.next_producer_id, cluster.first_producer_epoch) = (id, epoch);
        let mut world = World::new(cluster, idempotent());
        let topic = world.topic("t");
        world.publish_many(&topic, 20, &Message::of(10));
        world.run_for(secs(5));
        assert!(world.cluster.produced.is_empty());
        let said = world.log.lines().join("\n");
        assert!(
            said.contains("InitProducerIdResponse.producer_id"),
            "{said}"
        );
        (
            world.cluster.next_producer_id,
            world.cluster.first_producer_epoch,
        ) = (9, 3);
        world.run_dry(secs(20));
        assert_eq!(stamps(&world)[0], (9, 3, 0));
        verify_complete(&mut world, 20);
    }
}

#[test]
fn a_broker_that_dies_when_it_is_asked_for_a_producer_id_is_not_the_only_one() {
    let (mut world, topic) = world(idempotent());
    world.cluster.broker(1).always(InitProducerId, Fault::Close);
    world.publish_many(&topic, 20, &Message::of(10));
    world.run_dry(secs(20));
    let closed = world.requests.iter();
    let closed = closed.filter(|(_, to, api)| (*to, *api) == (1, InitProducerId));
    assert!(closed.count() < 10);
    verify_complete(&mut world, 20);
}

#[test]
fn a_cluster_without_producer_ids_ends_the_producer_and_says_why() {
    let (mut world, topic) = {
        let mut cluster = Cluster::new(1).with_topic("t", 1);
        cluster.broker(1).offers.remove(&InitProducerId);
        let mut world = World::new(cluster, idempotent());
        let topic = world.topic("t");
        (world, topic)
    };
    world.run_for(secs(1));
    let fatal = world.accumulator.fatal_error().expect("fatal");
    assert_eq!(fatal.error, DeliveryError::UnsupportedFeature);
    assert_eq!(fatal.error.name(), "_UNSUPPORTED_FEATURE");
    assert!(fatal.to_string().contains("b1:9092"), "{fatal}");
    let refused = world.try_publish(&topic, &Message::of(10));
    let error = DeliveryError::UnsupportedFeature;
    assert_eq!(refused, Err(PublishError::Fatal { error }));
    verify(&mut world);
}

#[test]
fn a_cluster_that_refuses_a_producer_id_for_good_ends_the_producer() {
    let (mut world, topic) = world(idempotent());
    let denied = ErrorCode::CLUSTER_AUTHORIZATION_FAILED;
    let refusal = [Fault::Slow(millis(500)), Fault::Refuse(denied)];
    world.cluster.broker(1).script(InitProducerId, refusal);
    world.run_for(millis(600));
    let other = TopicSettings {
        message_timeout: Some(secs(77)),
        ..TopicSettings::default()
    };
    // It needs an id of its own.
    let (staged, other) = (world.topic("nowhere"), world.topic_with("t", &other));
    let messages = [
        world.publish(&staged, &Message::of(10)),
        world.publish(&other, &Message::of(10)),
    ];
    world.run_dry(secs(1));
    for opaque in messages {
        let failure = world.failure(opaque);
        assert_eq!(failure.error, DeliveryError::Broker(denied));
        assert_eq!(failure.persisted, Persisted::No);
    }
    let error = DeliveryError::Broker(denied);
    let refused = world.try_publish(&topic, &Message::of(10));
    assert_eq!(refused, Err(PublishError::Fatal { error }));
    let late = world.topic("late");
    let refused = world.try_publish(&late, &Message::of(10));
    assert_eq!(refused, Err(PublishError::Fatal { error }));
    assert_eq!(refused.map_err(|e| e.name()), Err("_FATAL"));
    verify(&mut world);
}

#[test]
fn two_settings_of_one_topic_are_two_producers() {
    let (mut world, topic) = world(idempotent());
    let settings = TopicSettings {
        message_timeout: Some(secs(77)),
        ..TopicSettings::default()
    };
    let other = world.topic_with("t", &settings);
    for _ in 0..20 {
        world.publish(&topic, &Message::of(10));
        world.publish(&other, &Message::of(10));
    }
    world.run_dry(secs(2));
    let ids: BTreeSet<i64> = stamps(&world).into_iter().map(|(id, ..)| id).collect();
    assert_eq!(ids.len(), 2);
    assert_eq!(world.cluster.log("t", 0).len(), 40);
    verify(&mut world);
}

// What is sent again.

#[test]
fn one_batch_is_on_the_wire_until_a_first_one_is_taken_and_then_five() {
    let (mut world, topic) = world(idempotent());
    world.run_for(secs(1));
    world.cluster.broker(1).latency = millis(100);
    world.publish_many(&topic, 20, &Message::of(10));
    world.run_for(millis(90));
    assert_eq!(world.cluster.produced.len(), 1);
    world.run_for(millis(100));
    assert_eq!(world.cluster.produced.len(), 6);
    world.run_dry(secs(2));
    verify_complete(&mut world, 21 - 1);
}

#[test]
fn a_connection_that_breaks_before_or_after_the_append_neither_loses_nor_doubles_nor_reorders() {
    for nth in 0..5 {
        for fault in [
            Fault::Close,
            Fault::AppendThenClose,
            Fault::Hang,
            Fault::AppendThenHang,
        ] {
            let (mut world, topic) = pipelining(Settings {
                request_timeout: secs(5),
                ..idempotent()
            });
            fail_one_of_five(&mut world, nth, fault);
            world.publish_many(&topic, 20, &Message::of(10));
            world.run_dry(secs(20));
            verify_complete(&mut world, 21);
            assert_eq!(epochs(&world), [0].into(), "nothing was lost");
        }
    }
}

#[test]
fn what_was_appended_in_spite_of_its_answer_is_not_appended_again() {
    for code in [
        ErrorCode::REQUEST_TIMED_OUT,
        ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND,
        ErrorCode::KAFKA_STORAGE_ERROR,
        ErrorCode::NOT_LEADER_OR_FOLLOWER,
    ] {
        for nth in 0..5 {
            let (mut world, topic) = pipelining(idempotent());
            fail_one_of_five(&mut world, nth, Fault::AppendThenRefuse(code));
            world.publish_many(&topic, 20, &Message::of(10));
            world.run_dry(secs(20));
            verify_complete(&mut world, 21);
        }
    }
}

#[test]
fn reports_come_in_the_order_of_the_partition() {
    let taken = Fault::AppendThenRefuse(ErrorCode::REQUEST_TIMED_OUT);
    let refused = Fault::Refuse(ErrorCode::POLICY_VIOLATION);
    for script in [
        vec![taken.clone()],
        vec![Fault::Obey, taken.clone(), taken.clone()],
        vec![taken.clone(), Fault::Obey, Fault::Close],
        vec![taken.clone(), refused.clone(), taken.clone()],
        vec![taken, Fault::Obey, refused],
    ] {
        let (mut world, topic) = pipelining(idempotent());
        world.take_reports_at_once(false);
        world.cluster.broker(1).script(Produce, script.clone());
        world.publish_many(&topic, 20, &Message::of(10));
        world.run_dry(secs(20));
        let reports = world.accumulator.reports().take();
        let opaques: Vec<u64> = reports.into_iter().flatten().map(|r| r.opaque).collect();
        assert_eq!(opaques, (1..21).collect::<Vec<_>>(), "{script:?}");
    }
}

#[test]
fn a_duplicate_is_a_success_whose_offset_nobody_knows() {
    let (mut world, topic) = pipelining(idempotent());
    let duplicate = ErrorCode::DUPLICATE_SEQUENCE_NUMBER;
    fail_one_of_five(&mut world, 1, Fault::AppendThenRefuse(duplicate));
    world.publish_many(&topic, 3, &Message::of(10));
    world.run_dry(secs(2));
    let delivered = world.outcomes[&2].result.as_ref().expect("delivered");
    assert_eq!(delivered.offset, None);
    assert_eq!(world.offset(3), 3);
    verify_complete(&mut world, 4);
}

#[test]
fn a_batch_that_fails_leaves_no_gap_to_those_behind_it() {
    for nth in 0..5 {
        let (mut world, topic) = pipelining(idempotent());
        let refusal = Fault::Refuse(ErrorCode::INVALID_RECORD);
        fail_one_of_five(&mut world, nth, refusal);
        world.publish_many(&topic, 20, &Message::of(10));
        world.run_dry(secs(20));
        let failure = world.failure(1 + nth as u64);
        assert_eq!(failure.persisted, Persisted::No);
        assert_eq!(world.delivered(), 20);
        assert_eq!(epochs(&world), [0, 1].into());
        verify(&mut world);
    }
}

#[test]
fn after_another_epoch_began_one_batch_is_on_the_wire_until_a_first_one_is_taken() {
    let (mut world, topic) = pipelining(idempotent());
    let refusal = Fault::Refuse(ErrorCode::INVALID_RECORD);
    fail_one_of_five(&mut world, 0, refusal);
    world.publish_many(&topic, 20, &Message::of(10));
    world.run_dry(secs(20));
    let requests = world.cluster.produced.iter();
    let times: Vec<_> = requests
        .filter(|request| request.sequences[0].1 == 1)
        .map(|request| request.at)
        .collect();
    assert!(times[1] >= times[0].after(millis(100)), "{times:?}");
    verify(&mut world);
}

#[test]
fn a_gap_that_the_leader_sees_is_closed_by_another_epoch() {
    let (mut world, topic) = pipelining(idempotent());
    world.publish_many(&topic, 4, &Message::of(10));
    world.run_dry(secs(2));
    // An election lost the last two.
    let partition = world.cluster.partition("t", 0);
    partition.log.truncate(3);
    partition.producers.cut(3);
    world.publish_many(&topic, 10, &Message::of(10));
    world.run_dry(secs(5));
    assert_eq!(world.delivered(), 15);
    let expected: Vec<u64> = (0..3).chain(5..15).collect();
    assert_eq!(world.cluster.opaques("t", 0), expected);
    assert_eq!(epochs(&world), [0, 1].into());
}

#[test]
fn a_leader_that_has_forgotten_the_producer_gets_everything_once_and_in_order() {
    for refuses_strangers in [true, false] {
        let (mut world, topic) = pipelining(idempotent());
        world.cluster.refuses_strangers = refuses_strangers;
        world.publish_many(&topic, 10, &Message::of(10));
        world.run_dry(secs(5));
        world.cluster.partition("t", 0).producers.forget();
        world.publish_many(&topic, 20, &Message::of(10));
        world.run_dry(secs(5));
        verify_complete(&mut world, 31);
        assert!(world.accumulator.fatal_error().is_none());
    }
}

#[test]
fn a_leader_that_has_forgotten_a_quiet_producer_does_not_take_its_second_batch_for_the_first() {
    let (mut world, topic) = pipelining(idempotent());
    world.cluster.refuses_strangers = false;
    world.run_for(secs(100));
    world.cluster.partition("t", 0).producers.forget();
    let refusal = Fault::Refuse(ErrorCode::NOT_ENOUGH_REPLICAS);
    fail_one_of_five(&mut world, 0, refusal);
    world.publish_many(&topic, 5, &Message::of(10));
    world.run_dry(secs(5));
    verify_complete(&mut world, 6);
}

#[test]
fn a_new_leader_gets_nothing_while_the_former_one_owes_answers() {
    let (mut world, topic) = pipelining(Settings {
        metadata_refresh_interval: Some(millis(50)),
        ..idempotent()
    });
    let slow = vec![Fault::Slow(secs(3)); 5];
    world.cluster.broker(1).script(Produce, slow);
    world.publish_many(&topic, 5, &Message::of(10));
    world.run_for(millis(10));
    world.cluster.lead("t", 0, Some(2));
    world.publish_many(&topic, 20, &Message::of(10));
    world.run_for(secs(2));
    let brokers: BTreeSet<i32> = world.cluster.produced.iter().map(|p| p.broker).collect();
    assert_eq!(brokers, [1].into());
    world.run_dry(secs(20));
    verify_complete(&mut world, 26);
}

#[test]
fn a_former_leader_that_dies_with_answers_owed_holds_nothing_up_and_doubles_nothing() {
    for appended in 0..=5 {
        let (mut world, topic) = pipelining(idempotent());
        let script = [vec![Fault::AppendThenHang; appended], vec![Fault::Hang]].concat();
        world.cluster.broker(1).script(Produce, script);
        world.publish_many(&topic, 20, &Message::of(10));
        world.run_for(millis(50));
        world.cluster.lead("t", 0, Some(2));
        world.crash(1, Reach::Refuses);
        world.run_dry(secs(20));
        verify_complete(&mut world, 21);
    }
}

// What expires or is purged.

/// A topic whose messages have three seconds.
fn brief(world: &mut World) -> Arc<Topic> {
    let settings = TopicSettings {
        message_timeout: Some(secs(3)),
        ..TopicSettings::default()
    };
    let topic = world.topic_with("u", &settings);
    world.cluster.create("u", 1);
    world.publish(&topic, &Message::of(10));
    world.run_dry(secs(2));
    topic
}

#[test]
fn what_expires_in_flight_may_be_in_the_log_and_what_follows_comes_once() {
    for fault in [Fault::Hang, Fault::AppendThenHang] {
        for nth in 0..3 {
            let (mut world, _) = pipelining(Settings {
                request_timeout: secs(10),
                ..idempotent()
            });
            let topic = brief(&mut world);
            fail_one_of_five(&mut world, nth, fault.clone());
            world.publish_many(&topic, 5, &Message::of(10));
            world.run_for(secs(4));
            let last = world.publish(&topic, &Message::of(10));
            world.run_dry(secs(30));
            let failed = world
                .outcomes
                .values()
                .filter_map(|o| o.result.as_ref().err());
            assert!(
                failed
                    .clone()
                    .all(|f| f.persisted == Persisted::Maybe || f.attempts == 0)
            );
            assert!(failed.count() > 0);
            let _ = last;
            world.publish_many(&topic, 10, &Message::of(10));
            world.run_dry(secs(30));
            verify(&mut world);
        }
    }
}

#[test]
fn what_expires_while_it_waits_to_go_again_is_never_sent_after_that() {
    let (mut world, _) = pipelining(Settings {
        batch_messages: 100,
        linger: millis(500),
        ..idempotent()
    });
    let topic = brief(&mut world);
    // Messages of one batch, of different age.
    for _ in 0..10 {
        world.publish(&topic, &Message::of(10));
        world.run_for(millis(45));
    }
    world
        .cluster
        .broker(1)
        .always(Produce, Fault::Refuse(ErrorCode::NOT_ENOUGH_REPLICAS));
    world.run_for(millis(2_700));
    let expired = world
        .outcomes
        .values()
        .filter(|o| o.result.is_err())
        .count();
    assert!((1..10).contains(&expired), "{expired} of 10");
    world.cluster.broker(1).forget_script();
    world.run_dry(secs(5));
    verify(&mut world);
}

#[test]
fn what_is_purged_makes_way_for_the_rest() {
    for (queued, in_flight) in [(true, false), (false, true), (true, true)] {
        let (mut world, topic) = pipelining(idempotent());
        world.publish_many(&topic, 20, &Message::of(10));
        world.run_for(millis(50));
        world.purge(Purge { queued, in_flight });
        world.publish_many(&topic, 20, &Message::of(10));
        world.run_dry(secs(5));
        let kept = world.delivered();
        assert!((21..41).contains(&kept), "{kept}");
        verify(&mut world);
    }
}

#[test]
fn a_batch_that_was_tried_often_enough_breaks_nothing() {
    let (mut world, topic) = pipelining(Settings {
        max_retries: 1,
        ..idempotent()
    });
    let script = vec![Fault::AppendThenRefuse(ErrorCode::REQUEST_TIMED_OUT); 2];
    world.cluster.broker(1).script(Produce, script);
    world.publish(&topic, &Message::of(10));
    world.run_dry(secs(5));
    assert_eq!(world.failure(1).persisted, Persisted::Maybe);
    world.publish_many(&topic, 10, &Message::of(10));
    world.run_dry(secs(5));
    verify_complete(&mut world, 12);
}

// Numbers and epochs that come to their end.

#[test]
fn after_the_last_sequence_number_comes_0() {
    let (mut world, topic) = world(Settings {
        batch_messages: 10,
        ..idempotent()
    });
    world.engine().begin_sequences_at(i32::MAX - 24);
    for nth in 0..5 {
        fail_one_of_five(&mut world, nth, Fault::AppendThenClose);
        world.publish_many(&topic, 70, &Message::of(10));
        world.run_dry(secs(10));
    }
    let last = stamps(&world).into_iter().map(|(.., sequence)| sequence);
    assert!(last.clone().any(|sequence| sequence > i32::MAX - 10));
    assert_eq!(epochs(&world), [0].into());
    assert!(last.filter(|sequence| *sequence < 1000).count() > 10);
    verify_complete(&mut world, 350);
}

#[test]
fn after_the_last_epoch_comes_another_producer_id() {
    let mut cluster = Cluster::new(3).with_topic("t", 1);
    cluster.first_producer_epoch = i16::MAX - 1;
    let mut world = World::new(cluster, idempotent());
    let topic = world.topic("t");
    for _ in 0..4 {
        let refusal = Fault::Refuse(ErrorCode::INVALID_RECORD);
        fail_one_of_five(&mut world, 1, refusal);
        world.publish_many(&topic, 10, &Message::of(10));
        world.run_dry(secs(10));
    }
    let who: BTreeSet<(i64, i16)> = stamps(&world)
        .into_iter()
        .map(|(id, epoch, _)| (id, epoch))
        .collect();
    let (before_last, last) = (i16::MAX - 1, i16::MAX);
    let expected = [1000, 1001].map(|id| [(id, before_last), (id, last)]);
    let expected: BTreeSet<_> = expected
        .into_iter()
        .flatten()
        .chain([(1002, before_last)])
        .collect();
    assert_eq!(who, expected);
    assert_eq!(world.delivered(), 36);
    verify(&mut world);
}

// What ends the producer.

#[test]
fn fencing_ends_the_producer_with_everything_it_holds() {
    for code in [
        ErrorCode::PRODUCER_FENCED,
        ErrorCode::CLUSTER_AUTHORIZATION_FAILED,
    ] {
        let (mut world, topic) = pipelining(idempotent());
        fail_one_of_five(&mut world, 2, Fault::Refuse(code));
        let messages = world.publish_many(&topic, 20, &Message::of(10));
        world.run_dry(secs(5));
        let failed = messages
            .iter()
            .filter(|o| world.outcomes[o].result.is_err());
        let failed: Vec<u64> = failed.copied().collect();
        assert_eq!(failed.len(), 18, "all but the two before it");
        let error = DeliveryError::Broker(code);
        assert!(
            failed
                .iter()
                .all(|opaque| world.failure(*opaque).error == error)
        );
        assert_eq!(
            world.accumulator.fatal_error().map(|f| f.error),
            Some(error)
        );
        let refused = world.try_publish(&topic, &Message::of(10));
        assert_eq!(refused, Err(PublishError::Fatal { error }));
        verify(&mut world);
    }
}

#[test]
fn a_topic_that_is_not_allowed_fails_alone() {
    let (mut world, topic) = pipelining(idempotent());
    let refusal = Fault::Refuse(ErrorCode::TOPIC_AUTHORIZATION_FAILED);
    fail_one_of_five(&mut world, 2, refusal);
    world.publish_many(&topic, 20, &Message::of(10));
    world.run_dry(secs(5));
    assert!(world.accumulator.fatal_error().is_none());
    assert_eq!(world.delivered(), 20);
    verify(&mut world);
}

#[test]
fn with_the_gapless_guarantee_nothing_comes_behind_a_gap() {
    for nth in 0..5 {
        let (mut world, topic) = pipelining(Settings {
            gapless: true,
            ..idempotent()
        });
        let refusal = Fault::Refuse(ErrorCode::INVALID_RECORD);
        fail_one_of_five(&mut world, nth, refusal);
        world.publish_many(&topic, 20, &Message::of(10));
        world.run_dry(secs(5));
        let fatal = world.accumulator.fatal_error().expect("fatal");
        assert_eq!(fatal.error, DeliveryError::GaplessGuarantee);
        assert!(fatal.text.contains("INVALID_RECORD"), "{fatal}");
        let refused = ErrorCode::INVALID_RECORD;
        let first = world.failure(1 + nth as u64);
        assert_eq!(first.error, DeliveryError::Broker(refused));
        assert_eq!(world.failure(20).error, DeliveryError::GaplessGuarantee);
        verify_complete(&mut world, 1 + nth as u64);
    }
}

#[test]
fn a_timeout_is_no_gap_in_the_sense_of_the_guarantee() {
    let (mut world, _) = pipelining(Settings {
        gapless: true,
        ..idempotent()
    });
    let topic = brief(&mut world);
    world
        .cluster
        .broker(1)
        .always(Produce, Fault::Refuse(ErrorCode::NOT_ENOUGH_REPLICAS));
    world.publish_many(&topic, 20, &Message::of(10));
    world.run_dry(secs(5));
    world.cluster.broker(1).forget_script();
    world.publish_many(&topic, 20, &Message::of(10));
    world.run_dry(secs(5));
    assert!(world.accumulator.fatal_error().is_none());
    assert_eq!(world.delivered(), 22);
    verify(&mut world);
}

// Topics that come and go.

#[test]
fn a_topic_made_anew_counts_from_the_start() {
    let (mut world, topic) = pipelining(Settings {
        metadata_refresh_interval: Some(millis(300)),
        ..idempotent()
    });
    world.publish_many(&topic, 10, &Message::of(10));
    world.run_for(millis(50));
    world.cluster.delete("t");
    world.cluster.create("t", 1);
    world.cluster.produced.clear();
    world.publish_many(&topic, 10, &Message::of(10));
    world.run_dry(secs(10));
    assert_eq!(world.delivered(), 21);
    assert!(world.cluster.log("t", 0).len() >= 10);
    // What went to the former topic went by its id.
    let requests = world.cluster.produced.iter();
    let mut batches = requests.flat_map(|r| r.batches.iter().zip(&r.sequences));
    let first = batches.find(|((name, ..), _)| name == "t");
    assert_eq!(first.map(|(_, (.., sequence))| *sequence), Some(0));
    world.verify_once();
}

/// Before Produce 13 the topic made anew takes what was on its way to the former: it may be there.
#[test]
fn what_went_by_name_stays_in_doubt_when_the_topic_is_made_anew() {
    let refused = Fault::AppendThenRefuse(ErrorCode::REQUEST_TIMED_OUT);
    // The new id becomes known while the batch is on the wire, and while it waits to go again.
    for (fault, retry_backoff) in [
        (Fault::AppendThenHang, millis(1)),
        (refused.clone(), millis(1)),
        (refused, secs(5)),
    ] {
        let (mut world, topic) = pipelining(Settings {
            metadata_refresh_interval: Some(millis(300)),
            request_timeout: secs(2),
            retry_backoff,
            retry_backoff_max: retry_backoff,
            ..idempotent()
        });
        for broker in 1..=3 {
            let versions = VersionRange { min: 3, max: 12 };
            let broker = world.cluster.broker(broker);
            broker.offers.insert(Produce, versions);
            broker.distance = millis(50);
        }
        world.reset_connections(1);
        world.run_for(secs(1));
        world.cluster.broker(1).script(Produce, [fault]);
        world.publish(&topic, &Message::of(10));
        world.run_for(millis(20));
        world.cluster.delete("t");
        world.cluster.create("t", 1);
        world.run_for(millis(20));
        world.publish(&topic, &Message::of(10));
        world.run_dry(secs(20));
        world.verify();
        world.verify_once();
        assert_eq!(world.cluster.opaques("t", 0), [1, 2]);
    }
}

/// A topic with a partition on each of two brokers, and both connected.
fn on_two_brokers(settings: Settings) -> (World, Arc<Topic>) {
    let mut world = World::new(Cluster::new(2).with_topic("t", 2), settings);
    let topic = world.topic("t");
    for partition in 0..2 {
        world.publish(&topic, &Message::of(10).to(partition));
    }
    world.run_dry(secs(1));
    (world, topic)
}

fn without_ids() -> Fault {
    Fault::Misstate(|response| {
        let topics = response.topics.iter_mut();
        topics.for_each(|topic| topic.topic_id = Uuid::ZERO);
    })
}

/// The topic was made anew: the id is refused, and the name is not.
#[test]
fn what_goes_by_name_waits_for_what_went_by_an_id() {
    let (mut world, topic) = on_two_brokers(Settings {
        metadata_refresh_interval: Some(millis(30)),
        ..idempotent()
    });
    world.cluster.broker(1).latency = millis(200);
    world.cluster.broker(1).always(Metadata, without_ids());
    world.cluster.broker(2).always(Metadata, without_ids());
    world.cluster.delete("t");
    world.cluster.create("t", 2);
    let by_id = world.publish(&topic, &Message::of(10).to(0));
    world.run_for(millis(100));
    let by_name = world.publish(&topic, &Message::of(10).to(0));
    world.run_dry(secs(10));
    assert_eq!(world.cluster.opaques("t", 0), [by_id, by_name]);
    verify(&mut world);
}

#[test]
fn topics_whose_id_is_not_known_are_in_requests_of_their_own() {
    let cluster = Cluster::new(1).with_topic("t", 1).with_topic("u", 1);
    let mut world = World::new(cluster, idempotent());
    world.cluster.broker(1).always(
        Metadata,
        Fault::Misstate(|response| {
            let topics = response.topics.iter_mut();
            let u = topics.filter(|topic| topic.name == Some("u"));
            u.for_each(|topic| topic.topic_id = Uuid::ZERO);
        }),
    );
    let topics = ["t", "u"].map(|name| world.topic(name));
    for topic in &topics {
        world.publish(topic, &Message::of(10));
    }
    world.run_dry(secs(1));
    let requests = world.cluster.produced.iter();
    let mut requests: Vec<_> = requests.map(|r| (&*r.batches[0].0, r.version)).collect();
    requests.sort_unstable();
    assert_eq!(requests, [("t", 13), ("u", 12)]);
    verify(&mut world);
}

#[test]
fn a_broker_that_has_not_heard_of_a_topic_made_anew_takes_no_doubt_away() {
    let (mut world, topic) = on_two_brokers(Settings {
        metadata_refresh_interval: Some(millis(30)),
        retry_backoff: millis(500),
        ..idempotent()
    });
    world.cluster.outdate(2);
    world.cluster.broker(2).latency = millis(200);
    world.cluster.delete("t");
    world.cluster.create("t", 2);
    let first = world.publish(&topic, &Message::of(10).to(0));
    world.run_dry(secs(10));
    // Now it is asked.
    world.cluster.broker(2).latency = millis(0);
    world.cluster.broker(1).latency = millis(200);
    let taken = Fault::AppendThenRefuse(ErrorCode::REQUEST_TIMED_OUT);
    world.cluster.broker(1).script(Produce, [taken]);
    let doubtful = world.publish(&topic, &Message::of(10).to(0));
    world.run_for(millis(400));
    world.cluster.update(2);
    world.run_dry(secs(10));
    assert_eq!(world.cluster.opaques("t", 0), [first, doubtful]);
    verify(&mut world);
}

#[test]
fn brokers_that_do_not_know_topic_ids_are_served_all_the_same() {
    let mut cluster = Cluster::new(1).with_topic("t", 1);
    let versions = VersionRange { min: 0, max: 7 };
    cluster.broker(1).offers.insert(Produce, versions);
    let mut world = World::new(cluster, idempotent());
    let topic = world.topic("t");
    for nth in 0..5 {
        fail_one_of_five(&mut world, nth, Fault::AppendThenClose);
        world.publish_many(&topic, 20, &Message::of(10));
        world.run_dry(secs(10));
    }
    verify_complete(&mut world, 100);
}

#[test]
fn other_acks_are_numbered_too() {
    let (mut world, _) = world(idempotent());
    let settings = TopicSettings {
        acks: Acks::Leader,
        ..TopicSettings::default()
    };
    let topic = world.topic_with("t", &settings);
    fail_one_of_five(&mut world, 2, Fault::AppendThenClose);
    let sent = world.publish_many(&topic, 20, &Message::of(10));
    world.run_dry(secs(10));
    assert_eq!(world.cluster.opaques("t", 0), sent);
    verify(&mut world);
}

#[test]
fn what_is_on_the_wire_when_another_batch_ends_the_producer_may_be_in_the_log() {
    let cluster = Cluster::new(2).with_topic("t", 2);
    let mut world = World::new(cluster, idempotent());
    let topic = world.topic("t");
    for partition in 0..2 {
        world.publish(&topic, &Message::of(10).to(partition));
    }
    world.run_dry(secs(1));
    let denied = Fault::Refuse(ErrorCode::CLUSTER_AUTHORIZATION_FAILED);
    world.cluster.broker(1).script(Produce, [denied]);
    world.cluster.broker(2).latency = millis(100);
    let appended = world.publish(&topic, &Message::of(10).to(1));
    world.run_for(millis(20));
    world.publish(&topic, &Message::of(10).to(0));
    world.run_for(millis(20));
    assert_eq!(world.failure(appended).persisted, Persisted::Maybe);
    world.run_for(secs(1));
    verify(&mut world);
}

#[test]
fn a_leader_that_does_not_know_a_batch_leaves_it_open_whether_that_is_in_the_log() {
    for unknown in [
        ErrorCode::UNKNOWN_PRODUCER_ID,
        ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER,
    ] {
        let (mut world, topic) = pipelining(idempotent());
        let script = [
            Fault::AppendThenRefuse(ErrorCode::REQUEST_TIMED_OUT),
            Fault::Refuse(unknown),
            Fault::Refuse(ErrorCode::INVALID_RECORD),
        ];
        world.cluster.broker(1).script(Produce, script);
        let doubtful = world.publish(&topic, &Message::of(10));
        world.run_dry(secs(10));
        assert_eq!(world.failure(doubtful).persisted, Persisted::Maybe);
        verify(&mut world);
    }
}
