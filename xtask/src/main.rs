//! Developer commands: `cargo xtask COMMAND`.

mod arguments;
mod command;
mod containers;
mod elf;
mod fuzz;
mod install;
mod steps;
mod tally;
mod test;

use std::process::ExitCode;

use arguments::Arguments;
use xtask::kafka::{self, UpOptions};
use xtask::{Error, Result};

const USAGE: &str = "\
usage: cargo xtask COMMAND

  test [--no-broker]   every check and test, a real broker included; installs what is missing
  fuzz [--seconds S] [TARGET]
                       the fuzz targets, one after another, 60 s each unless told otherwise
  bench                what publishing costs its caller, in time and in instructions
  kafka up [--port P] [--partitions N] [--fresh]
                       a real Apache Kafka on loopback for hands-on work
  kafka down           stops it; its data stays for the next `up` (without --fresh)
";

fn main() -> ExitCode {
    let mut arguments = Arguments::new(std::env::args().skip(1));
    match run(&mut arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error}");
            if matches!(error, Error::Usage(_)) {
                eprint!("\n{USAGE}");
            }
            error.exit_code()
        }
    }
}

fn run(arguments: &mut Arguments) -> Result<()> {
    match arguments.word().as_deref() {
        Some("test") => run_test(arguments),
        Some("fuzz") => run_fuzz(arguments),
        Some("bench") => run_bench(arguments),
        Some("kafka") => run_kafka(arguments),
        Some("help" | "--help" | "-h") => {
            print!("{USAGE}");
            Ok(())
        }
        Some(other) => Err(Error::Usage(format!("there is no command `{other}`"))),
        None => Err(Error::Usage("a command is missing".to_owned())),
    }
}

fn run_test(arguments: &mut Arguments) -> Result<()> {
    let with_broker = !arguments.flag("--no-broker");
    arguments.finish()?;
    test::run_all(with_broker)
}

fn run_fuzz(arguments: &mut Arguments) -> Result<()> {
    let seconds = arguments.value("--seconds")?.unwrap_or(60);
    let target = arguments.word();
    arguments.finish()?;
    if seconds == 0 {
        let text = "--seconds 0: libFuzzer would run for ever; give at least 1".to_owned();
        return Err(Error::Usage(text));
    }
    install::for_fuzzing()?;
    fuzz::run_targets(seconds, target.as_deref())
}

fn run_bench(arguments: &mut Arguments) -> Result<()> {
    arguments.finish()?;
    install::for_benches()?;
    command::run(&mut command::cargo("bench --package event-kafka"))
}

fn run_kafka(arguments: &mut Arguments) -> Result<()> {
    match arguments.word().as_deref() {
        Some("up") => {
            let nodes: u16 = arguments.value("--nodes")?.unwrap_or(1);
            let options = UpOptions {
                port: arguments.value("--port")?,
                partitions: arguments.value("--partitions")?,
                fresh: arguments.flag("--fresh"),
            };
            arguments.finish()?;
            if nodes != 1 {
                let text = format!("--nodes {nodes}: a cluster has 1 node for now");
                return Err(Error::Usage(text));
            }
            install::for_brokers()?;
            kafka::up(&options)
        }
        Some("down") => {
            arguments.finish()?;
            kafka::down()
        }
        _ => Err(Error::Usage("kafka wants `up` or `down`".to_owned())),
    }
}
