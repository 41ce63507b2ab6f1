//! The codec against itself, against frames of a real broker, and against another implementation.

mod compression;
mod golden;
mod others;
mod properties;
mod strategies;
mod theirs;
