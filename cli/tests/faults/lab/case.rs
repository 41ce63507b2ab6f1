//! One case: a producer at work, a fault that comes and goes, and what must hold all along.

use std::fmt;
use std::thread;
use std::time::{Duration, Instant};

use super::account::Account;
use super::catalogue::{Fault, Flow, Recovery};
use super::limits::Limits;
use super::producer::{Ended, Pace, Producer};
use super::rules;
use super::scene::{Extent, Scene, TOPIC};
use super::usage::Usage;

/// What is to be tried.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    /// They begin in this order and end in the reverse.
    pub(crate) faults: Vec<&'static Fault>,
    pub(crate) acks: i8,
    pub(crate) extent: Extent,
    pub(crate) limits: Limits,
    pub(crate) pace: Pace,
    /// How long the fault lasts, at least.
    pub(crate) hold: Duration,
}

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) account: Account,
    /// From the end of the fault until every partition that it befell had a new record; `None` if
    /// that took too long.
    pub(crate) recovery: Option<Duration>,
    /// How long the fault lasted.
    pub(crate) held: Duration,
    /// Of the producer meanwhile.
    pub(crate) usage: Usage,
    /// Messages fed meanwhile.
    pub(crate) fed_meanwhile: u64,
    /// How much the producer's memory grew at most, in bytes, since its first message was delivered.
    pub(crate) growth: u64,
    /// Connections that the sick nodes took while the fault lasted.
    pub(crate) connections: u64,
    pub(crate) log: Vec<String>,
    /// What should have held and did not.
    pub(crate) violations: Vec<String>,
}

impl Case {
    /// Plays the case. Takes a little longer than the fault lasts.
    pub(crate) fn run(&self) -> Outcome {
        let scene = Scene::set(self.extent);
        let mut outcome = Outcome::default();
        if let Err(violation) = self.play(&scene, &mut outcome) {
            outcome.violations.push(violation);
        }
        outcome
    }

    /// An error is a violation that makes it impossible to go on.
    fn play(&self, scene: &Scene, outcome: &mut Outcome) -> Result<(), String> {
        let query = self.limits.query(self.acks);
        let socket = format!("{}/{TOPIC}?{query}", scene.bootstrap);
        let mut producer = Producer::start(&socket);
        producer.feed_one();
        wait_for_delivery(&producer, 1)?;
        let peak_before = producer.peak_memory();
        let feeder = producer.feed(self.pace);
        warm_up(scene, &producer)?;

        let (before, connections_before) = (producer.usage(), scene.connections());
        let begun = Instant::now();
        let afflictions: Vec<_> = self.faults.iter().map(|fault| fault.begin(scene)).collect();
        let at_once = self.faults.iter().all(|fault| fault.at_once);
        if at_once {
            outcome.recovery = self.wait_for_recovery(scene);
        }
        hold_on(begun, self.hold / 2);
        let halfway = scene.ends();
        hold_on(begun, self.hold);
        self.check_flow(scene, &halfway, outcome);
        let ended = Instant::now();
        outcome.usage = producer.usage().since(before);
        outcome.connections = scene.connections() - connections_before;
        outcome.held = ended - begun;
        for (fault, affliction) in self.faults.iter().zip(afflictions).rev() {
            if self.must_strike(fault) && !affliction.has_struck(scene) {
                outcome
                    .violations
                    .push(format!("{} befell nothing", fault.name));
            }
            affliction.end(scene);
        }
        if !at_once {
            outcome.recovery = self.wait_for_recovery(scene);
        }

        feeder.stop(&mut producer);
        let fed = producer.fed().to_owned();
        outcome.fed_meanwhile = fed.iter().filter(|at| (begun..ended).contains(at)).count() as u64;
        producer.wait_for_reports(self.limits.message_timeout + SLACK, |reports| {
            reports.len() >= fed.len()
        });
        outcome.growth = producer.peak_memory().saturating_sub(peak_before);
        let Ended { code, reports, log } =
            producer.end(SLACK).ok_or("the producer does not end")?;
        outcome.log = log;
        outcome.account = Account::settle(&fed, &reports, &scene.records());
        let broken = rules::broken(self, code, scene, outcome);
        outcome.violations.extend(broken);
        Ok(())
    }

    /// How long it takes until every partition of the sick node has a new record, or until the first
    /// one has if the others may be forgotten.
    fn wait_for_recovery(&self, scene: &Scene) -> Option<Duration> {
        let (started, ends) = (Instant::now(), scene.ends());
        let all = scene.sick_partitions();
        let forgotten = self.faults.iter().any(|fault| fault.forgets_partitions);
        let awaited = if forgotten { &all[..1] } else { all };
        scene
            .wait_for_growth(awaited, &ends, self.longest_recovery())
            .then(|| started.elapsed())
    }

    /// Of what must flow all has got on since `halfway`, or does so soon; of what cannot, nothing.
    fn check_flow(&self, scene: &Scene, halfway: &[i64], outcome: &mut Outcome) {
        let sick = scene.sick_partitions();
        let flows: Vec<Flow> = self
            .faults
            .iter()
            .map(|fault| fault.flow(self.extent))
            .collect();
        let mut complain = |text: &str| outcome.violations.push(text.to_owned());
        if flows.contains(&Flow::Stops) && scene.any_has_grown(sick, halfway) {
            complain("messages flow: the fault did not befall them");
        }
        let flows_on = |partitions: &[usize]| scene.wait_for_growth(partitions, halfway, SLACK);
        if flows.iter().all(|flow| *flow == Flow::Goes) && !flows_on(sick) {
            complain("messages have come to a halt and could flow");
        }
        let everywhere = self.faults.iter().any(|fault| fault.everywhere);
        if !everywhere && !flows_on(&scene.healthy_partitions()) {
            complain("messages to other nodes have come to a halt");
        }
    }

    /// Of two faults one may come before the other.
    pub(super) fn must_strike(&self, fault: &Fault) -> bool {
        self.faults.len() == 1 && fault.must_strike(self.acks, self.extent)
    }

    /// Within the reconnect backoff, and the time-out of what is under way when the fault ends.
    pub(super) fn longest_recovery(&self) -> Duration {
        let waits = self.faults.iter().map(|fault| match fault.recovery {
            Recovery::Backoff => Duration::ZERO,
            Recovery::Request => self.limits.request_timeout,
            Recovery::Setup => self.limits.setup_timeout,
            Recovery::Propagation => self.limits.propagation_max,
        });
        waits.sum::<Duration>() + self.limits.longest_backoff + SLACK
    }
}

/// What was tried, in a line.
impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.faults.iter().map(|fault| fault.name).collect();
        write!(f, "{} with acks={}", names.join(" and "), self.acks)?;
        match self.extent {
            Extent::Alone => Ok(()),
            Extent::OneOfThree => f.write_str(" at one of three nodes"),
        }
    }
}

/// The figures, in a line.
impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { account, usage, .. } = self;
        write!(
            f,
            "{account}; slowest failure {:.2?}, {} duplicates, {} lost; recovery {:.2?}; {} \
             switches and {:.0?} for {} messages in {:.1?}; memory +{} KiB; {} connections; {} log \
             lines",
            account.slowest_failure,
            account.duplicates,
            account.lost,
            self.recovery.unwrap_or(Duration::MAX),
            usage.switches,
            usage.cpu,
            self.fed_meanwhile,
            self.held,
            self.growth / 1024,
            self.connections,
            self.log.len()
        )
    }
}

fn hold_on(since: Instant, time: Duration) {
    thread::sleep(time.saturating_sub(since.elapsed()));
}

/// Until messages flow to every partition.
fn warm_up(scene: &Scene, producer: &Producer) -> Result<(), String> {
    let ends = scene.ends();
    let all: Vec<usize> = (0..ends.len()).collect();
    if !scene.wait_for_growth(&all, &ends, SLACK) {
        return Err("not every partition has a record before the fault".to_owned());
    }
    wait_for_delivery(producer, WARM)
}

fn wait_for_delivery(producer: &Producer, count: usize) -> Result<(), String> {
    match producer.wait_for_reports(SLACK, |reports| reports.len() >= count) {
        true => Ok(()),
        false => Err("no message flows before the fault".to_owned()),
    }
}

/// Reports before a fault begins.
const WARM: usize = 20;
/// What a busy machine may add to any wait.
const SLACK: Duration = Duration::from_secs(5);
