//! Running other programs.

use std::env;
use std::io::{self, BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::thread;

use xtask::{Error, Result, workspace_root};

/// Cargo itself, the one that runs us, in the root of the workspace; its arguments are words.
pub(crate) fn cargo(line: &str) -> Command {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .args(line.split_whitespace())
        .current_dir(workspace_root())
        .stdin(Stdio::null());
    command
}

/// Where cargo puts what it builds.
pub(crate) fn target_folder() -> PathBuf {
    let folder = env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    workspace_root().join(folder)
}

/// Whether the program can be run with these arguments and succeeds, without showing what it says.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    let command = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Runs a command that prints for itself; an error if it fails.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let line = line_of(command);
    let status = command.status().map_err(Error::io(&line))?;
    expect_success(&line, status)
}

/// Runs a command and returns what it prints; an error, with all that it said, if it fails.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let line = line_of(command);
    let output = command.output().map_err(Error::io(&line))?;
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(Error::Failed(format!("`{line}` failed:\n{printed}{said}")));
    }
    Ok(printed)
}

/// Runs a command that is told something on its standard input, and returns the bytes that it prints.
/// What it says besides goes where ours goes.
pub(crate) fn output_for(command: &mut Command, input: &[u8]) -> Result<Vec<u8>> {
    let line = line_of(command);
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().map_err(Error::io(&line))?;
    let mut stdin = child.stdin.take().expect("it is piped");
    let output = thread::scope(|scope| {
        // A command that reads and prints in turns must not find its pipe full.
        let told = scope.spawn(move || stdin.write_all(input));
        let output = child.wait_with_output();
        // One that ends without reading says why by its status.
        let _ = told.join();
        output
    });
    let output = output.map_err(Error::io(&line))?;
    expect_success(&line, output.status)?;
    Ok(output.stdout)
}

/// Runs a command and hands over every line that it prints, on either stream, as it comes.
pub(crate) fn run_by_line(mut command: Command, mut each_line: impl FnMut(&str)) -> Result<()> {
    let line = line_of(&command);
    let (reader, writer) = io::pipe().map_err(Error::io(&line))?;
    command
        .stdout(writer.try_clone().map_err(Error::io(&line))?)
        .stderr(writer);
    let mut child = command.spawn().map_err(Error::io(&line))?;
    // The command holds the writing ends of the pipe: while it lives, reading finds no end.
    drop(command);
    let mut printed = BufReader::new(reader);
    let mut bytes = Vec::new();
    while printed
        .read_until(b'\n', &mut bytes)
        .map_err(Error::io(&line))?
        > 0
    {
        each_line(String::from_utf8_lossy(&bytes).trim_end());
        bytes.clear();
    }
    let status = child.wait().map_err(Error::io(&line))?;
    expect_success(&line, status)
}

fn expect_success(line: &str, status: ExitStatus) -> Result<()> {
    if status.success() {
        return Ok(());
    }
    Err(Error::Failed(format!("`{line}` failed ({status})")))
}

/// The command as somebody would type it.
fn line_of(command: &Command) -> String {
    let program = PathBuf::from(command.get_program());
    let program = program.file_name().unwrap_or(command.get_program());
    let words = [program].into_iter().chain(command.get_args());
    words
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}
