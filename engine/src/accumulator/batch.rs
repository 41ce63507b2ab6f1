//! One record batch in the making: records encoded once, at publish, into a chain of segments.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kafka_wire::record::{
    BATCH_HEADER_LEN, BatchHeader, RawHeaders, RecordFields, RecordHeaders, RecordReader,
};

use super::opaques::Opaques;
use super::segment::{Funding, LARGE_SEGMENT, Memory, SMALL_SEGMENT, Segment};
use crate::report::{Completion, RecordWalk};
use crate::time::{COARSE_RESOLUTION, Clock, Time};

/// A batch that waits is marked no more often than this.
const MARK_INTERVAL: Duration = Duration::from_millis(40);

/// No record of a mark's range was published later than this after the mark.
const MARK_SPAN: Duration = MARK_INTERVAL.saturating_add(COARSE_RESOLUTION);

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

impl<H: RecordHeaders + ?Sized> Entry<'_, H> {
    /// What a batch of this record alone takes on the wire.
    pub(crate) fn size_alone(&self) -> usize {
        BATCH_HEADER_LEN + self.fields(0, 0).encoded_len()
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
    /// Those that a future waits for, by index.
    pub(crate) completions: Vec<(u32, Completion)>,
}

/// Records of one partition that travel together. Open until it is drained; frozen from then on.
#[derive(Debug)]
pub(crate) struct Batch {
    body: Body,
    bytes: usize,
    count: u32,
    opaques: Opaques,
    completions: VecDeque<(u32, Completion)>,
    marks: Vec<Mark>,
    opened: Time,
    /// Wall clock minus monotonic clock in milliseconds, as of the last mark: a record then costs
    /// one clock reading.
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
    Frozen {
        header: [u8; BATCH_HEADER_LEN],
        segments: Vec<Bytes>,
    },
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

    /// Messages that have no outcome yet.
    pub(crate) fn unsettled(&self) -> u32 {
        self.count - self.settled
    }

    pub(crate) fn count(&self) -> u32 {
        self.count
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
        if coarse.since(self.last_mark()) >= MARK_INTERVAL {
            self.mark(coarse);
            self.wall_offset = wall_offset(clock, coarse);
        }
        self.encode(entry, coarse, limits, Funding::Budget)
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

    /// Fixes the bytes: from now on every attempt sends the same ones. Returns the batch header.
    pub(crate) fn freeze(&mut self) -> [u8; BATCH_HEADER_LEN] {
        let open = match &mut self.body {
            Body::Frozen { header, .. } => return *header,
            Body::Open(segments) => std::mem::take(segments),
        };
        let segments: Vec<Bytes> = open.into_iter().map(Segment::freeze).collect();
        let header = BatchHeader {
            last_offset_delta: self.count as i32 - 1,
            base_timestamp: self.base_timestamp,
            max_timestamp: self.max_timestamp,
            record_count: self.count as i32,
            ..BatchHeader::default()
        }
        .seal(segments.iter().map(Bytes::as_ref));
        self.body = Body::Frozen { header, segments };
        header
    }

    /// The frozen records, to be written behind the header.
    pub(crate) fn segments(&self) -> &[Bytes] {
        match &self.body {
            Body::Frozen { segments, .. } => segments,
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
    pub(crate) fn settle(&mut self, end: u32) -> Settlement {
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
        Settlement {
            opaques,
            completions: self.completions.drain(..here).collect(),
            range,
        }
    }

    /// The records from index `start` on, for reports that carry them: shared once frozen, copied
    /// while open.
    pub(crate) fn walk(&self, start: u32) -> RecordWalk {
        let segments = match &self.body {
            Body::Frozen { segments, .. } => segments.iter().cloned().collect(),
            Body::Open(segments) => segments
                .iter()
                .map(|segment| Bytes::copy_from_slice(segment.as_ref()))
                .collect(),
        };
        RecordWalk::new(segments, self.base_timestamp, start)
    }

    /// The same batch without the messages that have their outcome, in fresh memory.
    pub(crate) fn trimmed(self) -> Self {
        if self.settled == 0 {
            return self;
        }
        let mut rest = self.successor(self.published(self.settled));
        self.take_apart(|_, mut entry, published| {
            let appended = rest.adopt(&mut entry, published, BatchLimits::NONE);
            debug_assert_eq!(appended, Append::Done);
        });
        rest
    }

    /// A batch of just this record of this one.
    pub(crate) fn alone(&self, entry: &mut Entry<'_, RawHeaders<'_>>, published: Time) -> Self {
        let mut alone = self.successor(published);
        let appended = alone.adopt(entry, published, BatchLimits::NONE);
        debug_assert_eq!(appended, Append::Done);
        alone
    }

    /// Hands out every record that has no outcome yet, with its index and about when it was
    /// published.
    pub(crate) fn take_apart(mut self, mut take: impl FnMut(u32, Entry<'_, RawHeaders<'_>>, Time)) {
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
            Self::Frozen { segments, .. } => segments.iter().map(Bytes::as_ref).collect(),
        }
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
