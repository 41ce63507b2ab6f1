//! The readers' side of the report area.

use std::os::fd::{AsFd, BorrowedFd};

use super::area::Area;
use super::host::Refusal;
use super::report::Report;
use super::slots::{Addressee, Batch};

/// Reports that were taken. Its room is used again.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    bytes: Vec<u8>,
    next: usize,
    end: usize,
}

impl Area {
    /// Takes the oldest batch of reports for this process; false if there is none. What the inbox
    /// still holds is dropped.
    pub(crate) fn take_reports(&self, inbox: &mut Inbox) -> Result<bool, Refusal> {
        let seat = self.seat()?;
        if self.take_oldest(seat, inbox) {
            return Ok(true);
        }
        // Silent first, then another look: what comes after that rings again.
        let _ = self.bell(seat).read();
        let came = self.take_oldest(seat, inbox);
        if came {
            // There may be more.
            self.tell(seat);
        }
        Ok(came)
    }

    /// Takes the batch of this number, which is for anybody; false if it was taken before. What the
    /// inbox still holds is dropped.
    pub(crate) fn take_batch(&self, batch: Batch, inbox: &mut Inbox) -> Result<bool, Refusal> {
        let seat = self.seat()?;
        Ok(self.take(batch, seat, inbox))
    }

    /// Readable while there are reports for this process. Not to be read from.
    pub(crate) fn report_fd(&self) -> Result<BorrowedFd<'_>, Refusal> {
        Ok(self.bell(self.seat()?).as_fd())
    }

    fn take_oldest(&self, seat: usize, inbox: &mut Inbox) -> bool {
        // Another thread of this process may take it first.
        while let Some(batch) = self.report_slots().oldest_for(seat as Addressee) {
            if self.take(batch, seat, inbox) {
                return true;
            }
        }
        false
    }

    fn take(&self, batch: Batch, seat: usize, inbox: &mut Inbox) -> bool {
        let slots = self.report_slots();
        let ring = || self.ring();
        let taken = slots.take(batch, seat as Addressee, &mut inbox.bytes, ring);
        inbox.next = 0;
        inbox.end = taken.map_or(0, <[u8]>::len);
        inbox.end > 0
    }
}

impl Inbox {
    /// The next report.
    pub(crate) fn next(&mut self) -> Option<Report<'_>> {
        let left = &self.bytes[self.next..self.end];
        let (report, rest) = Report::decode_first(left)?;
        self.next = self.end - rest.len();
        Some(report)
    }
}
