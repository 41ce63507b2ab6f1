//! The grammar of sockets: `[kafka:]brokers/topic[?name=value&...]`; `docs/sockets.md` has it for
//! operators.
//!
//! Everything that OpenSIPS' own module accepts is accepted. What it rejects but could understand
//! is accepted, too (`=` in a value), and what it ignores with a line in the log, or dies of, is an
//! error that says where and what to do. `strict=0` makes warnings of what it ignores.
//!
//! A socket may hold secrets. Nothing here shows a value of a property that is sensitive or
//! unknown, nor text that only might be a name: a password with an `&` in it falls apart into
//! things that look like properties.

mod broker_id;
mod error;
mod item;
mod key;
mod members;
mod property;
mod resolve;

use std::borrow::Cow;

use super::Payload;
use crate::config::parse_brokers;
use crate::topic_name::check_topic_name;
use item::{Item, Items};
use property::HEADER;

pub use broker_id::{BrokerId, BrokerIds};
pub use error::{SocketError, SocketNotice, SocketProblem, SocketWarning};
pub use key::KeySource;
pub use members::Members;
pub use property::{SocketHeader, SocketProperty, SocketValue};
pub use resolve::{Outside, ResolvedSocket, System};

/// A socket, taken apart; nothing but its text was read for that.
///
/// [`Socket::resolve`] reads the files and variables that it names, and
/// [`ResolvedSocket::configure`] judges its properties.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Socket<'a> {
    /// The list of brokers; may be empty if `bootstrap.servers` comes from elsewhere.
    pub brokers: &'a str,
    /// The topic.
    pub topic: &'a str,
    /// What becomes the key of an event.
    pub key: KeySource<'a>,
    /// What becomes of text in an event that JSON cannot have.
    pub payload: Payload,
    /// What an event says of itself.
    pub members: Members,
    /// The headers of every message, in the order in which they stand.
    pub headers: Vec<SocketHeader<'a>>,
    /// Whether unknown and invalid properties are errors (the default) or warnings (`strict=0`).
    pub strict: bool,
    /// The properties of the producer and of the topic, in the order in which they stand.
    pub properties: Vec<SocketProperty<'a>>,
    /// The files of properties (`config=`), in the order in which they stand.
    pub files: Vec<ConfigFile<'a>>,
    /// What its author should know.
    pub warnings: Vec<SocketWarning>,
    brokers_at: usize,
    /// The properties of which only the first one counts, and where they begin.
    once: Vec<(&'a str, usize)>,
}

/// A file of properties that a socket names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigFile<'a> {
    /// Its path.
    pub path: Cow<'a, str>,
    /// Where the path stands, in bytes from the start of the socket.
    pub position: usize,
}

impl<'a> Socket<'a> {
    /// Takes a socket apart.
    ///
    /// # Errors
    /// The first place that does not follow the grammar, or else, unless `strict=0`, the first
    /// property that is none.
    ///
    /// ```
    /// # use event_kafka::opensips::Socket;
    /// let socket = Socket::parse("kafka:10.0.0.1,10.0.0.2:9093/sip-events?t.acks=all")?;
    /// assert_eq!(socket.topic, "sip-events");
    /// # Ok::<_, event_kafka::opensips::SocketError>(())
    /// ```
    pub fn parse(text: &'a str) -> Result<Self, SocketError> {
        Self::parse_from(text, 0)
    }

    /// Parses what follows `start`; positions count from the start of `text`.
    fn parse_from(text: &'a str, start: usize) -> Result<Self, SocketError> {
        let at = |part: &str| offset_in(text, part);
        let address = without_transport(&text[start..]);
        let (path, query) = match address.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (address, None),
        };
        if let Some(place) = path.find("://") {
            return Err(SocketError::new(at(path) + place, SocketProblem::Protocol));
        }
        let (brokers, topic) = path
            .split_once('/')
            .ok_or_else(|| SocketError::new(at(path) + path.len(), SocketProblem::NoTopic))?;
        parse_brokers(brokers).map_err(|error| {
            SocketError::new(at(brokers) + error.offset, SocketProblem::Brokers(error))
        })?;
        let mut socket = Self {
            brokers,
            topic: topic.trim_ascii(),
            key: KeySource::None,
            payload: Payload::default(),
            members: Members::default(),
            headers: Vec::new(),
            strict: true,
            properties: Vec::new(),
            files: Vec::new(),
            warnings: Vec::new(),
            brokers_at: at(brokers),
            once: Vec::new(),
        };
        check_topic_name(socket.topic).map_err(|error| {
            SocketError::new(at(socket.topic) + error.offset, SocketProblem::Topic(error))
        })?;
        if socket.topic != topic {
            socket.warn(at(topic), SocketNotice::BlanksAroundTopic);
        }
        if let Some(query) = query {
            socket.take_all(Items::of(query, at(query)))?;
        }
        Ok(socket)
    }

    /// What a socket's author should know if it is used for no events: `broker_id` of OpenSIPS and
    /// a command line are given the key and the payload of each message.
    pub fn without_events(&self) -> Vec<SocketWarning> {
        let events_only = [
            ("key", self.key != KeySource::None),
            ("payload", self.payload != Payload::default()),
            ("members", self.members != Members::default()),
        ];
        let set = self.once.iter().filter_map(|&(name, position)| {
            let (name, _) = events_only
                .into_iter()
                .find(|&(known, is_set)| known == name && is_set)?;
            let notice = SocketNotice::ForEventsOnly(name);
            Some(SocketWarning { position, notice })
        });
        set.collect()
    }

    fn take_all(&mut self, items: Items<'a>) -> Result<(), SocketError> {
        let mut refused = Vec::new();
        for item in items {
            refused.extend(self.take(&item?).err());
        }
        // Only now it is known whether `strict=0` stands somewhere.
        let strict = self.strict;
        for error in refused {
            if strict {
                return Err(error);
            }
            self.warnings.push(error.ignored());
        }
        Ok(())
    }

    fn take(&mut self, item: &Item<'a>) -> Result<(), SocketError> {
        match item.name {
            "key" => self.take_once(item, SocketProblem::Key, KeySource::read, |socket, key| {
                socket.key = key;
            }),
            "payload" => {
                self.take_once(item, SocketProblem::Payload, read_payload, |socket, it| {
                    socket.payload = it;
                })
            }
            "members" => {
                self.take_once(item, SocketProblem::Members, Members::read, |socket, it| {
                    socket.members = it;
                })
            }
            "strict" => self.take_once(item, SocketProblem::Strict, read_switch, |socket, it| {
                socket.strict = it;
            }),
            "config" => self.take_file(item),
            name if name.starts_with(HEADER) => {
                SocketHeader::of(item).map(|header| self.headers.push(header))
            }
            _ => SocketProperty::of(item).map(|property| self.properties.push(property)),
        }
    }

    /// Of those that stand twice, the first one counts.
    fn take_once<T>(
        &mut self,
        item: &Item<'a>,
        problem: SocketProblem,
        read: impl FnOnce(SocketValue<'a>) -> Option<T>,
        set: impl FnOnce(&mut Self, T),
    ) -> Result<(), SocketError> {
        let value = read(item.value).ok_or_else(|| SocketError::new(item.value_at(), problem))?;
        match self.once.iter().find(|(name, _)| *name == item.name) {
            Some(&(name, counts)) => {
                let name = name.into();
                self.warn(item.position, SocketNotice::Repeated { name, counts });
            }
            None => {
                self.once.push((item.name, item.position));
                set(self, value);
            }
        }
        Ok(())
    }

    fn take_file(&mut self, item: &Item<'a>) -> Result<(), SocketError> {
        let path = item.value.literal().filter(|path| !path.is_empty());
        self.files.push(ConfigFile {
            path: path.ok_or_else(|| SocketError::new(item.value_at(), SocketProblem::NoPath))?,
            position: item.value_at(),
        });
        Ok(())
    }

    fn warn(&mut self, position: usize, notice: SocketNotice) {
        self.warnings.push(SocketWarning { position, notice });
    }
}

fn read_payload(value: SocketValue<'_>) -> Option<Payload> {
    match value.literal()?.as_ref() {
        "json" => Some(Payload::Json),
        "raw" => Some(Payload::Raw),
        _ => None,
    }
}

fn read_switch(value: SocketValue<'_>) -> Option<bool> {
    match value.literal()?.as_ref() {
        "0" => Some(false),
        "1" => Some(true),
        _ => None,
    }
}

/// OpenSIPS takes the transport off before its modules see a socket, but for `broker_id` there is
/// none, and `kafka` is what many call the host: `kafka:9092/t` has no transport.
fn without_transport(text: &str) -> &str {
    let Some(rest) = text.strip_prefix("kafka:") else {
        return text;
    };
    let end = rest.find([',', '/', '?']).unwrap_or(rest.len());
    let is_port = end > 0 && rest[..end].bytes().all(|byte| byte.is_ascii_digit());
    if is_port { text } else { rest }
}

/// Where `part`, a slice of `text`, begins in it.
fn offset_in(text: &str, part: &str) -> usize {
    part.as_ptr() as usize - text.as_ptr() as usize
}
