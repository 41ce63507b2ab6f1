//! `cargo xtask sim`: the engine against the model cluster, on virtual time.

use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use xtask::{Error, Result};

use crate::arguments::Arguments;
use crate::command::{cargo, run};

const OPTIONS: [&str; 2] = ["--seeds", "--seed"];

/// Runs the seeds that are asked for.
pub(crate) fn simulate(arguments: &mut Arguments) -> Result<()> {
    let mut command = simulator();
    let mut asked = false;
    for option in OPTIONS {
        if let Some(value) = arguments.value::<u64>(option)? {
            command.args([option, &value.to_string()]);
            asked = true;
        }
    }
    arguments.finish()?;
    match asked {
        true => run(&mut command),
        false => Err(Error::Usage("sim wants --seeds or --seed".to_owned())),
    }
}

/// Runs so many seeds, which are other ones every day.
pub(crate) fn simulate_some(seeds: u64) -> Result<()> {
    let first = today() * seeds;
    let (seeds, first) = (seeds.to_string(), first.to_string());
    run(simulator().args(["--seeds", &seeds, "--seed", &first]))
}

/// Days since 1970.
pub(crate) fn today() -> u64 {
    const DAY: u64 = 24 * 60 * 60;
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH);
    since_1970.unwrap_or_default().as_secs() / DAY
}

/// Optimised, with the checks of a debug build.
fn simulator() -> Command {
    cargo("run --quiet --profile sim --package kafka-sim --")
}
