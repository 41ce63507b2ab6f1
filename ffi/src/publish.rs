//! Publishing, and the three ways to meet a full queue.

use std::ffi::{c_char, c_int, c_void};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use event_kafka::{Header, Producer, PublishError, Record, Room, Topic};
use parking_lot::Mutex;

use crate::bell::Bell;
use crate::error::{Error, call, call_without_text};
use crate::pointer::{self, Out};
use crate::producer::{Client, ClientTopic, ProducerHandle, TopicHandle, find, find_topic, millis};

/// A header of a message.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct MessageHeader {
    /// Its name, UTF-8, without a NUL at the end.
    pub name: *const c_char,
    /// Bytes of the name.
    pub name_size: usize,
    /// Its value; NULL is a null value, which differs from an empty one.
    pub value: *const c_void,
    /// Bytes of the value.
    pub value_size: usize,
}

/// A message. Begin with EVENT_KAFKA_MESSAGE_INIT: a zeroed one would name partition 0.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Message {
    /// The payload; NULL is a tombstone, which deletes its key from a compacted topic and differs
    /// from an empty payload.
    pub value: *const c_void,
    /// Bytes of the payload.
    pub value_size: usize,
    /// The key, which decides the partition where none is given; NULL is none.
    pub key: *const c_void,
    /// Bytes of the key.
    pub key_size: usize,
    /// Headers, in this order; a name may come more than once.
    pub headers: *const MessageHeader,
    /// How many headers.
    pub header_count: usize,
    /// When it happened, in milliseconds since 1970; EVENT_KAFKA_TIMESTAMP_NOW is now.
    pub timestamp: i64,
    /// Handed back with the report.
    pub opaque: u64,
    /// The partition, from 0; EVENT_KAFKA_PARTITION_ANY lets the partitioner choose.
    pub partition: i32,
}

/// For messages: the partitioner chooses.
pub const EVENT_KAFKA_PARTITION_ANY: i32 = -1;
/// For messages: the time of publishing.
pub const EVENT_KAFKA_TIMESTAMP_NOW: i64 = 0;

/// Accepts a message for delivery, or refuses it. The message is copied: its memory is the caller's
/// again when this returns. Every accepted message gets exactly one report, and a refused one none.
///
/// A full queue is an error at once with timeout_ms 0, after so many milliseconds otherwise. For a
/// third way, an event loop's, see event_kafka_room_fd().
///
/// Any thread, at any time, and many at a time. With timeout_ms 0 it never waits.
///
/// Errors: EVENT_KAFKA_ERR_QUEUE_FULL, EVENT_KAFKA_ERR_MSG_SIZE_TOO_LARGE,
/// EVENT_KAFKA_ERR_UNKNOWN_PARTITION, EVENT_KAFKA_ERR_INVALID_ARG, EVENT_KAFKA_ERR_CLOSED,
/// EVENT_KAFKA_ERR_FATAL, EVENT_KAFKA_ERR_BAD_HANDLE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_kafka_publish(
    topic: TopicHandle,
    message: *const Message,
    timeout_ms: u32,
    text: *mut c_char,
    text_size: usize,
) -> i32 {
    let body = || {
        // SAFETY: the caller has a message there.
        let message = unsafe { pointer::reference(message, "message") }?;
        let publish = |record: Record<'_>| find_topic(topic)?.publish(record, timeout_ms);
        // SAFETY: all that a message points to has the size that it says.
        unsafe { with_record(message, publish) }
    };
    // SAFETY: the caller's buffer has the size that it says.
    unsafe { call(text, text_size, body) }
}

/// Gives a descriptor for poll() and its like that tells when to publish again: from this call on
/// it is not readable while the last word of event_kafka_publish() was EVENT_KAFKA_ERR_QUEUE_FULL
/// and no room has come since. It may be readable though another thread has taken the room: publish
/// and see. Neither read from it nor close it; it is gone with event_kafka_free().
///
/// Any thread, at any time.
///
/// Errors: EVENT_KAFKA_ERR_SYSTEM, EVENT_KAFKA_ERR_INVALID_ARG, EVENT_KAFKA_ERR_BAD_HANDLE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_kafka_room_fd(producer: ProducerHandle, fd: *mut c_int) -> i32 {
    call_without_text(|| {
        // SAFETY: the caller has room for a number there.
        let out = unsafe { Out::new(fd, "fd") }?;
        out.set(find(producer)?.room_bell()?.waiter.bell.descriptor());
        Ok(())
    })
}

/// Rings when there may be room again.
pub(crate) struct RoomBell {
    waiter: Arc<Waiter>,
    room: Mutex<Room>,
}

struct Waiter {
    bell: Bell,
    /// Whether a refusal waits for room: the bell is silent, or about to be, and will ring.
    waits: AtomicBool,
}

impl Client {
    fn room_bell(&self) -> Result<&RoomBell, Error> {
        if let Some(room) = self.room.get() {
            return Ok(room);
        }
        let room = RoomBell::new(&self.producer)?;
        Ok(self.room.get_or_init(|| room))
    }
}

impl ClientTopic {
    #[inline]
    fn publish(&self, record: Record<'_>, timeout_ms: u32) -> Result<(), Error> {
        let result = match timeout_ms {
            0 => self.topic.publish(record),
            _ => self.topic.publish_within(record, millis(timeout_ms)),
        };
        result.or_else(|refusal| self.after_refusal(&record, refusal))
    }

    #[cold]
    fn after_refusal(&self, record: &Record<'_>, refusal: PublishError) -> Result<(), Error> {
        let result = match self.client.room.get() {
            Some(room) if refusal.is_queue_full() => {
                room.after_refusal(&self.topic, record, refusal)
            }
            _ => Err(refusal),
        };
        result.map_err(|refusal| {
            self.client.refused.fetch_add(1, Ordering::Relaxed);
            Error::Publish(refusal)
        })
    }
}

impl RoomBell {
    fn new(producer: &Producer) -> Result<Self, Error> {
        let waiter = Waiter {
            bell: Bell::new()?,
            waits: AtomicBool::new(false),
        };
        waiter.bell.ring();
        Ok(Self {
            waiter: Arc::new(waiter),
            room: Mutex::new(producer.room()),
        })
    }

    /// Has the bell rung when room comes, or publishes if it came just now.
    fn after_refusal(
        &self,
        topic: &Topic,
        record: &Record<'_>,
        full: PublishError,
    ) -> Result<(), PublishError> {
        if self.waiter.waits.swap(true, Ordering::SeqCst) {
            return Err(full);
        }
        self.waiter.bell.silence();
        let waker = Waker::from(Arc::clone(&self.waiter));
        let mut room = self.room.lock();
        match topic.poll_publish(record, &mut room, &mut Context::from_waker(&waker)) {
            Poll::Pending => Err(full),
            Poll::Ready(result) => {
                waker.wake();
                result
            }
        }
    }
}

impl Wake for Waiter {
    fn wake(self: Arc<Self>) {
        self.waits.store(false, Ordering::SeqCst);
        self.bell.ring();
    }
}

/// The headers of a message as the library takes them. Few messages have more than `FEW`; those pay
/// for an allocation.
struct Headers<'a> {
    few: [Header<'a>; FEW],
    many: Vec<Header<'a>>,
    count: usize,
}

const FEW: usize = 8;

impl<'a> Headers<'a> {
    /// # Safety
    /// The message has so many headers as it says, and what they point to has the size that they
    /// say.
    unsafe fn read(message: &'a Message) -> Result<Self, Error> {
        // SAFETY: promised.
        let given = unsafe { pointer::slice(message.headers, message.header_count, "headers") }?;
        let none = Header {
            name: "",
            value: None,
        };
        let mut headers = Self {
            few: [none; FEW],
            many: Vec::new(),
            count: given.len(),
        };
        if given.len() > FEW {
            headers.many.resize(given.len(), none);
        }
        for (place, header) in headers.places().iter_mut().zip(given) {
            // SAFETY: promised.
            *place = unsafe { read_header(header) }?;
        }
        Ok(headers)
    }

    fn places(&mut self) -> &mut [Header<'a>] {
        match self.count > FEW {
            true => &mut self.many,
            false => &mut self.few[..self.count],
        }
    }

    fn as_slice(&self) -> &[Header<'a>] {
        match self.count > FEW {
            true => &self.many,
            false => &self.few[..self.count],
        }
    }
}

/// Hands over the record that a message describes.
///
/// # Safety
/// What the message points to has the size that it says.
#[inline]
pub(crate) unsafe fn with_record(
    message: &Message,
    body: impl FnOnce(Record<'_>) -> Result<(), Error>,
) -> Result<(), Error> {
    let some;
    let headers = match message.header_count {
        // Most have none, and room for some costs 20 ns.
        0 => &[],
        _ => {
            // SAFETY: promised.
            some = unsafe { Headers::read(message) }?;
            some.as_slice()
        }
    };
    // SAFETY: promised.
    body(unsafe { record(message) }?.headers(headers))
}

/// Without its headers.
///
/// # Safety
/// What the message points to has the size that it says.
#[inline]
unsafe fn record(message: &Message) -> Result<Record<'_>, Error> {
    Ok(Record {
        // SAFETY: promised.
        key: unsafe { bytes(message.key, message.key_size, "key") }?,
        // SAFETY: promised.
        value: unsafe { bytes(message.value, message.value_size, "value") }?,
        headers: &[],
        partition: partition(message.partition)?,
        timestamp: (message.timestamp != EVENT_KAFKA_TIMESTAMP_NOW).then_some(message.timestamp),
        opaque: message.opaque,
    })
}

fn partition(number: i32) -> Result<Option<i32>, Error> {
    match number {
        EVENT_KAFKA_PARTITION_ANY => Ok(None),
        0.. => Ok(Some(number)),
        _ => Err(Error::argument("partition", "is negative")),
    }
}

/// # Safety
/// What the header points to has the size that it says.
unsafe fn read_header(header: &MessageHeader) -> Result<Header<'_>, Error> {
    let what = "the name of a header";
    // SAFETY: promised.
    let name = unsafe { pointer::slice(header.name.cast::<u8>(), header.name_size, what) }?;
    Ok(Header {
        name: str::from_utf8(name).map_err(|_| Error::argument(what, "is not UTF-8"))?,
        // SAFETY: promised.
        value: unsafe { bytes(header.value, header.value_size, "the value of a header") }?,
    })
}

/// Bytes that may be null.
///
/// # Safety
/// There are so many at `start`, unless it is NULL.
#[inline]
unsafe fn bytes<'a>(
    start: *const c_void,
    size: usize,
    what: &'static str,
) -> Result<Option<&'a [u8]>, Error> {
    if start.is_null() && size == 0 {
        return Ok(None);
    }
    // SAFETY: promised.
    unsafe { pointer::slice(start.cast::<u8>(), size, what) }.map(Some)
}
