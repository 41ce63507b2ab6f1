//! What a socket names but does not hold: files and environment variables, read once and wiped
//! after use.

use std::ffi::OsString;
use std::io::Read;
use std::ops::Deref;
use std::{env, fs, io};

use zeroize::{Zeroize, Zeroizing};

use super::property::{SocketProperty, SocketValue, unescape};
use super::{Socket, SocketError, SocketProblem, SocketWarning};
use crate::Header;
use crate::config::{self, Config, ConfigError, Place, Problem, Written};

/// Where the files and variables of a socket are read; tests bring their own.
pub trait Outside {
    /// The content of a file.
    ///
    /// # Errors
    /// What keeps it from being read.
    fn file(&self, path: &str) -> io::Result<Vec<u8>>;

    /// The value of an environment variable, if it is set.
    fn variable(&self, name: &str) -> Option<OsString>;
}

/// The files and the environment of this process. A file larger than 1 MiB is refused.
#[derive(Clone, Copy, Debug)]
pub struct System;

impl Outside for System {
    fn file(&self, path: &str) -> io::Result<Vec<u8>> {
        let mut file = fs::File::open(path)?;
        let size = file.metadata()?.len().min(LARGEST_FILE);
        // Room for all of it: growing would leave copies behind that nobody wipes.
        let mut content = Vec::with_capacity(size as usize + 1);
        file.by_ref()
            .take(LARGEST_FILE + 1)
            .read_to_end(&mut content)?;
        if content.len() as u64 > LARGEST_FILE {
            content.zeroize();
            return Err(io::Error::other("it is larger than 1 MiB"));
        }
        Ok(content)
    }

    fn variable(&self, name: &str) -> Option<OsString> {
        env::var_os(name)
    }
}

/// A socket with all that it names. What was read is wiped from memory when it is dropped.
pub struct ResolvedSocket<'s> {
    socket: &'s Socket<'s>,
    /// The content of each file of properties.
    files: Vec<Zeroizing<String>>,
    /// The value of each property.
    values: Vec<Text<'s>>,
    /// The value of each header.
    headers: Vec<Text<'s>>,
}

impl Socket<'_> {
    /// Reads the files and the environment variables that the socket names.
    ///
    /// # Errors
    /// The first one that is missing, unreadable or no UTF-8; `strict=0` changes nothing about it.
    pub fn resolve(&self, outside: &impl Outside) -> Result<ResolvedSocket<'_>, SocketError> {
        let files = self.files.iter().map(|file| {
            read_file(outside, &file.path)
                .map_err(|problem| SocketError::new(file.position, problem))
        });
        let value = |value, position| {
            read_value(outside, value).map_err(|problem| SocketError::new(position, problem))
        };
        let properties = self.properties.iter();
        let values = properties.map(|property| value(property.value, property.value_at()));
        let headers = self.headers.iter();
        let headers = headers.map(|header| value(header.value, header.value_at()));
        Ok(ResolvedSocket {
            socket: self,
            files: files.collect::<Result<_, _>>()?,
            values: values.collect::<Result<_, _>>()?,
            headers: headers.collect::<Result<_, _>>()?,
        })
    }
}

impl ResolvedSocket<'_> {
    /// The headers of every message.
    pub fn headers(&self) -> Vec<Header<'_>> {
        let headers = self.socket.headers.iter().zip(&self.headers);
        let headers = headers.map(|(header, value)| Header {
            name: header.name,
            value: Some(value.as_bytes()),
        });
        headers.collect()
    }

    /// Sets the properties: those of the files first, then the brokers, then those of the socket,
    /// which so go over them. Of a property that stands twice in the socket the first one counts,
    /// as it does in OpenSIPS' own module; one of the topic goes over one of the producer. An empty
    /// list of brokers replaces nothing.
    ///
    /// Returns what the socket's author should know.
    ///
    /// # Errors
    /// The first property that cannot be set, unless the socket says `strict=0`. What stands
    /// before it is set.
    pub fn configure(&self, config: &mut Config) -> Result<Vec<SocketWarning>, SocketError> {
        let mut warnings = self.socket.warnings.clone();
        self.configure_by_files(config, &mut warnings)?;
        if !self.socket.brokers.is_empty() {
            // They were read once by `parse`, so that this cannot fail.
            config
                .set("bootstrap.servers", self.socket.brokers)
                .map_err(|error| property_error(self.socket.brokers_at, error))?;
        }
        self.configure_by_properties(config, &mut warnings)?;
        warnings.sort_by_key(|warning| warning.position);
        Ok(warnings)
    }

    fn configure_by_files(
        &self,
        config: &mut Config,
        warnings: &mut Vec<SocketWarning>,
    ) -> Result<(), SocketError> {
        for (file, text) in self.socket.files.iter().zip(&self.files) {
            for line in config::lines(text) {
                let Err(error) = line.and_then(|line| line.configure(config)) else {
                    continue;
                };
                let problem = SocketProblem::File {
                    path: (*file.path).into(),
                    error: Box::new(error),
                };
                self.refuse(SocketError::new(file.position, problem), warnings)?;
            }
        }
        Ok(())
    }

    fn configure_by_properties(
        &self,
        config: &mut Config,
        warnings: &mut Vec<SocketWarning>,
    ) -> Result<(), SocketError> {
        let mut set: Vec<&SocketProperty<'_>> = Vec::new();
        for (property, value) in self.socket.properties.iter().zip(&self.values) {
            let rival = set.iter().position(|rival| rival.rivals(property));
            if let Some(rival) = rival.map(|rival| set[rival])
                && !property.goes_over(rival)
            {
                warnings.push(property.gives_way_to(rival));
                continue;
            }
            match configure_by(property, value, config) {
                Err(error) => self.refuse(error, warnings)?,
                Ok(()) => {
                    let beaten = rival.map(|rival| set.swap_remove(rival));
                    warnings.extend(beaten.map(|rival| rival.gives_way_to(property)));
                    set.push(property);
                }
            }
        }
        Ok(())
    }

    /// An error, or a warning if the socket says `strict=0`.
    fn refuse(
        &self,
        error: SocketError,
        warnings: &mut Vec<SocketWarning>,
    ) -> Result<(), SocketError> {
        if self.socket.strict {
            return Err(error);
        }
        warnings.push(error.ignored());
        Ok(())
    }
}

/// A text of the socket itself, or one that was made of it or read for it.
enum Text<'s> {
    Ours(&'s str),
    Made(Zeroizing<String>),
}

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Self::Ours(text) => text,
            Self::Made(text) => text,
        }
    }
}

fn read_value<'s>(
    outside: &impl Outside,
    value: SocketValue<'s>,
) -> Result<Text<'s>, SocketProblem> {
    Ok(match value {
        SocketValue::Plain(text) => Text::Ours(text),
        SocketValue::Quoted(text) if text.contains('\\') => Text::Made(unescape(text)),
        SocketValue::Quoted(text) => Text::Ours(text),
        SocketValue::File(path) => {
            let mut text = read_file(outside, path)?;
            drop_newline(&mut text);
            Text::Made(text)
        }
        SocketValue::Variable(name) => Text::Made(read_variable(outside, name)?),
    })
}

fn read_file(outside: &impl Outside, path: &str) -> Result<Zeroizing<String>, SocketProblem> {
    let content = outside
        .file(path)
        .map_err(|error| SocketProblem::Unreadable {
            path: path.into(),
            reason: error.to_string().into(),
        })?;
    String::from_utf8(content)
        .map(Zeroizing::new)
        .map_err(|error| {
            error.into_bytes().zeroize();
            SocketProblem::NotUtf8(path.into())
        })
}

fn read_variable(outside: &impl Outside, name: &str) -> Result<Zeroizing<String>, SocketProblem> {
    let value = outside
        .variable(name)
        .ok_or_else(|| SocketProblem::NoVariable(name.into()))?;
    value.into_string().map(Zeroizing::new).map_err(|value| {
        value.into_encoded_bytes().zeroize();
        SocketProblem::NotUtf8(name.into())
    })
}

/// Editors end a file with one.
fn drop_newline(text: &mut String) {
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
}

fn configure_by(
    property: &SocketProperty<'_>,
    value: &str,
    config: &mut Config,
) -> Result<(), SocketError> {
    let read_elsewhere = format!("{:?}", property.value);
    let written = Written {
        name: &property.written(),
        // What was read elsewhere is not shown, whatever it is.
        text: match property.value {
            SocketValue::File(_) | SocketValue::Variable(_) => &read_elsewhere,
            SocketValue::Plain(_) | SocketValue::Quoted(_) => value,
        },
        place: Some(Place::Byte(property.position)),
    };
    let result = config.set_as(property.scope, property.name, value, written);
    result.map_err(|mut error| {
        let position = match error.problem {
            Problem::Unknown { .. } | Problem::GlobalOnly | Problem::DedicatedApi { .. } => {
                property.position
            }
            _ => property.value_at(),
        };
        error.property = property.written().into();
        property_error(position, error)
    })
}

fn property_error(position: usize, error: ConfigError) -> SocketError {
    SocketError::new(position, SocketProblem::Property(Box::new(error)))
}

const LARGEST_FILE: u64 = 1024 * 1024;
