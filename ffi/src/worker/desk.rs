//! What the worker does, in one thread: it takes messages from lanes to the registry of sockets, and
//! reports from there to the processes that asked.

use std::collections::VecDeque;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant, SystemTime};

use event_kafka::opensips::{
    Registry, SocketFlush, SocketKey, SocketPublishError, SocketReport, SocketReports,
    SocketState as Producing, SocketStatus, SubscribeError,
};
use event_kafka::{Contact as Reached, Failure, Persisted, PublishError};

use super::batches::Batches;
use super::table::Keys;
use crate::area::{BROKER_ID, EVENT_KAFKA_ROUTE_ALWAYS, EVENT_KAFKA_ROUTE_NONE, EVENT_SOCKET};
use crate::bell::Bell;
use crate::codes::{EVENT_KAFKA_ERR_INVALID_ARG, EVENT_KAFKA_ERR_TRANSPORT, EVENT_KAFKA_OK};
use crate::reports::{EVENT_KAFKA_PLACE_NONE, place};
use crate::shared::area::Area;
use crate::shared::outbox::{Asker, Outbox, OutboxError, To};
use crate::shared::record::{Message, SocketId};
use crate::shared::report::{Part, Report};
use crate::shared::shown::{Condition, Contact, Trouble};
use crate::shared::sockets::SocketState;
use crate::shared::worker::Worker as Lanes;

/// At the desk, the worker serves all.
pub(super) struct Desk {
    lanes: Lanes,
    clerk: Clerk,
    reports: SocketReports<Ticket>,
    bells: Bells,
    orders: Receiver<Order>,
    /// Who waits until the lanes were seen empty, or all was reported.
    waiting: Vec<Order>,
    /// The seat whose reports are the first to get room.
    first_unparked: usize,
    /// When it was last shown how sockets are.
    shown_at: Instant,
    /// Whether anything may have changed since.
    is_outdated: bool,
}

#[derive(Clone)]
pub(super) struct Bells {
    /// Wakes the desk.
    pub(super) work: Arc<Bell>,
    /// Rings when a socket has changed.
    pub(super) changes: Arc<Bell>,
}

/// What others want of the worker. It answers once it is so.
pub(super) enum Order {
    /// All that lay in the lanes when this was given is taken.
    LanesEmpty(Sender<()>),
    /// There are no reports that wait for their readers, and no messages without an outcome.
    Reported(Sender<()>),
    /// To end.
    End,
}

/// What comes back with the report of a message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ticket {
    asker: Asker,
    socket: SocketId,
    route: u32,
    opaque: u64,
    taken_us: u64,
}

/// What was done, for others to read.
#[derive(Debug, Default)]
pub(super) struct Totals {
    pub(super) taken: AtomicU64,
    pub(super) accepted: AtomicU64,
    pub(super) delivered: AtomicU64,
    pub(super) failed: AtomicU64,
    pub(super) refused: AtomicU64,
    pub(super) reported: AtomicU64,
    pub(super) orphaned: AtomicU64,
    pub(super) parked: AtomicU64,
    pub(super) malformed: AtomicU64,
    pub(super) broken: AtomicU64,
    pub(super) reclaimed: AtomicU64,
    pub(super) naps: AtomicU64,
}

/// All but lanes and queue of reports, which it is handed.
struct Clerk {
    area: Area,
    registry: Registry<Ticket>,
    keys: Arc<Keys>,
    totals: Arc<Totals>,
    start: Instant,
    /// By their slots in the table.
    sockets: Vec<Option<Served>>,
    /// Reports that wait for their readers, by seat.
    parked: Vec<VecDeque<Outcome>>,
    parked_count: usize,
    /// Where batches for anybody go, if reports are for anybody and not for who asked.
    batches: Option<Arc<Batches>>,
    complaints: Complaints,
}

/// Failures that nobody is told of but the log: one line in a second, as they come in thousands.
#[derive(Default)]
struct Complaints {
    last: Option<Instant>,
    unsaid: u64,
}

/// A socket of the table that the worker knows.
struct Served {
    id: SocketId,
    /// Or why there is none.
    key: Result<SocketKey, Arc<str>>,
    /// When it last got another producer for one that had failed for good.
    replaced: Option<Instant>,
    /// How many more rounds may find messages that were published before it was closed.
    rounds_left: Option<usize>,
    /// A flush that is under way.
    flushing: Option<Flushing>,
    /// Messages that were accepted, and those that had their outcome.
    accepted: u64,
    settled: u64,
    /// What is to be shown of it: what went wrong first since that was done.
    trouble: Option<Trouble>,
    /// As it was shown.
    contact: Contact,
}

/// A socket does not linger until all that was published before has its outcome.
struct Flushing {
    number: u64,
    /// How many more rounds may find messages that were published before.
    rounds_left: usize,
    /// So many messages have to be settled, once there are no more of those.
    until_settled: u64,
    /// `None`: there is no producer, and so nothing is held.
    _lingers_not: Option<SocketFlush>,
}

/// What became of a message.
enum Outcome {
    Settled(SocketReport<Ticket>),
    Refused {
        ticket: Ticket,
        refusal: Refusal,
        /// Where it was for.
        topic: Box<str>,
        partition: Option<i32>,
        key: Option<Box<[u8]>>,
        value: Option<Box<[u8]>>,
    },
}

/// Why the worker did not take a message.
#[derive(Clone, Debug)]
enum Refusal {
    BySocket(SocketPublishError),
    /// The socket could not be subscribed.
    NoSocket(Arc<str>),
}

/// Bytes that are taken from each lane in a round.
const QUANTUM: usize = 64 << 10;
/// Reports that are moved in a round.
const MOST_REPORTS: usize = 1024;
/// How long a socket has to do with a producer that has failed for good before it gets another one,
/// which may fail for the same reason.
const REPLACED_AFTER: Duration = Duration::from_secs(1);
/// How often it is shown how sockets are, as that takes longer than a message.
const SHOWN_AFTER: Duration = Duration::from_millis(100);
/// As long as so many reports wait for a process, nothing is taken from its lane.
const MOST_PARKED: usize = 1024;

impl Desk {
    pub(super) fn new(
        lanes: Lanes,
        area: &Area,
        registry: &Registry<Ticket>,
        keys: &Arc<Keys>,
        totals: &Arc<Totals>,
        bells: &Bells,
        orders: Receiver<Order>,
    ) -> Self {
        let sizes = area.sizes();
        Self {
            lanes,
            reports: registry.reports(),
            clerk: Clerk {
                area: area.clone(),
                registry: registry.clone(),
                keys: Arc::clone(keys),
                totals: Arc::clone(totals),
                start: Instant::now(),
                sockets: (0..sizes.sockets).map(|_| None).collect(),
                parked: (0..sizes.lanes).map(|_| VecDeque::new()).collect(),
                parked_count: 0,
                batches: None,
                complaints: Complaints::default(),
            },
            bells: bells.clone(),
            orders,
            waiting: Vec::new(),
            first_unparked: 0,
            shown_at: Instant::now(),
            is_outdated: true,
        }
    }

    /// Has reports go to anybody instead of those who asked.
    pub(super) fn report_to_anybody(&mut self, batches: Arc<Batches>) {
        self.clerk.batches = Some(batches);
    }

    pub(super) fn run(mut self) {
        let bell = Arc::clone(&self.bells.work);
        let waker = Waker::from(Arc::clone(&bell));
        loop {
            self.is_outdated |= bell.silence();
            self.waiting.extend(self.orders.try_iter());
            if self.waiting.iter().any(|order| matches!(order, Order::End)) {
                break;
            }
            if self.lanes.have_sockets_changed() {
                self.is_outdated = true;
                self.clerk.look_at_sockets();
            }
            // Before the lanes: what was published before a flush lies there now.
            if self.lanes.are_flushes_wanted() {
                self.clerk.begin_flushes();
            }
            let unparked = self.unpark();
            let taken = self.serve();
            let reported = self.report();
            self.announce();
            // A lane that is left alone may hold messages.
            let are_lanes_empty = taken == 0 && !self.clerk.is_anybody_behind();
            self.clerk.let_go(are_lanes_empty);
            let is_flushing = self.clerk.flush(are_lanes_empty);
            self.answer(are_lanes_empty);
            self.count();
            let has_worked = taken + reported + unparked > 0;
            self.is_outdated |= has_worked;
            self.show();
            if has_worked {
                continue;
            }
            match self.reports.poll_take(&mut Context::from_waker(&waker)) {
                Poll::Ready(report) => self.hand_over(report),
                Poll::Pending if self.clerk.is_letting_go() || is_flushing => {}
                // It fails only where descriptors are out of order, and then at once: no harm, but
                // for the processor.
                Poll::Pending => drop(self.lanes.sleep(self.until_shown())),
            }
        }
        self.end();
    }

    /// Takes messages from the lanes; how many.
    fn serve(&mut self) -> usize {
        for seat in 0..self.clerk.parked.len() {
            self.lanes.pause(seat as u32, self.clerk.is_behind(seat));
        }
        let clerk = &mut self.clerk;
        self.lanes.serve(QUANTUM, |asker, message, outbox| {
            clerk.take(asker, message, outbox);
        })
    }

    /// Sends reports to those who asked; how many.
    fn report(&mut self) -> usize {
        let mut count = 0;
        while count < MOST_REPORTS
            && let Some(report) = self.reports.take()
        {
            count += 1;
            self.hand_over(report);
        }
        if count < MOST_REPORTS {
            self.lanes.outbox().flush();
        }
        count
    }

    /// Tells the host of batches for anybody.
    fn announce(&mut self) {
        if let Some(batches) = &self.clerk.batches {
            let outbox = self.lanes.outbox();
            batches.add(std::iter::from_fn(|| outbox.next_batch()));
        }
    }

    fn hand_over(&mut self, report: SocketReport<Ticket>) {
        let outcome = Outcome::Settled(report);
        self.clerk.hand_over(outcome, self.lanes.outbox());
    }

    /// Sends reports that waited for room, those of each seat first in turn; how many.
    fn unpark(&mut self) -> usize {
        if self.clerk.parked_count == 0 {
            return 0;
        }
        let outbox = self.lanes.outbox();
        let count = self.clerk.parked.len();
        let first = self.first_unparked;
        self.first_unparked = (first + 1) % count;
        let seats = (first..count).chain(0..first);
        let count = seats.map(|seat| self.clerk.unpark(seat, outbox)).sum();
        outbox.flush();
        count
    }

    fn answer(&mut self, are_lanes_empty: bool) {
        let is_all_reported = self.clerk.is_all_reported();
        self.waiting.retain(|order| {
            let (done, is_so) = match order {
                Order::LanesEmpty(done) => (done, are_lanes_empty),
                Order::Reported(done) => (done, is_all_reported),
                Order::End => return true,
            };
            if is_so {
                // An error means that nobody waits any more.
                let _ = done.send(());
            }
            !is_so
        });
    }

    /// Shows how sockets are, if that is due.
    fn show(&mut self) {
        if self.until_shown() == Some(Duration::ZERO) {
            self.is_outdated = false;
            self.shown_at = Instant::now();
            if self.clerk.show() {
                self.bells.changes.ring();
            }
        }
    }

    /// When to show it, if there is anything new.
    fn until_shown(&self) -> Option<Duration> {
        let until = SHOWN_AFTER.saturating_sub(self.shown_at.elapsed());
        self.is_outdated.then_some(until)
    }

    fn count(&self) {
        let seen = self.lanes.counters();
        let totals = &self.clerk.totals;
        totals.malformed.store(seen.malformed, Ordering::Relaxed);
        totals.broken.store(seen.broken, Ordering::Relaxed);
        totals.reclaimed.store(seen.reclaimed, Ordering::Relaxed);
        totals.naps.store(seen.naps, Ordering::Relaxed);
        let parked = self.clerk.parked_count as u64;
        totals.parked.store(parked, Ordering::Relaxed);
    }

    /// What has come since the last look fails; what nobody can take is dropped.
    fn end(mut self) {
        self.serve();
        while self.report() > 0 {}
        self.unpark();
        for parked in mem::take(&mut self.clerk.parked).into_iter().flatten() {
            self.clerk.dispose(&parked);
        }
        self.clerk.parked_count = 0;
        self.clerk.show();
        self.clerk.let_go(true);
        self.count();
        self.lanes.outbox().flush();
    }
}

impl Clerk {
    /// Takes a message from a lane.
    fn take(&mut self, asker: Asker, message: &Message<'_>, outbox: &mut Outbox) {
        add(&self.totals.taken);
        let ticket = Ticket {
            asker,
            socket: message.socket,
            route: message.route,
            opaque: message.record.opaque,
            taken_us: self.now_us(),
        };
        match self.publish(message, ticket) {
            Ok(()) => {
                add(&self.totals.accepted);
                self.area.sockets().count(message.socket, 1, 0, 0);
            }
            Err(refusal) => {
                add(&self.totals.refused);
                self.trouble_with(message.socket, || (refusal.code(), refusal.text()));
                self.area.sockets().count_refused(message.socket);
                let outcome = Outcome::Refused {
                    ticket,
                    refusal,
                    topic: self.topic_of(message),
                    partition: message.record.partition,
                    key: message.record.key.map(Into::into),
                    value: message.record.value.map(Into::into),
                };
                self.hand_over(outcome, outbox);
            }
        }
    }

    /// Empty if its socket cannot be used.
    fn topic_of(&self, message: &Message<'_>) -> Box<str> {
        let own = || self.registry.topic(self.keys.key_of(message.socket)?);
        message
            .topic
            .map_or_else(|| own().unwrap_or_default(), Into::into)
    }

    fn publish(&mut self, message: &Message<'_>, ticket: Ticket) -> Result<(), Refusal> {
        match self.try_publish(message, ticket) {
            Err(refusal) if refusal.is_for_good() && self.replace_producer(message.socket) => {
                self.try_publish(message, ticket)
            }
            result => result,
        }
    }

    fn try_publish(&mut self, message: &Message<'_>, ticket: Ticket) -> Result<(), Refusal> {
        let slot = message.socket.slot as usize;
        let is_known = |served: &Option<Served>| {
            served
                .as_ref()
                .is_some_and(|served| served.id == message.socket)
        };
        if !self.sockets.get(slot).is_some_and(is_known) {
            // It may have come just now.
            self.look_at(message.socket);
        }
        let served = self.sockets.get_mut(slot).and_then(Option::as_mut);
        let served = served
            .filter(|served| served.id == message.socket)
            .ok_or(Refusal::BySocket(SocketPublishError::NoSocket))?;
        let key = served.key.clone().map_err(Refusal::NoSocket)?;
        self.registry
            .publish_promised(key, message.topic, message.record, ticket)
            .map_err(Refusal::BySocket)?;
        served.accepted += 1;
        Ok(())
    }

    /// Sends a report to who asked, or keeps it until there is room.
    fn hand_over(&mut self, outcome: Outcome, outbox: &mut Outbox) {
        let seat = outcome.ticket().asker.seat as usize;
        let waits = !self.parked[seat].is_empty();
        if waits || !self.send(&outcome, outbox) {
            self.parked[seat].push_back(outcome);
            self.parked_count += 1;
        }
    }

    fn unpark(&mut self, seat: usize, outbox: &mut Outbox) -> usize {
        let mut count = 0;
        while let Some(outcome) = self.parked[seat].pop_front() {
            if !self.send(&outcome, outbox) {
                self.parked[seat].push_front(outcome);
                break;
            }
            self.parked_count -= 1;
            count += 1;
        }
        count
    }

    /// False if there is no room.
    fn send(&mut self, outcome: &Outcome, outbox: &mut Outbox) -> bool {
        let ticket = outcome.ticket();
        let batches = self.batches.as_ref();
        let is_over = batches.is_some_and(|batches| batches.is_over());
        if outcome.is_to_be_told() && !is_over {
            let latency_us = self.now_us() - ticket.taken_us;
            let to = match self.batches {
                Some(_) => To::Anybody,
                None => To::Asker(ticket.asker),
            };
            match outcome.report(latency_us, |report| outbox.push(to, report)) {
                Ok(()) => {
                    add(&self.totals.reported);
                    self.area.count_reported(1);
                }
                Err(OutboxError::Gone) => add(&self.totals.orphaned),
                Err(OutboxError::Full) => return false,
            }
        } else {
            self.complaints.hear(outcome);
        }
        self.dispose(outcome);
        true
    }

    /// Nothing more is done for this message.
    fn dispose(&mut self, outcome: &Outcome) {
        let Outcome::Settled(report) = outcome else {
            return;
        };
        let socket = report.ticket.socket;
        if let Err(failure) = &report.outcome {
            self.trouble_with(socket, || (failure.error.code(), failure.to_string()));
        }
        let delivered = report.outcome.is_ok();
        add(if delivered {
            &self.totals.delivered
        } else {
            &self.totals.failed
        });
        let (delivered, failed) = (u64::from(delivered), u64::from(!delivered));
        self.area.sockets().count(socket, 0, delivered, failed);
        let served = self.sockets[socket.slot as usize].as_mut();
        let served = served.expect("it stays until nothing is held");
        served.settled += 1;
    }

    /// Meets what is new in the table, and what is closing.
    fn look_at_sockets(&mut self) {
        let all: Vec<_> = self.area.sockets().all().collect();
        for (id, state) in all {
            self.look_at(id);
            if state == SocketState::Closing {
                // A round takes a part of each lane: after so many, all that lay there is taken.
                let rounds = self.area.sizes().lane_bytes / QUANTUM + 2;
                let served = self.sockets[id.slot as usize].as_mut();
                if let Some(served) = served.filter(|served| served.id == id) {
                    served.rounds_left.get_or_insert(rounds);
                }
            }
        }
    }

    /// Subscribes a socket that is new.
    fn look_at(&mut self, id: SocketId) {
        let Some(place) = self.sockets.get(id.slot as usize) else {
            return;
        };
        // Where another one still is, that one leaves first.
        if place.is_some() {
            return;
        }
        let Some(text) = self.area.sockets().text(id) else {
            return;
        };
        let key = self.meet(id, &text);
        self.sockets[id.slot as usize] = Some(Served {
            id,
            key,
            replaced: None,
            rounds_left: None,
            flushing: None,
            accepted: 0,
            settled: 0,
            trouble: None,
            contact: Contact::Idle,
        });
    }

    /// Subscribes a socket; or says why that cannot be.
    fn meet(&self, id: SocketId, text: &str) -> Result<SocketKey, Arc<str>> {
        let key = self.subscribe(text).map_err(|error| {
            tracing::error!("a socket cannot be used: {error}");
            Arc::<str>::from(error.to_string())
        })?;
        self.keys.insert(id, key);
        let is_full = self.registry.status(key).is_some_and(|status| status.full);
        self.area.sockets().set_full(id, is_full);
        Ok(key)
    }

    /// Subscribes a socket anew whose producer has failed for good: what it had accepted has failed,
    /// and what comes need not, once somebody has seen to the reason. Whether it did, as that takes
    /// threads and is not for every message.
    fn replace_producer(&mut self, id: SocketId) -> bool {
        let slot = id.slot as usize;
        let Some(served) = self.sockets[slot].as_mut() else {
            return false;
        };
        let is_too_soon = |last: Instant| last.elapsed() < REPLACED_AFTER;
        if served.replaced.is_some_and(is_too_soon) {
            return false;
        }
        served.replaced = Some(Instant::now());
        let (Ok(failed), Some(text)) = (served.key.clone(), self.area.sockets().text(id)) else {
            return false;
        };
        self.registry.unsubscribe(failed);
        self.keys.remove(id);
        let key = self.meet(id, &text);
        let is_replaced = key.is_ok();
        if let Some(served) = self.sockets[slot].as_mut() {
            served.key = key;
        }
        is_replaced
    }

    fn subscribe(&self, text: &str) -> Result<SocketKey, SubscribeError> {
        let subscribed = match text.strip_prefix(BROKER_ID) {
            Some(broker_id) => self.registry.define(broker_id),
            None => {
                let socket = text.strip_prefix(EVENT_SOCKET);
                self.registry.subscribe(socket.unwrap_or(text))
            }
        };
        let subscribed = subscribed?;
        for warning in &subscribed.warnings {
            tracing::warn!("{warning}");
        }
        Ok(subscribed.key)
    }

    /// Lets sockets go that are closing, once nothing comes and nothing is held any more.
    fn let_go(&mut self, are_lanes_empty: bool) {
        for slot in 0..self.sockets.len() {
            let Some(served) = &mut self.sockets[slot] else {
                continue;
            };
            let Some(rounds_left) = &mut served.rounds_left else {
                continue;
            };
            if *rounds_left > 0 {
                *rounds_left = if are_lanes_empty { 0 } else { *rounds_left - 1 };
                if *rounds_left == 0
                    && let Ok(key) = served.key
                {
                    self.registry.unsubscribe(key);
                    self.keys.remove(served.id);
                }
            }
            if served.rounds_left == Some(0) && served.held() == 0 {
                self.area.sockets().remove(served.id);
                self.sockets[slot] = None;
            }
        }
    }

    /// Has sockets not linger for which somebody asks that.
    fn begin_flushes(&mut self) {
        // Whoever asks may have subscribed the socket just now.
        self.look_at_sockets();
        let rounds_left = self.area.sizes().lane_bytes / QUANTUM + 2;
        for served in self.sockets.iter_mut().flatten() {
            let Some(number) = self.area.sockets().wanted_flush(served.id) else {
                continue;
            };
            let is_it = |flushing: &Flushing| flushing.number == number;
            if served.flushing.as_ref().is_some_and(is_it) {
                continue;
            }
            let key = served.key.as_ref().ok();
            served.flushing = Some(Flushing {
                number,
                rounds_left,
                until_settled: 0,
                _lingers_not: key.and_then(|key| self.registry.begin_flush(*key)),
            });
        }
    }

    /// Ends flushes that have reached what they are for. Whether some wait for another round.
    fn flush(&mut self, are_lanes_empty: bool) -> bool {
        let mut has_more = false;
        for served in self.sockets.iter_mut().flatten() {
            let Some(flushing) = &mut served.flushing else {
                continue;
            };
            if flushing.rounds_left > 0 {
                flushing.rounds_left = match are_lanes_empty {
                    true => 0,
                    false => flushing.rounds_left - 1,
                };
                flushing.until_settled = served.accepted;
            }
            has_more |= flushing.rounds_left > 0;
            if flushing.rounds_left == 0 && served.settled >= flushing.until_settled {
                self.area.sockets().flushed(served.id, flushing.number);
                served.flushing = None;
            }
        }
        has_more
    }

    /// Something went wrong with a message of a socket. What is in the table is the first of many.
    fn trouble_with(&mut self, socket: SocketId, what: impl FnOnce() -> (i32, String)) {
        let served = self.sockets.get_mut(socket.slot as usize);
        let served = served.and_then(Option::as_mut);
        if let Some(served) = served.filter(|served| served.id == socket) {
            served.trouble.get_or_insert_with(|| trouble(what()));
        }
    }

    /// Shows how sockets are. Whether that is news of any.
    fn show(&mut self) -> bool {
        let mut is_news = false;
        for served in self.sockets.iter_mut().flatten() {
            let status = served.key.as_ref().map(|key| self.registry.status(*key));
            let condition = match status {
                Ok(Some(status)) => served.condition(&status),
                // It has left, and all of its messages.
                Ok(None) => continue,
                Err(why) => {
                    let why = Arc::clone(why);
                    served.has_failed(|| (EVENT_KAFKA_ERR_INVALID_ARG, why.to_string()))
                }
            };
            is_news |= self.area.sockets().show(served.id, &condition);
        }
        is_news
    }

    /// Whether sockets wait for another round.
    fn is_letting_go(&self) -> bool {
        let mut sockets = self.sockets.iter().flatten();
        sockets.any(|served| served.rounds_left.is_some_and(|rounds| rounds > 0))
    }

    /// Whether nothing is taken from a lane, as too many reports wait for its process.
    fn is_behind(&self, seat: usize) -> bool {
        self.parked[seat].len() >= MOST_PARKED
    }

    fn is_anybody_behind(&self) -> bool {
        self.parked_count >= MOST_PARKED && (0..self.parked.len()).any(|seat| self.is_behind(seat))
    }

    fn is_all_reported(&self) -> bool {
        let mut sockets = self.sockets.iter().flatten();
        self.parked_count == 0 && sockets.all(|served| served.held() == 0)
    }

    fn now_us(&self) -> u64 {
        self.start.elapsed().as_micros() as u64
    }
}

impl Served {
    /// Messages that were accepted and have not left.
    fn held(&self) -> u64 {
        self.accepted - self.settled
    }

    fn condition(&mut self, status: &SocketStatus) -> Condition {
        let condition = match &status.state {
            Producing::Failed(fatal) => self.has_failed(|| (fatal.error.code(), fatal.to_string())),
            _ => self.has_contact(&status.contact),
        };
        Condition {
            producer: status.producer,
            held_bytes: status.counters.held_bytes,
            ..condition
        }
    }

    fn has_contact(&mut self, contact: &Reached) -> Condition {
        match contact {
            Reached::Connecting => self.is_now(Contact::Connecting, None),
            Reached::Up => self.is_now(Contact::Up, None),
            Reached::Down(why) => {
                let what = || (EVENT_KAFKA_ERR_TRANSPORT, why.to_string());
                let is_news = self.contact != Contact::Down;
                self.is_now(Contact::Down, is_news.then(|| trouble(what())))
            }
        }
    }

    fn has_failed(&mut self, what: impl FnOnce() -> (i32, String)) -> Condition {
        let is_news = self.contact != Contact::Failed;
        self.is_now(Contact::Failed, is_news.then(|| trouble(what())))
    }

    /// Why it is so counts for more than what became of messages by it.
    fn is_now(&mut self, contact: Contact, why: Option<Trouble>) -> Condition {
        self.contact = contact;
        let failed = self.trouble.take();
        Condition {
            contact,
            trouble: why.or(failed),
            ..Condition::default()
        }
    }
}

fn trouble((code, text): (i32, String)) -> Trouble {
    let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    Trouble {
        code,
        at_ms: since_1970.unwrap_or_default().as_millis() as u64,
        text,
    }
}

impl Complaints {
    fn hear(&mut self, outcome: &Outcome) {
        if matches!(outcome, Outcome::Settled(report) if report.outcome.is_ok()) {
            return;
        }
        let is_too_soon = |last: Instant| last.elapsed() < Duration::from_secs(1);
        if self.last.is_some_and(is_too_soon) {
            self.unsaid += 1;
            return;
        }
        let why = outcome.in_words();
        self.last = Some(Instant::now());
        match mem::take(&mut self.unsaid) {
            0 => tracing::error!("a message failed: {why}"),
            others => tracing::error!("a message failed, as {others} before it: {why}"),
        }
    }
}

impl Outcome {
    fn ticket(&self) -> Ticket {
        match self {
            Self::Settled(report) => report.ticket,
            Self::Refused { ticket, .. } => *ticket,
        }
    }

    fn in_words(&self) -> String {
        match self {
            Self::Settled(report) => match &report.outcome {
                Ok(_) => format!("{}: delivered", report.topic),
                Err(failure) => format!("{}: {failure}", report.topic),
            },
            Self::Refused { refusal, .. } => refusal.text(),
        }
    }

    fn is_to_be_told(&self) -> bool {
        let route = self.ticket().route;
        match self {
            _ if route == EVENT_KAFKA_ROUTE_NONE => false,
            Self::Settled(report) => route & EVENT_KAFKA_ROUTE_ALWAYS != 0 || report.is_wanted(),
            Self::Refused { .. } => true,
        }
    }

    /// Lends the report of this.
    fn report<R>(&self, latency_us: u64, to: impl FnOnce(&Report<'_>) -> R) -> R {
        let Ticket {
            socket,
            route,
            opaque,
            ..
        } = self.ticket();
        let report = Report {
            opaque,
            socket,
            route,
            error: EVENT_KAFKA_OK,
            partition: -1,
            offset: -1,
            log_append_time: -1,
            latency_us,
            place: EVENT_KAFKA_PLACE_NONE as u32,
            ..Report::default()
        };
        match self {
            Self::Settled(settled) => settle(settled, report, to),
            Self::Refused {
                refusal,
                topic,
                partition,
                key,
                value,
                ..
            } => to(&Report {
                topic,
                partition: partition.unwrap_or(-1),
                error: refusal.code(),
                error_name: refusal.name(),
                error_text: &refusal.text(),
                key: key.as_deref().map(Part::whole),
                value: value.as_deref().map(Part::whole),
                ..report
            }),
        }
    }
}

fn settle<R>(
    settled: &SocketReport<Ticket>,
    report: Report<'_>,
    to: impl FnOnce(&Report<'_>) -> R,
) -> R {
    let record = settled.record.as_ref();
    let report = Report {
        topic: &settled.topic,
        partition: settled.partition,
        key: record
            .and_then(|record| record.key.as_deref())
            .map(Part::whole),
        value: record
            .and_then(|record| record.value.as_deref())
            .map(Part::whole),
        ..report
    };
    match &settled.outcome {
        Ok(delivered) => to(&Report {
            offset: delivered.offset.unwrap_or(-1),
            log_append_time: delivered.log_append_time.unwrap_or(-1),
            ..report
        }),
        Err(failure) => fail(failure, report, to),
    }
}

fn fail<R>(failure: &Failure, report: Report<'_>, to: impl FnOnce(&Report<'_>) -> R) -> R {
    to(&Report {
        error: failure.error.code(),
        error_name: failure.error.name(),
        error_text: &failure.to_string(),
        attempts: failure.attempts,
        place: place(failure.place) as u32,
        maybe_persisted: failure.persisted == Persisted::Maybe,
        ..report
    })
}

impl Refusal {
    /// Whether the producer has failed for good.
    fn is_for_good(&self) -> bool {
        let refused = match self {
            Self::BySocket(SocketPublishError::Refused(error)) => error,
            _ => return false,
        };
        matches!(refused, PublishError::Fatal { .. })
    }

    fn code(&self) -> i32 {
        match self {
            Self::BySocket(error) => error.code(),
            Self::NoSocket(_) => EVENT_KAFKA_ERR_INVALID_ARG,
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::BySocket(error) => error.name(),
            Self::NoSocket(_) => "_INVALID_ARG",
        }
    }

    fn text(&self) -> String {
        match self {
            Self::BySocket(error) => error.to_string(),
            Self::NoSocket(text) => format!("the socket cannot be used: {text}"),
        }
    }
}

/// Only the worker's thread counts.
fn add(counter: &AtomicU64) {
    let count = counter.load(Ordering::Relaxed);
    // Release: whoever reads outcomes first and then what was accepted finds it there.
    counter.store(count + 1, Ordering::Release);
}
