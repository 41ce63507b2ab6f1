//! Files and variables that are nowhere but in a test.

use std::ffi::OsString;
use std::io;

use event_kafka::config::Config;
use event_kafka::opensips::{Outside, Socket, SocketError, SocketWarning};

/// What `@file:`, `config=` and `@env:` find.
#[derive(Clone, Copy, Default)]
pub(crate) struct Pretended<'a> {
    pub(crate) files: &'a [(&'a str, &'a [u8])],
    pub(crate) variables: &'a [(&'a str, &'a str)],
}

impl Outside for Pretended<'_> {
    fn file(&self, path: &str) -> io::Result<Vec<u8>> {
        let file = self.files.iter().find(|(known, _)| *known == path);
        file.map(|(_, content)| content.to_vec())
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn variable(&self, name: &str) -> Option<OsString> {
        let variable = self.variables.iter().find(|(known, _)| *known == name);
        variable.map(|(_, value)| value.into())
    }
}

/// What a socket makes of a configuration, and its warnings.
pub(crate) fn configured(
    text: &str,
    outside: Pretended<'_>,
) -> Result<(Config, Vec<SocketWarning>), SocketError> {
    let mut config = Config::default();
    let warnings = Socket::parse(text)?
        .resolve(&outside)?
        .configure(&mut config)?;
    Ok((config, warnings))
}
