//! Logs on standard error.

use clap::{ArgAction, Args, ValueEnum};
use event_kafka::config::{Config, Scope};
use tracing_subscriber::filter::{LevelFilter, filter_fn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::console::Console;

#[derive(Args)]
pub(crate) struct Options {
    /// Log more: -v what is done, -vv every detail
    #[arg(short, long, global = true, action = ArgAction::Count, display_order = 900)]
    verbose: u8,
    /// How log lines on standard error look
    #[arg(
        long,
        global = true,
        display_order = 900,
        value_name = "FORMAT",
        default_value = "text"
    )]
    log_format: Format,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    Text,
    Json,
}

/// From here on what the library logs reaches the console; without `-v` only what is `unasked`, and
/// the details that a producer was told to give (`debug`).
pub(crate) fn start(options: &Options, unasked: LevelFilter, console: &Console) {
    let level = match options.verbose {
        0 => unasked,
        1 => LevelFilter::INFO,
        _ => EVERYTHING,
    };
    let filter = filter_fn(move |line| {
        let told_to =
            *line.level() == LevelFilter::DEBUG && line.target().starts_with("event_kafka::");
        *line.level() <= level || told_to
    });
    let builder = tracing_subscriber::fmt()
        .with_max_level(level.max(LevelFilter::DEBUG))
        .with_ansi(false)
        .with_writer(console.clone());
    match options.log_format {
        Format::Text => builder.finish().with(filter).init(),
        Format::Json => builder.json().finish().with(filter).init(),
    }
}

/// Has a producer tell every detail with `-vv`, unless its configuration says of what.
pub(crate) fn tell_details(config: &mut Config) {
    let is_said = config
        .get(Scope::Global, "debug")
        .is_some_and(|debug| !debug.is_empty());
    if LevelFilter::current() == EVERYTHING && !is_said {
        config.set("debug", "all").expect("a flag of the table");
    }
}

const EVERYTHING: LevelFilter = LevelFilter::TRACE;
