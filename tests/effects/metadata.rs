//! What is asked about topics, and how often.

use event_kafka::config::Config;
use kafka_sim::{Cluster, Message, secs};

use crate::effect::{Effect, and};
use crate::virtual_time::Virtual;

/// How often an idle producer asks within `seconds`.
fn questions(config: Config, seconds: u64) -> usize {
    let mut run = Virtual::small(config);
    run.world.run_for(secs(5));
    let before = run.world.cluster.questions.len();
    run.world.run_for(secs(seconds));
    run.world.cluster.questions.len() - before
}

pub(crate) fn topic_metadata_refresh_interval_ms(effect: &Effect) {
    let observed = effect.with("10000", |config| questions(config, 200));
    assert_eq!(observed, [0, 20]);
}

pub(crate) fn metadata_max_age_ms(effect: &Effect) {
    let observed = effect.with("10000", |config| {
        let config = and(config, &[("topic.metadata.refresh.interval.ms", "-1")]);
        questions(config, 200)
    });
    assert_eq!(observed, [0, 20]);
}

pub(crate) fn topic_metadata_refresh_fast_interval_ms(effect: &Effect) {
    // The first question, and the next after 0.8 s or more.
    let [usual, slow] = effect.with("1000", |config| {
        let mut run = Virtual::new(config, Cluster::new(1));
        run.world.publish(&run.topic, &Message::of(1));
        run.world.run_for(kafka_sim::millis(700));
        run.world.cluster.questions.len()
    });
    assert!(usual > 2 && slow == 1, "{usual} and {slow}");
}

pub(crate) fn topic_metadata_refresh_sparse(effect: &Effect) {
    let observed = effect.with("false", |config| {
        let cluster = Cluster::new(1).with_topic("others", 1).with_topic("t", 1);
        let mut run = Virtual::new(config, cluster);
        run.world.run_for(secs(301));
        let questions = run.world.cluster.questions.iter();
        questions.map(|(.., topics)| topics.len()).max()
    });
    assert_eq!(observed, [Some(1), Some(2)]);
}

pub(crate) fn topic_metadata_propagation_max_ms(effect: &Effect) {
    let observed = effect.with("5000", |config| {
        let mut run = Virtual::new(config, Cluster::new(1));
        let message = run.world.publish(&run.topic, &Message::of(1));
        run.world.run_dry(secs(60));
        (
            run.world.outcomes[&message].at.as_secs(),
            run.world.failure(message).error.name(),
        )
    });
    assert_eq!(observed, [(30, "_UNKNOWN_TOPIC"), (5, "_UNKNOWN_TOPIC")]);
}

pub(crate) fn allow_auto_create_topics(effect: &Effect) {
    let observed = effect.with("false", |config| {
        let mut cluster = Cluster::new(1);
        cluster.auto_create = Some(3);
        let mut run = Virtual::new(config, cluster);
        run.world.run_for(secs(1));
        run.world.cluster.topics.contains_key("t")
    });
    assert_eq!(observed, [true, false]);
}
