//! Topics and their partitions.

use bytes::Bytes;
use kafka_protocol::ResponseError;
use uuid::Uuid;

use super::batch::{self, Limits, Rejection};
use super::log::Log;
use super::producers::{ProducerRules, Producers, Verdict};

/// Kafka's limit for the name of a topic.
const LONGEST_NAME: usize = 249;

/// A topic as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicSummary {
    /// Its name.
    pub name: String,
    /// Its id (KIP-516); another one after it was deleted and created again.
    pub id: Uuid,
    /// Its partitions; the index is the number.
    pub partitions: Vec<PartitionSummary>,
}

/// A partition as it is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartitionSummary {
    /// The node that leads it.
    pub leader: Option<i32>,
    /// Counts the changes of its leader.
    pub leader_epoch: i32,
    /// The offset of the oldest record that is left.
    pub start_offset: i64,
    /// The offset of the next record to come.
    pub end_offset: i64,
    /// The size of its batches.
    pub bytes: usize,
}

#[derive(Debug)]
pub(crate) struct Topic {
    pub(crate) id: Uuid,
    pub(crate) settings: TopicSettings,
    pub(crate) partitions: Vec<Partition>,
}

/// Kafka's settings of topics, as far as they matter here.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TopicSettings {
    /// `max.message.bytes`.
    pub(crate) max_message_bytes: usize,
    /// `message.timestamp.type` is `LogAppendTime`.
    pub(crate) log_append_time: bool,
    /// Of each partition.
    pub(crate) retain_bytes: usize,
}

#[derive(Debug)]
pub(crate) struct Partition {
    pub(crate) leader: Option<i32>,
    pub(crate) leader_epoch: i32,
    pub(crate) replicas: Vec<i32>,
    pub(crate) log: Log,
    producers: Producers,
}

/// A batch to append, and the circumstances.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Append<'a> {
    pub(crate) records: &'a Bytes,
    pub(crate) produce_version: i16,
    /// Milliseconds since the epoch by the clock of the broker.
    pub(crate) now: i64,
    /// How much later than that a timestamp may be, in milliseconds.
    pub(crate) timestamps_ahead: i64,
    pub(crate) rules: ProducerRules,
}

/// Where a batch is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Appended {
    pub(crate) base_offset: i64,
    /// -1: the records keep their own times.
    pub(crate) append_time: i64,
}

impl Topic {
    pub(crate) fn summary(&self, name: &str) -> TopicSummary {
        TopicSummary {
            name: name.to_owned(),
            id: self.id,
            partitions: self.partitions.iter().map(Partition::summary).collect(),
        }
    }

    /// `None`: there is no such partition.
    pub(crate) fn partition(&self, index: i32) -> Option<&Partition> {
        self.partitions.get(usize::try_from(index).ok()?)
    }

    /// `None`: there is no such partition.
    pub(crate) fn partition_mut(&mut self, index: i32) -> Option<&mut Partition> {
        self.partitions.get_mut(usize::try_from(index).ok()?)
    }
}

impl Partition {
    /// Led by the first of its replicas.
    pub(crate) fn new(replicas: Vec<i32>) -> Self {
        let leader_epoch = 0;
        Self {
            leader: replicas.first().copied(),
            leader_epoch,
            replicas,
            log: Log::new(leader_epoch),
            producers: Producers::default(),
        }
    }

    pub(crate) fn lead_by(&mut self, leader: Option<i32>) {
        self.leader = leader;
        self.leader_epoch += 1;
        self.log.begin_epoch(self.leader_epoch);
    }

    pub(crate) fn append(
        &mut self,
        batch: Append<'_>,
        settings: TopicSettings,
    ) -> Result<Appended, Rejection> {
        let limits = Limits {
            produce_version: batch.produce_version,
            max_bytes: settings.max_message_bytes,
            latest_timestamp: if settings.log_append_time {
                i64::MAX
            } else {
                batch.now.saturating_add(batch.timestamps_ahead)
            },
        };
        let mut header = batch::check(batch.records, limits)?;
        if let Verdict::Duplicate(written) = self.producers.judge(&header, batch.rules)? {
            // Kafka answers so, whoever gave the time.
            return Ok(Appended {
                base_offset: written.base_offset,
                append_time: written.timestamp,
            });
        }
        if settings.log_append_time {
            header.set_append_time(batch.now);
        }
        self.log
            .append(batch.records, &mut header, settings.retain_bytes);
        self.producers.wrote(&header, batch.rules);
        self.producers.trimmed(self.log.start(), batch.rules);
        Ok(Appended {
            base_offset: header.base_offset,
            append_time: if settings.log_append_time {
                batch.now
            } else {
                -1
            },
        })
    }

    fn summary(&self) -> PartitionSummary {
        PartitionSummary {
            leader: self.leader,
            leader_epoch: self.leader_epoch,
            start_offset: self.log.start(),
            end_offset: self.log.end(),
            bytes: self.log.bytes(),
        }
    }
}

/// Kafka's rule for names of topics.
pub(crate) fn check_name(name: &str) -> Result<(), Rejection> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let flaw = if name.is_empty() {
        "is empty"
    } else if name == "." || name == ".." {
        "is a path"
    } else if name.len() > LONGEST_NAME {
        "has more than 249 characters"
    } else if !name.chars().all(allowed) {
        "has characters other than ASCII letters, digits, '.', '_' and '-'"
    } else {
        return Ok(());
    };
    Err(Rejection::new(
        ResponseError::InvalidTopicException,
        format!("the topic's name {flaw}"),
    ))
}
