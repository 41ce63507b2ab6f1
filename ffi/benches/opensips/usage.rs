//! What the kernel says of a process.

use std::fs;
use std::time::{Duration, Instant};

use nix::unistd::Pid;

use crate::server::Server;

/// The CPU time of all threads of a process, to the nanosecond while they sleep.
pub(crate) fn cpu(pid: Pid) -> Duration {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let tasks = tasks.map(|task| task.unwrap().path().join("schedstat"));
    // A thread that has ended meanwhile is no longer counted.
    let spent = tasks.filter_map(|path| fs::read_to_string(path).ok());
    let nanos = spent.map(|text| text.split(' ').next().unwrap().parse::<u64>().unwrap());
    Duration::from_nanos(nanos.sum())
}

/// That of some processes together.
pub(crate) fn cpu_of(pids: &[Pid]) -> Duration {
    pids.iter().map(|pid| cpu(*pid)).sum()
}

/// Waits until nobody in OpenSIPS has anything to do any more.
pub(crate) fn settle(server: &Server) {
    const QUIET: Duration = Duration::from_millis(40);
    const LITTLE: Duration = Duration::from_micros(500);
    let deadline = Instant::now() + Duration::from_secs(60);
    let pids = server.processes();
    let mut spent = cpu_of(&pids);
    loop {
        std::thread::sleep(QUIET);
        let now = cpu_of(&pids);
        if now.saturating_sub(spent) < LITTLE {
            return;
        }
        assert!(Instant::now() < deadline, "OpenSIPS does not come to rest");
        spent = now;
    }
}
