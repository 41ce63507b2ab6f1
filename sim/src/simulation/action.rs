//! What can happen. Everything is named by numbers that are valid in every run, so that a step
//! still makes sense when others are left out.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use kafka_engine::Purge;
use kafka_engine::accumulator::Topic;
use kafka_engine::error::PublishError;
use kafka_engine::settings::{Acks, TopicSettings};
use kafka_wire::{ApiKey, ErrorCode};

use super::setup::{LATE, MOST_PARTITIONS, TOPICS, Versions};
use crate::{Election, Fault, Message, Reach, World};

/// Something happens, and then time passes.
#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) action: Action,
    pub(super) pause: Duration,
}

#[derive(Clone, Debug)]
pub(super) enum Action {
    // The application.
    Open(&'static str, TopicSettings),
    /// To one of the topics that are open.
    Publish(usize, Vec<Message>),
    Flush(Duration),
    Purge(Purge),
    /// Whether reports are taken as soon as they are there.
    TakeReports(bool),
    Close,
    StepWallClock(i64),
    /// Nothing, for as long as the pause lasts.
    Rest,
    /// Nothing, for so long.
    Wait(Duration),

    // A broker, or the way to it.
    /// The next requests of an API go wrong.
    Script(i32, ApiKey, Fault, usize),
    Crash(i32, Reach),
    ResetConnections(i32),
    /// It dies, and others take over what it led.
    FailOver(i32, Option<i32>, Election),
    Upgrade(i32, Versions),
    Latency(i32, Duration),
    Distance(i32, Duration),
    StopReading(i32),
    ReadOn(i32),
    Tear(i32, usize),
    Outdate(i32),
    Update(i32),
    /// Another leads what it led, and it takes batches all the same.
    Depose(i32, i32),
    SayUnasked(i32, Vec<u8>),

    // The cluster.
    /// Another leader for a partition, who has everything.
    Lead(usize, usize, Option<i32>),
    Throttle(i32),
    MaxBatchBytes(usize),
    TopicError(usize, ErrorCode),
    NoTopicErrors,
    CreateLate,
    AddPartition,
    Delete(usize),
    /// Deleted and made anew.
    Recreate(usize),
    /// Of the messages that are published next, the broker does not want so many.
    Invalidate(u64),
}

/// A run in progress.
pub(super) struct Stage {
    pub(super) world: World,
    pub(super) topics: Vec<Arc<Topic>>,
    pub(super) closed: bool,
}

impl Stage {
    pub(super) fn perform(&mut self, step: &Step) {
        self.act(&step.action);
        if !self.closed {
            self.world.run_for(step.pause);
        }
    }

    fn act(&mut self, action: &Action) {
        use Action::*;
        if self.closed {
            return self.act_when_closed(action);
        }
        let brokers = self.world.cluster.brokers.len() as i32;
        let broker = |id: i32| (id - 1).rem_euclid(brokers) + 1;
        let world = &mut self.world;
        match action {
            Open(name, settings) => {
                let mut settings = settings.clone();
                if world.accumulator.settings().idempotence {
                    settings.acks = Acks::All;
                }
                self.topics.push(world.topic_with(name, &settings));
            }
            Publish(topic, messages) => self.publish(*topic, messages),
            Flush(wait) => {
                world.hit("flush");
                world.begin_flush();
                world.run_for(*wait);
                world.accumulator.end_flush();
            }
            Purge(purge) => {
                world.hit("purge");
                world.purge(*purge);
            }
            TakeReports(at_once) => {
                world.hit("reports are left for a while");
                world.take_reports_at_once(*at_once);
            }
            Close => {
                world.hit("close");
                world.close();
                self.closed = true;
            }
            StepWallClock(millis) => {
                world.hit("the wall clock steps");
                world.step_wall_clock(*millis);
            }
            Rest => {}
            Wait(duration) => world.run_for(*duration),

            Script(id, api, fault, times) => {
                let faults = vec![fault.clone(); *times];
                world.cluster.broker(broker(*id)).script(*api, faults);
            }
            Crash(id, reach) => {
                world.hit(match reach {
                    Reach::Up => "a broker restarts",
                    Reach::Refuses => "a broker is gone",
                    Reach::Hangs => "a broker hangs",
                });
                world.crash(broker(*id), *reach);
            }
            ResetConnections(id) => {
                world.hit("connections are reset");
                world.reset_connections(broker(*id));
            }
            FailOver(id, to, election) => {
                let (dead, to) = (broker(*id), to.map(broker));
                world.hit("a broker dies and others take over");
                world.crash(dead, Reach::Refuses);
                world.fail_over(dead, to.filter(|to| *to != dead), *election);
            }
            Upgrade(id, versions) => {
                world.hit("a broker restarts with another version");
                let id = broker(*id);
                world.crash(id, Reach::Up);
                world.cluster.broker(id).offers = versions.offers().collect();
            }
            Latency(id, latency) => world.cluster.broker(broker(*id)).latency = *latency,
            Distance(id, distance) => world.cluster.broker(broker(*id)).distance = *distance,
            StopReading(id) => world.cluster.broker(broker(*id)).reads = false,
            ReadOn(id) => world.read_on(broker(*id)),
            Tear(id, requests) => world.cluster.broker(broker(*id)).tears += requests,
            Outdate(id) => {
                world.hit("a broker does not hear of new leaders");
                world.cluster.outdate(broker(*id));
            }
            Update(id) => world.cluster.update(broker(*id)),
            Depose(id, to) => {
                let (former, to) = (broker(*id), broker(*to));
                if former != to {
                    world.cluster.depose(former, to);
                }
            }
            SayUnasked(id, bytes) => {
                world.hit("an answer to no question");
                world.say_unasked(broker(*id), bytes.clone());
            }

            Lead(topic, partition, to) => self.lead(*topic, *partition, to.map(broker)),
            Throttle(millis) => {
                world.hit("throttled");
                world.cluster.throttle_ms = *millis;
            }
            MaxBatchBytes(bytes) => world.cluster.max_batch_bytes = *bytes,
            TopicError(topic, code) => {
                world.hit(format!("metadata says {} {}", code.0, code.name()));
                let name = TOPICS[topic % TOPICS.len()].to_owned();
                world.cluster.topic_errors.insert(name, *code);
            }
            NoTopicErrors => world.cluster.topic_errors.clear(),
            CreateLate if world.cluster.topics.contains_key(LATE) => {}
            CreateLate => {
                world.hit("a topic appears late");
                world.cluster.create(LATE, 3);
            }
            AddPartition if !world.cluster.topics.contains_key(LATE) => {}
            AddPartition => {
                world.hit("a partition is added");
                world.cluster.add_partition(LATE);
            }
            Delete(topic) => {
                world.hit("a topic is deleted");
                world.cluster.delete(TOPICS[topic % TOPICS.len()]);
            }
            Recreate(topic) => {
                world.hit("a topic is deleted and made anew");
                let name = TOPICS[topic % TOPICS.len()];
                world.cluster.delete(name);
                // What is for a partition that is gone for good waits until it expires.
                world.cluster.create(name, MOST_PARTITIONS);
            }
            Invalidate(count) => {
                let next = world.accepted();
                world.cluster.invalid.extend(next..next + count);
            }
        }
    }

    /// Nothing is accepted any more.
    fn act_when_closed(&mut self, action: &Action) {
        if let Action::Publish(topic, messages) = action
            && !self.topics.is_empty()
        {
            let topic = Arc::clone(&self.topics[topic % self.topics.len()]);
            for message in messages {
                let refused = self.world.try_publish(&topic, message);
                assert!(refused.is_err(), "accepted after the end");
            }
        }
    }

    fn publish(&mut self, topic: usize, messages: &[Message]) {
        if self.topics.is_empty() {
            return;
        }
        let topic = Arc::clone(&self.topics[topic % self.topics.len()]);
        for message in messages {
            let refused = match self.world.try_publish(&topic, message) {
                Ok(_) => continue,
                Err(PublishError::TooManyMessages { .. }) => "refused: too many messages",
                Err(PublishError::TooManyBytes { .. }) => "refused: too many bytes",
                Err(PublishError::UnknownPartition { .. }) => "refused: no such partition",
                Err(PublishError::MessageTooLarge { .. }) => "refused: too large",
                Err(PublishError::Fatal { .. }) => "refused: the producer has failed for good",
                Err(error) => panic!("{error}"),
            };
            self.world.cluster.census.hit(refused, 1);
        }
    }

    fn lead(&mut self, topic: usize, partition: usize, to: Option<i32>) {
        let name = TOPICS[topic % TOPICS.len()];
        let topics = &self.world.cluster.topics;
        let Some(partitions) = topics.get(name).map(|topic| topic.partitions.len()) else {
            return;
        };
        self.world.hit(match to {
            Some(_) => "a leader moves",
            None => "a partition has no leader",
        });
        let partition = partition % partitions;
        self.world.cluster.lead(name, partition, to);
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:?}, then {:?}", self.action, self.pause)
    }
}
