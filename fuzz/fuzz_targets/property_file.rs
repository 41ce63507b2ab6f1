//! No file of properties makes its reader panic or points at a line that is not there; what is
//! right line by line is right as a whole.

#![no_main]

use event_kafka::config::{Config, ConfigError};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let mut whole = Config::default();
    let mut by_line = Config::default();
    match whole.set_from_file(text) {
        Ok(()) => {
            for line in text.lines() {
                let set = by_line.set_from_file(line);
                set.expect("it was right in the whole");
            }
            assert_eq!(outcome(whole), outcome(by_line));
        }
        Err(error) => {
            let line = text.lines().nth(error.line - 1).expect("it is there");
            let alone = by_line.set_from_file(line).expect_err("it is wrong");
            assert_eq!(alone.line, 1);
        }
    }
});

/// What a producer is told.
fn outcome(config: Config) -> Result<String, (i32, Box<str>)> {
    let refusal = |error: ConfigError| (error.code(), error.property);
    let finished = config.finish().map_err(refusal)?;
    Ok(format!(
        "{:?} {:?}",
        finished.settings, finished.topic_settings
    ))
}
