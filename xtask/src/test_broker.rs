//! The brokers that the integration tests run against, and how the environment names them.

use std::process::Command;
use std::str::FromStr;
use std::{env, fmt};

use crate::kafka::Version;
use crate::{Error, Result};

/// Names the kind of broker: `mock`, `mock:PROFILE`, `kafka`, `kafka:NODES`, `kafka:NODES@VERSION`.
const BROKER: &str = "EVENT_KAFKA_TEST_BROKER";

/// Names the addresses, `host:port,...`, of one that runs already.
const BOOTSTRAP: &str = "EVENT_KAFKA_TEST_BOOTSTRAP";

/// The profiles of `kafka-mock`; the first is the one of `mock` alone.
pub const MOCK_PROFILES: &[&str] = &[
    "kafka-4.4",
    "kafka-3.9",
    "kafka-3.7",
    "kafka-2.8",
    "kafka-2.3",
    "kafka-0.11",
    "redpanda-24.3",
];

/// What the integration tests run against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TestBroker {
    /// `kafka-mock`, in the process of the test.
    Mock {
        /// What it pretends to be.
        profile: String,
    },
    /// A real Apache Kafka.
    Kafka {
        /// How many nodes it has.
        nodes: u16,
        /// Its version.
        version: Version,
        /// Where one like this runs already; otherwise whoever needs it starts it.
        bootstrap: Option<String>,
    },
    /// One that somebody else runs: nothing is known about it, and it cannot be stopped.
    Outside {
        /// Where it is.
        bootstrap: String,
    },
}

impl TestBroker {
    /// The one that the environment names; the mock when it names none, which needs nothing but
    /// Rust.
    ///
    /// # Errors
    /// A name that is none.
    pub fn from_environment() -> Result<Self> {
        let (broker, bootstrap) = (env::var(BROKER).ok(), env::var(BOOTSTRAP).ok());
        Self::read(broker.as_deref(), bootstrap)
    }

    /// Names it to a command that runs tests.
    pub fn name_to(&self, command: &mut Command) {
        let bootstrap = match self {
            Self::Mock { .. } => None,
            Self::Kafka { bootstrap, .. } => bootstrap.as_deref(),
            Self::Outside { bootstrap } => Some(&**bootstrap),
        };
        let name = self.name();
        let variables = [(BROKER, name.as_deref()), (BOOTSTRAP, bootstrap)];
        for (variable, value) in variables {
            match value {
                Some(value) => command.env(variable, value),
                None => command.env_remove(variable),
            };
        }
    }

    fn read(broker: Option<&str>, bootstrap: Option<String>) -> Result<Self> {
        match (broker, bootstrap) {
            (None, None) => "mock".parse(),
            (None, Some(bootstrap)) => Ok(Self::Outside { bootstrap }),
            (Some(name), bootstrap) => match (name.parse()?, bootstrap) {
                (Self::Mock { .. }, Some(bootstrap)) => Err(Error::Usage(format!(
                    "{BROKER}={name} is started by each test program; unset {BOOTSTRAP}={bootstrap}"
                ))),
                (Self::Kafka { nodes, version, .. }, bootstrap) => Ok(Self::Kafka {
                    nodes,
                    version,
                    bootstrap,
                }),
                (broker, _) => Ok(broker),
            },
        }
    }

    /// What [`FromStr`] reads; an outside broker has only its address.
    fn name(&self) -> Option<String> {
        match self {
            Self::Mock { profile } => Some(format!("mock:{profile}")),
            Self::Kafka { nodes, version, .. } => Some(format!("kafka:{nodes}@{version}")),
            Self::Outside { .. } => None,
        }
    }
}

/// A name as `EVENT_KAFKA_TEST_BROKER` has it.
impl FromStr for TestBroker {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let (kind, rest) = match name.split_once(':') {
            Some((kind, rest)) => (kind, Some(rest)),
            None => (name, None),
        };
        match (kind, rest) {
            ("mock", profile) => Ok(Self::Mock {
                profile: profile.unwrap_or(MOCK_PROFILES[0]).to_owned(),
            }),
            ("kafka", None) => kafka("1", None, name),
            ("kafka", Some(rest)) => match rest.split_once('@') {
                Some((nodes, version)) => kafka(nodes, Some(version), name),
                None => kafka(rest, None, name),
            },
            _ => Err(misnamed(name)),
        }
    }
}

fn kafka(nodes: &str, version: Option<&str>, name: &str) -> Result<TestBroker> {
    Ok(TestBroker::Kafka {
        nodes: nodes.parse().map_err(|_| misnamed(name))?,
        version: version.map_or_else(|| Ok(Version::default()), str::parse)?,
        bootstrap: None,
    })
}

fn misnamed(name: &str) -> Error {
    Error::Usage(format!(
        "{BROKER}={name}: no such broker; say mock, mock:PROFILE, kafka, kafka:3 or kafka:1@3.7.2"
    ))
}

/// In words for people.
impl fmt::Display for TestBroker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mock { profile } => write!(f, "kafka-mock as {profile}"),
            Self::Kafka { nodes, version, .. } => {
                let plural = if *nodes == 1 { "" } else { "s" };
                write!(f, "Apache Kafka {version}, {nodes} node{plural}")
            }
            Self::Outside { bootstrap } => write!(f, "{bootstrap}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(broker: Option<&str>, bootstrap: Option<&str>) -> String {
        let read = TestBroker::read(broker, bootstrap.map(str::to_owned));
        read.map_or_else(|error| error.to_string(), |broker| format!("{broker:?}"))
    }

    fn kafka(nodes: u16, version: &str, bootstrap: Option<&str>) -> TestBroker {
        TestBroker::Kafka {
            nodes,
            version: version.parse().unwrap(),
            bootstrap: bootstrap.map(str::to_owned),
        }
    }

    #[test]
    fn nothing_set_means_the_mock_and_an_address_alone_means_an_outside_broker() {
        let mock = TestBroker::Mock {
            profile: MOCK_PROFILES[0].to_owned(),
        };
        assert_eq!(TestBroker::read(None, None).unwrap(), mock);
        let outside = TestBroker::Outside {
            bootstrap: "a:1,b:2".to_owned(),
        };
        let read = TestBroker::read(None, Some("a:1,b:2".to_owned()));
        assert_eq!(read.unwrap(), outside);
    }

    #[test]
    fn what_is_named_to_a_command_is_what_it_reads() {
        let brokers = [
            TestBroker::Mock {
                profile: "redpanda-24.3".to_owned(),
            },
            kafka(3, "4.4.0", None),
            kafka(1, "3.7.2", Some("a:1")),
            TestBroker::Outside {
                bootstrap: "a:1".to_owned(),
            },
        ];
        for broker in brokers {
            let mut command = Command::new("cargo");
            broker.name_to(&mut command);
            let value = |name: &str| -> Option<String> {
                let mut set = command.get_envs();
                let (_, value) = set.find(|(variable, _)| *variable == name)?;
                Some(value?.to_str()?.to_owned())
            };
            let read = TestBroker::read(value(BROKER).as_deref(), value(BOOTSTRAP));
            assert_eq!(read.unwrap(), broker);
            assert_eq!(command.get_envs().count(), 2, "neither may be inherited");
        }
    }

    #[test]
    fn nodes_and_version_may_be_left_out() {
        for (name, broker) in [
            ("kafka", kafka(1, crate::kafka::KAFKA_VERSION, None)),
            ("kafka:3", kafka(3, crate::kafka::KAFKA_VERSION, None)),
            ("kafka:1@3.7.2", kafka(1, "3.7.2", None)),
        ] {
            assert_eq!(name.parse::<TestBroker>().unwrap(), broker);
        }
    }

    #[test]
    fn a_misspelt_broker_is_no_other_one() {
        for name in [
            "",
            "Kafka",
            "kafka:",
            "kafka:x",
            "kafka@3.7.2",
            "kafka:1@latest",
            "mocks",
        ] {
            let said = read(Some(name), None);
            assert!(said.contains("say "), "{name}: {said}");
        }
        let both = read(Some("mock"), Some("a:1"));
        assert!(both.contains("unset EVENT_KAFKA_TEST_BOOTSTRAP"), "{both}");
    }
}
