//! One connection to a broker: the handshake, requests on the wire, answers matched to them, and
//! what may take how long. Bytes go in and out; the socket is somebody else's.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use kafka_wire::message::{ApiKey, Request, VersionRange, decode_response, encode_request};
use kafka_wire::message::{ApiVersionsRequest, ApiVersionsResponse};
use kafka_wire::message::{MetadataRequest, MetadataResponse};
use kafka_wire::message::{ProduceRequest, ProduceResponse};
use kafka_wire::{DecodeError, EncodeError, ErrorCode, Frame};

use crate::cluster::NodeId;
use crate::sender::Shipment;
use crate::settings::{Endpoint, Settings};
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

/// The versions that a broker and this producer have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Versions {
    pub(crate) produce: i16,
    pub(crate) metadata: i16,
}

/// What a request was for.
#[derive(Debug)]
pub(crate) enum Purpose {
    ApiVersions,
    Metadata,
    Produce(Vec<Shipment>),
}

/// A broker's answer.
#[derive(Debug)]
pub(crate) enum Answer<'a> {
    /// The handshake needs another round, which is on its way.
    Again,
    /// The connection can be used.
    Ready,
    Metadata(MetadataResponse<'a>),
    Produce(ProduceResponse<'a>, Vec<Shipment>),
}

#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) node: NodeId,
    pub(crate) endpoint: Endpoint,
    client_id: String,
    state: State,
    /// When the handshake was over; [`Time::NEVER`] until then.
    ready_at: Time,
    /// When the handshake must be over.
    setup_deadline: Time,
    last_used: Time,
    next_correlation: i32,
    outbox: VecDeque<Transmit>,
    pending: VecDeque<Pending>,
    /// Batches of an `acks=0` request that is being written: no answer will come.
    unanswered: Option<(Vec<Shipment>, Time)>,
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
    api: ApiKey,
    version: i16,
    deadline: Time,
    purpose: Purpose,
}

impl Connection {
    pub(crate) fn new(node: NodeId, endpoint: Endpoint, settings: &Settings, now: Time) -> Self {
        Self {
            node,
            endpoint,
            client_id: settings.client_id.clone(),
            state: State::Opening,
            ready_at: Time::NEVER,
            setup_deadline: now.after(settings.connection_setup_timeout),
            last_used: now,
            next_correlation: 0,
            outbox: VecDeque::new(),
            pending: VecDeque::new(),
            unanswered: None,
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
    pub(crate) fn lasted(&self, settings: &Settings, now: Time) -> bool {
        self.ready_at.after(settings.reconnect_backoff_max) <= now
    }

    /// Requests that are not answered yet.
    pub(crate) fn in_flight(&self) -> usize {
        self.pending.len() + usize::from(self.unanswered.is_some())
    }

    /// Whether an answer to Metadata is still to come.
    pub(crate) fn awaits_metadata(&self) -> bool {
        let mut purposes = self.pending.iter().map(|pending| &pending.purpose);
        purposes.any(|purpose| matches!(purpose, Purpose::Metadata))
    }

    /// Until when the oldest unanswered request has to be answered. All requests have the same
    /// time, so this also tells for how long it has been unanswered.
    pub(crate) fn oldest_deadline(&self) -> Time {
        let answer = self.pending.front().map(|pending| pending.deadline);
        let written = self.unanswered.as_ref().map(|(_, deadline)| *deadline);
        let earliest = answer.into_iter().chain(written).min();
        earliest.unwrap_or(Time::NEVER)
    }

    /// A request that is ready to be written.
    pub(crate) fn next_output(&mut self) -> Option<Transmit> {
        self.outbox.pop_front()
    }

    pub(crate) fn ask_metadata(
        &mut self,
        request: &MetadataRequest<'_>,
        deadline: Time,
    ) -> Result<(), ConnectionError> {
        let Some(versions) = self.versions() else {
            return Ok(());
        };
        self.send(request, versions.metadata, deadline, Purpose::Metadata)
    }

    /// Writes a Produce request whose records stand in `segments`, one list for each gap.
    pub(crate) fn produce(
        &mut self,
        request: &ProduceRequest<'_>,
        version: i16,
        segments: Vec<Vec<Bytes>>,
        shipments: Vec<Shipment>,
        deadline: Time,
    ) -> Result<Transmit, EncodeError> {
        let correlation = self.next_correlation;
        let frame = encode_request(request, version, correlation, Some(&self.client_id))?;
        self.next_correlation = correlation.wrapping_add(1);
        if request.acks == 0 {
            self.unanswered = Some((shipments, deadline));
        } else {
            let purpose = Purpose::Produce(shipments);
            let api = ApiKey::Produce;
            self.pending.push_back(Pending {
                correlation,
                api,
                version,
                deadline,
                purpose,
            });
        }
        Ok(Transmit {
            chunks: weave(frame, segments),
        })
    }

    /// The last [`Transmit`] is in the socket. Returns the batches that are thereby delivered.
    pub(crate) fn transmitted(&mut self, now: Time) -> Option<Vec<Shipment>> {
        self.last_used = now;
        self.unanswered.take().map(|(shipments, _)| shipments)
    }

    /// Takes an answer: a whole frame without its length.
    pub(crate) fn receive<'a>(
        &mut self,
        frame: &'a [u8],
        now: Time,
    ) -> Result<Answer<'a>, ConnectionError> {
        self.last_used = now;
        let Some(&Pending {
            api,
            version,
            correlation: expected,
            ..
        }) = self.pending.front()
        else {
            return Err(self.error(Trouble::Unasked));
        };
        let malformed = |source| Trouble::Malformed {
            api,
            version,
            source,
        };
        let found =
            kafka_wire::message::correlation_id(frame).map_err(|e| self.error(malformed(e)))?;
        if found != expected {
            return Err(self.error(Trouble::Correlation {
                api,
                expected,
                found,
            }));
        }
        let pending = self.pending.pop_front().expect("looked at above");
        let answer = match pending.purpose {
            Purpose::ApiVersions => {
                let (_, response) = decode_response::<ApiVersionsResponse<'_>>(api, version, frame)
                    .map_err(|e| self.error(malformed(e)))?;
                return self.agree(&response, version, now);
            }
            Purpose::Metadata => {
                decode_response(api, version, frame).map(|(_, response)| Answer::Metadata(response))
            }
            Purpose::Produce(shipments) => match decode_response(api, version, frame) {
                Ok((_, response)) => Ok(Answer::Produce(response, shipments)),
                Err(error) => {
                    // Whoever closes the connection must find the batches.
                    let purpose = Purpose::Produce(shipments);
                    self.pending.push_front(Pending { purpose, ..pending });
                    Err(error)
                }
            },
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
        });
        self.ready_at = now;
        Ok(Answer::Ready)
    }

    fn ask_versions(&mut self, version: i16, now: Time) -> Result<(), ConnectionError> {
        let request = ApiVersionsRequest {
            client_software_name: "event-kafka",
            client_software_version: env!("CARGO_PKG_VERSION"),
        };
        let deadline = self.setup_deadline.max(now);
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
        let frame = encode_request(request, version, correlation, Some(&self.client_id)).map_err(
            |source| {
                self.error(Trouble::Unwritable {
                    api: R::API,
                    version,
                    source,
                })
            },
        )?;
        self.next_correlation = correlation.wrapping_add(1);
        self.pending.push_back(Pending {
            correlation,
            api: R::API,
            version,
            deadline,
            purpose,
        });
        self.outbox.push_back(Transmit {
            chunks: weave(frame, Vec::new()),
        });
        Ok(())
    }

    /// When to call [`Connection::overdue`].
    pub(crate) fn deadline(&self, settings: &Settings) -> Time {
        let earliest = self.oldest_deadline();
        match self.state {
            State::Opening | State::Handshake => earliest.min(self.setup_deadline),
            State::Ready(_) if earliest == Time::NEVER => self.idle_deadline(settings),
            State::Ready(_) => earliest,
        }
    }

    /// What took too long, if anything did.
    pub(crate) fn overdue(&self, settings: &Settings, now: Time) -> Option<ConnectionError> {
        if now < self.deadline(settings) {
            return None;
        }
        Some(
            self.error(match self.state {
                State::Opening => Trouble::SlowToOpen,
                State::Handshake => Trouble::SlowHandshake,
                State::Ready(_) if self.in_flight() == 0 => Trouble::Idle,
                State::Ready(_) => Trouble::NoAnswer {
                    api: self
                        .pending
                        .front()
                        .map_or(ApiKey::Produce, |pending| pending.api),
                },
            }),
        )
    }

    fn idle_deadline(&self, settings: &Settings) -> Time {
        settings
            .connections_max_idle
            .map_or(Time::NEVER, |idle| self.last_used.after(idle))
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
            },
        })
    }

    /// The batches whose outcome this connection leaves open.
    pub(crate) fn into_shipments(self) -> Vec<Shipment> {
        let answers = self
            .pending
            .into_iter()
            .flat_map(|pending| match pending.purpose {
                Purpose::Produce(shipments) => shipments,
                Purpose::ApiVersions | Purpose::Metadata => Vec::new(),
            });
        answers
            .chain(
                self.unanswered
                    .into_iter()
                    .flat_map(|(shipments, _)| shipments),
            )
            .collect()
    }

    fn error(&self, trouble: Trouble) -> ConnectionError {
        ConnectionError {
            broker: self.endpoint.clone(),
            trouble,
        }
    }
}

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

/// Why a connection could not be used, or no longer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionError {
    /// The address as configured or advertised.
    pub broker: Endpoint,
    /// What happened.
    pub trouble: Trouble,
}

/// See [`ConnectionError`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// No connection came about.
    Unreachable {
        /// The system's words.
        reason: Arc<str>,
    },
    /// It ended before the first answer.
    LostInHandshake {
        /// The system's words.
        reason: Arc<str>,
    },
    /// It ended.
    Lost {
        /// The system's words.
        reason: Arc<str>,
    },
    /// `socket.connection.setup.timeout.ms` is over, still connecting.
    SlowToOpen,
    /// `socket.connection.setup.timeout.ms` is over, still without an answer.
    SlowHandshake,
    /// `socket.timeout.ms` is over for a request.
    NoAnswer {
        /// Which.
        api: ApiKey,
    },
    /// `connections.max.idle.ms` is over without a request.
    Idle,
    /// The cluster does not list this broker any more, or has moved it.
    Dismissed,
    /// An answer that nothing asked for.
    Unasked,
    /// An answer to another request than the oldest.
    Correlation {
        /// The oldest request's API.
        api: ApiKey,
        /// Its correlation id.
        expected: i32,
        /// The answer's.
        found: i32,
    },
    /// An answer that cannot be read.
    Malformed {
        /// Of which API.
        api: ApiKey,
        /// In which version.
        version: i16,
        /// Where, and what is wrong.
        source: DecodeError,
    },
    /// An answer that leaves out what was asked for.
    Incomplete {
        /// Of which API.
        api: ApiKey,
    },
    /// A request that cannot be written in the version that the broker understands.
    Unwritable {
        /// Of which API.
        api: ApiKey,
        /// In which version.
        version: i16,
        /// The field.
        source: EncodeError,
    },
    /// The broker refused the handshake.
    Refused {
        /// With this.
        code: ErrorCode,
    },
    /// No version of an API in common.
    TooOld {
        /// Which API.
        api: ApiKey,
        /// What the broker offers.
        theirs: Option<VersionRange>,
    },
}

impl fmt::Display for ConnectionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.broker, self.trouble)
    }
}

impl std::error::Error for ConnectionError {}

impl Trouble {
    /// Whether nothing is wrong: this side ended a connection that it did not need.
    pub(crate) fn is_orderly(&self) -> bool {
        matches!(self, Self::Idle | Self::Dismissed)
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable { reason } => write!(f, "cannot connect: {reason}"),
            Self::LostInHandshake { reason } => write!(
                f,
                "{reason} before the first answer; is this a plaintext listener of Kafka 0.11 or \
                 newer?"
            ),
            Self::Lost { reason } => f.write_str(reason),
            Self::SlowToOpen => {
                f.write_str("no connection within socket.connection.setup.timeout.ms")
            }
            Self::SlowHandshake => f.write_str(
                "connected, but no answer within socket.connection.setup.timeout.ms; is this a \
                 plaintext listener?",
            ),
            Self::NoAnswer { api } => {
                write!(f, "no answer to {} within socket.timeout.ms", api.name())
            }
            Self::Idle => f.write_str("closed after connections.max.idle.ms"),
            Self::Dismissed => f.write_str("closed: no longer part of the cluster"),
            Self::Unasked => f.write_str("an answer that nothing asked for"),
            Self::Correlation {
                api,
                expected,
                found,
            } => write!(
                f,
                "an answer to request {found} where {expected} ({}) was the oldest",
                api.name()
            ),
            Self::Malformed {
                api,
                version,
                source,
            } => {
                write!(
                    f,
                    "cannot read the answer to {} version {version}: {source}",
                    api.name()
                )
            }
            Self::Incomplete { api } => {
                write!(
                    f,
                    "the answer to {} leaves out what was asked for",
                    api.name()
                )
            }
            Self::Unwritable {
                api,
                version,
                source,
            } => {
                write!(f, "cannot write {} version {version}: {source}", api.name())
            }
            Self::Refused { code } => {
                write!(
                    f,
                    "refused the handshake: {} ({})",
                    code.name(),
                    code.text()
                )
            }
            Self::TooOld { api, theirs } => {
                let VersionRange { min, max } = oldest_usable(*api);
                write!(f, "speaks {} ", api.name())?;
                match theirs {
                    Some(theirs) => write!(f, "{} to {}", theirs.min, theirs.max)?,
                    None => f.write_str("not at all")?,
                }
                write!(
                    f,
                    ", this producer {min} to {max}; Kafka 0.11 or newer is needed"
                )
            }
        }
    }
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
