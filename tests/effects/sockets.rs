//! What the sockets of a producer are like, and where they lead: with a real broker behind them.

use std::collections::BTreeSet;
use std::fs;
use std::os::fd::OwnedFd;
use std::time::Duration;

use event_kafka::config::Config;
use event_kafka::{Producer, Record};
use kafka_mock::Cluster;
use rustix::net::sockopt;
use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};

use crate::effect::{Effect, and};
use crate::log;

pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A producer and its broker.
pub(crate) struct Real {
    pub(crate) cluster: Cluster,
    pub(crate) producer: Producer,
}

impl Real {
    pub(crate) fn start(config: Config) -> Self {
        Self::before(Cluster::start().unwrap(), config)
    }

    pub(crate) fn before(cluster: Cluster, config: Config) -> Self {
        let config = and(config, &[("bootstrap.servers", &cluster.bootstrap())]);
        let producer = start(config);
        Self { cluster, producer }
    }

    /// Publishes so many messages, and waits until they have their outcome. Returns how many were
    /// delivered.
    pub(crate) fn deliver(&self, count: u64) -> u64 {
        let topic = self.producer.topic("t").unwrap();
        for _ in 0..count {
            topic.publish(Record::new("event")).unwrap();
        }
        self.producer.flush(PATIENCE).unwrap();
        self.producer.balance().delivered
    }

    /// What `look` sees of every socket that is connected to the broker.
    fn sockets<T: Ord>(&self, look: impl Fn(&OwnedFd) -> T) -> BTreeSet<T> {
        self.deliver(1);
        let sockets = sockets_to(self.cluster.address(1).port());
        assert!(!sockets.is_empty());
        sockets.iter().map(look).collect()
    }
}

/// A producer; what it says to the log is recorded.
pub(crate) fn start(config: Config) -> Producer {
    log::record();
    Producer::builder().config(config).start().unwrap()
}

/// This process's sockets that are connected to a port of this machine.
fn sockets_to(port: u16) -> Vec<OwnedFd> {
    let inodes = inodes_to(port);
    let process = pidfd_open(getpid(), PidfdFlags::empty()).unwrap();
    let files = fs::read_dir("/proc/self/fd").unwrap().flatten();
    files
        .filter_map(|entry| {
            let target = fs::read_link(entry.path()).ok()?;
            let inode = target
                .to_str()?
                .strip_prefix("socket:[")?
                .strip_suffix(']')?;
            let number = entry.file_name().to_str()?.parse().ok()?;
            inodes.contains(inode).then_some(number)
        })
        .map(|number| pidfd_getfd(&process, number, PidfdGetfdFlags::empty()).unwrap())
        .collect()
}

fn inodes_to(port: u16) -> BTreeSet<String> {
    let table = fs::read_to_string("/proc/self/net/tcp").unwrap();
    let there = format!(":{port:04X}");
    let lines = table
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>());
    lines
        .filter(|fields| fields[2].ends_with(&there))
        .map(|fields| fields[9].to_owned())
        .collect()
}

pub(crate) fn socket_send_buffer_bytes(effect: &Effect) {
    let [usual, small] = effect.with("20000", |config| {
        Real::start(config).sockets(|fd| sockopt::socket_send_buffer_size(fd).unwrap())
    });
    // Linux doubles it, for what it keeps beside the bytes.
    assert!(
        !usual.contains(&40_000) && small == [40_000].into(),
        "{usual:?}"
    );
}

pub(crate) fn socket_receive_buffer_bytes(effect: &Effect) {
    let [usual, small] = effect.with("20000", |config| {
        Real::start(config).sockets(|fd| sockopt::socket_recv_buffer_size(fd).unwrap())
    });
    assert!(
        !usual.contains(&40_000) && small == [40_000].into(),
        "{usual:?}"
    );
}

pub(crate) fn socket_keepalive_enable(effect: &Effect) {
    let observed = effect.with("true", |config| {
        Real::start(config).sockets(|fd| sockopt::socket_keepalive(fd).unwrap())
    });
    assert_eq!(observed, [[false].into(), [true].into()]);
}

pub(crate) fn socket_nagle_disable(effect: &Effect) {
    let observed = effect.with("false", |config| {
        Real::start(config).sockets(|fd| sockopt::tcp_nodelay(fd).unwrap())
    });
    assert_eq!(observed, [[true].into(), [false].into()]);
}

pub(crate) fn receive_message_max_bytes(effect: &Effect) {
    let observed = effect.with("1000", |config| {
        let config = and(config, &[("message.timeout.ms", "500")]);
        let run = Real::before(Cluster::start().unwrap(), config);
        run.cluster.create_topic("t", 100);
        run.deliver(1)
    });
    assert_eq!(observed, [1, 0]);
}

pub(crate) fn broker_address_family(effect: &Effect) {
    let observed = effect.with("v6", |config| {
        let config = and(config, &[("message.timeout.ms", "500")]);
        Real::start(config).deliver(1)
    });
    assert_eq!(observed, [1, 0]);
}

/// Wherever tests run, 127.0.0.1 has a name.
pub(crate) fn client_dns_lookup(effect: &Effect) {
    let observed = effect.with("resolve_canonical_bootstrap_servers_only", |config| {
        let run = Real::start(and(config, &[("debug", "broker")]));
        assert_eq!(run.deliver(1), 1);
        let broker = run.cluster.address(1);
        let line = format!("event_kafka::broker message={broker}: 127.0.0.1 is named Some(");
        log::said().iter().any(|said| said.starts_with(&line))
    });
    assert_eq!(observed, [false, true]);
}

pub(crate) fn broker_address_ttl(effect: &Effect) {
    let observed = effect.with("0", |config| {
        // How long this takes nobody knows: once within a second is enough.
        let mut lookups = (0..10).map(|_| lookups_of_two_connections(config.clone()));
        lookups.find(|lookups| *lookups == 1).is_some()
    });
    assert_eq!(observed, [true, false]);
}

/// How often a name is looked up for two connections that follow each other: the first is closed
/// because it is idle, the second is made for fresh metadata.
fn lookups_of_two_connections(config: Config) -> usize {
    log::record();
    let cluster = Cluster::start().unwrap();
    let name = format!("localhost:{}", cluster.address(1).port());
    let config = and(
        config,
        &[
            ("bootstrap.servers", &name),
            ("connections.max.idle.ms", "20"),
            ("topic.metadata.refresh.interval.ms", "100"),
            ("debug", "broker"),
        ],
    );
    let _producer = start(config);
    let count = |what: &str| {
        let line = format!("event_kafka::broker message={name}: {what}");
        log::said()
            .iter()
            .filter(|said| said.starts_with(&line))
            .count()
    };
    let twice = cluster.wait(PATIENCE, |_| (count("can be used") >= 2).then_some(()));
    assert!(twice.is_some(), "{:#?}", log::said());
    count("looked up")
}
