//! What was fed, what was reported and what is in the log, held against each other.

use std::collections::BTreeMap;
use std::collections::hash_map::{Entry as Slot, HashMap};
use std::fmt;
use std::time::Duration;

use super::message::call;
use super::publisher::{Line, Published};
use super::read_back::Entry;
use super::report::Outcome;

/// The result: promises that were broken, and figures.
#[derive(Debug, Default)]
pub(super) struct Accounts {
    broken: Vec<Broken>,
    fed: u64,
    delivered: u64,
    /// How many messages failed, by error.
    failed: BTreeMap<String, u64>,
    /// Failed messages that are in the log all the same.
    failed_in_log: u64,
    in_log: u64,
    /// Copies beyond the first: allowed as long as batches carry no sequence numbers.
    duplicates: u64,
    /// Messages behind a later one of their call, counting only first copies of what was delivered:
    /// allowed, as duplicates are, while several requests for a partition may be on their way.
    out_of_order: u64,
    /// The longest of the whole.
    stall: Stall,
    /// The longest of one partition, while others may go on.
    partition_stall: (i32, Stall),
    /// How long each delivery took, in microseconds, sorted.
    latencies: Vec<u64>,
}

/// A promise and the cases in which it was broken.
#[derive(Debug)]
struct Broken {
    promise: &'static str,
    cases: Vec<String>,
}

/// A time without a report of delivery.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Stall {
    begin: Duration,
    length: Duration,
}

/// What is known of one message.
#[derive(Debug, Default, Clone)]
struct Message<'a> {
    outcome: Option<&'a Outcome>,
    /// How often it is in the log.
    copies: u64,
}

impl Accounts {
    pub(super) fn draw_up(published: &Published, mut log: Vec<Entry>) -> Self {
        log.sort_unstable_by_key(at);
        let deliveries = Deliveries::of(&published.said);
        let mut accounts = Self {
            fed: published.fed,
            in_log: log.len() as u64,
            stall: deliveries.longest_stall(),
            partition_stall: deliveries.longest_stall_of_partition(),
            ..Self::default()
        };
        let mut messages: Vec<_> = (0..published.fed).map(|_| Message::default()).collect();
        accounts.enter_reports(&mut messages, &published.said);
        accounts.enter_log(&mut messages, &log);
        accounts.compare(&messages, &log);
        accounts.check_end(published);
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
            match numbered(messages, report.n) {
                None => unknown.push(report.n.to_string()),
                Some(message) if message.outcome.is_some() => doubled.push(report.n.to_string()),
                Some(message) => message.outcome = Some(&report.outcome),
            }
        }
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

    fn expect_none(&mut self, promise: &'static str, cases: Vec<String>) {
        if !cases.is_empty() {
            self.broken.push(Broken { promise, cases });
        }
    }

    fn latency(&self, part: f64) -> f64 {
        let last = self.latencies.len().saturating_sub(1);
        let position = (last as f64 * part) as usize;
        self.latencies.get(position).copied().unwrap_or_default() as f64 / 1e6
    }
}

impl fmt::Display for Accounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let failed: u64 = self.failed.values().sum();
        writeln!(f, "{:>9}  messages fed", self.fed)?;
        writeln!(f, "{:>9}  delivered", self.delivered)?;
        writeln!(
            f,
            "{failed:>9}  failed, {} of them in the log",
            self.failed_in_log
        )?;
        for (error, count) in &self.failed {
            writeln!(f, "{count:>13}  {error}")?;
        }
        writeln!(f, "{:>9}  records in the log", self.in_log)?;
        writeln!(f, "{:>9}  duplicates", self.duplicates)?;
        writeln!(
            f,
            "{:>9}  behind a later message of their key",
            self.out_of_order
        )?;
        let (partition, stall) = self.partition_stall;
        writeln!(
            f,
            "longest stall: {} of all, {stall} of partition {partition}",
            self.stall
        )?;
        let [half, most, all] = [0.5, 0.99, 1.0].map(|part| self.latency(part));
        writeln!(
            f,
            "a delivery took {half:.3} s in the median, 99 % within {most:.3} s, all within {all:.3} s"
        )?;
        if self.is_in_order() {
            return write!(
                f,
                "one report for each message, and all that was reported is in the log"
            );
        }
        self.broken.iter().try_for_each(|broken| broken.fmt(f))
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 5;
        let Self { promise, cases } = self;
        let shown = &cases[..cases.len().min(SHOWN)];
        writeln!(f, "BROKEN: {promise}; not so {} times", cases.len())?;
        shown
            .iter()
            .try_for_each(|case| writeln!(f, "{:>9}  {case}", ""))
    }
}

impl fmt::Display for Stall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (length, begin) = (self.length.as_secs_f64(), self.begin.as_secs_f64());
        write!(f, "{length:.1} s (from {begin:.1} s on)")
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

    fn longest_stall_of_partition(&self) -> (i32, Stall) {
        let mut times: BTreeMap<i32, Vec<Duration>> = BTreeMap::new();
        for (at, partition) in &self.0 {
            times.entry(*partition).or_default().push(*at);
        }
        let stalls = times
            .into_iter()
            .map(|(partition, times)| (partition, Stall::longest(times.into_iter())));
        stalls
            .max_by_key(|(_, stall)| stall.length)
            .unwrap_or_default()
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
                fed: messages,
                said: said.collect(),
                status: ExitStatus::from_raw(0),
            };
            Self { published, log }
        }

        fn accounts(&self) -> Accounts {
            Accounts::draw_up(&self.published, self.log.clone())
        }

        /// The only promise that is broken, and in how many cases.
        fn broken(&self) -> (&'static str, usize) {
            let accounts = self.accounts();
            assert!(!accounts.is_in_order());
            let [Broken { promise, cases }] = &accounts.broken[..] else {
                panic!("{accounts}");
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
        assert!(accounts.is_in_order(), "{accounts}");
        assert_eq!(accounts.delivered, 2 * CALLS);
        assert_eq!((accounts.duplicates, accounts.out_of_order), (0, 0));
    }

    #[test]
    fn a_missing_message_is_found() {
        let mut case = Case::new();
        case.log.remove(17);
        assert_eq!(case.broken(), ("every delivered message is in the log", 1));
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
    }

    #[test]
    fn a_second_report_is_found() {
        let mut case = Case::new();
        case.say(Ok(delivered(17, &case.log[17].clone())));
        assert_eq!(case.broken(), ("no message has two reports", 1));
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
        assert!(accounts.is_in_order(), "{accounts}");
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
        assert!(accounts.is_in_order(), "{accounts}");
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
        assert!(accounts.is_in_order(), "{accounts}");
        assert_eq!(accounts.out_of_order, 1);
    }

    #[test]
    fn an_idempotent_publisher_may_double_and_reorder_nothing() {
        let mut case = Case::new();
        let mut accounts = case.accounts();
        accounts.demand_once_and_in_order();
        assert!(accounts.is_in_order(), "{accounts}");

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
        let (partition, stall) = accounts.partition_stall;
        assert_eq!((partition, stall.begin + stall.length), (1, end));
        assert!(stall.begin < begin);
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
