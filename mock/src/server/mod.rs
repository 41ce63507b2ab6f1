//! The thread that serves: listeners and connections.

mod connection;
mod node;
mod wire;

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc as blocking;
use std::thread::{self, JoinHandle};

use tokio::runtime;
use tokio::sync::mpsc;
use tokio::task::LocalSet;

use crate::state::Shared;

pub(crate) use node::Door;
use node::Node;

/// The thread; dropping this closes everything and waits for its end.
#[derive(Debug)]
pub(crate) struct Server {
    orders: Option<mpsc::UnboundedSender<Order>>,
    thread: Option<JoinHandle<()>>,
}

/// What the thread is told to do with a node.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Task {
    /// Nobody listens any more, and all connections are closed.
    Stop,
    /// Listens at its addresses.
    Start,
    /// Listens at another address than the advertised one, and closes all connections.
    Move,
    /// Listens at one more address.
    Extend,
    /// Closes all connections.
    Cut,
    /// Listens, or not, as the faults have it now.
    Reach,
}

struct Order {
    node: i32,
    task: Task,
    done: blocking::Sender<io::Result<SocketAddr>>,
}

impl Server {
    /// Each node is stopped, its address refuses.
    pub(crate) fn start(shared: Arc<Shared>, doors: BTreeMap<i32, Door>) -> io::Result<Self> {
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (orders, inbox) = mpsc::unbounded_channel();
        let thread = thread::Builder::new()
            .name("kafka-mock".to_owned())
            .spawn(move || LocalSet::new().block_on(&runtime, serve(shared, doors, inbox)))?;
        Ok(Self {
            orders: Some(orders),
            thread: Some(thread),
        })
    }

    /// Has it done; the address is the one that the task is about.
    pub(crate) fn order(&self, node: i32, task: Task) -> io::Result<SocketAddr> {
        let (done, outcome) = blocking::channel();
        let order = Order { node, task, done };
        let gone = || io::Error::other("the thread of the mock has ended");
        let orders = self.orders.as_ref().ok_or_else(gone)?;
        orders.send(order).map_err(|_| gone())?;
        outcome.recv().map_err(|_| gone())?
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.orders = None;
        if let Some(thread) = self.thread.take() {
            // It panics only with a defect of ours, which has been printed by then.
            let _ = thread.join();
        }
    }
}

async fn serve(
    shared: Arc<Shared>,
    doors: BTreeMap<i32, Door>,
    mut inbox: mpsc::UnboundedReceiver<Order>,
) {
    let mut nodes = BTreeMap::new();
    for (id, door) in doors {
        nodes.insert(id, Node::new(id, shared.clone(), door));
    }
    while let Some(Order { node, task, done }) = inbox.recv().await {
        let outcome = match nodes.get_mut(&node) {
            Some(node) => node.carry_out(task).await,
            None => Err(io::Error::new(
                io::ErrorKind::NotFound,
                format!("there is no node {node}"),
            )),
        };
        // Who asked waits for this.
        let _ = done.send(outcome);
    }
    for node in nodes.values_mut() {
        node.close().await;
    }
}
