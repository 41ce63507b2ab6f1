//! Kafka's classes as Java keeps them in memory ("class data sharing"): with them a node starts in
//! half the time and CPU.

use std::ffi::OsString;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use rustix::process::Signal;

use super::layout::Layout;
use super::process::Supervised;
use super::version::Version;
use super::{cache, ready, storage};
use crate::{Error, Result, kafka_folder};

/// The option that makes Java use the archive, which is made (about 10 s) when it is not in the cache.
///
/// Java itself compares it with the jars and passes over one that does not fit.
pub(super) fn option(version: &Version) -> Result<OsString> {
    let name = format!("classes-{version}-java-{}.jsa", java_version());
    let archive = kafka_folder().join(name);
    cache::once(&archive, |partial| make(partial, version))?;
    Ok(java_option("-XX:SharedArchiveFile=", &archive))
}

/// Java writes it when a node that loaded the classes ends in an orderly way.
fn make(archive: &Path, version: &Version) -> Result<()> {
    let workshop = archive.with_added_extension("node");
    let layout = Layout::write_alone(&workshop, version)?;
    layout.remove_data()?;
    storage::format(&layout)?;
    let option = java_option("-XX:ArchiveClassesAtExit=", archive);
    let mut node = Supervised::start_with(&layout, &option)?;
    ready::wait(&[&layout], 1, || node.expect_alive(&layout))?;
    let status = node.end(Signal::TERM)?;
    // Half an archive would crash Java, and an empty one is passed over.
    let cut_off = status.signal() == Some(Signal::KILL.as_raw());
    if cut_off || !archive.exists() {
        eprintln!("Java made no class archive ({status}); nodes start without, more slowly");
        fs::write(archive, "").map_err(Error::io(format!("writing {}", archive.display())))?;
    }
    cache::remove(&workshop)
}

fn java_option(name: &str, archive: &Path) -> OsString {
    let mut option = OsString::from(name);
    option.push(archive);
    option
}

/// What `java -version` has in quotes, or nothing: the name only keeps archives apart.
fn java_version() -> &'static str {
    static VERSION: OnceLock<String> = OnceLock::new();
    VERSION.get_or_init(|| {
        let output = Command::new("java").arg("-version").output();
        let said = output.map(|output| output.stderr).unwrap_or_default();
        let said = String::from_utf8_lossy(&said);
        let version = said.split('"').nth(1).unwrap_or_default();
        version.replace(|c: char| !c.is_ascii_alphanumeric() && c != '.', "_")
    })
}
