//! Named steps, one after another, each with its time.

use std::time::{Duration, Instant};

use xtask::Result;

/// The steps taken so far.
#[derive(Debug, Default)]
pub(crate) struct Steps {
    taken: Vec<(String, Duration)>,
}

impl Steps {
    /// Takes a step; its error says which step it was.
    pub(crate) fn take<T>(&mut self, name: &str, step: impl FnOnce() -> Result<T>) -> Result<T> {
        println!("\n== {name}");
        let start = Instant::now();
        let result = step();
        let time = start.elapsed();
        self.taken.push((name.to_owned(), time));
        println!("-- {name}: {:.1} s", time.as_secs_f64());
        result.map_err(|error| error.in_step(name))
    }

    /// Prints what took how long.
    pub(crate) fn print_times(&self) {
        println!();
        for (name, time) in &self.taken {
            println!("{:>8.1} s  {name}", time.as_secs_f64());
        }
        let total: Duration = self.taken.iter().map(|(_, time)| time).sum();
        println!("{:>8.1} s  in all", total.as_secs_f64());
    }
}
