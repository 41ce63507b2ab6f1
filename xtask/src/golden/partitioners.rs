//! Where librdkafka puts keys.

use std::fmt::Write as _;
use std::fs;
use std::process::Command;

use xtask::{Error, Result, workspace_root};

use crate::command::output_for;
use crate::librdkafka::{self, Librdkafka};

#[path = "../../../engine/src/accumulator/partitioner/golden_keys.rs"]
mod golden_keys;

const SCRIPT: &str = "xtask/src/golden/partitioners.py";

const GOLDEN: &str = "engine/src/accumulator/partitioner/golden.bin";

pub(super) fn write() -> Result<()> {
    let Librdkafka { python, library } = librdkafka::install()?;
    let keys: Vec<String> = (0..golden_keys::KEYS)
        .map(|index| golden_keys::key(index).map_or("-".to_owned(), |key| hexadecimal(&key)))
        .collect();
    let mut asking = Command::new(python);
    asking.arg(workspace_root().join(SCRIPT)).arg(library);
    let placed = output_for(&mut asking, keys.join("\n").as_bytes())?;
    let file = workspace_root().join(GOLDEN);
    fs::write(&file, &placed).map_err(Error::io(GOLDEN))?;
    println!("{} keys, {} bytes: {GOLDEN}", keys.len(), placed.len());
    Ok(())
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
