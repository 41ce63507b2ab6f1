//! SIP at a steady rate, how long each request took, and what becomes of memory meanwhile.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use kafka_mock::Cluster;
use nix::unistd::Pid;

use crate::server::Server;
use crate::sip::Client;

/// Requests at a rate, one after the other. Each has to be answered.
pub(crate) struct Load<'a> {
    client: Client,
    rate: u32,
    /// The user and the body of the request with this number.
    request: &'a dyn Fn(u64) -> (String, Vec<u8>),
    sent: u64,
}

impl<'a> Load<'a> {
    pub(crate) fn new(
        server: &Server,
        rate: u32,
        request: &'a dyn Fn(u64) -> (String, Vec<u8>),
    ) -> Self {
        let client = server.client();
        Self {
            client,
            rate,
            request,
            sent: 0,
        }
    }

    /// Sends for so long.
    pub(crate) fn run(&mut self, duration: Duration) -> Latencies {
        let period = Duration::from_secs(1) / self.rate;
        let start = Instant::now();
        let mut latencies = Latencies::default();
        let mut due = start;
        while due - start < duration {
            thread::sleep(due.saturating_duration_since(Instant::now()));
            let (user, body) = (self.request)(self.sent);
            self.client.request(&user, &body);
            self.sent += 1;
            // From when it was due: what holds up one request is seen in those behind it, too.
            latencies.0.push(due.elapsed());
            due += period;
        }
        latencies
    }

    /// How many requests were sent, and so answered, in all.
    pub(crate) fn sent(&self) -> u64 {
        self.sent
    }
}

/// How long requests took.
#[derive(Default)]
pub(crate) struct Latencies(Vec<Duration>);

impl fmt::Display for Latencies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut sorted = self.0.clone();
        sorted.sort();
        let at = |share: f64| sorted[((sorted.len() - 1) as f64 * share) as usize];
        write!(
            f,
            "{} requests, half within {:.2?}, 99 % within {:.2?}, all within {:.2?}",
            sorted.len(),
            at(0.5),
            at(0.99),
            at(1.0)
        )
    }
}

/// What a running OpenSIPS holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    /// Shared memory of `-m` in use, in bytes.
    pub(crate) shm: u64,
    /// Memory of the worker that is its own, and that it shares, in bytes.
    pub(crate) own: u64,
    pub(crate) shared: u64,
    pub(crate) threads: usize,
    pub(crate) descriptors: usize,
}

impl Held {
    pub(crate) fn by(server: &Server, worker: Pid) -> Self {
        Self {
            shm: server.statistic("real_used_size"),
            own: Server::memory_of(worker, "RssAnon"),
            shared: Server::memory_of(worker, "RssShmem"),
            threads: Server::threads_of(worker),
            descriptors: Server::descriptors_of(worker),
        }
    }
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        write!(
            f,
            "shm {} bytes ({:.2} MiB); worker {:.1} MiB of its own, {:.1} MiB of lanes and reports, \
             {} threads, {} descriptors",
            self.shm,
            mib(self.shm),
            mib(self.own),
            mib(self.shared),
            self.threads,
            self.descriptors
        )
    }
}

/// Prints lines, if somebody wants to be told.
pub(crate) fn say_if(is_told: bool) -> impl Fn(String) + Sync {
    move |line| {
        if is_told {
            println!("{line}");
        }
    }
}

/// Does something and looks meanwhile, again and again after a pause, what is held, and says so. What
/// was held at most, and what came of it.
pub(crate) fn watched<R>(
    server: &Server,
    worker: Pid,
    pause: Duration,
    say: &(dyn Fn(&str) + Sync),
    what: impl FnOnce() -> R,
) -> (Held, R) {
    let is_over = AtomicBool::new(false);
    let start = Instant::now();
    let watch = || {
        let mut most = Held::by(server, worker);
        let mut next = start + pause;
        while !is_over.load(Ordering::Relaxed) {
            // How soon it is seen that all is over; it looks at memory less often.
            thread::sleep(Duration::from_millis(20));
            if Instant::now() < next {
                continue;
            }
            next += pause;
            let held = Held::by(server, worker);
            say(&format!("{:6} s: {held}", start.elapsed().as_secs()));
            most = most.or_more(held);
        }
        most.or_more(Held::by(server, worker))
    };
    thread::scope(|scope| {
        let watching = scope.spawn(watch);
        let result = what();
        is_over.store(true, Ordering::Relaxed);
        (watching.join().unwrap(), result)
    })
}

impl Held {
    fn or_more(self, other: Self) -> Self {
        Self {
            shm: self.shm.max(other.shm),
            own: self.own.max(other.own),
            shared: self.shared.max(other.shared),
            threads: self.threads.max(other.threads),
            descriptors: self.descriptors.max(other.descriptors),
        }
    }
}

/// How many records a topic has got, whether they are still kept or not.
pub(crate) fn stored(cluster: &Cluster, topic: &str) -> u64 {
    let topics = cluster.topics();
    let topic = topics.iter().find(|summary| summary.name == topic).unwrap();
    let ends = topic
        .partitions
        .iter()
        .map(|partition| partition.end_offset);
    ends.sum::<i64>() as u64
}
