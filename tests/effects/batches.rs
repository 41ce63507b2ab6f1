//! What goes into batches and requests.

use kafka_sim::{Cluster, Fault, Message, millis, secs};
use kafka_wire::ApiKey::Produce;

use crate::effect::{Effect, and};
use crate::virtual_time::Virtual;

pub(crate) fn queue_buffering_max_ms(effect: &Effect) {
    // Messages that come within the linger go together.
    let observed = effect.with("1000", |config| {
        let mut run = Virtual::small(config);
        run.world.run_for(secs(1));
        for _ in 0..10 {
            run.publish(1, 0);
            run.world.run_for(millis(20));
        }
        run.world.run_dry(secs(2));
        run.batches()
    });
    assert_eq!(observed, [10, 1]);
}

pub(crate) fn batch_num_messages(effect: &Effect) {
    let observed = effect.with("25", |config| {
        let mut run = Virtual::small(config);
        run.publish(100, 0);
        run.world.run_dry(secs(1));
        run.batches()
    });
    assert_eq!(observed, [1, 4]);
}

pub(crate) fn batch_size(effect: &Effect) {
    let observed = effect.with("5000", |config| {
        let mut run = Virtual::small(config);
        run.publish(100, 0);
        run.world.run_dry(secs(1));
        let batches = run.world.cluster.produced.iter().flat_map(|p| &p.batches);
        batches.map(|(.., bytes)| *bytes > 5_000).max()
    });
    assert_eq!(observed, [Some(true), Some(false)]);
}

pub(crate) fn message_max_bytes(effect: &Effect) {
    let observed = effect.with("1000", |config| {
        let mut run = Virtual::small(config);
        let accepted = run.world.try_publish(&run.topic, &Message::of(2_000));
        accepted.map_err(|error| error.name())
    });
    assert_eq!(observed, [Ok(0), Err("MSG_SIZE_TOO_LARGE")]);
}

pub(crate) fn request_max_bytes(effect: &Effect) {
    let observed = effect.with("4000", |config| {
        let mut run = Virtual::new(config, Cluster::new(1).with_topic("t", 2));
        run.world.run_for(secs(1));
        for partition in 0..2 {
            run.publish(25, partition);
        }
        run.world.run_dry(secs(1));
        run.requests(Produce)
    });
    assert_eq!(observed, [1, 2]);
}

pub(crate) fn max_in_flight_requests_per_connection(effect: &Effect) {
    let observed = effect.with("1", |config| {
        let config = and(config, &[("linger.ms", "0")]);
        let mut run = Virtual::new(config, Cluster::new(1).with_topic("t", 3));
        run.world.run_for(secs(1));
        run.world.cluster.broker(1).script(Produce, [Fault::Hang]);
        for partition in 0..3 {
            run.publish(1, partition);
            run.world.run_for(millis(10));
        }
        run.requests(Produce)
    });
    assert_eq!(observed, [3, 1]);
}

pub(crate) fn queue_buffering_backpressure_threshold(effect: &Effect) {
    // While the broker does not read, every partition's message goes into a request of its own, or
    // all of them wait for the next one.
    let observed = effect.with("10", |config| {
        let mut run = Virtual::new(config, Cluster::new(1).with_topic("t", 5));
        run.world.run_for(secs(1));
        run.world.cluster.broker(1).reads = false;
        for partition in 0..5 {
            run.publish(1, partition);
            run.world.run_for(millis(20));
        }
        run.world.read_on(1);
        run.world.run_dry(secs(1));
        run.requests(Produce)
    });
    assert_eq!(observed, [2, 5]);
}
