//! Which partition a message goes to.

use std::collections::BTreeSet;

use event_kafka::config::Config;
use kafka_sim::{Cluster, Message, secs};

use crate::effect::{Effect, and};
use crate::virtual_time::Virtual;

/// The partitions of twelve that messages went to.
fn partitions(config: Config, messages: &[Message]) -> Vec<i32> {
    let mut run = Virtual::new(config, Cluster::new(1).with_topic("t", 12));
    run.world.run_for(secs(1));
    for message in messages {
        run.world.publish(&run.topic, message);
    }
    run.world.run_dry(secs(1));
    let outcomes = run.world.outcomes.into_values();
    outcomes.map(|outcome| outcome.partition).collect()
}

/// How many different ones those are.
fn spread(config: Config, messages: &[Message]) -> usize {
    let partitions = partitions(config, messages).into_iter();
    partitions.collect::<BTreeSet<_>>().len()
}

pub(crate) fn partitioner(effect: &Effect) {
    // As librdkafka 2.16.0 places them. By default the empty key has no place of its own.
    let keys = ["call-1@sip", "call-2@sip", "call-3@sip", "call-4@sip", ""];
    let messages = keys.map(|key| Message::of(1).key(key));
    for (value, placed) in [
        ("consistent", [7, 7, 11, 11, 0]),
        ("murmur2", [6, 5, 5, 7, 9]),
        ("murmur2_random", [6, 5, 5, 7, 9]),
        ("fnv1a", [1, 10, 11, 8, 3]),
        ("fnv1a_random", [1, 10, 11, 8, 3]),
        ("uniform_sticky", [6, 5, 5, 7, 9]),
    ] {
        let [usual, other] = effect.with(value, |config| partitions(config, &messages));
        assert_eq!((&usual[..4], &*other), (&[7, 7, 11, 11][..], &placed[..]));
    }
    let one_key = vec![Message::of(1).key("call-1@sip"); 200];
    assert_eq!(
        effect.with("random", |config| spread(config, &one_key)),
        [1, 12]
    );
    // All at once, and as large as three batches.
    let without_key = vec![Message::of(100); 30];
    let small = |config| and(config, &[("batch.size", "1200")]);
    let observed = effect.with("uniform_sticky", |config| {
        spread(small(config), &without_key)
    });
    assert_eq!(observed, [1, 3]);
}

pub(crate) fn sticky_partitioning_linger_ms(effect: &Effect) {
    let observed = effect.with("0", |config| spread(config, &vec![Message::of(1); 200]));
    assert_eq!(observed, [1, 12]);
}
