//! The command line, taken apart by hand: a parser crate would double the time to build `xtask`.

use std::collections::VecDeque;
use std::str::FromStr;

use xtask::{Error, Result};

/// What is left of the command line; every taker removes what it takes.
#[derive(Debug)]
pub(crate) struct Arguments(VecDeque<String>);

impl Arguments {
    pub(crate) fn new(arguments: impl Iterator<Item = String>) -> Self {
        Self(arguments.collect())
    }

    /// The next argument.
    pub(crate) fn word(&mut self) -> Option<String> {
        self.0.pop_front()
    }

    /// Whether the flag is given.
    pub(crate) fn flag(&mut self, name: &str) -> bool {
        let position = self.0.iter().position(|argument| argument == name);
        position
            .and_then(|position| self.0.remove(position))
            .is_some()
    }

    /// The value after the option, if the option is given.
    pub(crate) fn value<T: FromStr>(&mut self, name: &str) -> Result<Option<T>> {
        let Some(position) = self.0.iter().position(|argument| argument == name) else {
            return Ok(None);
        };
        self.0.remove(position);
        let Some(text) = self.0.remove(position) else {
            return Err(Error::Usage(format!("{name} wants a value")));
        };
        let value = text.parse();
        value
            .map(Some)
            .map_err(|_| Error::Usage(format!("{name} cannot be `{text}`")))
    }

    /// An error if anything is left that nobody took.
    pub(crate) fn finish(&mut self) -> Result<()> {
        match self.word() {
            None => Ok(()),
            Some(left) => Err(Error::Usage(format!("`{left}` is not understood"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(line: &str) -> Arguments {
        Arguments::new(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn options_are_taken_wherever_they_stand() {
        let mut arguments = arguments("--seconds 20 codec --fresh");
        assert!(arguments.flag("--fresh"));
        assert_eq!(arguments.value("--seconds").unwrap(), Some(20));
        assert_eq!(arguments.word().as_deref(), Some("codec"));
        assert!(arguments.finish().is_ok());
    }

    #[test]
    fn what_nobody_took_is_an_error_that_names_it() {
        let error = arguments("--bogus").finish().unwrap_err().to_string();
        assert!(error.contains("--bogus"), "{error}");
    }

    #[test]
    fn a_missing_or_bad_value_is_an_error() {
        for line in ["--port", "--port x", "--port 70000"] {
            assert!(arguments(line).value::<u16>("--port").is_err(), "{line}");
        }
    }
}
