//! What a producer says to the log: events of the crate `tracing`. Their targets are `event_kafka::`
//! and a context, by librdkafka's names; the settings of the producer decide what is said at all.

use tracing::Level;
use tracing::level_filters::LevelFilter;

/// What is said to the log. Whoever subscribes to it may leave out more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSettings {
    /// The least important that is said. [`LevelFilter::DEBUG`] is every detail.
    pub level: LevelFilter,
    /// Of what every detail is said, whatever the level.
    pub details: Vec<Context>,
    /// Whether connections that brokers close are worth more than a detail.
    pub connection_close: bool,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self {
            level: LevelFilter::INFO,
            details: Vec::new(),
            connection_close: true,
        }
    }
}

impl LogSettings {
    /// Whether to say something.
    pub fn allows(&self, level: Level, context: Context) -> bool {
        level <= self.level || level == Level::DEBUG && self.details.contains(&context)
    }
}

/// What something that is said is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Context {
    /// The producer as a whole.
    Generic,
    /// Connections to brokers.
    Broker,
    /// A topic and its partitions.
    Topic,
    /// What the cluster says of itself.
    Metadata,
    /// Batches of messages.
    Msg,
    /// Every request, and every answer.
    Protocol,
    /// The producer id (exactly-once semantics).
    Eos,
    /// The configuration.
    Conf,
}

impl Context {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Generic,
        Self::Broker,
        Self::Topic,
        Self::Metadata,
        Self::Msg,
        Self::Protocol,
        Self::Eos,
        Self::Conf,
    ];

    /// The target of its events.
    pub const fn target(self) -> &'static str {
        match self {
            Self::Generic => "event_kafka::generic",
            Self::Broker => "event_kafka::broker",
            Self::Topic => "event_kafka::topic",
            Self::Metadata => "event_kafka::metadata",
            Self::Msg => "event_kafka::msg",
            Self::Protocol => "event_kafka::protocol",
            Self::Eos => "event_kafka::eos",
            Self::Conf => "event_kafka::conf",
        }
    }

    /// Its name, as `debug` has it.
    pub fn name(self) -> &'static str {
        self.target().rsplit(':').next().unwrap_or_default()
    }
}

/// Says something, unless the settings of the producer are against it: `say!(settings, WARN Broker,
/// ...)`, and then what an event of `tracing` takes.
#[macro_export]
macro_rules! say {
    ($settings:expr, $level:ident $context:ident, $($what:tt)+) => {
        if $settings.log.allows(::tracing::Level::$level, $crate::log::Context::$context) {
            ::tracing::event!(
                target: $crate::log::Context::$context.target(),
                ::tracing::Level::$level,
                $($what)+
            );
        }
    };
}
