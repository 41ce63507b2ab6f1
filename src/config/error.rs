use std::fmt;

use super::brokers::BrokersError;
use super::property::Scope;
use super::table;

/// A property that cannot be set, or that contradicts another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The property as it was written; of an unknown name as much as can be one.
    pub property: Box<str>,
    /// The name that librdkafka's documentation lists it under; `None` if it is unknown.
    pub canonical: Option<&'static str>,
    /// Where it was written, if it was read from somewhere and only the whole shows the error.
    pub place: Option<Place>,
    /// The value as it was written; `[redacted]` if nobody may see it, empty for a name that is
    /// unknown, as it may be a secret, too.
    pub value: Box<str>,
    /// What is wrong.
    pub problem: Problem,
}

/// Where a property was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In a socket, at that byte, from 0.
    Byte(usize),
    /// In a file, on that line, from 1.
    Line(usize),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Byte(byte) => write!(f, "byte {byte} of the socket"),
            Self::Line(line) => write!(f, "line {line} of the file"),
        }
    }
}

/// Another property that an error is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mention {
    /// The property as it was written.
    pub property: Box<str>,
    /// Its value as it was written; `[redacted]` if nobody may see it.
    pub value: Box<str>,
    /// Where it was written, if it was read from somewhere.
    pub place: Option<Place>,
}

impl fmt::Display for Mention {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, which is {:?}", self.property, self.value)?;
        match self.place {
            Some(place) => write!(f, " at {place}"),
            None => Ok(()),
        }
    }
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
    /// It has to be set because of another property.
    Needed {
        /// The other property, as it was written.
        by: Box<str>,
    },
    /// It cannot be set together with another property.
    NotBoth {
        /// The other property, as it was written.
        other: Box<str>,
    },
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
    /// The value is well-formed, but will never be obeyed.
    Refused {
        /// Why.
        reason: &'static str,
        /// What to do in its place.
        instead: &'static str,
    },
    /// The value is well-formed, but cannot be obeyed yet.
    NotYet {
        /// What has to be there first.
        waits_for: &'static str,
        /// The values that are accepted until then.
        until_then: String,
    },
    /// It is a function or an object, which no text can be.
    DedicatedApi {
        /// The call that sets it, if there is one.
        call: Option<&'static str>,
    },
    /// The value contradicts another property.
    Conflict {
        /// The relation that does not hold.
        rule: &'static str,
        /// The other property.
        other: Box<Mention>,
    },
}

impl ConfigError {
    /// librdkafka's code: -2 (`RD_KAFKA_CONF_UNKNOWN`) for a name that its scope does not have,
    /// else -1 (`RD_KAFKA_CONF_INVALID`).
    pub fn code(&self) -> i32 {
        match self.problem {
            Problem::Unknown { .. } | Problem::GlobalOnly => -2,
            _ => -1,
        }
    }

    pub(super) fn unknown(name: &str) -> Self {
        let problem = Problem::Unknown {
            suggestion: table::suggest(name),
        };
        Self {
            property: readable_name(name).into(),
            canonical: None,
            place: None,
            value: Box::default(),
            problem,
        }
    }

    pub(super) fn not_of_a_topic(name: &str) -> Self {
        match table::find(Scope::Global, name) {
            None => Self::unknown(name),
            Some(id) => Self {
                property: name.into(),
                canonical: Some(id.property().name),
                place: None,
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
        if let Some(place) = self.place {
            write!(f, ", {place}")?;
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
            Problem::Needed { by } => write!(f, ": it is not set, and {by} needs it; set it, too"),
            Problem::NotBoth { other } => {
                write!(
                    f,
                    ": it cannot be set together with {other}; leave one of the two out"
                )
            }
            Problem::Refused { reason, instead } => {
                write!(f, ": value {value:?} is refused: {reason}; {instead}")
            }
            Problem::NotYet {
                waits_for,
                until_then,
            } => write!(
                f,
                ": value {value:?} is not supported yet, it waits for {waits_for}; until then give \
                 {until_then}"
            ),
            Problem::DedicatedApi { call: Some(call) } => {
                write!(f, ": it is no text; use {call}")
            }
            Problem::DedicatedApi { call: None } => {
                write!(
                    f,
                    ": it is no text, and there is no call for it yet; leave it out"
                )
            }
            Problem::Brokers(error) => write!(f, ": {error}"),
            Problem::Conflict { rule, other } => {
                write!(f, ": value {value:?} {rule} {other}; change one of the two")
            }
        }
    }
}

impl std::error::Error for ConfigError {}

/// As much of `name` as can be one. Behind that may be a value that nobody should see, parted by
/// something else than a `=`.
pub fn readable_name(name: &str) -> String {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    match name.find(|c| !legal(c)) {
        None => name.to_owned(),
        Some(end) => format!("{}...", &name[..end]),
    }
}
