//! Faults, seen by a client that is nothing but the codec and a socket.
//!
//! Nothing here waits for a time to pass: what a broker does not do is known once it has served
//! another connection meanwhile ([`client::settle`]).

mod client;

mod bytes;
mod connections;
mod contents;
mod nodes;
mod requests;
mod together;
