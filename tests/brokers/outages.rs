//! Brokers that are not there, not any more, or not the leader any more.

use event_kafka::Record;

use crate::load::{self, FLOW};
use crate::producer::{PATIENCE, producer, reports};
use crate::support::{self, Needs};

#[test]
fn messages_wait_for_brokers_that_start_later() {
    let Some(mut cluster) = support::private_cluster(Needs::ANY) else {
        return;
    };
    let name = support::unique_name("outages-late");
    cluster.create_topic(&name, 3);
    cluster.kill_all();

    let producer = producer(cluster.bootstrap(), &[]);
    let topic = producer.topic(&name).unwrap();
    let numbers = 0..1000;
    numbers.for_each(|n| topic.publish(Record::new("x").opaque(n)).unwrap());
    cluster.restart_all();

    let reports = reports(&producer, 1000);
    assert!(reports.values().all(|report| report.outcome.is_ok()));
    let records = cluster.read_all(&name);
    assert_eq!(records.len(), 1000, "never sent before: no duplicates");
}

#[test]
fn nodes_that_are_restarted_in_turn_lose_nothing() {
    let Some(mut cluster) = support::private_cluster(Needs::ANY) else {
        return;
    };
    let name = support::unique_name("outages-rolling");
    cluster.create_topic(&name, 6);
    let producer = producer(cluster.bootstrap(), &[]);
    let topic = producer.topic(&name).unwrap();

    let account = load::during(&producer, &topic, || {
        load::restart_in_turn(&producer, &mut cluster, &name);
    });

    account.check(&cluster, &topic);
}

#[test]
fn a_leader_that_is_killed_and_started_again_loses_nothing_that_was_reported() {
    let Some(mut cluster) = support::private_cluster(Needs::ANY) else {
        return;
    };
    let name = support::unique_name("outages-kill");
    cluster.create_topic(&name, 6);
    let producer = producer(cluster.bootstrap(), &[]);
    let topic = producer.topic(&name).unwrap();

    let account = load::during(&producer, &topic, || {
        load::wait_for_deliveries(&producer, FLOW);
        let leader = cluster.leaders(&name)[&0];
        cluster.kill(leader);
        cluster.restart(leader);
        load::wait_for_deliveries(&producer, FLOW);
    });

    account.check(&cluster, &topic);
}

#[test]
fn messages_flow_while_a_node_is_dead_and_when_it_is_back() {
    let Some(mut cluster) = support::private_cluster(Needs::nodes(3)) else {
        return;
    };
    let name = support::unique_name("outages-dead");
    cluster.create_topic(&name, 6);
    let producer = producer(cluster.bootstrap(), &[]);
    let topic = producer.topic(&name).unwrap();

    let account = load::during(&producer, &topic, || {
        load::wait_for_deliveries(&producer, FLOW);
        let leader = cluster.leaders(&name)[&0];
        cluster.kill(leader);
        load::wait_for_deliveries(&producer, 5 * FLOW);
        cluster.restart(leader);
        cluster.wait_until_in_sync(&name);
        load::wait_for_deliveries(&producer, FLOW);
    });

    account.check(&cluster, &topic);
}

#[test]
fn a_leader_that_hangs_until_it_is_missed_and_wakes_loses_nothing() {
    let Some(mut cluster) = support::private_cluster(Needs::nodes(3).pause()) else {
        return;
    };
    let name = support::unique_name("outages-pause");
    cluster.create_topic(&name, 6);
    let producer = producer(cluster.bootstrap(), &[]);
    let topic = producer.topic(&name).unwrap();

    let account = load::during(&producer, &topic, || {
        load::pause_a_leader(&producer, &mut cluster, &name);
    });

    account.check(&cluster, &topic);
}

#[test]
fn a_partition_whose_leader_moves_again_and_again_loses_nothing() {
    let Some(cluster) = support::cluster(Needs::nodes(3)) else {
        return;
    };
    let name = support::unique_name("outages-move");
    cluster.create_topic(&name, 2);
    let producer = producer(cluster.bootstrap(), &[]);
    let topic = producer.topic(&name).unwrap();

    let account = load::during(&producer, &topic, || {
        load::move_a_leader(&producer, cluster, &name);
    });

    account.check(cluster, &topic);
}

#[test]
fn one_bootstrap_server_that_answers_is_enough() {
    let Some(cluster) = support::cluster(Needs::ANY) else {
        return;
    };
    let name = support::unique_name("outages-bootstrap");
    cluster.create_topic(&name, 1);
    let first = cluster.bootstrap().split(',').next().unwrap();
    // Nothing listens at port 1.
    let producer = producer(&format!("127.0.0.1:1,127.0.0.1:1,{first}"), &[]);
    producer
        .topic(&name)
        .unwrap()
        .publish(Record::new("x"))
        .unwrap();
    producer.close(PATIENCE).unwrap();
    assert_eq!(cluster.read_all(&name).len(), 1);
}
