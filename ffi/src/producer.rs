//! Producers and topics: made, flushed, closed, freed.

use std::collections::HashMap;
use std::ffi::c_char;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use event_kafka::config::Config;
use event_kafka::opensips::{Socket, System};
use event_kafka::{FlushError, Producer, Purge, StartError, Topic};
use nix::sys::signal::{SigSet, SigmaskHow};
use parking_lot::Mutex;

use crate::error::{Error, call, call_without_text};
use crate::handle::{Found, Table};
use crate::log;
use crate::pointer::{self, Out};
use crate::publish::RoomBell;
use crate::reports::Outlet;
use crate::text;

/// A producer. A number that names it, free to be copied; a zeroed one names none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct ProducerHandle {
    /// Not to be looked at.
    pub id: u64,
}

/// A topic of a producer, as long as the producer is not freed. A number that names it, free to be
/// copied; a zeroed one names none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct TopicHandle {
    /// Not to be looked at.
    pub id: u64,
}

/// A property as librdkafka names it, of the producer or (perhaps with "topic." before it) of its
/// topics.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Property {
    /// Ends with NUL.
    pub name: *const c_char,
    /// Ends with NUL.
    pub value: *const c_char,
}

/// For event_kafka_purge(): messages that wait to be sent, or to be sent again.
pub const EVENT_KAFKA_PURGE_QUEUED: u32 = 1;
/// For event_kafka_purge(): messages that were sent and not answered yet. They may be in the log.
pub const EVENT_KAFKA_PURGE_IN_FLIGHT: u32 = 2;

/// Starts a producer from properties. "bootstrap.servers" is the one that is needed. That no broker
/// is there is no error: messages wait for it.
///
/// It has one thread of its own (more while names are looked up), in which all signals are blocked.
/// Close it and free it when it is no longer needed.
///
/// Any thread, at any time; but not before a fork() whose child uses the library.
///
/// Errors: EVENT_KAFKA_ERR_INVALID_ARG (a property; the text says which and why),
/// EVENT_KAFKA_ERR_SYSTEM.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_kafka_create(
    properties: *const Property,
    property_count: usize,
    producer: *mut ProducerHandle,
    text: *mut c_char,
    text_size: usize,
) -> i32 {
    let body = || {
        // SAFETY: the caller has room for a handle there.
        let out = unsafe { Out::new(producer, "producer") }?;
        // SAFETY: the caller has so many properties there.
        let properties = unsafe { pointer::slice(properties, property_count, "properties") }?;
        let mut config = Config::default();
        for property in properties {
            // SAFETY: the caller's texts end with NUL.
            let name = unsafe { pointer::text(property.name, "the name of a property") }?;
            // SAFETY: as before.
            let value = unsafe { pointer::text(property.value, "the value of a property") }?;
            config.set(name, value).map_err(Error::config)?;
        }
        out.set(start(config)?);
        Ok(())
    };
    // SAFETY: the caller's buffer has the size that it says.
    unsafe { call(text, text_size, body) }
}

/// Starts a producer from a socket, as OpenSIPS writes them:
/// "[kafka:]brokers/topic[?g.property=value&t.property=value]", and gives its topic, too.
/// All else is as with event_kafka_create(). What "key=", "payload=", "members=" and
/// "header.NAME=" say is for OpenSIPS, and warned of: every message is given its key, its value and
/// its headers when it is published.
///
/// Any thread, at any time; but not before a fork() whose child uses the library.
///
/// Errors: EVENT_KAFKA_ERR_INVALID_ARG (the text says where in the socket and why),
/// EVENT_KAFKA_ERR_SYSTEM.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_kafka_create_from_socket(
    socket: *const c_char,
    producer: *mut ProducerHandle,
    topic: *mut TopicHandle,
    text: *mut c_char,
    text_size: usize,
) -> i32 {
    let body = || {
        // SAFETY: the caller has room for a handle there.
        let producer = unsafe { Out::new(producer, "producer") }?;
        // SAFETY: as before.
        let topic = unsafe { Out::new(topic, "topic") }?;
        // SAFETY: the caller's text ends with NUL.
        let socket = unsafe { pointer::text(socket, "socket") }?;
        let socket = Socket::parse(socket).map_err(Error::config)?;
        let mut config = Config::default();
        let resolved = socket.resolve(&System).map_err(Error::config)?;
        log::collect();
        for warning in resolved.configure(&mut config).map_err(Error::config)? {
            tracing::warn!("{warning}");
        }
        for warning in socket.without_events() {
            tracing::warn!("{warning}");
        }
        for header in &socket.headers {
            tracing::warn!("{header:?} has no effect here; give it together with each message");
        }
        let started = start(config)?;
        match find(started).and_then(|client| client.topic(socket.topic)) {
            Ok(named) => topic.set(named),
            Err(error) => {
                PRODUCERS.remove(started.id);
                return Err(error);
            }
        }
        producer.set(started);
        Ok(())
    };
    // SAFETY: the caller's buffer has the size that it says.
    unsafe { call(text, text_size, body) }
}

/// Gives a topic, with the topic properties that the producer was given. Its partitions are looked
/// up at once; messages may be published before they are known. The same name gives the same
/// handle.
///
/// Any thread, at any time.
///
/// Errors: EVENT_KAFKA_ERR_INVALID_ARG (a name that no broker accepts),
/// EVENT_KAFKA_ERR_BAD_HANDLE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_kafka_topic(
    producer: ProducerHandle,
    name: *const c_char,
    topic: *mut TopicHandle,
    text: *mut c_char,
    text_size: usize,
) -> i32 {
    let body = || {
        // SAFETY: the caller has room for a handle there.
        let out = unsafe { Out::new(topic, "topic") }?;
        // SAFETY: the caller's text ends with NUL.
        let name = unsafe { pointer::text(name, "name") }?;
        out.set(find(producer)?.topic(name)?);
        Ok(())
    };
    // SAFETY: the caller's buffer has the size that it says.
    unsafe { call(text, text_size, body) }
}

/// Writes the name of a topic. 250 bytes are enough for every name with its NUL; one that does not
/// fit is cut.
///
/// Any thread, at any time.
///
/// Errors: EVENT_KAFKA_ERR_INVALID_ARG (no buffer), EVENT_KAFKA_ERR_BAD_HANDLE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_kafka_topic_name(
    topic: TopicHandle,
    name: *mut c_char,
    name_size: usize,
) -> i32 {
    call_without_text(|| {
        if name.is_null() || name_size == 0 {
            return Err(Error::argument("name", "has no room"));
        }
        let found = find_topic(topic)?;
        // SAFETY: the caller's buffer has the size that it says.
        unsafe { text::write(name, name_size, &found.topic.name()) };
        Ok(())
    })
}

/// Sends without lingering, and waits until every message that was accepted before has its outcome,
/// for up to timeout_ms milliseconds. Reports stay to be taken.
///
/// Any thread, at any time. Other calls go on meanwhile.
///
/// remaining: how many messages have none yet; may be NULL.
///
/// Errors: EVENT_KAFKA_ERR_TIMED_OUT (what is left is not affected), EVENT_KAFKA_ERR_BAD_HANDLE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_kafka_flush(
    producer: ProducerHandle,
    timeout_ms: u32,
    remaining: *mut u64,
) -> i32 {
    call_without_text(|| {
        let out = match remaining.is_null() {
            true => None,
            // SAFETY: the caller has room for a number there.
            false => Some(unsafe { Out::new(remaining, "remaining") }?),
        };
        let flushed = find(producer)?.producer.flush(millis(timeout_ms));
        if let Some(out) = out {
            out.set(flushed.map_or_else(|FlushError { remaining }| remaining, |()| 0));
        }
        flushed.map_err(Error::Flush)
    })
}

/// Fails messages without waiting for their delivery: those that what names, EVENT_KAFKA_PURGE_QUEUED,
/// EVENT_KAFKA_PURGE_IN_FLIGHT or both. Each gets its report.
///
/// Any thread, at any time.
///
/// Errors: EVENT_KAFKA_ERR_INVALID_ARG (other bits, or none), EVENT_KAFKA_ERR_BAD_HANDLE.
#[unsafe(no_mangle)]
pub extern "C" fn event_kafka_purge(producer: ProducerHandle, what: u32) -> i32 {
    call_without_text(|| {
        let known = EVENT_KAFKA_PURGE_QUEUED | EVENT_KAFKA_PURGE_IN_FLIGHT;
        if what == 0 || what & !known != 0 {
            return Err(Error::argument("what", "names nothing that can be purged"));
        }
        find(producer)?.producer.purge(Purge {
            queued: what & EVENT_KAFKA_PURGE_QUEUED != 0,
            in_flight: what & EVENT_KAFKA_PURGE_IN_FLIGHT != 0,
        });
        Ok(())
    })
}

/// Flushes for up to timeout_ms milliseconds, then ends the producer, its threads and its
/// connections. Messages that were not delivered in time fail, each with its report. Nothing is
/// accepted any more; reports, counters and the fatal error can still be taken until
/// event_kafka_free(). Closing again does nothing.
///
/// Any thread, at any time. Threads that wait for room return EVENT_KAFKA_ERR_CLOSED.
///
/// Errors: EVENT_KAFKA_ERR_TIMED_OUT (closed all the same; the text names what was not delivered, by
/// topic and reason), EVENT_KAFKA_ERR_BAD_HANDLE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_kafka_close(
    producer: ProducerHandle,
    timeout_ms: u32,
    text: *mut c_char,
    text_size: usize,
) -> i32 {
    let body = || {
        let producer = find(producer)?.producer.clone();
        producer.close(millis(timeout_ms)).map_err(Error::Close)
    };
    // SAFETY: the caller's buffer has the size that it says.
    unsafe { call(text, text_size, body) }
}

/// Frees a producer, its topics and its descriptors; their handles name nothing any more, and no
/// later ones will be equal to them. A producer that was not closed is closed first without waiting:
/// what was not delivered is lost, and a line of the log says so.
///
/// Any thread, at any time. Calls that are under way end as if it had been closed.
///
/// Errors: EVENT_KAFKA_ERR_BAD_HANDLE.
#[unsafe(no_mangle)]
pub extern "C" fn event_kafka_free(producer: ProducerHandle) -> i32 {
    call_without_text(|| {
        let client = Arc::clone(&*find(producer)?);
        if !PRODUCERS.remove(producer.id) {
            return Err(Error::BadHandle("producer"));
        }
        client.end();
        Ok(())
    })
}

/// Why a producer is of no use any more, if it is not: error becomes the code of what happened, or 0,
/// and the text says more. Only idempotent producers can fail like this; close it and create
/// another one.
///
/// Any thread, at any time.
///
/// Errors: EVENT_KAFKA_ERR_INVALID_ARG, EVENT_KAFKA_ERR_BAD_HANDLE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_kafka_fatal_error(
    producer: ProducerHandle,
    error: *mut i32,
    text: *mut c_char,
    text_size: usize,
) -> i32 {
    let body = || {
        // SAFETY: the caller has room for a number there.
        let out = unsafe { Out::new(error, "error") }?;
        let fatal = find(producer)?.producer.fatal_error();
        out.set(fatal.as_ref().map_or(0, |fatal| fatal.error.code()));
        if let Some(fatal) = fatal {
            // SAFETY: the caller's buffer has the size that it says.
            unsafe { text::write(text, text_size, &fatal) };
        }
        Ok(())
    };
    // SAFETY: the caller's buffer has the size that it says.
    unsafe { call(text, text_size, body) }
}

/// What the handle of a producer stands for.
pub(crate) struct Client {
    pub(crate) producer: Producer,
    pub(crate) outlet: Outlet,
    /// Made when somebody asks for its descriptor.
    pub(crate) room: OnceLock<RoomBell>,
    pub(crate) refused: AtomicU64,
    /// The handles of its topics; `None` once it is freed.
    topics: Mutex<Option<HashMap<Box<str>, u64>>>,
}

/// What the handle of a topic stands for.
pub(crate) struct ClientTopic {
    pub(crate) topic: Topic,
    pub(crate) client: Arc<Client>,
}

static PRODUCERS: Table<Arc<Client>> = Table::new();
static TOPICS: Table<ClientTopic> = Table::new();

pub(crate) fn find(producer: ProducerHandle) -> Result<Found<Arc<Client>>, Error> {
    PRODUCERS
        .get(producer.id)
        .ok_or(Error::BadHandle("producer"))
}

#[inline]
pub(crate) fn find_topic(topic: TopicHandle) -> Result<Found<ClientTopic>, Error> {
    TOPICS.get(topic.id).ok_or(Error::BadHandle("topic"))
}

pub(crate) fn millis(timeout: u32) -> Duration {
    Duration::from_millis(timeout.into())
}

fn start(config: Config) -> Result<ProducerHandle, Error> {
    log::collect();
    let builder = Producer::builder().config(config);
    let producer = without_signals(|| builder.start())?.map_err(|error| match error {
        StartError::System(error) => Error::System {
            what: "start the I/O thread",
            error,
        },
        error => Error::config(error),
    })?;
    let client = Client {
        outlet: Outlet::new(&producer)?,
        room: OnceLock::new(),
        refused: AtomicU64::new(0),
        topics: Mutex::new(Some(HashMap::new())),
        producer,
    };
    let id = PRODUCERS
        .insert(Arc::new(client))
        .ok_or(too_many("producers"))?;
    Ok(ProducerHandle { id })
}

/// Threads that start meanwhile have all signals blocked: those of the host are not theirs to
/// handle, and a peer that went away must not kill it by SIGPIPE.
pub(crate) fn without_signals<T>(start: impl FnOnce() -> T) -> Result<T, Error> {
    let failed = || Error::system("block signals");
    let before = SigSet::all()
        .thread_swap_mask(SigmaskHow::SIG_BLOCK)
        .map_err(failed())?;
    let started = start();
    before.thread_set_mask().map_err(failed())?;
    Ok(started)
}

fn too_many(what: &'static str) -> Error {
    Error::argument(
        what,
        "are too many: 65536 can be there at a time; free some",
    )
}

impl Client {
    fn topic(self: &Arc<Self>, name: &str) -> Result<TopicHandle, Error> {
        let mut topics = self.topics.lock();
        let known = topics.as_mut().ok_or(Error::BadHandle("producer"))?;
        if let Some(id) = known.get(name) {
            return Ok(TopicHandle { id: *id });
        }
        let topic = self.producer.topic(name).map_err(Error::config)?;
        let client = Arc::clone(self);
        let id = TOPICS
            .insert(ClientTopic { topic, client })
            .ok_or(too_many("topics"))?;
        known.insert(name.into(), id);
        Ok(TopicHandle { id })
    }

    /// The handle of a topic that messages were published to.
    pub(crate) fn known_topic(&self, name: &str) -> TopicHandle {
        let topics = self.topics.lock();
        let id = topics.as_ref().and_then(|known| known.get(name));
        TopicHandle {
            id: id.copied().unwrap_or_default(),
        }
    }

    fn end(&self) {
        if let Err(lost) = self.producer.clone().close(Duration::ZERO) {
            tracing::warn!("producer freed without close: {lost}");
        }
        let topics = self.topics.lock().take();
        for id in topics.into_iter().flat_map(HashMap::into_values) {
            TOPICS.remove(id);
        }
    }
}
