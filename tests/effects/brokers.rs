//! Which brokers are connected, how, and when.

use std::io::Read;
use std::net::TcpListener;

use event_kafka::config::{Config, Problem};
use kafka_sim::{Cluster, Fault, Reach, endpoint, secs};
use kafka_wire::ApiKey::Metadata;

use crate::effect::{Effect, and};
use crate::sockets::{Real, start};
use crate::virtual_time::Virtual;

pub(crate) fn metadata_broker_list(effect: &Effect) {
    let observed = effect.with("kafka-7:7000", |config| match config.finish() {
        Ok(finished) => {
            let world = kafka_sim::World::new(Cluster::new(1), finished.settings);
            world.connects.into_iter().map(|(_, host)| host).collect()
        }
        Err(error) => {
            assert_eq!(error.problem, Problem::Missing);
            Vec::new()
        }
    });
    assert_eq!(observed, [vec![], vec!["kafka-7".to_owned()]]);
}

pub(crate) fn client_id(effect: &Effect) {
    let observed = effect.with("sip-1", |config| {
        let run = Real::start(config);
        run.deliver(1);
        let ids = run
            .cluster
            .requests()
            .into_iter()
            .map(|seen| seen.client_id);
        ids.flatten().collect::<std::collections::BTreeSet<_>>()
    });
    assert_eq!(
        observed,
        [["rdkafka".into()].into(), ["sip-1".into()].into()]
    );
}

pub(crate) fn client_software_name(effect: &Effect) {
    let observed = effect.with("sip-proxy", |config| {
        let greeting = greeting(config);
        ["event-kafka", "sip-proxy"].map(|name| contains(&greeting, name))
    });
    assert_eq!(observed, [[true, false], [false, true]]);
}

pub(crate) fn client_software_version(effect: &Effect) {
    let observed = effect.with("7.8.9-beta", |config| {
        contains(&greeting(config), "7.8.9-beta")
    });
    assert_eq!(observed, [false, true]);
}

/// The first request of a connection.
fn greeting(config: Config) -> Vec<u8> {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let _producer = start(and(config, &[("bootstrap.servers", &address)]));
    let (mut stream, _) = listener.accept().unwrap();
    let mut length = [0; 4];
    stream.read_exact(&mut length).unwrap();
    let mut request = vec![0; u32::from_be_bytes(length) as usize];
    stream.read_exact(&mut request).unwrap();
    request
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes
        .windows(text.len())
        .any(|part| part == text.as_bytes())
}

pub(crate) fn metadata_recovery_strategy(effect: &Effect) {
    // The cluster names its broker b1; it is found under the name front.
    let observed = effect.with("none", |config| {
        let config = and(config, &[("bootstrap.servers", "front")]);
        let mut cluster = Cluster::new(1).with_topic("t", 1);
        cluster.aliases.insert(endpoint("front"), 1);
        let finished = config.finish().unwrap();
        let mut world = kafka_sim::World::new(cluster, finished.settings);
        world.run_for(secs(1));
        world.crash(1, Reach::Refuses);
        world.connects.clear();
        world.run_for(secs(60));
        world.connects.iter().any(|(_, host)| host == "front")
    });
    assert_eq!(observed, [true, false]);
}

pub(crate) fn metadata_recovery_rebootstrap_trigger_ms(effect: &Effect) {
    // The cluster takes questions and answers none: after a while its broker's connection is given
    // up for another one.
    let observed = effect.with("5000", |config| {
        let mut run = Virtual::small(config);
        run.world.run_for(secs(1));
        run.world.cluster.broker(1).always(Metadata, Fault::Hang);
        run.world.topic("other");
        run.world.run_for(secs(20));
        run.world.connects.len() > 1
    });
    assert_eq!(observed, [false, true]);
}

pub(crate) fn enable_sparse_connections(effect: &Effect) {
    let observed = effect.with("false", |config| {
        let mut run = Virtual::new(config, Cluster::new(3));
        run.world.run_for(secs(1));
        run.world.connections()
    });
    assert_eq!(observed, [1, 3]);
}

/// How often a broker that refuses connections is tried within `seconds`.
fn attempts(config: Config, seconds: u64) -> usize {
    let mut cluster = Cluster::new(1);
    cluster.broker(1).reach = Reach::Refuses;
    let mut run = Virtual::new(config, cluster);
    run.world.run_for(secs(seconds));
    run.world.connects.len()
}

pub(crate) fn reconnect_backoff_ms(effect: &Effect) {
    // At once, and after 3.75 s or more.
    let [usual, slow] = effect.with("5000", |config| attempts(config, 3));
    assert!(usual > 3 && slow == 1, "{usual} and {slow}");
}

pub(crate) fn reconnect_backoff_max_ms(effect: &Effect) {
    let [usual, eager] = effect.with("200", |config| attempts(config, 60));
    assert!(usual < 20 && eager > 250, "{usual} and {eager}");
}

pub(crate) fn socket_connection_setup_timeout_ms(effect: &Effect) {
    let observed = effect.with("2000", |config| {
        let mut cluster = Cluster::new(1);
        cluster.black_holes.insert(endpoint("b1"));
        let mut run = Virtual::new(config, cluster);
        run.world.run_for(secs(3));
        run.world.connects.len()
    });
    assert_eq!(observed, [1, 2]);
}

pub(crate) fn api_version_request_timeout_ms(effect: &Effect) {
    let observed = effect.with("2000", |config| {
        let mut cluster = Cluster::new(1);
        cluster.broker(1).reach = Reach::Hangs;
        let mut run = Virtual::new(config, cluster);
        run.world.run_for(secs(3));
        run.world.connects.len()
    });
    assert_eq!(observed, [1, 2]);
}

pub(crate) fn connections_max_idle_ms(effect: &Effect) {
    let observed = effect.with("5000", |config| {
        let mut run = Virtual::small(config);
        run.world.run_for(secs(20));
        run.world.connections()
    });
    assert_eq!(observed, [1, 0]);
}
