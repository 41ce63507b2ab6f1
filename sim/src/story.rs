//! What happens in a run, line by line, for whoever has to understand one that went wrong.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Kept outside of the world, which a broken rule takes along. Costs nothing while nobody listens.
#[derive(Clone, Debug, Default)]
pub(crate) struct Story(Option<Arc<Mutex<Vec<String>>>>);

impl Story {
    /// A story that is written down.
    pub(crate) fn written() -> Self {
        Self(Some(Arc::default()))
    }

    pub(crate) fn tell(&self, at: Duration, line: impl FnOnce() -> String) {
        if let Some(lines) = &self.0 {
            let line = format!("{:>9.3} s  {}", at.as_secs_f64(), line());
            lines.lock().expect("nobody panics with it").push(line);
        }
    }
}

impl fmt::Display for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines = self.0.iter();
        for lines in lines.map(|lines| lines.lock().expect("nobody panics with it")) {
            for line in lines.iter() {
                writeln!(f, "{line}")?;
            }
        }
        Ok(())
    }
}
