//! kcat (librdkafka), a reader and writer that shares nothing with the code under test.

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::thread;

/// Whether this machine has it.
pub(super) fn is_there() -> bool {
    static FOUND: OnceLock<bool> = OnceLock::new();
    *FOUND.get_or_init(|| Command::new("kcat").arg("-V").output().is_ok())
}

/// What kcat prints; panics with what it says on standard error when it fails.
pub(super) fn run(bootstrap: &str, arguments: &[&str], input: &str) -> String {
    let mut child = Command::new("kcat")
        .args(["-b", bootstrap])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("kcat, which the test must say that it needs: {error}"));
    let mut stdin = child.stdin.take().expect("stdin is a pipe");
    // Written beside the reading of its output, which may fill its pipe first.
    let output = thread::scope(|scope| {
        scope.spawn(move || {
            stdin
                .write_all(input.as_bytes())
                .expect("kcat reads its input")
        });
        child.wait_with_output().expect("kcat ends")
    });
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "kcat {arguments:?}: {said}");
    String::from_utf8(output.stdout).expect("kcat prints UTF-8")
}
