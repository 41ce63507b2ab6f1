//! The thread that reads and publishes.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use event_kafka::opensips::{KeySource, Params, Socket};
use event_kafka::{Header, Producer, PublishError, Record, Topic};

use super::Options;
use super::input::{Content, Input, bytes, named_params};
use super::reporter::Reporter;
use crate::error::Error;
use crate::socket;

pub(super) struct Publisher {
    pub(super) envelope: Envelope,
    pub(super) producer: Producer,
    pub(super) topic: Topic,
    pub(super) reporter: Arc<Reporter>,
    /// Set when nothing more shall be published.
    pub(super) stop: Arc<AtomicBool>,
}

impl Publisher {
    /// Publishes all of `input` and returns when everything accepted is settled, even if the input
    /// could not be read to its end.
    pub(super) fn run(self, input: Input) -> Result<(), Error> {
        let read = self.publish_all(input);
        while !self.stopped() && self.producer.flush(SLICE).is_err() {}
        read
    }

    fn publish_all(&self, mut input: Input) -> Result<(), Error> {
        let headers = self.envelope.headers();
        let mut line = Vec::new();
        let mut n = 0;
        while !self.stopped()
            && let Some(content) = input.next(&mut line)?
        {
            match content {
                Content::Value => self.publish(n, Some(&line), &headers),
                Content::Tombstone => self.publish(n, None, &headers),
                Content::TooLarge(error) => self.refuse(n, &error),
            }
            n += 1;
        }
        Ok(())
    }

    fn publish(&self, n: u64, text: Option<&[u8]>, headers: &[Header<'_>]) {
        let record = match self.envelope.address(text) {
            Ok(record) => record.headers(headers).opaque(n),
            Err(error) => return self.reporter.refuse(n, -186, "_INVALID_ARG", &error),
        };
        let created = self.reporter.begin(n);
        if let Err(error) = self.offer(record.timestamp(created)) {
            self.refuse(n, &error);
        }
    }

    fn refuse(&self, n: u64, error: &PublishError) {
        self.reporter.refuse(n, error.code(), error.name(), error);
    }

    /// Waits while the queue is full, looking up now and then whether it still should.
    fn offer(&self, record: Record<'_>) -> Result<(), PublishError> {
        loop {
            match self.topic.publish_within(record, SLICE) {
                Err(error) if self.never_fits(&error) => return self.topic.publish(record),
                Err(error) if error.is_queue_full() && !self.stopped() => {}
                result => return result,
            }
        }
    }

    /// Whether the queue has no room although nothing is in it.
    fn never_fits(&self, error: &PublishError) -> bool {
        matches!(error, PublishError::TooManyBytes { .. }) && self.producer.balance().held == 0
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// What all messages of a command have in common.
#[cfg_attr(test, derive(Default))]
pub(super) struct Envelope {
    key: Option<Vec<u8>>,
    separator: Option<String>,
    headers: Vec<(String, Vec<u8>)>,
    partition: Option<i32>,
}

impl Envelope {
    /// `--key` and `--key-separator` go over the socket's `key=`. `headers` are the socket's, to
    /// which those of the command line are added.
    pub(super) fn new(options: &Options, socket: &Socket<'_>, headers: &[Header<'_>]) -> Self {
        let of_socket = headers.iter().map(|header| {
            let value = header.value.unwrap_or_default();
            (header.name.to_owned(), value.to_owned())
        });
        let of_options = options.header.iter();
        let of_options = of_options.map(|(name, value)| (name.clone(), value.clone().into_bytes()));
        if options.event.is_none() {
            socket::expect_no_events(socket);
        }
        let key = match (&options.key, &options.key_separator) {
            (None, None) => key_of_event(options, socket),
            (key, _) => key.as_ref().map(|key| bytes(key).to_vec()),
        };
        Self {
            key,
            separator: options.key_separator.clone(),
            headers: of_socket.chain(of_options).collect(),
            partition: options.partition,
        }
    }

    fn headers(&self) -> Vec<Header<'_>> {
        let pairs = self.headers.iter();
        pairs
            .map(|(name, value)| Header {
                name,
                value: Some(value),
            })
            .collect()
    }

    /// The record for a text; without one a tombstone.
    fn address<'a>(&'a self, text: Option<&'a [u8]>) -> Result<Record<'a>, NoSeparator> {
        let (key, value) = match (&self.separator, text) {
            (Some(separator), Some(text)) => {
                let (key, value) =
                    split(text, separator.as_bytes()).ok_or_else(|| NoSeparator {
                        separator: separator.clone(),
                    })?;
                (Some(key), Some(value))
            }
            _ => (self.key.as_deref(), text),
        };
        let mut record = value.map_or_else(Record::tombstone, Record::new);
        if let Some(key) = key {
            record = record.key(key);
        }
        if let Some(partition) = self.partition {
            record = record.partition(partition);
        }
        Ok(record)
    }
}

/// What the socket's `key=` makes of an event that no SIP message has raised.
fn key_of_event(options: &Options, socket: &Socket<'_>) -> Option<Vec<u8>> {
    options.event.as_ref()?;
    if socket.key == KeySource::CallId {
        tracing::warn!(
            "key=callid has no effect on an event that no SIP message raises; give --key"
        );
    }
    let params = named_params(&options.param);
    let key = socket.key.key_of(None, Params::Named(&params));
    key.map(Cow::into_owned)
}

fn split<'a>(text: &'a [u8], separator: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let at = text
        .windows(separator.len())
        .position(|window| window == separator)?;
    Some((&text[..at], &text[at + separator.len()..]))
}

/// A message without the separator that was announced. Guessing that it has no key could put it
/// into the wrong partition.
#[derive(Debug)]
struct NoSeparator {
    separator: String,
}

impl fmt::Display for NoSeparator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let separator = &self.separator;
        write!(
            f,
            "there is no {separator:?} in the message; write key{separator}value"
        )
    }
}

impl std::error::Error for NoSeparator {}

const SLICE: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_separator_parts_key_and_value() {
        assert_eq!(split(b"k|v|w", b"|"), Some((&b"k"[..], &b"v|w"[..])));
        assert_eq!(split(b"k::v", b"::"), Some((&b"k"[..], &b"v"[..])));
        assert_eq!(split(b"|", b"|"), Some((&b""[..], &b""[..])));
        assert_eq!(split(b"k:v", b"::"), None);
        assert_eq!(split(b"", b"|"), None);
    }
}
