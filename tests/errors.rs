//! Every error code that can answer Produce, from the mock over TCP, at the first, the third and the
//! last of five batches in flight: what becomes of the batch is what `docs/errors.md` says. The engine's
//! tests, which write that document, try the same codes against a model.

#[path = "brokers/producer.rs"]
mod producer;

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use bytes::{Buf, Bytes};
use event_kafka::{Persisted, Producer, Purge, Record, Report, Topic};
use kafka_mock::{ApiKey, Cluster, Fault, ResponseError, Rule};

use producer::{PATIENCE, producer, reports};

const IN_FLIGHT: usize = 5;
const PER_BATCH: u64 = 2;
const MESSAGES: usize = IN_FLIGHT * PER_BATCH as usize;
/// Numbers of messages other than those.
const OTHER: u64 = 100;

#[test]
fn the_first_of_five_without_idempotence() {
    check(0, false);
}

#[test]
fn the_third_of_five_without_idempotence() {
    check(2, false);
}

#[test]
fn the_last_of_five_without_idempotence() {
    check(4, false);
}

#[test]
fn the_first_of_five_with_idempotence() {
    check(0, true);
}

#[test]
fn the_third_of_five_with_idempotence() {
    check(2, true);
}

#[test]
fn the_last_of_five_with_idempotence() {
    check(4, true);
}

fn check(nth: u64, idempotence: bool) {
    let table = Table::read();
    let cluster = Cluster::start().unwrap();
    for code in (-1..=136).filter(|code| *code != 0).chain([999]) {
        let case = Case {
            cluster: &cluster,
            code,
            nth,
            idempotence,
        };
        let expected = table.of(code, idempotence);
        assert_eq!(case.observe(), expected, "{code} for batch {nth}");
    }
}

/// What becomes of a batch, and what is said of it if that was its last attempt, in the words of the
/// document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Treatment {
    fate: &'static str,
    persisted: &'static str,
}

const DOCUMENT: &str = include_str!("../docs/errors.md");

/// What the document says.
struct Table {
    /// By code: without idempotence, and with it.
    rows: BTreeMap<i16, [Treatment; 2]>,
    /// Codes that are no answers to Produce and yet taken for passing.
    passing: Vec<i16>,
}

impl Table {
    fn read() -> Self {
        let lines = DOCUMENT.lines();
        let rows = lines.clone().filter_map(|line| {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            let [_, code, _, without, with, persisted, ..] = cells[..] else {
                return None;
            };
            let treatment = |fate| Treatment { fate, persisted };
            Some((code.parse().ok()?, [treatment(without), treatment(with)]))
        });
        let passing = lines.filter_map(|line| {
            let (_, code) = line.strip_prefix("- `")?.split_once('(')?;
            code.strip_suffix(')')?.parse().ok()
        });
        let table = Self {
            rows: rows.collect(),
            passing: passing.collect(),
        };
        assert!(!table.rows.is_empty() && !table.passing.is_empty());
        table
    }

    fn of(&self, code: i16, idempotence: bool) -> Treatment {
        let passing = self.passing.contains(&code);
        let other = Treatment {
            fate: if passing { "retried" } else { "failed" },
            persisted: "no",
        };
        let row = self.rows.get(&code);
        row.map_or(other, |row| row[usize::from(idempotence)])
    }
}

/// Five batches of two messages in flight, of which one is answered with the code.
struct Case<'a> {
    cluster: &'a Cluster,
    code: i16,
    nth: u64,
    idempotence: bool,
}

impl Case<'_> {
    fn observe(&self) -> Treatment {
        let (fate, persisted) = self.fate();
        let persisted = match fate {
            "retried" | "retried, renumbered" => self.persisted_when_given_up(),
            "delivered" => "yes",
            // Its parts are other batches.
            "split" => "no",
            _ => persisted.expect("it has failed"),
        };
        self.cluster.withdraw_all();
        Treatment { fate, persisted }
    }

    /// Its fate, and whether it may be in the log if it failed. The others are delivered, unless
    /// nothing is any more.
    fn fate(&self) -> (&'static str, Option<&'static str>) {
        let sent = self.send("1");
        let reports = reports(&sent.producer, MESSAGES);
        let fatal = sent.producer.fatal_error().is_some();
        for (opaque, report) in &reports {
            if !self.batch().contains(opaque) {
                let lost = fatal && *opaque > self.batch()[0];
                assert_eq!(report.outcome.is_err(), lost, "{report:?}");
            }
            if let Err(failure) = &report.outcome {
                assert_eq!(failure.error.code(), i32::from(self.code), "{report:?}");
            }
        }
        self.check_log(&sent.name, &reports);
        let persisted = self.persisted(&reports);
        let (batches, epochs) = self.batches(&sent.name);
        let requests = self.requests(&sent.name);
        let fate = if fatal {
            "fatal"
        } else if persisted.is_some() {
            "failed"
        } else if batches.contains(&1) {
            "split"
        } else if requests == 1 + IN_FLIGHT {
            "delivered"
        } else if epochs.iter().any(|epoch| *epoch > 0) {
            "retried, renumbered"
        } else {
            "retried"
        };
        (fate, persisted)
    }

    /// Whether it may be in the log, if it is given up instead of being retried.
    fn persisted_when_given_up(&self) -> &'static str {
        let sent = self.send("300000");
        let five_came = |_: &Cluster| (self.requests(&sent.name) > IN_FLIGHT).then_some(());
        self.cluster.wait(PATIENCE, five_came).expect("five came");
        // They are on the same connection: when these are delivered, all before them are answered.
        publish(&sent.topic, 1, OTHER..OTHER + PER_BATCH);
        let mut all = HashMap::new();
        let take = |all: &mut HashMap<u64, Report>| {
            let some: Vec<Report> = sent.producer.reports().wait(PATIENCE).collect();
            assert!(!some.is_empty(), "{} reports came", all.len());
            all.extend(some.into_iter().map(|report| (report.opaque, report)));
        };
        while !all.contains_key(&OTHER) {
            take(&mut all);
        }
        sent.producer.purge(Purge {
            queued: true,
            in_flight: false,
        });
        while all.len() < MESSAGES + PER_BATCH as usize {
            take(&mut all);
        }
        self.persisted(&all).expect("it is purged")
    }

    /// The batches are on their way when this returns.
    fn send(&self, backoff_ms: &str) -> Sent {
        let Self { cluster, code, .. } = *self;
        let name = format!("{code}-{}-{}-{backoff_ms}", self.nth, self.idempotence);
        cluster.create_topic(&name, 2);
        let producer = producer(
            &cluster.bootstrap(),
            &[
                ("client.id", &name),
                ("enable.idempotence", &self.idempotence.to_string()),
                ("batch.num.messages", &PER_BATCH.to_string()),
                // They go when they are full, and not before.
                ("linger.ms", "60000"),
                ("retry.backoff.ms", backoff_ms),
                ("retry.backoff.max.ms", backoff_ms),
            ],
        );
        let topic = producer.topic(&name).unwrap();
        // Until the first success in a partition no more than one is in flight.
        publish(&topic, 0, OTHER..OTHER + PER_BATCH);
        reports(&producer, PER_BATCH as usize);
        let error = ResponseError::try_from_code(code).expect("0 is no error");
        let fault = match error {
            // It would be a lie otherwise.
            ResponseError::DuplicateSequenceNumber => Fault::AppliedError(error),
            _ => Fault::Error(error),
        };
        let produce = |fault| {
            let rule = Rule::new(fault).api(ApiKey::Produce);
            rule.partition(&name, 0).times(1)
        };
        cluster.inject(produce(Fault::Gather(IN_FLIGHT - 1)));
        cluster.inject(produce(fault).after(self.nth as u32));
        publish(&topic, 0, 0..MESSAGES as u64);
        Sent {
            name,
            producer,
            topic,
        }
    }

    /// The messages of the batch.
    fn batch(&self) -> [u64; PER_BATCH as usize] {
        let first = self.nth * PER_BATCH;
        [first, first + 1]
    }

    /// What the reports say of the batch, if it failed.
    fn persisted(&self, reports: &HashMap<u64, Report>) -> Option<&'static str> {
        let [one, other] = self.batch().map(|opaque| {
            let failure = reports[&opaque].outcome.as_ref().err()?;
            Some(match failure.persisted {
                Persisted::Maybe => "maybe",
                Persisted::No => "no",
            })
        });
        assert_eq!(one, other, "one fate for a batch");
        one
    }

    /// What is delivered is there once, with idempotence in order, and nothing else is.
    fn check_log(&self, topic: &str, reports: &HashMap<u64, Report>) {
        let records = self.cluster.records(topic).into_iter();
        let values = records.map(|record| record.value.expect("none is a tombstone"));
        let numbers = values.map(|value| str::from_utf8(&value).unwrap().parse().unwrap());
        let mut there: Vec<u64> = numbers.skip(PER_BATCH as usize).collect();
        if !self.idempotence {
            there.sort_unstable();
        }
        let delivered = |opaque: &u64| reports[opaque].outcome.is_ok();
        let expected: Vec<u64> = (0..MESSAGES as u64).filter(delivered).collect();
        assert_eq!(there, expected, "{} for batch {}", self.code, self.nth);
    }

    /// How many records each batch in the log has, and its producer epoch.
    fn batches(&self, topic: &str) -> (Vec<i32>, Vec<i16>) {
        let batches = self.cluster.batches(topic, 0).into_iter();
        let fields = |batch: Bytes| ((&batch[57..]).get_i32(), (&batch[51..]).get_i16());
        batches.map(fields).unzip()
    }

    /// How many requests have brought batches.
    fn requests(&self, client: &str) -> usize {
        let requests = self.cluster.requests();
        let ours = requests.iter().filter(|request| {
            request.api == ApiKey::Produce && request.client_id.as_deref() == Some(client)
        });
        ours.count()
    }
}

/// A producer on a topic of its own, which has its name.
struct Sent {
    name: String,
    producer: Producer,
    topic: Topic,
}

fn publish(topic: &Topic, partition: i32, opaques: Range<u64>) {
    for opaque in opaques {
        let value = opaque.to_string();
        let record = Record::new(&value).partition(partition).opaque(opaque);
        topic.publish(record).unwrap();
    }
}
