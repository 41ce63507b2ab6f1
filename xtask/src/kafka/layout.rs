//! The files of one node and what stands in them.

use std::fmt::Write;
use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::path::{Path, PathBuf};

use super::cache::remove;
use super::options::Options;
use super::ports;
use super::version::Version;
use crate::{Error, Result};

/// Where a node keeps its files and where it listens.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    pub(super) folder: PathBuf,
    /// From 1 on.
    pub(super) id: i32,
    pub(super) client_port: u16,
    pub(super) version: Version,
}

impl Layout {
    /// Writes what the nodes of a cluster need to start, one node for each port for clients, into
    /// folders side by side.
    pub(super) fn write_cluster(
        folder: &Path,
        options: &Options,
        client_ports: &[u16],
    ) -> Result<Vec<Self>> {
        let controller_ports = ports::several(client_ports.len())?;
        let ids = 1..;
        let nodes = ids.zip(client_ports).map(|(id, port)| {
            let layout = Self::new(folder, id, *port, options.version.clone());
            layout.write(&server_properties(&layout, options, &controller_ports))?;
            Ok(layout)
        });
        nodes.collect()
    }

    /// The same for one node of that version on any port, for an errand.
    pub(super) fn write_alone(folder: &Path, version: &Version) -> Result<Self> {
        let options = Options {
            version: version.clone(),
            ..Options::default()
        };
        let mut nodes = Self::write_cluster(folder, &options, &[ports::free()?])?;
        Ok(nodes.remove(0))
    }

    /// The node as [`Self::write_cluster`] once wrote it into this folder.
    pub(super) fn new(cluster: &Path, id: i32, client_port: u16, version: Version) -> Self {
        Self {
            folder: cluster.join(format!("node{id}")),
            id,
            client_port,
            version,
        }
    }

    pub(super) fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    pub(super) fn log(&self) -> PathBuf {
        self.folder.join("kafka.log")
    }

    pub(super) fn properties(&self) -> PathBuf {
        self.folder.join("server.properties")
    }

    pub(super) fn address(&self) -> SocketAddr {
        SocketAddrV4::new(Ipv4Addr::LOCALHOST, self.client_port).into()
    }

    /// The log file, opened for appending.
    pub(super) fn open_log(&self) -> Result<File> {
        let path = self.log();
        File::options()
            .create(true)
            .append(true)
            .open(&path)
            .map_err(Error::io(format!("opening {}", path.display())))
    }

    /// What is wrong with the node, with the end of its log.
    pub(super) fn failure(&self, trouble: &str) -> Error {
        const LINES: usize = 15;
        let path = self.log();
        let log = fs::read_to_string(&path).unwrap_or_default();
        let skipped = log.lines().count().saturating_sub(LINES);
        let tail = log.lines().skip(skipped).collect::<Vec<_>>().join("\n");
        let (id, path) = (self.id, path.display());
        Error::Failed(format!(
            "Kafka's node {id} {trouble}; {path} ends with:\n{tail}"
        ))
    }

    /// Removes the records and all else that the node stored. The log stays.
    pub(super) fn remove_data(&self) -> Result<()> {
        remove(&self.data())
    }

    fn write(&self, server_properties: &str) -> Result<()> {
        fs::create_dir_all(&self.folder)
            .map_err(Error::io(format!("creating {}", self.folder.display())))?;
        let path = self.properties();
        fs::write(&path, server_properties)
            .map_err(Error::io(format!("writing {}", path.display())))
    }
}

/// One node is broker and controller at once. Internal topics get few partitions, so that starting
/// costs little, and a dead node is missed after 3 s instead of 9; everything else that a producer can
/// see keeps Kafka's default.
fn server_properties(node: &Layout, options: &Options, controller_ports: &[u16]) -> String {
    let voters: Vec<_> = (1..)
        .zip(controller_ports)
        .map(|(id, port): (i32, _)| format!("{id}@127.0.0.1:{port}"))
        .collect();
    let controller = &voters[usize::try_from(node.id - 1).expect("ids begin with 1")];
    let (_, controller) = controller.split_once('@').expect("it was just put there");
    let nodes = voters.len();
    let in_sync = if nodes == 1 { 1 } else { nodes - 1 };
    let mut properties = format!(
        "process.roles=broker,controller
node.id={id}
log.dirs={data}
controller.quorum.voters={voters}
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://{address},CONTROLLER://{controller}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
num.partitions={partitions}
default.replication.factor={nodes}
min.insync.replicas={in_sync}
offsets.topic.replication.factor={nodes}
offsets.topic.num.partitions=4
transaction.state.log.replication.factor={nodes}
transaction.state.log.min.isr={in_sync}
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor={nodes}
share.coordinator.state.topic.min.isr={in_sync}
share.coordinator.state.topic.num.partitions=4
group.initial.rebalance.delay.ms=0
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
num.network.threads=1
num.io.threads=4
log.cleaner.dedupe.buffer.size=2097152
",
        id = node.id,
        data = node.data().display(),
        voters = voters.join(","),
        address = node.address(),
        partitions = options.partitions,
    );
    // Of a property that stands there twice Java takes the last.
    for (name, value) in &options.properties {
        writeln!(properties, "{name}={value}").expect("a string takes all");
    }
    properties
}

#[cfg(test)]
mod tests {
    use super::*;

    fn properties(id: i32, controller_ports: &[u16], options: &Options) -> String {
        let node = Layout::new(Path::new("folder"), id, 9092, options.version.clone());
        server_properties(&node, options, controller_ports)
    }

    #[test]
    fn three_nodes_vote_and_replicate() {
        let properties = properties(2, &[701, 702, 703], &Options::default());
        for line in [
            "node.id=2",
            "controller.quorum.voters=1@127.0.0.1:701,2@127.0.0.1:702,3@127.0.0.1:703",
            "listeners=PLAINTEXT://127.0.0.1:9092,CONTROLLER://127.0.0.1:702",
            "default.replication.factor=3",
            "min.insync.replicas=2",
        ] {
            assert!(properties.lines().any(|found| found == line), "{line}");
        }
    }

    #[test]
    fn one_node_wants_no_other() {
        let properties = properties(1, &[701], &Options::default());
        assert!(
            properties.contains("min.insync.replicas=1\n"),
            "{properties}"
        );
        assert!(!properties.contains("=2\n"), "{properties}");
    }

    #[test]
    fn properties_of_the_caller_come_last_and_so_win() {
        let options = Options {
            properties: vec![("num.io.threads".to_owned(), "9".to_owned())],
            ..Options::default()
        };
        let properties = properties(1, &[701], &options);
        assert!(properties.ends_with("num.io.threads=9\n"), "{properties}");
    }
}
