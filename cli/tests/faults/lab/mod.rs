//! A laboratory for faults: the program under test in a process of its own, and a cluster in this
//! one that misbehaves on demand. The test target `faults` and the bench target `faults` share it.

// Each of the two uses only a part of it.
#![allow(dead_code)]

pub(crate) mod account;
pub(crate) mod case;
pub(crate) mod catalogue;
pub(crate) mod idle;
pub(crate) mod limits;
pub(crate) mod pairs;
pub(crate) mod producer;
pub(crate) mod rules;
pub(crate) mod scene;
pub(crate) mod usage;
