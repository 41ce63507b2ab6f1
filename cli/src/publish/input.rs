//! Where messages come from.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};
use std::{process, vec};

use event_kafka::PublishError;
use event_kafka::opensips::{Event, EventIds, Params, Socket, Value};
use nix::unistd::gethostname;

use super::Options;
use crate::error::Error;

pub(super) enum Input {
    /// Values; `None` is a tombstone.
    List(vec::IntoIter<Option<Vec<u8>>>),
    Lines {
        name: PathBuf,
        reader: Box<dyn BufRead + Send>,
        /// The longest line that is taken, in bytes. None longer fits a batch.
        limit: usize,
        /// Whether a person is expected to type them.
        typed: bool,
    },
}

impl Input {
    pub(super) fn open(
        options: &Options,
        socket: &Socket<'_>,
        limit: usize,
    ) -> Result<Self, Error> {
        if options.null {
            Ok(Self::list([None]))
        } else if let Some(name) = &options.event {
            Ok(Self::list([Some(event(socket, name, &options.param)?)]))
        } else if let Some(path) = &options.file {
            let file = open_file(path).map_err(|error| Error::read(path, error))?;
            Ok(Self::Lines {
                name: path.clone(),
                reader: Box::new(BufReader::new(file)),
                limit,
                typed: false,
            })
        } else if options.messages.is_empty() {
            let stdin = io::stdin();
            Ok(Self::Lines {
                name: "standard input".into(),
                typed: stdin.is_terminal(),
                reader: Box::new(BufReader::new(stdin)),
                limit,
            })
        } else {
            let values = options
                .messages
                .iter()
                .map(|message| Some(bytes(message).to_vec()));
            Ok(Self::list(values))
        }
    }

    fn list(values: impl IntoIterator<Item = Option<Vec<u8>>>) -> Self {
        Self::List(values.into_iter().collect::<Vec<_>>().into_iter())
    }

    /// How many messages there will be, if that is known.
    pub(super) fn count(&self) -> Option<u64> {
        match self {
            Self::List(values) => Some(values.len() as u64),
            Self::Lines { .. } => None,
        }
    }

    pub(super) fn is_typed(&self) -> bool {
        matches!(self, Self::Lines { typed: true, .. })
    }

    /// Reads the next message into `value`; `None` at the end.
    pub(super) fn next(&mut self, value: &mut Vec<u8>) -> Result<Option<Content>, Error> {
        value.clear();
        match self {
            Self::List(values) => Ok(values.next().map(|next| match next {
                None => Content::Tombstone,
                Some(bytes) => {
                    *value = bytes;
                    Content::Value
                }
            })),
            Self::Lines {
                name,
                reader,
                limit,
                ..
            } => next_line(reader, *limit, value).map_err(|error| Error::read(name, error)),
        }
    }
}

pub(super) enum Content {
    /// What was read.
    Value,
    /// No value at all.
    Tombstone,
    /// Nothing that could be published.
    TooLarge(PublishError),
}

/// A folder opens like a file and fails once it is read, when the producer is at work already.
fn open_file(path: &Path) -> io::Result<File> {
    let file = File::open(path)?;
    if file.metadata()?.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    Ok(file)
}

/// Nobody says how long a line is before its end is there: what is too long passes by unkept.
fn next_line(
    reader: &mut dyn BufRead,
    limit: usize,
    line: &mut Vec<u8>,
) -> io::Result<Option<Content>> {
    let mut start = reader.take(limit as u64 + 1);
    if start.read_until(b'\n', line)? == 0 {
        return Ok(None);
    }
    if line.last() == Some(&b'\n') {
        line.pop();
    } else if line.len() > limit {
        let size = line.len() + reader.skip_until(b'\n')?;
        let error = PublishError::MessageTooLarge { size, limit };
        return Ok(Some(Content::TooLarge(error)));
    }
    Ok(Some(Content::Value))
}

pub(super) fn bytes(text: &OsString) -> &[u8] {
    text.as_encoded_bytes()
}

/// The payload of an event that is raised now, here.
fn event(socket: &Socket<'_>, name: &OsString, params: &[OsString]) -> Result<Vec<u8>, Error> {
    let named = named_params(params);
    let parsed = params.iter().map(|param| parse_param(bytes(param)));
    let values: Vec<_> = parsed.map(|(_, value)| value).collect();
    let params = if named.len() == values.len() {
        Params::Named(&named)
    } else if named.is_empty() {
        Params::Positional(&values)
    } else {
        return Err(Error::MixedParams);
    };
    let (now, node) = (SystemTime::now(), gethostname().unwrap_or_default());
    let (node, members) = (bytes(&node), socket.members);
    let event = Event {
        id: members
            .id
            .then(|| EventIds::new(node, process::id(), now).next()),
        timestamp: members.timestamp.then(|| milliseconds(now)),
        node: members.node.then_some(node),
        ..Event::new(bytes(name), params)
    };
    let mut payload = Vec::new();
    event.write(socket.payload, &mut payload);
    Ok(payload)
}

fn milliseconds(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_millis() as i64
}

/// The parameters that have a name.
pub(super) fn named_params(params: &[OsString]) -> Vec<(&[u8], Value<'_>)> {
    let params = params.iter().map(|param| parse_param(bytes(param)));
    params
        .filter_map(|(name, value)| name.map(|name| (name, value)))
        .collect()
}

/// `NAME=VALUE`, or `VALUE` or `=VALUE` without a name.
fn parse_param(text: &[u8]) -> (Option<&[u8]>, Value<'_>) {
    match text.iter().position(|byte| *byte == b'=') {
        None => (None, parse_value(text)),
        Some(0) => (None, parse_value(&text[1..])),
        Some(at) => (Some(&text[..at]), parse_value(&text[at + 1..])),
    }
}

/// A number only if it prints back the same: a caller `0049...` must keep its zeros.
fn parse_value(text: &[u8]) -> Value<'_> {
    let number = str::from_utf8(text)
        .ok()
        .and_then(|text| text.parse::<i32>().ok());
    match number {
        Some(number) if number.to_string().as_bytes() == text => Value::Integer(number),
        _ => Value::Text(text),
    }
}

#[cfg(test)]
mod tests {
    use std::iter;

    use super::*;

    fn payload(params: &[&str]) -> String {
        let params: Vec<_> = params.iter().map(OsString::from).collect();
        let socket = Socket::parse("a/t").unwrap();
        String::from_utf8(event(&socket, &"E".into(), &params).unwrap()).unwrap()
    }

    #[test]
    fn named_and_positional_parameters() {
        assert_eq!(payload(&[]), r#"{"jsonrpc":"2.0","method":"E"}"#);
        assert_eq!(
            payload(&["ip=127.0.0.1", "n=5", "url=a=b"]),
            r#"{"jsonrpc":"2.0","method":"E","params":{"ip":"127.0.0.1","n":5,"url":"a=b"}}"#
        );
        assert_eq!(
            payload(&["first", "-42", "=a=b"]),
            r#"{"jsonrpc":"2.0","method":"E","params":["first",-42,"a=b"]}"#
        );
    }

    #[test]
    fn mixed_parameters_are_refused() {
        let params = ["a=1".into(), "b".into()];
        assert!(matches!(
            event(&Socket::parse("a/t").unwrap(), &"E".into(), &params),
            Err(Error::MixedParams)
        ));
    }

    #[test]
    fn only_integers_that_print_back_the_same_are_numbers() {
        for text in ["0", "-1", "2147483647", "-2147483648"] {
            assert_eq!(
                parse_value(text.as_bytes()),
                Value::Integer(text.parse().unwrap())
            );
        }
        for text in [
            "",
            "-",
            "-0",
            "+5",
            "007",
            "1.0",
            " 1",
            "2147483648",
            "4930123456789",
        ] {
            assert_eq!(parse_value(text.as_bytes()), Value::Text(text.as_bytes()));
        }
        assert_eq!(parse_value(b"\xff1"), Value::Text(b"\xff1"));
    }

    fn input(reader: impl BufRead + Send + 'static, limit: usize) -> Input {
        Input::Lines {
            name: "test".into(),
            reader: Box::new(reader),
            limit,
            typed: false,
        }
    }

    fn lines(text: &'static [u8]) -> Vec<Vec<u8>> {
        let mut input = input(text, 1000);
        let mut value = Vec::new();
        let mut all = Vec::new();
        while input.next(&mut value).unwrap().is_some() {
            all.push(value.clone());
        }
        all
    }

    #[test]
    fn lines_lose_their_line_feed_and_nothing_else() {
        assert_eq!(
            lines(b"a\r\n\n\xff\0b\nlast"),
            [&b"a\r"[..], b"", b"\xff\0b", b"last"]
        );
        assert_eq!(lines(b""), [&b""[..]; 0]);
        assert_eq!(lines(b"\n"), [b""]);
    }

    #[test]
    fn only_the_lines_beyond_the_limit_are_too_large() {
        let mut input = input(&b"abc\nabcd\n\nabcdefgh\nabc"[..], 3);
        let mut value = Vec::new();
        let mut next = || match input.next(&mut value).unwrap()? {
            Content::TooLarge(PublishError::MessageTooLarge { limit: 3, .. }) => Some(None),
            _ => Some(Some(value.clone())),
        };
        let lines: Vec<_> = iter::from_fn(&mut next).collect();
        let text = |text: &str| Some(text.as_bytes().to_vec());
        assert_eq!(lines, [text("abc"), None, text(""), None, text("abc")]);
    }

    #[test]
    fn a_line_that_is_too_large_is_not_kept() {
        let long = io::repeat(b'x').take(10_000_000);
        let mut input = input(BufReader::new(long), 1000);
        let mut value = Vec::new();
        let read = input.next(&mut value).unwrap();
        assert!(matches!(
            read,
            Some(Content::TooLarge(PublishError::MessageTooLarge {
                size: 10_000_000,
                limit: 1000
            }))
        ));
        assert!(value.capacity() < 10_000, "{}", value.capacity());
        assert!(input.next(&mut value).unwrap().is_none());
    }
}
