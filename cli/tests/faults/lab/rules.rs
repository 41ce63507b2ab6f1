//! What must hold in every case, whatever the fault.

use std::time::Duration;

use kafka_mock::ApiKey;

use super::case::{Case, Outcome};
use super::scene::Scene;
use super::usage::Usage;

/// The rules that are broken, in words. `code` is the exit code of the producer.
pub(crate) fn broken(
    case: &Case,
    code: Option<i32>,
    scene: &Scene,
    outcome: &Outcome,
) -> Vec<String> {
    let mut broken = Broken::default();
    broken.judge_messages(case, code, outcome);
    broken.judge_costs(case, outcome);
    broken.judge_log(case, scene, &outcome.log);
    broken.0
}

#[derive(Default)]
struct Broken(Vec<String>);

impl Broken {
    fn judge_messages(&mut self, case: &Case, code: Option<i32>, outcome: &Outcome) {
        let account = &outcome.account;
        self.unless_none(account.unreported, "messages have no report");
        self.unless_none(account.surplus, "reports are too many");
        self.unless_none(
            account.misplaced,
            "messages are not where their report says",
        );
        self.unless_none(account.denied, "failures rule out the log, and lie");
        if case.acks != 0 || !case.faults.iter().any(|fault| fault.loses) {
            self.unless_none(account.lost, "delivered messages are not in the log");
        }
        if !case.faults.iter().any(|fault| fault.duplicates) {
            self.unless_none(account.duplicates, "records are duplicates");
        }
        for (name, count) in &account.failed {
            if !case.faults.iter().any(|fault| fault.may_fail(name)) {
                self.unless_none(*count, &format!("messages failed with {name}"));
            }
        }
        if outcome.recovery.is_none() {
            let patience = case.longest_recovery();
            self.0.push(format!(
                "not all partitions had a new record after {patience:?}"
            ));
        }
        let expected = i32::from(!account.failed.is_empty());
        if code != Some(expected) {
            self.0
                .push(format!("the exit code is {code:?}, not {expected}"));
        }
    }

    fn judge_costs(&mut self, case: &Case, outcome: &Outcome) {
        let Usage { cpu, switches } = outcome.usage;
        self.at_most(switches, most_switches(case, outcome), "context switches");
        let steps = switches + outcome.fed_meanwhile;
        let own: Duration = case
            .faults
            .iter()
            .map(|fault| fault.cpu(outcome.held))
            .sum();
        let most_cpu = CPU_PER_STEP.mul_f64(steps as f64) + own;
        self.at_most(
            cpu.as_micros(),
            most_cpu.as_micros(),
            "microseconds of CPU time",
        );
        self.at_most(outcome.growth, most_memory(case), "bytes of memory");
        let most_connections = case.limits.most_connections(outcome.held);
        self.at_most(outcome.connections, most_connections, "connections");
    }

    fn judge_log(&mut self, case: &Case, scene: &Scene, log: &[String]) {
        let most_lines = case.faults.iter().map(|fault| fault.log_lines).sum();
        self.at_most(log.len(), most_lines, "log lines");
        let struck = case.faults.iter().filter(|fault| case.must_strike(fault));
        for api in struck.filter_map(|fault| fault.unreadable) {
            if !log.iter().any(|line| is_telling(line, api, scene)) {
                let text = format!("no log line names broker, {api:?}, version and byte");
                self.0.push(text);
            }
        }
    }

    fn unless_none(&mut self, count: u64, what: &str) {
        if count > 0 {
            self.0.push(format!("{count} {what}"));
        }
    }

    fn at_most<T: PartialOrd + std::fmt::Display>(&mut self, count: T, most: T, what: &str) {
        if count > most {
            self.0.push(format!("{count} {what}, more than {most}"));
        }
    }
}

/// Whether a line says in which answer of which broker, and where there, something was wrong.
fn is_telling(line: &str, api: ApiKey, scene: &Scene) -> bool {
    let mut brokers = scene.bootstrap.split(',');
    let api = format!("{api:?} version");
    brokers.any(|broker| line.contains(broker)) && line.contains(&api) && line.contains("byte ")
}

fn most_switches(case: &Case, outcome: &Outcome) -> u64 {
    let wakes = case.faults.iter().map(|fault| fault.wakes(outcome.held));
    SWITCHES_PER_MESSAGE * outcome.fed_meanwhile
        + SWITCHES_PER_CONNECTION * outcome.connections
        + (SWITCHES_PER_SECOND * outcome.held.as_secs_f64()) as u64
        + wakes.sum::<u64>()
}

fn most_memory(case: &Case) -> u64 {
    let own = case.faults.iter().map(|fault| fault.memory);
    case.limits.budget() + CONSTANT + own.sum::<u64>()
}

/// What the producer may take beyond its budget: buffers of sockets and pipes, what
/// `publish` keeps for each message under way, pages of the program that are touched first when
/// something fails.
const CONSTANT: u64 = 2 << 20;

/// A message is read, sent, answered and reported; each of these wakes a thread or two.
const SWITCHES_PER_MESSAGE: u64 = 10;
/// Connecting, the handshake, metadata.
const SWITCHES_PER_CONNECTION: u64 = 20;
/// Deadlines, backoffs, and a full queue, which is looked at ten times a second.
const SWITCHES_PER_SECOND: f64 = 100.0;
/// What a thread may do once it is awake, and what a message may cost.
const CPU_PER_STEP: Duration = if cfg!(debug_assertions) {
    Duration::from_micros(200)
} else {
    Duration::from_micros(40)
};
