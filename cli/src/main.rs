//! The event-kafka command line.

mod bench;
mod broker;
mod columns;
mod console;
mod demo;
mod error;
mod interrupt;
mod logging;
mod properties;
mod publish;
mod socket;

use std::env;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{Parser, Subcommand};
use tracing_subscriber::filter::LevelFilter;

use console::Console;
use error::Exit;

/// Publish events to Apache Kafka.
///
/// SOCKET is OpenSIPS' grammar everywhere: [kafka:]brokers/topic[?g.NAME=VALUE&t.NAME=VALUE]. `g.`
/// sets a property of the producer, `t.` one of the topic; names and values are librdkafka's.
#[derive(Parser)]
#[command(name = "event-kafka", version, after_help = EXIT_CODES)]
struct Cli {
    #[command(flatten)]
    logging: logging::Options,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Publish(publish::Options),
    Properties(properties::Options),
    Bench(bench::Options),
    Broker(broker::Options),
    /// Watch SIP events on their way into Kafka: needs nothing, takes a second
    Demo,
}

impl Command {
    /// What is logged without `-v`.
    fn unasked_logs(&self) -> LevelFilter {
        match self {
            // It shows by itself what its broker does to it.
            Self::Demo => LevelFilter::ERROR,
            _ => LevelFilter::WARN,
        }
    }
}

const EXIT_CODES: &str = "\
Exit codes:
  0    all was delivered; a broker was told to end
  1    some message failed; standard error says which and why
  2    the command line or the configuration is wrong, or a file cannot be read
  130  interrupted, after waiting for what was under way";

fn main() -> ExitCode {
    let console = Console::new();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return explain(&error, &console),
    };
    logging::start(&cli.logging, cli.command.unasked_logs(), &console);
    let ending = match cli.command {
        Command::Publish(options) => publish::run(options, &console),
        Command::Properties(options) => properties::run(&options, &console),
        Command::Bench(options) => bench::run(&options, &console),
        Command::Broker(options) => broker::run(&options, &console),
        Command::Demo => demo::run(&console),
    };
    let exit = ending.unwrap_or_else(|error| {
        console.line(&error.to_string());
        Exit::Misused
    });
    exit.into()
}

/// Help goes out as clap writes it; a mistake becomes one line.
fn explain(error: &clap::Error, console: &Console) -> ExitCode {
    if !error.use_stderr() || error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        // A reader who has seen enough of the help is no error.
        let _ = error.print();
        return u8::try_from(error.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from);
    }
    console.line(&format!("{}; --help says more", in_one_line(error)));
    Exit::Misused.into()
}

fn in_one_line(error: &clap::Error) -> String {
    let text = without_values(error.render().to_string());
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let telling = lines.take_while(|line| {
        !line.starts_with("Usage:") && !line.starts_with("For more information")
    });
    let line = telling.collect::<Vec<_>>().join("; ").replace(":; ", ": ");
    line.strip_prefix("error: ").unwrap_or(&line).to_owned()
}

/// clap quotes what it does not understand. That may be a socket, with a secret in it.
fn without_values(mut text: String) -> String {
    for argument in env::args_os().skip(1) {
        let argument = argument.to_string_lossy();
        let flag_value = argument
            .strip_prefix("--")
            .and_then(|flag| flag.split_once('='));
        let value = flag_value.map_or(&*argument, |(_, value)| value);
        if let Some(at) = value.find(['?', '=']) {
            text = text.replace(&value[at..], &format!("{}...", &value[at..=at]));
        }
    }
    text
}

/// How this program was called, for lines that people copy.
fn program() -> String {
    env::args()
        .next()
        .unwrap_or_else(|| "event-kafka".to_owned())
}
