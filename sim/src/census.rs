//! Counts what a simulation really met: a fault that was drawn may hit nothing.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

/// Per fault and per error code, how many runs and messages it hit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Census(BTreeMap<Cow<'static, str>, Hits>);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Hits {
    runs: u64,
    messages: u64,
}

impl Census {
    /// Counts `messages` that were hit in this run.
    pub(crate) fn hit(&mut self, name: impl Into<Cow<'static, str>>, messages: usize) {
        let hits = self.0.entry(name.into()).or_default();
        hits.runs = 1;
        hits.messages += messages as u64;
    }

    /// Adds what other runs met.
    pub fn add(&mut self, other: &Self) {
        for (name, hits) in &other.0 {
            let sum = self.0.entry(name.clone()).or_default();
            sum.runs += hits.runs;
            sum.messages += hits.messages;
        }
    }

    /// Has names be there, even if nothing hits them.
    pub(crate) fn expect(&mut self, names: impl IntoIterator<Item = String>) {
        for name in names {
            self.0.entry(name.into()).or_default();
        }
    }

    /// What is expected, and hit no message.
    pub fn missing(&self) -> Vec<&str> {
        let missing = self.0.iter().filter(|(_, hits)| hits.messages == 0);
        missing.map(|(name, _)| &**name).collect()
    }
}

/// A line for each.
impl fmt::Display for Census {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:>8} {:>12}", "seeds", "messages")?;
        for (name, Hits { runs, messages }) in &self.0 {
            writeln!(f, "{runs:>8} {messages:>12}  {name}")?;
        }
        Ok(())
    }
}
