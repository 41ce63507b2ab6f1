//! Configuration files: a property a line.

use std::fmt;

use super::{Config, ConfigError, Place, Scope, Written};

impl Config {
    /// Sets what a configuration file says: lines of `name=value`. Empty lines and lines that
    /// begin with `#` are skipped; blanks around name and value do not count.
    ///
    /// # Errors
    /// The first line that is no property or has a wrong one. What stands above it is set.
    pub fn set_from_file(&mut self, text: &str) -> Result<(), FileError> {
        lines(text).try_for_each(|line| line?.configure(self))
    }
}

/// What each line of a configuration file sets.
pub(crate) fn lines(text: &str) -> impl Iterator<Item = Result<Line<'_>, FileError>> {
    (1..).zip(text.lines()).filter_map(|(number, line)| {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            return None;
        }
        Some(match line.split_once('=') {
            Some((name, value)) => Ok(Line {
                number,
                name: name.trim_end(),
                value: value.trim_start(),
            }),
            None => Err(FileError {
                line: number,
                problem: FileProblem::NoEquals,
            }),
        })
    })
}

pub(crate) struct Line<'a> {
    number: usize,
    name: &'a str,
    value: &'a str,
}

impl Line<'_> {
    pub(crate) fn configure(&self, config: &mut Config) -> Result<(), FileError> {
        let written = Written {
            name: self.name,
            text: self.value,
            place: Some(Place::Line(self.number)),
        };
        config
            .set_as(Scope::Global, self.name, self.value, written)
            .map_err(|error| FileError {
                line: self.number,
                problem: FileProblem::Property(error),
            })
    }
}

/// A line of a configuration file that cannot be obeyed. The text begins with the number of the
/// line, so that `FILE:` can stand before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileError {
    /// The number of the line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub problem: FileProblem,
}

/// What is wrong with a line of a configuration file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileProblem {
    /// It has no `=`.
    NoEquals,
    /// Its property cannot be set.
    Property(ConfigError),
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.problem {
            FileProblem::NoEquals => {
                write!(
                    f,
                    "{}: there is no '='; write name=value, or # before a comment",
                    self.line
                )
            }
            FileProblem::Property(error) => write!(f, "{}: {error}", self.line),
        }
    }
}

impl std::error::Error for FileError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.problem {
            FileProblem::NoEquals => None,
            FileProblem::Property(error) => Some(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_comments_and_blanks() {
        let mut config = Config::default();
        config
            .set_from_file("# brokers\r\nbootstrap.servers = a:1,b:2 \r\n\n  #x\n\tclient.id=a=b#c")
            .unwrap();
        let settings = config.finish().unwrap().settings;
        assert_eq!(settings.bootstrap.len(), 2);
        assert_eq!(settings.client_id, "a=b#c");
    }

    #[test]
    fn errors_name_the_line() {
        let error = Config::default()
            .set_from_file("\nlinger.ms\n")
            .unwrap_err();
        assert_eq!((error.line, &error.problem), (2, &FileProblem::NoEquals));

        let error = Config::default()
            .set_from_file("# x\n\nlinger.ms=soon\n")
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "3: property linger.ms (queue.buffering.max.ms): value \"soon\" is malformed; give a \
             number from 0 to 900000"
        );
    }
}
