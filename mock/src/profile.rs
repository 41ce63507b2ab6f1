//! What brokers of a version offer.

use std::fmt;
use std::str::FromStr;

use kafka_protocol::messages::ApiKey;
use kafka_protocol::messages::ApiKey::*;

use crate::state::ProducerRules;

/// A version of a broker: which APIs it offers in which versions, and the few rules that changed
/// over time.
///
/// It offers what the real one offers, as far as the mock can do it: no groups, no transactions, no
/// logging in.
#[derive(Clone, Copy)]
pub struct Profile(&'static Release);

struct Release {
    name: &'static str,
    apis: &'static [Api],
    producers: ProducerRules,
    too_new: TooNew,
    /// How far ahead of the broker's clock timestamps may be: `message.timestamp.after.max.ms`.
    timestamps_ahead_ms: i64,
}

type Api = (ApiKey, i16, i16);

/// What it says besides UNSUPPORTED_VERSION to an ApiVersions request that is too new for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TooNew {
    Nothing,
    /// Which versions of ApiVersions it has (KIP-511).
    Range,
    /// All that it offers.
    Everything,
}

/// What the mock can do. Versions that no profile offers are of no use here.
const ABILITIES: &[Api] = &[
    (Produce, 3, 13),
    (Fetch, 4, 18),
    (ListOffsets, 1, 10),
    (Metadata, 0, 13),
    (OffsetCommit, 2, 9),
    (OffsetFetch, 1, 9),
    (FindCoordinator, 0, 6),
    (JoinGroup, 0, 9),
    (ApiVersions, 0, 4),
    (CreateTopics, 2, 7),
    (DeleteTopics, 1, 6),
    (InitProducerId, 0, 5),
    (OffsetForLeaderEpoch, 2, 4),
    (DescribeCluster, 0, 2),
    (ConsumerGroupHeartbeat, 0, 1),
];

const HOUR_MS: i64 = 3_600_000;
/// `message.timestamp.after.max.ms` before Kafka 4.0.
const ANY: i64 = i64::MAX;

impl Profile {
    /// Apache Kafka 4.4.
    pub const KAFKA_4_4: Self = Self(&Release {
        name: "kafka-4.4",
        apis: &[
            (Produce, 0, 13),
            (Fetch, 4, 18),
            (ListOffsets, 1, 11),
            (Metadata, 0, 13),
            (OffsetCommit, 2, 10),
            (OffsetFetch, 1, 10),
            (FindCoordinator, 0, 6),
            (JoinGroup, 0, 9),
            (ApiVersions, 0, 5),
            (CreateTopics, 2, 7),
            (DeleteTopics, 1, 6),
            (InitProducerId, 0, 5),
            (OffsetForLeaderEpoch, 2, 4),
            (DescribeCluster, 0, 2),
            (ConsumerGroupHeartbeat, 0, 1),
        ],
        producers: ProducerRules::KIP_360,
        too_new: TooNew::Range,
        timestamps_ahead_ms: HOUR_MS,
    });

    /// Apache Kafka 3.9.
    pub const KAFKA_3_9: Self = Self(&Release {
        name: "kafka-3.9",
        apis: &[
            (Produce, 0, 11),
            (Fetch, 0, 17),
            (ListOffsets, 0, 9),
            (Metadata, 0, 12),
            (OffsetCommit, 0, 9),
            (OffsetFetch, 0, 9),
            (FindCoordinator, 0, 6),
            (JoinGroup, 0, 9),
            (ApiVersions, 0, 4),
            (CreateTopics, 0, 7),
            (DeleteTopics, 0, 6),
            (InitProducerId, 0, 5),
            (OffsetForLeaderEpoch, 0, 4),
            (DescribeCluster, 0, 1),
            (ConsumerGroupHeartbeat, 0, 0),
        ],
        producers: ProducerRules::KIP_360,
        too_new: TooNew::Range,
        timestamps_ahead_ms: ANY,
    });

    /// Apache Kafka 3.7.
    pub const KAFKA_3_7: Self = Self(&Release {
        name: "kafka-3.7",
        apis: &[
            (Produce, 0, 10),
            (Fetch, 0, 16),
            (ListOffsets, 0, 8),
            (Metadata, 0, 12),
            (OffsetCommit, 0, 9),
            (OffsetFetch, 0, 9),
            (FindCoordinator, 0, 4),
            (JoinGroup, 0, 9),
            (ApiVersions, 0, 3),
            (CreateTopics, 0, 7),
            (DeleteTopics, 0, 6),
            (InitProducerId, 0, 4),
            (OffsetForLeaderEpoch, 0, 4),
            (DescribeCluster, 0, 1),
            (ConsumerGroupHeartbeat, 0, 0),
        ],
        producers: ProducerRules::KIP_360,
        too_new: TooNew::Range,
        timestamps_ahead_ms: ANY,
    });

    /// Apache Kafka 2.8: the last without topic ids in Fetch, the first with them in Metadata.
    pub const KAFKA_2_8: Self = Self(&Release {
        name: "kafka-2.8",
        apis: &[
            (Produce, 0, 9),
            (Fetch, 0, 12),
            (ListOffsets, 0, 6),
            (Metadata, 0, 11),
            (OffsetCommit, 0, 8),
            (OffsetFetch, 0, 7),
            (FindCoordinator, 0, 3),
            (JoinGroup, 0, 7),
            (ApiVersions, 0, 3),
            (CreateTopics, 0, 7),
            (DeleteTopics, 0, 6),
            (InitProducerId, 0, 4),
            (OffsetForLeaderEpoch, 0, 4),
            (DescribeCluster, 0, 0),
        ],
        producers: ProducerRules::KIP_360,
        too_new: TooNew::Range,
        timestamps_ahead_ms: ANY,
    });

    /// Apache Kafka 2.3: the last without flexible versions, and with UNKNOWN_PRODUCER_ID.
    pub const KAFKA_2_3: Self = Self(&Release {
        name: "kafka-2.3",
        apis: &[
            (Produce, 0, 7),
            (Fetch, 0, 11),
            (ListOffsets, 0, 5),
            (Metadata, 0, 8),
            (OffsetCommit, 0, 7),
            (OffsetFetch, 0, 5),
            (FindCoordinator, 0, 2),
            (JoinGroup, 0, 5),
            (ApiVersions, 0, 2),
            (CreateTopics, 0, 3),
            (DeleteTopics, 0, 3),
            (InitProducerId, 0, 1),
            (OffsetForLeaderEpoch, 0, 3),
        ],
        producers: ProducerRules::FIVE_IN_FLIGHT,
        too_new: TooNew::Nothing,
        timestamps_ahead_ms: ANY,
    });

    /// Apache Kafka 0.11, the oldest with record batches of magic 2.
    pub const KAFKA_0_11: Self = Self(&Release {
        name: "kafka-0.11",
        apis: &[
            (Produce, 0, 3),
            (Fetch, 0, 5),
            (ListOffsets, 0, 2),
            (Metadata, 0, 4),
            (OffsetCommit, 0, 3),
            (OffsetFetch, 0, 3),
            (FindCoordinator, 0, 1),
            (JoinGroup, 0, 2),
            (ApiVersions, 0, 1),
            (CreateTopics, 0, 2),
            (DeleteTopics, 0, 1),
            (InitProducerId, 0, 0),
        ],
        producers: ProducerRules::FIRST,
        too_new: TooNew::Nothing,
        timestamps_ahead_ms: ANY,
    });

    /// Redpanda 24.3: without topic ids.
    pub const REDPANDA_24_3: Self = Self(&Release {
        name: "redpanda-24.3",
        apis: &[
            (Produce, 0, 7),
            (Fetch, 4, 11),
            (ListOffsets, 0, 4),
            (Metadata, 0, 8),
            (OffsetCommit, 1, 8),
            (OffsetFetch, 1, 7),
            (FindCoordinator, 0, 3),
            (JoinGroup, 0, 6),
            (ApiVersions, 0, 3),
            (CreateTopics, 0, 6),
            (DeleteTopics, 0, 5),
            (InitProducerId, 0, 3),
            (OffsetForLeaderEpoch, 0, 4),
        ],
        producers: ProducerRules::KIP_360,
        too_new: TooNew::Everything,
        timestamps_ahead_ms: ANY,
    });

    /// Every profile, the newest Kafka first.
    pub const ALL: &'static [Self] = &[
        Self::KAFKA_4_4,
        Self::KAFKA_3_9,
        Self::KAFKA_3_7,
        Self::KAFKA_2_8,
        Self::KAFKA_2_3,
        Self::KAFKA_0_11,
        Self::REDPANDA_24_3,
    ];

    /// The lowest and the highest version of an API that is answered; `None`: it is not offered.
    pub fn versions(self, api: ApiKey) -> Option<(i16, i16)> {
        let (_, lowest, highest) = self.answered().find(|(key, ..)| *key == api)?;
        Some((lowest, highest))
    }

    /// What ApiVersions says: key, lowest and highest version.
    pub(crate) fn advertised(self) -> impl Iterator<Item = Api> {
        self.answered()
            .map(move |(key, lowest, highest)| match key {
                // librdkafka up to 2.x takes a broker without these for one that is too old
                // (KAFKA-18659).
                Produce => (
                    key,
                    self.real(key).map_or(lowest, |(real, _)| real),
                    highest,
                ),
                _ => (key, lowest, highest),
            })
    }

    pub(crate) fn producers(self) -> ProducerRules {
        self.0.producers
    }

    pub(crate) fn too_new(self) -> TooNew {
        self.0.too_new
    }

    pub(crate) fn timestamps_ahead_ms(self) -> i64 {
        self.0.timestamps_ahead_ms
    }

    fn answered(self) -> impl Iterator<Item = Api> {
        ABILITIES.iter().filter_map(move |(key, lowest, highest)| {
            let (real_lowest, real_highest) = self.real(*key)?;
            let lowest = real_lowest.max(*lowest);
            let highest = real_highest.min(*highest);
            (lowest <= highest).then_some((*key, lowest, highest))
        })
    }

    /// What the real one offers.
    fn real(self, api: ApiKey) -> Option<(i16, i16)> {
        let (_, lowest, highest) = self.0.apis.iter().find(|(key, ..)| *key == api)?;
        Some((*lowest, *highest))
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.name)
    }
}

impl fmt::Debug for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Profile({self})")
    }
}

impl PartialEq for Profile {
    fn eq(&self, other: &Self) -> bool {
        self.0.name == other.0.name
    }
}

impl Eq for Profile {}

impl FromStr for Profile {
    type Err = UnknownProfile;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .iter()
            .find(|profile| profile.0.name == name)
            .copied()
            .ok_or_else(|| UnknownProfile(name.to_owned()))
    }
}

/// There is no profile of this name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownProfile(String);

impl fmt::Display for UnknownProfile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<String> = Profile::ALL.iter().map(Profile::to_string).collect();
        write!(
            f,
            "no profile {:?}; take one of {}",
            self.0,
            names.join(", ")
        )
    }
}

impl std::error::Error for UnknownProfile {}
