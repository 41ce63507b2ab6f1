//! What the operating system counts for another process.

use std::fs;
use std::time::Duration;

use nix::sys::time::TimeValLike;
use nix::time::{clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;

/// What a process has used since it was started, all its living threads together.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    pub(crate) cpu: Duration,
    /// How often a thread went to sleep by itself.
    pub(crate) switches: u64,
}

impl Usage {
    pub(crate) fn of(process: Pid) -> Self {
        Self {
            cpu: cpu(process),
            switches: switches(process),
        }
    }

    pub(crate) fn since(self, before: Self) -> Self {
        Self {
            cpu: self.cpu.saturating_sub(before.cpu),
            switches: self.switches.saturating_sub(before.switches),
        }
    }
}

/// The most memory that was ever resident, in bytes.
pub(crate) fn peak_memory(process: Pid) -> u64 {
    let status = read(&format!("/proc/{process}/status"));
    1024 * field(&status, "VmHWM:")
}

/// To the nanosecond; `/proc/PID/stat` has steps of 10 ms.
fn cpu(process: Pid) -> Duration {
    let clock = clock_getcpuclockid(process).expect("the process is alive");
    let time = clock_gettime(clock).expect("the process is alive");
    Duration::from_nanos(u64::try_from(time.num_nanoseconds()).expect("CPU time is positive"))
}

fn switches(process: Pid) -> u64 {
    let tasks = fs::read_dir(format!("/proc/{process}/task")).expect("the process is alive");
    let of_task = |task: fs::DirEntry| {
        // A thread may end between the listing and the reading.
        let status = fs::read_to_string(task.path().join("status")).unwrap_or_default();
        field(&status, "voluntary_ctxt_switches:")
    };
    tasks.flatten().map(of_task).sum()
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("cannot read {path}: {error}"))
}

/// The number behind a label at the start of a line; 0 without one.
fn field(status: &str, label: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(label));
    let number = line.and_then(|line| line.split_whitespace().next());
    number.and_then(|number| number.parse().ok()).unwrap_or(0)
}
