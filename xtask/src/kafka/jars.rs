//! Kafka's jars, fetched once with Maven.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{self, Command, Stdio};

use crate::{Error, Result, kafka_folder};

/// The version of Apache Kafka that the tests run against.
pub const KAFKA_VERSION: &str = "4.4.0";

/// The class path of a Kafka node; fetches the jars when they are not in the cache.
pub(super) fn class_path() -> Result<OsString> {
    let folder = kafka_folder().join(format!("jars-{KAFKA_VERSION}"));
    if !folder.is_dir() {
        fetch(&folder)?;
    }
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

/// Fetches into a folder of our own and renames it, so that the cache is complete or absent, whoever
/// else fetches at the same time.
fn fetch(folder: &Path) -> Result<()> {
    let partial = folder.with_extension(format!("partial-{}", process::id()));
    fs::create_dir_all(&partial).map_err(Error::io(format!("creating {}", partial.display())))?;
    let pom = partial.join("pom.xml");
    fs::write(&pom, pom_xml()).map_err(Error::io(format!("writing {}", pom.display())))?;

    eprintln!("fetching Apache Kafka {KAFKA_VERSION} with Maven (once)");
    let output = Command::new("mvn")
        .args(["--quiet", "--batch-mode", "--file"])
        .arg(&pom)
        .arg("dependency:copy-dependencies")
        .arg("-DoutputDirectory=jars")
        .stdin(Stdio::null())
        .output()
        .map_err(Error::io(
            "running mvn (`cargo xtask test` installs it on Debian)",
        ))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stdout);
        return Err(Error::Failed(format!(
            "Maven could not fetch Apache Kafka {KAFKA_VERSION}:\n{said}"
        )));
    }

    let renamed = fs::rename(partial.join("jars"), folder);
    let removed = fs::remove_dir_all(&partial);
    if folder.is_dir() {
        return removed.map_err(Error::io(format!("removing {}", partial.display())));
    }
    renamed.map_err(Error::io(format!(
        "moving the jars to {}",
        folder.display()
    )))
}

fn pom_xml() -> String {
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
      <version>{KAFKA_VERSION}</version>
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
