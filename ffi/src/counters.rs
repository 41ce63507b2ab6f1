//! What became of messages, in numbers.

use std::sync::atomic::Ordering;

use event_kafka::Balance;

use crate::error::call_without_text;
use crate::pointer::Out;
use crate::producer::{ProducerHandle, find};

/// Messages since the start of a producer: accepted = delivered + failed + held, at every moment.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Counters {
    /// Accepted by event_kafka_publish().
    pub accepted: u64,
    /// Delivered.
    pub delivered: u64,
    /// Failed.
    pub failed: u64,
    /// Accepted and without an outcome so far.
    pub held: u64,
    /// Refused by event_kafka_publish(), for whatever reason but a wrong argument.
    pub refused: u64,
    /// Reports that were taken.
    pub reported: u64,
}

/// Counts what became of messages.
///
/// Any thread, at any time.
///
/// Errors: EVENT_KAFKA_ERR_INVALID_ARG, EVENT_KAFKA_ERR_BAD_HANDLE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_kafka_counters(
    producer: ProducerHandle,
    counters: *mut Counters,
) -> i32 {
    call_without_text(|| {
        // SAFETY: the caller has room for counters there.
        let out = unsafe { Out::new(counters, "counters") }?;
        let client = find(producer)?;
        let Balance {
            accepted,
            delivered,
            failed,
            held,
        } = client.producer.balance();
        out.set(Counters {
            accepted,
            delivered,
            failed,
            held,
            refused: client.refused.load(Ordering::Relaxed),
            reported: client.outlet.taken(),
        });
        Ok(())
    })
}
