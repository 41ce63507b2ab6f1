//! librdkafka's property names: strings in, [`Settings`] and [`TopicSettings`] out.
//!
//! One table ([`PROPERTIES`]) drives the parser, the error texts and every listing. Names, ranges,
//! defaults and verdicts are librdkafka's; where they are not, [`Difference`] says why. Mostly it
//! is that librdkafka silently drops what follows a number (`linger.ms=5ms`), which is refused here.

mod brokers;
mod difference;
#[cfg(test)]
mod differential;
mod error;
mod file;
mod property;
mod rules;
mod secret;
mod table;
mod value;
mod warning;

use std::collections::{BTreeMap, BTreeSet};

use kafka_engine::settings::{Settings, TopicSettings};

pub use brokers::{BrokersError, BrokersProblem, parse_brokers};
pub use difference::Difference;
pub use error::{ConfigError, Mention, Place, Problem, readable_name};
pub(crate) use file::lines;
pub use file::{FileError, FileProblem};
pub use property::{
    Form, Handling, Importance, Kind, Origin, Property, Refusal, Refused, Scope, UntilThen,
};
pub use secret::Secret;
pub(crate) use table::lookup;
pub use table::{PROPERTIES, suggest};
pub use warning::{Reason, Warning};

use property::Targets;
use secret::REDACTED;
use table::Id;
use value::Value;

/// Settings in the making.
///
/// ```
/// # use event_kafka::config::Config;
/// let mut config = Config::default();
/// config.set("bootstrap.servers", "kafka-1,kafka-2:9093")?;
/// config.set("linger.ms", "20")?;
/// let finished = config.finish()?;
/// assert_eq!(finished.settings.bootstrap[0].port, 9092);
/// # Ok::<_, event_kafka::config::ConfigError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// What was set explicitly: some defaults follow other properties, and errors quote the words
    /// of whoever wrote them.
    given: BTreeMap<Id, Given>,
    /// What follows from other properties.
    derived: BTreeMap<Id, Value>,
}

/// A property as it was set.
#[derive(Clone, Debug)]
struct Given {
    /// As it was written: perhaps an alias, perhaps with `topic.` before it.
    name: Box<str>,
    /// As it was written; redacted if nobody may see it.
    text: Box<str>,
    place: Option<Place>,
    value: Value,
}

/// How a property was written by its user, for errors that quote it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Written<'a> {
    pub(crate) name: &'a str,
    pub(crate) text: &'a str,
    pub(crate) place: Option<Place>,
}

/// A configuration that holds together.
#[derive(Clone, Debug)]
pub struct Finished {
    /// What the producer is told.
    pub settings: Settings,
    /// What its topics are told.
    pub topic_settings: TopicSettings,
    /// What was set to no effect, or to another one than it seems.
    pub warnings: Vec<Warning>,
    config: Config,
}

/// A property whose value is not its default.
#[derive(Clone, Debug)]
pub struct Change {
    /// The property.
    pub property: &'static Property,
    /// The value that it has; `[redacted]` if nobody may see it.
    pub value: String,
    /// The name by which it was set; `None` if it follows from others.
    pub set_as: Option<Box<str>>,
}

impl Config {
    /// Sets one property of either scope; a later value replaces an earlier one, and flags
    /// (`debug`) add to it. Names are case-sensitive. A topic property becomes the default of every
    /// topic and may be written with the prefix `topic.`.
    ///
    /// # Errors
    /// The name is unknown, or the value is malformed, out of range, or one that cannot be obeyed.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), ConfigError> {
        self.set_as(Scope::Global, name, value, Written::here(name, value))
    }

    /// Sets one property of a topic.
    ///
    /// # Errors
    /// As [`Config::set`]; a global property is refused.
    pub fn set_topic(&mut self, name: &str, value: &str) -> Result<(), ConfigError> {
        self.set_as(Scope::Topic, name, value, Written::here(name, value))
    }

    /// Sets one property of that scope, which its user wrote somewhere, perhaps in other words.
    pub(crate) fn set_as(
        &mut self,
        scope: Scope,
        name: &str,
        value: &str,
        written: Written<'_>,
    ) -> Result<(), ConfigError> {
        match (table::find_written(scope, name), scope) {
            (Some(id), _) => self.assign(id, value, written),
            (None, Scope::Global) => Err(ConfigError::unknown(name)),
            (None, Scope::Topic) => Err(ConfigError::not_of_a_topic(name)),
        }
    }

    /// The value of a property as librdkafka would show it: the one that was set, or the default.
    /// `None` if there is no such property.
    pub fn get(&self, scope: Scope, name: &str) -> Option<String> {
        let id = table::find(scope, name)?;
        Some(self.value(id).to_string())
    }

    /// Completes the settings: defaults that follow other properties, and the rules between
    /// properties.
    ///
    /// # Errors
    /// `bootstrap.servers` is missing, or two properties contradict each other.
    pub fn finish(mut self) -> Result<Finished, ConfigError> {
        rules::complete(&mut self)?;
        let mut targets = Targets::default();
        let given = self.given.iter().map(|(id, given)| (id, &given.value));
        for (id, value) in given.chain(&self.derived) {
            id.property().apply(&mut targets, value);
        }
        Ok(Finished {
            settings: targets.global,
            topic_settings: targets.topic,
            warnings: self.warnings(),
            config: self,
        })
    }

    /// What was set to no effect, or to another one than it seems.
    pub fn warnings(&self) -> Vec<Warning> {
        let of_values = self.given.iter().filter_map(|(id, given)| {
            let reason = Reason::of(id.property(), &given.value)?;
            Some(self.warning(*id, reason))
        });
        of_values.chain(rules::warnings(self)).collect()
    }

    fn assign(&mut self, id: Id, text: &str, written: Written<'_>) -> Result<(), ConfigError> {
        let property = id.property();
        let present = self.given.get(&id).map(|given| &given.value);
        let value = property
            .accept(text, present)
            .map_err(|problem| ConfigError {
                property: written.name.into(),
                canonical: Some(property.name),
                // Whoever reads the socket or the file says it.
                place: None,
                value: shown(property, written.text),
                problem,
            })?;
        self.give(id, written, value);
        Ok(())
    }

    fn give(&mut self, id: Id, written: Written<'_>, value: Value) {
        let given = Given {
            name: written.name.into(),
            text: shown(id.property(), written.text),
            place: written.place,
            value,
        };
        self.given.insert(id, given);
    }

    fn is_set(&self, id: Id) -> bool {
        self.given.contains_key(&id)
    }

    fn value(&self, id: Id) -> Value {
        let given = || self.given.get(&id).map(|given| &given.value);
        match self.derived.get(&id).or_else(given) {
            Some(value) => value.clone(),
            None => id.property().default_value(),
        }
    }

    fn warning(&self, id: Id, reason: Reason) -> Warning {
        Warning {
            property: self.written(id),
            canonical: id.property().name,
            reason,
        }
    }

    fn error(&self, id: Id, problem: Problem) -> ConfigError {
        ConfigError {
            property: self.written(id),
            canonical: Some(id.property().name),
            place: self.place(id),
            value: self.shown(id),
            problem,
        }
    }

    fn mention(&self, id: Id) -> Mention {
        Mention {
            property: self.written(id),
            value: self.shown(id),
            place: self.place(id),
        }
    }

    /// The name of a property as its user writes it.
    fn written(&self, id: Id) -> Box<str> {
        match self.given.get(&id) {
            Some(given) => given.name.clone(),
            None => id.property().name.into(),
        }
    }

    /// Where its user wrote a property, if that is known.
    fn place(&self, id: Id) -> Option<Place> {
        self.given.get(&id)?.place
    }

    /// The value of a property as its user writes it.
    fn shown(&self, id: Id) -> Box<str> {
        match self.given.get(&id) {
            Some(given) => given.text.clone(),
            None => self.value(id).to_string().into(),
        }
    }
}

impl<'a> Written<'a> {
    fn here(name: &'a str, text: &'a str) -> Self {
        let place = None;
        Self { name, text, place }
    }
}

/// The text of a value, unless nobody may see it.
fn shown(property: &Property, text: &str) -> Box<str> {
    if property.sensitive { REDACTED } else { text }.into()
}

impl Finished {
    /// The value of a property as librdkafka would show it: the one that was set or follows from
    /// others, or the default. `None` if there is no such property.
    pub fn get(&self, scope: Scope, name: &str) -> Option<String> {
        self.config.get(scope, name)
    }

    /// What differs from the defaults, in the order of the table.
    pub fn changes(&self) -> Vec<Change> {
        let config = &self.config;
        let ids: BTreeSet<Id> = config
            .given
            .keys()
            .chain(config.derived.keys())
            .copied()
            .collect();
        let changed = ids
            .into_iter()
            .filter(|id| !id.property().is_default(&config.value(*id)));
        changed
            .map(|id| Change {
                property: id.property(),
                value: config.value(id).to_string(),
                set_as: config.given.get(&id).map(|given| given.name.clone()),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

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
        let finished = config(properties).finish().unwrap();
        (finished.settings, finished.topic_settings)
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
    fn what_contradicts_is_found_again_in_its_file() {
        let mut config = Config::default();
        let file = "bootstrap.servers=a\n# wait\nlinger.ms=20\nmessage.timeout.ms = 20\n";
        config.set_from_file(file).unwrap();
        assert_eq!(
            config.finish().unwrap_err().to_string(),
            "property message.timeout.ms, line 4 of the file: value \"20\" must be greater than \
             linger.ms, which is \"20\" at line 3 of the file; change one of the two"
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
    fn features_may_be_asked_for_and_those_that_are_lacking_are_refused() {
        let mut config = Config::default();
        config.set("builtin.features", "lz4,gzip").unwrap();
        assert_eq!(config.warnings(), []);
        for lacking in ["ssl", "gzip,sasl_gssapi"] {
            let error = config.set("builtin.features", lacking).unwrap_err();
            assert!(matches!(error.problem, Problem::Refused { .. }), "{error}");
        }
        let features = config.get(Scope::Global, "builtin.features").unwrap();
        assert_eq!(features, "gzip,snappy,lz4,zstd");
    }

    #[test]
    fn changes_are_what_was_set_and_what_follows_but_no_default() {
        let properties = [
            ("linger.ms", "30"),
            ("retries", "2147483647"),
            ("topic.acks", "1"),
        ];
        let finished = config(&properties).finish().unwrap();
        let changes = finished.changes();
        let shown = changes.iter().map(|change| {
            (
                change.property.name,
                &*change.value,
                change.set_as.as_deref(),
            )
        });
        assert_eq!(
            shown.collect::<Vec<_>>(),
            [
                (
                    "metadata.broker.list",
                    "localhost",
                    Some("bootstrap.servers")
                ),
                ("queue.buffering.max.ms", "30", Some("linger.ms")),
                ("sticky.partitioning.linger.ms", "60", None),
                ("request.required.acks", "1", Some("topic.acks")),
            ]
        );
    }

    #[test]
    fn warnings_name_what_is_ignored_or_not_taken_as_it_is() {
        let properties = [
            ("group.id", "g"),
            ("enable.random.seed", "true"),
            ("topic.metadata.refresh.fast.cnt", "3"),
            ("statistics.interval.ms", "1000"),
            ("enable.metrics.push", "false"),
            ("retry.backoff.ms", "5000"),
            ("topic.metadata.refresh.fast.interval.ms", "2000"),
            ("client.software.name", "a b"),
        ];
        let mut config = config(&properties);
        for (name, text) in [("sasl.mechanisms", "OAUTHBEARER"), ("sasl.username", "u")] {
            let id = table::find(Scope::Global, name).unwrap();
            config.set_whatever_its_handling(id, text).unwrap();
        }
        let finished = config.finish().unwrap();
        let software = finished.get(Scope::Global, "client.software.name");
        assert_eq!(software.as_deref(), Some("a-b"));
        let warnings = finished.warnings;
        let shown: Vec<_> = warnings.iter().map(ToString::to_string).collect();
        let begins = [
            "property topic.metadata.refresh.fast.cnt has no effect: deprecated",
            "property statistics.interval.ms has no effect yet: it waits for statistics",
            "property group.id belongs to consumers",
            "property retry.backoff.ms is more than retry.backoff.max.ms",
            "property topic.metadata.refresh.fast.interval.ms is more than retry.backoff.max.ms",
            "property sasl.mechanisms has no effect unless security.protocol is sasl_ssl",
            "property sasl.username has no effect unless sasl.mechanism is PLAIN",
            "property client.software.name may have letters, digits",
        ];
        assert_eq!(shown.len(), begins.len(), "{shown:?}");
        for (line, begin) in shown.iter().zip(begins) {
            assert!(line.starts_with(begin), "{line}");
        }
    }

    #[test]
    fn a_secret_is_in_no_error_value_or_debug_text() {
        const SECRET: &str = "hunter2";
        let mut config = Config::default();
        let error = config.set("sasl.password", SECRET).unwrap_err();
        assert_eq!(&*error.value, "[redacted]");
        let id = table::find(Scope::Global, "sasl.password").unwrap();
        config.set_whatever_its_handling(id, SECRET).unwrap();
        let password = config.get(Scope::Global, "sasl.password").unwrap();
        config.set("bootstrap.servers", "localhost").unwrap();
        let finished = config.clone().finish().unwrap();
        let changes = format!("{:?} {finished:?}", finished.changes());
        for text in [
            format!("{error} {error:?}"),
            format!("{config:?}"),
            password,
            changes,
        ] {
            assert!(
                text.contains("[redacted]") && !text.contains(SECRET),
                "{text}"
            );
        }
    }
}
