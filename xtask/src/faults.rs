//! `cargo xtask faults`: the producer under every fault of the mock broker, as a table.

use xtask::Result;

use crate::arguments::Arguments;
use crate::command::{cargo, run};

/// What the table itself understands; it says what is wrong with a value.
const OPTIONS: [&str; 5] = ["--seconds", "--only", "--pairs", "--seed", "--at-once"];

/// Builds the optimised program and plays the faults.
pub(crate) fn print_table(arguments: &mut Arguments) -> Result<()> {
    let mut command = cargo("bench --package event-kafka-cli --bench faults --");
    for option in OPTIONS {
        if let Some(value) = arguments.value::<String>(option)? {
            command.args([option, &value]);
        }
    }
    arguments.finish()?;
    run(&mut command)
}
