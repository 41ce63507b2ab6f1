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
mod property;
mod resolve;

use std::borrow::Cow;

use super::{Params, Value};
use crate::config::parse_brokers;
use crate::topic_name::check_topic_name;
use item::{Item, Items};

pub use broker_id::{BrokerId, BrokerIds};
pub use error::{SocketError, SocketNotice, SocketProblem, SocketWarning};
pub use property::{SocketProperty, SocketValue};
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
    /// Whether unknown and invalid properties are errors (the default) or warnings (`strict=0`).
    pub strict: bool,
    /// The properties of the producer and of the topic, in the order in which they stand.
    pub properties: Vec<SocketProperty<'a>>,
    /// The files of properties (`config=`), in the order in which they stand.
    pub files: Vec<ConfigFile<'a>>,
    /// What its author should know.
    pub warnings: Vec<SocketWarning>,
    brokers_at: usize,
    key_at: Option<usize>,
    strict_at: Option<usize>,
}

/// What becomes the key of an event that OpenSIPS raises (`key=`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum KeySource<'a> {
    /// Nothing: events have no key.
    #[default]
    None,
    /// The Call-ID of the SIP message that is being processed.
    CallId,
    /// The parameter of that name.
    Param(Cow<'a, str>),
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
            strict: true,
            properties: Vec::new(),
            files: Vec::new(),
            warnings: Vec::new(),
            brokers_at: at(brokers),
            key_at: None,
            strict_at: None,
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

    /// What a socket's author should know if nobody will look at its `key=`: `broker_id` of
    /// OpenSIPS and a command line are given the key of each message.
    pub fn key_without_effect(&self) -> Option<SocketWarning> {
        let position = self.key_at?;
        (self.key != KeySource::None).then_some(SocketWarning {
            position,
            notice: SocketNotice::KeyWithoutEffect,
        })
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
            "key" => self.take_key(item),
            "config" => self.take_file(item),
            "strict" => self.take_strict(item),
            _ => SocketProperty::of(item).map(|property| self.properties.push(property)),
        }
    }

    fn take_key(&mut self, item: &Item<'a>) -> Result<(), SocketError> {
        let key = KeySource::read(item.value)
            .ok_or_else(|| SocketError::new(item.value_at(), SocketProblem::Key))?;
        match self.key_at {
            Some(first) => self.warn_of_repetition(item, first),
            None => (self.key, self.key_at) = (key, Some(item.position)),
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

    fn take_strict(&mut self, item: &Item<'a>) -> Result<(), SocketError> {
        let strict = match item.value.literal().as_deref() {
            Some("0") => false,
            Some("1") => true,
            _ => return Err(SocketError::new(item.value_at(), SocketProblem::Strict)),
        };
        match self.strict_at {
            Some(first) => self.warn_of_repetition(item, first),
            None => (self.strict, self.strict_at) = (strict, Some(item.position)),
        }
        Ok(())
    }

    fn warn_of_repetition(&mut self, item: &Item<'_>, counts: usize) {
        let name = item.name.into();
        self.warn(item.position, SocketNotice::Repeated { name, counts });
    }

    fn warn(&mut self, position: usize, notice: SocketNotice) {
        self.warnings.push(SocketWarning { position, notice });
    }
}

impl<'a> KeySource<'a> {
    /// The key of an event that was raised for a SIP message with this Call-ID, or for none. What
    /// is empty or missing is no key; of parameters with one name the first counts.
    pub fn key_of<'e>(
        &self,
        call_id: Option<&'e [u8]>,
        params: Params<'e>,
    ) -> Option<Cow<'e, [u8]>> {
        let key = match (self, params) {
            (Self::None, _) | (Self::Param(_), Params::Positional(_)) => None,
            (Self::CallId, _) => call_id.map(Cow::from),
            (Self::Param(wanted), Params::Named(params)) => {
                let mut params = params.iter();
                let (_, value) = params.find(|(name, _)| *name == wanted.as_bytes())?;
                Some(match value {
                    Value::Text(text) => Cow::from(*text),
                    Value::Integer(number) => number.to_string().into_bytes().into(),
                })
            }
        };
        key.filter(|key| !key.is_empty())
    }

    fn read(value: SocketValue<'a>) -> Option<Self> {
        let text = value.literal()?;
        match &*text {
            "none" => Some(Self::None),
            "callid" => Some(Self::CallId),
            _ => {
                let name = text
                    .strip_prefix("param:")
                    .filter(|name| !name.is_empty())?;
                Some(Self::Param(name.to_owned().into()))
            }
        }
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
