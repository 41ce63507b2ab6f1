//! When a message is delivered, when it fails, and who hears of it.

use event_kafka::config::Config;
use kafka_sim::{Cluster, Fault, Message, Reach, millis, secs};
use kafka_wire::ApiKey::Produce;
use kafka_wire::ErrorCode;

use crate::effect::{Effect, and};
use crate::virtual_time::Virtual;

pub(crate) fn request_required_acks(effect: &Effect) {
    let observed = effect.with("1", |config| {
        let mut run = Virtual::small(config);
        run.publish(1, 0);
        run.world.run_dry(secs(1));
        run.world.cluster.produced[0].acks
    });
    assert_eq!(observed, [-1, 1]);
}

pub(crate) fn request_timeout_ms(effect: &Effect) {
    let observed = effect.with("5000", |config| {
        let mut run = Virtual::small(config);
        run.publish(1, 0);
        run.world.run_dry(secs(1));
        run.world.cluster.produced[0].timeout_ms
    });
    assert_eq!(observed, [30_000, 5_000]);
}

pub(crate) fn message_timeout_ms(effect: &Effect) {
    let observed = effect.with("2000", |config| {
        let mut cluster = Cluster::new(1);
        cluster.broker(1).reach = Reach::Refuses;
        let mut run = Virtual::new(config, cluster);
        let message = run.publish(1, 0)[0];
        run.world.run_for(secs(10));
        let outcome = run.world.outcomes.get(&message)?;
        Some((
            outcome.at.as_secs(),
            run.world.failure(message).error.name(),
        ))
    });
    assert_eq!(observed, [None, Some((2, "_MSG_TIMED_OUT"))]);
}

pub(crate) fn socket_timeout_ms(effect: &Effect) {
    // Who gets no answer sends again.
    let observed = effect.with("5000", |config| {
        let mut run = Virtual::small(config);
        run.world.cluster.broker(1).script(Produce, [Fault::Hang]);
        run.publish(1, 0);
        run.world.run_for(secs(10));
        run.requests(Produce)
    });
    assert_eq!(observed, [1, 2]);
}

pub(crate) fn socket_max_fails(effect: &Effect) {
    // What is sent again goes over another connection, or over the same one.
    let observed = effect.with("2", |config| {
        let mut run = Virtual::small(config);
        run.world.run_for(secs(1));
        let slow = Fault::Slow(secs(70));
        run.world.cluster.broker(1).script(Produce, [slow]);
        run.publish(1, 0);
        run.world.run_dry(secs(100));
        (run.world.connects.len(), run.requests(Produce))
    });
    assert_eq!(observed, [(2, 2), (1, 2)]);
}

/// A producer whose broker refuses every batch for a reason that passes.
fn refused(config: Config) -> Virtual {
    let mut run = Virtual::small(config);
    run.world.run_for(secs(1));
    let fault = Fault::Refuse(ErrorCode::NOT_ENOUGH_REPLICAS);
    run.world.cluster.broker(1).always(Produce, fault);
    run
}

pub(crate) fn message_send_max_retries(effect: &Effect) {
    let observed = effect.with("2", |config| {
        let mut run = refused(config);
        let message = run.publish(1, 0)[0];
        run.world.run_for(secs(30));
        run.world.outcomes.get(&message)?;
        Some(run.world.failure(message).attempts)
    });
    assert_eq!(observed, [None, Some(3)]);
}

pub(crate) fn retry_backoff_ms(effect: &Effect) {
    // At once, and after 0.8 s or more.
    let [usual, slow] = effect.with("1000", |config| {
        let mut run = refused(config);
        run.publish(1, 0);
        run.world.run_for(millis(700));
        run.requests(Produce)
    });
    assert!(usual > 2 && slow == 1, "{usual} and {slow}");
}

pub(crate) fn retry_backoff_max_ms(effect: &Effect) {
    let [usual, slow] = effect.with("10000", |config| {
        let mut run = refused(config);
        run.publish(1, 0);
        run.world.run_for(secs(100));
        run.requests(Produce)
    });
    assert!(usual > 80 && slow < 25, "{usual} and {slow}");
}

pub(crate) fn delivery_report_only_error(effect: &Effect) {
    let observed = effect.with("true", |config| {
        let mut run = Virtual::small(config);
        run.publish(3, 0);
        let bad = Fault::Refuse(ErrorCode::INVALID_RECORD);
        run.world.run_dry(secs(1));
        run.world.cluster.broker(1).script(Produce, [bad]);
        run.publish(1, 0);
        run.world.run_dry(secs(1));
        run.world.outcomes.into_keys().collect::<Vec<_>>()
    });
    assert_eq!(observed, [vec![0, 1, 2, 3], vec![3]]);
}

pub(crate) fn enable_idempotence(effect: &Effect) {
    // The batch is taken, its answer lost, and it is sent again.
    let observed = effect.with("true", |config| {
        let mut run = Virtual::small(config);
        let fault = Fault::AppendThenClose;
        run.world.cluster.broker(1).script(Produce, [fault]);
        run.publish(3, 0);
        run.world.run_dry(secs(5));
        run.world.cluster.log("t", 0).len()
    });
    assert_eq!(observed, [6, 3]);
}

pub(crate) fn enable_gapless_guarantee(effect: &Effect) {
    // The first of two batches fails for good.
    let observed = effect.with("true", |config| {
        let mut run = Virtual::small(and(config, &[("enable.idempotence", "true")]));
        let fault = Fault::Refuse(ErrorCode::INVALID_RECORD);
        run.world.cluster.broker(1).script(Produce, [fault]);
        run.publish(1, 0);
        run.world.run_dry(secs(5));
        let second = run.world.try_publish(&run.topic, &Message::of(10));
        second.map_err(|error| error.name()).map(drop)
    });
    assert_eq!(observed, [Ok(()), Err("_FATAL")]);
}
