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

#[derive(Clone, Copy, Debug)]
enum Errand {
    Do(i32, Task),
    Exchange(i32, i32),
}

struct Order {
    errand: Errand,
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
        self.send(Errand::Do(node, task))
    }

    /// Two nodes change their advertised addresses. The connections of both are closed.
    pub(crate) fn exchange(&self, one: i32, other: i32) -> io::Result<()> {
        self.send(Errand::Exchange(one, other)).map(drop)
    }

    fn send(&self, errand: Errand) -> io::Result<SocketAddr> {
        let (done, outcome) = blocking::channel();
        let order = Order { errand, done };
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
    while let Some(Order { errand, done }) = inbox.recv().await {
        let outcome = match errand {
            Errand::Do(node, task) => match nodes.get_mut(&node) {
                Some(node) => node.carry_out(task).await,
                None => Err(no_node(node)),
            },
            Errand::Exchange(one, other) => exchange(&mut nodes, one, other).await,
        };
        // Who asked waits for this.
        let _ = done.send(outcome);
    }
    for node in nodes.values_mut() {
        node.close().await;
    }
}

async fn exchange(nodes: &mut BTreeMap<i32, Node>, one: i32, other: i32) -> io::Result<SocketAddr> {
    let mut first = nodes.remove(&one).ok_or_else(|| no_node(one))?;
    let outcome = match nodes.get_mut(&other) {
        Some(second) => first.exchange(second).await,
        None => Err(no_node(other)),
    };
    nodes.insert(one, first);
    outcome
}

fn no_node(id: i32) -> io::Error {
    io::Error::new(
        io::ErrorKind::NotFound,
        format!("there is no such node, or no other one, as {id}"),
    )
}
