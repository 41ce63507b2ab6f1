//! One record batch in the making: records encoded once, at publish, into a chain of segments.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kafka_wire::Codec;
use kafka_wire::compression::{DecompressError, decompress};
use kafka_wire::record::{
    Attributes, BATCH_HEADER_LEN, BatchHeader, Header, RawHeaders, RecordFields, RecordHeaders,
    RecordReader,
};

use super::Record;
use super::opaques::Opaques;
use super::segment::{Funding, LARGE_SEGMENT, Memory, SMALL_SEGMENT, Segment};
use super::stamp::Stamp;
use crate::report::{Completion, RecordWalk};
use crate::time::{COARSE_LAG, Clock, Time};

/// A batch that waits is marked no more often than this.
const MARK_INTERVAL: Duration = Duration::from_millis(36);

/// No record of a mark's range was published later than this after the mark.
const MARK_SPAN: Duration = MARK_INTERVAL.saturating_add(COARSE_LAG);

/// More than a record takes beside its key, value and headers: its length, attributes, timestamp,
/// offset, and the lengths of key and value.
const MAX_FRAMING: usize = 5 + 1 + 10 + 5 + 5 + 5;

/// When a batch is full.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BatchLimits {
    pub(crate) bytes: usize,
    pub(crate) messages: usize,
}

impl BatchLimits {
    const NONE: Self = Self {
        bytes: usize::MAX,
        messages: usize::MAX,
    };
}

/// A record on its way into a batch, with what the engine keeps beside it.
#[derive(Debug)]
pub(crate) struct Entry<'a, H: RecordHeaders + ?Sized> {
    pub(crate) key: Option<&'a [u8]>,
    pub(crate) value: Option<&'a [u8]>,
    pub(crate) headers: &'a H,
    /// Milliseconds since 1970; `None` takes the batch's clock.
    pub(crate) timestamp: Option<i64>,
    pub(crate) opaque: u64,
    pub(crate) completion: Option<Completion>,
}

impl<'a> Entry<'a, [Header<'a>]> {
    #[inline]
    pub(crate) fn of(record: &Record<'a>, completion: Option<Completion>) -> Self {
        Self {
            key: record.key,
            value: record.value,
            headers: record.headers,
            timestamp: record.timestamp,
            opaque: record.opaque,
            completion,
        }
    }
}

impl<H: RecordHeaders + ?Sized> Entry<'_, H> {
    /// What a batch of this record alone takes on the wire, if that is more than `limit`.
    pub(crate) fn size_beyond(&self, limit: usize) -> Option<usize> {
        let len = |bytes: Option<&[u8]>| bytes.map_or(0, <[u8]>::len);
        let content = len(self.key) + len(self.value) + self.headers.encoded_len();
        if BATCH_HEADER_LEN + MAX_FRAMING + content <= limit {
            // Nearly always: the exact size need not be known.
            return None;
        }
        let size = BATCH_HEADER_LEN + self.fields(0, 0).encoded_len();
        (size > limit).then_some(size)
    }

    /// What it takes in a batch, about.
    pub(crate) fn size(&self) -> usize {
        self.fields(0, 0).encoded_len()
    }

    fn fields(&self, timestamp_delta: i64, offset_delta: i32) -> RecordFields<'_, H> {
        RecordFields {
            timestamp_delta,
            offset_delta,
            key: self.key,
            value: self.value,
            headers: self.headers,
        }
    }
}

/// What became of an attempt to append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Append {
    Done,
    /// The record belongs into the next batch.
    BatchFull,
    /// The budget has no memory for it.
    NoMemory,
}

/// Messages of a batch that get their outcome together.
#[derive(Debug)]
pub(crate) struct Settlement {
    pub(crate) range: Range<u32>,
    pub(crate) opaques: Opaques,
    /// The records from the start of the range on, if they are to be reported.
    pub(crate) records: Option<RecordWalk>,
    /// Those that a future waits for, by index.
    pub(crate) completions: Vec<(u32, Completion)>,
}

impl Settlement {
    /// Nothing where it is about no message.
    pub(crate) fn if_any(self) -> Option<Self> {
        (!self.range.is_empty()).then_some(self)
    }
}

/// Records of one partition that travel together. Open until it is drained; frozen from then on.
#[derive(Debug)]
pub(crate) struct Batch {
    body: Body,
    /// `None` while the records are as they were encoded.
    packing: Option<Packing>,
    bytes: usize,
    count: u32,
    opaques: Opaques,
    completions: VecDeque<(u32, Completion)>,
    marks: Vec<Mark>,
    opened: Time,
    /// See [`Batch::wall_offset`]: with it a record costs one clock reading.
    wall_offset: i64,
    base_timestamp: i64,
    max_timestamp: i64,
    /// Messages at the front that have their outcome already (they expired).
    settled: u32,
    memory: Arc<Memory>,
}

#[derive(Debug)]
enum Body {
    Open(Vec<Segment>),
    /// No record is added any more.
    Sealed(Vec<Bytes>),
    Frozen {
        header: [u8; BATCH_HEADER_LEN],
        stamp: Option<Stamp>,
        segments: Vec<Bytes>,
    },
}

/// How the records of a batch were compressed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Packing {
    codec: Codec,
    /// Bytes of the records before.
    plain_bytes: usize,
    /// The records before, in a replay, where nothing is compressed in truth.
    original: Option<Bytes>,
}

/// Records from `index` on were published at `time` or up to [`MARK_SPAN`] later.
#[derive(Clone, Copy, Debug)]
struct Mark {
    time: Time,
    index: u32,
}

impl Batch {
    pub(crate) fn open(memory: &Arc<Memory>, clock: &(impl Clock + ?Sized), coarse: Time) -> Self {
        Self::empty(memory, clock.now(), coarse, wall_offset(clock, coarse))
    }

    /// An empty batch for records of this one.
    pub(crate) fn successor(&self, first_published: Time) -> Self {
        Self::empty(&self.memory, self.opened, first_published, self.wall_offset)
    }

    fn empty(memory: &Arc<Memory>, opened: Time, coarse: Time, wall_offset: i64) -> Self {
        Self {
            body: Body::Open(Vec::new()),
            packing: None,
            bytes: 0,
            count: 0,
            opaques: Opaques::new(memory),
            completions: VecDeque::new(),
            marks: vec![Mark {
                time: coarse,
                index: 0,
            }],
            opened,
            wall_offset,
            base_timestamp: 0,
            max_timestamp: i64::MIN,
            settled: 0,
            memory: Arc::clone(memory),
        }
    }

    /// When the first record came.
    pub(crate) fn opened(&self) -> Time {
        self.opened
    }

    /// Wall clock minus monotonic clock in milliseconds, as of the last mark.
    pub(super) fn wall_offset(&self) -> i64 {
        self.wall_offset
    }

    /// Whether the last mark is at this time.
    pub(super) fn ends_at(&self, coarse: Time) -> bool {
        self.last_mark() == coarse
    }

    /// Messages, those included that have their outcome.
    pub(crate) fn count(&self) -> u32 {
        self.count
    }

    /// Messages that have no outcome yet.
    pub(crate) fn unsettled(&self) -> u32 {
        self.count - self.settled
    }

    /// Bytes on the wire, header included.
    pub(crate) fn size(&self) -> usize {
        BATCH_HEADER_LEN + self.bytes
    }

    pub(crate) fn is_full(&self, limits: BatchLimits) -> bool {
        self.count as usize >= limits.messages || self.size() >= limits.bytes
    }

    /// Encodes a record behind the others. `coarse` is the time; it is marked if the last mark is
    /// old.
    pub(crate) fn append<H: RecordHeaders + ?Sized>(
        &mut self,
        entry: &mut Entry<'_, H>,
        clock: &(impl Clock + ?Sized),
        coarse: Time,
        limits: BatchLimits,
    ) -> Append {
        self.keep_marks(clock, coarse);
        self.encode(entry, coarse, limits, Funding::Budget)
    }

    /// Marks `coarse` if the last mark is old. Inlined, as [`Batch::encode`] is: that a replay calls
    /// them too makes the compiler do otherwise, and publishers pay 20 instructions for each call.
    #[inline(always)]
    pub(crate) fn keep_marks(&mut self, clock: &(impl Clock + ?Sized), coarse: Time) {
        if coarse.since(self.last_mark()) >= MARK_INTERVAL {
            self.mark(coarse);
            self.wall_offset = wall_offset(clock, coarse);
        }
    }

    /// Takes over a record that another batch [gave up](Self::take_apart); never lacks memory.
    pub(crate) fn adopt(
        &mut self,
        entry: &mut Entry<'_, RawHeaders<'_>>,
        published: Time,
        limits: BatchLimits,
    ) -> Append {
        if published > self.last_mark() {
            self.mark(published);
        }
        self.encode(entry, published, limits, Funding::Granted)
    }

    #[inline(always)]
    fn encode<H: RecordHeaders + ?Sized>(
        &mut self,
        entry: &mut Entry<'_, H>,
        coarse: Time,
        limits: BatchLimits,
        funding: Funding,
    ) -> Append {
        let timestamp = entry
            .timestamp
            .unwrap_or_else(|| millis(coarse) + self.wall_offset);
        if self.count == 0 {
            self.base_timestamp = timestamp;
        }
        let fields = entry.fields(timestamp - self.base_timestamp, self.count as i32);
        let len = fields.encoded_len();
        let full = self.count as usize >= limits.messages || self.size() + len > limits.bytes;
        if full && self.count > 0 {
            return Append::BatchFull;
        }
        let Some(segment) = self.room_for(len, funding) else {
            return Append::NoMemory;
        };
        fields.encode(segment.tail());
        if !self.opaques.push(entry.opaque, funding) {
            self.take_back(len);
            return Append::NoMemory;
        }
        if let Some(completion) = entry.completion.take() {
            self.completions.push_back((self.count, completion));
        }
        self.bytes += len;
        self.count += 1;
        self.max_timestamp = self.max_timestamp.max(timestamp);
        Append::Done
    }

    fn room_for(&mut self, len: usize, funding: Funding) -> Option<&mut Segment> {
        let Body::Open(segments) = &mut self.body else {
            return None;
        };
        if !segments.last().is_some_and(|last| last.has_room(len)) {
            // Memory that is taken and given back at once would wake whoever waits for memory, and
            // so the very publisher that tries in vain, for ever.
            let needed = len + self.opaques.least_growth();
            if funding == Funding::Budget && !self.memory.budget().bytes().fits(needed) {
                return None;
            }
            let small = segments.is_empty() && len <= SMALL_SEGMENT;
            let ideal = if small { SMALL_SEGMENT } else { LARGE_SEGMENT };
            segments.push(self.memory.segment(ideal, len, funding)?);
        }
        segments.last_mut()
    }

    fn take_back(&mut self, len: usize) {
        if let Body::Open(segments) = &mut self.body
            && let Some(last) = segments.last_mut()
        {
            let rest = last.as_ref().len() - len;
            last.tail().truncate(rest);
        }
    }

    /// Ends the batch: no record is added any more. Returns the records, to be compressed.
    pub(crate) fn seal(&mut self) -> Vec<Bytes> {
        self.body = Body::Sealed(self.take_segments());
        self.segments().to_vec()
    }

    /// Puts the compressed records into the place of the [sealed](Self::seal) ones; `original` are
    /// those where they could not be had back otherwise.
    pub(crate) fn pack(&mut self, codec: Codec, compressed: Vec<Bytes>, original: Option<Bytes>) {
        self.packing = Some(Packing {
            codec,
            plain_bytes: self.bytes,
            original,
        });
        self.bytes = compressed.iter().map(Bytes::len).sum();
        self.body = Body::Sealed(compressed);
    }

    /// Whether the records are compressed.
    pub(crate) fn is_packed(&self) -> bool {
        self.packing.is_some()
    }

    /// Decompresses the records again, for whoever has to change them. An error is one of the codec,
    /// which has written them itself; the batch then stays as it is.
    pub(crate) fn unpack(&mut self) -> Result<(), DecompressError> {
        if let Some(packing) = &self.packing {
            let plain = packing.undo(self.segments(), &self.memory)?;
            self.bytes = plain.len();
            self.body = Body::Sealed(vec![plain]);
            self.packing = None;
        }
        Ok(())
    }

    /// Unpacks what a leader that speaks Produce in this version could not read: a newer one led
    /// the partition when it was packed.
    pub(crate) fn suit(&mut self, produce: i16) {
        let codec = self.packing.as_ref().map(|packing| packing.codec);
        if codec.is_some_and(|codec| codec.oldest_produce() > produce) {
            // Failing that, the leader says what it thinks of it.
            let _ = self.unpack();
        }
    }

    fn take_segments(&mut self) -> Vec<Bytes> {
        match &mut self.body {
            Body::Open(segments) => {
                let open = std::mem::take(segments);
                open.into_iter().map(Segment::freeze).collect()
            }
            Body::Sealed(segments) | Body::Frozen { segments, .. } => std::mem::take(segments),
        }
    }

    /// Fixes the bytes: from now on every attempt under this `stamp` sends the same ones. Returns the
    /// batch header.
    pub(crate) fn freeze(&mut self, stamp: Option<Stamp>) -> [u8; BATCH_HEADER_LEN] {
        if let Body::Frozen {
            header, stamp: own, ..
        } = &self.body
            && *own == stamp
        {
            return *header;
        }
        let segments = self.take_segments();
        let codec = self
            .packing
            .as_ref()
            .map_or(0, |packing| packing.codec.number());
        let numbered = stamp.map_or(BatchHeader::default(), |stamp| BatchHeader {
            producer_id: stamp.producer.id,
            producer_epoch: stamp.producer.epoch,
            base_sequence: stamp.sequence,
            ..BatchHeader::default()
        });
        let header = BatchHeader {
            attributes: Attributes::default().with_codec(codec),
            last_offset_delta: self.count as i32 - 1,
            base_timestamp: self.base_timestamp,
            max_timestamp: self.max_timestamp,
            record_count: self.count as i32,
            ..numbered
        }
        .seal(segments.iter().map(Bytes::as_ref));
        self.body = Body::Frozen {
            header,
            stamp,
            segments,
        };
        header
    }

    /// The frozen records, to be written behind the header.
    pub(crate) fn segments(&self) -> &[Bytes] {
        match &self.body {
            Body::Sealed(segments) | Body::Frozen { segments, .. } => segments,
            Body::Open(_) => &[],
        }
    }

    /// How many messages at the front are `timeout` old: none too early, each at most
    /// [`MARK_SPAN`] late.
    pub(crate) fn expired(&self, now: Time, timeout: Duration) -> u32 {
        let alive = self.marks.iter().find(|mark| mark.expiry(timeout) > now);
        alive.map_or(self.count, |mark| mark.index)
    }

    /// When the next message expires.
    pub(crate) fn next_expiry(&self, timeout: Duration) -> Time {
        let ends = self
            .marks
            .iter()
            .skip(1)
            .map(|mark| mark.index)
            .chain([self.count]);
        let mut alive = self
            .marks
            .iter()
            .zip(ends)
            .filter(|(_, end)| *end > self.settled);
        alive
            .next()
            .map_or(Time::NEVER, |(mark, _)| mark.expiry(timeout))
    }

    /// Takes what has to be told about the messages before `end` that have no outcome yet.
    /// `with_records` adds the records themselves.
    pub(crate) fn settle(&mut self, end: u32, with_records: bool) -> Settlement {
        let range = self.settled..end.max(self.settled);
        self.settled = range.end;
        let opaques = match range.len() as u32 {
            // All may be gone already, and their opaques with them.
            0 => Opaques::new(&self.memory),
            all if all == self.count => {
                std::mem::replace(&mut self.opaques, Opaques::new(&self.memory))
            }
            _ => self.opaques.copy(range.clone()),
        };
        let here = self
            .completions
            .partition_point(|(index, _)| *index < range.end);
        let records = (with_records && !range.is_empty()).then(|| self.walk(range.start));
        Settlement {
            opaques,
            records,
            completions: self.completions.drain(..here).collect(),
            range,
        }
    }

    /// [Settles](Batch::settle) what is left.
    pub(crate) fn settle_rest(&mut self, with_records: bool) -> Settlement {
        self.settle(self.count, with_records)
    }

    /// The records from index `start` on, for reports that carry them: shared once frozen, copied
    /// while open.
    fn walk(&self, start: u32) -> RecordWalk {
        let segments = match &self.body {
            Body::Open(segments) => segments
                .iter()
                .map(|segment| Bytes::copy_from_slice(segment.as_ref()))
                .collect(),
            Body::Sealed(_) | Body::Frozen { .. } => self.segments().iter().cloned().collect(),
        };
        let packing = self
            .packing
            .clone()
            .map(|packing| (packing, Arc::clone(&self.memory)));
        RecordWalk::new(segments, packing, self.base_timestamp, start)
    }

    /// The same batch without the messages that have their outcome, in fresh memory and not
    /// compressed. What cannot be decompressed stays as it is: that it comes to more than was
    /// reported is better than that it does not come.
    pub(crate) fn trimmed(mut self) -> Self {
        if self.settled == 0 || self.unpack().is_err() {
            return self;
        }
        let mut rest = self.successor(self.published(self.settled));
        self.take_apart(|_, mut entry, published| {
            let appended = rest.adopt(&mut entry, published, BatchLimits::NONE);
            debug_assert_eq!(appended, Append::Done);
        });
        rest
    }

    /// The messages without an outcome in batches of about half the size, each with the index that
    /// its first message had here.
    pub(crate) fn split(self) -> Vec<(u32, Self)> {
        let limits = BatchLimits {
            bytes: BATCH_HEADER_LEN + self.bytes / 2,
            ..BatchLimits::NONE
        };
        let template = self.successor(Time::default());
        let mut parts: Vec<(u32, Self)> = Vec::new();
        self.take_apart(|index, mut entry, published| {
            let last = parts.last_mut();
            let joined = last.map(|(_, part)| part.adopt(&mut entry, published, limits));
            if joined != Some(Append::Done) {
                parts.push((index, template.alone(&mut entry, published)));
            }
        });
        parts
    }

    /// The messages without an outcome but for some, and each of those alone, with its index.
    pub(crate) fn without(self, unwanted: impl Fn(u32) -> bool) -> (Self, Vec<(u32, Self)>) {
        let template = self.successor(Time::default());
        let mut rest = self.successor(self.published(self.settled));
        let mut removed = Vec::new();
        self.take_apart(|index, mut entry, published| {
            if unwanted(index) {
                removed.push((index, template.alone(&mut entry, published)));
            } else {
                let appended = rest.adopt(&mut entry, published, BatchLimits::NONE);
                debug_assert_eq!(appended, Append::Done);
            }
        });
        (rest, removed)
    }

    /// A batch of just this record of this one.
    pub(crate) fn alone(&self, entry: &mut Entry<'_, RawHeaders<'_>>, published: Time) -> Self {
        let mut alone = self.successor(published);
        let appended = alone.adopt(entry, published, BatchLimits::NONE);
        debug_assert_eq!(appended, Append::Done);
        alone
    }

    /// Hands out every record that has no outcome yet, with its index and about when it was
    /// published. They must not be compressed.
    pub(crate) fn take_apart(mut self, mut take: impl FnMut(u32, Entry<'_, RawHeaders<'_>>, Time)) {
        debug_assert!(!self.is_packed());
        let mut completions = std::mem::take(&mut self.completions);
        let mut index = 0;
        for segment in self.body.segments() {
            for record in RecordReader::new(segment) {
                let view = record.expect("the engine encoded this record itself");
                if index >= self.settled {
                    let waited_for = completions.front().is_some_and(|(at, _)| *at == index);
                    let completion = if waited_for {
                        completions.pop_front()
                    } else {
                        None
                    };
                    let entry = Entry {
                        key: view.key,
                        value: view.value,
                        headers: &view.headers,
                        timestamp: Some(self.base_timestamp + view.timestamp_delta),
                        opaque: self.opaques.as_slice()[index as usize],
                        completion: completion.map(|(_, completion)| completion),
                    };
                    take(index, entry, self.published(index));
                }
                index += 1;
            }
        }
    }

    /// The mark of a record.
    fn published(&self, index: u32) -> Time {
        let after = self.marks.partition_point(|mark| mark.index <= index);
        self.marks[after.saturating_sub(1)].time
    }

    fn mark(&mut self, time: Time) {
        let mark = Mark {
            time,
            index: self.count,
        };
        match self.marks.last_mut() {
            // No record came since the last mark: the budget had no memory for it.
            Some(last) if last.index == mark.index => *last = mark,
            _ => self.marks.push(mark),
        }
    }

    fn last_mark(&self) -> Time {
        self.marks[self.marks.len() - 1].time
    }
}

impl Body {
    fn segments(&self) -> Vec<&[u8]> {
        match self {
            Self::Open(segments) => segments.iter().map(Segment::as_ref).collect(),
            Self::Sealed(segments) | Self::Frozen { segments, .. } => {
                segments.iter().map(Bytes::as_ref).collect()
            }
        }
    }
}

impl Packing {
    /// The records as they were before.
    pub(crate) fn undo(
        &self,
        compressed: &[Bytes],
        memory: &Arc<Memory>,
    ) -> Result<Bytes, DecompressError> {
        if let Some(original) = &self.original {
            return Ok(original.clone());
        }
        let plain = match compressed {
            [whole] => decompress(self.codec, whole, self.plain_bytes),
            pieces => decompress(self.codec, &pieces.concat(), self.plain_bytes),
        };
        Ok(memory.hold(plain?).freeze())
    }
}

impl Mark {
    fn expiry(&self, timeout: Duration) -> Time {
        self.time.after(MARK_SPAN).after(timeout)
    }
}

fn wall_offset(clock: &(impl Clock + ?Sized), coarse: Time) -> i64 {
    clock.wall_ms() - millis(coarse)
}

fn millis(time: Time) -> i64 {
    (time.as_nanos() / 1_000_000) as i64
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use kafka_wire::record::{Header, read_batch};

    use super::super::budget::Budget;
    use super::*;

    struct TestClock(Cell<u64>);

    impl TestClock {
        fn pass(&self, duration: Duration) {
            self.0.set(self.0.get() + duration.as_nanos() as u64);
        }
    }

    impl Clock for TestClock {
        fn now(&self) -> Time {
            Time::from_nanos(self.0.get())
        }

        fn coarse(&self) -> Time {
            let tick = COARSE_LAG.as_nanos() as u64;
            Time::from_nanos(self.0.get() / tick * tick)
        }

        fn wall_ms(&self) -> i64 {
            (self.0.get() / 1_000_000) as i64
        }
    }

    const NO_HEADERS: &[Header<'static>] = &[];

    fn entry(value: &[u8], opaque: u64) -> Entry<'_, [Header<'static>]> {
        Entry {
            key: None,
            value: Some(value),
            headers: NO_HEADERS,
            timestamp: None,
            opaque,
            completion: None,
        }
    }

    fn started() -> (TestClock, Batch) {
        let clock = TestClock(Cell::new(1_234_567_890));
        let memory = Memory::new(Budget::new(None, usize::MAX));
        let batch = Batch::open(&memory, &clock, clock.coarse());
        (clock, batch)
    }

    fn append(batch: &mut Batch, clock: &TestClock, value: &[u8], opaque: u64) {
        let coarse = clock.coarse();
        let appended = batch.append(&mut entry(value, opaque), clock, coarse, BatchLimits::NONE);
        assert_eq!(appended, Append::Done);
    }

    /// The values as a reader of the wire finds them.
    fn values(batch: &mut Batch) -> Vec<Vec<u8>> {
        let header = batch.freeze(None);
        let segments = batch.segments().iter().map(Bytes::as_ref);
        let wire: Vec<u8> = [&header[..]]
            .into_iter()
            .chain(segments)
            .flatten()
            .copied()
            .collect();
        assert_eq!(wire.len(), batch.size());
        let (header, records) = read_batch(&wire).expect("a batch");
        let records = header.read_records(records).expect("not compressed");
        records
            .map(|record| record.expect("a record").value.expect("a value").to_vec())
            .collect()
    }

    #[test]
    fn messages_expire_in_order_never_early_and_at_most_50_ms_late() {
        const TIMEOUT: Duration = Duration::from_secs(1);
        const LATENESS: Duration = Duration::from_millis(50);
        for seed in 0..50 {
            let mut random = fastrand::Rng::with_seed(seed);
            let (clock, mut batch) = started();
            let mut published = Vec::new();
            for opaque in 0..200 {
                append(&mut batch, &clock, b"v", opaque);
                published.push(clock.now());
                let longest = if random.u8(..10) == 0 { 200_000 } else { 3_000 };
                clock.pass(Duration::from_micros(random.u64(..longest)));
            }
            let mut now = Time::default();
            while batch.unsettled() > 0 {
                now = now.max(batch.next_expiry(TIMEOUT));
                let before = batch.settled;
                let expired = batch.expired(now, TIMEOUT);
                assert!(
                    expired > before,
                    "next_expiry names a time at which something expires"
                );
                batch.settle(expired, false);
                for published in &published[before as usize..expired as usize] {
                    let age = now.since(*published);
                    assert!(age >= TIMEOUT && age <= TIMEOUT + LATENESS, "{age:?}");
                }
            }
            assert_eq!(batch.next_expiry(TIMEOUT), Time::NEVER);
        }
    }

    #[test]
    fn a_busy_batch_is_marked_no_more_often_than_the_interval() {
        let (clock, mut batch) = started();
        for opaque in 0..10_000 {
            append(&mut batch, &clock, b"v", opaque);
            clock.pass(Duration::from_micros(100));
        }
        assert!(batch.marks.len() <= 1_000 / 36 + 1, "{}", batch.marks.len());
    }

    #[test]
    fn trimming_keeps_the_rest_as_it_was() {
        let (clock, mut batch) = started();
        for number in 0_u64..100 {
            let value = number.to_be_bytes();
            let mut entry = Entry {
                timestamp: (number % 3 == 0).then_some(number as i64),
                completion: (number % 5 == 0).then(Completion::default),
                ..entry(&value, number)
            };
            let coarse = clock.coarse();
            batch.append(&mut entry, &clock, coarse, BatchLimits::NONE);
            clock.pass(Duration::from_millis(7));
        }
        let expiry_of_rest = {
            let timeout = Duration::from_secs(1);
            batch.settle(33, false);
            batch.next_expiry(timeout)
        };
        let mut rest = batch.trimmed();
        assert_eq!((rest.count, rest.unsettled()), (67, 67));
        assert_eq!(rest.next_expiry(Duration::from_secs(1)), expiry_of_rest);
        let expected: Vec<Vec<u8>> = (33_u64..100).map(|n| n.to_be_bytes().into()).collect();
        assert_eq!(values(&mut rest), expected);
        let settlement = rest.settle(67, false);
        assert_eq!(
            settlement.opaques.as_slice(),
            (33..100).collect::<Vec<u64>>()
        );
        let waited_for: Vec<u32> = settlement
            .completions
            .iter()
            .map(|(at, _)| *at + 33)
            .collect();
        assert_eq!(waited_for, (35..100).step_by(5).collect::<Vec<u32>>());
    }

    #[test]
    fn a_record_never_straddles_two_segments() {
        let mut random = fastrand::Rng::with_seed(9);
        let (clock, mut batch) = started();
        for opaque in 0..200 {
            let magnitude = random.u32(0..18);
            let len = random.usize(..1 << magnitude);
            append(&mut batch, &clock, &vec![b'v'; len], opaque);
        }
        batch.freeze(None);
        let counts = batch.segments().iter().map(|segment| {
            let records: Result<Vec<_>, _> = RecordReader::new(segment).collect();
            records.expect("whole records").len()
        });
        assert_eq!(counts.sum::<usize>(), 200);
        assert_eq!(values(&mut batch).len(), 200);
    }

    #[test]
    fn settling_again_tells_nothing_twice() {
        let (clock, mut batch) = started();
        for opaque in 0..10 {
            append(&mut batch, &clock, b"v", opaque);
        }
        assert_eq!(batch.settle(4, false).opaques.as_slice(), [0, 1, 2, 3]);
        assert_eq!(batch.settle(2, false).range.len(), 0);
        assert_eq!(
            batch.settle(10, false).opaques.as_slice(),
            [4, 5, 6, 7, 8, 9]
        );
        assert_eq!(batch.settle(10, false).range.len(), 0);
        let (clock, mut batch) = started();
        append(&mut batch, &clock, b"v", 1);
        assert_eq!(batch.settle(1, false).opaques.as_slice(), [1]);
        assert_eq!(batch.settle(1, false).opaques.as_slice(), []);
    }

    #[test]
    fn a_record_without_memory_leaves_the_batch_as_it_was() {
        let clock = TestClock(Cell::new(1_000_000_000));
        let memory = Memory::new(Budget::new(None, SMALL_SEGMENT + 200));
        let mut batch = Batch::open(&memory, &clock, clock.coarse());
        let mut refused = 0;
        for opaque in 0..1000 {
            let before = (batch.size(), batch.count);
            let coarse = clock.coarse();
            let mut entry = entry(b"0123456789", opaque);
            match batch.append(&mut entry, &clock, coarse, BatchLimits::NONE) {
                Append::Done => assert_eq!(refused, 0),
                _ => {
                    assert_eq!((batch.size(), batch.count), before);
                    refused += 1;
                }
            }
        }
        let accepted = 1000 - refused;
        assert_eq!(batch.count, accepted);
        assert_eq!(values(&mut batch).len(), accepted as usize);
    }
}
