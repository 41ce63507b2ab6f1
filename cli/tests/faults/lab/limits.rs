//! The producer's time limits in a case, and what follows from them.

use std::time::Duration;

/// Limits of a producer, set by properties or left as they are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    properties: &'static [&'static str],
    /// `reconnect.backoff.ms`
    pub(crate) first_backoff: Duration,
    /// `reconnect.backoff.max.ms`
    pub(crate) longest_backoff: Duration,
    /// `socket.timeout.ms`
    pub(crate) request_timeout: Duration,
    /// `socket.connection.setup.timeout.ms`
    pub(crate) setup_timeout: Duration,
    /// `topic.metadata.propagation.max.ms`
    pub(crate) propagation_max: Duration,
    /// `message.timeout.ms`
    pub(crate) message_timeout: Duration,
    /// `queue.buffering.max.kbytes`
    pub(crate) budget_kib: u64,
}

impl Limits {
    /// So short that requests, attempts to connect and messages time out within a fault that lasts
    /// two seconds, and so long that a busy machine does not make them time out without one.
    pub(crate) const SHORT: Self = Self {
        properties: &[
            "g.reconnect.backoff.ms=50",
            "g.reconnect.backoff.max.ms=400",
            "g.retry.backoff.ms=20",
            "g.retry.backoff.max.ms=200",
            "g.socket.timeout.ms=1000",
            "g.socket.connection.setup.timeout.ms=1000",
            "g.topic.metadata.propagation.max.ms=500",
            "t.request.timeout.ms=1000",
            "t.message.timeout.ms=1500",
        ],
        first_backoff: Duration::from_millis(50),
        longest_backoff: Duration::from_millis(400),
        request_timeout: Duration::from_secs(1),
        setup_timeout: Duration::from_secs(1),
        propagation_max: Duration::from_millis(500),
        message_timeout: Duration::from_millis(1_500),
        budget_kib: 512,
    };

    /// A small queue, and messages that wait for as long as it takes: it becomes full and stays so.
    pub(crate) const PATIENT: Self = Self {
        properties: &[
            "g.reconnect.backoff.ms=50",
            "g.reconnect.backoff.max.ms=400",
            "g.socket.timeout.ms=1000",
            "g.socket.connection.setup.timeout.ms=1000",
        ],
        message_timeout: Duration::from_secs(300),
        propagation_max: Duration::from_secs(30),
        budget_kib: 4096,
        ..Self::SHORT
    };

    /// What librdkafka's users have unless they say something else.
    pub(crate) const LIBRDKAFKAS: Self = Self {
        properties: &[],
        first_backoff: Duration::from_millis(100),
        longest_backoff: Duration::from_secs(10),
        request_timeout: Duration::from_secs(60),
        setup_timeout: Duration::from_secs(30),
        propagation_max: Duration::from_secs(30),
        message_timeout: Duration::from_secs(300),
        budget_kib: 1024,
    };

    /// As the end of a socket. Every message draws its partition anew, so that all partitions have
    /// something to do all the time.
    pub(crate) fn query(&self, acks: i8) -> String {
        let mut query = format!(
            "g.sticky.partitioning.linger.ms=0&g.queue.buffering.max.kbytes={}&t.acks={acks}",
            self.budget_kib
        );
        for property in self.properties {
            query.push('&');
            query.push_str(property);
        }
        query
    }

    pub(crate) fn budget(&self) -> u64 {
        1024 * self.budget_kib
    }

    /// The most attempts to connect to one node within `time`, which is known by two addresses. Each
    /// waits longer than the last one, down to 75 % of what is set; a few more are made for metadata.
    pub(crate) fn most_connections(&self, time: Duration) -> u64 {
        let doublings =
            (self.longest_backoff.as_secs_f64() / self.first_backoff.as_secs_f64()).log2();
        let later = time.as_secs_f64() / self.longest_backoff.mul_f64(0.75).as_secs_f64();
        5 + 2 * (doublings + later + 2.0) as u64
    }
}
