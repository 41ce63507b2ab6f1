//! What the processes of a forking host do: they publish into lanes of their own and take their
//! reports. Everything here works in forked children.

use std::cell::RefCell;
use std::ffi::{c_char, c_int, c_void};
use std::os::fd::AsRawFd;
use std::ptr;
use std::time::Duration;

use event_kafka::opensips::{BrokerId, Socket, check_socket};
use event_kafka::{Record, check_topic_name};

use crate::error::{Error, call_in_any_process};
use crate::handle::{Found, Table};
use crate::pointer::{self, Out, OutArray};
use crate::publish::{Message, with_record};
use crate::shared::area::{Area, Sizes};
use crate::shared::host::Refusal;
use crate::shared::inbox::Inbox;
use crate::shared::outbox::MOST_REPORTS;
use crate::shared::record::{self as lanes, SocketId};
use crate::shared::report::{Part, Report};
use crate::shared::shown::{Change, Contact};
use crate::shared::slots::Batch;
use crate::shared::sockets::SocketState;
use crate::text;

/// Memory that a process and those that it forks from then on share. A number that names it in all of
/// them, free to be copied; a zeroed one names none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct AreaHandle {
    /// Not to be looked at.
    pub id: u64,
}

/// A socket that is subscribed in an area. Free to be copied and to be handed to other processes of
/// the area; a zeroed one names none, and none is named like an earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct SocketHandle {
    /// Its place in the table.
    pub slot: u32,
    /// Which one of those that were there.
    pub generation: u32,
}

/// How large an area is; 0 anywhere is the default. It takes memory as it is used.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct AreaSizes {
    /// How many processes can publish and take reports at a time, up to 4095. 64.
    pub lanes: usize,
    /// Bytes of the lane of each, rounded up to a power of two: 4 KiB to 1 GiB. A message takes at
    /// most half of it. 1 MiB.
    pub lane_bytes: usize,
    /// How many sockets there can be at a time, up to 65536. 256.
    pub sockets: usize,
    /// Bytes of the longest socket, up to 1 MiB. 2048.
    pub socket_bytes: usize,
    /// How many batches of up to 16 reports can wait for their readers, 2 to 65536. 256.
    pub report_slots: usize,
    /// Bytes of such a batch, 1 KiB to 16 MiB. 64 KiB.
    pub report_bytes: usize,
}

/// What became of one message that was published into a lane.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct LaneReport {
    /// What was published with it.
    pub opaque: u64,
    /// Where it was published to.
    pub socket: SocketHandle,
    /// What was published with it.
    pub route: u32,
    /// EVENT_KAFKA_OK: it is in the log. Otherwise the code of what ended it: Kafka's if positive,
    /// librdkafka's if negative. EVENT_KAFKA_ERR_QUEUE_FULL: the worker had no room for it.
    pub error: i32,
    /// Its offset; -1 if it was not delivered, or with acks=0, when nobody says.
    pub offset: i64,
    /// The time that the broker gave it, in milliseconds since 1970, where the topic is set to
    /// LogAppendTime; otherwise -1, and it has its own.
    pub log_append_time: i64,
    /// Microseconds from when the worker took it to when it had this report.
    pub latency_us: u64,
    /// Its partition; -1 if none was given or chosen yet.
    pub partition: i32,
    /// How often a message that failed had been sent.
    pub attempts: u32,
    /// Where a message that failed was then: EVENT_KAFKA_PLACE_...
    pub place: i32,
    /// 1: a message that failed may be in the log all the same, as it was sent and not refused.
    pub maybe_persisted: i32,
    /// Its key, if the worker reports records; NULL is none. It stays until this thread takes reports
    /// again, and is cut where it is longer than an area's report_bytes.
    pub key: *const c_void,
    /// Bytes of the key that are there.
    pub key_size: usize,
    /// Its value, as its key is.
    pub value: *const c_void,
    /// Bytes of the value that are there.
    pub value_size: usize,
    /// Its topic; empty if its socket could not be used.
    pub topic: [c_char; 250],
    /// The name of the code, such as "_MSG_TIMED_OUT"; empty if it was delivered.
    pub error_name: [c_char; 48],
    /// The failure in words, with what went wrong last; empty if it was delivered.
    pub error_text: [c_char; 256],
}

/// Messages of a socket: accepted = delivered + failed + held, at every moment.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct SocketStatus {
    /// EVENT_KAFKA_SOCKET_...
    pub state: i32,
    /// EVENT_KAFKA_CONTACT_..., as of a tenth of a second ago at most.
    pub contact: i32,
    /// Accepted by the worker.
    pub accepted: u64,
    /// Delivered, and reported where somebody asked for it.
    pub delivered: u64,
    /// Failed, and reported where somebody asked for it.
    pub failed: u64,
    /// Accepted, and neither delivered nor failed so far.
    pub held: u64,
    /// Bytes of those that are held, as of a tenth of a second ago at most.
    pub held_bytes: u64,
    /// Refused, by event_kafka_area_publish() or, with a report, by the worker.
    pub refused: u64,
    /// When something went wrong last, in milliseconds since 1970; 0: nothing has. With many messages
    /// that fail, one of those of the last tenth of a second.
    pub error_at_ms: u64,
    /// The code of that.
    pub error: i32,
    /// It in words.
    pub error_text: [c_char; 256],
}

/// An area, since it was made, with all sockets that were ever there: accepted = delivered + failed +
/// held, at every moment. What a worker that was killed had accepted has failed with the next one.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct AreaOverview {
    /// Accepted by the worker.
    pub accepted: u64,
    /// Delivered.
    pub delivered: u64,
    /// Failed.
    pub failed: u64,
    /// Accepted, and neither delivered nor failed so far.
    pub held: u64,
    /// Bytes of those.
    pub held_bytes: u64,
    /// Refused, by whomever.
    pub refused: u64,
    /// Reports that were sent.
    pub reported: u64,
    /// Bytes in lanes that the worker has not taken yet, with some for the frame of each message.
    pub lane_bytes: u64,
    /// Lanes that processes have.
    pub lanes: u32,
    /// Sockets that are there.
    pub sockets: u32,
    /// 1: there is a worker, and its process lives.
    pub has_worker: i32,
}

/// In what a socket has changed since the last time that anybody took its changes.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct SocketChange {
    /// Which one.
    pub socket: SocketHandle,
    /// EVENT_KAFKA_CONTACT_UP, EVENT_KAFKA_CONTACT_DOWN or EVENT_KAFKA_CONTACT_FAILED; 0: as before.
    pub contact: i32,
    /// EVENT_KAFKA_SOCKET_OPEN or EVENT_KAFKA_SOCKET_FULL; 0: as before.
    pub state: i32,
}

/// The worker has not looked at the socket so far.
pub const EVENT_KAFKA_CONTACT_IDLE: i32 = 1;
/// No connection was made so far, and none has failed.
pub const EVENT_KAFKA_CONTACT_CONNECTING: i32 = 2;
/// A broker of the cluster can be used. So it stays where a connection ends that nobody needs.
pub const EVENT_KAFKA_CONTACT_UP: i32 = 3;
/// No broker can be used; the last error of the socket says why, or what became of a message then.
pub const EVENT_KAFKA_CONTACT_DOWN: i32 = 4;
/// The socket is of no use: its producer has failed for good, or the worker could not start one.
pub const EVENT_KAFKA_CONTACT_FAILED: i32 = 5;

/// The socket takes messages.
pub const EVENT_KAFKA_SOCKET_OPEN: i32 = 1;
/// The socket takes none until some of those that it holds are delivered or failed: its budget is
/// used up. It takes some again once no more than 90 % of it are used.
pub const EVENT_KAFKA_SOCKET_FULL: i32 = 2;
/// The socket was unsubscribed, and takes none. What it has taken is still delivered.
pub const EVENT_KAFKA_SOCKET_CLOSING: i32 = 3;

/// For the route of a message: it gets no report.
pub const EVENT_KAFKA_ROUTE_NONE: u32 = u32::MAX;
/// In the route of a message: it gets its report although "delivery.report.only.error" of its socket
/// has those of delivered messages left out.
pub const EVENT_KAFKA_ROUTE_ALWAYS: u32 = 0x8000_0000;
/// How many reports come at most at a time.
pub const EVENT_KAFKA_MOST_REPORTS: usize = 16;

const _: () = assert!(EVENT_KAFKA_MOST_REPORTS == MOST_REPORTS as usize);

/// Writes the value of a message into room for so many bytes, and returns how many it took; more than
/// room_size: the message is given up.
pub type WriteValue = Option<
    unsafe extern "C" fn(context: *mut c_void, room: *mut c_void, room_size: usize) -> usize,
>;

/// Makes an area, before the host forks: this process, and all that it forks from then on, publish
/// into it and take reports from it, and one of them is its worker (event_kafka_worker_attach()).
///
/// Any thread, at any time; in one that was forked before, it is another area.
///
/// sizes: NULL takes the defaults.
///
/// Errors: EVENT_KAFKA_ERR_INVALID_ARG (a size; the text says which), EVENT_KAFKA_ERR_SYSTEM.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_kafka_area_create(
    sizes: *const AreaSizes,
    area: *mut AreaHandle,
    text: *mut c_char,
    text_size: usize,
) -> i32 {
    let body = || {
        // SAFETY: the caller has room for a handle there.
        let out = unsafe { Out::new(area, "area") }?;
        let sizes = match sizes.is_null() {
            true => Sizes::default(),
            // SAFETY: the caller has sizes there.
            false => unsafe { pointer::reference(sizes, "sizes") }?.or_default(),
        };
        let made = Area::create(&sizes).map_err(Error::Area)?;
        let id = AREAS.insert(made).ok_or(Error::argument(
            "areas",
            "are too many: 65536 can be there at a time; free some",
        ))?;
        out.set(AreaHandle { id });
        Ok(())
    };
    // SAFETY: the caller's buffer has the size that it says.
    unsafe { call_in_any_process(text, text_size, body) }
}

/// Lets go of an area in this process; the others keep it. Its handle names nothing any more here.
///
/// Any process of the area, any thread, at any time, but not in a child while another thread of its
/// parent made or freed an area.
///
/// Errors: EVENT_KAFKA_ERR_BAD_HANDLE.
#[unsafe(no_mangle)]
pub extern "C" fn event_kafka_area_free(area: AreaHandle) -> i32 {
    in_any_process(|| match AREAS.remove(area.id) {
        true => Ok(()),
        false => Err(Error::BadHandle("area")),
    })
}

/// Adds a socket, as OpenSIPS writes them: "[kafka:]brokers/topic[?g.property=value&...]". The worker
/// starts a producer for it, or has it share one: that of sockets with equal brokers and equal
/// properties of the producer. Sockets that mean the same share their budget, too. Messages can be
/// published at once; they wait until there is a worker.
///
/// The socket is checked here, files and environment variables that it names included; but the worker
/// reads them for itself, and if it cannot, a line of its log says so and each message fails.
///
/// Any process of the area, any thread, at any time. What is subscribed stays until it is
/// unsubscribed, though the process ends.
///
/// Errors: EVENT_KAFKA_ERR_INVALID_ARG (the text says where in the socket and why),
/// EVENT_KAFKA_ERR_SYSTEM (too many sockets), EVENT_KAFKA_ERR_BAD_HANDLE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_kafka_area_subscribe(
    area: AreaHandle,
    socket: *const c_char,
    subscribed: *mut SocketHandle,
    text: *mut c_char,
    text_size: usize,
) -> i32 {
    let body = || {
        // SAFETY: the caller has room for a handle there.
        let out = unsafe { Out::new(subscribed, "subscribed") }?;
        // SAFETY: the caller's text ends with NUL.
        let socket = unsafe { pointer::text(socket, "socket") }?;
        let area = find_area(area)?;
        let parsed = Socket::parse(socket).map_err(Error::config)?;
        check_socket(&parsed).map_err(Error::config)?;
        out.set(insert(&area, EVENT_SOCKET, socket)?);
        Ok(())
    };
    // SAFETY: the caller's buffer has the size that it says.
    unsafe { call_in_any_process(text, text_size, body) }
}

/// Adds a socket with an ID, as the parameter broker_id of OpenSIPS has it: "[ID]socket". It has a
/// budget of its own. All else is as with event_kafka_area_subscribe().
///
/// Any process of the area, any thread, at any time.
///
/// Errors: as event_kafka_area_subscribe(); EVENT_KAFKA_ERR_INVALID_ARG also if the ID is taken.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_kafka_area_define(
    area: AreaHandle,
    broker_id: *const c_char,
    defined: *mut SocketHandle,
    text: *mut c_char,
    text_size: usize,
) -> i32 {
    let body = || {
        // SAFETY: the caller has room for a handle there.
        let out = unsafe { Out::new(defined, "defined") }?;
        // SAFETY: the caller's text ends with NUL.
        let broker_id = unsafe { pointer::text(broker_id, "broker_id") }?;
        let area = find_area(area)?;
        let parsed = BrokerId::parse(broker_id).map_err(Error::config)?;
        if find_id(&area, parsed.id).is_some() {
            return Err(Error::argument("broker_id", "has an ID that is taken"));
        }
        check_socket(&parsed.socket).map_err(Error::config)?;
        out.set(insert(&area, BROKER_ID, broker_id)?);
        Ok(())
    };
    // SAFETY: the caller's buffer has the size that it says.
    unsafe { call_in_any_process(text, text_size, body) }
}

/// Finds the socket of an ID.
///
/// Any process of the area, any thread, at any time.
///
/// Errors: EVENT_KAFKA_ERR_INVALID_ARG (there is none), EVENT_KAFKA_ERR_BAD_HANDLE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_kafka_area_find(
    area: AreaHandle,
    id: *const c_char,
    found: *mut SocketHandle,
) -> i32 {
    in_any_process(|| {
        // SAFETY: the caller has room for a handle there.
        let out = unsafe { Out::new(found, "found") }?;
        // SAFETY: the caller's text ends with NUL.
        let id = unsafe { pointer::text(id, "id") }?;
        let found = find_id(&*find_area(area)?, id);
        out.set(
            found
                .ok_or(Error::argument("id", "is that of no socket"))?
                .into(),
        );
        Ok(())
    })
}

/// Has a socket take no more messages, whoever publishes. What it has taken is delivered and reported
/// as ever; a message that still lay in a lane may be, or fails with EVENT_KAFKA_ERR_CLOSED.
///
/// Any process of the area, any thread, at any time.
///
/// Errors: EVENT_KAFKA_ERR_CLOSED (it was unsubscribed before), EVENT_KAFKA_ERR_BAD_HANDLE.
#[unsafe(no_mangle)]
pub extern "C" fn event_kafka_area_unsubscribe(area: AreaHandle, socket: SocketHandle) -> i32 {
    in_any_process(|| match find_area(area)?.sockets().close(socket.into()) {
        true => Ok(()),
        false => Err(Error::Refused(Refusal::NoSocket)),
    })
}

/// Says how a socket is, and what became of its messages.
///
/// Any process of the area, any thread, at any time.
///
/// Errors: EVENT_KAFKA_ERR_CLOSED (it was unsubscribed, and nothing is left of it),
/// EVENT_KAFKA_ERR_INVALID_ARG, EVENT_KAFKA_ERR_BAD_HANDLE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_kafka_area_status(
    area: AreaHandle,
    socket: SocketHandle,
    status: *mut SocketStatus,
) -> i32 {
    in_any_process(|| {
        // SAFETY: the caller has room for a status there.
        let out = unsafe { Out::new(status, "status") }?;
        let area = find_area(area)?;
        let (sockets, id) = (area.sockets(), socket.into());
        let gone = Error::Refused(Refusal::NoSocket);
        let found = sockets.state(id).zip(sockets.counters(id));
        let found = found.zip(sockets.condition(id));
        let ((state, counters), condition) = found.ok_or(gone)?;
        let trouble = condition.trouble.as_ref();
        out.set(SocketStatus {
            state: match state {
                SocketState::Open => EVENT_KAFKA_SOCKET_OPEN,
                SocketState::Full => EVENT_KAFKA_SOCKET_FULL,
                SocketState::Closing => EVENT_KAFKA_SOCKET_CLOSING,
            },
            contact: contact(condition.contact),
            accepted: counters.accepted,
            delivered: counters.delivered,
            failed: counters.failed,
            held: counters.accepted - counters.delivered - counters.failed,
            held_bytes: condition.held_bytes,
            refused: counters.refused,
            error_at_ms: trouble.map_or(0, |trouble| trouble.at_ms),
            error: trouble.map_or(0, |trouble| trouble.code),
            error_text: text::array(&trouble.map_or("", |trouble| &trouble.text)),
        });
        Ok(())
    })
}

/// Names the sockets of an area, in the order of their places.
///
/// Any process of the area, any thread, at any time.
///
/// sockets: room for capacity of them; more are left out.
///
/// count: how many were named.
///
/// Errors: EVENT_KAFKA_ERR_INVALID_ARG, EVENT_KAFKA_ERR_BAD_HANDLE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_kafka_area_sockets(
    area: AreaHandle,
    sockets: *mut SocketHandle,
    capacity: usize,
    count: *mut usize,
) -> i32 {
    in_any_process(|| {
        // SAFETY: the caller has room for a number there.
        let count = unsafe { Out::new(count, "count") }?;
        // SAFETY: the caller has room for so many handles there.
        let mut room = unsafe { OutArray::new(sockets, capacity, "sockets") }?;
        let area = find_area(area)?;
        let mut named = 0;
        for (id, _) in area.sockets().all().take(capacity) {
            room.push(id.into());
            named += 1;
        }
        count.set(named);
        Ok(())
    })
}

/// Writes what a socket is called: its ID, empty if it was not defined with one, and its address,
/// "brokers/topic", without the properties, which may have secrets. Each ends with NUL and is cut to
/// its buffer.
///
/// Any process of the area, any thread, at any time.
///
/// Errors: EVENT_KAFKA_ERR_CLOSED (there is no such socket), EVENT_KAFKA_ERR_BAD_HANDLE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_kafka_area_socket_name(
    area: AreaHandle,
    socket: SocketHandle,
    id: *mut c_char,
    id_size: usize,
    address: *mut c_char,
    address_size: usize,
) -> i32 {
    in_any_process(|| {
        let area = find_area(area)?;
        let text = area.sockets().text(socket.into());
        let text = text.ok_or(Error::Refused(Refusal::NoSocket))?;
        let (its_id, its_address) = name(&text);
        // SAFETY: the caller's buffer has the size that it says.
        unsafe { text::write(id, id_size, &its_id) };
        // SAFETY: as before.
        unsafe { text::write(address, address_size, &its_address) };
        Ok(())
    })
}

/// Has the worker send what was published to a socket so far without lingering, and waits for nothing.
/// Until all of that has its outcome, sockets that share its producer do not linger either.
///
/// Any process of the area, any thread, at any time.
///
/// number: for event_kafka_area_is_flushed().
///
/// Errors: EVENT_KAFKA_ERR_CLOSED (there is no such socket), EVENT_KAFKA_ERR_INVALID_ARG,
/// EVENT_KAFKA_ERR_BAD_HANDLE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_kafka_area_flush(
    area: AreaHandle,
    socket: SocketHandle,
    number: *mut u64,
) -> i32 {
    in_any_process(|| {
        // SAFETY: the caller has room for a number there.
        let out = unsafe { Out::new(number, "number") }?;
        let asked = find_area(area)?.sockets().flush(socket.into());
        out.set(asked.ok_or(Error::Refused(Refusal::NoSocket))?);
        Ok(())
    })
}

/// Says whether all that was published to a socket before a flush has its outcome, be it a failure.
///
/// Any process of the area, any thread, at any time.
///
/// is_flushed: 1 or 0; 1 also if the socket is gone.
///
/// Errors: EVENT_KAFKA_ERR_INVALID_ARG, EVENT_KAFKA_ERR_BAD_HANDLE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_kafka_area_is_flushed(
    area: AreaHandle,
    socket: SocketHandle,
    number: u64,
    is_flushed: *mut i32,
) -> i32 {
    in_any_process(|| {
        // SAFETY: the caller has room for a number there.
        let out = unsafe { Out::new(is_flushed, "is_flushed") }?;
        let area = find_area(area)?;
        let is_over = area.sockets().is_flushed(socket.into(), number);
        out.set(is_over.into());
        Ok(())
    })
}

/// Says how an area is, without a lock and a system call but one.
///
/// Any process of the area, any thread, at any time.
///
/// Errors: EVENT_KAFKA_ERR_INVALID_ARG, EVENT_KAFKA_ERR_BAD_HANDLE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_kafka_area_overview(
    area: AreaHandle,
    overview: *mut AreaOverview,
) -> i32 {
    in_any_process(|| {
        // SAFETY: the caller has room for an overview there.
        let out = unsafe { Out::new(overview, "overview") }?;
        let seen = find_area(area)?.overview();
        out.set(AreaOverview {
            accepted: seen.accepted,
            delivered: seen.delivered,
            failed: seen.failed,
            held: seen.accepted - seen.delivered - seen.failed,
            held_bytes: seen.held_bytes,
            refused: seen.refused,
            reported: seen.reported,
            lane_bytes: seen.lane_bytes,
            lanes: seen.lanes as u32,
            sockets: seen.sockets as u32,
            has_worker: seen.has_worker.into(),
        });
        Ok(())
    })
}

/// Takes the change of a socket: in what it is another one than when this was asked before. What came
/// and went in between is nobody's news. Each change comes out once, whichever process asks.
///
/// Any process of the area, any thread, at any time.
///
/// change: the socket at slot or at the first place behind that has changed; with no contact and no
/// state if none has.
///
/// Errors: EVENT_KAFKA_ERR_INVALID_ARG, EVENT_KAFKA_ERR_BAD_HANDLE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_kafka_area_take_change(
    area: AreaHandle,
    slot: u32,
    change: *mut SocketChange,
) -> i32 {
    in_any_process(|| {
        // SAFETY: the caller has room for a change there.
        let out = unsafe { Out::new(change, "change") }?;
        let area = find_area(area)?;
        let sockets = area.sockets();
        let behind = sockets.all().filter(|(id, _)| id.slot >= slot);
        let mut changes = behind.map(|(id, _)| (id, sockets.take_change(id)));
        let found = changes.find(|(_, change)| *change != Change::default());
        let (id, taken) = found.unwrap_or_default();
        out.set(SocketChange {
            socket: id.into(),
            contact: taken.contact.map_or(0, contact),
            state: match taken.is_full {
                Some(true) => EVENT_KAFKA_SOCKET_FULL,
                Some(false) => EVENT_KAFKA_SOCKET_OPEN,
                None => 0,
            },
        });
        Ok(())
    })
}

/// Says whether the change of one socket may be told by way of another one, so that no news has news
/// as its consequence: not by way of a socket that shares its producer, nor if any other that does
/// was asked about as the way of news before. Whoever tells changes by sockets asks this each time.
///
/// Any process of the area, any thread, at any time.
///
/// may_tell: 1 or 0.
///
/// Errors: EVENT_KAFKA_ERR_INVALID_ARG, EVENT_KAFKA_ERR_BAD_HANDLE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_kafka_area_may_tell(
    area: AreaHandle,
    changed: SocketHandle,
    by: SocketHandle,
    may_tell: *mut i32,
) -> i32 {
    in_any_process(|| {
        // SAFETY: the caller has room for a number there.
        let out = unsafe { Out::new(may_tell, "may_tell") }?;
        let area = find_area(area)?;
        let may_tell = area.sockets().may_tell(changed.into(), by.into());
        out.set(may_tell.into());
        Ok(())
    })
}

/// Leaves a message in the lane of this process, for the worker to deliver, or refuses it: at once if
/// timeout_ms is 0, after so many milliseconds without room otherwise. The message is copied. Every
/// message that is taken gets exactly one report, in this process, unless its route is
/// EVENT_KAFKA_ROUTE_NONE; a refused one gets none.
///
/// A process that does not take its reports is refused more and more messages in the end, and harms
/// nobody else by it.
///
/// Any process of the area, any thread, at any time. Without waiting it makes no system call, but the
/// first time, or if the worker sleeps; threads of one process wait for each other, for some
/// nanoseconds.
///
/// route: handed back with the report.
///
/// Errors: EVENT_KAFKA_ERR_QUEUE_FULL (the lane, or the budget of the socket),
/// EVENT_KAFKA_ERR_CLOSED (the socket was unsubscribed), EVENT_KAFKA_ERR_MSG_SIZE_TOO_LARGE (more than
/// half a lane), EVENT_KAFKA_ERR_SYSTEM (all lanes are taken), EVENT_KAFKA_ERR_INVALID_ARG,
/// EVENT_KAFKA_ERR_BAD_HANDLE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_kafka_area_publish(
    area: AreaHandle,
    socket: SocketHandle,
    route: u32,
    message: *const Message,
    timeout_ms: u32,
    text: *mut c_char,
    text_size: usize,
) -> i32 {
    // SAFETY: the caller has a message there.
    let body = || unsafe { publish(area, &addressed(socket, route), message, timeout_ms) };
    // SAFETY: the caller's buffer has the size that it says.
    unsafe { call_in_any_process(text, text_size, body) }
}

/// As event_kafka_area_publish(), but the message goes to another topic of the socket's cluster, with
/// the properties that the socket has for topics. A socket has up to 256 such topics, for as long as it
/// is subscribed; a message to yet another one is taken, and fails. So a name should not be what
/// somebody sends.
///
/// Any process of the area, any thread, at any time.
///
/// topic, topic_size: its name, without a NUL at the end.
///
/// Errors: as event_kafka_area_publish(); EVENT_KAFKA_ERR_INVALID_ARG also for a name that no broker
/// accepts.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_kafka_area_publish_to(
    area: AreaHandle,
    socket: SocketHandle,
    topic: *const c_char,
    topic_size: usize,
    route: u32,
    message: *const Message,
    timeout_ms: u32,
    text: *mut c_char,
    text_size: usize,
) -> i32 {
    let body = || {
        // SAFETY: the caller has a name of that size there.
        let topic = unsafe { pointer::slice(topic.cast::<u8>(), topic_size, "topic") }?;
        let topic = str::from_utf8(topic).map_err(|_| Error::argument("topic", "is not UTF-8"))?;
        check_topic_name(topic).map_err(Error::config)?;
        let addressed = lanes::Message {
            topic: Some(topic),
            ..addressed(socket, route)
        };
        // SAFETY: the caller has a message there.
        unsafe { publish(area, &addressed, message, timeout_ms) }
    };
    // SAFETY: the caller's buffer has the size that it says.
    unsafe { call_in_any_process(text, text_size, body) }
}

/// As event_kafka_area_publish() with timeout_ms 0, but the value is written in place: by write, which
/// is called once, in this thread, before this returns, with room for at least value_size bytes. It
/// must return, must not use the area, and must not fork. What the message says of its value is not
/// looked at.
///
/// Any process of the area, any thread, at any time.
///
/// Errors: as event_kafka_area_publish(); EVENT_KAFKA_ERR_INVALID_ARG also if write gave the message
/// up.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_kafka_area_publish_in_place(
    area: AreaHandle,
    socket: SocketHandle,
    route: u32,
    message: *const Message,
    value_size: usize,
    write: WriteValue,
    context: *mut c_void,
    text: *mut c_char,
    text_size: usize,
) -> i32 {
    let body = || {
        // SAFETY: the caller has a message there.
        let message = unsafe { pointer::reference(message, "message") }?;
        let write = write.ok_or(Error::argument("write", "is NULL"))?;
        let message = Message {
            value: ptr::null(),
            value_size: 0,
            ..*message
        };
        let publish = |record: Record<'_>| {
            let message = lanes::Message {
                record,
                ..addressed(socket, route)
            };
            let area = find_area(area)?;
            let mut lane = area.lane().map_err(Error::Refused)?;
            let mut draft = lane.draft(&message, value_size).map_err(Error::Refused)?;
            let room = draft.value();
            // SAFETY: the room is as large as is said, and nobody else's until the function returns,
            // which the caller promises of it.
            let written = unsafe { write(context, room.as_mut_ptr().cast(), room.len()) };
            if written > room.len() {
                return Err(Error::argument("write", "gave the message up"));
            }
            draft.commit(Some(written));
            Ok(())
        };
        // SAFETY: all that a message points to has the size that it says.
        unsafe { with_record(&message, publish) }
    };
    // SAFETY: the caller's buffer has the size that it says.
    unsafe { call_in_any_process(text, text_size, body) }
}

/// Takes reports of messages that this process has published, the oldest first, and never waits. There
/// has to be room for EVENT_KAFKA_MOST_REPORTS: so many come at most.
///
/// Any process of the area, any thread, at any time; each report comes out once. A process that is
/// killed in here has had its reports.
///
/// count: how many were taken.
///
/// Errors: EVENT_KAFKA_ERR_SYSTEM (all lanes are taken), EVENT_KAFKA_ERR_INVALID_ARG,
/// EVENT_KAFKA_ERR_BAD_HANDLE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_kafka_area_poll_reports(
    area: AreaHandle,
    reports: *mut LaneReport,
    capacity: usize,
    count: *mut usize,
) -> i32 {
    in_any_process(|| {
        // SAFETY: the caller has room for a number there.
        let count = unsafe { Out::new(count, "count") }?;
        // SAFETY: the caller has room for so many reports there.
        let mut room = unsafe { OutArray::new(reports, capacity, "reports") }?;
        if capacity < EVENT_KAFKA_MOST_REPORTS {
            return Err(Error::argument("capacity", "is less than 16"));
        }
        let area = find_area(area)?;
        INBOX.with_borrow_mut(|inbox| {
            let came = area.take_reports(inbox).map_err(Error::Refused)?;
            count.set(if came { hand_out(inbox, &mut room) } else { 0 });
            Ok(())
        })
    })
}

/// As event_kafka_area_poll_reports(), but takes the reports of a batch that is for anybody:
/// event_kafka_worker_next_batch() gave its number. Each batch is taken once.
///
/// Any process of the area, any thread, at any time.
///
/// count: how many were taken; 0 if the batch was taken before.
///
/// Errors: as event_kafka_area_poll_reports().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_kafka_area_take_batch(
    area: AreaHandle,
    batch: u64,
    reports: *mut LaneReport,
    capacity: usize,
    count: *mut usize,
) -> i32 {
    in_any_process(|| {
        // SAFETY: the caller has room for a number there.
        let count = unsafe { Out::new(count, "count") }?;
        // SAFETY: the caller has room for so many reports there.
        let mut room = unsafe { OutArray::new(reports, capacity, "reports") }?;
        if capacity < EVENT_KAFKA_MOST_REPORTS {
            return Err(Error::argument("capacity", "is less than 16"));
        }
        let area = find_area(area)?;
        INBOX.with_borrow_mut(|inbox| {
            let batch = Batch::from_word(batch);
            let came = area.take_batch(batch, inbox).map_err(Error::Refused)?;
            count.set(if came { hand_out(inbox, &mut room) } else { 0 });
            Ok(())
        })
    })
}

/// How many reports there were.
fn hand_out(inbox: &mut Inbox, room: &mut OutArray<LaneReport>) -> usize {
    let mut taken = 0;
    while !room.is_full()
        && let Some(report) = inbox.next()
    {
        room.push(LaneReport::new(&report));
        taken += 1;
    }
    taken
}

/// Gives a descriptor for poll() and its like that is readable while there are reports for this
/// process. Neither read from it nor close it. A forked child has its own.
///
/// Any process of the area, any thread, at any time.
///
/// Errors: EVENT_KAFKA_ERR_SYSTEM (all lanes are taken), EVENT_KAFKA_ERR_INVALID_ARG,
/// EVENT_KAFKA_ERR_BAD_HANDLE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_kafka_area_report_fd(area: AreaHandle, fd: *mut c_int) -> i32 {
    in_any_process(|| {
        // SAFETY: the caller has room for a number there.
        let out = unsafe { Out::new(fd, "fd") }?;
        let area = find_area(area)?;
        out.set(area.report_fd().map_err(Error::Refused)?.as_raw_fd());
        Ok(())
    })
}

/// The ID and the address of a text in the table.
fn name(text: &str) -> (&str, &str) {
    let (id, socket) = match text.strip_prefix(BROKER_ID) {
        // The brackets were seen when it was defined.
        Some(defined) => match defined.trim_start().split_once(']') {
            Some((id, socket)) => (id.trim_start_matches('['), socket.trim_start()),
            None => ("", defined),
        },
        None => ("", text.strip_prefix(EVENT_SOCKET).unwrap_or(text)),
    };
    let address = socket
        .split_once('?')
        .map_or(socket, |(address, _)| address);
    (id, address.strip_prefix("kafka:").unwrap_or(address))
}

fn contact(contact: Contact) -> i32 {
    match contact {
        Contact::Idle => EVENT_KAFKA_CONTACT_IDLE,
        Contact::Connecting => EVENT_KAFKA_CONTACT_CONNECTING,
        Contact::Up => EVENT_KAFKA_CONTACT_UP,
        Contact::Down => EVENT_KAFKA_CONTACT_DOWN,
        Contact::Failed => EVENT_KAFKA_CONTACT_FAILED,
    }
}

/// What stands before the text of a socket in the table.
pub(crate) const EVENT_SOCKET: char = 'e';
pub(crate) const BROKER_ID: char = 'b';

static AREAS: Table<Area> = Table::new();

thread_local! {
    /// What reports that were taken point to.
    static INBOX: RefCell<Inbox> = RefCell::default();
}

#[inline]
pub(crate) fn find_area(area: AreaHandle) -> Result<Found<Area>, Error> {
    AREAS.get(area.id).ok_or(Error::BadHandle("area"))
}

fn in_any_process(body: impl FnOnce() -> Result<(), Error>) -> i32 {
    // SAFETY: NULL is no buffer.
    unsafe { call_in_any_process(ptr::null_mut(), 0, body) }
}

fn insert(area: &Area, kind: char, socket: &str) -> Result<SocketHandle, Error> {
    let inserted = area.sockets().insert(&format!("{kind}{socket}"));
    inserted.map(SocketHandle::from).map_err(Error::Table)
}

fn find_id(area: &Area, id: &str) -> Option<SocketId> {
    area.sockets().find(|text| {
        let broker_id = text.strip_prefix(BROKER_ID).map(BrokerId::parse);
        broker_id.is_some_and(|parsed| parsed.is_ok_and(|broker| broker.id == id))
    })
}

/// A message to the socket's topic, without its record.
#[inline]
fn addressed(socket: SocketHandle, route: u32) -> lanes::Message<'static> {
    lanes::Message {
        socket: socket.into(),
        route,
        ..lanes::Message::default()
    }
}

/// Leaves a message in the lane of this process.
///
/// # Safety
/// `message` is NULL, or there is a message, and all that it points to has the size that it says.
#[inline]
unsafe fn publish(
    area: AreaHandle,
    addressed: &lanes::Message<'_>,
    message: *const Message,
    timeout_ms: u32,
) -> Result<(), Error> {
    // SAFETY: promised.
    let message = unsafe { pointer::reference(message, "message") }?;
    let publish = |record: Record<'_>| {
        let message = lanes::Message {
            record,
            ..*addressed
        };
        let wait = Duration::from_millis(timeout_ms.into());
        let published = find_area(area)?.publish(&message, wait);
        published.map_err(Error::Refused)
    };
    // SAFETY: promised.
    unsafe { with_record(message, publish) }
}

impl AreaSizes {
    fn or_default(&self) -> Sizes {
        let usual = Sizes::default();
        let or = |given: usize, usual: usize| if given == 0 { usual } else { given };
        Sizes {
            lanes: or(self.lanes, usual.lanes),
            lane_bytes: or(self.lane_bytes, usual.lane_bytes),
            sockets: or(self.sockets, usual.sockets),
            socket_bytes: or(self.socket_bytes, usual.socket_bytes),
            report_slots: or(self.report_slots, usual.report_slots),
            report_bytes: or(self.report_bytes, usual.report_bytes),
        }
    }
}

impl LaneReport {
    fn new(report: &Report<'_>) -> Self {
        let part = |part: Option<Part<'_>>| match part {
            Some(part) => (part.bytes.as_ptr().cast(), part.bytes.len()),
            None => (ptr::null(), 0),
        };
        let (key, key_size) = part(report.key);
        let (value, value_size) = part(report.value);
        Self {
            opaque: report.opaque,
            socket: report.socket.into(),
            route: report.route,
            error: report.error,
            offset: report.offset,
            log_append_time: report.log_append_time,
            latency_us: report.latency_us,
            partition: report.partition,
            attempts: report.attempts,
            place: report.place as i32,
            maybe_persisted: report.maybe_persisted.into(),
            key,
            key_size,
            value,
            value_size,
            topic: text::array(&report.topic),
            error_name: text::array(&report.error_name),
            error_text: text::array(&report.error_text),
        }
    }
}

impl From<SocketHandle> for SocketId {
    fn from(SocketHandle { slot, generation }: SocketHandle) -> Self {
        Self { slot, generation }
    }
}

impl From<SocketId> for SocketHandle {
    fn from(SocketId { slot, generation }: SocketId) -> Self {
        Self { slot, generation }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_socket_has_no_properties() {
        let secret = "kafka:h:1,h:2/t?g.sasl.password=a/b]?c";
        assert_eq!(name(&format!("e{secret}")), ("", "h:1,h:2/t"));
        assert_eq!(name(&format!("b [cdr] {secret}")), ("cdr", "h:1,h:2/t"));
        assert_eq!(name("b[cdr]h/t"), ("cdr", "h/t"));
    }
}
