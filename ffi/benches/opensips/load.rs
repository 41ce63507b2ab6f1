//! 18 SIP workers under a load that waits for nobody, while the broker is killed and started again
//! twice. With the module every request publishes a message with a report route and raises an event;
//! without it, the script is the same but for these calls.
//!
//! In production neither the clients nor the broker share the machine with OpenSIPS. So the broker
//! runs at a lower priority (a Java machine that starts takes all processors there are), and what
//! sends requests and reads their answers at a higher one, where that is permitted.

use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::unistd::Pid;

use crate::accounts::{Accounts, Found};
use crate::generator::{self, Answers};
use crate::server::{Server, Setup};
use crate::support::{self, Needs, PrivateCluster};
use crate::tree::Tree;
use crate::usage::{cpu, cpu_of};

/// Requests in a second, if the machine can.
pub(crate) const MOST: u32 = 16_000;
/// Seconds in which two kills have room.
pub(crate) const SHORTEST: u32 = 10;
const RECEIVERS: u32 = 18;
/// How long the broker is away before it is started again.
const OUTAGE: Duration = Duration::from_secs(2);
/// Room for what comes until the broker is back, for each socket.
const QUEUE: u32 = 1_000_000;

const BROKER_NICENESS: i32 = 5;
const CLIENT_NICENESS: i32 = -10;

/// What was seen of one run.
struct Run {
    answers: Answers,
    /// From each kill until the broker could be worked with.
    outages: Vec<Duration>,
    /// CPU time of the processes but the Kafka worker.
    sip: Duration,
    kafka: Option<Duration>,
    accounts: Option<Accounts>,
}

/// A failure unless every promise was kept. That latencies are compared with their limit is for who
/// reads it: it says as much of the machine.
pub(crate) fn measure(tree: &Tree, rate: Option<u32>, rounds: u32, seconds: u32) -> ExitCode {
    // What is started from here on inherits it; so OpenSIPS is started from another thread.
    set_priority(BROKER_NICENESS);
    let Some(mut cluster) = support::private_cluster(Needs::ANY) else {
        return ExitCode::SUCCESS;
    };
    let rate = rate.unwrap_or_else(|| highest_rate(tree, &mut cluster));
    println!(
        "\n{rate} requests/s for at least {seconds} s to {RECEIVERS} SIP workers, the broker killed twice; \
         latencies in ms from when a request was due"
    );
    println!(
        "{:<16} {:>8} {:>8} {:>8} {:>8} {:>9}  of {:>8}  CPU µs a request: SIP, Kafka worker",
        "", "p50", "p99", "p99.9", "max", "no answer", "requests"
    );
    let mut is_in_order = true;
    let mut ratios = Vec::new();
    for round in 0..rounds {
        // In turns, as who comes first may find another machine.
        let order = if round % 2 == 0 {
            [false, true]
        } else {
            [true, false]
        };
        let [mut without, mut with] = [None, None];
        for has_module in order {
            let run = run(tree, &mut cluster, has_module, rate, seconds);
            println!("{}", run.row(has_module));
            let p99 = run.answers.within(990).as_secs_f64();
            *(if has_module { &mut with } else { &mut without }) = Some(p99);
            if let Some(accounts) = &run.accounts {
                println!("    {accounts}");
                is_in_order &= accounts.are_in_order();
            }
        }
        ratios.extend(with.zip(without).map(|(with, without)| with / without));
    }
    ratios.sort_by(f64::total_cmp);
    println!(
        "p99 with the module / without: median {:.2}, best {:.2}, worst {:.2}",
        ratios[ratios.len() / 2],
        ratios[0],
        ratios[ratios.len() - 1]
    );
    if is_in_order {
        return ExitCode::SUCCESS;
    }
    eprintln!("a promise was broken");
    ExitCode::FAILURE
}

/// What OpenSIPS answers without the module, all of it and soon, though the broker is killed.
fn highest_rate(tree: &Tree, cluster: &mut PrivateCluster) -> u32 {
    const SOON: Duration = Duration::from_millis(100);
    let mut rate = MOST;
    loop {
        let run = run(tree, cluster, false, rate, SHORTEST);
        if run.answers.unanswered() == 0 && run.answers.within(990) < SOON {
            return rate;
        }
        println!("{rate} requests/s are too many for this machine without the module");
        rate = rate / 5 * 4;
    }
}

fn run(
    tree: &Tree,
    cluster: &mut PrivateCluster,
    has_module: bool,
    rate: u32,
    seconds: u32,
) -> Run {
    let topics = Topics::create(cluster);
    let setup = Setup {
        module: has_module.then(|| tree.module()),
        receivers: RECEIVERS,
        ..Setup::usual(tree)
    };
    let script = script(&topics, cluster.bootstrap(), has_module);
    let server = thread::scope(|scope| {
        let start = || {
            set_priority(0);
            Server::start_as(&setup, tree, "load", &script)
        };
        scope.spawn(start).join().unwrap()
    });
    let worker = has_module.then(|| server.worker());
    let others = server.processes().into_iter();
    let others: Vec<_> = others.filter(|pid| Some(*pid) != worker).collect();
    let spent = |others: &[Pid]| (cpu_of(others), worker.map(cpu));
    let before = spent(&others);
    let is_over = AtomicBool::new(false);
    let (answers, outages) = thread::scope(|scope| {
        let answers = scope.spawn(|| {
            set_priority(CLIENT_NICENESS);
            generator::run(server.address(), rate, &is_over)
        });
        let outages = disturb(cluster, Duration::from_secs(seconds.into()));
        is_over.store(true, Ordering::Relaxed);
        (answers.join().unwrap(), outages)
    });
    let accepted = answers.all().iter().flatten();
    let accepted = accepted.filter(|answer| answer.is_published).count();
    if has_module {
        topics.wait_for(cluster, accepted);
    }
    let after = spent(&others);
    server.end();
    let accounts = has_module.then(|| Accounts::draw_up(&answers, &topics.read(cluster)));
    topics.delete(cluster);
    Run {
        answers,
        outages,
        sip: after.0 - before.0,
        kafka: after.1.zip(before.1).map(|(after, before)| after - before),
        accounts,
    }
}

/// That of the calling thread, and of what it starts; lower than it is only where that is permitted.
fn set_priority(niceness: i32) {
    if rustix::process::setpriority_process(None, niceness).is_err() {
        println!(
            "a niceness of {niceness} is not permitted: latencies have that of others in them"
        );
    }
}

/// Kills the broker twice, in so long, or longer if it takes long to start; how long it was away each
/// time.
fn disturb(cluster: &mut PrivateCluster, at_least: Duration) -> Vec<Duration> {
    const NODE: i32 = 1;
    /// Before it is killed again, and at the end.
    const CALM: Duration = Duration::from_secs(2);
    let start = Instant::now();
    let wait_until = |due: Instant| thread::sleep(due.saturating_duration_since(Instant::now()));
    let outages = [at_least / 5, at_least * 3 / 5].map(|due| {
        wait_until(start + due);
        let killed = Instant::now();
        cluster.kill(NODE);
        thread::sleep(OUTAGE);
        cluster.restart(NODE);
        let outage = killed.elapsed();
        thread::sleep(CALM);
        outage
    });
    wait_until(start + at_least);
    outages.to_vec()
}

fn script(topics: &Topics, brokers: &str, has_module: bool) -> String {
    let Topics {
        published,
        raised,
        reports,
    } = topics;
    let properties =
        format!("g.enable.idempotence=true&g.queue.buffering.max.messages={QUEUE}&g.linger.ms=5");
    let (params, calls) = match has_module {
        true => (
            format!(
                r#"
modparam("event_kafka", "broker_id", "[k1]{brokers}/{published}?{properties}")
modparam("event_kafka", "broker_id", "[reports]{brokers}/{reports}?{properties}")
startup_route {{ subscribe_event("E_LOAD", "kafka:{brokers}/{raised}?{properties}"); }}
route[report] {{
    kafka_publish("reports", "$avp(kafka_status) $avp(kafka_partition) $avp(kafka_offset) $avp(kafka_msg)");
}}
"#
            ),
            r#"
    if (!kafka_publish("k1", $rb, $ci, "report")) $var(published) = 0;
    if (!raise_event("E_LOAD", $avp(n), $avp(v))) $var(raised) = 0;
"#,
        ),
        false => (String::new(), ""),
    };
    format!(
        r#"
maxbuffer=4194304
{params}
route {{
    if ($rU == "ready") {{ sl_send_reply(200, "OK"); exit; }}
    $var(published) = 1; $var(raised) = 1;
    $avp(n) = "n"; $avp(v) = $rb;
{calls}
    sl_send_reply(200, "$var(published)$var(raised)");
}}
"#
    )
}

/// Those of one run.
struct Topics {
    published: String,
    raised: String,
    reports: String,
}

impl Topics {
    fn create(cluster: &PrivateCluster) -> Self {
        let create = |name: &str| {
            let topic = support::unique_name(name);
            cluster.create_topic(&topic, 4);
            topic
        };
        Self {
            published: create("published"),
            raised: create("raised"),
            reports: create("reports"),
        }
    }

    /// Waits until what was accepted is there with its reports.
    fn wait_for(&self, cluster: &PrivateCluster, accepted: usize) {
        for topic in [&self.published, &self.raised, &self.reports] {
            support::eventually("what was accepted is in the log", || {
                let held: i64 = cluster.end_offsets(topic).values().sum();
                (held as usize >= accepted).then_some(())
            });
        }
    }

    fn read(&self, cluster: &PrivateCluster) -> Found {
        Found {
            published: cluster.read_all(&self.published),
            raised: cluster.read_all(&self.raised),
            reports: cluster.read_all(&self.reports),
        }
    }

    fn delete(&self, cluster: &PrivateCluster) {
        for topic in [&self.published, &self.raised, &self.reports] {
            cluster.delete_topic(topic);
        }
    }
}

impl Run {
    fn row(&self, has_module: bool) -> String {
        let answers = &self.answers;
        let ms = |latency: Duration| latency.as_secs_f64() * 1000.0;
        let each = |spent: Duration| {
            let requests = answers.answered().max(1);
            spent.as_secs_f64() * 1e6 / requests as f64
        };
        let outages = self.outages.iter();
        let outages: Vec<_> = outages
            .map(|outage| format!("{:.1} s", outage.as_secs_f64()))
            .collect();
        format!(
            "{:<16} {:8.2} {:8.2} {:8.2} {:8.2} {:9}  of {:>8}  {:.1}, {:.1}; away for {}; sent up to {:.1} ms late",
            if has_module {
                "with the module"
            } else {
                "without"
            },
            ms(answers.within(500)),
            ms(answers.within(990)),
            ms(answers.within(999)),
            ms(answers.within(1000)),
            answers.unanswered(),
            answers.all().len(),
            each(self.sip),
            self.kafka.map_or(0.0, each),
            outages.join(" and "),
            ms(answers.latest),
        )
    }
}
