//! The fault table: what becomes of messages under every fault, and what that costs, as markdown.
//!
//! `cargo xtask faults` runs it.

#[path = "../tests/faults/lab/mod.rs"]
mod lab;

use std::fmt::Write;
use std::process::ExitCode;
use std::sync::mpsc;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use clap::Parser;

use lab::case::{Case, Outcome};
use lab::catalogue::{self, FAULTS, Fault};
use lab::idle::Idleness;
use lab::limits::Limits;
use lab::pairs;
use lab::producer::Pace;
use lab::scene::Extent;

/// Plays every fault and prints a table of what came of it
#[derive(Parser)]
struct Options {
    /// How long each fault lasts, and how long the idle producers are watched
    #[arg(long, value_name = "S", default_value_t = 30)]
    seconds: u64,
    /// This fault only
    #[arg(long, value_name = "NAME", value_parser = find)]
    only: Option<&'static Fault>,
    /// So many pairs of faults instead
    #[arg(long, value_name = "N", conflicts_with = "only")]
    pairs: Option<usize>,
    /// What draws them
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// How many cases are played at the same time
    #[arg(long, value_name = "N", default_value_t = 12)]
    at_once: usize,
    /// Said by cargo
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let cases = options.cases();
    let limits = Limits::LIBRDKAFKAS;
    println!(
        "{} s each with librdkafka's time-outs; {} messages of {} bytes a second; the queue may \
         take {} KiB.\n",
        options.seconds,
        (1.0 / PACE.interval.as_secs_f64()).round(),
        PACE.size,
        limits.budget_kib,
    );
    let mut broken = print_table(&cases, options.at_once);
    if options.only.is_none() && options.pairs.is_none() {
        broken += print_idleness(options.hold());
    }
    match broken {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

impl Options {
    fn hold(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }

    fn cases(&self) -> Vec<Case> {
        let case = |faults: Vec<_>, acks, extent| Case {
            faults,
            acks,
            extent,
            limits: Limits::LIBRDKAFKAS,
            pace: PACE,
            hold: self.hold(),
        };
        if let Some(count) = self.pairs {
            let pairs = pairs::draw(self.seed, count).into_iter();
            return pairs
                .map(|pair| case(pair.faults.to_vec(), pair.acks, Extent::Alone))
                .collect();
        }
        let is_wanted = |fault: &&Fault| self.only.is_none_or(|only| only.name == fault.name);
        let faults = FAULTS.iter().filter(is_wanted);
        let variants = [
            (0, Extent::Alone),
            (1, Extent::Alone),
            (-1, Extent::Alone),
            (-1, Extent::OneOfThree),
        ];
        faults
            .flat_map(|fault| variants.map(|(acks, extent)| case(vec![fault], acks, extent)))
            .collect()
    }
}

fn find(name: &str) -> Result<&'static Fault, String> {
    catalogue::find(name).ok_or_else(|| {
        let names: Vec<_> = FAULTS.iter().map(|fault| fault.name).collect();
        format!("there are {}", names.join(", "))
    })
}

/// Prints a row as soon as it and all before it are known; returns how many rules were broken.
fn print_table(cases: &[Case], at_once: usize) -> usize {
    println!(
        "| fault | nodes | acks | messages | duplicates | lost | recovery | context switches | CPU \
         | memory | over budget | connections | log lines |"
    );
    println!("|---|--:|--:|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|");
    let mut complaints = String::new();
    let mut broken = 0;
    for_each_in_order(cases, at_once, |case, outcome| {
        println!("{}", row(case, outcome));
        for violation in &outcome.violations {
            writeln!(complaints, "- {case}: {violation}").expect("a string takes all");
        }
        if !outcome.violations.is_empty() {
            writeln!(
                complaints,
                "  log:\n{}",
                outcome
                    .log
                    .iter()
                    .take(30)
                    .map(|l| format!("    {l}"))
                    .collect::<Vec<_>>()
                    .join("\n")
            )
            .expect("a string takes all");
        }
        broken += outcome.violations.len();
    });
    if broken == 0 {
        println!("\nAll rules hold in all {} cases.\n", cases.len());
    } else {
        println!("\nBroken rules:\n\n{complaints}");
    }
    broken
}

fn row(case: &Case, outcome: &Outcome) -> String {
    let names: Vec<_> = case.faults.iter().map(|fault| fault.name).collect();
    let nodes = match case.extent {
        Extent::Alone => "1 of 1",
        Extent::OneOfThree => "1 of 3",
    };
    let over = outcome.growth.saturating_sub(case.limits.budget());
    let cells = [
        names.join(" + "),
        nodes.to_owned(),
        case.acks.to_string(),
        outcome.account.to_string(),
        outcome.account.duplicates.to_string(),
        outcome.account.lost.to_string(),
        outcome.recovery.map_or("none".to_owned(), |time| {
            format!("{:.2} s", time.as_secs_f64())
        }),
        outcome.usage.switches.to_string(),
        format!("{:.0} ms", outcome.usage.cpu.as_secs_f64() * 1e3),
        format!("{} KiB", outcome.growth / 1024),
        format!("{} KiB", over / 1024),
        outcome.connections.to_string(),
        outcome.log.len().to_string(),
    ];
    format!("| {} |", cells.join(" | "))
}

/// Returns how often the limit of 1 % of a core is broken.
fn print_idleness(time: Duration) -> usize {
    println!("| idle for {time:?} | context switches | CPU | of a core |");
    println!("|---|--:|--:|--:|");
    let mut broken = 0;
    for idleness in Idleness::ALL {
        let usage = idleness.measure(time);
        let share = usage.cpu.as_secs_f64() / time.as_secs_f64();
        broken += usize::from(share >= 0.01);
        println!(
            "| {idleness} | {} | {:.1} ms | {:.3} % |",
            usage.switches,
            usage.cpu.as_secs_f64() * 1e3,
            share * 100.0
        );
    }
    broken
}

/// Plays the cases, some at a time, and hands their outcomes over in the order of the cases.
fn for_each_in_order(cases: &[Case], at_once: usize, mut each: impl FnMut(&Case, &Outcome)) {
    let (outcomes, played) = mpsc::channel();
    let waiting = Mutex::new(cases.iter().enumerate());
    thread::scope(|scope| {
        for _ in 0..at_once.max(1) {
            let (outcomes, waiting) = (outcomes.clone(), &waiting);
            scope.spawn(move || {
                let next = || {
                    waiting
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .next()
                };
                while let Some((index, case)) = next() {
                    outcomes
                        .send((index, case.run()))
                        .expect("the receiver waits for all");
                }
            });
        }
        drop(outcomes);
        let mut early: Vec<Option<Outcome>> = cases.iter().map(|_| None).collect();
        let mut next = 0;
        for (index, outcome) in played {
            early[index] = Some(outcome);
            while let Some(outcome) = early.get_mut(next).and_then(Option::take) {
                each(&cases[next], &outcome);
                next += 1;
            }
        }
    });
}

const PACE: Pace = Pace {
    size: 500,
    interval: Duration::from_millis(5),
};
