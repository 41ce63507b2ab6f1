//! Subscriptions by the management interface that are renewed again and again.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use kafka_mock::Cluster;

use super::load::{Held, Load, say_if, stored, watched};
use crate::server::Server;
use crate::tree::Tree;

/// How it goes.
struct Renewals {
    /// How many sockets each of the events has.
    sockets: u64,
    duration: Duration,
    /// Requests in a second; one of ten raises an event.
    rate: u32,
    /// Renewals in a second.
    renewals: u32,
    /// What a subscription lasts, in seconds. A round of renewals takes less.
    expire: u64,
    /// How often memory is looked at, and whether the figures are shown as they come.
    pause: Duration,
    is_told: bool,
}

/// A hundred subscriptions for some seconds.
pub(crate) fn short(tree: &Tree) -> Option<String> {
    let seconds = Duration::from_secs;
    Some(go_through(
        tree,
        "many-renewals",
        &Renewals {
            sockets: 10,
            duration: seconds(15),
            rate: 100,
            renewals: 50,
            expire: 4,
            pause: seconds(2),
            is_told: false,
        },
    ))
}

/// A thousand of them, for as many minutes.
pub(crate) fn long(tree: &Tree, minutes: u64) -> String {
    let seconds = Duration::from_secs;
    go_through(
        tree,
        "long-renewals",
        &Renewals {
            sockets: 100,
            duration: seconds(60 * minutes),
            rate: 100,
            renewals: 50,
            expire: 30,
            pause: seconds(60),
            is_told: true,
        },
    )
}

const EVENTS: u64 = 10;

/// One socket of ten is renewed in every third round only: it expires, and is subscribed anew.
const LAZY: u64 = 10;

fn go_through(tree: &Tree, name: &str, renewals: &Renewals) -> String {
    let say = say_if(renewals.is_told);
    let cluster = Cluster::builder().retain_bytes(1 << 20).start().unwrap();
    for topic in 0..renewals.sockets {
        cluster.create_topic(&topic_of(topic), 1);
    }
    let server = Server::start(tree, name, &script());
    let raised = AtomicU64::new(0);
    let request = |number: u64| {
        let user = match number % 10 {
            0 => {
                let raised = raised.fetch_add(1, Ordering::Relaxed);
                format!("raise{}", raised % EVENTS)
            }
            _ => "nothing".to_owned(),
        };
        (user, Vec::new())
    };
    let worker = server.worker();
    let nothing = Held::by(&server, worker);
    say(format!("without subscriptions: {nothing}"));
    let round = || Round::new(&cluster, &server, renewals);
    round().all(0);
    let mut load = Load::new(&server, renewals.rate, &request);
    let warm_up = load.run(Duration::from_millis(1100));
    say(format!("{}, to begin with: {warm_up}", tree.name()));
    let start = Held::by(&server, worker);
    say(format!(
        "with {} subscriptions: {start}",
        renewals.sockets * EVENTS
    ));

    let rounds = AtomicU64::new(0);
    let so_far = || {
        let [rounds, raised] = [&rounds, &raised].map(|count| count.load(Ordering::Relaxed));
        format!("{rounds} rounds of renewals, {raised} events")
    };
    let tell = |held: &str| say(format!("{held}; {}", so_far()));
    let is_over = AtomicBool::new(false);
    let (most, latencies) = watched(&server, worker, renewals.pause, &tell, || {
        thread::scope(|scope| {
            let renewing = scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    let number = 1 + rounds.fetch_add(1, Ordering::Relaxed);
                    round().all(number);
                }
            });
            let latencies = load.run(renewals.duration);
            is_over.store(true, Ordering::Relaxed);
            renewing.join().unwrap();
            latencies
        })
    });
    say(format!("SIP: {latencies}"));
    let end = Held::by(&server, worker);
    say(format!("at the end: {end}"));
    say(format!("at most: {most}"));

    // All expire; the core looks when an event is raised.
    let gone = renewals.expire + 2;
    thread::sleep(Duration::from_secs(gone));
    let raised = raised.load(Ordering::Relaxed);
    let mut client = server.client();
    for event in 0..EVENTS {
        client.request(&format!("raise{event}"), b"");
    }
    let left = Held::by(&server, worker);
    say(format!("after they have expired: {left}"));
    server.end();

    let eager = renewals.sockets - renewals.sockets / LAZY;
    for topic in 0..renewals.sockets {
        let records = stored(&cluster, &topic_of(topic));
        match topic < eager {
            true => assert_eq!(records, raised, "once each in {}", topic_of(topic)),
            false => assert!(records <= raised && records > 0, "{records} of {raised}"),
        }
    }
    let mib = 1 << 20;
    assert_eq!(end.threads, start.threads, "{start}, {end}");
    assert_eq!(most.descriptors, start.descriptors, "{start}, {most}");
    assert!(most.shm < start.shm + 64 * 1024, "{start}, {most}");
    assert!(left.shm < nothing.shm + 64 * 1024, "{nothing}, {left}");
    assert!(most.own < start.own + 32 * mib, "{start}, {most}");
    format!("{}; {latencies}; at most {most}", so_far())
}

fn script() -> String {
    let cases: String = (0..EVENTS)
        .map(|event| format!("case \"raise{event}\": raise_event(\"E_{event}\"); break;\n"))
        .collect();
    format!(
        r#"
modparam("event_kafka", "sockets", 2048)
route {{
    switch ($rU) {{
    {cases}
    }}
    sl_send_reply(200, "OK");
}}
"#
    )
}

fn topic_of(socket: u64) -> String {
    format!("t{socket}")
}

/// Renews all subscriptions.
struct Round<'a> {
    brokers: String,
    server: &'a Server,
    renewals: &'a Renewals,
}

impl<'a> Round<'a> {
    fn new(cluster: &Cluster, server: &'a Server, renewals: &'a Renewals) -> Self {
        Self {
            brokers: cluster.bootstrap(),
            server,
            renewals,
        }
    }

    /// In round 0, as fast as it goes.
    fn all(&self, number: u64) {
        let pause = match number {
            0 => Duration::ZERO,
            _ => Duration::from_secs(1) / self.renewals.renewals,
        };
        let mut due = Instant::now();
        for socket in 0..self.renewals.sockets {
            let is_lazy = socket >= self.renewals.sockets - self.renewals.sockets / LAZY;
            for event in 0..EVENTS {
                if !is_lazy || number.is_multiple_of(3) {
                    self.renew(event, socket, number);
                }
                due += pause;
                thread::sleep(due.saturating_duration_since(Instant::now()));
            }
        }
    }

    /// In every other round, the socket is written another way.
    fn renew(&self, event: u64, socket: u64, number: u64) {
        let (brokers, topic) = (&self.brokers, topic_of(socket));
        let socket = match number % 2 {
            0 => format!("kafka:{brokers}/{topic}?g.linger.ms=5&header.event={event}"),
            _ => format!("kafka:{brokers}/{topic}?header.event={event}&g.queue.buffering.max.ms=5"),
        };
        let expire = self.renewals.expire.to_string();
        let event = format!("E_{event}");
        let answer = self
            .server
            .manage("event_subscribe", &[&event, &socket, &expire]);
        assert!(answer.contains("OK"), "{answer}");
    }
}
