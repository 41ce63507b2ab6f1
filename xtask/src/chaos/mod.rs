//! `cargo xtask chaos`: the command line publishes to a real cluster of three nodes, which are
//! disturbed in turn; then every message is accounted for.

mod accounts;
mod disturb;
mod message;
mod publisher;
mod read_back;
mod report;
mod schedule;

use std::fmt;
use std::time::Instant;

use xtask::kafka::{Cluster, Options, Version};
use xtask::{Error, Result};

use crate::command::{cargo, run, target_folder};
use accounts::Accounts;
use publisher::Publisher;
use schedule::Schedule;

pub(crate) use schedule::Kind;

const NODES: u16 = 3;
const PARTITIONS: u16 = 12;
const TOPIC: &str = "chaos";

/// What to do, and for how long.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) version: Version,
    pub(crate) messages: u64,
    /// Messages in a second.
    pub(crate) rate: u64,
    pub(crate) seed: u64,
    /// One kind of disturbance instead of all, and no moving of leaders beside.
    pub(crate) only: Option<Kind>,
    /// `enable.idempotence`, and nothing less than once and in order will do.
    pub(crate) idempotent: bool,
}

/// An error unless every promise to the publisher was kept.
pub(crate) fn carry_out(plan: &Plan) -> Result<()> {
    run(&mut cargo("build --release --package event-kafka-cli"))?;
    let program = target_folder().join("release/event-kafka");
    let mut cluster = Cluster::start(&cluster_options(plan))?;
    println!(
        "{} messages at {}/s to {PARTITIONS} partitions on {NODES} nodes of Apache Kafka {}, seed {}",
        plan.messages, plan.rate, plan.version, plan.seed
    );

    let start = Instant::now();
    let socket = format!(
        "kafka:{}/{TOPIC}?t.acks=all&g.enable.idempotence={}",
        cluster.bootstrap(),
        plan.idempotent
    );
    let publisher = Publisher::start(&program, &socket, plan.messages, plan.rate)?;
    let schedule = Schedule::new(plan.seed, plan.only, &cluster.node_ids());
    disturb::follow(schedule, &mut cluster, start, |time| {
        publisher.takes_more_after(time)
    })?;
    let published = publisher.finish()?;
    println!(
        "{:8.1} s  the publisher has ended",
        start.elapsed().as_secs_f64()
    );
    let log = read_back::whole_topic(&cluster.bootstrap(), TOPIC, PARTITIONS.into(), NODES.into())?;

    let mut accounts = Accounts::draw_up(&published, log);
    if plan.idempotent {
        accounts.demand_once_and_in_order();
    }
    println!("\n{accounts}");
    if accounts.is_in_order() {
        return Ok(());
    }
    Err(Error::Failed(format!(
        "a promise was broken; the same once more: cargo xtask chaos {plan}"
    )))
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
        } = self;
        write!(
            f,
            "--messages {messages} --rate {rate} --seed {seed} --kafka {version}"
        )?;
        if *idempotent {
            f.write_str(" --idempotent")?;
        }
        only.map_or(Ok(()), |only| write!(f, " --only {only}"))
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
