//! The grammar of sockets, from outside: what every form of one becomes, what every malformed one
//! is answered with, and that no secret in one is ever shown.

mod configuring;
mod forms;
mod malformed;
mod prefixes;
mod secrets;
mod support;
