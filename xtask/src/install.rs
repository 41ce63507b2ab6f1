//! What a new machine lacks.

use std::path::Path;
use std::process::Command;

use xtask::{Error, Result};

use crate::command::{cargo, output, run, succeeds};

/// The target of the static binary.
pub(crate) const MUSL: &str = "x86_64-unknown-linux-musl";

/// A program and the Debian package that brings it.
type Tool = (&'static str, &'static str);

/// libFuzzer, which only `fuzz/` links, is C++.
const FOR_FUZZING: &[Tool] = &[("c++", "g++")];

/// Debian's default Java is 17 or newer, as Kafka 4 wants it.
const FOR_BROKERS: &[Tool] = &[("java", "default-jre-headless"), ("mvn", "maven")];

/// The tests' second opinion.
const FOR_READING: &[Tool] = &[("kcat", "kcat")];

/// Counts instructions.
const FOR_BENCHES: &[Tool] = &[("valgrind", "valgrind")];

/// Everything that `cargo xtask test` needs.
pub(crate) fn for_tests(with_broker: bool) -> Result<()> {
    let mut tools = FOR_FUZZING.to_vec();
    if with_broker {
        tools.extend([FOR_BROKERS, FOR_READING].concat());
    }
    programs(&tools)?;
    cargo_fuzz()?;
    cargo_command("deny", "cargo-deny@0.20.2")?;
    musl_target()
}

/// What `cargo xtask fuzz` needs.
pub(crate) fn for_fuzzing() -> Result<()> {
    programs(FOR_FUZZING)?;
    cargo_fuzz()
}

/// What `cargo xtask kafka up` needs.
pub(crate) fn for_brokers() -> Result<()> {
    programs(FOR_BROKERS)
}

/// What `cargo xtask chaos` needs.
pub(crate) fn for_chaos() -> Result<()> {
    programs(&[FOR_BROKERS, FOR_READING].concat())
}

/// What `cargo xtask bench` needs; the runner must be of the version that the bench is built with.
pub(crate) fn for_benches() -> Result<()> {
    programs(FOR_BENCHES)?;
    if is_on_path("gungraun-runner") {
        return Ok(());
    }
    run(&mut cargo("install --locked gungraun-runner@0.20.0"))
}

fn programs(tools: &[Tool]) -> Result<()> {
    let missing: Vec<Tool> = tools
        .iter()
        .copied()
        .filter(|(program, _)| !is_on_path(program))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let packages: Vec<&str> = missing.iter().map(|(_, package)| *package).collect();
    if !may_install() {
        let programs: Vec<&str> = missing.iter().map(|(program, _)| *program).collect();
        return Err(Error::Missing {
            what: programs.join(", "),
            install: format!(
                "sudo apt-get update && sudo apt-get install -y {}",
                packages.join(" ")
            ),
        });
    }
    println!("installing {}", packages.join(", "));
    run(apt_get().arg("update"))?;
    run(apt_get()
        .args(["install", "-y", "--no-install-recommends"])
        .args(packages))
}

fn is_on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// Root on Debian or one of its children: an administrator who can be taken to agree.
fn may_install() -> bool {
    rustix::process::geteuid().is_root() && Path::new("/etc/debian_version").exists()
}

fn apt_get() -> Command {
    let mut command = Command::new("apt-get");
    command
        .arg("--quiet")
        .env("DEBIAN_FRONTEND", "noninteractive");
    command
}

fn cargo_fuzz() -> Result<()> {
    cargo_command("fuzz", "cargo-fuzz@0.13.2")
}

/// Built without optimisation: these programs are built more often than they are busy.
fn cargo_command(name: &str, package: &str) -> Result<()> {
    if succeeds(&mut cargo(&format!("{name} --version"))) {
        return Ok(());
    }
    run(&mut cargo(&format!("install --locked --debug {package}")))
}

fn musl_target() -> Result<()> {
    let sysroot = output(Command::new("rustc").args(["--print", "sysroot"]))?;
    let installed = Path::new(sysroot.trim()).join("lib/rustlib").join(MUSL);
    if installed.is_dir() {
        return Ok(());
    }
    run(Command::new("rustup").args(["target", "add", MUSL]))
}
