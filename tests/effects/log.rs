//! What is said to the log.

use std::sync::{Mutex, Once, PoisonError};

use kafka_sim::{Cluster, Reach, secs};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use crate::effect::Effect;
use crate::sockets::Real;
use crate::virtual_time::Virtual;

pub(crate) fn log_level(effect: &Effect) {
    let observed = effect.with("3", |config| {
        let mut cluster = Cluster::new(1);
        cluster.broker(1).reach = Reach::Refuses;
        let mut run = Virtual::new(config, cluster);
        run.world.run_for(secs(1));
        run.world.log.lines().len()
    });
    assert_eq!(observed, [1, 0]);
}

pub(crate) fn log_connection_close(effect: &Effect) {
    let observed = effect.with("false", |config| {
        let mut run = Virtual::small(config);
        run.world.run_for(secs(1));
        run.world.crash(1, Reach::Up);
        run.world.run_for(secs(1));
        run.world.log.lines().len()
    });
    // That the connection is gone, and that the broker works again.
    assert_eq!(observed, [2, 0]);
}

pub(crate) fn debug(effect: &Effect) {
    let observed = effect.with("protocol", |config| {
        let run = Real::start(config);
        run.deliver(1);
        // Others say something at the same time, of other brokers.
        let broker = run.cluster.address(1).to_string();
        let said = said();
        ["protocol", "broker"].map(|context| {
            let target = format!("event_kafka::{context} ");
            let mut lines = said.iter().filter(|line| line.contains(&broker));
            lines.any(|line| line.starts_with(&target))
        })
    });
    assert_eq!(observed, [[false, false], [true, false]]);
}

/// Everything that was said so far by producers with an I/O thread of their own.
pub(crate) fn said() -> Vec<String> {
    LINES.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// From now on everything that is said on any thread is kept.
pub(crate) fn record() {
    static RECORDED: Once = Once::new();
    RECORDED.call_once(|| {
        tracing::subscriber::set_global_default(Recorder).expect("nobody else subscribes");
    });
}

static LINES: Mutex<Vec<String>> = Mutex::new(Vec::new());

struct Recorder;

impl Subscriber for Recorder {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("event_kafka::")
    }

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(event.metadata().target().to_owned());
        event.record(&mut line);
        let mut lines = LINES.lock().unwrap_or_else(PoisonError::into_inner);
        lines.push(line.0);
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

/// The target, and every field with its name.
struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.0.push_str(&format!(" {}={value:?}", field.name()));
    }
}
