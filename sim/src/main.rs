//! `cargo xtask sim`: simulates seeds and says what they met; ends with 1 if a rule was broken.

use std::env;
use std::process::ExitCode;
use std::thread;
use std::time::Instant;

use kafka_sim::simulation::{Findings, run_seeds};

const USAGE: &str = "usage: kafka-sim --seeds N [--seed S]";

/// So many seeds meet everything that can be drawn, unless something is wrong with the drawing.
const EVERYTHING: u64 = 10_000;

fn main() -> ExitCode {
    match Options::read(env::args().skip(1)) {
        Some(options) => simulate(&options),
        None => {
            eprintln!("{USAGE}");
            ExitCode::from(2)
        }
    }
}

struct Options {
    seeds: u64,
    first: u64,
}

impl Options {
    fn read(mut arguments: impl Iterator<Item = String>) -> Option<Self> {
        let (mut seeds, mut first) = (None, None);
        while let Some(name) = arguments.next() {
            let number = arguments.next()?.parse().ok()?;
            match name.as_str() {
                "--seeds" => seeds = Some(number),
                "--seed" => first = Some(number),
                _ => return None,
            }
        }
        // A seed alone is that one once more.
        let seeds = seeds.or(first.map(|_| 1))?;
        let first: u64 = first.unwrap_or(0);
        first.checked_add(seeds)?;
        Some(Self { seeds, first })
    }
}

fn simulate(options: &Options) -> ExitCode {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let start = Instant::now();
    let findings = run_seeds(options.first..options.first + options.seeds, threads);
    let seconds = start.elapsed().as_secs_f64();
    let Findings {
        seeds,
        messages,
        census,
        violation,
    } = &findings;
    if *seeds > 1 {
        println!("{census}");
    }
    println!(
        "{seeds} seeds from {} with {messages} messages in {seconds:.1} s: {:.0} seeds/s on \
         {threads} threads",
        options.first,
        *seeds as f64 / seconds
    );
    if let Some(violation) = violation {
        println!(
            "{violation}\nonce more: cargo xtask sim --seed {}",
            violation.seed
        );
        return ExitCode::FAILURE;
    }
    let missing = census.missing();
    if *seeds >= EVERYTHING && !missing.is_empty() {
        println!("never met: {}", missing.join(", "));
        return ExitCode::FAILURE;
    }
    println!("0 violations");
    ExitCode::SUCCESS
}
