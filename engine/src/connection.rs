//! One connection to a broker: the handshake, requests on the wire, answers matched to them, and
//! what may take how long. Bytes go in and out; the socket is somebody else's.

mod plausible;
mod trouble;

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kafka_wire::message::{
    ApiKey, Request, VersionRange, decode_request_header, decode_response, encode_request,
};
use kafka_wire::message::{ApiVersionsRequest, ApiVersionsResponse};
use kafka_wire::message::{InitProducerIdRequest, InitProducerIdResponse};
use kafka_wire::message::{MetadataRequest, MetadataRequestTopic, MetadataResponse};
use kafka_wire::message::{ProduceRequest, ProduceResponse};
use kafka_wire::{EncodeError, ErrorCode, Frame, Uuid};

pub(crate) use plausible::MAX_HOST;
pub use trouble::{ConnectionError, Nonsense, Question, Trouble};

use crate::accumulator::Core;
use crate::cluster::NodeId;
use crate::say;
use crate::sender::Shipment;
use crate::settings::Endpoint;
use crate::time::Time;

/// Names one connection for as long as the engine lives; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId(pub(crate) u64);

/// A request to write: all chunks, in this order, and nothing in between.
#[derive(Debug)]
pub struct Transmit {
    /// The bytes, shared with the batches they belong to.
    pub chunks: VecDeque<Bytes>,
}

/// For the flight recorder: which request it is, by what stands at its beginning, and how long.
impl fmt::Display for Transmit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let len: usize = self.chunks.iter().map(Bytes::len).sum();
        let start = self
            .chunks
            .front()
            .and_then(|chunk| chunk.get(size_of::<i32>()..));
        match start.map(decode_request_header) {
            Some(Ok((header, _))) => write!(
                f,
                "{} {}, number {}, {len} bytes",
                header.api.name(),
                header.version,
                header.correlation_id
            ),
            _ => write!(f, "{len} bytes"),
        }
    }
}

/// The versions that a broker and this producer have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Versions {
    pub(crate) produce: i16,
    pub(crate) metadata: i16,
    /// Not every cluster that is called Kafka gives out producer ids.
    pub(crate) init_producer_id: Option<i16>,
}

/// What a request was for.
#[derive(Debug)]
pub(crate) enum Purpose {
    ApiVersions,
    /// About these topics, in the order of their names; `None`: all there are.
    Metadata(Option<Vec<Arc<str>>>),
    Produce(Vec<Shipment>),
    /// For this variant.
    InitProducerId(u32),
    /// It took too long: nobody waits for the answer.
    GivenUp,
}

/// A broker's answer.
#[derive(Debug)]
pub(crate) enum Answer<'a> {
    /// The handshake needs another round, which is on its way.
    Again,
    /// Nobody waits for it any more.
    Late,
    /// The connection can be used.
    Ready,
    Metadata(MetadataResponse<'a>),
    Produce(Question, ProduceResponse<'a>, Vec<Shipment>),
    ProducerId(u32, InitProducerIdResponse),
}

#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) node: NodeId,
    pub(crate) endpoint: Endpoint,
    core: Arc<Core>,
    state: State,
    /// When the handshake was over; [`Time::NEVER`] until then.
    ready_at: Time,
    /// When the handshake must be over.
    setup_deadline: Time,
    last_used: Time,
    next_correlation: i32,
    /// Requests to write.
    outbox: VecDeque<Outgoing>,
    /// The one that is being written: what of it gets no answer.
    writing: Option<Option<Unanswered>>,
    pending: VecDeque<Pending>,
    /// Requests that were given up.
    fails: usize,
    /// The broker wants to be left alone until then (KIP-219).
    muted_until: Time,
}

#[derive(Debug)]
struct Outgoing {
    transmit: Transmit,
    unanswered: Option<Unanswered>,
}

/// The batches of a request with `acks=0`, to which no answer will come.
#[derive(Debug)]
struct Unanswered {
    shipments: Vec<Shipment>,
    /// When it must be written.
    deadline: Time,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Opening,
    Handshake,
    Ready(Versions),
}

#[derive(Debug)]
struct Pending {
    correlation: i32,
    question: Question,
    deadline: Time,
    purpose: Purpose,
}

impl Pending {
    fn is_given_up(&self) -> bool {
        matches!(self.purpose, Purpose::GivenUp)
    }

    fn give_up(&mut self) -> Purpose {
        std::mem::replace(&mut self.purpose, Purpose::GivenUp)
    }
}

impl Connection {
    pub(crate) fn new(node: NodeId, endpoint: Endpoint, core: &Arc<Core>, now: Time) -> Self {
        Self {
            node,
            endpoint,
            core: Arc::clone(core),
            state: State::Opening,
            ready_at: Time::NEVER,
            setup_deadline: now.after(core.settings.connection_setup_timeout),
            last_used: now,
            next_correlation: 0,
            outbox: VecDeque::new(),
            writing: None,
            pending: VecDeque::new(),
            fails: 0,
            muted_until: Time::default(),
        }
    }

    /// The socket is open: asks what the broker can do.
    pub(crate) fn opened(&mut self, now: Time) -> Result<(), ConnectionError> {
        self.state = State::Handshake;
        self.ask_versions(ApiKey::ApiVersions.versions().max, now)
    }

    pub(crate) fn versions(&self) -> Option<Versions> {
        match self.state {
            State::Ready(versions) => Some(versions),
            State::Opening | State::Handshake => None,
        }
    }

    /// Whether it could be used for long enough to tell that all is well: for longer than the
    /// longest wait between two connections (librdkafka forgets failures after the same time).
    pub(crate) fn lasted(&self, now: Time) -> bool {
        let longest_wait = self.core.settings.reconnect_backoff_max;
        self.ready_at.after(longest_wait) <= now
    }

    /// Requests that are not answered yet.
    pub(crate) fn in_flight(&self) -> usize {
        let pending = self.pending.iter().filter(|p| !p.is_given_up());
        pending.count() + self.unanswered().count()
    }

    /// Requests that are not written, or not to their end.
    pub(crate) fn unwritten(&self) -> usize {
        self.outbox.len() + usize::from(self.writing.is_some())
    }

    fn unanswered(&self) -> impl Iterator<Item = &Unanswered> {
        let waiting = self.outbox.iter().map(|outgoing| &outgoing.unanswered);
        self.writing.iter().chain(waiting).flatten()
    }

    /// Whether it can be used for requests of an API.
    pub(crate) fn offers(&self, api: ApiKey) -> bool {
        self.versions().is_some_and(|versions| match api {
            ApiKey::InitProducerId => versions.init_producer_id.is_some(),
            ApiKey::Produce | ApiKey::Metadata | ApiKey::ApiVersions => true,
        })
    }

    /// Whether an answer to a request of an API is still to come.
    pub(crate) fn awaits(&self, api: ApiKey) -> bool {
        let mut pending = self.pending.iter();
        pending.any(|pending| pending.question.api == api && !pending.is_given_up())
    }

    /// Until when the oldest unanswered request has to be answered. All requests have the same
    /// time, so this also tells for how long it has been unanswered.
    pub(crate) fn oldest_deadline(&self) -> Time {
        let answer = self.oldest().map(|pending| pending.deadline);
        let written = self.unanswered().map(|unanswered| unanswered.deadline);
        let earliest = answer.into_iter().chain(written).min();
        earliest.unwrap_or(Time::NEVER)
    }

    /// Until when the broker wants to be left alone: in the past, if it does not.
    pub(crate) fn muted_until(&self) -> Time {
        self.muted_until
    }

    /// The oldest request whose answer is waited for.
    fn oldest(&self) -> Option<&Pending> {
        let mut pending = self.pending.iter();
        pending.find(|pending| !pending.is_given_up())
    }

    /// Gives up the answers that are overdue, so that the connection can be kept; they count for
    /// nothing should they come. Returns what they were for; `None` if it cannot be kept: too many
    /// were given up, or something is half-written.
    pub(crate) fn give_up(&mut self, now: Time) -> Option<Vec<Purpose>> {
        let overdue = self.pending.iter_mut();
        let overdue = overdue.filter(|pending| pending.deadline <= now && !pending.is_given_up());
        let overdue: Vec<&mut Pending> = overdue.collect();
        let max_fails = self.core.settings.max_fails;
        let fails = self.fails + overdue.len();
        let too_many = max_fails.is_some_and(|max| fails >= max);
        let half_written = self.writing.is_some();
        if overdue.is_empty() || too_many || half_written || self.ready_at == Time::NEVER {
            return None;
        }
        self.fails = fails;
        let purposes = overdue.into_iter().map(Pending::give_up);
        Some(purposes.collect())
    }

    /// Leaves a broker alone that says that this client is over quota (KIP-219). One that speaks
    /// older versions has held the answer back instead. And one that wants more time than requests
    /// have would break its connections if it held answers back.
    fn mute(&mut self, throttle_ms: i32, since_version: i16, question: Question, now: Time) {
        if question.version >= since_version
            && let Ok(throttle) = u64::try_from(throttle_ms)
        {
            let longest = self.core.settings.request_timeout;
            let wait = Duration::from_millis(throttle).min(longest);
            self.muted_until = self.muted_until.max(now.after(wait));
        }
    }

    /// The next request to write, once the last one is written.
    pub(crate) fn next_output(&mut self) -> Option<Transmit> {
        let outgoing = self.outbox.pop_front()?;
        self.writing = Some(outgoing.unanswered);
        Some(outgoing.transmit)
    }

    /// Asks about topics, which are in the order of their names, each once; `None`: about all.
    pub(crate) fn ask_metadata(
        &mut self,
        topics: Option<Vec<Arc<str>>>,
        deadline: Time,
    ) -> Result<(), ConnectionError> {
        let Some(versions) = self.versions() else {
            return Ok(());
        };
        let named = |name| MetadataRequestTopic {
            topic_id: Uuid::ZERO,
            name: Some(name),
        };
        let names = topics.as_deref();
        let request = MetadataRequest {
            topics: names.map(|names| names.iter().map(|name| named(&**name)).collect()),
            // Older versions have no word for it: brokers do as they are set up.
            allow_auto_topic_creation: self.core.settings.allow_auto_create
                || versions.metadata < OPTIONAL_CREATION,
            ..MetadataRequest::default()
        };
        let purpose = Purpose::Metadata(topics.clone());
        self.send(&request, versions.metadata, deadline, purpose)
    }

    /// Asks for a producer id, for the variant of that number.
    pub(crate) fn ask_producer_id(
        &mut self,
        variant: u32,
        deadline: Time,
    ) -> Result<(), ConnectionError> {
        let Some(version) = self.versions().and_then(|v| v.init_producer_id) else {
            return Ok(());
        };
        let request = InitProducerIdRequest {
            transaction_timeout_ms: i32::MAX,
            ..InitProducerIdRequest::default()
        };
        self.send(
            &request,
            version,
            deadline,
            Purpose::InitProducerId(variant),
        )
    }

    /// Lines up a Produce request whose records stand in `segments`, one list for each gap.
    pub(crate) fn produce(
        &mut self,
        request: &ProduceRequest<'_>,
        version: i16,
        segments: Vec<Vec<Bytes>>,
        shipments: Vec<Shipment>,
        deadline: Time,
    ) -> Result<(), EncodeError> {
        let correlation = self.next_correlation;
        let frame = encode_request(
            request,
            version,
            correlation,
            Some(&self.core.settings.client_id),
        )?;
        self.next_correlation = correlation.wrapping_add(1);
        let api = ApiKey::Produce;
        let question = Question { api, version };
        self.tell_of_request(question, correlation);
        let mut unanswered = None;
        if request.acks == 0 {
            unanswered = Some(Unanswered {
                shipments,
                deadline,
            });
        } else {
            self.pending.push_back(Pending {
                correlation,
                question,
                deadline,
                purpose: Purpose::Produce(shipments),
            });
        }
        self.outbox.push_back(Outgoing {
            transmit: Transmit {
                chunks: weave(frame, segments),
            },
            unanswered,
        });
        Ok(())
    }

    /// The last [`Transmit`] is in the socket. Returns the batches that are thereby delivered.
    pub(crate) fn transmitted(&mut self, now: Time) -> Option<Vec<Shipment>> {
        self.last_used = now;
        let unanswered = self.writing.take().flatten()?;
        Some(unanswered.shipments)
    }

    /// Takes an answer: a whole frame without its length.
    pub(crate) fn receive<'a>(
        &mut self,
        frame: &'a [u8],
        now: Time,
    ) -> Result<Answer<'a>, ConnectionError> {
        self.last_used = now;
        let Some(&Pending {
            question,
            correlation: expected,
            ..
        }) = self.pending.front()
        else {
            return Err(self.error(Trouble::Unasked { len: frame.len() }));
        };
        let malformed = |source| Trouble::Malformed { question, source };
        let found =
            kafka_wire::message::correlation_id(frame).map_err(|e| self.error(malformed(e)))?;
        if found != expected {
            return Err(self.error(Trouble::Correlation {
                question,
                expected,
                found,
            }));
        }
        say!(
            self.core.settings, DEBUG Protocol,
            broker = %self.endpoint, correlation = found,
            "{question} is answered with {} bytes", frame.len()
        );
        let Question { api, version } = question;
        let pending = self.pending.pop_front().expect("looked at above");
        let answer = match pending.purpose {
            Purpose::GivenUp => return Ok(Answer::Late),
            Purpose::ApiVersions => {
                let (_, response) = decode_response::<ApiVersionsResponse<'_>>(api, version, frame)
                    .map_err(|e| self.error(malformed(e)))?;
                return self.agree(&response, version, now);
            }
            Purpose::Metadata(topics) => {
                let (_, response) = decode_response::<MetadataResponse<'_>>(api, version, frame)
                    .map_err(|e| self.error(malformed(e)))?;
                plausible::metadata(&response, topics.as_deref())
                    .map_err(|source| self.error(Trouble::Nonsense { question, source }))?;
                self.mute(response.throttle_time_ms, 6, question, now);
                Ok(Answer::Metadata(response))
            }
            Purpose::InitProducerId(variant) => {
                let (_, response) = decode_response::<InitProducerIdResponse>(api, version, frame)
                    .map_err(|e| self.error(malformed(e)))?;
                plausible::producer_id(&response)
                    .map_err(|source| self.error(Trouble::Nonsense { question, source }))?;
                self.mute(response.throttle_time_ms, 1, question, now);
                Ok(Answer::ProducerId(variant, response))
            }
            Purpose::Produce(shipments) => {
                match decode_response::<ProduceResponse<'_>>(api, version, frame) {
                    Ok((_, response)) => {
                        self.mute(response.throttle_time_ms, 6, question, now);
                        Ok(Answer::Produce(question, response, shipments))
                    }
                    Err(error) => {
                        // Whoever closes the connection must find the batches.
                        let purpose = Purpose::Produce(shipments);
                        self.pending.push_front(Pending { purpose, ..pending });
                        Err(error)
                    }
                }
            }
        };
        answer.map_err(|e| self.error(malformed(e)))
    }

    /// Settles the versions, or asks once more with what the broker can read (KIP-35, KIP-511).
    fn agree(
        &mut self,
        response: &ApiVersionsResponse<'_>,
        asked: i16,
        now: Time,
    ) -> Result<Answer<'static>, ConnectionError> {
        let offered = |api: ApiKey| {
            let theirs = response
                .api_keys
                .iter()
                .find(|offer| offer.api_key == api as i16)?;
            Some(VersionRange {
                min: theirs.min_version,
                max: theirs.max_version,
            })
        };
        if response.error_code == ErrorCode::UNSUPPORTED_VERSION && asked > 0 {
            let common = offered(ApiKey::ApiVersions)
                .and_then(|theirs| theirs.highest_common(ApiKey::ApiVersions.versions()))
                .filter(|common| *common < asked);
            self.ask_versions(common.unwrap_or(0), now)?;
            return Ok(Answer::Again);
        }
        if !response.error_code.is_ok() {
            return Err(self.error(Trouble::Refused {
                code: response.error_code,
            }));
        }
        let common = |api: ApiKey| {
            let theirs = offered(api);
            let common = theirs.and_then(|theirs| theirs.highest_common(oldest_usable(api)));
            common.ok_or_else(|| self.error(Trouble::TooOld { api, theirs }))
        };
        self.state = State::Ready(Versions {
            produce: common(ApiKey::Produce)?,
            metadata: common(ApiKey::Metadata)?,
            init_producer_id: common(ApiKey::InitProducerId).ok(),
        });
        self.ready_at = now;
        Ok(Answer::Ready)
    }

    fn ask_versions(&mut self, version: i16, now: Time) -> Result<(), ConnectionError> {
        let core = Arc::clone(&self.core);
        let request = ApiVersionsRequest {
            client_software_name: &core.settings.client_software_name,
            client_software_version: &core.settings.client_software_version,
        };
        let patience = now.after(core.settings.api_version_timeout);
        let deadline = self.setup_deadline.max(now).min(patience);
        self.send(&request, version, deadline, Purpose::ApiVersions)
    }

    fn send<'a, R: Request<'a>>(
        &mut self,
        request: &R,
        version: i16,
        deadline: Time,
        purpose: Purpose,
    ) -> Result<(), ConnectionError> {
        let correlation = self.next_correlation;
        let api = R::API;
        let question = Question { api, version };
        let frame = encode_request(
            request,
            version,
            correlation,
            Some(&self.core.settings.client_id),
        )
        .map_err(|source| self.error(Trouble::Unwritable { question, source }))?;
        self.next_correlation = correlation.wrapping_add(1);
        self.tell_of_request(question, correlation);
        self.pending.push_back(Pending {
            correlation,
            question,
            deadline,
            purpose,
        });
        self.outbox.push_back(Outgoing {
            transmit: Transmit {
                chunks: weave(frame, Vec::new()),
            },
            unanswered: None,
        });
        Ok(())
    }

    fn tell_of_request(&self, question: Question, correlation: i32) {
        say!(
            self.core.settings, DEBUG Protocol,
            broker = %self.endpoint, correlation, "{question} is asked"
        );
    }

    /// When to call [`Connection::overdue`].
    pub(crate) fn deadline(&self) -> Time {
        let earliest = self.oldest_deadline();
        match self.state {
            State::Opening | State::Handshake => earliest.min(self.setup_deadline),
            State::Ready(_) if earliest == Time::NEVER => self.idle_deadline(),
            State::Ready(_) => earliest,
        }
    }

    /// What took too long, if anything did.
    pub(crate) fn overdue(&self, now: Time) -> Option<ConnectionError> {
        if now < self.deadline() {
            return None;
        }
        Some(self.error(match self.state {
            State::Opening => Trouble::SlowToOpen,
            State::Handshake => Trouble::SlowHandshake {
                limit: match now < self.setup_deadline {
                    true => "api.version.request.timeout.ms",
                    false => "socket.connection.setup.timeout.ms",
                },
            },
            State::Ready(versions) => match self.unanswered_question() {
                Some(question) => Trouble::NoAnswer { question },
                None if self.unanswered().next().is_some() => Trouble::NotWritten {
                    question: Question {
                        api: ApiKey::Produce,
                        version: versions.produce,
                    },
                },
                None => Trouble::Idle,
            },
        }))
    }

    fn idle_deadline(&self) -> Time {
        let max_idle = self.core.settings.connections_max_idle;
        max_idle.map_or(Time::NEVER, |idle| self.last_used.after(idle))
    }

    /// What to say when the other side closed the connection, or the network did.
    pub(crate) fn lost(&self, reason: &str) -> ConnectionError {
        self.error(match self.state {
            State::Opening => Trouble::Unreachable {
                reason: reason.into(),
            },
            State::Handshake => Trouble::LostInHandshake {
                reason: reason.into(),
            },
            State::Ready(_) => Trouble::Lost {
                reason: reason.into(),
                unanswered: self.unanswered_question(),
            },
        })
    }

    /// What to say when the other side sends what is no answer at all.
    pub(crate) fn garbled(&self, what: &str) -> ConnectionError {
        self.error(Trouble::Garbled {
            what: what.into(),
            unanswered: self.unanswered_question(),
        })
    }

    fn unanswered_question(&self) -> Option<Question> {
        self.oldest().map(|pending| pending.question)
    }

    /// The batches whose outcome this connection leaves open.
    pub(crate) fn into_shipments(self) -> Vec<Shipment> {
        let answers = self
            .pending
            .into_iter()
            .flat_map(|pending| match pending.purpose {
                Purpose::Produce(shipments) => shipments,
                Purpose::ApiVersions
                | Purpose::Metadata(_)
                | Purpose::InitProducerId(_)
                | Purpose::GivenUp => Vec::new(),
            });
        let waiting = self.outbox.into_iter().map(|outgoing| outgoing.unanswered);
        let unanswered = self.writing.into_iter().chain(waiting).flatten();
        let unanswered = unanswered.flat_map(|unanswered| unanswered.shipments);
        answers.chain(unanswered).collect()
    }

    fn error(&self, trouble: Trouble) -> ConnectionError {
        ConnectionError {
            broker: self.endpoint.clone(),
            trouble,
        }
    }
}

/// The version of Metadata that can ask for no topic to be created.
const OPTIONAL_CREATION: i16 = 4;

/// The versions that this producer makes use of: Metadata below 1 cannot name "no topics".
fn oldest_usable(api: ApiKey) -> VersionRange {
    let VersionRange { min, max } = api.versions();
    VersionRange {
        min: if api == ApiKey::Metadata { 1 } else { min },
        max,
    }
}

/// Puts each list of segments where its gap is.
fn weave(frame: Frame, segments: Vec<Vec<Bytes>>) -> VecDeque<Bytes> {
    let mut rest = Bytes::from(frame.bytes);
    let mut chunks = VecDeque::new();
    let mut written = 0;
    for (gap, segments) in frame.gaps.into_iter().zip(segments) {
        chunks.push_back(rest.split_to(gap - written));
        chunks.extend(segments);
        written = gap;
    }
    if !rest.is_empty() {
        chunks.push_back(rest);
    }
    chunks
}

#[cfg(test)]
mod tests {
    use super::*;

    fn woven(gaps: &[usize], lists: &[&[&'static str]]) -> String {
        let frame = Frame {
            bytes: b"abcdef".to_vec(),
            gaps: gaps.to_vec(),
        };
        let list = |list: &&[&'static str]| list.iter().map(|s| Bytes::from(*s)).collect();
        let chunks = weave(frame, lists.iter().map(list).collect());
        let bytes = chunks.into_iter().flatten().collect();
        String::from_utf8(bytes).expect("text")
    }

    #[test]
    fn each_list_of_segments_is_written_at_its_gap() {
        assert_eq!(woven(&[], &[]), "abcdef");
        assert_eq!(woven(&[3], &[&[]]), "abcdef");
        assert_eq!(woven(&[6], &[&["1", "2"]]), "abcdef12");
        assert_eq!(woven(&[2, 4], &[&["12"], &["3", "", "4"]]), "ab12cd34ef");
        assert_eq!(woven(&[0, 0, 6], &[&["1"], &["2"], &["3"]]), "12abcdef3");
    }
}
