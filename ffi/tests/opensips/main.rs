//! The module in real OpenSIPS: in every source tree in the folder that `OPENSIPS_SRC` names, against
//! the broker that `EVENT_KAFKA_TEST_BROKER` names. Without trees nothing is run here.
//! `cargo xtask opensips-test` is the command for this.

mod call;
mod cases;
mod server;
mod sip;
mod tree;

#[path = "../support/mod.rs"]
mod c;
#[path = "../../../tests/support/mod.rs"]
mod support;

use std::path::PathBuf;
use std::sync::OnceLock;
use std::{env, fmt, panic};

use cases::{Case, outage, renewals};
use tree::Tree;
use xtask::TestBroker;

#[test]
fn the_module_builds_without_a_warning_and_does_all_it_has_to() {
    let Some(trees) = trees() else {
        println!("not run: OPENSIPS_SRC names no folder of OpenSIPS trees");
        return;
    };
    println!("broker: {}", TestBroker::from_environment().unwrap());
    let mut tally = Tally::default();
    for tree in &trees {
        tally.count(tree, "build", "no warning", |tree| {
            let warnings = tree.build();
            assert!(warnings.is_empty(), "{warnings}");
            Some(tree.version())
        });
        if !tree.is_built() {
            println!("{}: not run, as this tree has no opensips", tree.name());
            continue;
        }
        for (name, what, case) in wanted_cases() {
            tally.count(tree, name, what, *case);
        }
    }
    println!("{tally}");
    assert!(tally.failed == 0 && tally.passed > 0, "{tally}");
}

/// Those in the folder that `OPENSIPS_SRC` names.
fn trees() -> Option<Vec<Tree>> {
    let folder = env::var_os("OPENSIPS_SRC").map(PathBuf::from)?;
    let trees = Tree::all_in(&folder);
    assert!(
        !trees.is_empty(),
        "{} has no OpenSIPS tree",
        folder.display()
    );
    Some(trees)
}

/// Those that `OPENSIPS_CASE` names by a part of their name, or all.
fn wanted_cases() -> impl Iterator<Item = &'static (&'static str, &'static str, Case)> {
    let wanted = env::var("OPENSIPS_CASE").unwrap_or_default();
    let cases = cases::ALL.iter();
    let mut cases = cases
        .filter(move |(name, ..)| name.contains(&wanted))
        .peekable();
    assert!(cases.peek().is_some(), "no case has that in its name");
    cases
}

#[derive(Debug, Default)]
struct Tally {
    passed: u32,
    failed: u32,
    skipped: u32,
}

impl Tally {
    /// Goes through a case and says in one line what came of it. A failure keeps no other case from
    /// being run.
    fn count(&mut self, tree: &Tree, name: &str, what: &str, case: Case) {
        let outcome = match panic::catch_unwind(|| case(tree)) {
            Ok(Some(counted)) => {
                self.passed += 1;
                format!("{what}: {counted}")
            }
            Ok(None) => {
                self.skipped += 1;
                "skipped".to_owned()
            }
            Err(_) => {
                self.failed += 1;
                "FAILED".to_owned()
            }
        };
        println!("{} {name}: {outcome}", tree.name());
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            passed,
            failed,
            skipped,
        } = self;
        write!(
            f,
            "in OpenSIPS: {passed} passed, {failed} failed, {skipped} skipped"
        )
    }
}

/// `cargo xtask opensips-soak`, as the next one.
#[test]
#[ignore = "takes an hour"]
fn a_cluster_that_is_away_for_an_hour_costs_sip_nothing() {
    println!("{}", outage::long(one_tree(), minutes()));
}

#[test]
#[ignore = "takes an hour"]
fn a_thousand_subscriptions_can_be_renewed_for_an_hour() {
    println!("{}", renewals::long(one_tree(), minutes()));
}

/// How long a soak takes: `OPENSIPS_SOAK_MINUTES`.
fn minutes() -> u64 {
    let minutes = env::var("OPENSIPS_SOAK_MINUTES");
    minutes.map_or(60, |minutes| minutes.parse().unwrap())
}

/// The first tree that was built, with the module.
fn one_tree() -> &'static Tree {
    static TREE: OnceLock<Tree> = OnceLock::new();
    TREE.get_or_init(|| {
        let tree = trees().into_iter().flatten().find(Tree::is_built);
        let tree = tree.expect("OPENSIPS_SRC names a folder with a tree that was built");
        tree.build();
        tree
    })
}
