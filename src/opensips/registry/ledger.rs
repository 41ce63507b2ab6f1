//! What a socket holds: each message that it accepted, until its report is taken.

use kafka_wire::record::RecordFields;

use super::SocketPublishError;
use crate::{PublishError, Record};

/// Messages since the start of a socket: accepted = delivered + failed + held, at every moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SocketCounters {
    /// Accepted.
    pub accepted: u64,
    /// Reported as delivered.
    pub delivered: u64,
    /// Reported as failed.
    pub failed: u64,
    /// Accepted, and not reported so far.
    pub held: u64,
    /// Bytes of those that are held, as records are encoded.
    pub held_bytes: u64,
    /// Refused, for whatever reason.
    pub refused: u64,
}

/// The messages and the budget of a socket.
#[derive(Debug)]
pub(super) struct Ledger<T> {
    limits: Limits,
    entries: Vec<Entry<T>>,
    /// The first entry that is free, if one is.
    free: Option<u32>,
    counters: SocketCounters,
    full: bool,
    /// Whether somebody was told that it is full.
    full_told: bool,
    /// How often it was subscribed and not unsubscribed; 0 accepts nothing.
    users: usize,
}

/// What may be held.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Limits {
    pub(super) messages: usize,
    pub(super) bytes: usize,
}

impl Limits {
    pub(super) const NOTHING: Self = Self {
        messages: 0,
        bytes: 0,
    };
}

#[derive(Clone, Copy, Debug)]
enum Entry<T> {
    Held { ticket: T, size: u32 },
    Free { next: Option<u32> },
}

impl<T: Copy> Ledger<T> {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            entries: Vec::new(),
            free: None,
            counters: SocketCounters::default(),
            full: false,
            full_told: false,
            users: 1,
        }
    }

    /// Enters a message if it fits into the budget, or, if it was promised, into that and `overdraft`,
    /// and if `publish`, which is given the number of its entry, accepts it.
    pub(super) fn enter(
        &mut self,
        record: &Record<'_>,
        ticket: T,
        overdraft: Limits,
        publish: impl FnOnce(u32) -> Result<(), SocketPublishError>,
    ) -> Result<(), SocketPublishError> {
        let size = size(record);
        let result = self.admit(size, overdraft).and_then(|()| {
            let index = self.free.unwrap_or(self.entries.len() as u32);
            publish(index)?;
            self.hold(index, ticket, size);
            Ok(())
        });
        if result.is_err() {
            self.counters.refused += 1;
        }
        result
    }

    /// What the publisher of a message gave along with it.
    pub(super) fn ticket(&self, index: u32) -> T {
        self.held_at(index).0
    }

    /// Takes out a message whose report was taken.
    pub(super) fn settle(&mut self, index: u32, delivered: bool) {
        let (_, size) = self.held_at(index);
        self.entries[index as usize] = Entry::Free { next: self.free };
        self.free = Some(index);
        let counters = &mut self.counters;
        counters.held -= 1;
        counters.held_bytes -= u64::from(size);
        match delivered {
            true => counters.delivered += 1,
            false => counters.failed += 1,
        }
        if self.full && self.is_relieved() {
            self.full = false;
        }
    }

    /// The new value of `is_full`, if it has changed since this was asked.
    pub(super) fn full_change(&mut self) -> Option<bool> {
        let changed = std::mem::replace(&mut self.full_told, self.full) != self.full;
        changed.then_some(self.full)
    }

    pub(super) fn is_full(&self) -> bool {
        self.full
    }

    pub(super) fn counters(&self) -> SocketCounters {
        self.counters
    }

    pub(super) fn is_open(&self) -> bool {
        self.users > 0
    }

    /// Whether nothing comes and nothing is held any more.
    pub(super) fn is_done(&self) -> bool {
        !self.is_open() && self.counters.held == 0
    }

    /// One user more; false if the last one has left.
    pub(super) fn join(&mut self) -> bool {
        let open = self.is_open();
        self.users += usize::from(open);
        open
    }

    pub(super) fn leave(&mut self) {
        self.users -= 1;
    }

    fn admit(&mut self, size: u32, overdraft: Limits) -> Result<(), SocketPublishError> {
        if !self.is_open() {
            return Err(SocketPublishError::NoSocket);
        }
        let Limits { messages, bytes } = self.limits;
        let after = self.held_bytes() + size as usize;
        // One that is too large where there is room for others says nothing of them.
        self.full = self.full || after > bytes && !self.is_relieved();
        if self.held() >= messages.saturating_add(overdraft.messages) {
            let full = PublishError::TooManyMessages { limit: messages };
            Err(SocketPublishError::Refused(full))
        } else if after > bytes.saturating_add(overdraft.bytes) {
            let full = PublishError::TooManyBytes { limit: bytes };
            Err(SocketPublishError::Refused(full))
        } else {
            Ok(())
        }
    }

    fn held_at(&self, index: u32) -> (T, u32) {
        match self.entries[index as usize] {
            Entry::Held { ticket, size } => (ticket, size),
            Entry::Free { .. } => unreachable!("every message is reported once"),
        }
    }

    fn hold(&mut self, index: u32, ticket: T, size: u32) {
        let held = Entry::Held { ticket, size };
        match self.entries.get_mut(index as usize) {
            Some(entry) => {
                let Entry::Free { next } = *entry else {
                    unreachable!("the list is of free entries");
                };
                self.free = next;
                *entry = held;
            }
            None => self.entries.push(held),
        }
        self.counters.accepted += 1;
        self.counters.held += 1;
        self.counters.held_bytes += u64::from(size);
        self.full = self.full || self.held() >= self.limits.messages;
    }

    /// Whether at most 90 % of the budget are used.
    fn is_relieved(&self) -> bool {
        let below = |used: usize, limit: usize| used <= limit - limit.div_ceil(10);
        below(self.held(), self.limits.messages) && below(self.held_bytes(), self.limits.bytes)
    }

    fn held(&self) -> usize {
        self.counters.held as usize
    }

    fn held_bytes(&self) -> usize {
        self.counters.held_bytes as usize
    }
}

/// Bytes of a message as it is encoded.
fn size(record: &Record<'_>) -> u32 {
    let fields = RecordFields {
        timestamp_delta: 0,
        offset_delta: 0,
        key: record.key,
        value: record.value,
        headers: record.headers,
    };
    u32::try_from(fields.encoded_len()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    fn ledger(messages: usize, bytes: usize) -> Ledger<u64> {
        Ledger::new(Limits { messages, bytes })
    }

    /// Publishes a message to a producer that takes everything; its entry, if it is accepted.
    fn publish(ledger: &mut Ledger<u64>, record: &Record<'_>) -> Option<u32> {
        let mut entry = None;
        let result = ledger.enter(record, record.opaque, Limits::NOTHING, |index| {
            entry = Some(index);
            Ok(())
        });
        result.ok().and(entry)
    }

    #[test]
    fn full_is_raised_at_the_limit_and_cleared_at_nine_tenths_of_it() {
        let mut ledger = ledger(10, 1_000_000);
        let mut told = Vec::new();
        for _ in 0..12 {
            publish(&mut ledger, &Record::new("x"));
            told.push(ledger.full_change());
        }
        let mut expected = [None; 12];
        expected[9] = Some(true);
        assert_eq!(told, expected);
        ledger.settle(0, true);
        assert_eq!(
            (ledger.full_change(), ledger.is_full()),
            (Some(false), false)
        );
    }

    #[test]
    fn bytes_are_a_limit_of_their_own() {
        let record = Record::new(&[0; 90]);
        let each = size(&record) as usize;
        let mut ledger = ledger(1_000, 10 * each);
        let entries: Vec<_> = (0..10).map(|_| publish(&mut ledger, &record)).collect();
        assert!(entries.iter().all(Option::is_some) && !ledger.is_full());
        let refusal = ledger
            .enter(&record, 0, Limits::NOTHING, |_| Ok(()))
            .unwrap_err();
        assert!(refusal.is_queue_full(), "{refusal}");
        assert!(ledger.is_full());
        assert_eq!(ledger.counters().refused, 1);
        ledger.settle(entries[3].unwrap(), true);
        assert!(!ledger.is_full());
        assert!(publish(&mut ledger, &record).is_some());
    }

    #[test]
    fn a_message_larger_than_the_budget_is_refused_and_hinders_no_other() {
        let mut ledger = ledger(10, 100);
        assert_eq!(publish(&mut ledger, &Record::new(&[0; 200])), None);
        assert!(!ledger.is_full());
        assert!(publish(&mut ledger, &Record::new("x")).is_some());
    }

    #[test]
    fn a_budget_of_one_message_is_relieved_when_it_is_empty() {
        let mut ledger = ledger(1, 1_000);
        let entry = publish(&mut ledger, &Record::new("x")).unwrap();
        assert!(ledger.is_full());
        ledger.settle(entry, false);
        assert!(!ledger.is_full());
    }

    #[test]
    fn what_was_promised_is_taken_beyond_the_budget_though_not_without_end() {
        let mut ledger = ledger(10, 1_000_000);
        let promised = |ledger: &mut Ledger<u64>| {
            let overdraft = Limits {
                messages: 10,
                bytes: 1_000,
            };
            let result = ledger.enter(&Record::new("x"), 0, overdraft, |_| Ok(()));
            (result.is_ok(), ledger.full_change())
        };
        let taken: Vec<_> = (0..21).map(|_| promised(&mut ledger)).collect();
        let mut expected = vec![(true, None); 20];
        expected[9].1 = Some(true);
        expected.push((false, None));
        assert_eq!(taken, expected);
        for n in 0..11 {
            assert!(ledger.is_full());
            ledger.settle(n, true);
        }
        assert!(!ledger.is_full());
    }

    #[test]
    fn what_the_producer_refuses_is_not_held() {
        let mut ledger = ledger(10, 1_000);
        let refusal = ledger.enter(&Record::new("x"), 0, Limits::NOTHING, |_| {
            Err(SocketPublishError::Refused(PublishError::Closed))
        });
        let closed = SocketPublishError::Refused(PublishError::Closed);
        assert_eq!(refusal.unwrap_err(), closed);
        let counters = ledger.counters();
        assert_eq!(
            (counters.accepted, counters.held, counters.refused),
            (0, 0, 1)
        );
    }

    #[derive(Clone, Debug)]
    enum Step {
        Publish { bytes: usize },
        Settle { nth: usize, delivered: bool },
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0..50_usize).prop_map(|bytes| Step::Publish { bytes }),
            (any::<usize>(), any::<bool>())
                .prop_map(|(nth, delivered)| Step::Settle { nth, delivered }),
        ]
    }

    proptest! {
        #[test]
        fn every_message_comes_out_once_as_itself_and_the_balance_holds(
            steps in prop::collection::vec(step(), 0..200),
        ) {
            let mut ledger = ledger(20, 500);
            let mut held: HashMap<u32, (u64, u64)> = HashMap::new();
            let (mut accepted, mut delivered_count) = (0, 0);
            for (number, step) in steps.into_iter().enumerate() {
                match step {
                    Step::Publish { bytes } => {
                        let value = vec![0; bytes];
                        let record = Record::new(&value).opaque(number as u64);
                        if let Some(entry) = publish(&mut ledger, &record) {
                            accepted += 1;
                            let size = u64::from(size(&record));
                            let before = held.insert(entry, (record.opaque, size));
                            prop_assert_eq!(before, None);
                        }
                    }
                    Step::Settle { nth, delivered } if !held.is_empty() => {
                        let entry = *held.keys().nth(nth % held.len()).unwrap();
                        let (opaque, _) = held.remove(&entry).unwrap();
                        prop_assert_eq!(ledger.ticket(entry), opaque);
                        ledger.settle(entry, delivered);
                        delivered_count += u64::from(delivered);
                    }
                    Step::Settle { .. } => {}
                }
                let counters = ledger.counters();
                prop_assert_eq!(counters.accepted, accepted);
                prop_assert_eq!(counters.held, held.len() as u64);
                prop_assert_eq!(counters.held_bytes, held.values().map(|(_, size)| size).sum::<u64>());
                prop_assert_eq!(counters.delivered, delivered_count);
                prop_assert_eq!(
                    counters.accepted,
                    counters.delivered + counters.failed + counters.held
                );
                prop_assert!(held.len() <= 20 && counters.held_bytes <= 500);
            }
        }
    }
}
