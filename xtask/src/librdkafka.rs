//! librdkafka, as the Python package `confluent-kafka` brings it along, in an environment of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use xtask::{Error, Result, workspace_root};

use crate::command::run;

/// What the package contains.
pub(crate) const NAME: &str = "librdkafka 2.16.0";

const PACKAGE: &str = "confluent-kafka==2.16.1";

/// A Python, and the shared library for it to load.
pub(crate) struct Librdkafka {
    pub(crate) python: PathBuf,
    pub(crate) library: PathBuf,
}

/// Installs it below `target` unless it is there.
pub(crate) fn install() -> Result<Librdkafka> {
    let folder = workspace_root().join("target/librdkafka");
    let python = folder.join("bin/python3");
    if find(&folder).is_none() {
        run(Command::new("python3")
            .args(["-m", "venv", "--clear"])
            .arg(&folder))?;
        run(Command::new(&python).args(["-m", "pip", "install", "--quiet", PACKAGE]))?;
    }
    match find(&folder) {
        Some(library) => Ok(Librdkafka { python, library }),
        None => Err(Error::Failed(format!(
            "{PACKAGE} brings no librdkafka along; is there a wheel for this machine?"
        ))),
    }
}

/// `lib/python3.*/site-packages/confluent_kafka.libs/librdkafka-*.so.1`
fn find(environment: &Path) -> Option<PathBuf> {
    let versions = files(&environment.join("lib"));
    let packages = versions.map(|version| version.join("site-packages/confluent_kafka.libs"));
    let mut libraries = packages.flat_map(|folder| files(&folder).collect::<Vec<_>>());
    libraries.find(|library| {
        let name = library.file_name().unwrap_or_default();
        name.as_encoded_bytes().starts_with(b"librdkafka")
    })
}

fn files(folder: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path())
}
