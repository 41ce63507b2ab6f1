//! What was accepted, reported and found in Kafka, held against each other.

use std::collections::BTreeMap;
use std::fmt;

use crate::generator::Answers;
use crate::support::Record;

/// What became of the requests' messages and events. All but the first five lines are 0.
#[derive(Debug, Default)]
pub(crate) struct Accounts {
    /// `kafka_publish` said so.
    accepted: usize,
    /// With its report, which says where it is.
    delivered: usize,
    /// With its report that says so.
    failed: usize,
    refused: usize,
    raised: usize,
    /// Accepted, and neither there nor reported as failed.
    lost: usize,
    lost_events: usize,
    /// There twice.
    doubled: usize,
    /// There, or accepted, without a report.
    unreported: usize,
    /// Reports beyond the first of a message.
    reported_twice: usize,
    /// Reported as where they are not.
    misreported: usize,
    /// There, and refused.
    undead: usize,
}

/// Where a record is.
type Place = (i32, i64);

/// What a report says: where it is, if it was delivered.
type Outcome = Option<Place>;

/// All that stands in Kafka.
pub(crate) struct Found {
    pub(crate) published: Vec<Record>,
    pub(crate) raised: Vec<Record>,
    pub(crate) reports: Vec<Record>,
}

impl Accounts {
    pub(crate) fn draw_up(answers: &Answers, found: &Found) -> Self {
        let mut accounts = Self::default();
        let published = by_number(&found.published, first_number);
        let raised = by_number(&found.raised, |text| {
            first_number(text.split_once("\"n\":\"")?.1)
        });
        let reports = outcomes(&found.reports);
        accounts.reported_twice = reports.values().map(|all| all.len() - 1).sum();
        accounts.doubled = beyond_first(&published) + beyond_first(&raised);
        for (number, answer) in (0..).zip(answers.all()) {
            let place = published.get(&number).map(|places| places[0]);
            let outcome = reports.get(&number).map(|outcomes| outcomes[0]);
            // Without an answer nobody knows whether the script was run.
            let is_accepted = answer.map(|answer| answer.is_published);
            accounts.count_message(is_accepted, place, outcome);
            match answer.map(|answer| answer.is_raised) {
                Some(true) => {
                    accounts.raised += 1;
                    accounts.lost_events += usize::from(!raised.contains_key(&number));
                }
                Some(false) => accounts.refused += 1,
                None => {}
            }
        }
        accounts
    }

    fn count_message(
        &mut self,
        is_accepted: Option<bool>,
        place: Option<Place>,
        outcome: Option<Outcome>,
    ) {
        match is_accepted {
            Some(true) => self.accepted += 1,
            Some(false) => self.refused += 1,
            None => {}
        }
        match (place, outcome) {
            (Some(place), Some(Some(told))) if place == told => self.delivered += 1,
            (_, Some(Some(_))) => self.misreported += 1,
            (_, Some(None)) => self.failed += 1,
            (Some(_), None) => self.unreported += 1,
            (None, None) if is_accepted == Some(true) => self.lost += 1,
            (None, None) => {}
        }
        self.undead += usize::from(place.is_some() && is_accepted == Some(false));
    }

    /// Whether every promise was kept.
    pub(crate) fn are_in_order(&self) -> bool {
        let wrong = [
            self.failed,
            self.lost,
            self.lost_events,
            self.doubled,
            self.unreported,
            self.reported_twice,
            self.misreported,
            self.undead,
        ];
        wrong.iter().all(|count| *count == 0) && self.delivered >= self.accepted
    }
}

impl fmt::Display for Accounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "accepted {}, delivered as reported {}, failed {}, refused {}, events {}; lost {}, lost \
             events {}, doubled {}, unreported {}, reported twice {}, misreported {}, refused and \
             there {}",
            self.accepted,
            self.delivered,
            self.failed,
            self.refused,
            self.raised,
            self.lost,
            self.lost_events,
            self.doubled,
            self.unreported,
            self.reported_twice,
            self.misreported,
            self.undead
        )
    }
}

fn by_number(
    records: &[Record],
    number: impl Fn(&str) -> Option<u32>,
) -> BTreeMap<u32, Vec<Place>> {
    let mut places = BTreeMap::<u32, Vec<Place>>::new();
    for record in records {
        let number = number(&text(record)).expect("a record has its number");
        let place = (record.partition, record.offset);
        places.entry(number).or_default().push(place);
    }
    places
}

/// Reports as the script wrote them: status, partition, offset, and the message.
fn outcomes(records: &[Record]) -> BTreeMap<u32, Vec<Outcome>> {
    let mut outcomes = BTreeMap::<u32, Vec<Outcome>>::new();
    for record in records {
        let text = text(record);
        let words: Vec<_> = text.split_whitespace().collect();
        let [status, partition, offset, number] = words[..] else {
            panic!("{text} is no report");
        };
        let place = || Some((partition.parse().ok()?, offset.parse().ok()?));
        let outcome = (status == "0").then(|| place().expect("it says where it is"));
        let number = number.parse().expect("a message begins with its number");
        outcomes.entry(number).or_default().push(outcome);
    }
    outcomes
}

fn beyond_first(places: &BTreeMap<u32, Vec<Place>>) -> usize {
    places.values().map(|places| places.len() - 1).sum()
}

fn first_number(text: &str) -> Option<u32> {
    text.split_whitespace().next()?.parse().ok()
}

fn text(record: &Record) -> String {
    String::from_utf8_lossy(record.value.as_deref().unwrap_or_default()).into_owned()
}
