//! The one table of properties.

use std::ops::RangeInclusive;
use std::time::Duration;

use kafka_engine::settings::{Acks, Endpoint, Partitioner, ReportMode};

use super::brokers::parse_brokers;
use super::{Config, Problem, value};

/// A property that can be set.
#[derive(Debug)]
pub struct Property {
    /// The name that librdkafka's documentation lists it under.
    pub name: &'static str,
    /// Other names of the same property.
    pub aliases: &'static [&'static str],
    /// What it belongs to.
    pub scope: Scope,
    /// The value it has when it is not set.
    pub default: &'static str,
    /// What it does, in a sentence.
    pub doc: &'static str,
    kind: Kind,
}

/// What a property belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The producer.
    Global,
    /// A topic; set on the producer, it is the default of all topics.
    Topic,
}

#[derive(Debug)]
enum Kind {
    /// `words` are names of numbers.
    Integer {
        range: RangeInclusive<i64>,
        words: &'static [(&'static str, i64)],
        set: fn(&mut Config, i64),
    },
    Float {
        range: RangeInclusive<f64>,
        set: fn(&mut Config, f64),
    },
    Boolean {
        set: fn(&mut Config, bool),
    },
    /// The word's index is set. Case matters, as it does for librdkafka's partitioners.
    Word {
        words: &'static [&'static str],
        set: fn(&mut Config, usize),
    },
    Text {
        set: fn(&mut Config, String),
    },
    Brokers {
        set: fn(&mut Config, Vec<Endpoint>),
    },
}

impl Property {
    /// The values it takes, in words: `an integer from 1 to 300000`.
    pub fn allowed(&self) -> String {
        match &self.kind {
            Kind::Integer { range, words, .. } => {
                let (low, high) = (range.start(), range.end());
                let words: String = words
                    .iter()
                    .map(|(word, _)| format!(" or {word}"))
                    .collect();
                format!("an integer from {low} to {high}{words}")
            }
            Kind::Float { range, .. } => {
                format!("a number from {} to {}", range.start(), range.end())
            }
            Kind::Boolean { .. } => "true or false".into(),
            Kind::Word { words, .. } => words.join(" or "),
            Kind::Text { .. } => "any text".into(),
            Kind::Brokers { .. } => "a list of host:port".into(),
        }
    }

    pub(super) fn assign(&self, config: &mut Config, text: &str) -> Result<(), Problem> {
        match &self.kind {
            Kind::Integer { range, words, set } => {
                let named = words
                    .iter()
                    .find(|(word, _)| text.trim_ascii().eq_ignore_ascii_case(word));
                let number = named
                    .map(|(_, number)| *number)
                    .or_else(|| value::integer(text));
                set(config, self.in_range(range, number, text)?);
            }
            Kind::Float { range, set } => {
                set(config, self.in_range(range, value::float(text), text)?);
            }
            Kind::Boolean { set } => {
                set(
                    config,
                    value::boolean(text).ok_or_else(|| self.malformed(text))?,
                );
            }
            Kind::Word { words, set } => {
                let index = words.iter().position(|word| *word == text.trim_ascii());
                set(config, index.ok_or_else(|| self.malformed(text))?);
            }
            Kind::Text { set } => {
                set(
                    config,
                    or_default(text.trim_ascii_start(), self.default).to_owned(),
                );
            }
            Kind::Brokers { set } => set(config, parse_brokers(text).map_err(Problem::Brokers)?),
        }
        Ok(())
    }

    fn in_range<T: PartialOrd>(
        &self,
        range: &RangeInclusive<T>,
        number: Option<T>,
        text: &str,
    ) -> Result<T, Problem> {
        let number = number.ok_or_else(|| self.malformed(text))?;
        if range.contains(&number) {
            Ok(number)
        } else {
            Err(Problem::OutOfRange {
                allowed: self.allowed(),
            })
        }
    }

    fn malformed(&self, text: &str) -> Problem {
        let allowed = self.allowed();
        if text.trim_ascii().is_empty() {
            Problem::Empty { allowed }
        } else {
            Problem::Malformed { allowed }
        }
    }
}

pub(super) fn find(scope: Scope, name: &str) -> Option<&'static Property> {
    PROPERTIES
        .iter()
        .find(|p| p.scope == scope && (p.name == name || p.aliases.contains(&name)))
}

pub(super) fn default_of(canonical: &str) -> &'static str {
    PROPERTIES
        .iter()
        .find(|p| p.name == canonical)
        .map_or("", |p| p.default)
}

/// The known name most like `name`, if one is like it at all.
pub(super) fn suggest(name: &str) -> Option<&'static str> {
    PROPERTIES
        .iter()
        .flat_map(|p| std::iter::once(&p.name).chain(p.aliases))
        .map(|known| (strsim::normalized_damerau_levenshtein(name, known), *known))
        .filter(|(likeness, _)| *likeness > 0.7)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, known)| known)
}

fn or_default<'a>(text: &'a str, default: &'a str) -> &'a str {
    if text.is_empty() { default } else { text }
}

/// Every property that can be set, in the order of librdkafka's documentation; `request.max.bytes`
/// is our own.
pub static PROPERTIES: &[Property] = &[
    text(
        ("client.id", &[]),
        Scope::Global,
        "rdkafka",
        |config, id| config.global.client_id = id,
        "How this producer names itself to brokers; quotas and request logs go by it.",
    ),
    Property {
        name: "metadata.broker.list",
        aliases: &["bootstrap.servers"],
        scope: Scope::Global,
        default: "",
        kind: Kind::Brokers {
            set: |config, brokers| config.global.bootstrap = brokers,
        },
        doc: "Where to find the cluster first: host[:port], parted by commas; the port is 9092 \
              unless given.",
    },
    integer(
        ("message.max.bytes", &[]),
        Scope::Global,
        (1_000..=1_000_000_000, "1000000"),
        |config, bytes| config.global.message_max_bytes = bytes as usize,
        "The largest record batch in bytes, and so the largest message.",
    ),
    integer(
        ("request.max.bytes", &[]),
        Scope::Global,
        (1_000..=1_000_000_000, "8388608"),
        |config, bytes| config.global.request_max_bytes = bytes as usize,
        "The largest Produce request in bytes, unless a single batch is larger. Not a property of \
         librdkafka, which sends one batch in each request.",
    ),
    integer(
        ("max.in.flight.requests.per.connection", &["max.in.flight"]),
        Scope::Global,
        (1..=1_000_000, "1000000"),
        |config, requests| config.global.max_in_flight = requests as usize,
        "Requests on the wire of one connection at most.",
    ),
    integer(
        ("topic.metadata.refresh.interval.ms", &[]),
        Scope::Global,
        (-1..=3_600_000, "300000"),
        |config, ms| config.global.metadata_refresh_interval = unless_zero(ms),
        "Ask for metadata anew after so many milliseconds; 0 and -1: only on errors.",
    ),
    integer(
        ("topic.metadata.propagation.max.ms", &[]),
        Scope::Global,
        (0..=3_600_000, "30000"),
        |config, ms| config.global.topic_propagation_max = millis(ms),
        "How many milliseconds a topic that the cluster does not know yet may take to appear.",
    ),
    integer(
        ("socket.timeout.ms", &[]),
        Scope::Global,
        (10..=300_000, "60000"),
        |config, ms| config.global.request_timeout = millis(ms),
        "How many milliseconds a broker may take to answer a request.",
    ),
    integer(
        ("socket.connection.setup.timeout.ms", &[]),
        Scope::Global,
        (1_000..=MAX, "30000"),
        |config, ms| config.global.connection_setup_timeout = millis(ms),
        "How many milliseconds name resolution, TCP and the handshake may take together.",
    ),
    integer(
        ("connections.max.idle.ms", &[]),
        Scope::Global,
        (0..=MAX, "0"),
        |config, ms| config.global.connections_max_idle = unless_zero(ms),
        "Close a connection after so many milliseconds without a request; 0: never.",
    ),
    integer(
        ("reconnect.backoff.ms", &[]),
        Scope::Global,
        (0..=3_600_000, "100"),
        |config, ms| config.global.reconnect_backoff = millis(ms),
        "Milliseconds before a lost broker is connected again; doubles up to \
         reconnect.backoff.max.ms, each time with a jitter of -25 % to +50 %.",
    ),
    integer(
        ("reconnect.backoff.max.ms", &[]),
        Scope::Global,
        (0..=3_600_000, "10000"),
        |config, ms| config.global.reconnect_backoff_max = millis(ms),
        "The longest wait in milliseconds before a lost broker is connected again.",
    ),
    integer(
        ("queue.buffering.max.messages", &[]),
        Scope::Global,
        (0..=MAX, "100000"),
        |config, count| {
            config.global.queue_max_messages = (count > 0).then_some(count as usize);
        },
        "Messages held at most, from publishing until the report was taken; 0: no limit.",
    ),
    integer(
        ("queue.buffering.max.kbytes", &[]),
        Scope::Global,
        (1..=MAX, "1048576"),
        |config, kib| config.global.queue_max_bytes = (kib as usize).saturating_mul(1024),
        "Memory held for messages at most, in KiB; keys, headers and framing count.",
    ),
    Property {
        name: "queue.buffering.max.ms",
        aliases: &["linger.ms"],
        scope: Scope::Global,
        default: "5",
        kind: Kind::Float {
            range: 0.0..=900_000.0,
            set: |config, ms| config.global.linger = Duration::from_secs_f64(ms / 1e3),
        },
        doc: "How many milliseconds a batch may wait for more messages; fractions are allowed.",
    },
    integer(
        ("message.send.max.retries", &["retries"]),
        Scope::Global,
        (0..=MAX, "2147483647"),
        |config, count| config.global.max_retries = count as u32,
        "How often a failed batch is sent again, within message.timeout.ms.",
    ),
    integer(
        ("retry.backoff.ms", &[]),
        Scope::Global,
        (1..=300_000, "100"),
        |config, ms| config.global.retry_backoff = millis(ms),
        "Milliseconds before a failed request is sent again; doubles up to retry.backoff.max.ms.",
    ),
    integer(
        ("retry.backoff.max.ms", &[]),
        Scope::Global,
        (1..=300_000, "1000"),
        |config, ms| config.global.retry_backoff_max = millis(ms),
        "The longest wait in milliseconds before a failed request is sent again.",
    ),
    integer(
        ("batch.num.messages", &[]),
        Scope::Global,
        (1..=1_000_000, "10000"),
        |config, count| config.global.batch_messages = count as usize,
        "Messages after which a batch is full.",
    ),
    integer(
        ("batch.size", &[]),
        Scope::Global,
        (1..=MAX, "1000000"),
        |config, bytes| config.global.batch_bytes = bytes as usize,
        "Bytes after which a batch is full; a single larger message still gets a batch.",
    ),
    Property {
        name: "delivery.report.only.error",
        aliases: &[],
        scope: Scope::Global,
        default: "false",
        kind: Kind::Boolean {
            set: |config, only_errors| {
                config.global.reports = if only_errors {
                    ReportMode::Errors
                } else {
                    ReportMode::All
                };
            },
        },
        doc: "Report failures only.",
    },
    integer(
        ("sticky.partitioning.linger.ms", &[]),
        Scope::Global,
        (0..=900_000, "10"),
        |config, ms| config.global.sticky_linger = millis(ms),
        "How many milliseconds a partition keeps the messages without a key before another one is \
         drawn; 0: one is drawn for every message. Unless set: twice linger.ms, at most 900000.",
    ),
    Property {
        name: "request.required.acks",
        aliases: &["acks"],
        scope: Scope::Topic,
        default: "-1",
        // librdkafka lets 2 to 1000 pass, which every broker since 0.9 answers with an error.
        kind: Kind::Integer {
            range: -1..=1,
            words: &[("all", -1)],
            set: |config, number| {
                config.topic.acks = match number {
                    0 => Acks::None,
                    1 => Acks::Leader,
                    _ => Acks::All,
                }
            },
        },
        doc: "Whose acknowledgement makes a message delivered: 0 nobody's, 1 the leader's, -1 or \
              all that of all in-sync replicas.",
    },
    integer(
        ("request.timeout.ms", &[]),
        Scope::Topic,
        (1..=900_000, "30000"),
        |config, ms| config.topic.request_timeout = millis(ms),
        "How many milliseconds the leader may wait for its followers before it answers with an \
         error.",
    ),
    integer(
        ("message.timeout.ms", &["delivery.timeout.ms"]),
        Scope::Topic,
        (0..=MAX, "300000"),
        |config, ms| config.topic.message_timeout = unless_zero(ms),
        "How many milliseconds a message may take in all before it has failed; 0: for ever.",
    ),
    Property {
        name: "partitioner",
        aliases: &[],
        scope: Scope::Topic,
        default: "consistent_random",
        kind: Kind::Word {
            words: &["consistent_random"],
            set: |config, _only_one| config.topic.partitioner = Partitioner::ConsistentRandom,
        },
        doc: "How a partition is chosen for a message that names none. consistent_random: CRC-32 \
              of the key; messages without a key stick to a random partition.",
    },
];

/// librdkafka's integers are of 32 bits.
const MAX: i64 = i32::MAX as i64;

type Names = (&'static str, &'static [&'static str]);

const fn integer(
    (name, aliases): Names,
    scope: Scope,
    (range, default): (RangeInclusive<i64>, &'static str),
    set: fn(&mut Config, i64),
    doc: &'static str,
) -> Property {
    Property {
        name,
        aliases,
        scope,
        default,
        doc,
        kind: Kind::Integer {
            range,
            words: &[],
            set,
        },
    }
}

const fn text(
    (name, aliases): Names,
    scope: Scope,
    default: &'static str,
    set: fn(&mut Config, String),
    doc: &'static str,
) -> Property {
    Property {
        name,
        aliases,
        scope,
        default,
        doc,
        kind: Kind::Text { set },
    }
}

fn millis(ms: i64) -> Duration {
    Duration::from_millis(ms.unsigned_abs())
}

fn unless_zero(ms: i64) -> Option<Duration> {
    (ms > 0).then(|| millis(ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the engine was told, whatever the explicit marks say.
    fn settings(config: &Config) -> String {
        format!("{:?} {:?}", config.global, config.topic)
    }

    fn assign(property: &Property, text: &str) -> Result<Config, Problem> {
        let mut config = Config::default();
        property.assign(&mut config, text).map(|()| config)
    }

    #[test]
    fn stated_defaults_are_the_engines() {
        let untouched = settings(&Config::default());
        for property in PROPERTIES {
            let config = assign(property, property.default).unwrap();
            assert_eq!(settings(&config), untouched, "{}", property.name);
        }
    }

    #[test]
    fn both_ends_of_a_range_are_taken_and_reach_the_settings() {
        for property in PROPERTIES {
            let ends = match &property.kind {
                Kind::Integer { range, .. } => [*range.start() as f64, *range.end() as f64],
                Kind::Float { range, .. } => [*range.start(), *range.end()],
                _ => continue,
            };
            let [low, high] =
                ends.map(|end| settings(&assign(property, &end.to_string()).unwrap()));
            assert_ne!(low, high, "{}", property.name);
            for beyond in [ends[0] - 1.0, ends[1] + 1.0] {
                assert_eq!(
                    assign(property, &beyond.to_string()).unwrap_err(),
                    Problem::OutOfRange {
                        allowed: property.allowed()
                    },
                    "{}={beyond}",
                    property.name
                );
            }
        }
    }

    #[test]
    fn a_property_sets_only_its_own_scope() {
        let untouched = Config::default();
        for property in PROPERTIES {
            let value = match &property.kind {
                Kind::Integer { range, .. } => range.end().to_string(),
                Kind::Float { range, .. } => range.end().to_string(),
                Kind::Boolean { .. } => "true".into(),
                Kind::Word { words, .. } => words[0].into(),
                Kind::Text { .. } | Kind::Brokers { .. } => "x".into(),
            };
            let config = assign(property, &value).unwrap();
            match property.scope {
                Scope::Global => assert_eq!(config.topic, untouched.topic, "{}", property.name),
                Scope::Topic => assert_eq!(config.global, untouched.global, "{}", property.name),
            }
        }
    }

    #[test]
    fn no_name_stands_twice_in_a_scope() {
        let mut names: Vec<_> = PROPERTIES
            .iter()
            .flat_map(|p| {
                std::iter::once(&p.name)
                    .chain(p.aliases)
                    .map(|n| (p.scope as u8, *n))
            })
            .collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    #[test]
    fn garbage_and_nothing_are_refused_where_upstream_truncates() {
        for (name, text) in [
            ("linger.ms", "5ms"),
            ("linger.ms", "soon"),
            ("batch.size", "1k"),
            ("retries", "1.5"),
            ("delivery.report.only.error", "yes"),
            ("partitioner", "Consistent_random"),
            ("acks", "most"),
        ] {
            let error = Config::default().set(name, text).unwrap_err();
            assert!(
                matches!(error.problem, Problem::Malformed { .. }),
                "{name}={text}: {error}"
            );
        }
        for name in [
            "linger.ms",
            "batch.size",
            "delivery.report.only.error",
            "partitioner",
        ] {
            let error = Config::default().set(name, " ").unwrap_err();
            assert!(
                matches!(error.problem, Problem::Empty { .. }),
                "{name}: {error}"
            );
        }
        let error = Config::default().set("linger.ms", "NaN").unwrap_err();
        assert!(
            matches!(error.problem, Problem::OutOfRange { .. }),
            "{error}"
        );
    }

    #[test]
    fn acks_are_numbers_or_all() {
        for (text, acks) in [
            ("0", Acks::None),
            ("1", Acks::Leader),
            ("-1", Acks::All),
            ("ALL", Acks::All),
        ] {
            let mut config = Config::default();
            config.set("acks", text).unwrap();
            assert_eq!(config.topic.acks, acks, "acks={text}");
        }
        assert_eq!(
            Config::default().set("acks", "2").unwrap_err().to_string(),
            "property acks (request.required.acks): value \"2\" is out of range; give an integer \
             from -1 to 1 or all"
        );
    }

    #[test]
    fn zero_switches_limits_off() {
        let mut config = Config::default();
        for name in [
            "queue.buffering.max.messages",
            "connections.max.idle.ms",
            "topic.metadata.refresh.interval.ms",
            "message.timeout.ms",
        ] {
            config.set(name, "0").unwrap();
        }
        assert_eq!(config.global.queue_max_messages, None);
        assert_eq!(config.global.connections_max_idle, None);
        assert_eq!(config.global.metadata_refresh_interval, None);
        assert_eq!(config.topic.message_timeout, None);
        config
            .set("topic.metadata.refresh.interval.ms", "-1")
            .unwrap();
        assert_eq!(config.global.metadata_refresh_interval, None);
    }

    #[test]
    fn an_empty_text_restores_the_default() {
        let mut config = Config::default();
        config.set("client.id", " me").unwrap();
        assert_eq!(config.global.client_id, "me");
        config.set("client.id", "").unwrap();
        assert_eq!(config.global.client_id, "rdkafka");
    }
}
