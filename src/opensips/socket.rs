//! The grammar of sockets: `[kafka:]brokers/topic[?name=value&...]`.
//!
//! Everything that OpenSIPS' own module accepts is accepted. What it rejects but could understand
//! is accepted too (`=` in a value), and what it ignores with a line in the log, or dies of, is an
//! error that says where and what to do.

use std::fmt;

use crate::config::{BrokersError, Config, ConfigError, Problem, parse_brokers};
use crate::topic_name::{TopicNameError, check_topic_name};

/// A socket, taken apart. Properties are judged by [`Socket::configure`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Socket<'a> {
    /// The list of brokers; may be empty if `bootstrap.servers` comes from elsewhere.
    pub brokers: &'a str,
    /// The topic.
    pub topic: &'a str,
    /// What becomes the key of an event.
    pub key: KeySource<'a>,
    properties: Vec<Property<'a>>,
}

/// What becomes the key of an event that OpenSIPS raises (`key=`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeySource<'a> {
    /// Nothing: events have no key.
    #[default]
    None,
    /// The Call-ID of the SIP message that is being processed.
    CallId,
    /// The parameter of that name.
    Param(&'a str),
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Property<'a> {
    scope: Scope,
    /// With its prefix, as it stands in the socket.
    written: &'a str,
    name: &'a str,
    value: &'a str,
    position: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    Global,
    Topic,
}

impl<'a> Socket<'a> {
    /// Takes a socket apart.
    ///
    /// # Errors
    /// The first place that does not follow the grammar.
    ///
    /// ```
    /// # use event_kafka::opensips::Socket;
    /// let socket = Socket::parse("kafka:10.0.0.1,10.0.0.2:9093/sip-events?t.acks=all")?;
    /// assert_eq!(socket.topic, "sip-events");
    /// # Ok::<_, event_kafka::opensips::SocketError>(())
    /// ```
    pub fn parse(text: &'a str) -> Result<Self, SocketError> {
        let at = |part: &str| offset_in(text, part);
        let address = text.strip_prefix("kafka:").unwrap_or(text);
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
        check_topic_name(topic).map_err(|error| {
            SocketError::new(at(topic) + error.offset, SocketProblem::Topic(error))
        })?;
        let mut socket = Self {
            brokers,
            topic,
            key: KeySource::None,
            properties: Vec::new(),
        };
        for item in query.into_iter().flat_map(|query| query.split('&')) {
            socket
                .add(item, at(item))
                .map_err(|problem| SocketError::new(at(item), problem))?;
        }
        Ok(socket)
    }

    /// Sets brokers and properties in the order in which they stand in the socket, so that
    /// `g.bootstrap.servers` replaces the brokers. An empty list of brokers replaces nothing.
    ///
    /// # Errors
    /// The first property that cannot be set. What stands before it is set.
    pub fn configure(&self, config: &mut Config) -> Result<(), SocketError> {
        if !self.brokers.is_empty() {
            // They were read once by `parse`, so that this cannot fail.
            config
                .set("bootstrap.servers", self.brokers)
                .map_err(|error| SocketError::new(0, SocketProblem::Property(error)))?;
        }
        self.properties
            .iter()
            .try_for_each(|property| property.configure(config))
    }

    fn add(&mut self, item: &'a str, position: usize) -> Result<(), SocketProblem> {
        if item.is_empty() {
            return Err(SocketProblem::NoProperty);
        }
        // Secrets may contain '=': the first one parts name and value.
        let (written, value) = item
            .split_once('=')
            .ok_or_else(|| SocketProblem::NoValue(item.to_owned()))?;
        let property = |scope, name| Property {
            scope,
            written,
            name,
            value,
            position,
        };
        if written == "key" {
            self.key = parse_key(value)?;
        } else if let Some(name) = written.strip_prefix("g.") {
            self.properties.push(property(Scope::Global, name));
        } else if let Some(name) = written.strip_prefix("t.") {
            self.properties.push(property(Scope::Topic, name));
        } else {
            return Err(SocketProblem::Unknown(written.to_owned()));
        }
        Ok(())
    }
}

impl Property<'_> {
    fn configure(&self, config: &mut Config) -> Result<(), SocketError> {
        let result = match self.scope {
            Scope::Global => config.set(self.name, self.value),
            Scope::Topic => config.set_topic(self.name, self.value),
        };
        result.map_err(|mut error| {
            let position = match error.problem {
                Problem::Unknown { .. } | Problem::GlobalOnly => self.position,
                _ => self.position + self.written.len() + "=".len(),
            };
            error.property = self.written.into();
            SocketError::new(position, SocketProblem::Property(error))
        })
    }
}

fn parse_key(value: &str) -> Result<KeySource<'_>, SocketProblem> {
    match (value, value.strip_prefix("param:")) {
        ("none", _) => Ok(KeySource::None),
        ("callid", _) => Ok(KeySource::CallId),
        (_, Some(name)) if !name.is_empty() => Ok(KeySource::Param(name)),
        _ => Err(SocketProblem::Key(value.to_owned())),
    }
}

/// Where `part`, a slice of `text`, begins in it.
fn offset_in(text: &str, part: &str) -> usize {
    part.as_ptr() as usize - text.as_ptr() as usize
}

/// A socket that cannot be understood or obeyed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SocketError {
    /// Where, in bytes from the start of the socket.
    pub position: usize,
    /// What is wrong.
    pub problem: SocketProblem,
}

/// What is wrong with a socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SocketProblem {
    /// There is no `/` after the brokers.
    NoTopic,
    /// A `proto://` stands before the brokers.
    Protocol,
    /// The list of brokers is malformed.
    Brokers(BrokersError),
    /// The name of the topic is none.
    Topic(TopicNameError),
    /// There is nothing after a `?` or `&`.
    NoProperty,
    /// A property has no `=`.
    NoValue(String),
    /// A property is neither `key` nor has a prefix.
    Unknown(String),
    /// `key=` has a value that does not exist.
    Key(String),
    /// A property of the producer or the topic cannot be set.
    Property(ConfigError),
}

impl SocketError {
    fn new(position: usize, problem: SocketProblem) -> Self {
        Self { position, problem }
    }
}

impl fmt::Display for SocketError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "socket, byte {}: ", self.position)?;
        match &self.problem {
            SocketProblem::NoTopic => {
                write!(
                    f,
                    "there is no topic; write brokers/topic, as in kafka:127.0.0.1:9092/sip"
                )
            }
            SocketProblem::Protocol => {
                write!(f, "a socket has no protocol prefix; write brokers/topic")
            }
            SocketProblem::Brokers(error) => write!(f, "{error}"),
            SocketProblem::Topic(error) => write!(f, "{error}"),
            SocketProblem::NoProperty => {
                write!(
                    f,
                    "there is no property; write name=value or remove the '?' or '&'"
                )
            }
            SocketProblem::NoValue(item) => {
                write!(f, "property {item:?} has no value; write {item}=value")
            }
            SocketProblem::Unknown(name) => write!(
                f,
                "unknown property {name:?}; write g.{name} for the producer, t.{name} for the topic"
            ),
            SocketProblem::Key(value) => {
                write!(
                    f,
                    "unknown key source {value:?}; write key=callid, none or param:NAME"
                )
            }
            SocketProblem::Property(error) => write!(f, "{error}"),
        }
    }
}

impl std::error::Error for SocketError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.problem {
            SocketProblem::Brokers(error) => Some(error),
            SocketProblem::Topic(error) => Some(error),
            SocketProblem::Property(error) => Some(error),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn configured(text: &str) -> Result<Config, SocketError> {
        let mut config = Config::default();
        Socket::parse(text)?.configure(&mut config)?;
        Ok(config)
    }

    fn refusal(text: &str) -> (usize, String) {
        let error = configured(text).unwrap_err();
        (error.position, error.to_string())
    }

    #[test]
    fn prefix_and_properties_are_optional() {
        for text in ["kafka:a:1,b/sip", "a:1,b/sip", "a:1,b/sip?key=none"] {
            let socket = Socket::parse(text).unwrap();
            assert_eq!((socket.brokers, socket.topic), ("a:1,b", "sip"), "{text}");
            assert_eq!(socket.key, KeySource::None);
        }
    }

    #[test]
    fn what_upstream_accepts_is_accepted() {
        for text in [
            "kafka:127.0.0.1:1, 127.0.0.1:2 ,127.0.0.1:3/t?t.acks=all",
            "[::1]:9092/t",
            "a/t?g.client.id=",
            "a/t?g.client.id=?/#%+@:;",
            "a/t?g.acks=all",
            "/t?g.bootstrap.servers=a:1",
        ] {
            configured(text).unwrap().finish().unwrap();
        }
    }

    #[test]
    fn a_value_may_contain_equals_signs() {
        let finished = configured("a/t?g.client.id=a=b==")
            .unwrap()
            .finish()
            .unwrap();
        assert_eq!(finished.settings.client_id, "a=b==");
    }

    #[test]
    fn bootstrap_property_replaces_the_brokers() {
        let config = configured("a:1/t?g.bootstrap.servers=b:2").unwrap();
        assert_eq!(
            config.finish().unwrap().settings.bootstrap[0].to_string(),
            "b:2"
        );
    }

    #[test]
    fn empty_brokers_leave_those_of_the_configuration() {
        let mut config = Config::default();
        config.set("bootstrap.servers", "c:3").unwrap();
        Socket::parse("/t").unwrap().configure(&mut config).unwrap();
        assert_eq!(
            config.finish().unwrap().settings.bootstrap[0].to_string(),
            "c:3"
        );
    }

    #[test]
    fn key_sources() {
        let key = |text| Socket::parse(text).unwrap().key;
        assert_eq!(key("a/t?key=callid"), KeySource::CallId);
        assert_eq!(key("a/t?key=none"), KeySource::None);
        assert_eq!(key("a/t?t.acks=1&key=param:ip"), KeySource::Param("ip"));
    }

    #[test]
    fn grammar_errors_name_the_byte_and_the_remedy() {
        for (text, position, words) in [
            ("", 0, "brokers/topic"),
            ("kafka", 5, "there is no topic"),
            ("kafka:", 6, "there is no topic"),
            ("kafka:host:9092", 15, "there is no topic"),
            ("kafka:host?t.acks=1", 10, "there is no topic"),
            ("kafka:host/", 11, "it is empty"),
            ("host/?t.acks=1", 5, "it is empty"),
            ("host:9/a/b", 8, "only letters"),
            ("host:9/ a", 7, "only letters"),
            ("host:9/..", 7, "reserved"),
            ("SSL://host/t", 3, "no protocol prefix"),
            ("kafka:a:1,b:http/t", 10, "port is no number"),
            ("host:9/t?", 9, "there is no property"),
            ("host:9/t?t.acks=1&", 18, "there is no property"),
            ("host:9/t?t.acks=1&&key=none", 18, "there is no property"),
            ("host:9/t?t.acks", 9, "write t.acks=value"),
            ("host:9/t?acks=all", 9, "t.acks"),
            ("host:9/t?=b", 9, "unknown property \"\""),
            ("host:9/t?key=foo", 9, "key=callid"),
            ("host:9/t?key=param:", 9, "param:NAME"),
        ] {
            let (at, shown) = refusal(text);
            assert_eq!(at, position, "{text:?}: {shown}");
            assert!(shown.contains(words), "{text:?}: {shown}");
        }
    }

    #[test]
    fn property_errors_point_at_the_name_or_at_the_value() {
        for (text, position, words) in [
            (
                "host:9/t?key=none&g.bogus=1",
                18,
                "property g.bogus: no such property",
            ),
            ("host:9/t?t.linger.ms=1", 9, "belongs to the producer"),
            (
                "host:9/t?t.acks=99999",
                16,
                "property t.acks (request.required.acks)",
            ),
            (
                "host:9/t?g.bootstrap.servers=x:http",
                29,
                "port is no number",
            ),
        ] {
            let (at, shown) = refusal(text);
            assert_eq!(at, position, "{text:?}: {shown}");
            assert!(shown.contains(words), "{text:?}: {shown}");
        }
    }

    #[test]
    fn errors_are_one_clear_line() {
        assert_eq!(
            refusal("127.0.0.1:9092/sip?acks=all").1,
            "socket, byte 19: unknown property \"acks\"; write g.acks for the producer, t.acks for \
             the topic"
        );
        assert!(!refusal("a/b\n").1.contains('\n'));
    }
}
