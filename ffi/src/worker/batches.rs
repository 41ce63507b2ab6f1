//! Numbers of batches of reports for anybody, until the host has handed them to a process.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use crate::bell::Bell;
use crate::error::Error;
use crate::shared::slots::Batch;

/// There are never more than the report area has slots.
pub(super) struct Batches {
    waiting: Mutex<VecDeque<Batch>>,
    pub(super) bell: Bell,
    /// Whether the host takes no more of them.
    is_over: AtomicBool,
}

impl Batches {
    pub(super) fn new() -> Result<Self, Error> {
        Ok(Self {
            waiting: Mutex::default(),
            bell: Bell::new()?,
            is_over: AtomicBool::new(false),
        })
    }

    pub(super) fn end(&self) {
        self.is_over.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    pub(super) fn add(&self, batches: impl Iterator<Item = Batch>) {
        let mut waiting = self.waiting.lock();
        let before = waiting.len();
        waiting.extend(batches);
        if waiting.len() > before {
            self.bell.ring();
        }
    }

    /// The oldest; without one the bell is silent until one comes.
    pub(super) fn next(&self) -> Option<Batch> {
        let mut waiting = self.waiting.lock();
        let next = waiting.pop_front();
        if next.is_none() {
            self.bell.silence();
        }
        next
    }
}
