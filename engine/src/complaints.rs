//! What is said of troubles that come again and again: each reason once when it turns up, again
//! after a long while together with how often it was passed over, and once that it is over.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::time::Time;

/// What lasts is said again after so long.
const REMINDER: Duration = Duration::from_secs(300);

/// What is said about one subject within [`REMINDER`], however often its reasons change and it
/// comes and goes.
const MOST: usize = 4;

/// Who is complained about (`S`), and why (`R`).
#[derive(Debug)]
pub(crate) struct Complaints<S, R> {
    open: BTreeMap<S, Complaint<R>>,
}

#[derive(Debug)]
struct Complaint<R> {
    /// When the first of `said` was.
    since: Time,
    /// Reasons that were said since then; `None` for those that are over.
    said: Vec<Option<R>>,
    unsaid: u32,
}

impl<S: Ord, R: PartialEq> Complaints<S, R> {
    pub(crate) fn new() -> Self {
        let open = BTreeMap::new();
        Self { open }
    }

    /// Whether to say it, and then how many complaints about `subject` were not said since the
    /// last one that was.
    pub(crate) fn complain(&mut self, subject: S, reason: R, now: Time) -> Option<Unsaid> {
        if !self.open.contains_key(&subject) {
            // What nobody has heard of for long is forgotten: brokers come and go.
            let known = |complaint: &Complaint<R>| now.since(complaint.since) < 2 * REMINDER;
            self.open.retain(|_, complaint| known(complaint));
        }
        let complaint = self.open.entry(subject).or_insert_with(|| Complaint {
            since: now,
            said: Vec::new(),
            unsaid: 0,
        });
        if now.since(complaint.since) >= REMINDER {
            complaint.said.clear();
        }
        let reason = Some(reason);
        if complaint.said.contains(&reason) || complaint.said.len() >= MOST {
            complaint.unsaid = complaint.unsaid.saturating_add(1);
            return None;
        }
        if complaint.said.is_empty() {
            complaint.since = now;
        }
        complaint.said.push(reason);
        Some(Unsaid(std::mem::take(&mut complaint.unsaid)))
    }

    /// All is well with `subject`. Whether to say so: only if something else was said before.
    pub(crate) fn over(&mut self, subject: &S) -> bool {
        let Some(complaint) = self.open.get_mut(subject) else {
            return false;
        };
        let news = complaint.said.iter().any(Option::is_some);
        complaint.said.iter_mut().for_each(|reason| *reason = None);
        news
    }
}

/// How many complaints were passed over, as the end of a line that says the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unsaid(u32);

impl fmt::Display for Unsaid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => Ok(()),
            count => write!(f, " ({count} more since the last such line)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> Time {
        Time::default().after(Duration::from_secs(secs))
    }

    #[test]
    fn a_reason_is_said_once_and_after_a_long_while_with_how_often_it_was_not() {
        let mut complaints = Complaints::new();
        let said: Vec<(u64, u32)> = (0..1000)
            .filter_map(|second| {
                let Unsaid(count) = complaints.complain('b', "refused", at(second))?;
                Some((second, count))
            })
            .collect();
        assert_eq!(said, [(0, 0), (300, 299), (600, 299), (900, 299)]);
        assert_eq!(
            complaints.complain('c', "refused", at(1000)),
            Some(Unsaid(0))
        );
    }

    #[test]
    fn every_new_reason_is_said_but_not_without_limit() {
        let mut complaints = Complaints::new();
        let said: Vec<u64> = (0..300)
            .filter(|second| complaints.complain('b', second % 7, at(*second)).is_some())
            .collect();
        assert_eq!(said, [0, 1, 2, 3]);
    }

    #[test]
    fn the_end_is_said_if_the_beginning_was() {
        let mut complaints = Complaints::new();
        assert!(!complaints.over(&'b'));
        complaints.complain('b', 1, at(0));
        assert!(complaints.over(&'b'));
        assert!(!complaints.over(&'b'));
        assert_eq!(
            complaints.complain('b', 1, at(1)),
            Some(Unsaid(0)),
            "a new spell"
        );
        assert!(complaints.over(&'b'));
    }

    #[test]
    fn a_subject_that_was_long_forgotten_takes_no_memory() {
        let mut complaints = Complaints::new();
        for second in 0..10_000 {
            assert!(complaints.complain(second, 1, at(second)).is_some());
        }
        assert_eq!(complaints.open.len(), 600);
    }

    #[test]
    fn what_comes_and_goes_falls_silent_both_ways() {
        let mut complaints = Complaints::new();
        let mut lines = 0;
        for second in 0..300 {
            lines += u32::from(complaints.complain('b', 1, at(second)).is_some());
            lines += u32::from(complaints.over(&'b'));
        }
        assert_eq!(lines, 2 * MOST as u32);
        assert_eq!(complaints.complain('b', 1, at(300)), Some(Unsaid(296)));
    }
}
