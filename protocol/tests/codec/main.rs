//! The codec against itself, against frames of a real broker, and against another implementation.

mod golden;
mod properties;
mod strategies;
mod theirs;
