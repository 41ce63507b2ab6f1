//! Followers: what they have copied, who of them becomes the leader, and what is lost by that.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use kafka_engine::time::Time;
use kafka_wire::ErrorCode;
use kafka_wire::message::ProduceRequest;

use super::{Cluster, Logged, PartitionLog, TopicLog};

/// A record that was in a log until another broker became its leader.
#[derive(Clone, Debug)]
pub(super) struct Lost {
    topic: String,
    partition: i32,
    offset: i64,
    pub(super) record: Logged,
    election: Election,
}

/// Who may lead after a leader died.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Election {
    /// A follower in step: it has all that `acks=all` was told of.
    Clean,
    /// Any follower: it has so many thousandths of those batches, whatever was told.
    Unclean(u16),
}

/// The log of a leader that has not heard that it is one no more.
#[derive(Clone, Debug)]
pub(super) struct Deposed {
    /// With everything that it took since.
    pub(super) log: PartitionLog,
    /// Up to where the present leader had it.
    shared: usize,
}

/// Topics without their records, as they were known at some time.
#[derive(Debug)]
pub(super) struct Picture {
    pub(super) topics: BTreeMap<String, TopicLog>,
}

impl PartitionLog {
    /// Appends records, which the followers have at `copied`.
    pub(super) fn extend(&mut self, records: Vec<Logged>, copied: Time) {
        self.log.extend(records);
        self.copied.push((self.log.len(), copied));
    }

    /// The followers have all that is there.
    pub(super) fn copy_all(&mut self) {
        let batches = self.copied.iter_mut();
        batches.for_each(|(_, copied)| *copied = Time::default());
    }

    /// How much of the log a new leader has: up to the high watermark, or less.
    fn copied(&self, election: Election, now: Time) -> usize {
        let mut done = self.copied.partition_point(|(_, copied)| *copied <= now);
        if let Election::Unclean(thousandths) = election {
            done = done * usize::from(thousandths.min(1000)) / 1000;
        }
        let last = done.checked_sub(1).map(|last| self.copied[last].0);
        last.unwrap_or(0)
    }

    /// Whether a broker leads no more, and has not heard of it.
    fn is_deposed(&self, broker: i32) -> bool {
        let deposed = self.deposed.as_ref();
        deposed.is_some_and(|deposed| deposed.log.leader == Some(broker))
    }

    /// The same without its records.
    pub(super) fn bare(&self) -> Self {
        Self {
            leader: self.leader,
            epoch: self.epoch,
            ..Self::default()
        }
    }

    /// The log that a broker appends to, be it the leader or one that thinks so.
    pub(super) fn led_by(&mut self, broker: i32) -> Option<&mut Self> {
        if self.leader == Some(broker) {
            return Some(self);
        }
        let deposed = self.deposed.as_mut().map(|deposed| &mut deposed.log);
        deposed.filter(|log| log.leader == Some(broker))
    }

    /// Takes what lies behind `kept` out of the log.
    fn cut(&mut self, kept: usize) -> Vec<Logged> {
        self.copied.retain(|(end, _)| *end <= kept);
        self.producers.cut(kept as i64);
        self.log.split_off(kept)
    }
}

impl Cluster {
    /// Gives every partition that a dead broker leads another leader. What the new one did not copy
    /// is gone, as far as it was there at all.
    pub(crate) fn fail_over(&mut self, dead: i32, to: Option<i32>, election: Election, now: Time) {
        self.reinstate(to);
        for (name, topic) in &mut self.topics {
            let led = (0..).zip(&mut topic.partitions);
            for (index, partition) in led.filter(|(_, partition)| partition.leader == Some(dead)) {
                let kept = partition.copied(election, now);
                let gone = partition.cut(kept);
                let lost = (kept as i64..).zip(gone).map(|(offset, record)| Lost {
                    topic: name.clone(),
                    partition: index,
                    offset,
                    record,
                    election,
                });
                let before = self.lost.len();
                self.lost.extend(lost);
                let count = self.lost.len() - before;
                match election {
                    _ if count == 0 => {}
                    Election::Clean => self.census.hit("lost, as no follower had it", count),
                    Election::Unclean(_) => self.census.hit("lost in an unclean election", count),
                }
                partition.leader = to;
                partition.epoch += 1;
            }
        }
    }

    /// Gives every partition that a broker leads another leader, who has everything, without that broker
    /// hearing of it: it goes on, until it is [updated](Self::update), and then what it took is gone.
    pub fn depose(&mut self, former: i32, to: i32) {
        self.reinstate(Some(to));
        let topics = self.topics.values();
        let partitions = topics.flat_map(|topic| &topic.partitions);
        let led = partitions.filter(|partition| partition.leader == Some(former));
        let deposed = led.filter_map(|partition| partition.deposed.as_ref()?.log.leader);
        let earlier: BTreeSet<i32> = deposed.collect();
        earlier.into_iter().for_each(|broker| self.update(broker));
        self.outdate(former);
        let topics = self.topics.values_mut();
        let partitions = topics.flat_map(|topic| &mut topic.partitions);
        let mut took_over = false;
        for partition in partitions.filter(|partition| partition.leader == Some(former)) {
            took_over = true;
            partition.copy_all();
            let (log, shared) = (partition.clone(), partition.log.len());
            partition.leader = Some(to);
            partition.epoch += 1;
            partition.deposed = Some(Box::new(Deposed { log, shared }));
        }
        if took_over {
            self.hit("a leader does not hear that it is deposed");
        }
    }

    /// Whoever leads hears of it.
    pub(super) fn reinstate(&mut self, leader: Option<i32>) {
        if let Some(broker) = leader.filter(|broker| self.is_deposed_anywhere(*broker)) {
            self.update(broker);
        }
    }

    fn is_deposed_anywhere(&self, broker: i32) -> bool {
        let topics = self.topics.values();
        let mut partitions = topics.flat_map(|topic| &topic.partitions);
        partitions.any(|partition| partition.is_deposed(broker))
    }

    /// Takes from a deposed leader what the present one does not have.
    fn truncate(&mut self, former: i32) {
        for (name, topic) in &mut self.topics {
            for (index, partition) in (0..).zip(&mut topic.partitions) {
                if !partition.is_deposed(former) {
                    continue;
                }
                let Some(mut deposed) = partition.deposed.take() else {
                    continue;
                };
                let gone = deposed.log.cut(deposed.shared);
                if !gone.is_empty() {
                    self.census
                        .hit("lost, as a deposed leader had it", gone.len());
                }
                let offsets = deposed.shared as i64..;
                self.lost
                    .extend(offsets.zip(gone).map(|(offset, record)| Lost {
                        topic: name.clone(),
                        partition: index,
                        offset,
                        record,
                        election: Election::Clean,
                    }));
            }
        }
    }

    /// Whether a record that was delivered with these `acks` may be gone from its place: nobody had
    /// promised more.
    pub(crate) fn is_excused(
        &self,
        (topic, index, offset): (&str, i32, i64),
        opaque: u64,
        acks: i16,
    ) -> bool {
        self.lost.iter().any(|lost| {
            let place = (lost.topic.as_str(), lost.partition, lost.offset);
            let promised = acks == -1 && lost.election == Election::Clean;
            place == (topic, index, offset) && lost.record.opaque == opaque && !promised
        })
    }

    /// Has a broker learn nothing new about topics from now on.
    pub fn outdate(&mut self, broker: i32) {
        let bare = |topic: &TopicLog| TopicLog {
            id: topic.id,
            partitions: topic.partitions.iter().map(PartitionLog::bare).collect(),
            ..TopicLog::default()
        };
        let topics = self.topics.iter();
        let topics = topics.map(|(name, topic)| (name.clone(), bare(topic)));
        let topics = topics.collect();
        self.broker(broker).picture = Some(Picture { topics });
    }

    /// Has a broker know the truth again.
    pub fn update(&mut self, broker: i32) {
        self.broker(broker).picture = None;
        self.truncate(broker);
    }

    /// How long a request has to wait for followers before it is answered.
    pub(super) fn time_to_copy(&self, request: &ProduceRequest<'_>) -> Duration {
        match request.acks {
            -1 => self.lag.min(patience(request)),
            _ => Duration::ZERO,
        }
    }

    /// The same outcome, unless the followers take longer than the request allows, or follow another.
    pub(super) fn in_time(
        &self,
        broker: i32,
        (topic, index): (&str, i32),
        request: &ProduceRequest<'_>,
        appended: (ErrorCode, i64),
    ) -> (ErrorCode, i64) {
        let topic = self.topics.get(topic);
        let partition = topic.and_then(|topic| topic.partitions.get(index as usize));
        let alone = partition.is_some_and(|partition| partition.is_deposed(broker));
        let late = request.acks == -1 && (alone || self.lag > patience(request));
        match appended.0.is_ok() && late {
            true => (ErrorCode::REQUEST_TIMED_OUT, -1),
            false => appended,
        }
    }
}

fn patience(request: &ProduceRequest<'_>) -> Duration {
    Duration::from_millis(request.timeout_ms.max(0) as u64)
}
