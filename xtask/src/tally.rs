//! How many tests ran, read from what the test binaries print.

use std::fmt;

/// Counts over all test binaries.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    passed: u64,
    failed: u64,
    ignored: u64,
    /// Tests that skipped themselves at run time; to their harness they passed.
    skipped: u64,
}

impl Tally {
    /// Whether no test ran at all.
    pub(crate) fn is_empty(&self) -> bool {
        self.passed + self.failed == 0
    }

    /// Both together.
    pub(crate) fn and(self, other: &Self) -> Self {
        Self {
            passed: self.passed + other.passed,
            failed: self.failed + other.failed,
            ignored: self.ignored + other.ignored,
            skipped: self.skipped + other.skipped,
        }
    }

    /// Takes a line of a test binary into account.
    pub(crate) fn read(&mut self, line: &str) {
        // Anywhere in the line: the harness may have begun it.
        if line.contains("skipped: ") {
            self.skipped += 1;
        }
        let Some((_, counts)) = line.split_once("test result: ") else {
            return;
        };
        for count in counts.split([';', '.']) {
            let mut words = count.split_whitespace();
            let (number, what) = (words.next(), words.next());
            let number = number.and_then(|number| number.parse().ok()).unwrap_or(0);
            match what {
                Some("passed") => self.passed += number,
                Some("failed") => self.failed += number,
                Some("ignored") => self.ignored += number,
                _ => {}
            }
        }
    }
}

/// The plain form that continuous integration looks for: alone on its line.
impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let passed = self.passed.saturating_sub(self.skipped);
        let skipped = self.skipped + self.ignored;
        write!(
            f,
            "{passed} passed, {} failed, {skipped} skipped",
            self.failed
        )
    }
}

/// What cargo runs next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Target<'a> {
    /// The file that it is built from, or the package whose documentation it is.
    source: &'a str,
}

impl<'a> Target<'a> {
    /// The target that the line of cargo announces, if it is such a line.
    pub(crate) fn announced_by(line: &'a str) -> Option<Self> {
        let line = line.trim_start();
        let source = match line.strip_prefix("Running ") {
            Some(running) => running.rsplit_once(" (")?.0,
            None => line.strip_prefix("Doc-tests ")?,
        };
        Some(Self { source })
    }

    /// Whether it is the integration test of this name, in one file or in a folder.
    pub(crate) fn is_test(&self, name: &str) -> bool {
        let path = self.source.strip_prefix("tests/");
        let path = path.and_then(|path| path.strip_prefix(name));
        matches!(path, Some(".rs" | "/main.rs"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_suite(line: &str) -> Option<bool> {
        Some(Target::announced_by(line)?.is_test("brokers"))
    }

    #[test]
    fn cargo_says_which_target_the_next_tests_belong_to() {
        for (line, suite) in [
            (
                "     Running tests/brokers/main.rs (target/debug/deps/brokers-4a)",
                true,
            ),
            (
                "     Running tests/brokers.rs (target/debug/deps/brokers-0f)",
                true,
            ),
            (
                "     Running tests/brokers_of_old.rs (target/debug/deps/b-1)",
                false,
            ),
            (
                "     Running unittests src/lib.rs (target/debug/deps/xtask-a4)",
                false,
            ),
            ("   Doc-tests event_kafka", false),
        ] {
            assert_eq!(is_suite(line), Some(suite), "{line}");
        }
        for line in [
            "running 12 tests",
            "test brokers ... ok",
            "note: Running",
            "",
        ] {
            assert_eq!(is_suite(line), None, "{line}");
        }
    }

    fn tally(lines: &[&str]) -> String {
        let mut tally = Tally::default();
        lines.iter().for_each(|line| tally.read(line));
        tally.to_string()
    }

    #[test]
    fn results_of_several_binaries_are_summed() {
        let lines = [
            "test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.52s",
            "test a::b ... ok",
            "test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.00s",
        ];
        assert_eq!(tally(&lines), "15 passed, 2 failed, 1 skipped");
    }

    #[test]
    fn a_test_that_skipped_itself_did_not_pass() {
        let lines = [
            "skipped: publishes: brokers are left out",
            ".skipped: reports: brokers are left out",
            "test result: ok. 5 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s",
        ];
        assert_eq!(tally(&lines), "3 passed, 0 failed, 2 skipped");
    }

    #[test]
    fn nothing_is_counted_as_nothing() {
        assert_eq!(tally(&["running 5 tests"]), "0 passed, 0 failed, 0 skipped");
    }
}
