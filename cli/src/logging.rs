//! Logs on standard error.

use clap::{ArgAction, Args, ValueEnum};
use tracing_subscriber::filter::LevelFilter;

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

/// From here on what the library logs reaches the console; without `-v` only what is `unasked`.
pub(crate) fn start(options: &Options, unasked: LevelFilter, console: &Console) {
    let level = match options.verbose {
        0 => unasked,
        1 => LevelFilter::INFO,
        _ => LevelFilter::DEBUG,
    };
    let builder = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_ansi(false)
        .with_writer(console.clone());
    match options.log_format {
        Format::Text => builder.init(),
        Format::Json => builder.json().init(),
    }
}
