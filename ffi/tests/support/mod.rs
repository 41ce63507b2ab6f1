//! The C library, and C programs that use it. The compiler is for tests alone: the library is built
//! with none.

// Every test binary compiles this module for itself and uses only a part of it.
#![allow(dead_code)]

pub(crate) mod written;

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Mutex, OnceLock};

/// How a program gets the library.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Linked {
    /// `libevent_kafka.so`, found by `LD_LIBRARY_PATH`.
    Dynamically,
    /// `libevent_kafka.a`, in the program.
    Statically,
    /// As `Dynamically`, with AddressSanitizer watching the C side.
    Sanitized,
}

/// A folder with both libraries, built as they are shipped: without a C compiler. For a bench they
/// are those of a release.
pub(crate) fn libraries() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
        let (profile, folder) = match cfg!(debug_assertions) {
            true => ("dev", "debug"),
            false => ("release", "release"),
        };
        let mut build = Command::new(env!("CARGO"));
        build
            .args("build --package event-kafka-ffi --lib --target-dir".split(' '))
            .arg(target)
            .args(["--profile", profile])
            .envs([("CC", "/bin/false"), ("CXX", "/bin/false")]);
        run(&mut build);
        let folder = target.join(folder);
        name_as_installed(&folder);
        folder
    })
}

/// The name by which programs look for the shared library.
pub(crate) const SONAME: &str = "libevent_kafka.so.0";

/// As a package would: the library is there by its soname, too.
fn name_as_installed(folder: &Path) {
    match std::os::unix::fs::symlink("libevent_kafka.so", folder.join(SONAME)) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => panic!("{error}"),
        _ => {}
    }
}

/// A C program of this package, ready to be run. It is compiled at its first use.
pub(crate) fn program(source: &str, linked: Linked) -> Command {
    static COMPILED: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(source);
    let name = source.file_stem().unwrap().to_str().unwrap();
    let program = scratch(&format!("{name}-{linked:?}"));
    let mut compiled = COMPILED.lock().unwrap();
    if !compiled.contains(&program) {
        compile(&source, linked, &program);
        compiled.push(program.clone());
    }
    let mut command = Command::new(program);
    if linked != Linked::Statically {
        command.env("LD_LIBRARY_PATH", libraries());
    }
    command
}

fn compile(source: &Path, linked: Linked, program: &Path) {
    let libraries = libraries();
    let mut compile = Command::new("gcc");
    compile
        .args("-std=c11 -Wall -Wextra -Werror -pthread -g -O2 -I".split(' '))
        .args([env!("CARGO_MANIFEST_DIR"), "-o"])
        .args([program, source]);
    match linked {
        Linked::Dynamically => compile.arg("-L").arg(libraries).arg("-levent_kafka"),
        Linked::Statically => compile
            .arg(libraries.join("libevent_kafka.a"))
            .args(package_field("Libs.private").split_whitespace()),
        Linked::Sanitized => compile
            .args(["-fsanitize=address,undefined", "-fno-sanitize-recover=all"])
            .arg("-L")
            .arg(libraries)
            .arg("-levent_kafka"),
    };
    run(&mut compile);
}

/// The functions of the header, sorted.
pub(crate) fn declared_functions() -> Vec<&'static str> {
    let header = include_str!("../../event_kafka.h");
    let mut functions: Vec<_> = header
        .lines()
        .filter_map(|line| line.split_once(' '))
        .filter(|(result, _)| ["int32_t", "uint32_t"].contains(result))
        .map(|(_, rest)| rest.split_once('(').unwrap().0)
        .collect();
    functions.sort();
    functions
}

/// What the file for pkg-config says.
pub(crate) fn package_field(name: &str) -> &'static str {
    let package = include_str!("../../event_kafka.pc");
    let mut fields = package.lines().filter_map(|line| line.split_once(": "));
    fields.find(|(field, _)| *field == name).unwrap().1
}

/// A place for a file of this test binary.
pub(crate) fn scratch(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(env!("CARGO_CRATE_NAME"));
    std::fs::create_dir_all(&folder).unwrap();
    folder.join(name)
}

/// Runs a command that has to succeed; what it said.
pub(crate) fn run(command: &mut Command) -> Output {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}
