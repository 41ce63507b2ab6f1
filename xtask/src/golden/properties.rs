//! What librdkafka makes of properties: its listing, values of all kinds, and combinations.

use std::process::Command;

use xtask::{Result, workspace_root};

use crate::command::run;
use crate::librdkafka::{self, Librdkafka};

const SCRIPT: &str = "xtask/src/golden/properties.py";

const GOLDEN: &str = "src/config/golden";

pub(super) fn write() -> Result<()> {
    let Librdkafka { python, library } = librdkafka::install()?;
    let mut asking = Command::new(python);
    asking.arg(workspace_root().join(SCRIPT)).arg(library);
    run(asking.arg(workspace_root().join(GOLDEN)))?;
    println!("{GOLDEN}/*.tsv");
    Ok(())
}
