use std::net::SocketAddr;
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::process::Signal;

use super::layout::Layout;
use super::leaders::Leaders;
use super::options::Options;
use super::process::Supervised;
use super::version::Version;
use super::{ports, ready, storage};
use crate::{Error, Result, kafka_folder};

/// A cluster on loopback that belongs to the process that started it.
///
/// Dropping it kills its nodes and removes their data; their logs stay below `target/kafka`. Should its
/// owner die without dropping it (a panic in another thread, `kill -9`), watchdogs do the same.
///
/// Nodes are named by their ids, from 1 on; an id that no node has is an error.
#[derive(Debug)]
pub struct Cluster {
    nodes: Vec<Node>,
}

/// Each is broker and controller at once.
#[derive(Debug)]
struct Node {
    layout: Layout,
    /// `None` while the node is stopped.
    process: Option<Supervised>,
    paused: bool,
}

impl Cluster {
    /// Starts nodes with empty storage on free ports and waits until they can be worked with (on 2
    /// cores about 2 s for one node and 4 s for three; the first time, some 20 s more to fetch and
    /// prepare this version of Kafka).
    pub fn start(options: &Options) -> Result<Self> {
        static STARTED: AtomicU32 = AtomicU32::new(0);
        options.check()?;
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let folder = kafka_folder()
            .join("nodes")
            .join(format!("{}-{number}", process::id()));
        let client_ports = ports::several(options.nodes.into())?;
        let nodes = Layout::write_cluster(&folder, options, &client_ports)?;
        let mut cluster = Self {
            nodes: nodes.into_iter().map(Node::new).collect(),
        };
        for node in &mut cluster.nodes {
            // A process before us may have had our id and died before it could clean up.
            node.layout.remove_data()?;
            node.spawn()?;
        }
        cluster.wait_until_ready()?;
        Ok(cluster)
    }

    /// What a client needs to know: the addresses of all nodes, running or not, with commas.
    pub fn bootstrap(&self) -> String {
        let addresses = self.addresses();
        let addresses: Vec<_> = addresses.iter().map(SocketAddr::to_string).collect();
        addresses.join(",")
    }

    /// Where clients connect, by the nodes' ids.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        let layouts = self.nodes.iter().map(|node| &node.layout);
        layouts.map(Layout::address).collect()
    }

    /// The ids of all nodes, running or not: from 1 on.
    pub fn node_ids(&self) -> Vec<i32> {
        self.nodes.iter().map(|node| node.layout.id).collect()
    }

    /// The version of Apache Kafka.
    pub fn version(&self) -> &Version {
        &self.nodes[0].layout.version
    }

    /// The process id of a node, or `None` while it is stopped.
    pub fn process_id(&self, id: i32) -> Result<Option<u32>> {
        let node = &self.nodes[self.position(id)?];
        Ok(node.process.as_ref().map(Supervised::id))
    }

    /// Stops a node in an orderly way (SIGTERM) and waits until it is gone. Its data stays.
    ///
    /// A node that is without a majority already is killed: it would wait for a controller to hand its
    /// work to.
    pub fn stop(&mut self, id: i32) -> Result<()> {
        let running = self.nodes.iter_mut().filter_map(Node::running).count();
        let orderly = ready::is_majority(running, self.nodes.len());
        let signal = if orderly { Signal::TERM } else { Signal::KILL };
        self.node(id)?.end(signal)
    }

    /// Kills a node (SIGKILL) as a crash would. Its data stays as it is.
    pub fn kill(&mut self, id: i32) -> Result<()> {
        self.node(id)?.end(Signal::KILL)
    }

    /// Pauses a running node (SIGSTOP): it keeps its connections and says nothing more.
    pub fn pause(&mut self, id: i32) -> Result<()> {
        self.node(id)?.set_paused(true)
    }

    /// Has a paused node go on (SIGCONT).
    pub fn resume(&mut self, id: i32) -> Result<()> {
        self.node(id)?.set_paused(false)
    }

    /// Starts a node again on the same address and data, after stopping it if it runs, and waits
    /// until all running nodes can be worked with.
    ///
    /// Without a majority of running nodes there is nothing to wait for: it returns at once.
    pub fn restart(&mut self, id: i32) -> Result<()> {
        self.stop(id)?;
        self.node(id)?.spawn()?;
        self.wait_until_ready()
    }

    /// Starts all nodes that are stopped, at the same time, and waits as [`Self::restart`] does.
    pub fn restart_stopped(&mut self) -> Result<()> {
        let nodes = self.nodes.iter_mut();
        for node in nodes.filter(|node| node.process.is_none()) {
            node.spawn()?;
        }
        self.wait_until_ready()
    }

    /// Finds out who leads, without holding the cluster.
    pub fn leaders(&self) -> Leaders {
        let layouts = self.nodes.iter().map(|node| &node.layout);
        Leaders::new(layouts.map(|node| (node.id, node.address())))
    }

    fn node(&mut self, id: i32) -> Result<&mut Node> {
        let position = self.position(id)?;
        Ok(&mut self.nodes[position])
    }

    fn position(&self, id: i32) -> Result<usize> {
        let ids = self.node_ids();
        let found = ids.iter().position(|known| *known == id);
        found.ok_or_else(|| Error::Failed(format!("there is no node {id}, only {ids:?}")))
    }

    /// All that are there and not paused.
    fn wait_until_ready(&mut self) -> Result<()> {
        let size = self.nodes.len();
        let nodes = self.nodes.iter_mut();
        let mut running: Vec<_> = nodes.filter_map(Node::running).collect();
        let layouts: Vec<_> = running.iter().map(|(layout, _)| *layout).collect();
        ready::wait(&layouts, size, || {
            let mut running = running.iter_mut();
            running.try_for_each(|(layout, process)| process.expect_alive(layout))
        })
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for node in &mut self.nodes {
            let ended = node.end(Signal::KILL);
            if let Err(error) = ended.and_then(|()| node.layout.remove_data()) {
                report_leftover(&error);
            }
        }
    }
}

/// Dropping must not panic, and a leftover must not pass in silence.
fn report_leftover(error: &Error) {
    eprintln!("a Kafka node may be left over: {error}");
}

impl Node {
    fn new(layout: Layout) -> Self {
        Self {
            layout,
            process: None,
            paused: false,
        }
    }

    fn spawn(&mut self) -> Result<()> {
        storage::format(&self.layout)?;
        self.process = Some(Supervised::start(&self.layout)?);
        Ok(())
    }

    fn running(&mut self) -> Option<(&Layout, &mut Supervised)> {
        let process = self.process.as_mut().filter(|_| !self.paused)?;
        Some((&self.layout, process))
    }

    fn end(&mut self, signal: Signal) -> Result<()> {
        self.paused = false;
        match self.process.take() {
            Some(process) => process.end(signal).map(drop),
            None => Ok(()),
        }
    }

    fn set_paused(&mut self, paused: bool) -> Result<()> {
        let id = self.layout.id;
        let Some(process) = &mut self.process else {
            return Err(Error::Failed(format!(
                "node {id} is stopped: restart it first"
            )));
        };
        process.signal(if paused { Signal::STOP } else { Signal::CONT })?;
        self.paused = paused;
        Ok(())
    }
}
