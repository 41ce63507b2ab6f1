//! The batches of one partition.

use std::collections::VecDeque;

use bytes::Bytes;

use super::batch::{self, Header};

/// What a partition holds, oldest batch first.
#[derive(Debug)]
pub(crate) struct Log {
    batches: VecDeque<Stored>,
    start: i64,
    end: i64,
    bytes: usize,
    /// Each leader epoch that wrote something, and the present one: number and first offset.
    epochs: Vec<(i32, i64)>,
}

#[derive(Debug)]
struct Stored {
    header: Header,
    bytes: Bytes,
}

impl Log {
    /// Empty, in its first epoch.
    pub(crate) fn new(leader_epoch: i32) -> Self {
        Self {
            batches: VecDeque::new(),
            start: 0,
            end: 0,
            bytes: 0,
            epochs: vec![(leader_epoch, 0)],
        }
    }

    /// The offset of the oldest record that is left.
    pub(crate) fn start(&self) -> i64 {
        self.start
    }

    /// The offset of the next record to come; also high watermark and last stable offset.
    pub(crate) fn end(&self) -> i64 {
        self.end
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn batches(&self) -> impl Iterator<Item = &Bytes> {
        self.batches.iter().map(|stored| &stored.bytes)
    }

    /// Appends a checked batch under its header, which gets its offset, and lets the oldest go if more
    /// than `retain` bytes are held.
    pub(crate) fn append(&mut self, records: &[u8], header: &mut Header, retain: usize) {
        header.base_offset = self.end;
        let bytes = batch::stamp(records, header, self.epoch());
        self.end = header.last_offset() + 1;
        self.bytes += bytes.len();
        let header = *header;
        self.batches.push_back(Stored { header, bytes });
        self.retain(retain);
    }

    /// The batches from the one that holds `offset`, while `room` lasts; the first one however large
    /// it is if `whole_first`.
    pub(crate) fn read(&self, offset: i64, room: usize, whole_first: bool) -> Vec<Bytes> {
        let from = self
            .batches
            .partition_point(|stored| stored.header.last_offset() < offset);
        let mut taken = 0;
        self.batches
            .range(from..)
            .take_while(|stored| {
                let first = taken == 0;
                taken += stored.bytes.len();
                taken <= room || (first && whole_first)
            })
            .map(|stored| stored.bytes.clone())
            .collect()
    }

    /// The first record at or after a time. Among compressed records, which the mock cannot look
    /// into, it is the first of their batch.
    pub(crate) fn at_time(&self, time: i64) -> Option<(i64, i64)> {
        let stored = self
            .batches
            .iter()
            .find(|stored| stored.header.max_timestamp >= time)?;
        let header = &stored.header;
        if header.has_log_append_time() {
            return Some((header.base_offset, header.max_timestamp));
        }
        if header.is_compressed() {
            return Some((header.base_offset, header.base_timestamp));
        }
        batch::parse_records(&stored.bytes)
            .map(|record| {
                (
                    header.base_offset + i64::from(record.offset_delta),
                    header.base_timestamp.saturating_add(record.timestamp_delta),
                )
            })
            .find(|(_, timestamp)| *timestamp >= time)
    }

    /// The record with the greatest timestamp (KIP-734), as exactly as [`Self::at_time`].
    pub(crate) fn greatest_time(&self) -> Option<(i64, i64)> {
        let greatest = self
            .batches
            .iter()
            .map(|stored| stored.header.max_timestamp)
            .max()?;
        self.at_time(greatest)
    }

    pub(crate) fn begin_epoch(&mut self, epoch: i32) {
        // An epoch that wrote nothing leaves no trace.
        self.epochs.retain(|(_, first)| *first < self.end);
        self.epochs.push((epoch, self.end));
    }

    /// The epoch that wrote an offset; of the end, the one that is going to.
    pub(crate) fn epoch_at(&self, offset: i64) -> Option<i32> {
        let after = self.epochs.partition_point(|(_, first)| *first <= offset);
        let (epoch, _) = self.epochs.get(after.checked_sub(1)?)?;
        Some(*epoch)
    }

    /// The last epoch up to `epoch` that wrote something, and the offset at which it ended.
    pub(crate) fn end_of_epoch(&self, epoch: i32) -> Option<(i32, i64)> {
        let after = self.epochs.partition_point(|(other, _)| *other <= epoch);
        let (last, _) = *self.epochs.get(after.checked_sub(1)?)?;
        let end = self.epochs.get(after).map_or(self.end, |(_, first)| *first);
        Some((last, end))
    }

    fn epoch(&self) -> i32 {
        self.epochs.last().map_or(0, |(epoch, _)| *epoch)
    }

    fn retain(&mut self, most: usize) {
        while self.bytes > most && self.batches.len() > 1 {
            let Some(oldest) = self.batches.pop_front() else {
                return;
            };
            self.bytes -= oldest.bytes.len();
            self.start = oldest.header.last_offset() + 1;
        }
    }
}
