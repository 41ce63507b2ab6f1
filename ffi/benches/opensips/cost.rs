//! What single calls cost, ours beside those of OpenSIPS' own module.
//!
//! A request has the one SIP worker repeat a call in a loop of the script. What it costs is the CPU
//! time of that process, by the kernel's account, without that of the same loop without the call. So
//! others who use the machine disturb it least; by the clock it takes as long where a processor is
//! free.

use std::collections::BTreeMap;
use std::env;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::unistd::Pid;
use xtask::kafka;

use crate::null;
use crate::server::{Server, Setup};
use crate::sip::Client;
use crate::support::{self, Needs, PrivateCluster};
use crate::tree::Tree;
use crate::usage::{cpu, cpu_of, settle};

/// So many calls in a row: more than 8,192 end OpenSIPS with its own module.
const CALLS: u32 = 4000;
/// In each turn of the loop, whose own arithmetic allocates memory and so costs more than a call.
const IN_A_ROW: usize = 20;
/// How often, in each round.
const SAMPLES: u32 = 20;
/// For what is counted until it is delivered.
const BURST: u32 = 2000;
/// Their bytes.
const MESSAGE: usize = 200;
/// Names a file `event_kafka.so` of OpenSIPS' own, built in the same tree.
const UPSTREAM: &str = "EVENT_KAFKA_UPSTREAM_MODULE";

/// A module.
#[derive(Debug)]
struct Candidate {
    name: &'static str,
    module: PathBuf,
    is_ours: bool,
}

/// Nanoseconds of all rounds, by what was called.
type Samples = BTreeMap<&'static str, Vec<f64>>;

pub(crate) fn measure(tree: &Tree, rounds: u32) {
    let Some(cluster) = support::private_cluster(Needs::ANY) else {
        return;
    };
    let null = null::build(tree);
    let candidates = candidates(tree);
    let bench = Bench {
        tree,
        cluster: &cluster,
        null,
    };
    let mut samples: Vec<Samples> = candidates.iter().map(|_| Samples::new()).collect();
    for _ in 0..rounds {
        for (candidate, samples) in candidates.iter().zip(&mut samples) {
            bench.sample_calls(candidate, samples);
            bench.sample_reports(candidate, samples);
        }
    }
    println!("\nCPU time of one call, in µs: the median of {rounds} rounds (the best)");
    for (candidate, samples) in candidates.iter().zip(&samples) {
        print_calls(candidate, samples);
    }
    println!("\nmessages of {MESSAGE} bytes from one SIP worker, until the last is in the log");
    for candidate in &candidates {
        bench.print_sustained(candidate);
    }
    drop(cluster);
    println!("\nwhat a cluster of three nodes takes in the Kafka worker");
    for candidate in &candidates {
        print_resources(tree, candidate);
    }
}

fn candidates(tree: &Tree) -> Vec<Candidate> {
    let ours = Candidate {
        name: "ours",
        module: tree.module(),
        is_ours: true,
    };
    let Some(module) = env::var_os(UPSTREAM).map(PathBuf::from) else {
        println!("OpenSIPS' own module is not run: {UPSTREAM} names none");
        return vec![ours];
    };
    let upstream = Candidate {
        name: "upstream",
        module,
        is_ours: false,
    };
    vec![ours, upstream]
}

struct Bench<'a> {
    tree: &'a Tree,
    cluster: &'a PrivateCluster,
    /// The transport that does nothing.
    null: PathBuf,
}

impl Bench<'_> {
    fn sample_calls(&self, candidate: &Candidate, samples: &mut Samples) {
        const KINDS: [&str; 5] = ["loop", "publish", "unheard", "null", "kafka"];
        let topic = self.new_topic();
        let running = self.start(candidate, &topic, "");
        for _ in 0..SAMPLES {
            for kind in KINDS {
                settle(&running.server);
                let before = cpu(running.receiver);
                running.client().request(kind, CALLS.to_string().as_bytes());
                let spent = cpu(running.receiver) - before;
                let spent = spent.as_nanos() as f64 / f64::from(CALLS);
                samples.entry(kind).or_default().push(spent);
            }
        }
        running.end();
        self.cluster.delete_topic(&topic);
    }

    /// What reports cost both sides.
    fn sample_reports(&self, candidate: &Candidate, samples: &mut Samples) {
        const MESSAGES: u32 = 20 * BURST;
        let topic = self.new_topic();
        let running = self.start(candidate, &topic, "");
        let worker = running.server.worker();
        let others = running.server.processes().into_iter();
        let others: Vec<_> = others.filter(|pid| *pid != worker).collect();
        let kinds = [
            ("publish", "unreported: SIP", "unreported: worker"),
            ("reported", "reported: SIP", "reported: worker"),
        ];
        for (kind, sip, kafka) in kinds {
            settle(&running.server);
            let before = (cpu_of(&others), cpu(worker));
            for _ in 0..MESSAGES / BURST {
                running.client().request(kind, BURST.to_string().as_bytes());
                // What is in its pipe then, OpenSIPS' own module survives.
                std::thread::sleep(Duration::from_millis(20));
            }
            settle(&running.server);
            let spent = [
                (sip, cpu_of(&others) - before.0),
                (kafka, cpu(worker) - before.1),
            ];
            for (name, spent) in spent {
                let spent = spent.as_nanos() as f64 / f64::from(MESSAGES);
                samples.entry(name).or_default().push(spent);
            }
        }
        let reports: u32 = running.client().request("reports", b"").parse().unwrap();
        assert_eq!(reports, MESSAGES, "each has its report");
        running.end();
        self.cluster.delete_topic(&topic);
    }

    fn print_sustained(&self, candidate: &Candidate) {
        if candidate.is_ours {
            // Where there is no room, the script waits: none is refused.
            let wait = "modparam(\"event_kafka\", \"full_wait\", 10000)";
            let rates: Vec<_> = (0..3)
                .map(|_| self.sustained(candidate, wait, 2_000_000, None).unwrap())
                .collect();
            let told = rates.iter().map(|rate| format!("{rate:.0}/s"));
            println!(
                "{:<9} {}",
                candidate.name,
                told.collect::<Vec<_>>().join(", ")
            );
            return;
        }
        // It takes what it is given, until it ends OpenSIPS.
        for rate in [65_000, 100_000, 150_000, 225_000, 340_000, 500_000] {
            match self.sustained(candidate, "", 3 * rate, Some(rate)) {
                Some(delivered) => println!(
                    "{:<9} {rate}/s offered: {delivered:.0}/s delivered",
                    candidate.name
                ),
                None => {
                    println!("{:<9} {rate}/s offered: OpenSIPS ended", candidate.name);
                    return;
                }
            }
        }
    }

    /// Messages in a second, from the first until the last is in the log; `None` if OpenSIPS did not
    /// survive them. Without a rate, each burst follows the one before.
    fn sustained(
        &self,
        candidate: &Candidate,
        modparams: &str,
        count: u32,
        rate: Option<u32>,
    ) -> Option<f64> {
        let topic = self.new_topic();
        let running = self.start(candidate, &topic, modparams);
        let first = self.end_offset(&topic);
        let mut client = running.client();
        let burst = if rate.is_some() { BURST } else { 10 * BURST };
        let start = Instant::now();
        let mut refused = 0;
        for sent in 0..count / burst {
            if let Some(rate) = rate {
                let due = start + Duration::from_secs(1) * (sent * burst) / rate;
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
            }
            let answer = client.ask("MESSAGE", "counted", burst.to_string().as_bytes())?;
            refused += answer.parse::<u32>().unwrap();
        }
        assert_eq!(refused, 0);
        let taken = i64::from(count / burst * burst);
        support::eventually("all are in the log", || {
            (self.end_offset(&topic) >= first + taken).then_some(())
        });
        let spent = start.elapsed().as_secs_f64();
        running.end();
        self.cluster.delete_topic(&topic);
        Some(taken as f64 / spent)
    }

    fn new_topic(&self) -> String {
        let topic = support::unique_name("cost");
        self.cluster.create_topic(&topic, 4);
        topic
    }

    fn end_offset(&self, topic: &str) -> i64 {
        self.cluster.end_offsets(topic).values().sum()
    }

    fn start(&self, candidate: &Candidate, topic: &str, modparams: &str) -> Running {
        let brokers = self.cluster.bootstrap();
        let subscriptions = format!(
            "subscribe_event(\"E_KAFKA\", \"kafka:{brokers}/{topic}\");\n\
             subscribe_event(\"E_NULL\", \"null:\");"
        );
        let head = format!(
            "loadmodule \"{}\"\n{modparams}\n\
             modparam(\"event_kafka\", \"broker_id\", \"[k1]{brokers}/{topic}\")",
            self.null.display(),
        );
        Running::start(self.tree, candidate, &head, &subscriptions)
    }
}

/// OpenSIPS with a module, and one process for SIP.
struct Running {
    server: Server,
    /// That process.
    receiver: Pid,
}

impl Running {
    fn start(tree: &Tree, candidate: &Candidate, head: &str, subscriptions: &str) -> Self {
        let message = "m".repeat(MESSAGE);
        let repeat = |call: &str| {
            let calls = format!("{call} ").repeat(IN_A_ROW);
            format!("while ($var(i) < $var(n)) {{ {calls}$var(i) = $var(i) + {IN_A_ROW}; }} break;")
        };
        let cases: String = [
            ("loop", ""),
            ("publish", r#"kafka_publish("k1", $var(m), "key");"#),
            (
                "counted",
                r#"if (!kafka_publish("k1", $var(m), "key")) $var(refused) = $var(refused) + 1;"#,
            ),
            (
                "reported",
                r#"kafka_publish("k1", $var(m), "key", "report");"#,
            ),
            (
                "unheard",
                r#"raise_event("E_UNHEARD", $avp(name), $avp(value));"#,
            ),
            ("null", r#"raise_event("E_NULL", $avp(name), $avp(value));"#),
            (
                "kafka",
                r#"raise_event("E_KAFKA", $avp(name), $avp(value));"#,
            ),
        ]
        .into_iter()
        .map(|(kind, call)| format!("    case \"{kind}\": {}\n", repeat(call)))
        .collect();
        let script = format!(
            r#"
max_while_loops=100000000
{head}
startup_route {{ {subscriptions} }}
route[report] {{ $shv(reports) = $shv(reports) + 1; }}
route {{
    if ($rU == "ready") {{ sl_send_reply(200, "OK"); exit; }}
    if ($rU == "reports") {{ sl_send_reply(200, "$shv(reports)"); exit; }}
    if ($rU == "who") {{ sl_send_reply(200, "$pp"); exit; }}
    $var(m) = "{message}";
    $avp(name) = "source_ip"; $avp(value) = "192.168.100.200";
    $var(n) = $(rb{{s.int}}); $var(i) = 0; $var(refused) = 0;
    switch ($rU) {{
{cases}    }}
    sl_send_reply(200, "$var(refused)");
}}
"#
        );
        let setup = Setup {
            module: Some(candidate.module.clone()),
            shared_memory: 512,
            receivers: 1,
        };
        let server = Server::start_as(&setup, tree, candidate.name, &script);
        let pid = server.client().request("who", b"").parse().unwrap();
        let running = Self {
            server,
            receiver: Pid::from_raw(pid),
        };
        // The producers start with their first messages.
        running.client().request("publish", b"1");
        running.client().request("kafka", b"1");
        std::thread::sleep(Duration::from_millis(300));
        settle(&running.server);
        running
    }

    fn client(&self) -> Client {
        self.server.client()
    }

    /// OpenSIPS' own module does not always end well.
    fn end(self) {
        drop(self.server);
    }
}

fn print_calls(candidate: &Candidate, samples: &Samples) {
    let difference = |of: &str, without: &str| {
        let (of, without) = (&samples[of], &samples[without]);
        format!(
            "{:8.3} ({:.3})",
            (median(of) - median(without)) / 1000.0,
            (best(of) - best(without)) / 1000.0
        )
    };
    let rows = [
        ("kafka_publish", difference("publish", "loop")),
        (
            "raise_event, nobody subscribed",
            difference("unheard", "loop"),
        ),
        ("raise_event to null:", difference("null", "loop")),
        ("raise_event to kafka:", difference("kafka", "loop")),
        ("  the module's share", difference("kafka", "null")),
        (
            "report route, SIP side",
            difference("reported: SIP", "unreported: SIP"),
        ),
        (
            "report route, Kafka worker",
            difference("reported: worker", "unreported: worker"),
        ),
    ];
    for (name, value) in rows {
        println!("{:<9} {name:<31} {value}", candidate.name);
    }
    let per_message = &samples["unreported: worker"];
    println!(
        "{:<9} {:<31} {:8.3} ({:.3})",
        candidate.name,
        "Kafka worker, all for a message",
        median(per_message) / 1000.0,
        best(per_message) / 1000.0
    );
}

fn median(samples: &[f64]) -> f64 {
    let mut samples = samples.to_vec();
    samples.sort_by(f64::total_cmp);
    samples[samples.len() / 2]
}

fn best(samples: &[f64]) -> f64 {
    samples.iter().copied().fold(f64::INFINITY, f64::min)
}

/// The difference that three more clusters make, for one.
fn print_resources(tree: &Tree, candidate: &Candidate) {
    const MORE: usize = 3;
    let options = kafka::Options {
        nodes: 3,
        ..kafka::Options::default()
    };
    let cluster = kafka::Cluster::start(&options).unwrap();
    let [one, more] = [1, 1 + MORE].map(|clusters| {
        // Sockets with other properties have other producers, as if the cluster were another one.
        let params: String = (1..=clusters)
            .map(|n| {
                format!(
                    "modparam(\"event_kafka\", \"broker_id\", \
                     \"[k{n}]{}/resources?g.client.id=k{n}\")\n",
                    cluster.bootstrap()
                )
            })
            .collect();
        let publishes: String = (1..=clusters)
            .map(|n| format!("kafka_publish(\"k{n}\", \"x\", \"$var(i)\", \"report\");\n"))
            .collect();
        let script = format!(
            r#"
{params}
route[report] {{ $shv(reports) = $shv(reports) + 1; }}
route {{
    if ($rU == "reports") {{ sl_send_reply(200, "$shv(reports)"); exit; }}
    $var(i) = 0;
    while ($rU == "all" && $var(i) < {KEYS}) {{ {publishes} $var(i) = $var(i) + 1; }}
    sl_send_reply(200, "OK");
}}
"#
        );
        /// Enough for every partition to get one.
        const KEYS: usize = 64;
        let setup = Setup {
            module: Some(candidate.module.clone()),
            shared_memory: 64,
            receivers: 1,
        };
        let server = Server::start_as(&setup, tree, candidate.name, &script);
        server.client().request("all", b"");
        support::eventually("all are reported", || {
            let reports: usize = server.client().request("reports", b"").parse().unwrap();
            (reports == clusters * KEYS).then_some(())
        });
        settle(&server);
        let worker = server.worker();
        (Server::threads_of(worker), Server::descriptors_of(worker))
    });
    println!(
        "{:<9} {:.1} threads, {:.1} descriptors",
        candidate.name,
        (more.0 - one.0) as f64 / MORE as f64,
        (more.1 - one.1) as f64 / MORE as f64
    );
}
