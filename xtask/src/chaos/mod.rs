//! `cargo xtask chaos`: the command line publishes to a real cluster of three nodes, which are
//! disturbed in turn; then every message is accounted for. Another producer may do the same beside it.

mod accounts;
mod disturb;
mod message;
mod publisher;
mod read_back;
mod report;
mod schedule;
mod table;

use std::fmt;
use std::process::Command;
use std::str::FromStr;
use std::time::Instant;

use xtask::kafka::{Cluster, Options, Version};
use xtask::{Error, Result, workspace_root};

use crate::command::{cargo, run, target_folder};
use crate::librdkafka::{self, Librdkafka};
use accounts::Accounts;
use disturb::Scene;
use publisher::{Load, Program, Publisher};
use schedule::Schedule;
use table::Table;

pub(crate) use schedule::Kind;

const NODES: u16 = 3;
const PARTITIONS: u16 = 12;
const OURS: &str = "event-kafka";

/// What to do, and for how long.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) version: Version,
    pub(crate) messages: u64,
    /// Messages in a second.
    pub(crate) rate: u64,
    pub(crate) seed: u64,
    /// One kind of disturbance instead of all of a node, and no moving of leaders beside.
    pub(crate) only: Option<Kind>,
    /// `enable.idempotence`, and nothing less than once and in order will do.
    pub(crate) idempotent: bool,
    /// Who publishes the same at the same time, to a topic of its own. Its promises are not ours.
    pub(crate) beside: Option<Peer>,
}

/// Another producer.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Peer {
    Librdkafka,
}

/// An error unless every promise to the publisher was kept.
pub(crate) fn carry_out(plan: &Plan) -> Result<()> {
    run(&mut cargo("build --release --package event-kafka-cli"))?;
    let peer = plan.beside.map(|Peer::Librdkafka| librdkafka::install());
    let peer = peer.transpose()?;
    let mut cluster = Cluster::start(&cluster_options(plan))?;
    println!(
        "{} messages at {}/s to {PARTITIONS} partitions on {NODES} nodes of Apache Kafka {}, seed {}",
        plan.messages, plan.rate, plan.version, plan.seed
    );

    let properties = plan.properties(&cluster);
    let ours = [ours(&properties)].into_iter();
    let programs = ours.chain(peer.map(|peer| librdkafka_as_program(&peer, &properties)));
    let start = Instant::now();
    let load = Load {
        messages: plan.messages,
        rate: plan.rate,
        start,
    };
    let publishers = programs.map(|program| Publisher::start(program, load));
    let mut publishers = publishers.collect::<Result<Vec<_>>>()?;
    let scene = Scene {
        publishers: &mut publishers,
        cluster: &mut cluster,
        start,
    };
    let schedule = Schedule::new(plan.seed, plan.only, &scene.cluster.node_ids());
    let recoveries = scene.follow(schedule)?;

    let mut columns = Vec::new();
    for publisher in publishers {
        let (name, topic) = (publisher.name(), publisher.topic());
        let published = publisher.finish()?;
        println!("{:8.1} s  {name} has ended", start.elapsed().as_secs_f64());
        let log =
            read_back::whole_topic(&cluster.bootstrap(), topic, PARTITIONS.into(), NODES.into())?;
        let mut accounts = Accounts::draw_up(&published, log, &recoveries);
        if plan.idempotent {
            accounts.demand_once_and_in_order();
        }
        columns.push((name, accounts));
    }
    println!("\n{}", Table(&columns));
    let mut ours = columns.iter().filter(|(name, _)| *name == OURS);
    if ours.all(|(_, accounts)| accounts.is_in_order()) {
        return Ok(());
    }
    Err(Error::Failed(format!(
        "a promise was broken; the same once more: cargo xtask chaos {plan}"
    )))
}

impl Plan {
    /// Of every publisher.
    fn properties(&self, cluster: &Cluster) -> Vec<(&'static str, String)> {
        let mut properties = vec![
            ("bootstrap.servers", cluster.bootstrap()),
            ("acks", "all".to_owned()),
            ("enable.idempotence", self.idempotent.to_string()),
        ];
        if self.only == Some(Kind::AllDown) {
            // Room for all that comes until the nodes are back, and no more than a second lost then.
            properties.push(("queue.buffering.max.messages", "1000000".to_owned()));
            properties.push(("reconnect.backoff.max.ms", "1000".to_owned()));
        }
        properties
    }
}

fn ours(properties: &[(&str, String)]) -> Program {
    const TOPIC: &str = "chaos";
    let mut properties = properties.iter();
    let (_, bootstrap) = properties.next().expect("the first are the servers");
    let properties: Vec<_> = properties
        .map(|(name, value)| match *name {
            "acks" => format!("t.{name}={value}"),
            _ => format!("g.{name}={value}"),
        })
        .collect();
    let mut command = Command::new(target_folder().join("release/event-kafka"));
    command
        .arg("publish")
        .arg(format!(
            "kafka:{bootstrap}/{TOPIC}?{}",
            properties.join("&")
        ))
        .args(["--report", "json"])
        .args(["--key-separator", message::SEPARATOR]);
    Program {
        name: OURS,
        topic: TOPIC,
        command,
    }
}

fn librdkafka_as_program(peer: &Librdkafka, properties: &[(&str, String)]) -> Program {
    const TOPIC: &str = "chaos-librdkafka";
    const SCRIPT: &str = "xtask/src/chaos/librdkafka.py";
    let properties = properties.iter();
    let properties = properties.map(|(name, value)| format!("{name}={value}"));
    let mut command = Command::new(&peer.python);
    command
        .arg(workspace_root().join(SCRIPT))
        .args([TOPIC, message::SEPARATOR])
        .args(properties);
    Program {
        name: librdkafka::NAME,
        topic: TOPIC,
        command,
    }
}

/// The arguments that ask for it.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            version,
            messages,
            rate,
            seed,
            only,
            idempotent,
            beside,
        } = self;
        write!(
            f,
            "--messages {messages} --rate {rate} --seed {seed} --kafka {version}"
        )?;
        if *idempotent {
            f.write_str(" --idempotent")?;
        }
        if let Some(only) = only {
            write!(f, " --only {only}")?;
        }
        if let Some(Peer::Librdkafka) = beside {
            f.write_str(" --beside librdkafka")?;
        }
        Ok(())
    }
}

/// As `--beside` takes it.
impl FromStr for Peer {
    type Err = ();

    fn from_str(text: &str) -> std::result::Result<Self, ()> {
        match text {
            "librdkafka" => Ok(Self::Librdkafka),
            _ => Err(()),
        }
    }
}

fn cluster_options(plan: &Plan) -> Options {
    let leaders_go_home = [
        ("leader.imbalance.check.interval.seconds", "10"),
        ("leader.imbalance.per.broker.percentage", "0"),
    ];
    let properties = leaders_go_home.into_iter().filter(|_| plan.only.is_none());
    Options {
        nodes: NODES,
        version: plan.version.clone(),
        partitions: PARTITIONS,
        properties: properties
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
    }
}
