//! `event-kafka publish`.

mod input;
mod publisher;
mod recording;
mod reporter;
mod session;

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{ArgGroup, Args, ValueEnum};
use event_kafka::config::Config;
use event_kafka::opensips::Socket;
use event_kafka::{Producer, ReportMode};
use zeroize::Zeroizing;

use crate::console::Console;
use crate::error::{Error, Exit};
use crate::logging;
use crate::socket;
use input::Input;
use publisher::{Envelope, Publisher};
use recording::Recording;
use reporter::Reporter;
use session::Session;

/// Publish messages: arguments, lines, or an event
///
/// Without MESSAGE, --file, --event or --null, every line of standard input is a message. A line
/// ends with \n, which is not part of it; all other bytes are, a \r too, and an empty line is an
/// empty message. A full queue waits; nothing is dropped. Ctrl-C delivers what was accepted (for
/// at most 5 seconds) and says what was not; a second one ends at once.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
#[command(group = ArgGroup::new("source").args(["messages", "file", "event", "null"]))]
pub(crate) struct Options {
    /// Where to: [kafka:]brokers/topic[?g.NAME=VALUE&t.NAME=VALUE]
    socket: String,
    /// The messages
    #[arg(value_name = "MESSAGE")]
    messages: Vec<OsString>,
    /// Publish every line of a file
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Publish an OpenSIPS event, as JSON-RPC
    #[arg(long, value_name = "NAME")]
    event: Option<OsString>,
    /// A parameter of the event, repeatable; without NAME= it is positional
    ///
    /// A value that is a 32-bit integer in its shortest form becomes a number, anything else (007,
    /// +5, 1.0) a string. A positional value with a '=' in it is written =VALUE.
    #[arg(long, value_name = "NAME=VALUE", requires = "event")]
    param: Vec<OsString>,
    /// Publish a tombstone: a key and no value
    #[arg(long, requires = "key")]
    null: bool,
    /// The key of every message
    #[arg(long)]
    key: Option<OsString>,
    /// What parts key and value in every message, as in key|value; \t is a tab
    #[arg(long, value_name = "C", value_parser = parse_separator, conflicts_with = "key")]
    #[arg(conflicts_with = "event")]
    key_separator: Option<String>,
    /// A header of every message, repeatable
    #[arg(long, value_name = "NAME=VALUE", value_parser = parse_header)]
    header: Vec<(String, String)>,
    /// The partition of every message, instead of one chosen by the key
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = clap::value_parser!(i32).range(0..))]
    partition: Option<i32>,
    /// What to tell of the messages' fate; they are counted from 0
    ///
    /// This goes over delivery.report.only.error.
    #[arg(long, value_name = "WHAT", default_value = "errors")]
    report: Report,
    /// Read properties from a file of name=value lines; the socket's go over them
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Write to a file what the producer was told and what it did, for whoever looks into a problem
    ///
    /// It is written at the end, whatever that is, but for a second Ctrl-C. It holds lengths and times
    /// of messages, and nothing of their content; it does hold the addresses of brokers, what they
    /// answered, names of topics, and properties. The producer keeps the last 256 MiB of it.
    /// `cargo xtask sim --replay FILE`, in the source tree of the same version, repeats the run.
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Report {
    /// Nothing but the exit code and a count of failures
    None,
    /// A line on standard error for every message that failed
    Errors,
    /// A line of JSON on standard output for every message
    Json,
}

const EXAMPLES: &str = "\
Examples:
  event-kafka publish 127.0.0.1:9092/sip 'hello' 'world'
  event-kafka publish 127.0.0.1:9092/sip --event E_PIKE_BLOCKED --param ip=10.0.0.7 --report json
  event-kafka publish 'kafka:a,b:9093/cdr?g.linger.ms=20' --file cdr.txt --key-separator '|'
  tail -F log | event-kafka publish 127.0.0.1:9092/log --config producer.conf";

pub(crate) fn run(options: Options, console: &Console) -> Result<Exit, Error> {
    let socket = Socket::parse(&options.socket)?;
    let mut config = configuration(options.config.as_deref())?;
    let resolved = socket::configure(&socket, &mut config)?;
    let envelope = Envelope::new(&options, &socket, &resolved.headers());
    logging::tell_details(&mut config);
    let settings = config.clone().finish()?.settings;
    let input = Input::open(&options, &socket, settings.message_max_bytes)?;
    let mode = match options.report {
        Report::None => ReportMode::None,
        Report::Errors => ReportMode::Errors,
        Report::Json => ReportMode::All,
    };
    let recording = options.record.map(Recording::create).transpose()?;
    let builder = Producer::builder().config(config).report_mode(mode);
    let producer = match recording {
        Some(_) => builder.record(recording::MEMORY).start()?,
        None => builder.start()?,
    };
    let recorded = producer.clone();
    let publisher = Publisher {
        topic: producer.topic(socket.topic)?,
        producer,
        envelope,
        reporter: Arc::new(Reporter::new(options.report, socket.topic, console.clone())),
        stop: Arc::default(),
    };
    let ending = Session::begin(publisher, input, console).and_then(Session::end);
    if let Some(recording) = recording {
        recording.write(&recorded)?;
    }
    ending
}

fn configuration(file: Option<&Path>) -> Result<Config, Error> {
    let mut config = Config::default();
    if let Some(path) = file {
        // It may hold passwords.
        let text = fs::read_to_string(path).map(Zeroizing::new);
        let text = text.map_err(|error| Error::read(path, error))?;
        config
            .set_from_file(&text)
            .map_err(|error| Error::ConfigFile {
                path: path.to_owned(),
                error: error.into(),
            })?;
    }
    Ok(config)
}

fn parse_header(text: &str) -> Result<(String, String), &'static str> {
    match text.split_once('=') {
        Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
        None => Err("there is no '='; write NAME=VALUE"),
    }
}

fn parse_separator(text: &str) -> Result<String, &'static str> {
    match text {
        "" => Err("it is empty; give one character or more"),
        r"\t" => Ok("\t".to_owned()),
        _ => Ok(text.to_owned()),
    }
}
