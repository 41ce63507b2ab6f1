//! A message in a lane.
//!
//! ```text
//! opaque u64 | timestamp i64, i64::MIN: none | slot u32 | generation u32 | route u32
//! partition i32, -1: any | headers u32 | length of the key u32 | length of the value u32
//! length of the topic u32, none: that of the socket | topic
//! for each header: length of its name u32 | length of its value u32 | name | value
//! key | value, last, because its length may be known last
//! ```

use event_kafka::{Header, Record, check_topic_name};

use super::lane::{LaneError, Reservation, Writer};
use super::memory::{Bytes, Word};
use super::wire::{Get, Put, length};

/// A socket of the table: where it is, and which one of those that were there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct SocketId {
    pub(crate) slot: u32,
    pub(crate) generation: u32,
}

/// A message, and where it goes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Message<'a> {
    pub(crate) socket: SocketId,
    /// For the host, handed back with the report.
    pub(crate) route: u32,
    /// Instead of the socket's.
    pub(crate) topic: Option<&'a str>,
    pub(crate) record: Record<'a>,
}

/// A message in a lane whose value is being written in place. Dropped, it never was.
#[derive(Debug)]
pub(crate) struct Draft<'w, 'a, W, B> {
    reserved: Reservation<'w, 'a, W, B>,
    /// Where the value begins.
    head: usize,
}

/// A message as it was found in a lane.
#[derive(Clone, Debug)]
pub(crate) struct Found<'a> {
    message: Message<'a>,
    headers: Vec<Header<'a>>,
}

/// Bytes of a lane that any message takes.
pub(crate) const SMALLEST_RECORD: usize = FIXED + size_of::<u64>();

/// Before headers, key and value.
const FIXED: usize = 48;
const OFFSET_OF_VALUE_LENGTH: usize = 40;
const HEADER_FIXED: usize = 8;
const ANY_PARTITION: i32 = -1;
const NO_TIMESTAMP: i64 = i64::MIN;

impl<'w, 'a, W: Word, B: Bytes> Draft<'w, 'a, W, B> {
    /// Writes all but the value, for which `most` bytes are reserved.
    #[inline]
    pub(crate) fn begin(
        writer: &'w mut Writer<'a, W, B>,
        message: &Message<'_>,
        most: usize,
    ) -> Result<Self, LaneError> {
        let head = head_len(message);
        let mut reserved = writer.reserve(head.saturating_add(most))?;
        write_head(message, &mut reserved.bytes()[..head]);
        Ok(Self { reserved, head })
    }

    /// Room for the value: as many bytes as were asked for, or some more.
    #[inline]
    pub(crate) fn value(&mut self) -> &mut [u8] {
        let head = self.head;
        &mut self.reserved.bytes()[head..]
    }

    /// Publishes the message; its value is the first so many bytes, or none at all.
    ///
    /// # Panics
    /// There is no room for so many.
    #[inline]
    pub(crate) fn commit(mut self, value: Option<usize>) {
        let len = value.unwrap_or(0);
        let length = length(value.map(|len| &self.value()[..len]));
        let field = &mut self.reserved.bytes()[OFFSET_OF_VALUE_LENGTH..];
        Put(field).u32(length);
        self.reserved.commit(self.head + len);
    }
}

impl<'a> Found<'a> {
    /// `None` if it is nonsense.
    #[inline]
    pub(crate) fn decode(bytes: &'a [u8]) -> Option<Self> {
        let mut get = Get(bytes);
        let opaque = get.u64()?;
        let timestamp = get.u64()? as i64;
        let socket = SocketId {
            slot: get.u32()?,
            generation: get.u32()?,
        };
        let route = get.u32()?;
        let partition = get.u32()? as i32;
        let header_count = get.u32()?;
        let key_len = get.u32()?;
        let value_len = get.u32()?;
        let topic_len = get.u32()?;
        let topic = match get.optional(topic_len)? {
            Some(name) => Some(topic_name(name)?),
            None => None,
        };
        let headers = (0..header_count)
            .map(|_| decode_header(&mut get))
            .collect::<Option<Vec<_>>>()?;
        let key = get.optional(key_len)?;
        let value = get.optional(value_len)?;
        let record = Record {
            key,
            value,
            headers: &[],
            partition: (partition != ANY_PARTITION).then_some(partition),
            timestamp: (timestamp != NO_TIMESTAMP).then_some(timestamp),
            opaque,
        };
        let message = Message {
            socket,
            route,
            topic,
            record,
        };
        get.0.is_empty().then_some(Self { message, headers })
    }

    #[inline]
    pub(crate) fn message(&self) -> Message<'_> {
        Message {
            record: self.message.record.headers(&self.headers),
            ..self.message
        }
    }
}

fn decode_header<'a>(get: &mut Get<'a>) -> Option<Header<'a>> {
    let (name_len, value_len) = (get.u32()?, get.u32()?);
    Some(Header {
        name: str::from_utf8(get.bytes(name_len)?).ok()?,
        value: get.optional(value_len)?,
    })
}

/// What may be anything, as a name that a topic can have.
fn topic_name(bytes: &[u8]) -> Option<&str> {
    let name = str::from_utf8(bytes).ok()?;
    check_topic_name(name).ok().map(|()| name)
}

/// Bytes of all but the value.
#[inline]
fn head_len(message: &Message<'_>) -> usize {
    let headers = message.record.headers.iter();
    let headers = headers.map(|header| {
        let value = header.value.map_or(0, <[u8]>::len);
        HEADER_FIXED + header.name.len() + value
    });
    let topic = message.topic.map_or(0, str::len);
    FIXED + topic + headers.sum::<usize>() + message.record.key.map_or(0, <[u8]>::len)
}

#[inline]
fn write_head(message: &Message<'_>, head: &mut [u8]) {
    let Message {
        socket,
        route,
        topic,
        record,
    } = message;
    let mut put = Put(head);
    put.u64(record.opaque);
    put.u64(record.timestamp.unwrap_or(NO_TIMESTAMP) as u64);
    put.u32(socket.slot);
    put.u32(socket.generation);
    put.u32(*route);
    put.u32(record.partition.unwrap_or(ANY_PARTITION) as u32);
    put.u32(record.headers.len() as u32);
    put.length(record.key);
    put.length(None);
    let topic = topic.map(str::as_bytes);
    put.length(topic);
    put.bytes(topic.unwrap_or_default());
    for header in record.headers {
        put.u32(header.name.len() as u32);
        put.length(header.value);
        put.bytes(header.name.as_bytes());
        put.bytes(header.value.unwrap_or_default());
    }
    put.bytes(record.key.unwrap_or_default());
}
