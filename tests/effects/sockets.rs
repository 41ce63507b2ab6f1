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

const PATIENCE: Duration = Duration::from_secs(60);

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

pub(crate) fn start(config: Config) -> Producer {
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
