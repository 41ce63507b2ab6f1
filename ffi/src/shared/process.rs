//! Which process somebody is, and whether it lives.

use std::fs;
use std::os::fd::{AsFd, FromRawFd, OwnedFd};

use nix::errno::Errno;
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::kill;
use nix::unistd::{Pid, getpid};

/// A process, by its number and the time of its start, because numbers are used again. 0 is none.
///
/// Where there is no /proc (after a chroot, say) the time is unknown: then another process that
/// has got the number of a dead one keeps its things from being given back as long as it lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Process(u64);

/// Linux numbers no process higher than 2^22.
const PID_BITS: u32 = 24;

impl Process {
    pub(crate) fn this() -> Self {
        let pid = getpid();
        Self::new(pid, started(pid).unwrap_or(0))
    }

    /// A process that never was.
    #[cfg(test)]
    pub(super) fn nobody() -> Self {
        // No number is so high.
        Self::new(Pid::from_raw((1 << PID_BITS) - 1), 0)
    }

    fn new(pid: Pid, started: u64) -> Self {
        Self(started << PID_BITS | pid.as_raw() as u64)
    }

    pub(super) fn from_word(word: u64) -> Option<Self> {
        (word != 0).then_some(Self(word))
    }

    pub(super) fn word(self) -> u64 {
        self.0
    }

    pub(crate) fn pid(self) -> Pid {
        Pid::from_raw((self.0 & ((1 << PID_BITS) - 1)) as i32)
    }

    fn started(self) -> u64 {
        self.0 >> PID_BITS
    }

    /// A descriptor that is readable once it is dead; `None` if it is dead already.
    pub(super) fn watch(self) -> Result<Option<OwnedFd>, Errno> {
        // SAFETY: two numbers go in, a new descriptor or -1 comes out.
        let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, self.pid().as_raw(), 0) };
        match Errno::result(fd) {
            Ok(fd) => {
                // SAFETY: the descriptor is new, and so nobody else's.
                let fd = unsafe { OwnedFd::from_raw_fd(fd as i32) };
                Ok(self.has_its_number().then_some(fd))
            }
            Err(Errno::ESRCH) => Ok(None),
            Err(errno) => Err(errno),
        }
    }

    /// A zombie is dead.
    pub(super) fn is_alive(self) -> bool {
        match self.watch() {
            Ok(None) => false,
            Ok(Some(fd)) => {
                let mut ended = [PollFd::new(fd.as_fd(), PollFlags::POLLIN)];
                poll(&mut ended, PollTimeout::ZERO) == Ok(0)
            }
            // Linux before 5.3, or no descriptor left.
            Err(_) => kill(self.pid(), None) != Err(Errno::ESRCH) && self.has_its_number(),
        }
    }

    /// Whether it is this process that has its number, as far as can be told.
    fn has_its_number(self) -> bool {
        let present = started(self.pid()).filter(|_| self.started() != 0);
        present.is_none_or(|present| present == self.started())
    }
}

/// When a process started, in ticks since the boot.
fn started(pid: Pid) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name of the program, in parentheses, may contain anything.
    let (_, fields) = stat.rsplit_once(')')?;
    const STARTED: usize = 22 - 3;
    fields.split_whitespace().nth(STARTED)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_process_lives_until_it_ends_though_nobody_has_waited_for_it() {
        let mut child = Command::new("cat")
            .stdin(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let pid = Pid::from_raw(child.id() as i32);
        let process = Process::new(pid, started(pid).unwrap());
        assert!(process.is_alive());
        let watch = process.watch().unwrap().unwrap();
        drop(child.stdin.take());
        let mut ended = [PollFd::new(watch.as_fd(), PollFlags::POLLIN)];
        assert_eq!(poll(&mut ended, PollTimeout::NONE), Ok(1));
        assert!(!process.is_alive());
        child.wait().unwrap();
        assert!(!process.is_alive());
        assert!(process.watch().unwrap().is_none());
    }

    #[test]
    fn another_process_with_its_number_is_not_taken_for_it() {
        let this = Process::this();
        assert!(this.is_alive());
        let before = Process::new(this.pid(), this.started() - 1);
        assert!(!before.is_alive());
        let unknown = Process::new(this.pid(), 0);
        assert!(unknown.is_alive());
    }
}
