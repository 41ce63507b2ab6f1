use std::fmt;

use super::brokers::BrokersError;
use super::table::{self, Scope};

/// A property that cannot be set, or that contradicts another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The property as it was written.
    pub property: Box<str>,
    /// The name that librdkafka's documentation lists it under; `None` if it is unknown.
    pub canonical: Option<&'static str>,
    /// The value as it was written. Not part of the text for an unknown name: it may be a secret.
    pub value: Box<str>,
    /// What is wrong.
    pub problem: Problem,
}

/// What is wrong with a property.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// No such property.
    Unknown {
        /// A known name that looks like it.
        suggestion: Option<&'static str>,
    },
    /// It belongs to the producer, not to a topic.
    GlobalOnly,
    /// It has to be set.
    Missing,
    /// The value is empty.
    Empty {
        /// What would be right.
        allowed: String,
    },
    /// The value is no integer, no number, no boolean or none of the words.
    Malformed {
        /// What would be right.
        allowed: String,
    },
    /// The value is of the right kind but too small or too large.
    OutOfRange {
        /// What would be right.
        allowed: String,
    },
    /// The list of brokers is malformed.
    Brokers(BrokersError),
    /// The value contradicts another property.
    Conflict {
        /// The relation that does not hold.
        rule: &'static str,
        /// The other property, as it was written.
        other: Box<str>,
        /// Its value, as it was written.
        other_value: Box<str>,
    },
}

impl ConfigError {
    /// librdkafka's code: -2 for a name that does not exist (`RD_KAFKA_CONF_UNKNOWN`), else -1
    /// (`RD_KAFKA_CONF_INVALID`).
    pub fn code(&self) -> i32 {
        match self.problem {
            Problem::Unknown { .. } => -2,
            _ => -1,
        }
    }

    pub(super) fn unknown(name: &str) -> Self {
        let problem = Problem::Unknown {
            suggestion: table::suggest(name),
        };
        Self {
            property: name.into(),
            canonical: None,
            value: Box::default(),
            problem,
        }
    }

    pub(super) fn not_of_a_topic(name: &str) -> Self {
        match table::find(Scope::Global, name) {
            None => Self::unknown(name),
            Some(property) => Self {
                property: name.into(),
                canonical: Some(property.name),
                value: Box::default(),
                problem: Problem::GlobalOnly,
            },
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "property {}", self.property)?;
        if let Some(canonical) = self.canonical.filter(|name| *name != &*self.property) {
            write!(f, " ({canonical})")?;
        }
        let value = &self.value;
        match &self.problem {
            Problem::Unknown {
                suggestion: Some(name),
            } => {
                write!(f, ": no such property; did you mean {name}?")
            }
            Problem::Unknown { suggestion: None } => {
                write!(f, ": no such property; check the spelling, case counts")
            }
            Problem::GlobalOnly => {
                write!(
                    f,
                    ": it belongs to the producer, not to a topic; set it there (g. in a socket)"
                )
            }
            Problem::Missing => write!(f, ": it is not set; give a broker as host:port"),
            Problem::Empty { allowed } => write!(f, ": the value is empty; give {allowed}"),
            Problem::Malformed { allowed } => {
                write!(f, ": value {value:?} is malformed; give {allowed}")
            }
            Problem::OutOfRange { allowed } => {
                write!(f, ": value {value:?} is out of range; give {allowed}")
            }
            Problem::Brokers(error) => write!(f, ": {error}"),
            Problem::Conflict {
                rule,
                other,
                other_value,
            } => write!(
                f,
                ": value {value:?} {rule} {other}, which is {other_value:?}; change one of the two"
            ),
        }
    }
}

impl std::error::Error for ConfigError {}
