//! What publishers leave in a queue for the recorder, and how that is done once more.

use std::str;

use kafka_wire::record::Header;

use super::entry::{Message, Note};
use crate::accumulator::Record;
use crate::time::{Clock, Time};

/// Notes on what a queue was told since the engine looked at it. What seldom differs from one note to
/// the next is kept as the difference.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    bytes: Vec<u8>,
    last: NotedClock,
}

/// The readings that a queue took of a publisher's clock: those of the last mark and of the opening of
/// a batch stand for all that came since.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct NotedClock {
    coarse: Time,
    opened: Time,
    /// Wall clock minus monotonic clock in milliseconds.
    wall_offset: i64,
}

impl Notes {
    /// Adds one: the time, when the batch was opened and what it makes of the wall clock, and the
    /// message if it was accepted.
    pub(crate) fn add(
        &mut self,
        coarse: Time,
        (opened, wall_offset): (Time, i64),
        message: Option<Message>,
    ) {
        let clock = NotedClock {
            coarse,
            opened,
            wall_offset,
        };
        let note = Note {
            coarse: later(coarse, self.last.coarse),
            opened: later(opened, self.last.opened),
            wall_offset: wall_offset.wrapping_sub(self.last.wall_offset),
            message,
        };
        self.last = clock;
        let bytes = std::mem::take(&mut self.bytes);
        self.bytes = postcard::to_extend(&note, bytes).expect("memory takes whatever it is given");
    }

    /// Hands out all of them, and forgets them.
    pub(crate) fn take(&mut self, take: impl FnOnce(&[u8])) {
        if !self.bytes.is_empty() {
            take(&self.bytes);
            self.bytes.clear();
            self.last = NotedClock::default();
        }
    }
}

fn later(time: Time, than: Time) -> i64 {
    time.as_nanos().wrapping_sub(than.as_nanos()) as i64
}

impl NotedClock {
    /// Goes on to the readings of the next note.
    pub(crate) fn read(&mut self, note: &Note) {
        let later = |time: Time, by| Time::from_nanos(time.as_nanos().wrapping_add_signed(by));
        self.coarse = later(self.coarse, note.coarse);
        self.opened = later(self.opened, note.opened);
        self.wall_offset = self.wall_offset.wrapping_add(note.wall_offset);
    }
}

impl Clock for NotedClock {
    /// Asked for when a batch is opened.
    fn now(&self) -> Time {
        self.opened
    }

    fn coarse(&self) -> Time {
        self.coarse
    }

    fn wall_ms(&self) -> i64 {
        let coarse_ms = (self.coarse.as_nanos() / 1_000_000) as i64;
        self.wall_offset.wrapping_add(coarse_ms)
    }
}

impl Message {
    pub(crate) fn of(
        (key, value): (Option<&[u8]>, Option<&[u8]>),
        headers: &[Header<'_>],
        timestamp: Option<i64>,
        opaque: u64,
    ) -> Self {
        let len = |bytes: &[u8]| bytes.len() as u32;
        let header = |header: &Header<'_>| (len(header.name.as_bytes()), header.value.map(len));
        Self {
            key: key.map(len),
            value: value.map(len),
            headers: headers.iter().map(header).collect(),
            timestamp,
            opaque,
        }
    }

    /// Gives `publish` a record of the same lengths, all zeros; `None` if that took more than `limit`
    /// bytes.
    pub(crate) fn with_zeros<T>(
        &self,
        limit: usize,
        publish: impl FnOnce(Record<'_>) -> T,
    ) -> Option<T> {
        let headers = self.headers.iter();
        let headers = headers.flat_map(|(name, value)| [Some(*name), *value]);
        let lens = [self.key, self.value].into_iter().chain(headers).flatten();
        let sum = lens.clone().map(|len| len as usize).sum::<usize>();
        if sum > limit {
            return None;
        }
        let zeros = vec![0; lens.max().unwrap_or_default() as usize];
        let zeros = |len: u32| &zeros[..len as usize];
        let name = |len| str::from_utf8(zeros(len)).expect("zeros are ASCII");
        let header = |(len, value): &(u32, Option<u32>)| Header {
            name: name(*len),
            value: value.map(zeros),
        };
        let headers: Vec<Header<'_>> = self.headers.iter().map(header).collect();
        Some(publish(Record {
            key: self.key.map(zeros),
            value: self.value.map(zeros),
            headers: &headers,
            partition: None,
            timestamp: self.timestamp,
            opaque: self.opaque,
        }))
    }
}
