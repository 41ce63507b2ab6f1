//! `cargo xtask test`: all that has to hold before a change is taken, in one run.

use std::env;
use std::path::PathBuf;
use std::process::{self, Command};

use xtask::kafka::{Cluster, KAFKA_VERSION, Options};
use xtask::{Error, Result};

use crate::command::{cargo, output, run, run_by_line, target_folder};
use crate::containers::{BROKERS, Containers};
use crate::install::{self, MUSL};
use crate::steps::Steps;
use crate::tally::Tally;
use crate::{elf, fuzz};

/// Seconds for each fuzz target: enough to see that the targets build, run and meet no easy crash.
const FUZZ_SECONDS: u32 = 20;

/// `tests/support` reads these two.
const BOOTSTRAP: &str = "EVENT_KAFKA_TEST_BOOTSTRAP";
const NO_BROKER: &str = "EVENT_KAFKA_NO_BROKER";

/// Takes every step, up to the first that fails, and says at the end what was tested.
pub(crate) fn run_all(with_broker: bool) -> Result<()> {
    let mut session = Session::new(with_broker);
    let result = session.take_steps();
    session.print_summary();
    result
}

struct Session {
    steps: Steps,
    tally: Tally,
    broker: Broker,
    containers: &'static str,
}

/// What the integration tests run against.
enum Broker {
    LeftOut,
    /// To be started when its step comes.
    Awaited,
    /// Named by the environment.
    Outside(String),
    Own(Cluster),
}

impl Session {
    fn new(with_broker: bool) -> Self {
        let broker = match env::var(BOOTSTRAP) {
            _ if !with_broker => Broker::LeftOut,
            Ok(bootstrap) => Broker::Outside(bootstrap),
            Err(_) => Broker::Awaited,
        };
        Self {
            steps: Steps::default(),
            tally: Tally::default(),
            broker,
            containers: "not run",
        }
    }

    /// Cheap checks first, then the tests, then what takes long to build.
    fn take_steps(&mut self) -> Result<()> {
        let with_broker = !matches!(self.broker, Broker::LeftOut);
        self.steps
            .take("tools", || install::for_tests(with_broker))?;
        self.steps.take("format", format)?;
        self.steps.take("lints", lints)?;
        self.steps.take("dependencies", dependencies)?;
        if let Broker::Awaited = self.broker {
            let cluster = self.steps.take("broker", start_broker)?;
            self.broker = Broker::Own(cluster);
        }
        let (bootstrap, tally) = (self.broker.bootstrap(), &mut self.tally);
        let bootstrap = bootstrap.as_deref();
        self.steps.take("tests", || {
            cargo_test(
                "--workspace --lib --bins --tests --examples",
                bootstrap,
                tally,
            )
        })?;
        self.steps
            .take("doc tests", || cargo_test("--workspace --doc", None, tally))?;
        self.steps.take("documentation", documentation)?;
        if with_broker {
            self.containers = self.steps.take("containers", || containers(tally))?;
        }
        self.steps
            .take("fuzz smoke", || fuzz::run_targets(FUZZ_SECONDS, None))?;
        self.steps
            .take("static binary", || static_binary(bootstrap))
    }

    fn print_summary(&self) {
        self.steps.print_times();
        println!(
            "\nbrokers: {}; containers: {}",
            self.broker, self.containers
        );
        println!("{}", self.tally);
        if let Broker::LeftOut = self.broker {
            println!("the real broker was left out (--no-broker)");
        }
    }
}

impl Broker {
    fn bootstrap(&self) -> Option<String> {
        match self {
            Self::LeftOut | Self::Awaited => None,
            Self::Outside(bootstrap) => Some(bootstrap.clone()),
            Self::Own(cluster) => Some(cluster.bootstrap()),
        }
    }
}

impl std::fmt::Display for Broker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::LeftOut => write!(f, "none"),
            Self::Awaited => write!(f, "not started"),
            Self::Outside(bootstrap) => write!(f, "{bootstrap} (from {BOOTSTRAP})"),
            Self::Own(cluster) => {
                let bootstrap = cluster.bootstrap();
                write!(f, "Apache Kafka {KAFKA_VERSION}, 1 node, {bootstrap}")
            }
        }
    }
}

/// `fuzz/` is a workspace of its own.
fn format() -> Result<()> {
    run(&mut cargo("fmt --all --check"))?;
    run(&mut cargo("fmt --manifest-path fuzz/Cargo.toml --check"))
}

fn lints() -> Result<()> {
    run(&mut cargo(
        "clippy --workspace --all-targets -- -D warnings",
    ))?;
    run(&mut cargo(
        "clippy --manifest-path fuzz/Cargo.toml --locked -- -D warnings",
    ))
}

/// Licences, sources, and no crate that compiles C (`deny.toml`).
fn dependencies() -> Result<()> {
    run(&mut cargo("deny --workspace check bans licenses sources"))
}

/// Links that lead nowhere are errors.
fn documentation() -> Result<()> {
    run(cargo("doc --workspace --no-deps").env("RUSTDOCFLAGS", "-D warnings"))
}

fn start_broker() -> Result<Cluster> {
    let cluster = Cluster::start(&Options::default())?;
    println!("Apache Kafka {KAFKA_VERSION} at {}", cluster.bootstrap());
    Ok(cluster)
}

/// Without a broker the tests that need one skip themselves.
fn cargo_test(what: &str, bootstrap: Option<&str>, tally: &mut Tally) -> Result<()> {
    let mut command = cargo(&format!("test --no-fail-fast {what}"));
    match bootstrap {
        Some(bootstrap) => command.env(BOOTSTRAP, bootstrap),
        None => command.env(NO_BROKER, "1"),
    };
    run_by_line(command, |line| {
        tally.read(line);
        println!("{line}");
    })
}

/// The integration tests once more against each broker in a container.
fn containers(tally: &mut Tally) -> Result<&'static str> {
    let Some(_running) = Containers::start()? else {
        println!("containers: not run");
        return Ok("not run");
    };
    for (name, address) in BROKERS {
        println!("-- {name} at {address}");
        let what = "--package event-kafka --package event-kafka-cli --test *";
        cargo_test(what, Some(address), tally)?;
    }
    Ok("Apache Kafka, Redpanda")
}

/// The command line as it is shipped: built without a C compiler, static, and able to publish.
fn static_binary(bootstrap: Option<&str>) -> Result<()> {
    let mut build = cargo(&format!(
        "build --release --target {MUSL} -p event-kafka-cli"
    ));
    run(build.env("CC", "/bin/false").env("CXX", "/bin/false"))?;
    let program = target_folder().join(MUSL).join("release/event-kafka");
    elf::expect_static(&program)?;
    println!("{} is static", program.display());
    bootstrap.map_or(Ok(()), |bootstrap| {
        publish_and_read_back(program, bootstrap)
    })
}

fn publish_and_read_back(program: PathBuf, bootstrap: &str) -> Result<()> {
    let message = "from the static binary";
    let topic = format!("static-binary-{}", process::id());
    run(Command::new(program).args(["publish", &format!("kafka:{bootstrap}/{topic}"), message]))?;
    let read = format!("-b {bootstrap} -C -t {topic} -o beginning -e -q");
    let read = output(Command::new("kcat").args(read.split_whitespace()))?;
    if read.trim_end() != message {
        return Err(Error::Failed(format!(
            "kcat read {read:?} instead of {message:?}"
        )));
    }
    println!("kcat read what the static binary published");
    Ok(())
}
