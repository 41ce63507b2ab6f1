use std::fmt;

use super::property::{Handling, Property, UntilThen};
use super::value::Value;

/// A property that was set to no effect, or to another one than it seems.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// The property as it was written.
    pub property: Box<str>,
    /// The name that librdkafka's documentation lists it under.
    pub canonical: &'static str,
    /// What about it.
    pub reason: Reason,
}

/// What a warning is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It is a consumer's property.
    ConsumerOnly,
    /// Nothing depends on it.
    NoEffect {
        /// Why.
        because: &'static str,
    },
    /// Nothing depends on it yet.
    NotYet {
        /// What has to be there first.
        waits_for: &'static str,
    },
    /// It is more than another property allows, which counts.
    Capped {
        /// The other property, as it was written.
        by: Box<str>,
    },
    /// It counts only if another property has one of some values.
    Unused {
        /// When it counts.
        unless: &'static str,
    },
    /// Brokers refuse some of its characters, which are sent as `-`.
    Sanitized,
}

impl Reason {
    /// What there is to say about a value that was set.
    pub(super) fn of(property: &Property, value: &Value) -> Option<Self> {
        match property.handling {
            Handling::ConsumerOnly => Some(Self::ConsumerOnly),
            Handling::AcceptedNoOp { reason } if !property.is_default(value) => {
                Some(Self::NoEffect { because: reason })
            }
            Handling::Planned {
                waits_for,
                until_then: UntilThen::Ignored,
            } if !is_off(value) => Some(Self::NotYet { waits_for }),
            _ => None,
        }
    }
}

/// Doing nothing yet is then just what was asked for.
fn is_off(value: &Value) -> bool {
    matches!(value, Value::Boolean(false) | Value::Integer(0))
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "property {}", self.property)?;
        if self.canonical != &*self.property {
            write!(f, " ({})", self.canonical)?;
        }
        match &self.reason {
            Reason::ConsumerOnly => {
                write!(
                    f,
                    " belongs to consumers; a producer ignores it, leave it out"
                )
            }
            Reason::NoEffect { because } => write!(f, " has no effect: {because}; leave it out"),
            Reason::NotYet { waits_for } => {
                write!(f, " has no effect yet: it waits for {waits_for}")
            }
            Reason::Capped { by } => write!(f, " is more than {by}, which counts; lower it"),
            Reason::Unused { unless } => write!(f, " has no effect unless {unless}"),
            Reason::Sanitized => write!(
                f,
                " may have letters, digits, '-' and '.' only; others are sent as '-'"
            ),
        }
    }
}
