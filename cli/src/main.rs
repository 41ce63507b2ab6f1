//! The event-kafka command line.

fn main() {}
