//! How much is held.

use event_kafka::config::Config;
use kafka_sim::{Cluster, Message, Reach};

use crate::effect::Effect;
use crate::virtual_time::Virtual;

/// How many of 100 messages of 10 kB are accepted while no broker can be reached.
fn accepted(config: Config) -> usize {
    let mut cluster = Cluster::new(1);
    cluster.broker(1).reach = Reach::Refuses;
    let mut run = Virtual::new(config, cluster);
    let messages = (0..100).map(|_| run.world.try_publish(&run.topic, &Message::of(10_000)));
    messages.filter(Result::is_ok).count()
}

pub(crate) fn queue_buffering_max_messages(effect: &Effect) {
    assert_eq!(effect.with("40", accepted), [100, 40]);
}

pub(crate) fn queue_buffering_max_kbytes(effect: &Effect) {
    let [usual, few] = effect.with("400", accepted);
    // Segments of memory are charged whole.
    assert!(
        usual == 100 && (20..=40).contains(&few),
        "{usual} and {few}"
    );
}
