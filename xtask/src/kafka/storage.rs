//! The storage of a node: formatted by Kafka once for each version, then copied.
//!
//! To format is a Java process, a second of CPU each time; what it writes differs between nodes in
//! `meta.properties` alone.

use std::fs;
use std::path::Path;

use super::layout::Layout;
use super::version::Version;
use super::{cache, process};
use crate::{Error, Result, kafka_folder};

/// Any id will do: clusters with the same one never meet. This is "EventKafkaTests1" in base64.
const CLUSTER_ID: &str = "RXZlbnRLYWZrYVRlc3RzMQ";

const META: &str = "meta.properties";

/// Gives the node's data folder its identity, unless it has one.
pub(super) fn format(layout: &Layout) -> Result<()> {
    let (data, meta) = (layout.data(), layout.data().join(META));
    if meta.exists() {
        return Ok(());
    }
    let formatted = kafka_folder().join(format!("storage-{}", layout.version));
    cache::once(&formatted, |partial| {
        format_by_kafka(partial, &layout.version)
    })?;
    layout.remove_data()?;
    copy(&formatted, &data)?;
    // Last, because it says that the storage is formatted.
    fs::write(&meta, identity(layout.id)).map_err(Error::io(format!("writing {}", meta.display())))
}

fn identity(node: i32) -> String {
    // "EventKafkaNode-" in base64, then the id as sixteenth byte.
    let last = ["MQ", "Mg", "Mw"][usize::try_from(node - 1).expect("ids begin with 1")];
    format!(
        "version=1\ncluster.id={CLUSTER_ID}\nnode.id={node}\ndirectory.id=RXZlbnRLYWZrYU5vZGUt{last}\n"
    )
}

fn format_by_kafka(storage: &Path, version: &Version) -> Result<()> {
    let workshop = storage.with_added_extension("node");
    let layout = Layout::write_alone(&workshop, version)?;
    layout.remove_data()?;
    let status = process::java(&layout)?
        .args(["kafka.tools.StorageTool", "format"])
        .args(["--cluster-id", CLUSTER_ID, "--config"])
        .arg(layout.properties())
        .status()
        .map_err(Error::io("running java"))?;
    if !status.success() {
        return Err(layout.failure("could not format its storage"));
    }
    copy(&layout.data(), storage)?;
    cache::remove(&storage.join(META))?;
    cache::remove(&workshop)
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    let copying = || Error::io(format!("copying {} to {}", from.display(), to.display()));
    fs::create_dir_all(to).map_err(copying())?;
    for entry in fs::read_dir(from).map_err(copying())? {
        let entry = entry.map_err(copying())?;
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to)?;
        } else {
            fs::copy(entry.path(), to).map_err(copying())?;
        }
    }
    Ok(())
}
