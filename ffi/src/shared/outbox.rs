//! The worker's side of the report area: collects reports for each process, up to 16 in a batch.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::Ordering;

use super::area::Area;
use super::process::Process;
use super::report::Report;
use super::slots::{ANYBODY, Addressee, Batch, HEAD};

/// How many reports a batch has at most.
pub(crate) const MOST_REPORTS: u32 = 16;

/// Who published something, and gets the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Asker {
    pub(crate) seat: u32,
    pub(crate) process: Process,
}

/// Who gets a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum To {
    /// The process that asked, which is told by its eventfd.
    Asker(Asker),
    /// Whichever process the host gives the number of the batch to: [`Outbox::next_batch`].
    Anybody,
}

/// Why a report is not on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OutboxError {
    /// As many slots wait for this reader as are free for all others, or there is none. The worker is
    /// woken once one becomes free: keep the report.
    Full,
    /// The process has ended: nobody wants the report.
    Gone,
}

/// Reports on their way to processes.
#[derive(Debug)]
pub(crate) struct Outbox {
    area: Area,
    /// For each seat, and last for anybody.
    open: Vec<Option<Open>>,
    /// Batches for anybody that nobody was told of.
    published: VecDeque<Batch>,
    last_number: u64,
    last_slot: usize,
}

/// A slot that is being filled.
#[derive(Debug)]
struct Open {
    slot: usize,
    /// The head included.
    used: usize,
    reports: u32,
}

impl Outbox {
    pub(super) fn new(area: &Area) -> Self {
        let last_number = area.report_slots().inherit();
        Self {
            open: (0..=area.seats().len()).map(|_| None).collect(),
            area: area.clone(),
            published: VecDeque::new(),
            last_number,
            last_slot: 0,
        }
    }

    /// Puts a report into the open batch of its reader, and sends that when it is full. A report that
    /// is larger than a slot is cut ([`Report::cut_to`]), and tells so by its sizes.
    pub(crate) fn push(&mut self, to: To, report: &Report<'_>) -> Result<(), OutboxError> {
        let to = self.addressee(to)?;
        let place = self.place(to);
        let size = self.area.sizes().report_bytes;
        let report = report.cut_to(size - HEAD);
        let len = report.encoded_len();
        if self.open[place]
            .as_ref()
            .is_some_and(|open| open.used + len > size)
        {
            self.send(to);
        }
        if self.open[place].is_none() {
            self.open[place] = Some(self.begin(to)?);
        }
        let open = self.open[place].as_mut().expect("it was just begun");
        let mut slots = self.area.report_slots();
        report.encode(&mut slots.filling(open.slot)[open.used..]);
        open.used += len;
        open.reports += 1;
        if open.reports == MOST_REPORTS {
            self.send(to);
        }
        Ok(())
    }

    /// Sends the batches that are not full. To be called when no more reports are at hand.
    pub(crate) fn flush(&mut self) {
        for place in 0..self.open.len() {
            self.send(self.addressee_at(place));
        }
    }

    /// The next batch for anybody, whose number the host now hands to a process.
    pub(crate) fn next_batch(&mut self) -> Option<Batch> {
        self.published.pop_front()
    }

    /// Takes back a batch for anybody that could not be handed over. False if somebody has it.
    pub(crate) fn recall(&mut self, batch: Batch) -> bool {
        self.area.report_slots().recall(batch)
    }

    /// Forgets what is for a process that has ended; how many batches it had not read to the end.
    pub(super) fn forget(&mut self, seat: usize) -> usize {
        let slots = self.area.report_slots();
        if let Some(open) = self.open[seat].take() {
            slots.discard(open.slot);
        }
        slots.forget(seat as Addressee)
    }

    fn begin(&mut self, to: Addressee) -> Result<Open, OutboxError> {
        let slot = self.find_slot(to).ok_or(OutboxError::Full)?;
        self.last_slot = slot;
        Ok(Open {
            slot,
            used: HEAD,
            reports: 0,
        })
    }

    fn find_slot(&mut self, to: Addressee) -> Option<usize> {
        let first = self.last_slot + 1;
        let found = |area: &Area| {
            let slots = area.report_slots();
            slots.has_share_for(to).then(|| slots.begin(first))?
        };
        found(&self.area).or_else(|| {
            // Readers must have what there is, or no slot would become free; and they must know
            // that a free one is waited for before it is said that there is none.
            self.flush();
            self.area.report_slots().room.fall_asleep();
            found(&self.area)
        })
    }

    fn send(&mut self, to: Addressee) {
        let place = self.place(to);
        let Some(open) = self.open[place].take() else {
            return;
        };
        self.last_number += 1;
        let mut slots = self.area.report_slots();
        let batch = slots.publish(open.slot, open.used - HEAD, to, self.last_number);
        match to {
            ANYBODY => self.published.push_back(batch),
            seat => self.area.tell(seat.into()),
        }
    }

    fn addressee(&self, to: To) -> Result<Addressee, OutboxError> {
        let To::Asker(asker) = to else {
            return Ok(ANYBODY);
        };
        let seat = self.area.seats().get(asker.seat as usize);
        let owner = seat.map(|seat| seat.owner.load(Ordering::Relaxed));
        match owner == Some(asker.process.word()) {
            true => Ok(asker.seat as Addressee),
            false => Err(OutboxError::Gone),
        }
    }

    fn place(&self, to: Addressee) -> usize {
        usize::from(to).min(self.open.len() - 1)
    }

    fn addressee_at(&self, place: usize) -> Addressee {
        match place + 1 == self.open.len() {
            true => ANYBODY,
            false => place as Addressee,
        }
    }
}

impl fmt::Display for OutboxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "the report area is full: its readers lag behind",
            Self::Gone => "the process that asked has ended",
        })
    }
}

impl std::error::Error for OutboxError {}
