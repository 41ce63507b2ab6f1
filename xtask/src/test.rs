//! `cargo xtask test`: all that has to hold before a change is taken, in one run.

use std::path::PathBuf;
use std::process::{self, Command};

use xtask::kafka::{Cluster, Options, Version};
use xtask::{Error, MOCK_PROFILES, Result, TestBroker};

use crate::command::{cargo, output, run, run_by_line, target_folder};
use crate::containers::{self, Containers};
use crate::install::{self, MUSL};
use crate::steps::Steps;
use crate::tally::{Tally, Target};
use crate::{elf, fuzz, plants, sim};

/// Seconds for each fuzz target: enough to see that the targets build, run and meet no easy crash.
const FUZZ_SECONDS: u32 = 20;

/// Seeds for the simulator: some 20 s.
const SIM_SEEDS: u64 = 2_000;

/// Known defects that are planted, to see that they are found.
const PLANTS: usize = 3;

/// The test target, in every package that has one, that runs against each broker; all others run once.
const SUITE: &str = "brokers";

/// The oldest version of Apache Kafka that is tested for real.
const OLD_KAFKA: &str = "3.7.2";

/// Takes every step, up to the first that fails, and says at the end what was tested.
pub(crate) fn run_all(with_broker: bool) -> Result<()> {
    let mut session = Session::new(with_broker)?;
    let result = session.take_steps();
    session.print_summary();
    result
}

struct Session {
    steps: Steps,
    /// Of the tests that run once.
    tally: Tally,
    /// The first is the one of the tests that run once, too: plain `cargo test` takes it.
    trials: Vec<Trial>,
    with_broker: bool,
}

/// The integration suite against one broker.
struct Trial {
    broker: TestBroker,
    name: String,
    in_container: bool,
    /// `None` until it is run.
    tally: Option<Tally>,
}

impl Session {
    fn new(with_broker: bool) -> Result<Self> {
        let mut trials: Vec<_> = mocks().map(Trial::new).collect();
        if with_broker {
            trials.extend(real_brokers()?.into_iter().map(Trial::new));
            trials.extend(containers::BROKERS.map(Trial::in_container));
        }
        Ok(Self {
            steps: Steps::default(),
            tally: Tally::default(),
            trials,
            with_broker,
        })
    }

    /// Cheap checks first, then the tests, then what takes long to build.
    fn take_steps(&mut self) -> Result<()> {
        let Self {
            steps,
            tally,
            trials,
            with_broker,
        } = self;
        steps.take("tools", || install::for_tests(*with_broker))?;
        steps.take("format", format)?;
        steps.take("lints", lints)?;
        steps.take("dependencies", dependencies)?;
        let (first, rest) = trials.split_first_mut().expect("there is a mock");
        steps.take("tests", || {
            let what = "--workspace --lib --bins --tests --examples";
            first.count(what, tally)
        })?;
        steps.take("doc tests", || {
            let mut none = Tally::default();
            cargo_test("--workspace --doc", &first.broker, tally, &mut none)
        })?;
        steps.take("documentation", documentation)?;
        steps.take("simulator", || sim::simulate_some(SIM_SEEDS))?;
        steps.take("plants", || plants::plant_some(PLANTS))?;
        for trial in rest.iter_mut().filter(|trial| !trial.in_container) {
            steps.take(&trial.name.clone(), || trial.run())?;
        }
        if *with_broker {
            steps.take("containers", || run_in_containers(rest))?;
        }
        steps.take("fuzz smoke", || fuzz::run_targets(FUZZ_SECONDS, None))?;
        steps.take("static binary", || static_binary(*with_broker))
    }

    fn print_summary(&self) {
        self.steps.print_times();
        println!();
        for trial in &self.trials {
            match &trial.tally {
                Some(tally) => println!("brokers: {}: {tally}", trial.name),
                None => println!("brokers: {}: not run", trial.name),
            }
        }
        let suites = self.trials.iter().filter_map(|trial| trial.tally.as_ref());
        println!("{}", suites.fold(self.tally.clone(), Tally::and));
        if !self.with_broker {
            println!("the real brokers were left out (--no-broker)");
        }
    }
}

fn mocks() -> impl Iterator<Item = TestBroker> {
    MOCK_PROFILES.iter().map(|profile| TestBroker::Mock {
        profile: (*profile).to_owned(),
    })
}

/// The one that the environment names, otherwise some of ours.
fn real_brokers() -> Result<Vec<TestBroker>> {
    let kafka = |nodes, version| TestBroker::Kafka {
        nodes,
        version,
        bootstrap: None,
    };
    Ok(match TestBroker::from_environment()? {
        TestBroker::Mock { .. } => vec![
            kafka(1, Version::default()),
            kafka(3, Version::default()),
            kafka(1, OLD_KAFKA.parse()?),
        ],
        named => vec![named],
    })
}

impl Trial {
    fn new(broker: TestBroker) -> Self {
        Self {
            name: broker.to_string(),
            broker,
            in_container: false,
            tally: None,
        }
    }

    fn in_container((name, address): (&str, &str)) -> Self {
        let broker = TestBroker::Outside {
            bootstrap: address.to_owned(),
        };
        Self {
            name: format!("{name} in a container"),
            in_container: true,
            ..Self::new(broker)
        }
    }

    /// With a cluster that all its tests share, which ends with this step.
    fn run(&mut self) -> Result<()> {
        let _cluster = start_if_ours(&mut self.broker)?;
        self.count(
            &format!("--workspace --test {SUITE}"),
            &mut Tally::default(),
        )
    }

    /// Runs these tests, of which the suite must be a part, and counts the others elsewhere.
    fn count(&mut self, what: &str, others: &mut Tally) -> Result<()> {
        let tally = self.tally.insert(Tally::default());
        cargo_test(what, &self.broker, others, tally)?;
        if tally.is_empty() {
            return Err(Error::Failed(format!("no test of `{SUITE}` was run")));
        }
        Ok(())
    }
}

fn start_if_ours(broker: &mut TestBroker) -> Result<Option<Cluster>> {
    let TestBroker::Kafka {
        nodes,
        version,
        bootstrap: bootstrap @ None,
    } = broker
    else {
        return Ok(None);
    };
    let cluster = Cluster::start(&Options {
        nodes: *nodes,
        version: version.clone(),
        ..Options::default()
    })?;
    *bootstrap = Some(cluster.bootstrap());
    Ok(Some(cluster))
}

fn run_in_containers(trials: &mut [Trial]) -> Result<()> {
    let Some(_running) = Containers::start()? else {
        println!("containers: not run, because no container daemon answers");
        return Ok(());
    };
    let mut trials = trials.iter_mut().filter(|trial| trial.in_container);
    trials.try_for_each(|trial| {
        println!("-- {}", trial.name);
        trial.run()
    })
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

/// Runs tests against a broker; those of the integration suite are counted by themselves.
///
/// All runs select from the whole workspace: with other packages some dependencies would have other
/// features, and everything would be built again.
fn cargo_test(
    what: &str,
    broker: &TestBroker,
    others: &mut Tally,
    suite: &mut Tally,
) -> Result<()> {
    let mut command = cargo(&format!("test --no-fail-fast {what}"));
    broker.name_to(&mut command);
    // For the lines that say which target comes next.
    command.env("CARGO_TERM_COLOR", "never");
    let mut of_suite = false;
    run_by_line(command, |line| {
        println!("{line}");
        if let Some(target) = Target::announced_by(line) {
            of_suite = target.is_test(SUITE);
        }
        let tally = if of_suite { &mut *suite } else { &mut *others };
        tally.read(line);
    })
}

/// The command line as it is shipped: built without a C compiler, static, and able to publish.
fn static_binary(with_broker: bool) -> Result<()> {
    let mut build = cargo(&format!(
        "build --release --target {MUSL} -p event-kafka-cli"
    ));
    run(build.env("CC", "/bin/false").env("CXX", "/bin/false"))?;
    let program = target_folder().join(MUSL).join("release/event-kafka");
    elf::expect_static(&program)?;
    println!("{} is static", program.display());
    if with_broker {
        let cluster = Cluster::start(&Options::default())?;
        publish_and_read_back(program, &cluster.bootstrap())?;
    }
    Ok(())
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
