//! What became of every message: what was reported, held against what the log holds.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::time::{Duration, Instant};

use kafka_mock::Record;

use super::producer::{Fate, Report};

/// The sum of one run.
#[derive(Debug, Default)]
pub(crate) struct Account {
    pub(crate) fed: u64,
    pub(crate) delivered: u64,
    /// By the name of the code.
    pub(crate) failed: BTreeMap<String, u64>,
    /// Messages without a report.
    pub(crate) unreported: u64,
    /// Reports beyond the first of a message, and those of messages that nobody fed.
    pub(crate) surplus: u64,
    /// Reported as delivered and not in the log at all.
    pub(crate) lost: u64,
    /// Reported as delivered and in the log, but not at the place that the report names.
    pub(crate) misplaced: u64,
    /// Reported as surely not in the log, and in it.
    pub(crate) denied: u64,
    /// Records in the log beyond the first of a message.
    pub(crate) duplicates: u64,
    /// The longest time from feeding a message that failed to its report.
    pub(crate) slowest_failure: Duration,
}

impl Account {
    /// `fed` is when each message was fed, by its number; `log` is what the brokers hold, or held
    /// before they deleted it.
    pub(crate) fn settle(fed: &[Instant], reports: &[Report], log: &[Record]) -> Self {
        let places: BTreeSet<(u64, i32, i64)> = log
            .iter()
            .map(|record| (number(record), record.partition, record.offset))
            .collect();
        let mut copies = HashMap::<u64, u64>::new();
        for record in log {
            *copies.entry(number(record)).or_default() += 1;
        }
        let mut account = Self {
            fed: fed.len() as u64,
            duplicates: copies.values().map(|count| count - 1).sum(),
            ..Self::default()
        };
        let mut seen = BTreeSet::new();
        for Report { n, at, fate } in reports {
            let Some(fed_at) = usize::try_from(*n).ok().and_then(|n| fed.get(n)) else {
                account.surplus += 1;
                continue;
            };
            account.surplus += u64::from(!seen.insert(n));
            let logged = copies.contains_key(n);
            match fate {
                Fate::Delivered { partition, offset } => {
                    let misplaced = |offset| !places.contains(&(*n, *partition, offset));
                    account.delivered += 1;
                    account.lost += u64::from(!logged);
                    account.misplaced += u64::from(logged && offset.is_some_and(misplaced));
                }
                Fate::Failed {
                    name,
                    maybe_persisted,
                } => {
                    *account.failed.entry(name.clone()).or_default() += 1;
                    account.denied += u64::from(logged && !maybe_persisted);
                    let age = at.saturating_duration_since(*fed_at);
                    account.slowest_failure = account.slowest_failure.max(age);
                }
            }
        }
        account.unreported = account.fed - seen.len() as u64;
        account
    }
}

/// In as few words as a table has room for.
impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} delivered", self.delivered)?;
        for (name, count) in &self.failed {
            write!(f, ", {count} {name}")?;
        }
        Ok(())
    }
}

/// What [`super::producer::Feeder`] wrote into it.
fn number(record: &Record) -> u64 {
    let text = record.value.as_deref().map(<[u8]>::trim_ascii_end);
    let number = text.and_then(|text| str::from_utf8(text).ok()?.parse().ok());
    number.expect("every record holds its number")
}
