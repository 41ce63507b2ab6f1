//! What the developer commands and the integration tests share: a real Apache Kafka on loopback, and
//! the names of brokers to test against.
//!
//! The commands themselves (`cargo xtask ...`) live in the binary beside this library.

mod error;
pub mod kafka;
mod test_broker;

use std::path::{Path, PathBuf};

pub use error::{Error, Result};
pub use test_broker::{MOCK_PROFILES, TestBroker};

/// The root folder of the workspace.
pub fn workspace_root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("xtask/ lies in the workspace")
}

/// Where Kafka's packages are cached and where nodes keep their data and logs.
///
/// Always below the workspace's own `target`, whatever `CARGO_TARGET_DIR` says, so that every build
/// shares one download.
pub fn kafka_folder() -> PathBuf {
    workspace_root().join("target").join("kafka")
}
