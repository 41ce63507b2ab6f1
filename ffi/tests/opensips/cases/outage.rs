//! A cluster that is away while scripts go on publishing to it.

use std::time::{Duration, Instant};

use kafka_mock::Cluster;

use super::load::{Held, Load, say_if, stored, watched};
use crate::server::Server;
use crate::tree::Tree;

/// How it goes.
struct Outage {
    /// The cluster is there, away, and there again for so long.
    before: Duration,
    away: Duration,
    after: Duration,
    /// Requests in a second, each of which publishes a message of 1000 bytes.
    rate: u32,
    /// How many messages its queue holds, and how long they wait there.
    queue: u64,
    timeout: Duration,
    /// How often memory is looked at, and whether the figures are shown as they come.
    pause: Duration,
    is_told: bool,
}

/// The cluster is away for so long that its queue is full and messages expire.
pub(crate) fn short(tree: &Tree) -> Option<String> {
    let seconds = Duration::from_secs;
    Some(go_through(
        tree,
        "outage",
        &Outage {
            before: seconds(1),
            away: seconds(6),
            after: seconds(1),
            rate: 500,
            queue: 1000,
            timeout: seconds(3),
            pause: seconds(2),
            is_told: false,
        },
    ))
}

/// As it is with the defaults, for as many minutes.
pub(crate) fn long(tree: &Tree, minutes: u64) -> String {
    let seconds = Duration::from_secs;
    go_through(
        tree,
        "long-outage",
        &Outage {
            before: seconds(60),
            away: seconds(60 * minutes),
            after: seconds(60),
            rate: 1000,
            queue: 100_000,
            timeout: seconds(300),
            pause: seconds(60),
            is_told: true,
        },
    )
}

const BODY: usize = 1000;

/// One request of ten is for a cluster that is there all the time.
const OTHERS: u64 = 10;

fn go_through(tree: &Tree, name: &str, outage: &Outage) -> String {
    let say = say_if(outage.is_told);
    let [away, alive] = ["calls", "others"].map(|topic| {
        let cluster = Cluster::builder().retain_bytes(1 << 20).start().unwrap();
        cluster.create_topic(topic, 4);
        cluster
    });
    let server = Server::start(tree, name, &script(&away, &alive, outage));
    let request = |number: u64| {
        let user = match number % OTHERS {
            0 => "alive",
            _ => "away",
        };
        (user.to_owned(), vec![b'x'; BODY])
    };
    let mut load = Load::new(&server, outage.rate, &request);
    let warm_up = load.run(Duration::from_millis(500));
    say(format!("{}, to begin with: {warm_up}", tree.name()));
    let worker = server.worker();
    let start = Held::by(&server, worker);
    say(format!("at the start: {start}"));
    let tell = |held: &str| say(format!("{held}; {}", Counts::of(&server)));
    let (most, during) = watched(&server, worker, outage.pause, &tell, || {
        say(format!(
            "SIP before the outage: {}",
            load.run(outage.before)
        ));
        away.stop_node(1).unwrap();
        let during = load.run(outage.away);
        say(format!("SIP during the outage: {during}"));
        away.start_node(1).unwrap();
        say(format!("SIP after the outage: {}", load.run(outage.after)));
        during
    });
    let counts = wait_for_outcomes(&server, outage.timeout);
    let end = Held::by(&server, worker);
    say(format!("at the end: {end}"));
    say(format!("at most: {most}"));
    say(format!("{} requests; {counts}", load.sent()));
    server.end();

    assert_eq!(counts.taken + counts.refused, load.sent());
    assert_eq!(counts.delivered + counts.failed, counts.taken);
    assert!(counts.refused > 0 && counts.failed > 0, "{counts}");
    // What failed may be there as well, and what was sent twice is.
    assert!(stored(&away, "calls") + stored(&alive, "others") >= counts.delivered);
    assert_eq!(stored(&alive, "others"), load.sent().div_ceil(OTHERS));
    let mib = 1 << 20;
    assert!(most.shm < start.shm + mib, "{start}, {most}");
    assert!(end.shm < start.shm + 64 * 1024, "{start}, {end}");
    let queued = outage.queue * (BODY as u64 + 100);
    assert!(most.own < start.own + 64 * mib + 2 * queued, "{most}");
    format!("{counts}; during the outage {during}; at most {most}")
}

fn script(away: &Cluster, alive: &Cluster, outage: &Outage) -> String {
    let (away, alive) = (away.bootstrap(), alive.bootstrap());
    let Outage { queue, timeout, .. } = outage;
    let timeout = timeout.as_millis();
    format!(
        r#"
loadmodule "statistics.so"
modparam("statistics", "variable", "taken")
modparam("statistics", "variable", "refused")
modparam("statistics", "variable", "delivered")
modparam("statistics", "variable", "failed")
modparam("event_kafka", "broker_id", "[away]{away}/calls?g.queue.buffering.max.messages={queue}&t.message.timeout.ms={timeout}")
modparam("event_kafka", "broker_id", "[alive]{alive}/others")
route[report] {{
    if ($avp(kafka_status) == 0) update_stat("delivered", 1);
    else update_stat("failed", 1);
}}
route {{
    if ($rU == "ready") {{ sl_send_reply(200, "OK"); exit; }}
    $var(id) = $rU;
    if (kafka_publish($var(id), $rb, $ci, "report")) update_stat("taken", 1);
    else update_stat("refused", 1);
    sl_send_reply(200, "OK");
}}
"#
    )
}

/// What the script has counted.
#[derive(Clone, Copy)]
struct Counts {
    taken: u64,
    refused: u64,
    delivered: u64,
    failed: u64,
}

impl Counts {
    fn of(server: &Server) -> Self {
        // Outcomes first, so that there are never more than messages.
        let [failed, delivered, refused, taken] =
            ["failed", "delivered", "refused", "taken"].map(|name| server.statistic(name));
        Self {
            taken,
            refused,
            delivered,
            failed,
        }
    }
}

impl std::fmt::Display for Counts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            taken,
            refused,
            delivered,
            failed,
        } = self;
        write!(
            f,
            "{taken} messages taken and {refused} refused, {delivered} delivered and {failed} failed"
        )
    }
}

/// Until every message that was taken has been reported.
fn wait_for_outcomes(server: &Server, timeout: Duration) -> Counts {
    let deadline = Instant::now() + timeout + Duration::from_secs(30);
    loop {
        let counts = Counts::of(server);
        let is_done = counts.delivered + counts.failed >= counts.taken;
        if is_done || Instant::now() > deadline {
            return counts;
        }
        // OpenSIPS counts, and announces nothing.
        std::thread::sleep(Duration::from_millis(50));
    }
}
