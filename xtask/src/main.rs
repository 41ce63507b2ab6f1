//! Developer commands: `cargo xtask COMMAND`.

mod arguments;
mod chaos;
mod command;
mod containers;
mod elf;
mod faults;
mod fuzz;
mod golden;
mod install;
mod librdkafka;
mod opensips;
mod plants;
mod sim;
mod steps;
mod tally;
mod test;

use std::process::ExitCode;

use arguments::Arguments;
use chaos::Plan;
use xtask::kafka::{self, NodeCommand, Options, UpOptions};
use xtask::{Error, Result};

const USAGE: &str = "\
usage: cargo xtask COMMAND

  test [--no-broker]   every check and test, a real broker included; installs what is missing
  fuzz [--seconds S] [TARGET]
                       the fuzz targets, one after another, 60 s each unless told otherwise
  bench                what publishing costs its caller, in time and in instructions; what codecs gain
                       and cost; how late messages expire
  chaos [--minutes M | --messages N] [--rate R] [--seed S]
        [--only kill|pause|stop|all-down|producer] [--idempotent] [--beside librdkafka]
        [--kafka VERSION]
                       publishes to three nodes that are killed, paused and stopped in turn, and
                       accounts for every message; 2 minutes at 5000/s unless told otherwise; with
                       --only all-down all nodes are killed for a minute, and what waited must be
                       delivered within 10 s after every partition has a leader again; with
                       --only producer the publisher is killed and another goes on; with --idempotent
                       no message may be there twice, or behind a later one; with --beside
                       librdkafka 2.16.0 (it needs Python) publishes the same to a topic of its own
  faults [--seconds S] [--only NAME | --pairs N [--seed S]] [--at-once N]
                       the producer under every fault of the mock broker, as a table: what becomes of
                       messages, and what it costs; 30 s each unless told otherwise
  golden partitioners|properties
                       what librdkafka 2.16.0 does, written down for the tests that compare with it
  sim [--seeds N] [--seed S]
                       the engine against a model cluster on virtual time: N drawn runs from seed S
                       on (0 unless told otherwise), or that one alone, and what they met; a run that
                       breaks a rule is shown with all left out that it does not need
  sim --replay FILE    a recording of `event-kafka publish --record FILE` once more: what became of its
                       messages, and whether the engine did what is recorded, or from which step on not
  sim --tell FILE      the same recording as lines to read
  opensips-test [CASE] the module in every tree of OpenSIPS in the folder OPENSIPS_SRC: it is built in each,
                       and OpenSIPS runs with it where that is built, against the broker that
                       EVENT_KAFKA_TEST_BROKER names (`kafka`, say; the mock unless it is set); all cases,
                       or those with CASE in their name; not run without OPENSIPS_SRC
  opensips-soak [--minutes M]
                       a cluster that is away from OpenSIPS while scripts publish 1000 messages a second
                       to it, and 1000 subscriptions that are renewed, both at once for an hour unless
                       told otherwise: SIP and memory meanwhile; not run without OPENSIPS_SRC
  opensips-bench [cost|load] [--tree NAME] [--rounds N] [--rate R] [--seconds S]
                       what the module costs in real OpenSIPS with a real Kafka: each call, beside
                       OpenSIPS' own module where EVENT_KAFKA_UPSTREAM_MODULE names it (an event_kafka.so
                       of the same tree); and the latency of SIP under load while the broker is killed,
                       with and without the module; in the newest tree of OPENSIPS_SRC that is built,
                       3 rounds, at least 20 s each under load, as many requests/s as it takes up to 16,000, unless
                       told otherwise; not run without OPENSIPS_SRC
  plants [NAME]        re-introduces known defects (plants/*.patch) one at a time, in a copy: each
                       must be found by the test or the seeds that it names
  kafka up [--nodes 1|3] [--kafka VERSION] [--port P] [--partitions N] [--fresh]
                       a real Apache Kafka on loopback for hands-on work
  kafka kill|stop|pause|resume|restart NODE
                       what can happen to one of its nodes: SIGKILL, SIGTERM, SIGSTOP, SIGCONT, and
                       started again on the same address and data
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
        Some("chaos") => run_chaos(arguments),
        Some("faults") => faults::print_table(arguments),
        Some("golden") => golden::write(arguments),
        Some("sim") => sim::simulate(arguments),
        Some("opensips-test") => run_opensips_test(arguments),
        Some("opensips-soak") => run_opensips_soak(arguments),
        Some("opensips-bench") => opensips::bench_in_tree(arguments),
        Some("plants") => run_plants(arguments),
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

fn run_plants(arguments: &mut Arguments) -> Result<()> {
    let name = arguments.word();
    arguments.finish()?;
    plants::plant_all(name.as_deref())
}

fn run_opensips_test(arguments: &mut Arguments) -> Result<()> {
    let case = arguments.word();
    arguments.finish()?;
    opensips::test_in_trees(case.as_deref())
}

fn run_opensips_soak(arguments: &mut Arguments) -> Result<()> {
    let minutes = arguments.value("--minutes")?.unwrap_or(60);
    arguments.finish()?;
    if minutes < 10 {
        let text = format!("--minutes {minutes}: messages wait for 5 minutes; give at least 10");
        return Err(Error::Usage(text));
    }
    opensips::soak(minutes)
}

fn run_bench(arguments: &mut Arguments) -> Result<()> {
    arguments.finish()?;
    install::for_benches()?;
    command::run(&mut command::cargo("bench --package event-kafka"))
}

fn run_chaos(arguments: &mut Arguments) -> Result<()> {
    let minutes: Option<u32> = arguments.value("--minutes")?;
    let messages = arguments.value("--messages")?;
    let rate: u64 = arguments.value("--rate")?.unwrap_or(5000);
    let seconds = 60 * u64::from(minutes.unwrap_or(2));
    let plan = Plan {
        version: arguments.value("--kafka")?.unwrap_or_default(),
        messages: messages.unwrap_or(rate.saturating_mul(seconds)),
        rate,
        seed: arguments.value("--seed")?.unwrap_or_else(any_seed),
        only: arguments.value("--only")?,
        idempotent: arguments.flag("--idempotent"),
        beside: arguments.value("--beside")?,
    };
    arguments.finish()?;
    if minutes.is_some() && messages.is_some() {
        let text = "--minutes and --messages both say when to end; give one".to_owned();
        return Err(Error::Usage(text));
    }
    if plan.rate == 0 || plan.messages == 0 {
        let text = "nothing to publish: --rate, --minutes and --messages are at least 1".to_owned();
        return Err(Error::Usage(text));
    }
    install::for_chaos()?;
    chaos::carry_out(&plan)
}

/// Short enough to be typed again.
fn any_seed() -> u64 {
    fastrand::u64(0..100_000)
}

fn run_kafka(arguments: &mut Arguments) -> Result<()> {
    let command = arguments.word();
    match command.as_deref() {
        Some("up") => kafka_up(arguments),
        Some("down") => {
            arguments.finish()?;
            kafka::down()
        }
        Some("kill") => kafka_node(NodeCommand::Kill, arguments),
        Some("stop") => kafka_node(NodeCommand::Stop, arguments),
        Some("pause") => kafka_node(NodeCommand::Pause, arguments),
        Some("resume") => kafka_node(NodeCommand::Resume, arguments),
        Some("restart") => kafka_node(NodeCommand::Restart, arguments),
        _ => Err(Error::Usage(
            "kafka wants `up`, `down`, `kill`, `stop`, `pause`, `resume` or `restart`".to_owned(),
        )),
    }
}

fn kafka_up(arguments: &mut Arguments) -> Result<()> {
    let like = Options::default();
    let cluster = Options {
        nodes: arguments.value("--nodes")?.unwrap_or(like.nodes),
        version: arguments.value("--kafka")?.unwrap_or(like.version),
        partitions: arguments.value("--partitions")?.unwrap_or(like.partitions),
        properties: like.properties,
    };
    let options = UpOptions {
        cluster,
        port: arguments.value("--port")?,
        fresh: arguments.flag("--fresh"),
    };
    arguments.finish()?;
    install::for_brokers()?;
    kafka::up(&options)
}

fn kafka_node(command: NodeCommand, arguments: &mut Arguments) -> Result<()> {
    let node = arguments.word();
    arguments.finish()?;
    match node.as_deref().map(str::parse) {
        Some(Ok(id)) => kafka::command_node(command, id),
        _ => Err(Error::Usage("a node is missing: 1, 2 or 3".to_owned())),
    }
}
