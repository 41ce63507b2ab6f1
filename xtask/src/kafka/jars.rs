//! Kafka's jars, fetched once with Maven.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::cache::{self, remove};
use super::version::Version;
use crate::{Error, Result, kafka_folder};

/// The class path of a Kafka node; fetches the jars when they are not in the cache.
///
/// Always in the same order: a class archive holds for one class path only.
pub(super) fn class_path(version: &Version) -> Result<OsString> {
    let folder = kafka_folder().join(format!("jars-{version}"));
    cache::once(&folder, |partial| fetch(version, partial))?;
    let mut jars = list(&folder)?;
    jars.sort();
    std::env::join_paths(jars).map_err(|error| {
        Error::Failed(format!("{} makes no class path: {error}", folder.display()))
    })
}

fn list(folder: &Path) -> Result<Vec<PathBuf>> {
    let doing = || format!("listing {}", folder.display());
    fs::read_dir(folder)
        .map_err(Error::io(doing()))?
        .map(|entry| entry.map(|entry| entry.path()).map_err(Error::io(doing())))
        .collect()
}

fn fetch(version: &Version, folder: &Path) -> Result<()> {
    let pom = folder.with_added_extension("pom.xml");
    fs::write(&pom, pom_xml(version)).map_err(Error::io(format!("writing {}", pom.display())))?;
    eprintln!("fetching Apache Kafka {version} with Maven (once)");
    let output = Command::new("mvn")
        .args(["--quiet", "--batch-mode", "--file"])
        .arg(&pom)
        .arg("dependency:copy-dependencies")
        .arg(format!("-DoutputDirectory={}", folder.display()))
        .stdin(Stdio::null())
        .output()
        .map_err(Error::io(
            "running mvn (`cargo xtask test` installs it on Debian)",
        ))?;
    remove(&pom)?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stdout);
        return Err(Error::Failed(format!(
            "Maven could not fetch Apache Kafka {version}:\n{said}"
        )));
    }
    Ok(())
}

fn pom_xml(version: &Version) -> String {
    format!(
        r"<project>
  <modelVersion>4.0.0</modelVersion>
  <groupId>event-kafka</groupId>
  <artifactId>test-broker</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId>
      <artifactId>kafka_2.13</artifactId>
      <version>{version}</version>
    </dependency>
    <dependency>
      <groupId>org.slf4j</groupId>
      <artifactId>slf4j-simple</artifactId>
      <version>1.7.36</version>
    </dependency>
  </dependencies>
</project>
"
    )
}
