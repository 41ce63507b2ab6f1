//! One node: its addresses and its connections.

use std::cell::RefCell;
use std::io;
use std::mem;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use tokio::net::{TcpListener, TcpSocket};
use tokio::time::{self, Instant};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Task;
use super::connection::{self, Registered};
use crate::fault::Reach;
use crate::state::Shared;

const BACKLOG: u32 = 1024;
/// Of connections, in bytes: a client soon notices when nobody reads.
const RECEIVE_BUFFER: u32 = 128 * 1024;
/// After a connection could not be taken: most likely there are no file descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// A connection is in the queue a little later than its own side thinks.
const QUEUE_PAUSE: Duration = Duration::from_millis(1);
/// A child process that is just being started holds copies of our listeners until it runs its own
/// program: for so long the address is taken.
const REBIND_PATIENCE: Duration = Duration::from_secs(2);
const REBIND_PAUSE: Duration = Duration::from_millis(1);

/// An address that belongs to the node even while nobody listens there.
///
/// A socket that is bound and does not listen refuses connections, and keeps the port from being
/// given to somebody else or to a client that would connect to itself.
#[derive(Debug)]
pub(crate) struct Door {
    socket: TcpSocket,
    address: SocketAddr,
}

impl Door {
    /// Takes an address; port 0 is any free one.
    pub(crate) fn new(address: SocketAddr) -> io::Result<Self> {
        let socket = match address {
            SocketAddr::V4(_) => TcpSocket::new_v4()?,
            SocketAddr::V6(_) => TcpSocket::new_v6()?,
        };
        // Connections that have just ended still occupy the port that a node comes back to. A port
        // that is to be drawn is drawn without this: the system would share one among such sockets.
        if address.port() != 0 {
            socket.set_reuseaddr(true)?;
        }
        socket.bind(address)?;
        socket.set_reuseaddr(true)?;
        socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
        let address = socket.local_addr()?;
        Ok(Self { socket, address })
    }

    /// Takes an address again at which this process has just listened.
    async fn again(address: SocketAddr) -> io::Result<Self> {
        let deadline = Instant::now() + REBIND_PATIENCE;
        loop {
            match Self::new(address) {
                Err(error)
                    if error.kind() == io::ErrorKind::AddrInUse && Instant::now() < deadline =>
                {
                    time::sleep(REBIND_PAUSE).await;
                }
                settled => return settled,
            }
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

pub(super) struct Node {
    id: i32,
    shared: Arc<Shared>,
    /// The first is the advertised one.
    addresses: Vec<SocketAddr>,
    stopped: bool,
    /// What was done about `addresses`.
    present: Reach,
    /// Addresses at which nobody listens.
    doors: Vec<Door>,
    holes: Vec<Hole>,
    /// Addresses that the node had once: they refuse as long as it exists.
    left: Vec<Door>,
    listeners: Tasks,
    connections: Tasks,
}

/// An address whose queue of new connections is full: the system lets further ones wait for ever.
struct Hole {
    listener: TcpListener,
    filler: TcpSocket,
}

/// Tasks that are ended together. All clones start and end the same ones.
#[derive(Clone, Default)]
struct Tasks {
    present: Rc<RefCell<Generation>>,
}

/// The tasks that were started since the last end.
#[derive(Clone, Default)]
struct Generation {
    end: CancellationToken,
    running: TaskTracker,
}

impl Node {
    pub(super) fn new(id: i32, shared: Arc<Shared>, door: Door) -> Self {
        Self {
            id,
            shared,
            addresses: vec![door.address()],
            stopped: false,
            present: Reach::Refuse,
            doors: vec![door],
            holes: Vec::new(),
            left: Vec::new(),
            listeners: Tasks::default(),
            connections: Tasks::default(),
        }
    }

    /// Two nodes change places. Metadata says so before anybody can connect.
    pub(super) async fn exchange(&mut self, other: &mut Self) -> io::Result<SocketAddr> {
        for node in [&mut *self, &mut *other] {
            node.shut().await?;
            node.connections.end().await;
        }
        mem::swap(&mut self.addresses[0], &mut other.addresses[0]);
        mem::swap(&mut self.doors[0], &mut other.doors[0]);
        self.advertise();
        other.advertise();
        self.settle().await?;
        other.settle().await?;
        Ok(self.addresses[0])
    }

    pub(super) async fn carry_out(&mut self, task: Task) -> io::Result<SocketAddr> {
        match task {
            Task::Stop => {
                self.stopped = true;
                self.settle().await?;
                self.connections.end().await;
            }
            Task::Start => {
                self.stopped = false;
                self.settle().await?;
            }
            Task::Move => {
                let door = Door::new(self.any_address())?;
                self.shut().await?;
                self.connections.end().await;
                self.addresses[0] = door.address();
                self.left.push(mem::replace(&mut self.doors[0], door));
                self.advertise();
                self.settle().await?;
            }
            Task::Extend => {
                let door = Door::new(self.any_address())?;
                let address = door.address();
                self.addresses.push(address);
                self.doors.push(door);
                self.treat_doors(self.present).await?;
                return Ok(address);
            }
            Task::Cut => self.connections.end().await,
            Task::Reach => {
                self.settle().await?;
                if self.present != Reach::Open {
                    self.connections.end().await;
                }
                self.bury_doomed().await;
            }
        }
        Ok(self.addresses[0])
    }

    pub(super) async fn close(&mut self) {
        self.listeners.end().await;
        self.connections.end().await;
    }

    /// Listens, or not, as it should be now.
    async fn settle(&mut self) -> io::Result<()> {
        let wanted = if self.stopped {
            Reach::Refuse
        } else {
            self.shared.look(|state| state.faults.reach(self.id))
        };
        if wanted == self.present {
            return Ok(());
        }
        if (self.present, wanted) == (Reach::BlackHole, Reach::Open) {
            self.fill_holes()?;
        } else {
            self.shut().await?;
            self.treat_doors(wanted).await?;
        }
        self.present = wanted;
        Ok(())
    }

    /// Makes of the addresses at which nobody listens what clients are to find there.
    async fn treat_doors(&mut self, wanted: Reach) -> io::Result<()> {
        match wanted {
            Reach::Open => self.open(),
            Reach::Refuse => Ok(()),
            Reach::BlackHole => self.swallow().await,
        }
    }

    async fn shut(&mut self) -> io::Result<()> {
        if self.present != Reach::Refuse {
            self.listeners.end().await;
            self.holes.clear();
            for address in &self.addresses {
                self.doors.push(Door::again(*address).await?);
            }
            self.present = Reach::Refuse;
        }
        Ok(())
    }

    fn open(&mut self) -> io::Result<()> {
        for door in mem::take(&mut self.doors) {
            self.listen(door.socket.listen(BACKLOG)?, None);
        }
        Ok(())
    }

    /// Who is still trying to connect gets through: there is no moment in which it would be refused.
    fn fill_holes(&mut self) -> io::Result<()> {
        for Hole { listener, filler } in mem::take(&mut self.holes) {
            rustix::net::listen(&listener, BACKLOG.cast_signed())?;
            self.listen(listener, Some(filler.local_addr()?));
        }
        Ok(())
    }

    /// `filler`: a client that is none.
    fn listen(&self, listener: TcpListener, filler: Option<SocketAddr>) {
        let (shared, connections) = (self.shared.clone(), self.connections.clone());
        self.listeners
            .start(accept(listener, filler, self.id, shared, connections));
    }

    async fn swallow(&mut self) -> io::Result<()> {
        for door in mem::take(&mut self.doors) {
            // The shortest queue there is takes one.
            let listener = door.socket.listen(0)?;
            let filler = Door::new(self.any_address())?.socket;
            match rustix::net::connect(&filler, &door.address) {
                Ok(()) | Err(Errno::INPROGRESS) => {}
                Err(error) => return Err(error.into()),
            }
            // A client that is quicker fills it just as well, and is served after the fault.
            while !has_queue(&listener)? {
                time::sleep(QUEUE_PAUSE).await;
            }
            self.holes.push(Hole { listener, filler });
        }
        Ok(())
    }

    /// Waits until those connections have ended that faults close.
    async fn bury_doomed(&self) {
        let mut changes = self.shared.watch();
        while self.shared.look(|state| state.faults.has_doomed(self.id)) {
            let _ = changes.changed().await;
        }
    }

    /// Lets Metadata say where the node is.
    fn advertise(&self) {
        self.shared.change(|state| {
            if let Some(node) = state.nodes.get_mut(&self.id) {
                node.advertised = self.addresses[0];
            }
        });
    }

    fn any_address(&self) -> SocketAddr {
        SocketAddr::new(self.addresses[0].ip(), 0)
    }
}

impl Tasks {
    /// Runs a future until it ends or all are ended.
    fn start(&self, future: impl Future<Output = ()> + 'static) {
        let Generation { end, running } = self.present.borrow().clone();
        running.spawn_local(async move {
            tokio::select! {
                () = end.cancelled() => {}
                () = future => {}
            }
        });
    }

    /// When this is over, all that ran at its beginning have ended; new ones may be started.
    async fn end(&self) {
        let Generation { end, running } = self.present.take();
        end.cancel();
        running.close();
        running.wait().await;
    }
}

/// Whether a connection could be accepted.
fn has_queue(listener: &TcpListener) -> io::Result<bool> {
    let mut listener = [PollFd::new(listener, PollFlags::IN)];
    let now = Timespec::default();
    Ok(rustix::event::poll(&mut listener, Some(&now))? > 0)
}

async fn accept(
    listener: TcpListener,
    filler: Option<SocketAddr>,
    node: i32,
    shared: Arc<Shared>,
    connections: Tasks,
) {
    loop {
        match listener.accept().await {
            Ok((_, peer)) if Some(peer) == filler => {}
            Ok((stream, peer)) => {
                let registered = Registered::new(node, shared.clone());
                let number = registered.number();
                tracing::debug!(node, connection = number, %peer, "connected");
                if !shared.look(|state| state.faults.habits(number).close_on_accept) {
                    connections.start(connection::serve(stream, registered));
                }
            }
            Err(error) => {
                tracing::warn!(node, %error, "a connection cannot be accepted");
                time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}
