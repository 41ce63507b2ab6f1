//! What the module costs in real OpenSIPS, with a real Kafka: `cargo xtask opensips-bench`.
//!
//! `cost`: each call, beside OpenSIPS' own module where there is one. `load`: many SIP workers under
//! a load that does not wait, while the broker is killed, with and without the module.

mod accounts;
mod cost;
mod generator;
mod load;
mod null;
mod usage;

#[path = "../../tests/support/mod.rs"]
mod c;
#[allow(dead_code)]
#[path = "../../tests/opensips/server.rs"]
mod server;
#[allow(dead_code)]
#[path = "../../tests/opensips/sip.rs"]
mod sip;
#[path = "../../../tests/support/mod.rs"]
mod support;
#[allow(dead_code)]
#[path = "../../tests/opensips/tree.rs"]
mod tree;

use std::env;
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;

use tree::Tree;

/// What `cargo xtask opensips-bench` was told.
struct Options {
    /// The name of a tree; without one, the newest that is built.
    tree: Option<String>,
    /// `cost` or `load`; both, if neither is named.
    part: Option<String>,
    /// Requests in a second; without it, as many as OpenSIPS answers without the module, up to
    /// [`load::MOST`].
    rate: Option<u32>,
    rounds: u32,
    /// How long each of the runs under load is.
    seconds: u32,
}

fn main() -> ExitCode {
    let options = match Options::read() {
        Ok(options) => options,
        Err(what) => {
            eprintln!("{what}");
            return ExitCode::from(2);
        }
    };
    let Some(folder) = env::var_os("OPENSIPS_SRC").map(PathBuf::from) else {
        println!("not run: OPENSIPS_SRC names no folder of OpenSIPS trees");
        return ExitCode::SUCCESS;
    };
    let Some(tree) = options.find_tree(&folder) else {
        eprintln!("{} has no such tree that is built", folder.display());
        return ExitCode::from(2);
    };
    let warnings = tree.build();
    assert!(warnings.is_empty(), "{warnings}");
    println!("{}", tree.version());
    let is_wanted = |part| options.part.as_ref().is_none_or(|wanted| wanted == part);
    if is_wanted("cost") {
        cost::measure(&tree, options.rounds);
    }
    if is_wanted("load") {
        return load::measure(&tree, options.rate, options.rounds, options.seconds);
    }
    ExitCode::SUCCESS
}

impl Options {
    fn read() -> Result<Self, String> {
        let mut options = Self {
            tree: None,
            part: None,
            rate: None,
            rounds: 3,
            seconds: 20,
        };
        let mut arguments = env::args().skip(1);
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or(format!("{argument} wants a value"));
            match argument.as_str() {
                // Cargo's own.
                "--bench" => {}
                "--tree" => options.tree = Some(value()?),
                "--rate" => options.rate = Some(number(&argument, &value()?)?),
                "--rounds" => options.rounds = number(&argument, &value()?)?,
                "--seconds" => options.seconds = number(&argument, &value()?)?,
                "cost" | "load" => options.part = Some(argument),
                _ => return Err(format!("`{argument}` is not understood")),
            }
        }
        if options.rounds == 0 || options.rate == Some(0) {
            return Err("--rounds and --rate are at least 1".to_owned());
        }
        if options.seconds < load::SHORTEST {
            return Err(format!("--seconds is at least {}", load::SHORTEST));
        }
        Ok(options)
    }

    fn find_tree(&self, folder: &std::path::Path) -> Option<Tree> {
        let trees = Tree::all_in(folder).into_iter();
        let mut trees = trees.filter(|tree| {
            let is_named = self.tree.as_ref().is_none_or(|name| name == tree.name());
            tree.is_built() && is_named
        });
        trees.next_back()
    }
}

fn number<T: FromStr>(name: &str, text: &str) -> Result<T, String> {
    text.parse()
        .map_err(|_| format!("{name} cannot be `{text}`"))
}
