//! librdkafka's property names: strings in, [`Settings`] and [`TopicSettings`] out.
//!
//! One table ([`PROPERTIES`]) drives the parser, the error texts and every listing. Names, ranges,
//! defaults and verdicts are librdkafka's, with one exception: where it silently drops trailing
//! garbage or overflowing digits (`linger.ms=5ms`), the value is refused.

mod brokers;
mod error;
mod file;
mod table;
mod value;

use std::collections::BTreeMap;
use std::time::Duration;

use kafka_engine::settings::{Settings, TopicSettings};

pub use brokers::{BrokersError, BrokersProblem, parse_brokers};
pub use error::{ConfigError, Problem};
pub use file::{FileError, FileProblem};
pub use table::{PROPERTIES, Property, Scope};

/// Settings in the making.
///
/// ```
/// # use event_kafka::config::Config;
/// let mut config = Config::default();
/// config.set("bootstrap.servers", "kafka-1,kafka-2:9093")?;
/// config.set("linger.ms", "20")?;
/// let (settings, topic_settings) = config.finish()?;
/// assert_eq!(settings.bootstrap[0].port, 9092);
/// # Ok::<_, event_kafka::config::ConfigError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Config {
    global: Settings,
    topic: TopicSettings,
    /// What was set explicitly, by canonical name: some defaults follow other properties, and
    /// errors quote the words of whoever wrote them.
    given: BTreeMap<&'static str, Given>,
}

#[derive(Clone, Debug)]
struct Given {
    name: Box<str>,
    value: Box<str>,
}

impl Config {
    /// Sets one property of either scope; a later value replaces an earlier one. Names are
    /// case-sensitive. A topic property becomes the default of every topic and may be written with
    /// the prefix `topic.`.
    ///
    /// # Errors
    /// The name is unknown, or the value is malformed or out of range.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), ConfigError> {
        let property = table::find(Scope::Global, name)
            .or_else(|| table::find(Scope::Topic, name.strip_prefix("topic.").unwrap_or(name)))
            .ok_or_else(|| ConfigError::unknown(name))?;
        self.assign(property, name, value)
    }

    /// Sets one property of a topic.
    ///
    /// # Errors
    /// As [`Config::set`]; a global property is refused.
    pub fn set_topic(&mut self, name: &str, value: &str) -> Result<(), ConfigError> {
        match table::find(Scope::Topic, name) {
            Some(property) => self.assign(property, name, value),
            None => Err(ConfigError::not_of_a_topic(name)),
        }
    }

    /// Completes the settings: defaults that follow other properties, and the rules between
    /// properties.
    ///
    /// # Errors
    /// `bootstrap.servers` is missing, or two properties contradict each other.
    pub fn finish(mut self) -> Result<(Settings, TopicSettings), ConfigError> {
        self.require_brokers()?;
        self.keep_linger_below_message_timeout()?;
        self.derive_sticky_linger();
        self.require_ordered_reconnect_backoff()?;
        self.cap_retry_backoff();
        Ok((self.global, self.topic))
    }

    fn assign(
        &mut self,
        property: &'static Property,
        name: &str,
        value: &str,
    ) -> Result<(), ConfigError> {
        property
            .assign(self, value)
            .map_err(|problem| ConfigError {
                property: name.into(),
                canonical: Some(property.name),
                value: value.into(),
                problem,
            })?;
        let given = Given {
            name: name.into(),
            value: value.into(),
        };
        self.given.insert(property.name, given);
        Ok(())
    }

    fn require_brokers(&self) -> Result<(), ConfigError> {
        if self.global.bootstrap.is_empty() {
            return Err(self.error(BROKERS, Problem::Missing));
        }
        Ok(())
    }

    /// A message must be able to leave before it times out. A linger that nobody asked for gives
    /// way; one that was asked for is a contradiction.
    fn keep_linger_below_message_timeout(&mut self) -> Result<(), ConfigError> {
        let Some(timeout) = self.topic.message_timeout else {
            return Ok(());
        };
        if timeout > self.global.linger {
            return Ok(());
        }
        if self.given.contains_key(LINGER) {
            return Err(self.conflict(MESSAGE_TIMEOUT, "must be greater than", LINGER));
        }
        self.global.linger = timeout.saturating_sub(Duration::from_micros(100));
        Ok(())
    }

    fn derive_sticky_linger(&mut self) {
        if !self.given.contains_key(STICKY_LINGER) {
            self.global.sticky_linger = (self.global.linger * 2).min(Duration::from_secs(900));
        }
    }

    fn require_ordered_reconnect_backoff(&self) -> Result<(), ConfigError> {
        if self.global.reconnect_backoff_max < self.global.reconnect_backoff {
            return Err(self.conflict(
                RECONNECT_BACKOFF_MAX,
                "must not be less than",
                RECONNECT_BACKOFF,
            ));
        }
        Ok(())
    }

    /// KIP-580: a first wait above the longest one makes every wait the longest one.
    fn cap_retry_backoff(&mut self) {
        self.global.retry_backoff = self.global.retry_backoff.min(self.global.retry_backoff_max);
    }

    fn conflict(
        &self,
        property: &'static str,
        rule: &'static str,
        other: &'static str,
    ) -> ConfigError {
        let Given { name, value } = self.given_or_default(other);
        self.error(
            property,
            Problem::Conflict {
                rule,
                other: name,
                other_value: value,
            },
        )
    }

    fn error(&self, canonical: &'static str, problem: Problem) -> ConfigError {
        let Given { name, value } = self.given_or_default(canonical);
        ConfigError {
            property: name,
            canonical: Some(canonical),
            value,
            problem,
        }
    }

    fn given_or_default(&self, canonical: &'static str) -> Given {
        self.given.get(canonical).cloned().unwrap_or_else(|| Given {
            name: canonical.into(),
            value: table::default_of(canonical).into(),
        })
    }
}

const BROKERS: &str = "metadata.broker.list";
const LINGER: &str = "queue.buffering.max.ms";
const MESSAGE_TIMEOUT: &str = "message.timeout.ms";
const RECONNECT_BACKOFF: &str = "reconnect.backoff.ms";
const RECONNECT_BACKOFF_MAX: &str = "reconnect.backoff.max.ms";
const STICKY_LINGER: &str = "sticky.partitioning.linger.ms";

#[cfg(test)]
mod tests {
    use super::*;

    fn config(properties: &[(&str, &str)]) -> Config {
        let mut config = Config::default();
        config.set("bootstrap.servers", "localhost").unwrap();
        for (name, value) in properties {
            config.set(name, value).unwrap();
        }
        config
    }

    fn settings(properties: &[(&str, &str)]) -> (Settings, TopicSettings) {
        config(properties).finish().unwrap()
    }

    fn refusal(properties: &[(&str, &str)]) -> String {
        config(properties).finish().unwrap_err().to_string()
    }

    #[test]
    fn alias_and_canonical_name_set_the_same_property() {
        for name in ["linger.ms", "queue.buffering.max.ms"] {
            let (global, _) = settings(&[(name, "7.5")]);
            assert_eq!(global.linger, Duration::from_micros(7_500), "{name}");
        }
    }

    #[test]
    fn later_value_replaces_the_earlier_one() {
        let (global, _) = settings(&[("batch.size", "1"), ("batch.size", "2")]);
        assert_eq!(global.batch_bytes, 2);
    }

    #[test]
    fn topic_property_falls_through_from_the_global_scope() {
        for name in ["acks", "topic.acks", "topic.request.required.acks"] {
            let (_, topic) = settings(&[(name, "1")]);
            assert_eq!(topic.acks, kafka_engine::settings::Acks::Leader, "{name}");
        }
    }

    #[test]
    fn global_property_is_refused_for_a_topic() {
        let error = Config::default().set_topic("linger.ms", "1").unwrap_err();
        assert_eq!(error.problem, Problem::GlobalOnly);
        assert_eq!(error.canonical, Some("queue.buffering.max.ms"));
    }

    #[test]
    fn unknown_property_is_refused_with_a_suggestion() {
        let error = Config::default().set("bootstrap.server", "x").unwrap_err();
        assert_eq!(error.code(), -2);
        assert_eq!(
            error.to_string(),
            "property bootstrap.server: no such property; did you mean bootstrap.servers?"
        );
        let error = Config::default().set("Linger.ms", "1").unwrap_err();
        assert!(
            matches!(error.problem, Problem::Unknown { .. }),
            "names are case-sensitive"
        );
    }

    #[test]
    fn without_brokers_nothing_starts() {
        let error = Config::default().finish().unwrap_err();
        assert_eq!(error.problem, Problem::Missing);
        assert_eq!(error.code(), -1);
    }

    #[test]
    fn sticky_linger_follows_linger_until_it_is_set() {
        assert_eq!(settings(&[]).0.sticky_linger, Duration::from_millis(10));
        assert_eq!(
            settings(&[("linger.ms", "30")]).0.sticky_linger,
            Duration::from_millis(60)
        );
        assert_eq!(
            settings(&[("linger.ms", "800000"), ("message.timeout.ms", "0")])
                .0
                .sticky_linger,
            Duration::from_secs(900)
        );
        let explicit = [("sticky.partitioning.linger.ms", "0"), ("linger.ms", "30")];
        assert_eq!(settings(&explicit).0.sticky_linger, Duration::ZERO);
    }

    #[test]
    fn linger_gives_way_to_the_message_timeout_unless_it_was_asked_for() {
        let (global, _) = settings(&[("message.timeout.ms", "5")]);
        assert_eq!(global.linger, Duration::from_micros(4_900));
        assert_eq!(
            refusal(&[("delivery.timeout.ms", "20"), ("linger.ms", "20")]),
            "property delivery.timeout.ms (message.timeout.ms): value \"20\" must be greater than \
             linger.ms, which is \"20\"; change one of the two"
        );
    }

    #[test]
    fn message_timeout_zero_is_for_ever() {
        let (_, topic) = settings(&[("message.timeout.ms", "0"), ("linger.ms", "900000")]);
        assert_eq!(topic.message_timeout, None);
    }

    #[test]
    fn reconnect_backoff_must_not_exceed_its_maximum() {
        assert!(refusal(&[("reconnect.backoff.ms", "10001")]).contains("reconnect.backoff.max.ms"));
        settings(&[("reconnect.backoff.ms", "10000")]);
    }

    #[test]
    fn retry_backoff_above_its_maximum_is_the_maximum() {
        let (global, _) = settings(&[("retry.backoff.ms", "5000")]);
        assert_eq!(global.retry_backoff, Duration::from_secs(1));
    }
}
