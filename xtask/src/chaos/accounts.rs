//! What was fed, what was reported and what is in the log, held against each other.

use std::collections::BTreeMap;
use std::collections::hash_map::{Entry as Slot, HashMap};
use std::fmt;
use std::time::Duration;

use super::message::call;
use super::publisher::{Line, Published, due};
use super::read_back::Entry;
use super::report::Outcome;

/// Within which time what waited is to be delivered after every partition has a leader again.
const DRAIN_LIMIT: Duration = Duration::from_secs(10);

/// The result: promises that were broken, and figures.
#[derive(Debug, Default)]
pub(super) struct Accounts {
    pub(super) broken: Vec<Broken>,
    pub(super) fed: u64,
    pub(super) delivered: u64,
    /// How many messages failed, by error.
    pub(super) failed: BTreeMap<String, u64>,
    /// Failed messages that are in the log all the same.
    pub(super) failed_in_log: u64,
    /// Messages without a report since the process that was to publish them was killed.
    pub(super) cut_off: u64,
    /// Those of them that are in the log.
    pub(super) cut_off_in_log: u64,
    pub(super) in_log: u64,
    /// Delivered messages that are not in the log.
    pub(super) lost: u64,
    /// Copies beyond the first: allowed as long as batches carry no sequence numbers.
    pub(super) duplicates: u64,
    /// Messages behind a later one of their call, counting only first copies of what was delivered:
    /// allowed, as duplicates are, while several requests for a partition may be on their way.
    pub(super) out_of_order: u64,
    /// The fewest and the most reports that a message has, but for those that were cut off.
    pub(super) reports: (u32, u32),
    /// The longest of the whole.
    pub(super) stall: Stall,
    /// The longest of each partition, while others may go on.
    pub(super) partition_stalls: BTreeMap<i32, Stall>,
    /// One for each time that all nodes were down.
    pub(super) drains: Vec<Drain>,
    /// How long each delivery took, in microseconds, sorted.
    latencies: Vec<u64>,
}

/// A promise and the cases in which it was broken.
#[derive(Debug)]
pub(super) struct Broken {
    promise: &'static str,
    cases: Vec<String>,
}

/// A time without a report of delivery.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stall {
    begin: Duration,
    pub(super) length: Duration,
}

/// What became of all that was due when every partition had a leader again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Drain {
    /// Messages that waited.
    pub(super) waiting: u64,
    /// How long until they were delivered; `None` if some never were.
    pub(super) time: Option<Duration>,
}

/// What is known of one message.
#[derive(Debug, Default, Clone)]
struct Message<'a> {
    /// The first that was reported.
    outcome: Option<&'a Outcome>,
    reports: u32,
    /// Whether its process was killed.
    may_be_cut_off: bool,
    /// How often it is in the log.
    copies: u64,
}

impl Accounts {
    /// The times are those when every partition had a leader again after all nodes were down.
    pub(super) fn draw_up(
        published: &Published,
        mut log: Vec<Entry>,
        recoveries: &[Duration],
    ) -> Self {
        log.sort_unstable_by_key(at);
        let deliveries = Deliveries::of(&published.said);
        let mut accounts = Self {
            fed: published.fed,
            in_log: log.len() as u64,
            stall: deliveries.longest_stall(),
            partition_stalls: deliveries.longest_stalls_of_partitions(),
            ..Self::default()
        };
        let mut messages: Vec<_> = (0..published.fed).map(|_| Message::default()).collect();
        for n in published.killed.iter().cloned().flatten() {
            if let Some(message) = numbered(&mut messages, n) {
                message.may_be_cut_off = true;
            }
        }
        accounts.enter_reports(&mut messages, &published.said);
        accounts.enter_log(&mut messages, &log);
        accounts.compare(&messages, &log);
        accounts.check_end(published);
        accounts.check_drains(published, recoveries);
        accounts
    }

    /// What is otherwise merely counted is a broken promise.
    pub(super) fn demand_once_and_in_order(&mut self) {
        let counted = |count: u64, what: &str| (count > 0).then(|| format!("{count} {what}"));
        let doubled = counted(self.duplicates, "copies beyond the first");
        let late = counted(self.out_of_order, "behind a later one of their key");
        self.expect_none(
            "no message is in the log twice",
            doubled.into_iter().collect(),
        );
        self.expect_none(
            "messages of one key are in order",
            late.into_iter().collect(),
        );
    }

    pub(super) fn is_in_order(&self) -> bool {
        self.broken.is_empty()
    }

    /// Exactly one report for each message.
    fn enter_reports<'a>(&mut self, messages: &mut [Message<'a>], said: &'a [Line]) {
        let (mut unreadable, mut unknown, mut doubled) = (Vec::new(), Vec::new(), Vec::new());
        for line in said {
            let report = match &line.report {
                Ok(report) => report,
                Err(text) => {
                    unreadable.push(text.clone());
                    continue;
                }
            };
            let Some(message) = numbered(messages, report.n) else {
                unknown.push(report.n.to_string());
                continue;
            };
            message.reports += 1;
            if message.reports > 1 {
                doubled.push(report.n.to_string());
            } else {
                message.outcome = Some(&report.outcome);
            }
        }
        let counted = messages.iter().filter(|message| !message.is_cut_off());
        let counts = counted.map(|message| message.reports);
        let (fewest, most) = (counts.clone().min(), counts.max());
        self.reports = (fewest.unwrap_or_default(), most.unwrap_or_default());
        self.expect_none("every line printed is a report", unreadable);
        self.expect_none("every report is of a message that was fed", unknown);
        self.expect_none("no message has two reports", doubled);
    }

    /// Nothing foreign in the log, and a call stays in one partition.
    fn enter_log(&mut self, messages: &mut [Message<'_>], log: &[Entry]) {
        let (mut foreign, mut scattered) = (Vec::new(), Vec::new());
        // Partition and latest message of each call.
        let mut calls: HashMap<u64, (i32, u64)> = HashMap::new();
        for entry in log {
            let known = entry.n.and_then(|n| Some((n, numbered(messages, n)?)));
            let Some((n, message)) = known else {
                foreign.push(place(entry));
                continue;
            };
            message.copies += 1;
            if message.copies > 1 {
                self.duplicates += 1;
            } else if message.is_delivered() {
                match calls.entry(call(n)) {
                    Slot::Vacant(vacant) => {
                        vacant.insert((entry.partition, n));
                    }
                    Slot::Occupied(mut occupied) => {
                        let (partition, latest) = occupied.get_mut();
                        if *partition != entry.partition {
                            scattered.push(format!("{n} in {}", entry.partition));
                        } else if n < *latest {
                            self.out_of_order += 1;
                        } else {
                            *latest = n;
                        }
                    }
                }
            }
        }
        self.expect_none("only what was fed is in the log", foreign);
        self.expect_none("messages of one key are in one partition", scattered);
    }

    /// The log has what was reported, where it was reported.
    fn compare(&mut self, messages: &[Message<'_>], log: &[Entry]) {
        let (mut unreported, mut missing) = (Vec::new(), Vec::new());
        let (mut elsewhere, mut denied) = (Vec::new(), Vec::new());
        for (n, message) in (0..).zip(messages) {
            let is_in_log = message.copies > 0;
            match message.outcome {
                None if message.is_cut_off() => {
                    self.cut_off += 1;
                    self.cut_off_in_log += u64::from(is_in_log);
                }
                None => unreported.push(n.to_string()),
                Some(Outcome::Delivered {
                    partition,
                    offset,
                    latency_us,
                }) => {
                    self.delivered += 1;
                    self.latencies.push(*latency_us);
                    let found = log.binary_search_by_key(&(*partition, *offset), at);
                    let is_there = found.is_ok_and(|position| log[position].n == Some(n));
                    let case = || format!("{n} at {offset} of partition {partition}");
                    match (is_in_log, is_there) {
                        (_, true) => {}
                        (true, false) => elsewhere.push(case()),
                        (false, false) => missing.push(case()),
                    }
                }
                Some(Outcome::Failed {
                    error,
                    maybe_persisted,
                }) => {
                    *self.failed.entry(error.clone()).or_default() += 1;
                    self.failed_in_log += u64::from(is_in_log);
                    if is_in_log && !maybe_persisted {
                        denied.push(n.to_string());
                    }
                }
            }
        }
        self.latencies.sort_unstable();
        self.lost = missing.len() as u64;
        self.expect_none("every message has a report", unreported);
        self.expect_none("every delivered message is in the log", missing);
        self.expect_none(
            "every delivered message is where its report says",
            elsewhere,
        );
        self.expect_none("what was reported as not persisted is not", denied);
    }

    /// It took all messages, ended by itself, and its exit code says whether any failed.
    fn check_end(&mut self, published: &Published) {
        let left = published.messages - published.fed;
        let left = (left > 0).then(|| format!("{left} were not"));
        self.expect_none("all messages are taken", left.into_iter().collect());
        let right = i32::from(!self.failed.is_empty());
        let status = published.status;
        let wrong = (status.code() != Some(right)).then(|| format!("{status} instead of {right}"));
        self.expect_none(
            "the exit code is 0 if all were delivered, otherwise 1",
            wrong.into_iter().collect(),
        );
    }

    fn check_drains(&mut self, published: &Published, recoveries: &[Duration]) {
        let drains = recoveries.iter().map(|at| Drain::after(*at, published));
        self.drains = drains.collect();
        let is_late = |drain: &&Drain| drain.time.is_none_or(|time| time > DRAIN_LIMIT);
        let late = self.drains.iter().filter(is_late);
        let late = late.map(Drain::to_string).collect();
        self.expect_none(
            "what waited is delivered within 10 s after every partition has a leader again",
            late,
        );
    }

    fn expect_none(&mut self, promise: &'static str, cases: Vec<String>) {
        if !cases.is_empty() {
            self.broken.push(Broken { promise, cases });
        }
    }

    /// How long deliveries took: of this part of them, at most so long, in seconds.
    pub(super) fn latency(&self, part: f64) -> f64 {
        let last = self.latencies.len().saturating_sub(1);
        let position = (last as f64 * part) as usize;
        self.latencies.get(position).copied().unwrap_or_default() as f64 / 1e6
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 5;
        let Self { promise, cases } = self;
        let shown = &cases[..cases.len().min(SHOWN)];
        write!(f, "{promise}; not so {} times", cases.len())?;
        shown
            .iter()
            .try_for_each(|case| write!(f, "\n{:>9}  {case}", ""))
    }
}

impl fmt::Display for Stall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (length, begin) = (self.length.as_secs_f64(), self.begin.as_secs_f64());
        write!(f, "{length:.1} s (at {begin:.1} s)")
    }
}

impl fmt::Display for Drain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let waiting = self.waiting;
        match self.time {
            Some(time) => write!(f, "{waiting} in {:.1} s", time.as_secs_f64()),
            None => write!(f, "{waiting}, not all"),
        }
    }
}

impl Drain {
    fn after(at: Duration, published: &Published) -> Self {
        let due = due(at, published.rate).min(published.messages);
        let mut deliveries = vec![None; due as usize];
        for line in &published.said {
            if let Ok(report) = &line.report
                && matches!(report.outcome, Outcome::Delivered { .. })
                && let Some(delivery) = deliveries.get_mut(report.n as usize)
            {
                *delivery = Some(line.at);
            }
        }
        let waits = |delivery: &&Option<Duration>| delivery.is_none_or(|time| time > at);
        let mut all = deliveries.iter();
        let last = all.try_fold(at, |last, delivery| Some(last.max((*delivery)?)));
        Self {
            waiting: deliveries.iter().filter(waits).count() as u64,
            time: last.map(|last| last - at),
        }
    }
}

/// When there were reports of delivery, and for which partition.
struct Deliveries(Vec<(Duration, i32)>);

impl Deliveries {
    fn of(said: &[Line]) -> Self {
        let delivery = |line: &Line| match line.report.as_ref().ok()?.outcome {
            Outcome::Delivered { partition, .. } => Some((line.at, partition)),
            Outcome::Failed { .. } => None,
        };
        Self(said.iter().filter_map(delivery).collect())
    }

    fn longest_stall(&self) -> Stall {
        Stall::longest(self.0.iter().map(|(at, _)| *at))
    }

    fn longest_stalls_of_partitions(&self) -> BTreeMap<i32, Stall> {
        let mut times: BTreeMap<i32, Vec<Duration>> = BTreeMap::new();
        for (at, partition) in &self.0 {
            times.entry(*partition).or_default().push(*at);
        }
        let stalls = times
            .into_iter()
            .map(|(partition, times)| (partition, Stall::longest(times.into_iter())));
        stalls.collect()
    }
}

impl Stall {
    fn longest(times: impl Iterator<Item = Duration> + Clone) -> Self {
        let stalls = times.clone().zip(times.skip(1)).map(|(begin, end)| Self {
            begin,
            length: end.saturating_sub(begin),
        });
        stalls.max_by_key(|stall| stall.length).unwrap_or_default()
    }
}

impl Message<'_> {
    fn is_cut_off(&self) -> bool {
        self.may_be_cut_off && self.outcome.is_none()
    }

    fn is_delivered(&self) -> bool {
        matches!(self.outcome, Some(Outcome::Delivered { .. }))
    }
}

fn numbered<'m, 'a>(messages: &'m mut [Message<'a>], n: u64) -> Option<&'m mut Message<'a>> {
    messages.get_mut(usize::try_from(n).ok()?)
}

fn at(entry: &Entry) -> (i32, i64) {
    (entry.partition, entry.offset)
}

fn place(entry: &Entry) -> String {
    format!("{} of partition {}", entry.offset, entry.partition)
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::process::ExitStatus;

    use super::super::message::CALLS;
    use super::super::report::Report;
    use super::*;

    const PARTITIONS: i32 = 3;

    /// Two messages of every call, each delivered and reported, a millisecond after the other.
    struct Case {
        published: Published,
        log: Vec<Entry>,
        recoveries: Vec<Duration>,
    }

    impl Case {
        fn new() -> Self {
            let messages = 2 * CALLS;
            let mut log: Vec<Entry> = Vec::new();
            let mut ends = [0; PARTITIONS as usize];
            for n in 0..messages {
                let partition = i32::try_from(call(n)).unwrap() % PARTITIONS;
                let end = &mut ends[usize::try_from(partition).unwrap()];
                log.push(Entry {
                    partition,
                    offset: *end,
                    n: Some(n),
                });
                *end += 1;
            }
            let said = (0..).zip(&log).map(|(n, entry)| Line {
                at: Duration::from_millis(n),
                report: Ok(delivered(n, entry)),
            });
            let published = Published {
                messages,
                rate: 1000,
                fed: messages,
                said: said.collect(),
                killed: Vec::new(),
                status: ExitStatus::from_raw(0),
            };
            Self {
                published,
                log,
                recoveries: Vec::new(),
            }
        }

        fn accounts(&self) -> Accounts {
            Accounts::draw_up(&self.published, self.log.clone(), &self.recoveries)
        }

        /// The only promise that is broken, and in how many cases.
        fn broken(&self) -> (&'static str, usize) {
            let accounts = self.accounts();
            assert!(!accounts.is_in_order());
            let [Broken { promise, cases }] = &accounts.broken[..] else {
                panic!("{:?}", accounts.broken);
            };
            (promise, cases.len())
        }

        fn say(&mut self, report: Result<Report, String>) {
            let at = Duration::from_secs(60);
            self.published.said.push(Line { at, report });
        }

        fn fail(&mut self, n: usize, maybe_persisted: bool) {
            let error = "_MSG_TIMED_OUT".to_owned();
            let report = self.published.said[n].report.as_mut().unwrap();
            report.outcome = Outcome::Failed {
                error,
                maybe_persisted,
            };
            self.published.status = exit_code(1);
        }

        /// Stores message `n` once more, at the end of its partition.
        fn store_again(&mut self, n: usize) {
            let copy = self.log[n];
            let offset = i64::try_from(self.log.len()).unwrap();
            self.log.push(Entry { offset, ..copy });
        }

        /// Lets two messages stand in each other's place.
        fn swap_in_log(&mut self, a: usize, b: usize) {
            let n = self.log[a].n;
            self.log[a].n = self.log[b].n;
            self.log[b].n = n;
        }
    }

    fn delivered(n: u64, entry: &Entry) -> Report {
        let outcome = Outcome::Delivered {
            partition: entry.partition,
            offset: entry.offset,
            latency_us: n,
        };
        Report { n, outcome }
    }

    fn exit_code(code: i32) -> ExitStatus {
        ExitStatus::from_raw(code << 8)
    }

    const CALLS_AS_INDEX: usize = CALLS as usize;

    #[test]
    fn accounts_in_order_are_found_in_order() {
        let accounts = Case::new().accounts();
        assert!(accounts.is_in_order(), "{:?}", accounts.broken);
        assert_eq!(accounts.delivered, 2 * CALLS);
        assert_eq!((accounts.duplicates, accounts.out_of_order), (0, 0));
        assert_eq!((accounts.lost, accounts.reports), (0, (1, 1)));
    }

    #[test]
    fn a_missing_message_is_found() {
        let mut case = Case::new();
        case.log.remove(17);
        assert_eq!(case.broken(), ("every delivered message is in the log", 1));
        assert_eq!(case.accounts().lost, 1);
    }

    #[test]
    fn a_message_elsewhere_than_reported_is_found() {
        let mut case = Case::new();
        // The same partition, so that only the offsets are wrong.
        case.swap_in_log(0, 3);
        let promise = "every delivered message is where its report says";
        assert_eq!(case.broken(), (promise, 2));
    }

    #[test]
    fn a_message_without_a_report_is_found() {
        let mut case = Case::new();
        case.published.said.remove(17);
        assert_eq!(case.broken(), ("every message has a report", 1));
        assert_eq!(case.accounts().reports, (0, 1));
    }

    #[test]
    fn a_second_report_is_found() {
        let mut case = Case::new();
        case.say(Ok(delivered(17, &case.log[17].clone())));
        assert_eq!(case.broken(), ("no message has two reports", 1));
        assert_eq!(case.accounts().reports, (1, 2));
    }

    #[test]
    fn a_report_of_nothing_and_what_is_no_report_are_found() {
        let mut case = Case::new();
        case.say(Ok(delivered(2 * CALLS, &case.log[0].clone())));
        let promise = "every report is of a message that was fed";
        assert_eq!(case.broken(), (promise, 1));

        let mut case = Case::new();
        case.say(Err("half a li".to_owned()));
        assert_eq!(case.broken(), ("every line printed is a report", 1));
    }

    #[test]
    fn a_failed_message_is_in_the_log_only_if_it_may_be() {
        let mut case = Case::new();
        case.fail(17, true);
        case.fail(18, false);
        let promise = "what was reported as not persisted is not";
        assert_eq!(case.broken(), (promise, 1));

        case.log.remove(18);
        let accounts = case.accounts();
        assert!(accounts.is_in_order(), "{:?}", accounts.broken);
        assert_eq!(accounts.failed["_MSG_TIMED_OUT"], 2);
        assert_eq!(accounts.failed_in_log, 1);
    }

    #[test]
    fn a_record_of_somebody_else_is_found() {
        for n in [None, Some(2 * CALLS)] {
            let mut case = Case::new();
            let (partition, offset) = (0, 1 << 40);
            case.log.push(Entry {
                partition,
                offset,
                n,
            });
            assert_eq!(case.broken(), ("only what was fed is in the log", 1));
        }
    }

    #[test]
    fn a_key_in_two_partitions_is_found() {
        let mut case = Case::new();
        let second = &mut case.log[CALLS_AS_INDEX + 17];
        *second = Entry {
            partition: (second.partition + 1) % PARTITIONS,
            offset: 1 << 40,
            ..*second
        };
        let moved = delivered(CALLS + 17, second);
        case.published.said[CALLS_AS_INDEX + 17].report = Ok(moved);
        let promise = "messages of one key are in one partition";
        assert_eq!(case.broken(), (promise, 1));
    }

    #[test]
    fn duplicates_are_counted_and_do_not_disturb_the_order() {
        let mut case = Case::new();
        case.store_again(17);
        case.store_again(17);
        let accounts = case.accounts();
        assert!(accounts.is_in_order(), "{:?}", accounts.broken);
        assert_eq!((accounts.duplicates, accounts.out_of_order), (2, 0));
    }

    #[test]
    fn a_message_behind_a_later_one_of_its_key_is_counted() {
        let mut case = Case::new();
        let (first, second) = (17, CALLS_AS_INDEX + 17);
        case.swap_in_log(first, second);
        case.published.said[first].report = Ok(delivered(17, &case.log[second]));
        case.published.said[second].report = Ok(delivered(CALLS + 17, &case.log[first]));
        let accounts = case.accounts();
        assert!(accounts.is_in_order(), "{:?}", accounts.broken);
        assert_eq!(accounts.out_of_order, 1);
    }

    #[test]
    fn an_idempotent_publisher_may_double_and_reorder_nothing() {
        let mut case = Case::new();
        let mut accounts = case.accounts();
        accounts.demand_once_and_in_order();
        assert!(accounts.is_in_order(), "{:?}", accounts.broken);

        case.store_again(17);
        let (first, second) = (18, CALLS_AS_INDEX + 18);
        case.swap_in_log(first, second);
        case.published.said[first].report = Ok(delivered(18, &case.log[second]));
        case.published.said[second].report = Ok(delivered(CALLS + 18, &case.log[first]));
        let mut accounts = case.accounts();
        accounts.demand_once_and_in_order();
        let broken: Vec<_> = accounts
            .broken
            .iter()
            .map(|broken| broken.promise)
            .collect();
        let expected = [
            "no message is in the log twice",
            "messages of one key are in order",
        ];
        assert_eq!(broken, expected);
    }

    #[test]
    fn the_longest_stall_lies_between_deliveries() {
        let mut case = Case::new();
        case.say(Ok(delivered(17, &case.log[17].clone())));
        let last = Duration::from_millis(2 * CALLS - 1);
        let stall = Stall {
            begin: last,
            length: Duration::from_secs(60) - last,
        };
        assert_eq!(case.accounts().stall, stall);
    }

    #[test]
    fn a_stall_of_one_partition_is_found_while_others_go_on() {
        let mut case = Case::new();
        let (begin, end) = (Duration::from_millis(1000), Duration::from_millis(1500));
        for line in &mut case.published.said {
            let outcome = &line.report.as_ref().unwrap().outcome;
            if matches!(outcome, Outcome::Delivered { partition: 1, .. }) && line.at >= begin {
                line.at = line.at.max(end);
            }
        }
        case.published.said.sort_by_key(|line| line.at);

        let accounts = case.accounts();
        assert!(accounts.stall.length < Duration::from_millis(5));
        let stall = accounts.partition_stalls[&1];
        assert_eq!(stall.begin + stall.length, end);
        assert!(stall.begin < begin);
        for other in [0, 2] {
            assert!(accounts.partition_stalls[&other].length < Duration::from_millis(5));
        }
    }

    #[test]
    fn what_a_killed_process_did_not_report_is_nobodys_promise() {
        let mut case = Case::new();
        case.published.killed.push(0..100);
        case.published.said.drain(90..100);
        // One of them has not even reached the log.
        case.log.remove(95);
        let accounts = case.accounts();
        assert!(accounts.is_in_order(), "{:?}", accounts.broken);
        assert_eq!((accounts.cut_off, accounts.cut_off_in_log), (10, 9));
        assert_eq!(accounts.reports, (1, 1));
    }

    #[test]
    fn what_a_killed_process_did_report_is_a_promise() {
        let mut case = Case::new();
        case.published.killed.push(0..100);
        case.log.remove(17);
        assert_eq!(case.broken(), ("every delivered message is in the log", 1));
    }

    #[test]
    fn what_the_process_after_a_killed_one_does_not_report_is_found() {
        let mut case = Case::new();
        case.published.killed.push(0..100);
        case.published.said.remove(100);
        assert_eq!(case.broken(), ("every message has a report", 1));
    }

    /// Deliveries after the first 100 come so much later, and at the 150th, which would be due at
    /// 150 ms, all partitions have leaders.
    fn outage(late: Duration) -> Case {
        let mut case = Case::new();
        for line in &mut case.published.said[100..] {
            line.at += late;
        }
        case.recoveries = vec![Duration::from_millis(150)];
        case
    }

    #[test]
    fn what_waited_when_leaders_were_back_has_ten_seconds() {
        let in_time = outage(Duration::from_millis(10_001)).accounts();
        assert!(in_time.is_in_order(), "{:?}", in_time.broken);
        let drain = Drain {
            waiting: 50,
            time: Some(Duration::from_secs(10)),
        };
        assert_eq!(in_time.drains, [drain]);

        let promise =
            "what waited is delivered within 10 s after every partition has a leader again";
        let late = outage(Duration::from_millis(10_002));
        assert_eq!(late.broken(), (promise, 1));
    }

    #[test]
    fn what_failed_after_an_outage_was_not_drained() {
        let mut case = outage(Duration::from_secs(1));
        case.fail(120, true);
        let (promise, cases) = case.broken();
        assert!(promise.starts_with("what waited is delivered"), "{promise}");
        assert_eq!(cases, 1);
        let [Drain { waiting, time }] = case.accounts().drains[..] else {
            panic!("one drain");
        };
        assert_eq!((waiting, time), (50, None));
    }

    #[test]
    fn a_publisher_that_ends_early_or_with_a_wrong_code_is_found() {
        let mut case = Case::new();
        case.published.messages += 5;
        assert_eq!(case.broken(), ("all messages are taken", 1));

        let killed = ExitStatus::from_raw(9);
        for status in [exit_code(1), exit_code(101), killed] {
            let mut case = Case::new();
            case.published.status = status;
            let (promise, _) = case.broken();
            assert!(promise.starts_with("the exit code"), "{promise}");
        }
    }
}
