//! Nodes that cannot be reached, and addresses that change.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use kafka_mock::{Cluster, Fault, ResponseError, Rule};

use crate::client::{
    API_VERSIONS, Client, METADATA, PATIENCE, cluster, cluster_of, hello, metadata,
};

fn served(address: SocketAddr) {
    Client::at(address).unwrap().call(API_VERSIONS, &hello());
}

fn refused(address: SocketAddr) -> bool {
    matches!(Client::at(address), Err(error) if error.kind() == ErrorKind::ConnectionRefused)
}

/// The addresses of nodes that Metadata names, by their numbers.
fn addresses(cluster: &Cluster, node: i32) -> Vec<(i32, i32)> {
    let response = Client::to(cluster, node).call(METADATA, &metadata());
    let brokers = response.brokers.iter();
    brokers.map(|one| (one.node_id.0, one.port)).collect()
}

#[test]
fn nobody_listens_until_withdrawal() {
    let cluster = cluster_of(2);
    let door = cluster.open_side_door(1).unwrap();
    let mut old = Client::to(&cluster, 1);
    old.call(API_VERSIONS, &hello());
    let fault = cluster.inject(Rule::new(Fault::Refuse).node(1));
    assert_eq!(old.arrived(), (Vec::new(), Some(Ok(()))), "already");
    assert!(refused(cluster.address(1)) && refused(door));
    served(cluster.address(2));
    cluster.withdraw(fault);
    served(cluster.address(1));
    served(door);
}

#[test]
fn connecting_takes_for_ever_until_withdrawal() {
    const TRY: Duration = Duration::from_millis(100);
    let cluster = cluster_of(2);
    let sick = cluster.address(1);
    let mut old = Client::to(&cluster, 1);
    old.call(API_VERSIONS, &hello());
    let fault = cluster.inject(Rule::new(Fault::BlackHole).node(1));
    assert_eq!(old.arrived(), (Vec::new(), Some(Ok(()))), "already");
    for _ in 0..3 {
        let error = TcpStream::connect_timeout(&sick, TRY).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
    }
    served(cluster.address(2));
    let patient = thread::spawn(move || TcpStream::connect_timeout(&sick, PATIENCE));
    cluster.withdraw(fault);
    served(sick);
    patient.join().unwrap().unwrap();
}

#[test]
fn clients_that_keep_connecting_do_not_get_in_the_way_of_a_black_hole() {
    let cluster = cluster();
    let sick = cluster.address(1);
    thread::scope(|scope| {
        let changes = scope.spawn(|| {
            for _ in 0..10 {
                let fault = cluster.inject(Rule::new(Fault::BlackHole));
                cluster.withdraw(fault);
                served(sick);
            }
        });
        // They stay connected: ports that were used are rare for a while.
        let mut connections = Vec::new();
        while !changes.is_finished() && connections.len() < 500 {
            connections.extend(TcpStream::connect_timeout(&sick, Duration::from_millis(1)));
        }
    });
}

#[test]
fn of_two_ways_not_to_be_reached_the_first_counts() {
    let cluster = cluster();
    let refuse = cluster.inject(Rule::new(Fault::Refuse));
    let swallow = cluster.inject(Rule::new(Fault::BlackHole));
    assert!(refused(cluster.address(1)));
    cluster.withdraw(refuse);
    let try_it = TcpStream::connect_timeout(&cluster.address(1), Duration::from_millis(50));
    assert_eq!(try_it.unwrap_err().kind(), ErrorKind::TimedOut);
    cluster.withdraw(swallow);
    served(cluster.address(1));
}

#[test]
fn a_stopped_node_stays_stopped_when_its_faults_end() {
    let cluster = cluster_of(2);
    let fault = cluster.inject(Rule::new(Fault::BlackHole).node(2));
    cluster.stop_node(2).unwrap();
    assert!(refused(cluster.address(2)));
    cluster.withdraw(fault);
    assert!(refused(cluster.address(2)));
    cluster.start_node(2).unwrap();
    served(cluster.address(2));
}

#[test]
fn the_old_address_of_a_node_belongs_to_another_one() {
    let cluster = cluster_of(2);
    let old = [1, 2].map(|node| cluster.address(node));
    let ports = old.map(|address| i32::from(address.port()));
    let mut clients = [1, 2].map(|node| Client::to(&cluster, node));
    for client in &mut clients {
        client.call(API_VERSIONS, &hello());
    }
    assert_eq!(addresses(&cluster, 1), [(1, ports[0]), (2, ports[1])]);
    cluster.exchange_nodes(1, 2).unwrap();
    for client in &mut clients {
        assert_eq!(client.arrived(), (Vec::new(), Some(Ok(()))), "already");
    }
    assert_eq!(addresses(&cluster, 1), [(1, ports[1]), (2, ports[0])]);
    let mistaken = Client::at(old[0]).unwrap().produce(&[0]);
    assert_eq!(
        mistaken[0].error_code,
        ResponseError::NotLeaderOrFollower.code()
    );
    let mut right = Client::to(&cluster, 1);
    assert_eq!(right.produce(&[0])[0].error_code, 0);
    assert_eq!(cluster.requests().last().unwrap().node, 1);
}

#[test]
fn nodes_change_addresses_while_they_are_down_or_sick() {
    let cluster = cluster_of(2);
    let old = [1, 2].map(|node| cluster.address(node));
    cluster.stop_node(1).unwrap();
    cluster.inject(Rule::new(Fault::BlackHole).node(2));
    cluster.exchange_nodes(1, 2).unwrap();
    assert!(refused(old[1]));
    let try_it = TcpStream::connect_timeout(&old[0], Duration::from_millis(50));
    assert_eq!(try_it.unwrap_err().kind(), ErrorKind::TimedOut);
    cluster.withdraw_all();
    served(old[0]);
    cluster.start_node(1).unwrap();
    served(old[1]);
}

#[test]
fn only_two_nodes_can_change_addresses() {
    let cluster = cluster_of(2);
    for (one, other) in [(1, 1), (1, 3), (0, 2)] {
        assert!(cluster.exchange_nodes(one, other).is_err());
    }
    served(cluster.address(1));
    served(cluster.address(2));
}

#[test]
fn the_old_address_of_a_node_stays_alive_beside_the_new_one() {
    let cluster = cluster();
    let old = cluster.address(1);
    let new = cluster.open_side_door(1).unwrap();
    let moved = vec![(1, new.ip().to_string(), new.port().into())];
    cluster.inject(Rule::new(Fault::Brokers(moved)));
    assert_eq!(addresses(&cluster, 1), [(1, i32::from(new.port()))]);
    served(old);
    served(new);
}

#[test]
fn a_door_that_stays_leads_to_a_node_that_moves() {
    let cluster = cluster();
    let door = cluster.open_side_door(1).unwrap();
    let old = cluster.address(1);
    let new = cluster.move_node(1).unwrap();
    assert!(refused(old));
    served(new);
    let response = Client::at(door).unwrap().call(METADATA, &metadata());
    assert_eq!(response.brokers[0].port, i32::from(new.port()));
}
