//! What a socket costs at the start, from its text to settings: `cargo bench --bench socket`.

#![allow(missing_docs, reason = "criterion's macros make public items")]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use event_kafka::config::{Config, Finished};
use event_kafka::opensips::{Socket, System};

/// Twenty properties, as operators set them.
const SOCKET: &str = "kafka:10.0.0.1:9092,10.0.0.2:9092,[2001:db8::1]:9093/sip-events?\
    g.client.id=\"sip & co\"&g.linger.ms=20&g.batch.size=500000&g.batch.num.messages=20000&\
    g.message.max.bytes=2000000&g.queue.buffering.max.messages=200000&\
    g.queue.buffering.max.kbytes=262144&g.retries=10&g.retry.backoff.ms=200&\
    g.retry.backoff.max.ms=2000&g.reconnect.backoff.ms=200&g.reconnect.backoff.max.ms=5000&\
    g.socket.connection.setup.timeout.ms=5000&g.connections.max.idle.ms=240000&\
    g.topic.metadata.refresh.interval.ms=60000&g.max.in.flight=5&t.acks=all&\
    t.request.timeout.ms=10000&t.message.timeout.ms=60000&t.partitioner=murmur2_random";

fn start(text: &str) -> Finished {
    let socket = Socket::parse(text).expect("it is a socket");
    let mut config = Config::default();
    let resolved = socket.resolve(&System).expect("it names no file");
    let warnings = resolved.configure(&mut config).expect("it is right");
    assert!(warnings.is_empty(), "{warnings:?}");
    config.finish().expect("it holds together")
}

fn socket(criterion: &mut Criterion) {
    criterion.bench_function("socket_with_20_properties", |bencher| {
        bencher.iter(|| start(black_box(SOCKET)));
    });
}

criterion_group!(benches, socket);
criterion_main!(benches);
