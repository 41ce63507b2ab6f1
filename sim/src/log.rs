//! What the engine says to the log.

use std::fmt;
use std::sync::{Arc, Mutex};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::DefaultGuard;
use tracing::{Event, Level, Metadata, Subscriber};

/// Keeps what is said on this thread for as long as it lives; what is for developers alone is
/// dropped.
pub struct Log {
    lines: Lines,
    _guard: DefaultGuard,
}

type Lines = Arc<Mutex<Vec<String>>>;

impl Log {
    pub(crate) fn new() -> Self {
        let lines = Lines::default();
        let recorder = Recorder(Arc::clone(&lines));
        Self {
            lines,
            _guard: tracing::subscriber::set_default(recorder),
        }
    }

    /// Each line: its level, its text, its fields.
    pub fn lines(&self) -> Vec<String> {
        self.lines.lock().expect("nobody panics with it").clone()
    }

    /// Forgets what was said.
    pub fn clear(&self) {
        self.lines.lock().expect("nobody panics with it").clear();
    }
}

struct Recorder(Lines);

impl Subscriber for Recorder {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::INFO
    }

    fn event(&self, event: &Event<'_>) {
        let mut line = Line::default();
        event.record(&mut line);
        let level = event.metadata().level();
        let Line { text, fields } = line;
        let mut lines = self.0.lock().expect("nobody panics with it");
        lines.push(format!("{level} {text}{fields}"));
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

#[derive(Default)]
struct Line {
    text: String,
    fields: String,
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match field.name() {
            "message" => self.text = format!("{value:?}"),
            name => self.fields += &format!(" {name}={value:?}"),
        }
    }
}
