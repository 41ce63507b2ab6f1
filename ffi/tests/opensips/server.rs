//! A running OpenSIPS.

use std::env;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::sys::stat::Mode;
use nix::unistd::{Pid, mkfifo};

use crate::c::scratch;
use crate::sip::Client;
use crate::tree::Tree;

pub(crate) struct Server {
    process: Child,
    address: SocketAddr,
    folder: PathBuf,
    /// All who ask are answered by the same pipe.
    asking: Mutex<()>,
}

/// What OpenSIPS is started with, besides a script.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    /// The module `event_kafka`, if there is to be one.
    pub(crate) module: Option<PathBuf>,
    /// The core's shared memory, in MB.
    pub(crate) shared_memory: u32,
    /// Processes that receive SIP.
    pub(crate) receivers: u32,
}

const PATIENCE: Duration = Duration::from_secs(30);

impl Server {
    /// Starts it with a script (`modparam`s and routes), and waits until it answers.
    pub(crate) fn start(tree: &Tree, name: &str, script: &str) -> Self {
        Self::start_as(&Setup::usual(tree), tree, name, script)
    }

    pub(crate) fn start_as(setup: &Setup, tree: &Tree, name: &str, script: &str) -> Self {
        let mut server = Self::spawn_with(setup, tree, name, script, "-F");
        let is_there = server.client().find_server();
        assert!(is_there, "{}", server.log());
        assert!(
            server.process.try_wait().unwrap().is_none(),
            "{}",
            server.log()
        );
        server
    }

    /// Starts it with a script that it must refuse; what it said.
    pub(crate) fn refuse(tree: &Tree, name: &str, script: &str) -> String {
        let mut server = Self::spawn_with(&Setup::usual(tree), tree, name, script, "-F");
        let status = server.wait();
        let log = server.log();
        assert!(!status.success(), "{log}");
        log
    }

    /// Has a script looked at without being run (`-C`); whether it was found right.
    pub(crate) fn check(tree: &Tree, name: &str, script: &str) -> bool {
        let setup = Setup::usual(tree);
        let mut process = Self::spawn_with(&setup, tree, name, script, "-C");
        process.wait().success()
    }

    fn spawn_with(setup: &Setup, tree: &Tree, name: &str, script: &str, option: &str) -> Self {
        Self::spawn_configured(setup, tree, name, option, |folder, address| {
            config_of(setup, tree, folder, address, script)
        })
    }

    /// Starts it with a whole configuration, made for a folder and an address, and waits until it
    /// answers.
    pub(crate) fn start_configured(
        tree: &Tree,
        name: &str,
        config: impl FnOnce(&Path, SocketAddr) -> String,
    ) -> Self {
        let server = Self::spawn_configured(&Setup::usual(tree), tree, name, "-F", config);
        assert!(server.client().find_server(), "{}", server.log());
        server
    }

    fn spawn_configured(
        setup: &Setup,
        tree: &Tree,
        name: &str,
        option: &str,
        config_for: impl FnOnce(&Path, SocketAddr) -> String,
    ) -> Self {
        let folder = scratch(&format!("run-{}-{name}", tree.name()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        let address = free_address();
        let config = folder.join("opensips.cfg");
        fs::write(&config, config_for(&folder, address)).unwrap();
        let log = File::create(folder.join("log")).unwrap();
        let options = env::var("OPENSIPS_OPTIONS").unwrap_or_default();
        let process = Command::new(tree.server())
            .args(options.split_whitespace())
            .args([option, "-f"])
            .arg(&config)
            .args(["-m", &setup.shared_memory.to_string(), "-M", "8", "-w"])
            .arg(&folder)
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        Self {
            process,
            address,
            folder,
            asking: Mutex::new(()),
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(self.address)
    }

    pub(crate) fn log(&self) -> String {
        let bytes = fs::read(self.folder.join("log")).unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Waits for a line of the log that has this so many times in all.
    pub(crate) fn wait_for_log(&self, what: &str, times: usize) {
        let deadline = Instant::now() + PATIENCE;
        while self.log().matches(what).count() < times {
            assert!(
                Instant::now() < deadline,
                "{what} is not there {times} times:\n{}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Asks by the management interface; its answer.
    pub(crate) fn manage(&self, method: &str, params: &[&str]) -> String {
        let params: Vec<_> = params.iter().map(|param| format!("{param:?}")).collect();
        self.ask(method, &params.join(","))
    }

    /// Has the routes of another script loaded, in a server of the usual setup.
    pub(crate) fn reload(&self, tree: &Tree, script: &str) {
        let answer = self.try_reload(tree, script);
        assert!(answer.contains("OK"), "{answer}\n{}", self.log());
    }

    /// The same, with the answer.
    pub(crate) fn try_reload(&self, tree: &Tree, script: &str) -> String {
        let setup = Setup::usual(tree);
        let config = config_of(&setup, tree, &self.folder, self.address, script);
        fs::write(self.folder.join("opensips.cfg"), config).unwrap();
        self.manage("reload_routes", &[])
    }

    /// As [`Self::manage`], of a method whose parameter is a list.
    pub(crate) fn manage_list(&self, method: &str, param: &str) -> String {
        self.ask(method, &format!("[{param:?}]"))
    }

    /// A statistic of the core, or of the script.
    pub(crate) fn statistic(&self, name: &str) -> u64 {
        let answer = self.manage_list("get_statistics", name);
        // As `"group:name":number`.
        let number = answer.split_once(&format!("{name}\":")).map(|(_, rest)| {
            let is_end = |character: char| !character.is_ascii_digit();
            rest.trim_start().split(is_end).next().unwrap().parse()
        });
        number.unwrap_or_else(|| panic!("{answer}")).unwrap()
    }

    /// Asks by the management interface; its answer. The parameters are JSON.
    fn ask(&self, method: &str, params: &str) -> String {
        let _one = self.asking.lock().unwrap();
        let reply = self.folder.join("reply");
        if !reply.exists() {
            mkfifo(&reply, Mode::S_IRWXU).unwrap();
        }
        let request = format!(
            ":reply:{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"{method}\",\"params\":[{params}]}}\n"
        );
        let mut fifo = File::options()
            .write(true)
            .open(self.folder.join("fifo"))
            .unwrap();
        fifo.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        File::open(&reply)
            .unwrap()
            .read_to_string(&mut answer)
            .unwrap();
        answer
    }

    /// All that the first process has forked.
    pub(crate) fn processes(&self) -> Vec<Pid> {
        let children = format!("/proc/{0}/task/{0}/children", self.process.id());
        let children = fs::read_to_string(children).unwrap();
        let pids = children.split_whitespace();
        pids.map(|pid| Pid::from_raw(pid.parse().unwrap()))
            .collect()
    }

    /// The Kafka worker.
    pub(crate) fn worker(&self) -> Pid {
        // It alone has threads.
        let mut workers = self.processes().into_iter();
        workers
            .find(|pid| Self::threads_of(*pid) > 1)
            .expect("there is a Kafka worker")
    }

    pub(crate) fn threads_of(pid: Pid) -> usize {
        fs::read_dir(format!("/proc/{pid}/task")).unwrap().count()
    }

    pub(crate) fn descriptors_of(pid: Pid) -> usize {
        fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count()
    }

    /// What `/proc` says of the memory of a process, such as `RssAnon`, in bytes.
    pub(crate) fn memory_of(pid: Pid, what: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let mut lines = status.lines().filter_map(|line| line.split_once(':'));
        let (_, size) = lines.find(|(name, _)| *name == what).unwrap();
        1024 * size.trim().trim_end_matches(" kB").parse::<u64>().unwrap()
    }

    /// Ends it as an operator does; that has to work, and in time.
    pub(crate) fn end(mut self) -> String {
        kill(Pid::from_raw(self.process.id() as i32), Signal::SIGTERM).unwrap();
        let status = self.wait();
        let log = self.log();
        assert!(status.success(), "{status}:\n{log}");
        assert!(!log.contains("CRITICAL"), "{log}");
        log
    }

    /// Waits until it has ended by itself, and not as an operator ends it; what it said.
    pub(crate) fn ended(mut self) -> String {
        let status = self.wait();
        let log = self.log();
        assert!(!status.success(), "{log}");
        log
    }

    fn wait(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.process.try_wait().unwrap() {
                return status;
            }
            assert!(
                Instant::now() < deadline,
                "it does not end:\n{}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.process.try_wait().is_ok_and(|ended| ended.is_none()) {
            let _ = kill(Pid::from_raw(self.process.id() as i32), Signal::SIGTERM);
            let deadline = Instant::now() + Duration::from_secs(10);
            while self.process.try_wait().is_ok_and(|ended| ended.is_none()) {
                if Instant::now() > deadline {
                    let _ = self.process.kill();
                }
                std::thread::sleep(Duration::from_millis(10));
            }
        }
    }
}

fn free_address() -> SocketAddr {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket.local_addr().unwrap()
}

impl Setup {
    pub(crate) fn usual(tree: &Tree) -> Self {
        Self {
            module: Some(tree.module()),
            shared_memory: 64,
            receivers: 2,
        }
    }
}

fn config_of(
    setup: &Setup,
    tree: &Tree,
    folder: &Path,
    address: SocketAddr,
    script: &str,
) -> String {
    let (modules, folder) = (tree.modules().display().to_string(), folder.display());
    let receivers = setup.receivers;
    let module = setup.module.iter();
    let module: String = module
        .map(|path| format!("loadmodule \"{}\"", path.display()))
        .collect();
    format!(
        r#"
log_level=3
stderror_enabled=yes
syslog_enabled=no
udp_workers={receivers}
socket=udp:{address}
mpath="{modules}/"
loadmodule "proto_udp.so"
loadmodule "signaling.so"
loadmodule "sl.so"
loadmodule "tm.so"
loadmodule "sipmsgops.so"
loadmodule "textops.so"
loadmodule "cfgutils.so"
loadmodule "mi_fifo.so"
loadmodule "event_virtual.so"
modparam("mi_fifo", "fifo_name", "{folder}/fifo")
modparam("mi_fifo", "reply_dir", "{folder}/")
{module}
{script}
"#
    )
}
