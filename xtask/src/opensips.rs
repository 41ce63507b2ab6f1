//! `cargo xtask opensips-test`, `opensips-bench` and `opensips-soak`: the module in real trees of
//! OpenSIPS.

use xtask::{Result, TestBroker};

use crate::arguments::Arguments;
use crate::command::{cargo, run};
use crate::install;

/// Builds the module in every tree in the folder that `OPENSIPS_SRC` names, and runs OpenSIPS with it
/// in those that are built: all cases, or those with this in their name.
pub(crate) fn test_in_trees(case: Option<&str>) -> Result<()> {
    if !are_there_trees() {
        return Ok(());
    }
    if let TestBroker::Kafka {
        bootstrap: None, ..
    } = TestBroker::from_environment()?
    {
        install::for_brokers()?;
    }
    let mut test = cargo("test --package event-kafka-ffi --test opensips -- --nocapture");
    run(test.env("OPENSIPS_CASE", case.unwrap_or_default()))
}

/// Has OpenSIPS of the first tree that is built publish to a cluster that is away, and renew a thousand
/// subscriptions, both at once for so many minutes.
pub(crate) fn soak(minutes: u32) -> Result<()> {
    if !are_there_trees() {
        return Ok(());
    }
    let mut soak = cargo("test --package event-kafka-ffi --test opensips -- --nocapture --ignored");
    run(soak.env("OPENSIPS_SOAK_MINUTES", minutes.to_string()))
}

/// What the bench itself understands; it says what is wrong with a value.
const BENCH_OPTIONS: [&str; 4] = ["--tree", "--rate", "--rounds", "--seconds"];

/// Builds the optimised module in a tree, and measures what it costs there, against a real Kafka.
pub(crate) fn bench_in_tree(arguments: &mut Arguments) -> Result<()> {
    let mut bench = cargo("bench --package event-kafka-ffi --bench in_opensips --");
    for option in BENCH_OPTIONS {
        if let Some(value) = arguments.value::<String>(option)? {
            bench.args([option, &value]);
        }
    }
    bench.args(arguments.word());
    arguments.finish()?;
    bench.env("EVENT_KAFKA_TEST_BROKER", "kafka");
    if !are_there_trees() {
        return Ok(());
    }
    install::for_brokers()?;
    run(&mut bench)
}

/// Whether there are any to build in, after saying so if there are none.
fn are_there_trees() -> bool {
    let named = std::env::var_os("OPENSIPS_SRC").is_some();
    if !named {
        println!(
            "not run: set OPENSIPS_SRC to a folder with trees of OpenSIPS, such as 3.6/ and master/, \
             each a checkout in which `make` was run"
        );
    }
    named
}
