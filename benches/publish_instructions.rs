//! Instructions of `publish`, which hold still where times do not. Needs valgrind and
//! `gungraun-runner`: `cargo xtask bench` sees to both.

#![allow(missing_docs, reason = "gungraun's macros make public items")]

mod support;

use std::hint::black_box;

use gungraun::{library_benchmark, library_benchmark_group, main};
use support::{Routed, call_ids};

const MESSAGES: usize = 10_000;

fn routed(keys: usize) -> (Routed, Vec<Vec<u8>>) {
    let mut routed = Routed::new();
    let keys = call_ids(keys);
    // Not counted: the first use of the memory.
    routed.publish(MESSAGES, &keys);
    routed.clear();
    (routed, keys)
}

#[library_benchmark]
#[bench::without_key(routed(0))]
#[bench::with_key(routed(1000))]
fn publish_10_000_messages_of_100_bytes(
    (routed, keys): (Routed, Vec<Vec<u8>>),
) -> (Routed, Vec<Vec<u8>>) {
    black_box(routed.publish(MESSAGES, &keys));
    (routed, keys)
}

library_benchmark_group!(
    name = publish,
    benchmarks = publish_10_000_messages_of_100_bytes
);

main!(library_benchmark_groups = publish);
