//! `cargo xtask sim`: the engine against the model cluster, on virtual time.

use std::process::Command;

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

/// Runs the first so many seeds: always the same ones, so that what breaks was broken by the change.
pub(crate) fn simulate_some(seeds: u64) -> Result<()> {
    run(simulator().args(["--seeds", &seeds.to_string()]))
}

/// Optimised, with the checks of a debug build.
fn simulator() -> Command {
    cargo("run --quiet --profile sim --package kafka-sim --")
}
