//! The module in real OpenSIPS: in every source tree in the folder that `OPENSIPS_SRC` names. Without
//! that, nothing is run here. `cargo xtask opensips-test` is the command for this.

mod cases;
mod server;
mod sip;
mod tree;

#[path = "../support/mod.rs"]
mod support;

use std::env;
use std::path::PathBuf;

use tree::Tree;

/// The trees of OpenSIPS that are here; in those that were built, OpenSIPS is run.
fn trees() -> Vec<Tree> {
    let Some(folder) = env::var_os("OPENSIPS_SRC").map(PathBuf::from) else {
        println!("not run: OPENSIPS_SRC names no folder of OpenSIPS trees");
        return Vec::new();
    };
    let trees = Tree::all_in(&folder);
    assert!(
        !trees.is_empty(),
        "{} has no OpenSIPS tree",
        folder.display()
    );
    trees
}

#[test]
fn the_module_builds_without_a_warning_and_does_all_it_has_to() {
    for tree in trees() {
        let warnings = tree.build();
        assert!(warnings.is_empty(), "{}:\n{warnings}", tree.name());
        println!("{}: built without a warning", tree.name());
        if !tree.is_built() {
            println!("{}: not run, as this tree has no opensips", tree.name());
            continue;
        }
        for (name, case) in cases::ALL {
            case(&tree);
            println!("{}: {name}", tree.name());
        }
    }
}
