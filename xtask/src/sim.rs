//! `cargo xtask sim`: the engine against the model cluster, on virtual time.

use std::path::{self, PathBuf};
use std::process::Command;

use xtask::{Error, Result};

use crate::arguments::Arguments;
use crate::command::{cargo, run};

const OPTIONS: [&str; 2] = ["--seeds", "--seed"];
const OF_RECORDINGS: [&str; 2] = ["--replay", "--tell"];

/// Runs the seeds that are asked for, or what a flight recorder wrote.
pub(crate) fn simulate(arguments: &mut Arguments) -> Result<()> {
    let mut command = simulator();
    let mut asked = false;
    for option in OPTIONS {
        if let Some(value) = arguments.value::<u64>(option)? {
            command.args([option, &value.to_string()]);
            asked = true;
        }
    }
    for option in OF_RECORDINGS {
        if let Some(file) = arguments.value::<PathBuf>(option)? {
            // The simulator runs in the root of the workspace.
            let file = path::absolute(&file).map_err(Error::io(file.display().to_string()))?;
            command.arg(option).arg(file);
            asked = true;
        }
    }
    arguments.finish()?;
    match asked {
        true => run(&mut command),
        false => Err(Error::Usage(
            "sim wants --seeds, --seed, --replay or --tell".to_owned(),
        )),
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
