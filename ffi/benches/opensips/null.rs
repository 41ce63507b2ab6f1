//! The transport of events that does nothing, as a module of OpenSIPS.

use std::fs;
use std::path::PathBuf;

use crate::tree::{self, Tree};

/// It finds headers of our module, which has to be built.
const MAKEFILE: &str = "\
include ../../Makefile.defs
auto_gen=
NAME=event_null.so
DEFS += -I../event_kafka -DKAFKA_OPENSIPS=$(shell expr $(VERSION_MAJOR) '*' 100 + $(VERSION_MINOR))
include ../../Makefile.modules
";

/// Builds it beside our module; where it is.
pub(crate) fn build(tree: &Tree) -> PathBuf {
    let module = tree.module();
    let folder = module.ancestors().nth(2).unwrap().join("event_null");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("event_null.c"), include_str!("null.c")).unwrap();
    fs::write(folder.join("Makefile"), MAKEFILE).unwrap();
    let warnings = tree::make(&folder);
    assert!(warnings.is_empty(), "{warnings}");
    folder.join("event_null.so")
}
