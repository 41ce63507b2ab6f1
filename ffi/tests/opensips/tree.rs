//! A source tree of OpenSIPS. The module is built in a folder beside it that has the tree's files as
//! links, so that nothing is left in the tree.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::c::{libraries, run, scratch};

pub(crate) struct Tree {
    source: PathBuf,
    copy: PathBuf,
    /// Where other modules are built that the tree has not.
    others: PathBuf,
}

impl Tree {
    /// Those in a folder, by name.
    pub(crate) fn all_in(folder: &Path) -> Vec<Self> {
        let entries = fs::read_dir(folder).unwrap();
        let folders = entries.map(|entry| entry.unwrap().path());
        let mut sources: Vec<_> = folders
            .filter(|path| path.join("Makefile.defs").is_file() && path.join("evi").is_dir())
            .collect();
        sources.sort();
        let tree = |source: PathBuf| {
            let name = source.file_name().unwrap().to_str().unwrap();
            Self {
                copy: scratch(name),
                others: scratch(&format!("{name}-others")),
                source: fs::canonicalize(&source).unwrap(),
            }
        };
        sources.into_iter().map(tree).collect()
    }

    pub(crate) fn name(&self) -> &str {
        self.source.file_name().unwrap().to_str().unwrap()
    }

    /// Whether there is a server to run.
    pub(crate) fn is_built(&self) -> bool {
        self.server().is_file()
    }

    /// Which OpenSIPS it is, in words.
    pub(crate) fn version(&self) -> String {
        let defs = fs::read_to_string(self.source.join("Makefile.defs")).unwrap();
        let part = |name: &str| {
            let values = defs.lines().filter_map(|line| line.split_once('='));
            let mut values = values.filter(|(key, _)| key.trim_end() == name);
            values.next().map_or("", |(_, value)| value.trim())
        };
        let [major, minor, sub] = ["VERSION_MAJOR", "VERSION_MINOR", "VERSION_SUBMINOR"].map(part);
        format!("OpenSIPS {major}.{minor}.{sub}")
    }

    pub(crate) fn server(&self) -> PathBuf {
        self.source.join("opensips")
    }

    /// Where the other modules are.
    pub(crate) fn modules(&self) -> PathBuf {
        self.source.join("modules")
    }

    pub(crate) fn module(&self) -> PathBuf {
        self.copy.join("modules/event_kafka/event_kafka.so")
    }

    /// Builds the module; what the compiler warned of.
    pub(crate) fn build(&self) -> String {
        let _ = fs::remove_dir_all(&self.copy);
        link_all(&self.source, &self.copy, "modules");
        let module = self.copy.join("modules/event_kafka");
        fs::create_dir_all(&module).unwrap();
        let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("../opensips");
        for entry in fs::read_dir(&ours).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                fs::copy(&path, module.join(path.file_name().unwrap())).unwrap();
            }
        }
        let header = Path::new(env!("CARGO_MANIFEST_DIR")).join("event_kafka.h");
        fs::copy(header, module.join("event_kafka.h")).unwrap();
        link(
            &libraries().join("libevent_kafka.a"),
            &module.join("libevent_kafka.a"),
        );
        make(&module)
    }

    /// Another module of OpenSIPS, which is built if the tree has only its source.
    pub(crate) fn other(&self, name: &str) -> PathBuf {
        let file = format!("{name}.so");
        let source = self.modules().join(name);
        if source.join(&file).is_file() {
            return source.join(&file);
        }
        let module = self.others.join("modules").join(name);
        if !module.is_dir() || module.is_symlink() {
            if !self.others.is_dir() {
                link_all(&self.source, &self.others, "modules");
                link_all(&self.modules(), &self.others.join("modules"), "");
            }
            // What it is linked as so far has no place for what is built.
            let _ = fs::remove_file(&module);
            link_all(&source, &module, "");
        }
        make(&module);
        module.join(file)
    }
}

/// Builds a module; what the compiler warned of.
pub(crate) fn make(module: &Path) -> String {
    let mut make = Command::new("make");
    // There, and not from the top, where make would build libraries in the tree, too; it says that
    // this is not usual.
    make.current_dir(module);
    let said = String::from_utf8(run(&mut make).stderr).unwrap();
    let usual = "you should run make from the main opensips directory";
    let said = said.lines().filter(|line| !line.contains(usual));
    said.collect::<Vec<_>>().join("\n")
}

/// Makes a folder with links to all that another one has, but for one.
fn link_all(of: &Path, folder: &Path, but: &str) {
    fs::create_dir_all(folder).unwrap();
    for entry in fs::read_dir(of).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap();
        if name != but {
            link(&path, &folder.join(name));
        }
    }
}

fn link(to: &Path, at: &Path) {
    symlink(to, at).unwrap();
}
