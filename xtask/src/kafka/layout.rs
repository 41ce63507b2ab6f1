//! The files of one node and what stands in them.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::path::PathBuf;

use crate::{Error, Result};

/// Where a node keeps its files and where it listens.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    pub(super) folder: PathBuf,
    pub(super) client_port: u16,
    pub(super) controller_port: u16,
    /// Partitions of a topic that a client brings into being by asking for it.
    pub(super) partitions: u16,
}

impl Layout {
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

    /// Writes `server.properties`, making the folder when it is missing.
    pub(super) fn write(&self) -> Result<()> {
        fs::create_dir_all(&self.folder)
            .map_err(Error::io(format!("creating {}", self.folder.display())))?;
        let path = self.properties();
        fs::write(&path, self.server_properties())
            .map_err(Error::io(format!("writing {}", path.display())))
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

    /// The last lines of the log, for an error text.
    pub(super) fn log_tail(&self) -> String {
        const LINES: usize = 15;
        let log = fs::read_to_string(self.log()).unwrap_or_default();
        let skipped = log.lines().count().saturating_sub(LINES);
        log.lines().skip(skipped).collect::<Vec<_>>().join("\n")
    }

    /// Removes the records and all else that the node stored. The log stays.
    pub(super) fn remove_data(&self) -> Result<()> {
        let data = self.data();
        if data.exists() {
            fs::remove_dir_all(&data).map_err(Error::io(format!("removing {}", data.display())))?;
        }
        Ok(())
    }

    /// One node is broker and controller at once. Internal topics get few partitions, so that
    /// starting costs little; everything a producer can see keeps Kafka's default.
    fn server_properties(&self) -> String {
        let Self {
            client_port,
            controller_port,
            partitions,
            ..
        } = self;
        let data = self.data();
        let data = data.display();
        format!(
            "process.roles=broker,controller
node.id=1
log.dirs={data}
controller.quorum.voters=1@127.0.0.1:{controller_port}
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://127.0.0.1:{client_port},CONTROLLER://127.0.0.1:{controller_port}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
num.partitions={partitions}
default.replication.factor=1
min.insync.replicas=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=4
group.initial.rebalance.delay.ms=0
num.network.threads=1
num.io.threads=4
log.cleaner.dedupe.buffer.size=2097152
"
        )
    }
}
