//! Messages that keep coming while something happens to the brokers, and the account of them all.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use event_kafka::{Outcome, Producer, Record, Report, Topic};

use crate::producer::PATIENCE;
use crate::support::{self, Cluster, PrivateCluster};

/// So many deliveries show that messages flow.
pub(crate) const FLOW: u64 = 1_000;

/// 2,000 messages a second: enough that some are on their way whenever something happens.
const BURST: u64 = 10;
const PAUSE: Duration = Duration::from_millis(5);

/// Messages of one key stay in order.
const KEYS: u64 = 100;

/// Partitions and offsets.
type Places = BTreeSet<(i32, Option<i64>)>;

/// Publishes numbered messages until `disturb` is through, and then waits until each has its report.
pub(crate) fn during(producer: &Producer, topic: &Topic, disturb: impl FnOnce()) -> Account {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let publisher = scope.spawn(|| publish_until(&over, producer, topic));
        {
            // However it ends: the scope waits for its thread.
            let _end = SetOnDrop(&over);
            disturb();
        }
        publisher
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Waits until so many more messages are delivered than now: the messages flow.
pub(crate) fn wait_for_deliveries(producer: &Producer, count: u64) {
    let wanted = producer.balance().delivered + count;
    support::eventually(&format!("{count} more messages are delivered"), || {
        (producer.balance().delivered >= wanted).then_some(())
    });
}

/// Every node is stopped and started again, one after the other, while messages flow to a topic.
pub(crate) fn restart_in_turn(producer: &Producer, cluster: &mut PrivateCluster, topic: &str) {
    for node in cluster.node_ids() {
        wait_for_deliveries(producer, FLOW);
        cluster.stop(node);
        cluster.restart(node);
        cluster.wait_until_in_sync(topic);
    }
    wait_for_deliveries(producer, FLOW);
}

/// A leader hangs until the others miss it, and wakes.
pub(crate) fn pause_a_leader(producer: &Producer, cluster: &mut PrivateCluster, topic: &str) {
    wait_for_deliveries(producer, FLOW);
    let leader = cluster.leaders(topic)[&0];
    cluster.pause(leader);
    cluster.without(leader).wait_until_missed(leader);
    cluster.resume(leader);
    cluster.wait_until_in_sync(topic);
    wait_for_deliveries(producer, FLOW);
}

/// A partition gets one leader after the other.
pub(crate) fn move_a_leader(producer: &Producer, cluster: &Cluster, topic: &str) {
    for _ in 0..5 {
        wait_for_deliveries(producer, FLOW);
        cluster.move_leader(topic, 0);
    }
    wait_for_deliveries(producer, FLOW);
}

/// What was published, and what was reported of it.
#[derive(Debug)]
pub(crate) struct Account {
    published: u64,
    /// By number.
    outcomes: BTreeMap<u64, Outcome>,
    last_report: Instant,
    /// Between two reports.
    longest_stall: Duration,
}

impl Account {
    /// Every message was delivered with one report, and is in the log where that says. How often one
    /// is there twice, which only idempotence rules out, is told.
    pub(crate) fn check(&self, cluster: &Cluster, topic: &Topic) {
        self.find(cluster, topic);
    }

    /// The same, and no message is there twice, or behind a later one of its key.
    pub(crate) fn check_once_and_in_order(&self, cluster: &Cluster, topic: &Topic) {
        let places = self.find(cluster, topic);
        let mut last: BTreeMap<u64, i64> = BTreeMap::new();
        for (number, places) in places {
            assert_eq!(places.len(), 1, "message {number} is at {places:?}");
            let offset = places.iter().find_map(|(_, offset)| *offset);
            let offset = offset.expect("it is somewhere");
            let before = last.insert(number % KEYS, offset);
            assert!(before < Some(offset), "message {number} is at {offset}");
        }
    }

    /// Where each message is, all told.
    fn find(&self, cluster: &Cluster, topic: &Topic) -> BTreeMap<u64, Places> {
        assert_eq!(self.outcomes.len() as u64, self.published, "a report each");
        let mut places = BTreeMap::<u64, Places>::new();
        for record in cluster.read_all(topic.name()) {
            let value = String::from_utf8(record.value.unwrap().to_vec()).unwrap();
            let place = (record.partition, Some(record.offset));
            let number = value.parse().unwrap();
            places.entry(number).or_default().insert(place);
        }
        for (number, outcome) in &self.outcomes {
            let delivered = match outcome {
                Ok(delivered) => (delivered.partition, delivered.offset),
                Err(failure) => panic!("message {number} failed: {failure}"),
            };
            let found = places.get(number);
            assert!(
                found.is_some_and(|places| places.contains(&delivered)),
                "message {number} was delivered to {delivered:?}, and is at {found:?}"
            );
        }
        assert_eq!(places.len(), self.outcomes.len(), "nothing else is there");
        let copies: usize = places.values().map(BTreeSet::len).sum();
        support::note(&format!(
            "{} messages, {} of them in the log twice, the longest stall {:.1} s",
            self.published,
            copies - places.len(),
            self.longest_stall.as_secs_f64()
        ));
        places
    }

    fn begin() -> Self {
        Self {
            published: 0,
            outcomes: BTreeMap::new(),
            last_report: Instant::now(),
            longest_stall: Duration::ZERO,
        }
    }

    fn take(&mut self, reports: impl Iterator<Item = Report>) {
        for Report {
            opaque, outcome, ..
        } in reports
        {
            let again = self.outcomes.insert(opaque, outcome);
            assert_eq!(again, None, "a second report of message {opaque}");
            self.longest_stall = self.longest_stall.max(self.last_report.elapsed());
            self.last_report = Instant::now();
        }
    }
}

fn publish_until(over: &AtomicBool, producer: &Producer, topic: &Topic) -> Account {
    let mut account = Account::begin();
    while !over.load(Ordering::Relaxed) {
        for _ in 0..BURST {
            let n = account.published;
            let (key, value) = (format!("call-{}", n % KEYS), n.to_string());
            let record = Record::new(&value).key(&key).opaque(n);
            topic.publish_within(record, PATIENCE).unwrap();
            account.published += 1;
        }
        account.take(producer.reports().take());
        thread::sleep(PAUSE);
    }
    producer.flush(PATIENCE).unwrap();
    account.take(producer.reports().take());
    account
}

struct SetOnDrop<'a>(&'a AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
