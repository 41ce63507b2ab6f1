//! `cargo xtask kafka ...`: a cluster for hands-on work that outlives the command.

use std::fmt;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use rustix::process::Signal;

use super::layout::Layout;
use super::options::Options;
use super::version::Version;
use super::{ports, process, ready, storage};
use crate::{Error, Result, kafka_folder};

/// What `cargo xtask kafka up` was asked for.
#[derive(Debug, Default)]
pub struct UpOptions {
    /// What the cluster shall be like.
    pub cluster: Options,
    /// The first node's port for clients, the others' following; without it Kafka's own 9092 and
    /// those that follow when they are free, otherwise any free ports.
    pub port: Option<u16>,
    /// Begin with empty storage instead of what the last cluster of this version and size left.
    pub fresh: bool,
}

/// What can be done to a node of the cluster that is up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeCommand {
    /// SIGKILL, as in a crash.
    Kill,
    /// SIGTERM, an orderly end; SIGKILL where no majority is left to take its work.
    Stop,
    /// SIGSTOP: it keeps its connections and says nothing more.
    Pause,
    /// SIGCONT, after a pause.
    Resume,
    /// Start it again on the same address and data, after stopping it if it runs.
    Restart,
}

/// Starts the cluster, unless it runs, and says how to use it.
pub fn up(options: &UpOptions) -> Result<()> {
    let wanted = &options.cluster;
    wanted.check()?;
    let place = Place::enter()?;
    if let Some(up) = place.running()? {
        up.expect_like(wanted)?;
        println!("{}\n{up}", up.headline("is up already"));
        return Ok(());
    }
    let mut up = Up {
        version: wanted.version.clone(),
        size: wanted.nodes,
        nodes: Vec::new(),
    };
    let ports = client_ports(options.port, wanted.nodes)?;
    let layouts = Layout::write_cluster(&up.folder(&place.folder), wanted, &ports)?;
    let started = start(&place, &mut up, layouts, options.fresh);
    if let Err(error) = started {
        place.end(&up)?;
        return Err(error);
    }
    print_usage(&up);
    Ok(())
}

fn start(place: &Place, up: &mut Up, layouts: Vec<Layout>, fresh: bool) -> Result<()> {
    let mut children = Vec::new();
    for layout in layouts {
        if fresh {
            layout.remove_data()?;
        }
        storage::format(&layout)?;
        let child = process::spawn(&layout)?;
        up.nodes.push(Node {
            pid: child.id(),
            layout: layout.clone(),
        });
        children.push((child, layout));
        // One by one, so that `down` knows every node, whatever happens to this command.
        place.save(up)?;
    }
    let all: Vec<i32> = children.iter().map(|(_, layout)| layout.id).collect();
    up.wait_until_ready(&all, || {
        let mut children = children.iter_mut();
        children.try_for_each(|(child, layout)| process::expect_alive(child, layout))
    })
}

/// Stops the cluster that [`up`] started. Its data stays for the next [`up`].
pub fn down() -> Result<()> {
    let place = Place::enter()?;
    match place.noted()? {
        None => println!("no Kafka of `cargo xtask kafka up` is there"),
        Some(up) => {
            place.end(&up)?;
            println!("Apache Kafka {} at {} is down", up.version, up.bootstrap());
        }
    }
    Ok(())
}

/// Does something to one node of the cluster that [`up`] started.
pub fn command_node(command: NodeCommand, id: i32) -> Result<()> {
    let place = Place::enter()?;
    let mut up = place.noted()?.ok_or_else(|| {
        Error::Failed("no Kafka is up; start one with `cargo xtask kafka up`".to_owned())
    })?;
    let orderly = up.orderly();
    let node = up.node(id)?;
    match command {
        NodeCommand::Kill => node.end(Signal::KILL)?,
        NodeCommand::Stop => node.end(orderly)?,
        NodeCommand::Pause => node.signal(Signal::STOP)?,
        NodeCommand::Resume => node.signal(Signal::CONT)?,
        NodeCommand::Restart => {
            node.end(orderly)?;
            let mut child = process::spawn(&node.layout)?;
            node.pid = child.id();
            let layout = node.layout.clone();
            place.save(&up)?;
            up.wait_until_ready(&[id], || process::expect_alive(&mut child, &layout))?;
        }
    }
    println!("{up}");
    Ok(())
}

fn client_ports(first: Option<u16>, nodes: u16) -> Result<Vec<u16>> {
    const KAFKAS_OWN: u16 = 9092;
    let start = first.unwrap_or(KAFKAS_OWN);
    let wanted: Vec<u16> = (start..=u16::MAX).take(nodes.into()).collect();
    if wanted.len() < nodes.into() {
        let text = format!("--port {start}: there are no {nodes} ports from there on");
        return Err(Error::Usage(text));
    }
    match (first, wanted.iter().find(|port| !ports::is_free(**port))) {
        (_, None) => Ok(wanted),
        (None, Some(_)) => ports::several(nodes.into()),
        (Some(_), Some(taken)) => Err(Error::Failed(format!(
            "port {taken} of 127.0.0.1 is taken; name another with --port, or none to get free ones"
        ))),
    }
}

fn print_usage(up: &Up) {
    let headline = up.headline("is up");
    let bootstrap = up.bootstrap();
    println!(
        "{headline}
{up}

publish:  cargo run -- publish \"kafka:{bootstrap}/sip\" hello
read:     kcat -b {bootstrap} -C -t sip -e
disturb:  cargo xtask kafka kill|stop|pause|resume|restart NODE
stop:     cargo xtask kafka down"
    );
}

/// The one folder for this work, held against every other command while this lives: two clusters on
/// the same data would destroy it.
struct Place {
    /// Without symbolic links, so that a node is recognised whichever way leads to it.
    folder: PathBuf,
    _lock: File,
}

impl Place {
    fn enter() -> Result<Self> {
        let folder = kafka_folder().join("up");
        let opening = || Error::io(format!("opening {}", folder.display()));
        fs::create_dir_all(&folder).map_err(opening())?;
        let folder = folder.canonicalize().map_err(opening())?;
        let lock = File::create(folder.join("lock")).map_err(opening())?;
        lock.lock().map_err(opening())?;
        Ok(Self {
            folder,
            _lock: lock,
        })
    }

    /// The cluster that [`Self::save`] noted, if any of it still runs.
    fn running(&self) -> Result<Option<Up>> {
        let runs = |up: &Up| up.nodes.iter().any(|node| node.state() != NodeState::Down);
        Ok(self.noted()?.filter(runs))
    }

    /// The cluster that [`Self::save`] noted, if all its nodes were killed, too.
    fn noted(&self) -> Result<Option<Up>> {
        let path = self.state_file();
        if !path.exists() {
            return Ok(None);
        }
        let text =
            fs::read_to_string(&path).map_err(Error::io(format!("reading {}", path.display())))?;
        let damaged = || Error::Failed(format!("{} is damaged: remove it", path.display()));
        Up::parse(&text, &self.folder).ok_or_else(damaged).map(Some)
    }

    fn save(&self, up: &Up) -> Result<()> {
        let path = self.state_file();
        fs::write(&path, up.to_text()).map_err(Error::io(format!("writing {}", path.display())))
    }

    fn end(&self, up: &Up) -> Result<()> {
        for node in &up.nodes {
            node.end(up.orderly())?;
        }
        let path = self.state_file();
        fs::remove_file(&path).map_err(Error::io(format!("removing {}", path.display())))
    }

    fn state_file(&self) -> PathBuf {
        self.folder.join("running")
    }
}

/// The cluster that `up` started, kept in a file for the commands that follow.
#[derive(Debug)]
struct Up {
    version: Version,
    /// How many nodes it is to have; fewer are in `nodes` until all are started.
    size: u16,
    nodes: Vec<Node>,
}

impl Up {
    /// Each version and size has data of its own: none could read that of another.
    fn folder(&self, place: &Path) -> PathBuf {
        place.join(format!("kafka-{}-nodes-{}", self.version, self.size))
    }

    fn bootstrap(&self) -> String {
        let addresses = self.nodes.iter().map(|node| node.layout.address());
        let addresses: Vec<_> = addresses.map(|address| address.to_string()).collect();
        addresses.join(",")
    }

    fn headline(&self, what: &str) -> String {
        format!(
            "Apache Kafka {} {what} at {}",
            self.version,
            self.bootstrap()
        )
    }

    fn node(&mut self, id: i32) -> Result<&mut Node> {
        let size = self.size;
        let mut nodes = self.nodes.iter_mut();
        let found = nodes.find(|node| node.layout.id == id);
        found.ok_or_else(|| {
            Error::Failed(format!(
                "there is no node {id}; the cluster that is up has {size}"
            ))
        })
    }

    fn expect_like(&self, wanted: &Options) -> Result<()> {
        if (&self.version, self.size) == (&wanted.version, wanted.nodes) {
            return Ok(());
        }
        Err(Error::Failed(format!(
            "another cluster is up, Apache Kafka {} with {} node(s); end it with `cargo xtask kafka down`",
            self.version, self.size
        )))
    }

    /// Waits for those that this command has `started`, which are not known by their command lines
    /// at the very beginning, and for all others that run.
    fn wait_until_ready(&self, started: &[i32], alive: impl FnMut() -> Result<()>) -> Result<()> {
        let awaited = self
            .nodes
            .iter()
            .filter(|node| started.contains(&node.layout.id) || node.state() == NodeState::Running);
        let layouts: Vec<_> = awaited.map(|node| &node.layout).collect();
        ready::wait(&layouts, self.size.into(), alive)
    }

    /// How to end a node: without a majority it would wait for a controller to hand its work to.
    fn orderly(&self) -> Signal {
        if ready::is_majority(self.running().len(), self.size.into()) {
            Signal::TERM
        } else {
            Signal::KILL
        }
    }

    fn running(&self) -> Vec<&Layout> {
        let running = self.nodes.iter();
        let running = running.filter(|node| node.state() == NodeState::Running);
        running.map(|node| &node.layout).collect()
    }

    fn to_text(&self) -> String {
        let mut text = format!("{} {}\n", self.version, self.size);
        for Node { pid, layout } in &self.nodes {
            text += &format!("{} {} {pid}\n", layout.id, layout.client_port);
        }
        text
    }

    fn parse(text: &str, place: &Path) -> Option<Self> {
        let mut lines = text.lines();
        let (version, size) = lines.next()?.split_once(' ')?;
        let mut up = Self {
            version: Version::new(version).ok()?,
            size: size.parse().ok()?,
            nodes: Vec::new(),
        };
        let folder = up.folder(place);
        for line in lines {
            let mut words = line.split(' ');
            let mut word = || words.next();
            let (id, port, pid) = (word()?.parse().ok()?, word()?, word()?.parse().ok()?);
            let layout = Layout::new(&folder, id, port.parse().ok()?, up.version.clone());
            up.nodes.push(Node { pid, layout });
        }
        (!up.nodes.is_empty()).then_some(up)
    }
}

/// Its nodes, one in a line.
impl fmt::Display for Up {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, node) in self.nodes.iter().enumerate() {
            let end = if position == 0 { "" } else { "\n" };
            write!(f, "{end}  {node}")?;
        }
        Ok(())
    }
}

#[derive(Debug)]
struct Node {
    pid: u32,
    layout: Layout,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NodeState {
    Running,
    Paused,
    Down,
}

impl Node {
    /// Whether the process is this node still: its id may have gone to somebody else.
    fn state(&self) -> NodeState {
        if !self.is_in(&self.command_line()) {
            return NodeState::Down;
        }
        match self.process_state() {
            Some('T') => NodeState::Paused,
            _ => NodeState::Running,
        }
    }

    /// The command line of a process goes before its sockets do: this is when its ports are free again.
    fn has_gone(&self) -> bool {
        let command_line = self.command_line();
        let is_somebody_else = !command_line.is_empty() && !self.is_in(&command_line);
        is_somebody_else || matches!(self.process_state(), None | Some('Z' | 'X'))
    }

    fn command_line(&self) -> Vec<u8> {
        fs::read(format!("/proc/{}/cmdline", self.pid)).unwrap_or_default()
    }

    fn is_in(&self, command_line: &[u8]) -> bool {
        let properties = self.layout.properties();
        let properties = properties.as_os_str().as_encoded_bytes();
        let mut arguments = command_line.split(|byte| *byte == 0);
        arguments.any(|argument| argument == properties)
    }

    /// The letter that the system has for it; `None` if there is no such process.
    fn process_state(&self) -> Option<char> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid)).ok()?;
        // "PID (NAME) STATE ...", and a name may hold anything.
        stat.rsplit_once(") ")?.1.chars().next()
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        if self.state() == NodeState::Down {
            let id = self.layout.id;
            let text = format!("node {id} is down; start it with `cargo xtask kafka restart {id}`");
            return Err(Error::Failed(text));
        }
        process::signal(self.pid, signal)
    }

    /// Ends it if it is there.
    fn end(&self, signal: Signal) -> Result<()> {
        if self.state() == NodeState::Down {
            return Ok(());
        }
        process::end(self.pid, signal, || Ok(self.has_gone()))
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pid, layout } = self;
        let (id, address, log) = (layout.id, layout.address(), layout.log());
        match self.state() {
            NodeState::Running => write!(f, "node {id}: {address}, process {pid}")?,
            NodeState::Paused => write!(f, "node {id}: {address}, process {pid}, paused")?,
            NodeState::Down => write!(f, "node {id}: {address}, down")?,
        }
        write!(f, ", log {}", log.display())
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command, Stdio};
    use std::thread;
    use std::time::{Duration, Instant};

    use super::*;

    fn node(pid: u32, id: i32) -> Node {
        let layout = Layout::new(Path::new("up"), id, 9091, Version::default());
        Node { pid, layout }
    }

    #[test]
    fn a_process_that_is_not_our_node_is_never_taken_for_it() {
        assert_eq!(node(std::process::id(), 1).state(), NodeState::Down);
    }

    #[test]
    fn a_node_is_known_by_its_command_line_and_may_be_paused() {
        let properties = node(0, 1).layout.properties();
        let child = Command::new("sh")
            .args(["-c", "read -r _"])
            .arg(properties)
            .stdin(Stdio::piped())
            .spawn();
        let mut child = Killed(child.unwrap());
        let node = node(child.0.id(), 1);
        wait_for(&node, NodeState::Running);

        node.signal(Signal::STOP).unwrap();
        wait_for(&node, NodeState::Paused);

        child.0.kill().unwrap();
        child.0.wait().unwrap();
        assert_eq!(node.state(), NodeState::Down);
    }

    /// A child that is not left over when a test fails.
    struct Killed(Child);

    impl Drop for Killed {
        fn drop(&mut self) {
            self.0.kill().unwrap();
        }
    }

    fn wait_for(node: &Node, state: NodeState) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while node.state() != state {
            assert!(Instant::now() < deadline, "{:?}", node.state());
            thread::yield_now();
        }
    }

    #[test]
    fn what_is_up_is_read_as_it_was_written() {
        let up = Up {
            version: Version::new("3.7.2").unwrap(),
            size: 3,
            nodes: vec![node(12, 1), node(13, 2)],
        };
        let read = Up::parse(&up.to_text(), Path::new("up")).unwrap();
        assert_eq!(read.to_text(), up.to_text());
        let folder = &read.nodes[1].layout.folder;
        assert_eq!(folder, Path::new("up/kafka-3.7.2-nodes-3/node2"));
    }

    #[test]
    fn a_damaged_state_is_recognised() {
        for damaged in [
            "",
            "4.4.0 1",
            "4.4.0\n1 9092 12",
            "4.4.0 1\n1 9092",
            "4.4.0 1\none 9092 12",
            "../up 1\n1 9092 12",
        ] {
            assert!(Up::parse(damaged, Path::new("up")).is_none(), "{damaged:?}");
        }
    }
}
