//! How many tests ran, read from what the test binaries print.

use std::fmt;

/// Counts over all test binaries.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    passed: u64,
    failed: u64,
    ignored: u64,
    /// Tests that skipped themselves at run time; to their harness they passed.
    skipped: u64,
}

impl Tally {
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
        write!(f, "{passed} passed, {} failed", self.failed)?;
        match self.skipped + self.ignored {
            0 => Ok(()),
            skipped => write!(f, ", {skipped} skipped"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert_eq!(tally(&["running 5 tests"]), "0 passed, 0 failed");
    }
}
