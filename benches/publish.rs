//! What `publish` costs the calling thread: `cargo bench --bench publish`.

#![allow(missing_docs, reason = "criterion's macros make public items")]

mod support;

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use support::{Routed, call_ids};

/// As many as fit into the memory that a producer keeps ready.
const MESSAGES: usize = 10_000;

fn publish(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("publish_100_bytes");
    group.throughput(Throughput::Elements(MESSAGES as u64));
    for (name, keys) in [("without_key", 0), ("with_key", 1000)] {
        let keys = call_ids(keys);
        let mut routed = Routed::new();
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|rounds| {
                let rounds = (0..rounds).map(|_| {
                    routed.clear();
                    let before = Instant::now();
                    black_box(routed.publish(MESSAGES, &keys));
                    before.elapsed()
                });
                rounds.sum::<Duration>()
            });
        });
    }
    group.finish();
}

criterion_group!(benches, publish);
criterion_main!(benches);
