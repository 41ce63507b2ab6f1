//! A producer to test, and all that it reports.

use std::collections::HashMap;
use std::time::Duration;

use event_kafka::{Producer, ProducerBuilder, Report};

/// How long anything that was asked of the producer may take before the test fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

/// A producer with these properties, for these brokers.
pub(crate) fn producer(brokers: &str, properties: &[(&str, &str)]) -> Producer {
    builder(brokers, properties).start().unwrap()
}

/// The same, not started yet.
pub(crate) fn builder(brokers: &str, properties: &[(&str, &str)]) -> ProducerBuilder {
    let builder = Producer::builder().set("bootstrap.servers", brokers);
    let set = |builder: ProducerBuilder, (name, value): &(&str, &str)| builder.set(name, value);
    let configured = properties.iter().try_fold(builder.unwrap(), set);
    configured.unwrap()
}

/// The reports of `count` messages, by opaque: one each, and no more.
pub(crate) fn reports(producer: &Producer, count: usize) -> HashMap<u64, Report> {
    let mut all = HashMap::new();
    while all.len() < count {
        let batch: Vec<Report> = producer.reports().wait(PATIENCE).collect();
        assert!(!batch.is_empty(), "{} of {count} reports came", all.len());
        for report in batch {
            let again = all.insert(report.opaque, report);
            assert!(again.is_none(), "two reports: {again:?}");
        }
    }
    assert_eq!(
        producer.reports().take().count(),
        0,
        "more reports than messages"
    );
    all
}
