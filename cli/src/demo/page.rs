//! What the demo prints.

use std::env;
use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};

use anstyle::Style;

use crate::columns::{Head, table};
use crate::error::Error;

pub(super) struct Page {
    title: Style,
}

impl Page {
    pub(super) fn new() -> Self {
        let (no_color, term) = (env::var_os("NO_COLOR"), env::var_os("TERM"));
        let bold = io::stdout().is_terminal() && may_be_bold(no_color, term);
        Self {
            title: if bold {
                Style::new().bold()
            } else {
                Style::new()
            },
        }
    }

    /// Begins a part: a title, and what more there is to say of it.
    pub(super) fn part(&self, title: &str, more: &str) -> Result<(), Error> {
        let style = self.title;
        self.line(&format!("\n{style}{title}{style:#}{more}"))
    }

    pub(super) fn line(&self, text: &str) -> Result<(), Error> {
        writeln!(io::stdout(), "{text}").map_err(Error::Output)
    }

    pub(super) fn table<const N: usize>(
        &self,
        heads: [Head; N],
        rows: impl IntoIterator<Item = [String; N]>,
    ) -> Result<(), Error> {
        let lines = table(heads, rows, WIDTH - INDENT.len());
        lines
            .iter()
            .try_for_each(|line| self.line(&format!("{INDENT}{line}")))
    }
}

/// Whether a terminal with these variables of the environment gets more than plain text
/// (<https://no-color.org>).
fn may_be_bold(no_color: Option<OsString>, term: Option<OsString>) -> bool {
    no_color.is_none_or(|value| value.is_empty()) && term.is_none_or(|name| name != "dumb")
}

const WIDTH: usize = 98;
const INDENT: &str = "   ";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_wants_plain_text_gets_it() {
        let bold = |no_color: Option<&str>, term: Option<&str>| {
            may_be_bold(no_color.map(OsString::from), term.map(OsString::from))
        };
        assert!(bold(None, Some("xterm")));
        assert!(bold(Some(""), None), "an empty variable is as good as none");
        assert!(!bold(Some("1"), Some("xterm")));
        assert!(!bold(None, Some("dumb")));
    }
}
