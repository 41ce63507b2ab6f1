use std::fmt;
use std::str::FromStr;

use crate::{Error, Result};

/// The version of Apache Kafka that the tests run against unless they ask for another.
pub const KAFKA_VERSION: &str = "4.4.0";

/// A version of Apache Kafka, from 3.5 on, as Maven knows it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Version(String);

impl Version {
    /// An error unless the text could be a version: it becomes part of file names.
    pub fn new(text: &str) -> Result<Self> {
        let may_stand = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '-';
        if text.starts_with(|c: char| c.is_ascii_digit()) && text.chars().all(may_stand) {
            return Ok(Self(text.to_owned()));
        }
        Err(Error::Usage(format!(
            "`{text}` is no version of Kafka; say one like {KAFKA_VERSION}"
        )))
    }

    /// The text that it was made from.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// [`KAFKA_VERSION`].
impl Default for Version {
    fn default() -> Self {
        Self(KAFKA_VERSION.to_owned())
    }
}

impl FromStr for Version {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::new(text)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_lead_out_of_its_folder_is_no_version() {
        for text in ["4.4.0", "3.7.2", "4.0.0-rc1"] {
            assert_eq!(Version::new(text).unwrap().as_str(), text);
        }
        for text in ["", "latest", "../4.4.0", "4.4.0/..", "4 4"] {
            assert!(Version::new(text).is_err(), "{text:?}");
        }
    }
}
