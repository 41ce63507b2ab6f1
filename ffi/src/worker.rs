//! The worker of a forking host, from outside: the process that has the producers.

mod batches;
mod desk;
mod table;

use std::ffi::{c_char, c_int};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use event_kafka::opensips::{Registry, RegistryBuilder, SocketState};
use event_kafka::{CloseError, FlushError};
use parking_lot::Mutex;

use crate::area::{AreaHandle, SocketHandle, find_area};
use crate::bell::Bell;
use crate::error::{Error, call, call_without_text};
use crate::handle::{Found, Table};
use crate::log;
use crate::pointer::Out;
use crate::producer::{millis, without_signals};
use crate::shared::area::Area;
use crate::shared::host::Refusal;
use crate::shared::record::SMALLEST_RECORD;
use crate::shared::slots::Batch;
use crate::shared::worker::Worker as Lanes;
use crate::text;

use batches::Batches;
use desk::{Bells, Desk, Order, Ticket, Totals};
use table::Keys;

/// The worker of an area, in the process that is it. A number that names it, free to be copied; a
/// zeroed one names none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct WorkerHandle {
    /// Not to be looked at.
    pub id: u64,
}

/// What a worker has done since it was attached. Messages: accepted = delivered + failed + held, at
/// every moment.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct WorkerCounters {
    /// Messages that were taken from lanes: accepted or refused.
    pub taken: u64,
    /// Accepted for delivery.
    pub accepted: u64,
    /// Delivered.
    pub delivered: u64,
    /// Failed.
    pub failed: u64,
    /// Accepted and without an outcome, or with one that waits for its reader.
    pub held: u64,
    /// Refused, each with a report.
    pub refused: u64,
    /// Reports that were sent to the processes that asked.
    pub reported: u64,
    /// Reports that nobody wants any more, as the process that asked has ended.
    pub orphaned: u64,
    /// Reports that wait for room, as their readers lag behind.
    pub parked: u64,
    /// Records of lanes that were no messages.
    pub malformed: u64,
    /// Lanes that something overwrote; their processes have to end.
    pub broken: u64,
    /// Lanes that were given back as their processes ended.
    pub reclaimed: u64,
    /// How often the worker slept: it is woken by nothing but work.
    pub naps: u64,
}

/// For event_kafka_worker_attach(): reports have the key and the value of their message, whose memory
/// is held until then.
pub const EVENT_KAFKA_WORKER_REPORTS_RECORDS: u32 = 1;
/// For event_kafka_worker_attach(): reports are not for the process that published, but for whichever
/// the host hands them to (event_kafka_worker_next_batch()).
pub const EVENT_KAFKA_WORKER_REPORTS_TO_ANYBODY: u32 = 2;

const FLAGS: u32 = EVENT_KAFKA_WORKER_REPORTS_RECORDS | EVENT_KAFKA_WORKER_REPORTS_TO_ANYBODY;

/// Makes this process the worker of an area: it has the producers of all sockets, delivers what the
/// lanes hold, and reports to whoever published. If the worker before was killed, this goes on where
/// the lanes are; what that one had taken and not delivered is lost.
///
/// It has one thread of its own and one for each producer (more while names are looked up), in which
/// all signals are blocked. Close it and free it when it is no longer needed. A process that this one
/// forks from now on cannot be the worker, nor use producers; as any other of the area it can publish.
///
/// Any thread, at any time.
///
/// flags: EVENT_KAFKA_WORKER_... that are wanted, or 0.
///
/// Errors: EVENT_KAFKA_ERR_STATE (the area has a worker, which lives), EVENT_KAFKA_ERR_SYSTEM,
/// EVENT_KAFKA_ERR_INVALID_ARG, EVENT_KAFKA_ERR_BAD_HANDLE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_kafka_worker_attach(
    area: AreaHandle,
    flags: u32,
    worker: *mut WorkerHandle,
    text: *mut c_char,
    text_size: usize,
) -> i32 {
    let body = || {
        // SAFETY: the caller has room for a handle there.
        let out = unsafe { Out::new(worker, "worker") }?;
        if flags & !FLAGS != 0 {
            return Err(Error::argument("flags", "has bits that mean nothing"));
        }
        log::collect();
        let area = find_area(area)?;
        let client = Client::start(&area, flags)?;
        let id = WORKERS.insert(client).ok_or(Error::argument(
            "workers",
            "are too many: 65536 can be there at a time; free some",
        ))?;
        out.set(WorkerHandle { id });
        Ok(())
    };
    // SAFETY: the caller's buffer has the size that it says.
    unsafe { call(text, text_size, body) }
}

/// Gives the number of a batch of up to 16 reports for anybody, which the host now hands to a process
/// that takes them by event_kafka_area_take_batch(). Each number comes out once; until its reports are
/// taken, they keep a slot of the report area, and messages whose reports find none wait for it.
///
/// The worker's process, any thread, at any time.
///
/// batch: never 0; 0 if there is none now.
///
/// Errors: EVENT_KAFKA_ERR_STATE (the worker was attached without
/// EVENT_KAFKA_WORKER_REPORTS_TO_ANYBODY), EVENT_KAFKA_ERR_INVALID_ARG, EVENT_KAFKA_ERR_BAD_HANDLE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_kafka_worker_next_batch(
    worker: WorkerHandle,
    batch: *mut u64,
) -> i32 {
    call_without_text(|| {
        // SAFETY: the caller has room for a number there.
        let out = unsafe { Out::new(batch, "batch") }?;
        let client = find(worker)?;
        let batches = client.batches.as_ref().ok_or(Error::NotForAnybody)?;
        out.set(batches.next().map_or(0, Batch::word));
        Ok(())
    })
}

/// Gives a descriptor for poll() and its like that is readable while there are batches for anybody.
/// Neither read from it nor close it; it is gone with event_kafka_worker_free().
///
/// The worker's process, any thread, at any time.
///
/// Errors: as event_kafka_worker_next_batch().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_kafka_worker_batch_fd(worker: WorkerHandle, fd: *mut c_int) -> i32 {
    call_without_text(|| {
        // SAFETY: the caller has room for a number there.
        let out = unsafe { Out::new(fd, "fd") }?;
        let client = find(worker)?;
        let batches = client.batches.as_ref().ok_or(Error::NotForAnybody)?;
        out.set(batches.bell.descriptor());
        Ok(())
    })
}

/// Takes what the lanes hold, sends without lingering, and waits until every message has its outcome
/// and the reports are on their way, for up to timeout_ms milliseconds.
///
/// The worker's process, any thread, at any time. Everything goes on meanwhile.
///
/// remaining: how many messages have no outcome yet; may be NULL.
///
/// Errors: EVENT_KAFKA_ERR_TIMED_OUT (what is left is not affected), EVENT_KAFKA_ERR_BAD_HANDLE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_kafka_worker_drain(
    worker: WorkerHandle,
    timeout_ms: u32,
    remaining: *mut u64,
) -> i32 {
    call_without_text(|| {
        let out = match remaining.is_null() {
            true => None,
            // SAFETY: the caller has room for a number there.
            false => Some(unsafe { Out::new(remaining, "remaining") }?),
        };
        let drained = find(worker)?.drain(millis(timeout_ms));
        if let Some(out) = out {
            out.set(drained.map_or_else(|FlushError { remaining }| remaining, |()| 0));
        }
        drained.map_err(Error::Flush)
    })
}

/// Unsubscribes all sockets, so that nothing more is published; then drains for up to timeout_ms
/// milliseconds, and ends all producers and threads. Messages that were not delivered in time fail,
/// each with its report, for which its reader has to have room by then; but reports for anybody are given
/// to nobody any more, as the host cannot hand them out meanwhile. Closing again does nothing.
///
/// The worker's process, any thread, at any time.
///
/// Errors: EVENT_KAFKA_ERR_TIMED_OUT (closed all the same; the text names what was not delivered, by
/// topic and reason), EVENT_KAFKA_ERR_BAD_HANDLE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_kafka_worker_close(
    worker: WorkerHandle,
    timeout_ms: u32,
    text: *mut c_char,
    text_size: usize,
) -> i32 {
    let body = || {
        let closed = find(worker)?.close(millis(timeout_ms));
        closed.map_err(Error::Close)
    };
    // SAFETY: the caller's buffer has the size that it says.
    unsafe { call(text, text_size, body) }
}

/// Frees a worker; its handle names nothing any more. One that was not closed is closed first without
/// waiting.
///
/// The worker's process, any thread, at any time.
///
/// Errors: EVENT_KAFKA_ERR_BAD_HANDLE.
#[unsafe(no_mangle)]
pub extern "C" fn event_kafka_worker_free(worker: WorkerHandle) -> i32 {
    call_without_text(|| {
        let client = find(worker)?;
        if let Err(lost) = client.close(Duration::ZERO) {
            tracing::warn!("worker freed without close: {lost}");
        }
        match WORKERS.remove(worker.id) {
            true => Ok(()),
            false => Err(Error::BadHandle("worker")),
        }
    })
}

/// Counts what a worker has done.
///
/// The worker's process, any thread, at any time.
///
/// Errors: EVENT_KAFKA_ERR_INVALID_ARG, EVENT_KAFKA_ERR_BAD_HANDLE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_kafka_worker_counters(
    worker: WorkerHandle,
    counters: *mut WorkerCounters,
) -> i32 {
    call_without_text(|| {
        // SAFETY: the caller has room for counters there.
        let out = unsafe { Out::new(counters, "counters") }?;
        out.set(find(worker)?.totals.read());
        Ok(())
    })
}

/// Why a socket is of no use now, if it is not: error becomes the code of what happened to its producer,
/// or 0, and the text says more. Only idempotent producers can fail like this. The next message for the
/// socket gets it another one, if the one before lasted for a second.
///
/// The worker's process, any thread, at any time.
///
/// Errors: EVENT_KAFKA_ERR_CLOSED (no such socket), EVENT_KAFKA_ERR_INVALID_ARG,
/// EVENT_KAFKA_ERR_BAD_HANDLE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_kafka_worker_fatal_error(
    worker: WorkerHandle,
    socket: SocketHandle,
    error: *mut i32,
    text: *mut c_char,
    text_size: usize,
) -> i32 {
    let body = || {
        // SAFETY: the caller has room for a number there.
        let out = unsafe { Out::new(error, "error") }?;
        let client = find(worker)?;
        let key = client.keys.key_of(socket.into());
        let status = key.and_then(|key| client.registry.status(key));
        let status = status.ok_or(Error::Refused(Refusal::NoSocket))?;
        match status.state {
            SocketState::Failed(fatal) => {
                out.set(fatal.error.code());
                // SAFETY: the caller's buffer has the size that it says.
                unsafe { text::write(text, text_size, &fatal) };
            }
            _ => out.set(0),
        }
        Ok(())
    };
    // SAFETY: the caller's buffer has the size that it says.
    unsafe { call(text, text_size, body) }
}

/// Gives a descriptor for poll() and its like that is readable once a socket has changed, which
/// event_kafka_area_take_change() tells. Neither read from it nor close it; it is gone with
/// event_kafka_worker_free().
///
/// The worker's process, any thread, at any time.
///
/// Errors: EVENT_KAFKA_ERR_INVALID_ARG, EVENT_KAFKA_ERR_BAD_HANDLE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_kafka_worker_change_fd(worker: WorkerHandle, fd: *mut c_int) -> i32 {
    call_without_text(|| {
        // SAFETY: the caller has room for a number there.
        let out = unsafe { Out::new(fd, "fd") }?;
        out.set(find(worker)?.bells.changes.descriptor());
        Ok(())
    })
}

/// Says whether a socket has changed since this was asked before, and makes the descriptor of
/// event_kafka_worker_change_fd() unreadable until one does again.
///
/// The worker's process, any thread, at any time.
///
/// have_changed: 1 or 0.
///
/// Errors: EVENT_KAFKA_ERR_INVALID_ARG, EVENT_KAFKA_ERR_BAD_HANDLE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_kafka_worker_have_changed(
    worker: WorkerHandle,
    have_changed: *mut i32,
) -> i32 {
    call_without_text(|| {
        // SAFETY: the caller has room for a number there.
        let out = unsafe { Out::new(have_changed, "have_changed") }?;
        out.set(find(worker)?.bells.changes.silence().into());
        Ok(())
    })
}

static WORKERS: Table<Client> = Table::new();

fn find(worker: WorkerHandle) -> Result<Found<Client>, Error> {
    WORKERS.get(worker.id).ok_or(Error::BadHandle("worker"))
}

/// What the handle of a worker stands for.
struct Client {
    area: Area,
    registry: Registry<Ticket>,
    keys: Arc<Keys>,
    totals: Arc<Totals>,
    orders: Sender<Order>,
    bells: Bells,
    /// If reports are for anybody.
    batches: Option<Arc<Batches>>,
    /// `None` once it is closed. Whoever closes holds this meanwhile.
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Client {
    fn start(area: &Area, flags: u32) -> Result<Self, Error> {
        let is_set = |flag| flags & flag != 0;
        let lanes = Lanes::attach(area).map_err(Error::Attach)?;
        let bells = Bells {
            work: Arc::new(Bell::new()?),
            changes: Arc::new(Bell::new()?),
        };
        lanes
            .also_wait_for(bells.work.source())
            .map_err(Error::system("wait for an eventfd"))?;
        let keys = Arc::new(Keys::default());
        let reports_records = is_set(EVENT_KAFKA_WORKER_REPORTS_RECORDS);
        let registry = registry(area, &keys, reports_records);
        let batches = match is_set(EVENT_KAFKA_WORKER_REPORTS_TO_ANYBODY) {
            true => Some(Arc::new(Batches::new()?)),
            false => None,
        };
        let totals = Arc::new(Totals::default());
        let (orders, received) = mpsc::channel();
        let mut desk = Desk::new(lanes, area, &registry, &keys, &totals, &bells, received);
        if let Some(batches) = &batches {
            desk.report_to_anybody(Arc::clone(batches));
        }
        let thread = thread::Builder::new().name("event-kafka-lane".into());
        let thread = without_signals(|| thread.spawn(move || desk.run()))?;
        Ok(Self {
            area: area.clone(),
            registry,
            keys,
            totals,
            orders,
            bells,
            batches,
            thread: Mutex::new(Some(thread.map_err(|error| Error::System {
                what: "start the worker's thread",
                error,
            })?)),
        })
    }

    fn drain(&self, timeout: Duration) -> Result<(), FlushError> {
        let start = Instant::now();
        let left = || timeout.saturating_sub(start.elapsed());
        let quiet = self.order(Order::LanesEmpty, left());
        let flushed = self.registry.drain(left());
        let told = self.order(Order::Reported, left());
        match flushed {
            Ok(()) if !(quiet && told) => Err(FlushError {
                remaining: self.totals.read().held,
            }),
            flushed => flushed,
        }
    }

    fn close(&self, timeout: Duration) -> Result<(), CloseError> {
        let mut thread = self.thread.lock();
        let Some(running) = thread.take() else {
            return Ok(());
        };
        let start = Instant::now();
        let left = || timeout.saturating_sub(start.elapsed());
        if let Some(batches) = &self.batches {
            batches.end();
        }
        for (socket, _) in self.area.sockets().all() {
            self.area.sockets().close(socket);
        }
        self.order(Order::LanesEmpty, left());
        let closed = self.registry.close(left());
        self.order(Order::Reported, left());
        self.give(Order::End);
        // A panic there has been reported by its own hook.
        let _ = running.join();
        closed
    }

    /// Whether it was done in time.
    fn order(&self, order: impl FnOnce(Sender<()>) -> Order, timeout: Duration) -> bool {
        let (done, is_done): (_, Receiver<()>) = mpsc::channel();
        self.give(order(done));
        is_done.recv_timeout(timeout).is_ok()
    }

    fn give(&self, order: Order) {
        // An error means that the thread has ended.
        let _ = self.orders.send(order);
        self.bells.work.ring();
    }
}

/// One that shows in the table which sockets are full. What the lanes can hold was promised by then.
fn registry(area: &Area, keys: &Arc<Keys>, reports_records: bool) -> Registry<Ticket> {
    let bytes = area.sizes().lanes * area.sizes().lane_bytes;
    let (area, keys) = (area.clone(), Arc::clone(keys));
    let show = move |key, is_full| {
        for socket in keys.sockets_of(key) {
            area.sockets().set_full(socket, is_full);
        }
    };
    RegistryBuilder::default()
        .report_all(true)
        .report_records(reports_records)
        .overdraft(bytes / SMALLEST_RECORD, bytes)
        .on_full(show)
        .build()
}

impl Totals {
    fn read(&self) -> WorkerCounters {
        let read = |counter: &AtomicU64| counter.load(Ordering::Acquire);
        // Outcomes first: what is accepted meanwhile must not make the balance negative.
        let (delivered, failed) = (read(&self.delivered), read(&self.failed));
        let accepted = read(&self.accepted);
        WorkerCounters {
            taken: read(&self.taken),
            accepted,
            delivered,
            failed,
            held: accepted - delivered - failed,
            refused: read(&self.refused),
            reported: read(&self.reported),
            orphaned: read(&self.orphaned),
            parked: read(&self.parked),
            malformed: read(&self.malformed),
            broken: read(&self.broken),
            reclaimed: read(&self.reclaimed),
            naps: read(&self.naps),
        }
    }
}
