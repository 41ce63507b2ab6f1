//! Events, as OpenSIPS raises them: their payload is written into the lane itself, as their socket
//! says.

use std::cell::RefCell;
use std::ffi::c_char;
use std::rc::Rc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use event_kafka::Record;
use event_kafka::opensips::{
    self, BrokerId, EventIds, KeySource, Members, Params, Payload, Socket, Value, sockets_match,
};
use nix::unistd::{gethostname, getpid};

use crate::area::{AreaHandle, BROKER_ID, EVENT_SOCKET, SocketHandle, find_area};
use crate::error::{Error, call_in_any_process};
use crate::pointer::{self, Out};
use crate::shared::area::Area;
use crate::shared::host::Refusal;
use crate::shared::record::{Message, SocketId};

/// A parameter of an event.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct EventParam {
    /// Its name, if those of this event have names; NULL is an empty one.
    pub name: *const c_char,
    /// Bytes of the name.
    pub name_size: usize,
    /// EVENT_KAFKA_PARAM_...
    pub kind: i32,
    /// Its value, if it is a number.
    pub integer: i32,
    /// Its value, if it is a text.
    pub text: *const c_char,
    /// Bytes of the text.
    pub text_size: usize,
}

/// An event. Nothing in it ends with NUL.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Event {
    /// Its name.
    pub name: *const c_char,
    /// Bytes of the name.
    pub name_size: usize,
    /// Its parameters, in this order.
    pub params: *const EventParam,
    /// How many parameters.
    pub param_count: usize,
    /// Whether parameters have names: 1 makes a JSON object of them, 0 an array.
    pub named: i32,
    /// The Call-ID of the message that is being processed, for "key=callid"; NULL is none.
    pub call_id: *const c_char,
    /// Bytes of the Call-ID.
    pub call_id_size: usize,
    /// Handed back with the report.
    pub opaque: u64,
}

/// The parameter has no value: JSON's null.
pub const EVENT_KAFKA_PARAM_NULL: i32 = 0;
/// The value is a number.
pub const EVENT_KAFKA_PARAM_INTEGER: i32 = 1;
/// The value is a text.
pub const EVENT_KAFKA_PARAM_TEXT: i32 = 2;

/// As event_kafka_area_publish(), but what is published is the JSON-RPC payload of an event, as
/// OpenSIPS makes it, with the key, the members and the treatment of what is no UTF-8 that the socket
/// says ("key=", "members=", "payload=").
///
/// Any process of the area, any thread, at any time.
///
/// Errors: as event_kafka_area_publish().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_kafka_area_raise(
    area: AreaHandle,
    socket: SocketHandle,
    route: u32,
    event: *const Event,
    timeout_ms: u32,
    text: *mut c_char,
    text_size: usize,
) -> i32 {
    let body = || {
        // SAFETY: the caller has an event there.
        let event = unsafe { pointer::reference(event, "event") }?;
        let area = find_area(area)?;
        let manner = manner_of(&area, socket.into())?;
        // SAFETY: the caller's event has so many parameters as it says, and all that it points to has
        // the size that it says.
        let params = unsafe { ReadParams::read(event) }?;
        let raised = Raised {
            socket: socket.into(),
            route,
            opaque: event.opaque,
            // SAFETY: promised, as before.
            name: unsafe { bytes(event.name, event.name_size, "name") }?,
            // SAFETY: promised, as before.
            call_id: unsafe { optional(event.call_id, event.call_id_size, "call_id") }?,
            params: params.params(),
        };
        let wait = Duration::from_millis(timeout_ms.into());
        raised.leave(&area, &manner, wait).map_err(Error::Refused)
    };
    // SAFETY: the caller's buffer has the size that it says.
    unsafe { call_in_any_process(text, text_size, body) }
}

/// Says whether two sockets of events mean the same: the same brokers in any order, the same topic, and
/// properties with the same effect, however they are written. "kafka:" may stand before them.
///
/// Any process, any thread, at any time.
///
/// is_match: becomes 1 or 0.
///
/// Errors: EVENT_KAFKA_ERR_INVALID_ARG (one of them is malformed; the text says where and why).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_kafka_area_sockets_match(
    one: *const c_char,
    other: *const c_char,
    is_match: *mut i32,
    text: *mut c_char,
    text_size: usize,
) -> i32 {
    let body = || {
        // SAFETY: the caller has room for a number there.
        let out = unsafe { Out::new(is_match, "is_match") }?;
        // SAFETY: the caller's text ends with NUL.
        let one = unsafe { pointer::text(one, "one") }?;
        // SAFETY: as before.
        let other = unsafe { pointer::text(other, "other") }?;
        let one = Socket::parse(one).map_err(Error::config)?;
        let other = Socket::parse(other).map_err(Error::config)?;
        let is_so = sockets_match(&one, &other).map_err(Error::config)?;
        out.set(is_so.into());
        Ok(())
    };
    // SAFETY: the caller's buffer has the size that it says.
    unsafe { call_in_any_process(text, text_size, body) }
}

/// An event, and where it goes.
struct Raised<'a> {
    socket: SocketId,
    route: u32,
    opaque: u64,
    name: &'a [u8],
    call_id: Option<&'a [u8]>,
    params: Params<'a>,
}

/// How a socket wants its events.
struct Manner {
    key: KeySource<'static>,
    payload: Payload,
    members: Members,
}

/// An event that may become longer than this in the lane is written elsewhere first, so that it takes
/// no more of the lane than it needs: what is escaped may become six times as long, and rarely is.
const MOST_IN_PLACE: usize = 16 << 10;

impl Raised<'_> {
    fn leave(&self, area: &Area, manner: &Manner, wait: Duration) -> Result<(), Refusal> {
        let key = manner.key.key_of(self.call_id, self.params);
        let message = self.message(key.as_deref());
        let event = self.event(manner.members);
        let most = event.longest();
        if most <= MOST_IN_PLACE {
            match leave_in_place(area, &message, &event, manner.payload, most) {
                Err(refusal) if refusal.may_pass() && !wait.is_zero() => {}
                result => return result,
            }
        }
        let mut payload = Vec::with_capacity(most.min(MOST_IN_PLACE));
        event.write(manner.payload, &mut payload);
        let record = Record {
            value: Some(&payload),
            ..message.record
        };
        area.publish(&Message { record, ..message }, wait)
    }

    fn message<'k>(&self, key: Option<&'k [u8]>) -> Message<'k> {
        Message {
            socket: self.socket,
            route: self.route,
            topic: None,
            record: Record {
                key,
                opaque: self.opaque,
                ..Record::default()
            },
        }
    }

    fn event(&self, members: Members) -> opensips::Event<'_> {
        opensips::Event {
            id: members.id.then(|| origin().ids.next()),
            timestamp: members.timestamp.then(now),
            node: members.node.then(|| origin().node),
            ..opensips::Event::new(self.name, self.params)
        }
    }
}

fn leave_in_place(
    area: &Area,
    message: &Message<'_>,
    event: &opensips::Event<'_>,
    payload: Payload,
    most: usize,
) -> Result<(), Refusal> {
    let mut lane = area.lane()?;
    let mut draft = lane.draft(message, most)?;
    let room = draft.value();
    let size = room.len();
    let mut rest = room;
    event.write(payload, &mut rest);
    let written = size - rest.len();
    draft.commit(Some(written));
    Ok(())
}

thread_local! {
    /// How the sockets want their events that this thread has raised some for, by their slots in the
    /// table. Each process finds out for itself: a child that is forked has a copy, which is as good.
    static MANNERS: RefCell<Vec<Option<Known>>> = const { RefCell::new(Vec::new()) };
    static ORIGIN: RefCell<Option<Rc<Origin>>> = const { RefCell::new(None) };
}

/// The manner of a socket that is or was at a place of the table.
struct Known {
    generation: u32,
    manner: Rc<Manner>,
}

fn manner_of(area: &Area, socket: SocketId) -> Result<Rc<Manner>, Error> {
    let slot = socket.slot as usize;
    MANNERS.with_borrow_mut(|manners| {
        if let Some(Some(known)) = manners.get(slot)
            && known.generation == socket.generation
        {
            return Ok(Rc::clone(&known.manner));
        }
        let text = area.sockets().text(socket);
        let text = text.ok_or(Error::Refused(Refusal::NoSocket))?;
        let manner = Rc::new(Manner::of(&text)?);
        if manners.len() <= slot {
            manners.resize_with(slot + 1, || None);
        }
        manners[slot] = Some(Known {
            generation: socket.generation,
            manner: Rc::clone(&manner),
        });
        Ok(manner)
    })
}

impl Manner {
    /// What stands in the table.
    fn of(text: &str) -> Result<Self, Error> {
        let socket = match text.strip_prefix(BROKER_ID) {
            Some(broker_id) => BrokerId::parse(broker_id).map(|broker| broker.socket),
            None => Socket::parse(text.strip_prefix(EVENT_SOCKET).unwrap_or(text)),
        };
        let socket = socket.map_err(Error::config)?;
        Ok(Self {
            key: socket.key.clone().into_owned(),
            payload: socket.payload,
            members: socket.members,
        })
    }
}

/// Where events come from.
struct Origin {
    pid: i32,
    ids: EventIds,
    node: &'static [u8],
}

fn origin() -> Rc<Origin> {
    let pid = getpid().as_raw();
    ORIGIN.with_borrow_mut(|origin| {
        // A child has another number, so that its events have names of their own.
        if let Some(known) = origin.as_ref().filter(|known| known.pid == pid) {
            return Rc::clone(known);
        }
        let node = match origin {
            Some(of_parent) => of_parent.node,
            None => gethostname()
                .map_or(Vec::new(), |name| name.into_encoded_bytes())
                .leak(),
        };
        let ids = EventIds::new(node, pid as u32, SystemTime::now());
        Rc::clone(origin.insert(Rc::new(Origin { pid, ids, node })))
    })
}

/// In milliseconds since 1970.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis() as i64)
}

/// Parameters as the library takes them.
#[expect(
    clippy::large_enum_variant,
    reason = "it saves the allocation that a box would be"
)]
enum ReadParams<'a> {
    Positional(List<Value<'a>>),
    Named(List<(&'a [u8], Value<'a>)>),
}

/// Few events have more than `FEW` parameters; those pay for an allocation.
struct List<T> {
    few: [T; FEW],
    many: Vec<T>,
    count: usize,
}

const FEW: usize = 16;

impl<'a> ReadParams<'a> {
    /// # Safety
    /// The event has so many parameters as it says, and what they point to has the size that they
    /// say.
    unsafe fn read(event: &'a Event) -> Result<Self, Error> {
        // SAFETY: promised.
        let given = unsafe { pointer::slice(event.params, event.param_count, "params") }?;
        if event.named == 0 {
            // SAFETY: promised.
            let value = |param| unsafe { read_value(param) };
            return List::read(given, Value::Null, value).map(Self::Positional);
        }
        let pair = |param: &'a EventParam| {
            let what = "the name of a parameter";
            // SAFETY: promised.
            let name = unsafe { optional(param.name, param.name_size, what) }?;
            // SAFETY: promised.
            Ok((name.unwrap_or_default(), unsafe { read_value(param) }?))
        };
        List::read(given, (&[][..], Value::Null), pair).map(Self::Named)
    }

    fn params(&self) -> Params<'_> {
        match self {
            Self::Positional(values) => Params::Positional(values.as_slice()),
            Self::Named(pairs) => Params::Named(pairs.as_slice()),
        }
    }
}

impl<T: Copy> List<T> {
    fn read<'a>(
        given: &'a [EventParam],
        none: T,
        read: impl Fn(&'a EventParam) -> Result<T, Error>,
    ) -> Result<Self, Error> {
        let mut list = Self {
            few: [none; FEW],
            many: Vec::new(),
            count: given.len(),
        };
        if given.len() > FEW {
            list.many = given.iter().map(read).collect::<Result<_, _>>()?;
            return Ok(list);
        }
        for (place, param) in list.few.iter_mut().zip(given) {
            *place = read(param)?;
        }
        Ok(list)
    }

    fn as_slice(&self) -> &[T] {
        match self.count > FEW {
            true => &self.many,
            false => &self.few[..self.count],
        }
    }
}

/// # Safety
/// What the parameter points to has the size that it says.
unsafe fn read_value(param: &EventParam) -> Result<Value<'_>, Error> {
    match param.kind {
        EVENT_KAFKA_PARAM_NULL => Ok(Value::Null),
        EVENT_KAFKA_PARAM_INTEGER => Ok(Value::Integer(param.integer)),
        EVENT_KAFKA_PARAM_TEXT => {
            let what = "the text of a parameter";
            // SAFETY: promised.
            unsafe { bytes(param.text, param.text_size, what) }.map(Value::Text)
        }
        _ => Err(Error::argument("kind", "is none that there is")),
    }
}

/// # Safety
/// There are so many at `start`, unless it is NULL.
unsafe fn bytes<'a>(
    start: *const c_char,
    size: usize,
    what: &'static str,
) -> Result<&'a [u8], Error> {
    // SAFETY: promised.
    unsafe { pointer::slice(start.cast::<u8>(), size, what) }
}

/// # Safety
/// As [`bytes`].
unsafe fn optional<'a>(
    start: *const c_char,
    size: usize,
    what: &'static str,
) -> Result<Option<&'a [u8]>, Error> {
    if start.is_null() {
        return Ok(None);
    }
    // SAFETY: promised.
    unsafe { bytes(start, size, what) }.map(Some)
}
