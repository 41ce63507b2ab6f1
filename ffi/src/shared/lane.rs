//! A lane: a ring of records that one process writes and one reads.
//!
//! ```text
//! frame: length of the record (u64), the record, nothing up to a multiple of 8
//!        or SKIP, and nothing up to the end of the ring: the next record begins at its start
//! ```
//!
//! `tail` is what the writer has published, `head` what the reader is done with, in bytes since the
//! lane was made. A record is there once `tail` is stored behind it: a writer that is stopped or
//! killed at any place leaves nothing, or a whole record. The reader trusts neither lengths nor
//! `tail`: each is read once and checked, and records are copied out before anybody looks at them.

use std::fmt;
use std::sync::atomic::Ordering;

use super::memory::{Bytes, Padded, UNIT, Word, round_up};

/// Where writer and reader are. Zeroed, it is that of an empty lane.
#[derive(Debug, Default)]
#[repr(C)]
pub(crate) struct Control<W> {
    writer: Padded<OfWriter<W>>,
    reader: Padded<OfReader<W>>,
}

/// What only the writer stores.
#[derive(Debug, Default)]
#[repr(C)]
struct OfWriter<W> {
    tail: W,
    /// The last `head` that the writer saw: it asks for the reader's only when this leaves no room.
    head_seen: W,
    refused: W,
}

/// What only the reader stores.
#[derive(Debug, Default)]
#[repr(C)]
struct OfReader<W> {
    head: W,
    /// 1: the reader found nonsense and reads no more here.
    broken: W,
}

/// The writing side. There is one at a time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Writer<'a, W, B> {
    control: &'a Control<W>,
    bytes: B,
}

/// Room for a record, of which nobody knows before [`Reservation::commit`].
#[derive(Debug)]
pub(crate) struct Reservation<'w, 'a, W, B> {
    writer: &'w mut Writer<'a, W, B>,
    /// Where its frame begins, as `tail` counts.
    start: u64,
    /// Without the frame.
    room: usize,
}

/// Why there is no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LaneError {
    /// The reader has to catch up first.
    Full,
    /// It will never fit: half of a lane is the most.
    TooLarge { size: usize, limit: usize },
    /// What was written here before was no record: nothing is read here any more.
    Broken,
}

/// The reading side. There is one at a time, and it keeps its own place: what is in shared memory
/// for it, others could change.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    head: u64,
    tail_seen: u64,
}

/// What a lane holds is no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Broken;

/// Before each record.
pub(super) const FRAME: usize = UNIT;
/// Instead of a length.
const SKIP: u64 = u64::MAX;

impl<'a, W: Word, B: Bytes> Writer<'a, W, B> {
    /// `bytes` is a power of two.
    pub(crate) fn new(control: &'a Control<W>, bytes: B) -> Self {
        debug_assert!(bytes.len().is_power_of_two());
        Self { control, bytes }
    }

    /// Room for a record of at most so many bytes.
    #[inline]
    pub(crate) fn reserve(&mut self, most: usize) -> Result<Reservation<'_, 'a, W, B>, LaneError> {
        let limit = limit(self.bytes.len());
        if most > limit {
            let size = most;
            return Err(LaneError::TooLarge { size, limit });
        }
        let tail = self.control.writer.tail.load(Ordering::Relaxed);
        let to_end = self.bytes.len() - place(tail, self.bytes.len());
        let size = frame_len(most);
        let skipped = if size > to_end { to_end } else { 0 };
        if !self.has_room(tail, skipped + size) {
            return Err(self.refuse());
        }
        if skipped > 0 {
            self.set_frame(tail, SKIP);
        }
        Ok(Reservation {
            start: tail.wrapping_add(skipped as u64),
            room: size - FRAME,
            writer: self,
        })
    }

    #[inline]
    fn has_room(&self, tail: u64, needed: usize) -> bool {
        let mine = &self.control.writer;
        let most_used = (self.bytes.len() - needed) as u64;
        if tail.wrapping_sub(mine.head_seen.load(Ordering::Relaxed)) <= most_used {
            return true;
        }
        // Acquire: the reader has read what is about to be overwritten.
        let head = self.control.reader.head.load(Ordering::Acquire);
        mine.head_seen.store(head, Ordering::Relaxed);
        tail.wrapping_sub(head) <= most_used
    }

    #[cold]
    fn refuse(&self) -> LaneError {
        let refused = &self.control.writer.refused;
        let count = refused.load(Ordering::Relaxed).wrapping_add(1);
        refused.store(count, Ordering::Relaxed);
        match self.control.reader.broken.load(Ordering::Relaxed) {
            0 => LaneError::Full,
            _ => LaneError::Broken,
        }
    }

    #[inline]
    fn set_frame(&mut self, at: u64, length: u64) {
        let at = place(at, self.bytes.len());
        // SAFETY: it lies behind `tail`, where the reader does not look and no other writer is.
        let frame = unsafe { self.bytes.exclusive(at, FRAME) };
        frame.copy_from_slice(&length.to_ne_bytes());
    }
}

impl<W: Word, B: Bytes> Reservation<'_, '_, W, B> {
    /// As many bytes as were asked for, or some more.
    #[inline]
    pub(crate) fn bytes(&mut self) -> &mut [u8] {
        let at = place(self.start, self.writer.bytes.len()) + FRAME;
        // SAFETY: it lies behind `tail`, where the reader does not look; and while there is a
        // reservation its writer is borrowed.
        unsafe { self.writer.bytes.exclusive(at, self.room) }
    }

    /// Publishes the record, which is the first so many bytes.
    ///
    /// # Panics
    /// There are not so many.
    #[inline]
    pub(crate) fn commit(self, len: usize) {
        assert!(len <= self.room);
        self.writer.set_frame(self.start, len as u64);
        let tail = self.start.wrapping_add(frame_len(len) as u64);
        // Release: whoever sees the new tail sees the record.
        let published = &self.writer.control.writer.tail;
        published.store(tail, Ordering::Release);
    }
}

impl Reader {
    /// Goes on where the one before was.
    pub(crate) fn new<W: Word>(control: &Control<W>) -> Self {
        let head = control.reader.head.load(Ordering::Relaxed);
        Self {
            head,
            tail_seen: head,
        }
    }

    /// Takes the next record, if there is one: copies it to `record`, whose room is used again.
    #[inline]
    pub(crate) fn take<'r, W: Word>(
        &mut self,
        control: &Control<W>,
        bytes: &impl Bytes,
        record: &'r mut Vec<u8>,
    ) -> Result<Option<&'r [u8]>, Broken> {
        if !self.is_ready(control) {
            return Ok(None);
        }
        match self.copy_next(bytes, record) {
            Some(len) => {
                // Release: the writer overwrites the record only after it was read.
                control.reader.head.store(self.head, Ordering::Release);
                Ok(Some(&record[..len]))
            }
            None => {
                control.reader.broken.store(1, Ordering::Relaxed);
                Err(Broken)
            }
        }
    }

    /// Whether there is more to read. Nonsense is more, too.
    #[inline]
    pub(crate) fn is_ready<W: Word>(&mut self, control: &Control<W>) -> bool {
        if self.head == self.tail_seen {
            // Acquire: the records before it are there.
            self.tail_seen = control.writer.tail.load(Ordering::Acquire);
        }
        self.head != self.tail_seen && control.reader.broken.load(Ordering::Relaxed) == 0
    }

    /// Makes the lane empty for another writer, as the one before is gone.
    pub(crate) fn clear<W: Word>(&mut self, control: &Control<W>) {
        *self = Self::default();
        let (writer, reader) = (&control.writer, &control.reader);
        let words = [
            &writer.tail,
            &writer.head_seen,
            &reader.head,
            &reader.broken,
        ];
        for word in words {
            word.store(0, Ordering::Relaxed);
        }
    }

    /// Copies the next record and steps behind it; its length, or `None` where none can be.
    #[inline]
    fn copy_next(&mut self, bytes: &impl Bytes, record: &mut Vec<u8>) -> Option<usize> {
        let ready = self.tail_seen.wrapping_sub(self.head);
        if ready > bytes.len() as u64 || !ready.is_multiple_of(UNIT as u64) {
            return None;
        }
        let mut ready = ready as usize;
        let mut at = place(self.head, bytes.len());
        let mut length = frame(bytes, at);
        if length == SKIP {
            let skipped = bytes.len() - at;
            ready = ready.checked_sub(skipped)?;
            self.head = self.head.wrapping_add(skipped as u64);
            at = 0;
            length = if ready == 0 { SKIP } else { frame(bytes, at) };
        }
        if length > limit(bytes.len()) as u64 {
            return None;
        }
        let length = length as usize;
        let size = frame_len(length);
        if size > ready || at + size > bytes.len() {
            return None;
        }
        let copied = size - FRAME;
        if record.len() < copied {
            record.resize(copied, 0);
        }
        bytes.copy_out(at + FRAME, &mut record[..copied]);
        self.head = self.head.wrapping_add(size as u64);
        Some(length)
    }
}

impl<W: Word> Control<W> {
    /// How many records were refused here, since the area was made.
    pub(crate) fn refused(&self) -> u64 {
        self.writer.refused.load(Ordering::Relaxed)
    }

    /// How many bytes wait here for the reader, frames included.
    pub(crate) fn waiting(&self) -> u64 {
        // The reader's first: it is never ahead of what the writer's says afterwards.
        let head = self.reader.head.load(Ordering::Acquire);
        let tail = self.writer.tail.load(Ordering::Relaxed);
        tail.wrapping_sub(head)
    }

    /// What a hostile writer can overwrite here.
    #[cfg(any(test, feature = "hostile"))]
    pub(super) fn words(&self) -> [&W; 5] {
        let (writer, reader) = (&self.writer, &self.reader);
        [
            &writer.tail,
            &writer.head_seen,
            &writer.refused,
            &reader.head,
            &reader.broken,
        ]
    }
}

impl fmt::Display for LaneError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str("the lane of this process is full: the worker lags behind"),
            Self::TooLarge { size, limit } => write!(
                f,
                "the message takes {size} bytes of a lane, of which {limit} is the most: \
                 make lanes larger"
            ),
            Self::Broken => f.write_str(
                "something overwrote the lane of this process, and nothing is read from it any \
                 more: the process has to end",
            ),
        }
    }
}

/// The largest record of a lane: wherever it begins, the rest of the ring and it fit into the ring.
pub(crate) const fn limit(lane: usize) -> usize {
    lane / 2 - FRAME
}

#[inline]
fn place(position: u64, lane: usize) -> usize {
    position as usize & (lane - 1) & !(UNIT - 1)
}

#[inline]
fn frame_len(record: usize) -> usize {
    FRAME + round_up(record)
}

#[inline]
fn frame(bytes: &impl Bytes, at: usize) -> u64 {
    let mut frame = [0; FRAME];
    bytes.copy_out(at, &mut frame);
    u64::from_ne_bytes(frame)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU64;

    use super::*;

    const LANE: usize = 256;

    struct Lane {
        control: Control<AtomicU64>,
        words: Vec<AtomicU64>,
        reader: Reader,
        buffer: Vec<u8>,
    }

    impl Lane {
        fn new() -> Self {
            Self {
                control: Control::default(),
                words: (0..LANE / UNIT).map(|_| AtomicU64::new(0)).collect(),
                reader: Reader::default(),
                buffer: Vec::new(),
            }
        }

        fn writer(&self) -> Writer<'_, AtomicU64, &[AtomicU64]> {
            Writer::new(&self.control, &self.words)
        }

        fn write(&self, record: &[u8]) -> Result<(), LaneError> {
            let mut writer = self.writer();
            let mut reserved = writer.reserve(record.len())?;
            reserved.bytes()[..record.len()].copy_from_slice(record);
            reserved.commit(record.len());
            Ok(())
        }

        fn take(&mut self) -> Result<Option<Vec<u8>>, Broken> {
            let bytes = &&*self.words;
            let taken = self.reader.take(&self.control, bytes, &mut self.buffer)?;
            Ok(taken.map(<[u8]>::to_vec))
        }
    }

    #[test]
    fn records_of_all_lengths_come_out_as_they_went_in() {
        let mut lane = Lane::new();
        for round in 0..50 {
            for len in 0..=limit(LANE) {
                let record = vec![(round + len) as u8; len];
                lane.write(&record).unwrap();
                assert_eq!(lane.take(), Ok(Some(record)));
                assert_eq!(lane.take(), Ok(None));
            }
        }
    }

    #[test]
    fn nothing_is_seen_before_it_is_committed() {
        let mut lane = Lane::new();
        lane.write(b"first").unwrap();
        let mut writer = lane.writer();
        writer.reserve(20).unwrap().bytes().fill(b'x');
        assert_eq!(lane.take(), Ok(Some(b"first".to_vec())));
        assert_eq!(lane.take(), Ok(None));
        lane.write(b"second").unwrap();
        assert_eq!(lane.take(), Ok(Some(b"second".to_vec())));
    }

    #[test]
    fn what_was_reserved_too_much_is_used_by_the_next() {
        let lane = Lane::new();
        for _ in 0..LANE / (FRAME + 8) - 6 {
            let mut writer = lane.writer();
            let mut reserved = writer.reserve(100).unwrap();
            reserved.bytes()[0] = 1;
            reserved.commit(1);
        }
        assert_eq!(lane.writer().reserve(100).unwrap_err(), LaneError::Full);
    }

    #[test]
    fn a_full_lane_refuses_and_counts_and_loses_nothing() {
        let mut lane = Lane::new();
        let mut written = 0_u8;
        while lane.write(&[written; 20]).is_ok() {
            written += 1;
        }
        assert_eq!(lane.write(&[0; 20]), Err(LaneError::Full));
        assert_eq!(lane.control.refused(), 2);
        for n in 0..written {
            assert_eq!(lane.take(), Ok(Some(vec![n; 20])));
        }
        lane.write(&[7; 20]).unwrap();
        assert_eq!(lane.take(), Ok(Some(vec![7; 20])));
    }

    #[test]
    fn what_never_fits_is_not_called_full() {
        let lane = Lane::new();
        let (size, limit) = (limit(LANE) + 1, limit(LANE));
        let error = LaneError::TooLarge { size, limit };
        assert_eq!(lane.writer().reserve(size).unwrap_err(), error);
        assert_eq!(lane.control.refused(), 0);
    }

    #[test]
    fn another_reader_goes_on_where_the_first_was() {
        let mut lane = Lane::new();
        lane.write(b"one").unwrap();
        lane.write(b"two").unwrap();
        assert_eq!(lane.take(), Ok(Some(b"one".to_vec())));
        lane.reader = Reader::new(&lane.control);
        assert_eq!(lane.take(), Ok(Some(b"two".to_vec())));
        assert_eq!(lane.take(), Ok(None));
    }

    #[test]
    fn nonsense_ends_the_lane_until_its_writer_is_gone() {
        let nonsense = [
            // Lengths: more than there is, more than there can be, to the end and nothing after it.
            (40, 16),
            (u64::MAX - 1, 16),
            (1 << 63, 16),
            (SKIP, 16),
            (SKIP, LANE as u64),
            // Tails: more than fits, in the middle of a word, before the head.
            (8, LANE as u64 + 8),
            (8, 17),
            (8, u64::MAX - 7),
        ];
        for (length, tail) in nonsense {
            let mut lane = Lane::new();
            lane.words[0].store(length, Ordering::Relaxed);
            lane.control.writer.tail.store(tail, Ordering::Relaxed);
            assert_eq!(lane.take(), Err(Broken), "{length} {tail}");
            assert_eq!(lane.take(), Ok(None));
            while lane.write(&[1; 40]).is_ok() {}
            assert_eq!(lane.write(&[1; 40]), Err(LaneError::Broken));
            lane.reader.clear(&lane.control);
            lane.write(b"anew").unwrap();
            assert_eq!(lane.take(), Ok(Some(b"anew".to_vec())));
        }
    }
}
