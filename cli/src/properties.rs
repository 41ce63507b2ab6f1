//! `event-kafka properties`.

mod explain;
mod json;
mod markdown;
mod people;

use std::io::{self, Write};

use clap::{Args, ValueEnum};
use event_kafka::config::{Change, Config, Handling, PROPERTIES, Property, Scope};
use event_kafka::opensips::Socket;

use crate::console::Console;
use crate::error::{Error, Exit};
use crate::socket;

/// List the properties: what they do, which values they take, and what becomes of them
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    /// All about one property, by its name or an alias
    #[arg(conflicts_with_all = ["scope", "handling", "changed_from"])]
    name: Option<String>,
    /// How to print them
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    format: Format,
    /// Only those that may be set there
    #[arg(long, value_name = "SCOPE")]
    scope: Option<ScopeFilter>,
    /// Only those that are handled so
    #[arg(long, value_name = "HANDLING")]
    handling: Option<HandlingFilter>,
    /// Only those that a socket changes from their defaults, with the values that they then have
    #[arg(long, value_name = "SOCKET")]
    changed_from: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A line for each
    Table,
    /// The reference that docs/properties.md is
    Markdown,
    /// A list of objects, one for every name
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ScopeFilter {
    /// The producer: g. in a socket
    Global,
    /// A topic: t. in a socket
    Topic,
    /// Names that mean one thing to the producer and another to a topic
    Both,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum HandlingFilter {
    /// They have their effect
    Implemented,
    /// They are checked, and nothing depends on them
    NoOp,
    /// A producer ignores them
    ConsumerOnly,
    /// They wait for something
    Planned,
    /// They cannot be set
    Rejected,
    /// They are no texts
    DedicatedApi,
}

const EXAMPLES: &str = "\
Examples:
  event-kafka properties linger.ms
  event-kafka properties --scope topic --handling implemented
  event-kafka properties --changed-from 'kafka:a,b:9093/cdr?g.linger.ms=20&t.acks=1'
  event-kafka properties --format json";

pub(crate) fn run(options: &Options, console: &Console) -> Result<Exit, Error> {
    let text = match (&options.name, &options.changed_from) {
        (Some(name), _) => show_named(name, options.format)?,
        (None, Some(socket)) => show_changes(socket, options, console)?,
        (None, None) => show_list(options),
    };
    let mut stdout = io::stdout().lock();
    let written = stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush());
    match written {
        // A reader who has seen enough is no error.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Error::Output(error)),
        _ => Ok(Exit::Well),
    }
}

fn show_named(name: &str, format: Format) -> Result<String, Error> {
    let plain = name.strip_prefix("topic.").unwrap_or(name);
    let is_called = |p: &&Property| {
        p.names()
            .any(|known| known == name || known == plain && p.scope == Scope::Topic)
    };
    let found: Vec<_> = PROPERTIES.iter().filter(is_called).collect();
    if found.is_empty() {
        return Err(Error::NoProperty(name.to_owned()));
    }
    Ok(match format {
        Format::Table => people::cards(&found),
        Format::Markdown => markdown::table(&found),
        Format::Json => json::properties(&found),
    })
}

fn show_changes(text: &str, options: &Options, console: &Console) -> Result<String, Error> {
    let mut config = Config::default();
    socket::configure(&Socket::parse(text)?, &mut config)?;
    let finished = config.finish()?;
    for warning in &finished.warnings {
        console.line(&warning.to_string());
    }
    let mut changes = finished.changes();
    changes.retain(|change| options.selects(change.property));
    Ok(match options.format {
        Format::Table => people::changes(&changes),
        Format::Markdown => markdown::changes(&changes),
        Format::Json => json::changes(&changes),
    })
}

fn show_list(options: &Options) -> String {
    let selected: Vec<_> = PROPERTIES.iter().filter(|p| options.selects(p)).collect();
    let all = selected.len() == PROPERTIES.len();
    match options.format {
        Format::Table => people::list(&selected),
        Format::Markdown if all => markdown::reference(),
        Format::Markdown => markdown::table(&selected),
        Format::Json => json::properties(&selected),
    }
}

impl Options {
    fn selects(&self, property: &Property) -> bool {
        self.scope.is_none_or(|scope| scope.includes(property))
            && self
                .handling
                .is_none_or(|handling| handling.includes(property))
    }
}

impl ScopeFilter {
    fn includes(self, property: &Property) -> bool {
        match self {
            Self::Global => property.scope == Scope::Global,
            Self::Topic => property.scope == Scope::Topic,
            Self::Both => PROPERTIES
                .iter()
                .any(|other| other.scope != property.scope && other.name == property.name),
        }
    }
}

impl HandlingFilter {
    fn includes(self, property: &Property) -> bool {
        self == match property.handling {
            Handling::Implemented { .. } => Self::Implemented,
            Handling::AcceptedNoOp { .. } => Self::NoOp,
            Handling::ConsumerOnly => Self::ConsumerOnly,
            Handling::Planned { .. } => Self::Planned,
            Handling::Rejected { .. } => Self::Rejected,
            Handling::DedicatedApi { .. } => Self::DedicatedApi,
        }
    }
}

/// Why a property has the value that it has.
fn origin(change: &Change) -> &str {
    change.set_as.as_deref().unwrap_or("follows from others")
}
