//! `cargo xtask sim`: simulates seeds and says what they met, or replays a recording; ends with 1 if
//! a rule was broken, or if the engine does not do what is recorded.

use std::env;
use std::fs;
use std::process::ExitCode;
use std::thread;
use std::time::Instant;

use kafka_sim::replay::{Recording, replay};
use kafka_sim::simulation::{Findings, run_seeds};

const USAGE: &str = "usage: kafka-sim --seeds N [--seed S] | --replay FILE | --tell FILE";

/// So many seeds meet everything that can be drawn, unless something is wrong with the drawing.
const EVERYTHING: u64 = 10_000;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--replay", file] => return with_recording(file, replay_all),
        ["--tell", file] => return with_recording(file, tell),
        _ => {}
    }
    match Options::read(arguments.into_iter()) {
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

fn with_recording(file: &str, act: fn(&Recording) -> ExitCode) -> ExitCode {
    let read = fs::read(file).map_err(|error| error.to_string());
    let recording = read.and_then(|bytes| Recording::read(&bytes).map_err(|e| e.to_string()));
    match recording {
        Ok(recording) => act(&recording),
        Err(error) => {
            eprintln!("{file}: {error}");
            ExitCode::from(2)
        }
    }
}

fn replay_all(recording: &Recording) -> ExitCode {
    let replayed = match replay(recording) {
        Ok(replayed) => replayed,
        Err(error) => {
            println!("{error}; --tell instead of --replay shows what is recorded");
            return ExitCode::FAILURE;
        }
    };
    println!("{replayed}");
    let Some(divergence) = &replayed.replay.divergence else {
        println!("all as recorded");
        return ExitCode::SUCCESS;
    };
    println!("not as recorded any more from {divergence}");
    ExitCode::FAILURE
}

fn tell(recording: &Recording) -> ExitCode {
    println!("recorded by event-kafka {}, told:", recording.software());
    println!("{:#?}", recording.settings());
    if recording.lost() > 0 {
        println!("the first {} steps are missing", recording.lost());
    }
    for (at, line) in recording.lines() {
        println!("{:>12.6} s  {line}", at.as_secs_f64());
    }
    ExitCode::SUCCESS
}
