//! Nodes that stop, start and move.

use std::io::ErrorKind;
use std::net::TcpStream;
use std::time::Duration;

use kafka_mock::Cluster;
use kafka_protocol::messages::{FetchRequest, MetadataRequest};

use crate::PATIENCE;
use crate::batches::batch;
use crate::wire::{Client, NEWEST_FETCH, NEWEST_PRODUCE, Topic, fetch_request};

fn three() -> Cluster {
    Cluster::builder().nodes(3).start().unwrap()
}

fn leaders(cluster: &Cluster) -> Vec<Option<i32>> {
    let topics = cluster.topics();
    topics[0].partitions.iter().map(|one| one.leader).collect()
}

fn known_nodes(client: &mut Client) -> Vec<i32> {
    let response = client.call(13, &MetadataRequest::default());
    response
        .brokers
        .iter()
        .map(|broker| broker.node_id.0)
        .collect()
}

fn assert_refused(address: std::net::SocketAddr) {
    let error = TcpStream::connect(address).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
}

#[test]
fn a_node_that_is_stopped_refuses_and_closes() {
    let cluster = three();
    let mut client = Client::of(&cluster, 2);
    assert_eq!(known_nodes(&mut client), [1, 2, 3]);
    cluster.stop_node(2).unwrap();
    client.assert_closed();
    assert_refused(cluster.address(2));
    assert_eq!(known_nodes(&mut Client::of(&cluster, 1)), [1, 3]);
    // Once more changes nothing.
    cluster.stop_node(2).unwrap();
    assert_refused(cluster.address(2));
}

#[test]
fn a_node_that_starts_again_has_its_address() {
    let cluster = three();
    let address = cluster.address(2);
    for _ in 0..3 {
        let mut client = Client::of(&cluster, 2);
        assert_eq!(known_nodes(&mut client), [1, 2, 3]);
        cluster.stop_node(2).unwrap();
        client.assert_closed();
        cluster.start_node(2).unwrap();
    }
    assert_eq!(cluster.address(2), address);
    assert_eq!(known_nodes(&mut Client::of(&cluster, 2)), [1, 2, 3]);
}

#[test]
fn the_partitions_of_a_stopped_node_are_led_by_others() {
    let cluster = three();
    cluster.create_topic("events", 3);
    assert_eq!(leaders(&cluster), [Some(1), Some(2), Some(3)]);
    cluster.stop_node(2).unwrap();
    assert_eq!(leaders(&cluster), [Some(1), Some(3), Some(3)]);
    cluster.start_node(2).unwrap();
    // They stay there, as with a real cluster for some minutes.
    assert_eq!(leaders(&cluster), [Some(1), Some(3), Some(3)]);
    let epochs: Vec<_> = cluster.topics()[0]
        .partitions
        .iter()
        .map(|one| one.leader_epoch)
        .collect();
    assert_eq!(epochs, [0, 1, 0]);
}

#[test]
fn partitions_without_any_node_wait_for_one() {
    let cluster = Cluster::start().unwrap();
    let topic = Topic::create(&cluster, "events", 1);
    Client::of(&cluster, 1).produce(NEWEST_PRODUCE, &topic, 0, batch(2).build());
    cluster.stop_node(1).unwrap();
    assert_eq!(leaders(&cluster), [None]);
    cluster.start_node(1).unwrap();
    assert_eq!(leaders(&cluster), [Some(1)]);
    // What was stored is still there.
    let answer = Client::of(&cluster, 1).produce(NEWEST_PRODUCE, &topic, 0, batch(1).build());
    assert_eq!((answer.error_code, answer.base_offset), (0, 2));
}

#[test]
fn a_node_that_moves_says_so_and_leaves_its_address() {
    let cluster = three();
    let old = cluster.address(3);
    let mut client = Client::of(&cluster, 3);
    let new = cluster.move_node(3).unwrap();
    assert_ne!(new, old);
    assert_eq!(cluster.address(3), new);
    assert!(cluster.bootstrap().contains(&new.to_string()));
    client.assert_closed();
    assert_refused(old);
    let response = Client::at(new)
        .unwrap()
        .call(13, &MetadataRequest::default());
    assert_eq!(response.brokers[2].port, i32::from(new.port()));
}

#[test]
fn a_stopped_node_moves_and_stays_stopped() {
    let cluster = three();
    cluster.stop_node(3).unwrap();
    let new = cluster.move_node(3).unwrap();
    assert_refused(new);
    cluster.start_node(3).unwrap();
    assert_eq!(known_nodes(&mut Client::at(new).unwrap()), [1, 2, 3]);
}

#[test]
fn a_side_door_is_not_advertised_and_stays_when_the_node_moves() {
    let cluster = Cluster::start().unwrap();
    let side = cluster.open_side_door(1).unwrap();
    assert_ne!(side, cluster.address(1));
    let response = Client::at(side)
        .unwrap()
        .call(13, &MetadataRequest::default());
    assert_eq!(response.brokers.len(), 1);
    let advertised = i32::from(cluster.address(1).port());
    assert_eq!(response.brokers[0].port, advertised);
    let new = cluster.move_node(1).unwrap();
    let response = Client::at(side)
        .unwrap()
        .call(13, &MetadataRequest::default());
    assert_eq!(response.brokers[0].port, i32::from(new.port()));
    cluster.stop_node(1).unwrap();
    assert_refused(side);
}

#[test]
fn connections_are_cut_and_counted() {
    let cluster = three();
    let mut client = Client::of(&cluster, 1);
    assert_eq!(known_nodes(&mut client), [1, 2, 3]);
    cluster.cut_connections(1).unwrap();
    client.assert_closed();
    assert_eq!(known_nodes(&mut Client::of(&cluster, 1)), [1, 2, 3]);
    assert_eq!(cluster.connections_accepted(1), 2);
    assert_eq!(cluster.connections_accepted(2), 0);
    let requests = cluster.requests();
    let connections: Vec<_> = requests.iter().map(|request| request.connection).collect();
    assert_eq!(connections, [1, 2]);
}

#[test]
fn a_node_stops_while_a_reader_waits() {
    let cluster = Cluster::start().unwrap();
    let topic = Topic::create(&cluster, "events", 1);
    let mut client = Client::of(&cluster, 1);
    let patient = fetch_request(NEWEST_FETCH, &topic, 0, 0)
        .with_min_bytes(1)
        .with_max_wait_ms(i32::MAX);
    client.send(NEWEST_FETCH, &patient);
    cluster
        .wait(PATIENCE, |cluster| cluster.requests().pop())
        .unwrap();
    cluster.stop_node(1).unwrap();
    // It is answered that the leader has gone, or not at all.
    let _ = client.receive::<FetchRequest>(NEWEST_FETCH);
    client.assert_closed();
}

#[test]
fn dropping_a_cluster_closes_everything() {
    let cluster = three();
    let mut client = Client::of(&cluster, 1);
    assert_eq!(known_nodes(&mut client), [1, 2, 3]);
    let address = cluster.address(1);
    drop(cluster);
    client.assert_closed();
    assert_refused(address);
}

#[test]
fn the_address_of_node_1_can_be_chosen() {
    let free = {
        let cluster = Cluster::start().unwrap();
        cluster.address(1)
    };
    let cluster = Cluster::builder().listen(free).start().unwrap();
    assert_eq!(cluster.bootstrap(), free.to_string());
    assert_eq!(known_nodes(&mut Client::at(free).unwrap()), [1]);
    let taken = Cluster::builder().listen(free).start().unwrap_err();
    assert_eq!(taken.kind(), ErrorKind::AddrInUse);
}

#[test]
fn a_cluster_has_at_least_one_node() {
    let error = Cluster::builder().nodes(0).start().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

#[test]
fn waiting_for_what_never_comes_ends() {
    let cluster = Cluster::start().unwrap();
    let mut asked = 0;
    let nothing: Option<()> = cluster.wait(Duration::from_millis(20), |_| {
        asked += 1;
        None
    });
    assert_eq!(nothing, None);
    // At the beginning and at the end, not in between: nothing has changed.
    assert_eq!(asked, 2);
}
