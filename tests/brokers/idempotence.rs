//! Every message in the log once and in order, whatever happens to the nodes.

use event_kafka::{Producer, Record};

use crate::load::{self, FLOW};
use crate::producer::{PATIENCE, producer};
use crate::support::{self, Needs};

fn idempotent(brokers: &str) -> Producer {
    producer(brokers, &[("enable.idempotence", "true")])
}

#[test]
fn messages_of_an_undisturbed_run_are_there_once_and_in_order() {
    let Some(cluster) = support::cluster(Needs::ANY) else {
        return;
    };
    let name = support::unique_name("idempotence-calm");
    cluster.create_topic(&name, 6);
    let producer = idempotent(cluster.bootstrap());
    let topic = producer.topic(&name).unwrap();
    let account = load::during(&producer, &topic, || {
        load::wait_for_deliveries(&producer, 5 * FLOW);
    });
    account.check_once_and_in_order(cluster, &topic);
}

#[test]
fn nodes_that_are_restarted_in_turn_neither_lose_nor_double_nor_reorder() {
    let Some(mut cluster) = support::private_cluster(Needs::ANY) else {
        return;
    };
    let name = support::unique_name("idempotence-rolling");
    cluster.create_topic(&name, 6);
    let producer = idempotent(cluster.bootstrap());
    let topic = producer.topic(&name).unwrap();
    let account = load::during(&producer, &topic, || {
        load::restart_in_turn(&producer, &mut cluster, &name);
    });
    account.check_once_and_in_order(&cluster, &topic);
}

#[test]
fn leaders_that_are_killed_neither_lose_nor_double_nor_reorder() {
    let Some(mut cluster) = support::private_cluster(Needs::nodes(3)) else {
        return;
    };
    let name = support::unique_name("idempotence-kill");
    cluster.create_topic(&name, 6);
    let producer = idempotent(cluster.bootstrap());
    let topic = producer.topic(&name).unwrap();
    let account = load::during(&producer, &topic, || {
        for partition in 0..3 {
            load::wait_for_deliveries(&producer, FLOW);
            let leader = cluster.leaders(&name)[&partition];
            cluster.kill(leader);
            load::wait_for_deliveries(&producer, FLOW);
            cluster.restart(leader);
            cluster.wait_until_in_sync(&name);
        }
        load::wait_for_deliveries(&producer, FLOW);
    });
    account.check_once_and_in_order(&cluster, &topic);
}

#[test]
fn a_leader_that_hangs_until_it_is_missed_and_wakes_doubles_nothing() {
    let Some(mut cluster) = support::private_cluster(Needs::nodes(3).pause()) else {
        return;
    };
    let name = support::unique_name("idempotence-pause");
    cluster.create_topic(&name, 6);
    let producer = idempotent(cluster.bootstrap());
    let topic = producer.topic(&name).unwrap();
    let account = load::during(&producer, &topic, || {
        load::pause_a_leader(&producer, &mut cluster, &name);
    });
    account.check_once_and_in_order(&cluster, &topic);
}

#[test]
fn a_partition_whose_leader_moves_again_and_again_doubles_nothing() {
    let Some(cluster) = support::cluster(Needs::nodes(3)) else {
        return;
    };
    let name = support::unique_name("idempotence-move");
    cluster.create_topic(&name, 2);
    let producer = idempotent(cluster.bootstrap());
    let topic = producer.topic(&name).unwrap();
    let account = load::during(&producer, &topic, || {
        load::move_a_leader(&producer, cluster, &name);
    });
    account.check_once_and_in_order(cluster, &topic);
}

#[test]
fn a_topic_that_is_made_anew_is_written_from_its_start() {
    let Some(cluster) = support::private_cluster(Needs::ANY) else {
        return;
    };
    let name = support::unique_name("idempotence-anew");
    cluster.create_topic(&name, 1);
    let producer = idempotent(cluster.bootstrap());
    let topic = producer.topic(&name).unwrap();
    for n in 0..100 {
        topic.publish(Record::new("former").opaque(n)).unwrap();
        producer.flush(PATIENCE).unwrap();
    }
    cluster.delete_topic(&name);
    cluster.create_topic(&name, 1);
    for n in 100..200 {
        topic.publish(Record::new("anew").opaque(n)).unwrap();
        producer.flush(PATIENCE).unwrap();
    }
    assert_eq!(producer.balance().delivered, 200);
    assert!(producer.fatal_error().is_none());
    let values = cluster.read_all(&name).into_iter().map(|r| r.value);
    let values: Vec<_> = values.map(Option::unwrap_or_default).collect();
    assert_eq!(values, vec![&b"anew"[..]; 100]);
}
