//! A topic whose partitions are known, without a socket: what publishing costs by itself.

#[path = "../../src/driver/clock.rs"]
mod clock;

use std::sync::Arc;

use kafka_engine::accumulator::{Accumulator, Record, Topic, Wake};
use kafka_engine::settings::{Endpoint, Settings, TopicSettings};
use kafka_engine::time::Clock;
use kafka_engine::{ConnId, Engine, Event, Purge};
use kafka_wire::message::{
    ApiVersion, ApiVersionsResponse, MetadataBroker, MetadataPartition, MetadataResponse,
    MetadataTopic, decode_request_header, encode_response,
};
use kafka_wire::{ApiKey, Uuid};

pub(crate) use clock::SystemClock;

const TOPIC: &str = "sip-events";
const PARTITIONS: i32 = 12;

/// A producer whose cluster has answered once and is silent from then on.
pub(crate) struct Routed {
    topic: Arc<Topic>,
    accumulator: Arc<Accumulator>,
    engine: Engine,
}

impl Routed {
    pub(crate) fn new() -> Self {
        let settings = Settings {
            bootstrap: vec![Endpoint {
                host: "broker".into(),
                port: 9092,
            }],
            queue_max_messages: None,
            ..Settings::default()
        };
        let accumulator = Accumulator::new(settings, 1);
        let mut engine = Engine::new(&accumulator, 1);
        let (topic, _) = accumulator.topic(TOPIC, &TopicSettings::default());
        let clock = SystemClock;
        engine.advance(clock.now());
        let Some(Event::Connect { conn, .. }) = engine.poll_event() else {
            panic!("the engine connects first");
        };
        engine.opened(conn, clock.now());
        while !answer_one(&mut engine, conn) {}
        engine.advance(clock.now());
        Self {
            topic,
            accumulator,
            engine,
        }
    }

    /// Empties the queue, so that its memory is used again.
    pub(crate) fn clear(&mut self) {
        let everything = Purge {
            queued: true,
            in_flight: true,
        };
        self.engine.advance(SystemClock.now());
        self.engine.purge(everything, SystemClock.now());
        drop(self.accumulator.reports().take());
    }

    /// Publishes `count` messages of 100 bytes under `keys` keys in turn.
    pub(crate) fn publish(&self, count: usize, keys: &[Vec<u8>]) -> usize {
        let value = [b'x'; 100];
        let publish = |n: usize| {
            let key = keys.get(n % keys.len().max(1)).map(Vec::as_slice);
            let record = Record {
                key,
                value: Some(&value),
                opaque: n as u64,
                ..Record::default()
            };
            self.topic
                .publish(&SystemClock, &record, None)
                .expect("there is room")
        };
        (0..count)
            .map(publish)
            .filter(|wake| *wake == Wake::Yes)
            .count()
    }
}

/// Keys as the Call-IDs of a SIP server would be.
pub(crate) fn call_ids(count: usize) -> Vec<Vec<u8>> {
    (0..count)
        .map(|n| format!("call-{n}@sip.example.com").into_bytes())
        .collect()
}

/// Plays the broker; true once the topic is known.
fn answer_one(engine: &mut Engine, conn: ConnId) -> bool {
    let now = SystemClock.now();
    engine.advance(now);
    let Some(transmit) = engine.poll_transmit(conn, now) else {
        return false;
    };
    let request: Vec<u8> = transmit.chunks.into_iter().flatten().collect();
    engine.transmitted(conn, now);
    let (header, _) = decode_request_header(&request[4..]).expect("a request");
    let (api, version, id) = (header.api, header.version, header.correlation_id);
    let frame = match api {
        ApiKey::ApiVersions => {
            let api_keys = ApiKey::ALL.map(|api| ApiVersion {
                api_key: api as i16,
                min_version: api.versions().min,
                max_version: api.versions().max,
            });
            let response = ApiVersionsResponse {
                api_keys: api_keys.into(),
                ..Default::default()
            };
            encode_response(api, &response, version, id)
        }
        _ => encode_response(api, &metadata(), version, id),
    };
    engine.receive(conn, &frame.expect("a response").bytes[4..], now);
    api == ApiKey::Metadata
}

fn metadata() -> MetadataResponse<'static> {
    let partitions = (0..PARTITIONS).map(|partition_index| MetadataPartition {
        partition_index,
        leader_id: 1,
        ..Default::default()
    });
    MetadataResponse {
        brokers: vec![MetadataBroker {
            node_id: 1,
            host: "broker",
            port: 9092,
            rack: None,
        }],
        topics: vec![MetadataTopic {
            name: Some(TOPIC),
            topic_id: Uuid([7; 16]),
            partitions: partitions.collect(),
            ..Default::default()
        }],
        ..Default::default()
    }
}
