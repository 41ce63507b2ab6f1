//! The way between the engine and the brokers, as the driver and its sockets make it.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::time::Duration;

use kafka_engine::ConnId;
use kafka_engine::compression::Done;
use kafka_engine::settings::Endpoint;
use kafka_engine::time::{Clock, Time};
use kafka_wire::message::{
    InitProducerIdResponse, MetadataResponse, ProduceRequest, ProduceResponse,
    decode_request_header, decode_response,
};
use kafka_wire::{ApiKey, Message as _};

use super::{World, millis};
use crate::cluster::{Election, Reach, Reply};

/// Connects while time stands still: more than there are brokers and bootstrap addresses.
const CONNECTS_AT_ONCE: u64 = 60;

/// A connection from the producer's side.
pub(super) struct Link {
    pub(super) broker: i32,
    pub(super) open: bool,
    /// When the last request arrives: requests keep their order.
    last_arrival: Time,
    /// When the last answer arrives: answers keep their order.
    last_answer: Time,
    /// An answer that waits for the next one.
    held_back: Option<Vec<u8>>,
    /// A request that is being written to a broker that does not read.
    stuck: Option<Vec<u8>>,
    /// When the requests without an answer were handed to the socket.
    pub(super) unanswered: VecDeque<Time>,
    /// What was asked and is not answered: correlation id, API and version.
    asked: VecDeque<(i32, ApiKey, i16)>,
    /// Until when the broker wants to be left alone (KIP-219).
    silent_until: Time,
}

/// What happens later.
pub(super) enum Mail {
    Opened(ConnId),
    Closed(ConnId, &'static str),
    Answer(ConnId, Vec<u8>),
    Garbage(ConnId, &'static str),
    /// The broker reads again.
    Writable(ConnId),
    /// A request arrives at a broker, even if its connection is forgotten by then: that is how the
    /// past overtakes the present.
    Request(ConnId, i32, Vec<u8>),
    /// A batch comes back from compression.
    Compressed(Done),
}

// Faults of brokers and network.
impl World {
    /// Breaks a broker's connections; new ones go as `reach` says. What was on its way to the
    /// broker is lost.
    pub fn crash(&mut self, broker: i32, reach: Reach) {
        self.cluster.broker(broker).reach = reach;
        self.mail
            .retain(|_, mail| !matches!(mail, Mail::Request(_, to, _) if *to == broker));
        self.reset_connections(broker);
    }

    /// Breaks a broker's connections, and nothing else: what was on its way to the broker arrives.
    pub fn reset_connections(&mut self, broker: i32) {
        for conn in self.conns_to(broker) {
            self.post(self.clock.now(), Mail::Closed(conn, "connection reset"));
        }
    }

    /// Gives every partition that a dead broker leads another leader.
    pub(crate) fn fail_over(&mut self, dead: i32, to: Option<i32>, election: Election) {
        self.cluster.fail_over(dead, to, election, self.clock.now());
    }

    /// A fault has come to pass, for all messages that wait.
    pub(crate) fn hit(&mut self, fault: impl Into<Cow<'static, str>>) {
        self.cluster.held = self.sent.len() - self.outcomes.len();
        self.cluster.hit(fault);
    }

    /// Closes the connections on which brokers say nothing any more, and nobody has asked anything
    /// that would show it.
    pub(crate) fn end_silence(&mut self) {
        let silent = self.silent.iter();
        let mut silent: Vec<ConnId> = silent.copied().collect();
        silent.sort_unstable();
        for conn in silent {
            self.post(self.clock.now(), Mail::Closed(conn, "connection reset"));
        }
    }

    /// Has a broker read on.
    pub fn read_on(&mut self, broker: i32) {
        self.cluster.broker(broker).reads = true;
        for conn in self.conns_to(broker) {
            self.post(self.clock.now(), Mail::Writable(conn));
        }
    }

    /// Has what arrived from a broker be no frame at all.
    pub fn garble(&mut self, broker: i32, what: &'static str) {
        for conn in self.conns_to(broker) {
            self.post(self.clock.now(), Mail::Garbage(conn, what));
        }
    }

    /// Has a broker send something on each of its connections.
    pub fn say_unasked(&mut self, broker: i32, frame: Vec<u8>) {
        for conn in self.conns_to(broker) {
            self.post(self.clock.now(), Mail::Answer(conn, frame.clone()));
        }
    }

    fn conns_to(&self, broker: i32) -> Vec<ConnId> {
        let conns = self.links.iter().filter(|(_, link)| link.broker == broker);
        conns.map(|(conn, _)| *conn).collect()
    }
}

// The driver's part.
impl World {
    pub(super) fn deliver_mail(&mut self) {
        let Some((_, mail)) = self.mail.pop_first() else {
            return;
        };
        self.something_happened();
        let now = self.clock.now();
        self.cluster
            .story
            .tell(self.clock.elapsed(), || match &mail {
                Mail::Opened(conn) => format!("{conn:?} is open"),
                Mail::Closed(conn, why) => format!("{conn:?} ends: {why}"),
                Mail::Answer(conn, frame) => format!("{conn:?} brings {} bytes", frame.len()),
                Mail::Garbage(conn, what) => format!("{conn:?} brings {what}"),
                Mail::Writable(conn) => format!("{conn:?} takes more"),
                Mail::Request(conn, broker, _) => format!("{conn:?}: a request reaches b{broker}"),
                Mail::Compressed(_) => "a batch is compressed".to_owned(),
            });
        match mail {
            Mail::Opened(conn) => {
                if let Some(link) = self.links.get_mut(&conn) {
                    link.open = true;
                    self.engine.opened(conn, now);
                }
            }
            Mail::Closed(conn, reason) => {
                if self.links.remove(&conn).is_some() {
                    self.engine.closed(conn, reason, now);
                }
            }
            Mail::Garbage(conn, what) => {
                if self.links.remove(&conn).is_some() {
                    self.engine.garbled(conn, what, now);
                }
            }
            Mail::Answer(conn, frame) => {
                if let Some(link) = self.links.get_mut(&conn) {
                    link.unanswered.pop_front();
                    let throttle_ms = link.throttle_ms(&frame).unwrap_or(0);
                    self.engine.receive(conn, &frame, now);
                    if throttle_ms > 0 {
                        self.expect_silence(conn, millis(throttle_ms));
                    }
                }
            }
            Mail::Writable(conn) => {
                let link = self.links.get_mut(&conn);
                if let Some(frame) = link.and_then(|link| link.stuck.take()) {
                    self.written(conn, &frame);
                    self.transmit(conn);
                }
            }
            Mail::Request(conn, broker, frame) => self.arrive(conn, broker, &frame),
            Mail::Compressed(done) => self.engine.compressed(done, now),
        }
    }

    /// The broker wants to be left alone, which goes no further than the time of a request.
    fn expect_silence(&mut self, conn: ConnId, wanted: Duration) {
        let wanted = wanted.min(self.accumulator.settings().request_timeout);
        let until = self.clock.now().after(wanted);
        // What was on its way into a socket that is full goes all the same.
        let link = self.links.get_mut(&conn);
        if let Some(link) = link.filter(|link| link.stuck.is_none()) {
            link.silent_until = link.silent_until.max(until);
            self.hit("a connection stays silent");
        }
    }

    pub(super) fn connect(&mut self, conn: ConnId, at: &Endpoint) {
        self.connects.push((self.elapsed(), at.host.clone()));
        self.books.connects_at_once += 1;
        assert!(
            self.books.connects_at_once < CONNECTS_AT_ONCE,
            "connects without end: {:?}",
            self.connects.split_off(self.connects.len() - 10)
        );
        let now = self.clock.now();
        let broker = self.cluster.at(at);
        self.cluster.story.tell(self.clock.elapsed(), || {
            format!("{conn:?} is to lead to {at}")
        });
        let link = Link {
            broker: broker.unwrap_or(-1),
            open: false,
            last_arrival: now,
            last_answer: now,
            held_back: None,
            stuck: None,
            unanswered: VecDeque::new(),
            asked: VecDeque::new(),
            silent_until: Time::default(),
        };
        self.links.insert(conn, link);
        if self.cluster.black_holes.contains(at) {
            return;
        }
        let reach = broker.map(|id| self.cluster.broker(id).reach);
        match reach {
            Some(Reach::Up | Reach::Hangs) => self.post(now, Mail::Opened(conn)),
            Some(Reach::Refuses) | None => self.post(now, Mail::Closed(conn, "connection refused")),
        }
    }

    pub(super) fn transmit(&mut self, conn: ConnId) -> bool {
        let mut transmitted = false;
        let writable = |link: &&mut Link| link.open && link.stuck.is_none();
        while self.links.get_mut(&conn).filter(writable).is_some() {
            let now = self.clock.now();
            let Some(transmit) = self.engine.poll_transmit(conn, now) else {
                break;
            };
            transmitted = true;
            let silent_until = self.links[&conn].silent_until;
            assert!(
                silent_until <= now,
                "{conn:?} is used although its broker wants to be left alone"
            );
            let chunks: Vec<&[u8]> = transmit.chunks.iter().map(AsRef::as_ref).collect();
            let bytes = chunks.concat();
            let (length, frame) = bytes.split_first_chunk().expect("a length");
            assert_eq!(i32::from_be_bytes(*length) as usize, frame.len());
            self.write(conn, frame);
        }
        transmitted
    }

    /// Writes a request, if its broker reads.
    fn write(&mut self, conn: ConnId, frame: &[u8]) {
        let now = self.clock.now();
        let Some(link) = self.links.get_mut(&conn) else {
            return;
        };
        link.unanswered.push_back(now);
        let id = link.broker;
        match self.cluster.brokers.get_mut(&id) {
            Some(broker) if broker.tears > 0 => {
                broker.tears -= 1;
                link.stuck = Some(frame.to_vec());
                self.cluster.hit("a request torn in the middle");
                self.post(now.after(millis(1)), Mail::Closed(conn, "connection reset"));
            }
            Some(broker) if !broker.reads => {
                link.stuck = Some(frame.to_vec());
                self.cluster.hit("a broker that does not read");
            }
            _ => self.written(conn, frame),
        }
    }

    fn written(&mut self, conn: ConnId, frame: &[u8]) {
        if is_without_answer(frame)
            && let Some(link) = self.links.get_mut(&conn)
        {
            link.unanswered.pop_back();
        }
        self.send(conn, frame);
        self.engine.transmitted(conn, self.clock.now());
    }

    /// Sends a request to its broker.
    fn send(&mut self, conn: ConnId, frame: &[u8]) {
        let now = self.clock.now();
        let Some(link) = self.links.get_mut(&conn) else {
            return;
        };
        let (header, _) = decode_request_header(frame).expect("a request header");
        if !is_without_answer(frame) {
            let asked = (header.correlation_id, header.api, header.version);
            link.asked.push_back(asked);
        }
        let broker = link.broker;
        let request = (self.clock.elapsed(), broker, header.api);
        self.requests.push(request);
        let distance = self.cluster.brokers.get(&broker).map(|b| b.distance);
        let arrival = now.after(distance.unwrap_or_default());
        link.last_arrival = link.last_arrival.max(arrival);
        match link.last_arrival {
            arrival if arrival <= now => self.arrive(conn, broker, frame),
            arrival => self.post(arrival, Mail::Request(conn, broker, frame.to_vec())),
        }
    }

    /// A request has reached its broker, whose answers go back if the connection is still there.
    fn arrive(&mut self, conn: ConnId, broker: i32, frame: &[u8]) {
        if self.silent.contains(&conn) {
            return;
        }
        if !self.links.contains_key(&conn) {
            self.cluster.hit("a request that outlives its connection");
        }
        let now = self.clock.now();
        self.cluster.held = self.sent.len() - self.outcomes.len();
        let reply = self.cluster.handle(broker, frame, now);
        if matches!(reply, Reply::Hang | Reply::Close | Reply::LastAnswer(..)) {
            self.silent.insert(conn);
        }
        let Some(link) = self.links.get_mut(&conn) else {
            return;
        };
        let delay = match reply {
            Reply::Answer(delay, _)
            | Reply::TwoAnswers(delay, _)
            | Reply::LateAnswer(delay, _)
            | Reply::LastAnswer(delay, _) => delay,
            Reply::None | Reply::Hang | Reply::Close => Duration::ZERO,
        };
        link.last_answer = link.last_answer.max(now.after(delay));
        let at = link.last_answer;
        let closed = Mail::Closed(conn, "the broker closed the connection");
        match reply {
            Reply::Answer(_, answer) => {
                let held_back = link.held_back.take();
                for answer in [Some(answer), held_back].into_iter().flatten() {
                    self.post(at, Mail::Answer(conn, answer));
                }
            }
            Reply::TwoAnswers(_, answer) => {
                self.post(at, Mail::Answer(conn, answer.clone()));
                self.post(at, Mail::Answer(conn, answer));
            }
            Reply::LateAnswer(_, answer) => link.held_back = Some(answer),
            Reply::None | Reply::Hang => {}
            Reply::LastAnswer(_, answer) => {
                self.post(at, Mail::Answer(conn, answer));
                self.post(at, closed);
            }
            Reply::Close => self.post(at, closed),
        }
    }

    pub(super) fn post(&mut self, at: Time, mail: Mail) {
        self.letters += 1;
        self.mail.insert((at, self.letters), mail);
    }
}

impl Link {
    /// Whether this answers the oldest question: then for how many milliseconds the broker wants to be
    /// left alone. One that speaks older versions has held the answer back instead.
    fn throttle_ms(&mut self, frame: &[u8]) -> Option<u64> {
        let (correlation, api, version) = *self.asked.front()?;
        if frame.first_chunk() != Some(&correlation.to_be_bytes()) {
            return None;
        }
        self.asked.pop_front();
        let throttle_ms = match api {
            ApiKey::Produce if version >= 6 => {
                let answer = decode_response::<ProduceResponse<'_>>(api, version, frame);
                answer.ok()?.1.throttle_time_ms
            }
            ApiKey::Metadata if version >= 6 => {
                let answer = decode_response::<MetadataResponse<'_>>(api, version, frame);
                answer.ok()?.1.throttle_time_ms
            }
            ApiKey::InitProducerId if version >= 1 => {
                let answer = decode_response::<InitProducerIdResponse>(api, version, frame);
                answer.ok()?.1.throttle_time_ms
            }
            _ => return None,
        };
        u64::try_from(throttle_ms).ok()
    }
}

/// Whether it is a Produce request with `acks=0`.
fn is_without_answer(frame: &[u8]) -> bool {
    let (header, mut body) = decode_request_header(frame).expect("a request header");
    if header.api != ApiKey::Produce {
        return false;
    }
    let request = ProduceRequest::decode(&mut body, header.version);
    request.expect("a Produce request").acks == 0
}
