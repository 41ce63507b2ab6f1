//! `cargo xtask opensips-test`: the module in real trees of OpenSIPS.

use xtask::Result;

use crate::command::{cargo, run};

/// Builds the module in every tree in the folder that `OPENSIPS_SRC` names, and runs OpenSIPS with it
/// in those that are built.
pub(crate) fn test_in_trees() -> Result<()> {
    if std::env::var_os("OPENSIPS_SRC").is_none() {
        println!(
            "not run: set OPENSIPS_SRC to a folder with trees of OpenSIPS, such as 3.6/ and master/, \
             each a checkout in which `make` was run"
        );
        return Ok(());
    }
    run(&mut cargo(
        "test --package event-kafka-ffi --test opensips -- --nocapture",
    ))
}
