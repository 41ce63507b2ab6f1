//! Puts batches into one Produce request.

use std::collections::VecDeque;

use bytes::Bytes;
use kafka_wire::Uuid;
use kafka_wire::message::{ProducePartition, ProduceRequest, ProduceTopic, Records};
use kafka_wire::record::BATCH_HEADER_LEN;

use super::lane::{Lane, Parcel};
use super::{Identities, Sender, Shipment};
use crate::accumulator::Core;
use crate::compression::Job;
use crate::connection::Connection;
use crate::settings::TopicSettings;
use crate::time::Time;

/// The version that names topics by their ids (KIP-516).
const BY_TOPIC_ID: i16 = 13;

/// Batches on their way into a request, one of a partition.
#[derive(Debug, Default)]
pub(crate) struct Cargo {
    parcels: Vec<(u32, Parcel)>,
    /// What all its topics have in common. A topic that is open twice has two settings, so that no
    /// partition is in a request twice.
    terms: Option<TopicSettings>,
    /// Whether the ids of all its topics are known: a request names them by ids or by names.
    identified: Option<bool>,
    bytes: usize,
    full: bool,
}

impl Cargo {
    pub(super) fn is_empty(&self) -> bool {
        self.parcels.is_empty()
    }

    pub(super) fn lanes(&self) -> Vec<u32> {
        self.parcels.iter().map(|(lane, _)| *lane).collect()
    }

    /// Takes a lane's next batch on board, if there is one and it may and can come along.
    pub(super) fn load_from(
        &mut self,
        index: u32,
        lane: &mut Lane,
        (core, identities): (&Core, &Identities),
        (produce, now): (i16, Time),
        jobs: &mut VecDeque<Job>,
    ) -> bool {
        let terms = lane.topic.settings();
        let identified = produce >= BY_TOPIC_ID && lane.topic_id != Uuid::ZERO;
        let suits = self.terms.as_ref().is_none_or(|others| others == terms)
            && self.identified.is_none_or(|others| others == identified);
        if self.full || !suits {
            return false;
        }
        let too_much = self.bytes + lane.next_size() > core.settings.request_max_bytes;
        if too_much && !self.is_empty() {
            self.full = true;
            return false;
        }
        let Some(mut parcel) = lane.take((core, identities), now, jobs) else {
            return false;
        };
        parcel.batch.suit(produce);
        self.bytes += parcel.batch.size();
        self.identified = Some(identified);
        self.terms
            .get_or_insert_with(|| lane.topic.settings().clone());
        self.parcels.push((index, parcel));
        true
    }
}

impl Sender {
    /// Lines up a request, whose batches are in flight from then on.
    pub(crate) fn dispatch(&mut self, mut cargo: Cargo, connection: &mut Connection, now: Time) {
        let (Some(versions), Some(terms)) = (connection.versions(), cargo.terms.take()) else {
            return;
        };
        // Partitions of a topic stand together; lanes of one topic have the same slot.
        cargo
            .parcels
            .sort_by_key(|(index, _)| self.lane(*index).topic.slot());
        for (index, parcel) in &cargo.parcels {
            self.core.tape.output(|| self.sent_line(*index, parcel));
        }
        let headers: Vec<[u8; BATCH_HEADER_LEN]> = cargo
            .parcels
            .iter_mut()
            .map(|(_, parcel)| parcel.batch.freeze(parcel.stamp))
            .collect();
        let segments: Vec<Vec<Bytes>> = cargo
            .parcels
            .iter()
            .map(|(_, parcel)| parcel.batch.segments().to_vec())
            .collect();
        let topics = self.topics(&cargo, &headers);
        let newest = match cargo.identified {
            Some(true) => BY_TOPIC_ID,
            _ => BY_TOPIC_ID - 1,
        };
        let request = ProduceRequest {
            transactional_id: None,
            acks: terms.acks.code(),
            timeout_ms: i32::try_from(terms.request_timeout.as_millis()).unwrap_or(i32::MAX),
            topics,
        };
        let version = versions.produce.min(newest);
        let shipments = self.shipments(&cargo, version);
        let deadline = now.after(self.core.settings.request_timeout);
        let lined_up = connection.produce(&request, version, segments, shipments.clone(), deadline);
        for (index, parcel) in cargo.parcels {
            self.lane_mut(index).sent(parcel);
        }
        if let Err(error) = lined_up {
            self.unencodable(&shipments, &error);
        }
    }

    /// What the flight recorder says of a batch that is sent.
    fn sent_line(&self, index: u32, parcel: &Parcel) -> String {
        let lane = self.lane(index);
        let (topic, partition) = (lane.topic.name(), lane.partition.index());
        let Parcel { id, batch, .. } = parcel;
        let (count, size) = (batch.count(), batch.size());
        let sent =
            format!("sends {count} messages from {id} on to {topic}/{partition}: {size} bytes");
        match parcel.stamp {
            Some(stamp) => format!("{sent}, {stamp}"),
            None => sent,
        }
    }

    fn shipments(&self, cargo: &Cargo, version: i16) -> Vec<Shipment> {
        let shipment = |(lane, parcel): &(u32, Parcel)| Shipment {
            lane: *lane,
            parcel: parcel.id,
            topic_id: match version {
                BY_TOPIC_ID.. => self.lane(*lane).topic_id,
                _ => Uuid::ZERO,
            },
        };
        cargo.parcels.iter().map(shipment).collect()
    }

    fn topics<'a>(
        &'a self,
        cargo: &Cargo,
        headers: &'a [[u8; BATCH_HEADER_LEN]],
    ) -> Vec<ProduceTopic<'a>> {
        let mut topics: Vec<ProduceTopic<'a>> = Vec::new();
        let mut last_slot = None;
        for ((index, parcel), header) in cargo.parcels.iter().zip(headers) {
            let lane = self.lane(*index);
            if last_slot.replace(lane.topic.slot()) != Some(lane.topic.slot()) {
                topics.push(ProduceTopic {
                    name: lane.topic.name(),
                    topic_id: lane.topic_id,
                    partitions: Vec::new(),
                });
            }
            let rest = parcel.batch.size() - BATCH_HEADER_LEN;
            let partition = ProducePartition {
                index: lane.partition.index(),
                records: Some(Records::Split { header, rest }),
            };
            topics
                .last_mut()
                .expect("pushed above")
                .partitions
                .push(partition);
        }
        topics
    }
}
