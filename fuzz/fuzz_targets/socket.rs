//! No socket makes parser or configuration panic, points beside itself, or shows what it found in
//! files and variables.

#![no_main]

use std::ffi::OsString;
use std::io;

use event_kafka::config::Config;
use event_kafka::opensips::{BrokerId, Outside, Socket, SocketError};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(broker) = look_at(text, BrokerId::parse(text)) {
        let _ = look_at(text, obey(text, &broker.socket));
    }
    if let Ok(socket) = look_at(text, Socket::parse(text)) {
        assert!(text.contains(socket.brokers) && text.contains(socket.topic));
        let _ = look_at(text, obey(text, &socket));
    }
});

fn obey(text: &str, socket: &Socket<'_>) -> Result<(), SocketError> {
    let mut config = Config::default();
    let warnings = socket.resolve(&Found)?.configure(&mut config)?;
    for warning in warnings {
        assert!(is_discreet(text, &format!("{warning} {warning:?}")));
    }
    let _ = config.finish();
    Ok(())
}

fn look_at<T>(text: &str, result: Result<T, SocketError>) -> Result<T, SocketError> {
    result.inspect_err(|error| {
        assert!(text.is_char_boundary(error.position));
        assert!(is_discreet(text, &format!("{error} {error:?}")));
    })
}

/// Whether nothing is shown that was found elsewhere than in the socket itself.
fn is_discreet(text: &str, shown: &str) -> bool {
    text.contains(FOUND) || !shown.contains(FOUND)
}

/// Finds the same in every file and variable.
struct Found;

const FOUND: &str = "hunter2";

impl Outside for Found {
    fn file(&self, path: &str) -> io::Result<Vec<u8>> {
        match path.len() {
            1 => Err(io::ErrorKind::NotFound.into()),
            2 => Ok(b"\xff".into()),
            3 => Ok(b"sasl.password=hunter2\nsasl.password: hunter2=x".into()),
            _ => Ok(FOUND.into()),
        }
    }

    fn variable(&self, name: &str) -> Option<OsString> {
        (name.len() > 1).then(|| FOUND.into())
    }
}
