//! `cargo xtask golden WHAT`: asks librdkafka itself, and writes its answers down for the tests that
//! compare with them.

mod partitioners;
mod properties;

use xtask::{Error, Result};

use crate::arguments::Arguments;

pub(crate) fn write(arguments: &mut Arguments) -> Result<()> {
    let what = arguments.word();
    arguments.finish()?;
    match what.as_deref() {
        Some("partitioners") => partitioners::write(),
        Some("properties") => properties::write(),
        _ => Err(Error::Usage(
            "golden wants `partitioners` or `properties`".to_owned(),
        )),
    }
}
