//! The error codes of Kafka's protocol, up to those of Kafka 4.4.

use std::fmt;

/// A code as it stands on the wire; it may be one that this table does not know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ErrorCode(pub i16);

impl ErrorCode {
    /// Whether this is [`ErrorCode::NONE`].
    pub fn is_ok(self) -> bool {
        self == Self::NONE
    }

    /// Kafka's name, such as `NOT_LEADER_OR_FOLLOWER`; `UNKNOWN_ERROR_CODE` for a code that is
    /// not in the table.
    pub fn name(self) -> &'static str {
        self.entry()
            .map_or("UNKNOWN_ERROR_CODE", |entry| entry.name)
    }

    /// What it means, and what to do where that helps.
    pub fn text(self) -> &'static str {
        self.entry()
            .map_or("an error that is newer than this client", |entry| {
                entry.text
            })
    }

    /// Whether the same request may succeed later: Java's `RetriableException`. What a producer
    /// does beyond that (splitting, epochs, sequences) is its own affair.
    pub fn is_retriable(self) -> bool {
        matches!(self.class(), Class::Retriable | Class::StaleMetadata)
    }

    /// Whether metadata must be asked for again before that: Java's `InvalidMetadataException`.
    pub fn needs_metadata(self) -> bool {
        self.class() == Class::StaleMetadata
    }

    fn class(self) -> Class {
        self.entry().map_or(Class::Final, |entry| entry.class)
    }

    fn entry(self) -> Option<&'static Entry> {
        // The table starts at -1 and has no holes.
        let index = usize::try_from(i32::from(self.0) + 1).ok()?;
        TABLE.get(index).filter(|entry| entry.code == self)
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}): {}", self.name(), self.0, self.text())
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    /// The same request would fail again.
    Final,
    /// The same request may succeed later.
    Retriable,
    /// The same request may succeed with fresh metadata.
    StaleMetadata,
}

struct Entry {
    code: ErrorCode,
    name: &'static str,
    class: Class,
    text: &'static str,
}

macro_rules! error_codes {
    ($($code:literal $name:ident $class:ident $text:literal)*) => {
        impl ErrorCode {
            $(
                #[doc = concat!("Code ", $code, ": ", $text, ".")]
                pub const $name: Self = Self($code);
            )*
        }

        static TABLE: &[Entry] = &[$(
            Entry {
                code: ErrorCode::$name,
                name: stringify!($name),
                class: Class::$class,
                text: $text,
            },
        )*];
    };
}

error_codes! {
    -1 UNKNOWN_SERVER_ERROR Final
        "the broker failed in a way that it did not foresee; its log says more"
    0 NONE Final
        "no error"
    1 OFFSET_OUT_OF_RANGE Final
        "the partition does not hold the offset asked for"
    2 CORRUPT_MESSAGE Retriable
        "the broker found the batch damaged, or a record without a key for a compacted topic"
    3 UNKNOWN_TOPIC_OR_PARTITION StaleMetadata
        "the broker does not have this topic or partition; create it, or check its name"
    4 INVALID_FETCH_SIZE Final
        "the fetch size is not valid"
    5 LEADER_NOT_AVAILABLE StaleMetadata
        "the partition has no leader at present; an election is under way"
    6 NOT_LEADER_OR_FOLLOWER StaleMetadata
        "the broker no longer leads this partition"
    7 REQUEST_TIMED_OUT Retriable
        "the broker could not finish the request in time; it may have taken effect"
    8 BROKER_NOT_AVAILABLE Final
        "the broker is not available"
    9 REPLICA_NOT_AVAILABLE StaleMetadata
        "the broker does not have this replica yet"
    10 MESSAGE_TOO_LARGE Final
        "larger than the topic's max.message.bytes; raise that or send less at once"
    11 STALE_CONTROLLER_EPOCH Final
        "the controller has moved to another broker"
    12 OFFSET_METADATA_TOO_LARGE Final
        "the metadata that goes with the offset is too large"
    13 NETWORK_EXCEPTION StaleMetadata
        "a broker lost the connection over which it passed the request on"
    14 COORDINATOR_LOAD_IN_PROGRESS Retriable
        "the coordinator is still loading its state"
    15 COORDINATOR_NOT_AVAILABLE Retriable
        "no coordinator is available yet"
    16 NOT_COORDINATOR Retriable
        "the broker is no longer this coordinator; look for the new one"
    17 INVALID_TOPIC_EXCEPTION Final
        "the topic's name is not valid, or the topic is internal"
    18 RECORD_LIST_TOO_LARGE Final
        "the batch is larger than a segment of the topic (segment.bytes)"
    19 NOT_ENOUGH_REPLICAS Retriable
        "fewer replicas are in step than min.insync.replicas demands; nothing was written"
    20 NOT_ENOUGH_REPLICAS_AFTER_APPEND Retriable
        "written, but to fewer replicas than min.insync.replicas demands"
    21 INVALID_REQUIRED_ACKS Final
        "acks must be 0, 1 or -1"
    22 ILLEGAL_GENERATION Final
        "the generation is not the group's present one"
    23 INCONSISTENT_GROUP_PROTOCOL Final
        "the member shares no protocol with the rest of the group"
    24 INVALID_GROUP_ID Final
        "the group id is not valid"
    25 UNKNOWN_MEMBER_ID Final
        "the coordinator does not know this member"
    26 INVALID_SESSION_TIMEOUT Final
        "the session time-out is outside what the broker allows (group.*.session.timeout.ms)"
    27 REBALANCE_IN_PROGRESS Final
        "the group is rebalancing; join again"
    28 INVALID_COMMIT_OFFSET_SIZE Final
        "the offsets to commit take too much room"
    29 TOPIC_AUTHORIZATION_FAILED Final
        "not allowed on this topic; an ACL must grant it"
    30 GROUP_AUTHORIZATION_FAILED Final
        "not allowed on this group; an ACL must grant it"
    31 CLUSTER_AUTHORIZATION_FAILED Final
        "not allowed on this cluster; an ACL must grant it (IDEMPOTENT_WRITE before Kafka 2.8)"
    32 INVALID_TIMESTAMP Final
        "a timestamp is further from the broker's clock than the topic allows"
    33 UNSUPPORTED_SASL_MECHANISM Final
        "the broker has this SASL mechanism not enabled on this listener"
    34 ILLEGAL_SASL_STATE Final
        "the request does not belong here; perhaps the listener does not use SASL"
    35 UNSUPPORTED_VERSION Final
        "the broker does not speak this version of the API"
    36 TOPIC_ALREADY_EXISTS Final
        "a topic of this name exists already"
    37 INVALID_PARTITIONS Final
        "the number of partitions is not valid"
    38 INVALID_REPLICATION_FACTOR Final
        "the replication factor is below 1 or above the number of brokers"
    39 INVALID_REPLICA_ASSIGNMENT Final
        "the assignment of replicas is not valid"
    40 INVALID_CONFIG Final
        "a configuration value is not valid"
    41 NOT_CONTROLLER Retriable
        "the broker is not the controller"
    42 INVALID_REQUEST Final
        "the broker could not make sense of the request; its log says more"
    43 UNSUPPORTED_FOR_MESSAGE_FORMAT Final
        "the topic's message format is too old for this request"
    44 POLICY_VIOLATION Final
        "a policy of the cluster forbids it"
    45 OUT_OF_ORDER_SEQUENCE_NUMBER Final
        "a batch before this one is missing in the partition"
    46 DUPLICATE_SEQUENCE_NUMBER Final
        "the partition has this batch already; its offset is no longer known"
    47 INVALID_PRODUCER_EPOCH Final
        "the producer's epoch is no longer the present one"
    48 INVALID_TXN_STATE Final
        "the transaction is not in a state that allows this"
    49 INVALID_PRODUCER_ID_MAPPING Final
        "the producer id does not belong to this transactional id"
    50 INVALID_TRANSACTION_TIMEOUT Final
        "the transaction time-out is above the broker's transaction.max.timeout.ms"
    51 CONCURRENT_TRANSACTIONS Retriable
        "the end of an earlier transaction is still being written"
    52 TRANSACTION_COORDINATOR_FENCED Final
        "another broker has become the coordinator of this transaction"
    53 TRANSACTIONAL_ID_AUTHORIZATION_FAILED Final
        "not allowed on this transactional id; an ACL must grant it"
    54 SECURITY_DISABLED Final
        "the broker has no authorizer configured"
    55 OPERATION_NOT_ATTEMPTED Final
        "not tried, because another part of the same request failed"
    56 KAFKA_STORAGE_ERROR StaleMetadata
        "the broker has trouble with the disk of this partition"
    57 LOG_DIR_NOT_FOUND Final
        "the broker has no such log directory"
    58 SASL_AUTHENTICATION_FAILED Final
        "the broker refused the credentials"
    59 UNKNOWN_PRODUCER_ID Final
        "the partition has forgotten this producer, as retention removed all that it wrote"
    60 REASSIGNMENT_IN_PROGRESS Final
        "partitions are being reassigned already"
    61 DELEGATION_TOKEN_AUTH_DISABLED Final
        "the broker has delegation tokens not enabled"
    62 DELEGATION_TOKEN_NOT_FOUND Final
        "the broker does not know this delegation token"
    63 DELEGATION_TOKEN_OWNER_MISMATCH Final
        "the delegation token belongs to somebody else"
    64 DELEGATION_TOKEN_REQUEST_NOT_ALLOWED Final
        "delegation tokens cannot be asked for over this connection; use TLS or SASL"
    65 DELEGATION_TOKEN_AUTHORIZATION_FAILED Final
        "not allowed on this delegation token"
    66 DELEGATION_TOKEN_EXPIRED Final
        "the delegation token has expired; get a new one"
    67 INVALID_PRINCIPAL_TYPE Final
        "this type of principal is not supported"
    68 NON_EMPTY_GROUP Final
        "the group still has members"
    69 GROUP_ID_NOT_FOUND Final
        "there is no such group"
    70 FETCH_SESSION_ID_NOT_FOUND Retriable
        "the broker does not know this fetch session"
    71 INVALID_FETCH_SESSION_EPOCH Retriable
        "the epoch of the fetch session is not the one expected"
    72 LISTENER_NOT_FOUND StaleMetadata
        "the leader does not have the listener over which metadata was asked for"
    73 TOPIC_DELETION_DISABLED Final
        "the brokers do not allow topics to be deleted (delete.topic.enable)"
    74 FENCED_LEADER_EPOCH StaleMetadata
        "the client's metadata is older than the broker's"
    75 UNKNOWN_LEADER_EPOCH Retriable
        "the client's metadata is newer than the broker's"
    76 UNSUPPORTED_COMPRESSION_TYPE Final
        "the broker cannot handle this compression; choose another codec"
    77 STALE_BROKER_EPOCH Final
        "the broker has registered anew since"
    78 OFFSET_NOT_AVAILABLE Retriable
        "the leader is too new to be sure of its offsets"
    79 MEMBER_ID_REQUIRED Final
        "join again with the member id of the answer"
    80 PREFERRED_LEADER_NOT_AVAILABLE StaleMetadata
        "the preferred leader is not available"
    81 GROUP_MAX_SIZE_REACHED Final
        "the group is full (group.max.size)"
    82 FENCED_INSTANCE_ID Final
        "another member has registered with the same group.instance.id"
    83 ELIGIBLE_LEADERS_NOT_AVAILABLE StaleMetadata
        "no replica that may lead is available"
    84 ELECTION_NOT_NEEDED StaleMetadata
        "the partition has the right leader already"
    85 NO_REASSIGNMENT_IN_PROGRESS Final
        "no reassignment is under way"
    86 GROUP_SUBSCRIBED_TO_TOPIC Final
        "the group is using the topic whose offsets are to be deleted"
    87 INVALID_RECORD Final
        "the broker refuses a record of the batch; its message says which and why"
    88 UNSTABLE_OFFSET_COMMIT Retriable
        "a transaction on these offsets is still open"
    89 THROTTLING_QUOTA_EXCEEDED Retriable
        "over quota; wait as long as the answer says"
    90 PRODUCER_FENCED Final
        "a newer producer with the same transactional id has taken over"
    91 RESOURCE_NOT_FOUND Final
        "the request names something that does not exist"
    92 DUPLICATE_RESOURCE Final
        "the request names the same thing twice"
    93 UNACCEPTABLE_CREDENTIAL Final
        "the credential does not meet the rules of the cluster"
    94 INCONSISTENT_VOTER_SET Final
        "sender or receiver does not belong to the voters expected"
    95 INVALID_UPDATE_VERSION Final
        "the version of the update is not valid"
    96 FEATURE_UPDATE_FAILED Final
        "the features could not be changed; the controller's log says more"
    97 PRINCIPAL_DESERIALIZATION_FAILURE Final
        "the controller could not read the principal that a broker passed on"
    98 SNAPSHOT_NOT_FOUND Final
        "there is no such snapshot"
    99 POSITION_OUT_OF_RANGE Final
        "the position lies outside the snapshot"
    100 UNKNOWN_TOPIC_ID StaleMetadata
        "the broker does not have a topic of this id; it may have been created anew"
    101 DUPLICATE_BROKER_REGISTRATION Final
        "another broker with this node id is alive"
    102 BROKER_ID_NOT_REGISTERED Final
        "no broker with this node id is registered"
    103 INCONSISTENT_TOPIC_ID StaleMetadata
        "the topic id in the request is not the partition's"
    104 INCONSISTENT_CLUSTER_ID Final
        "the cluster id in the request is not this cluster's"
    105 TRANSACTIONAL_ID_NOT_FOUND Final
        "there is no such transactional id"
    106 FETCH_SESSION_TOPIC_ID_ERROR Retriable
        "the fetch session mixes topic ids and names"
    107 INELIGIBLE_REPLICA Final
        "a replica of the new in-sync set may not be in it"
    108 NEW_LEADER_ELECTED Final
        "the change took effect, and another replica leads now"
    109 OFFSET_MOVED_TO_TIERED_STORAGE Final
        "the offset is no longer on the broker's own disks"
    110 FENCED_MEMBER_EPOCH Final
        "the coordinator has fenced this member; give up its partitions and join again"
    111 UNRELEASED_INSTANCE_ID Final
        "another member still uses this instance id"
    112 UNSUPPORTED_ASSIGNOR Final
        "the group does not support this assignor or its version"
    113 STALE_MEMBER_EPOCH Final
        "the member's epoch is old; heartbeat first"
    114 MISMATCHED_ENDPOINT_TYPE Final
        "the request went to a broker instead of a controller, or the reverse"
    115 UNSUPPORTED_ENDPOINT_TYPE Final
        "this type of endpoint is not supported"
    116 UNKNOWN_CONTROLLER_ID Final
        "there is no such controller"
    117 UNKNOWN_SUBSCRIPTION_ID Final
        "the telemetry subscription is out of date; ask for it again"
    118 TELEMETRY_TOO_LARGE Final
        "more telemetry at once than the broker takes"
    119 INVALID_REGISTRATION Final
        "the controller refuses the registration of the broker"
    120 TRANSACTION_ABORTABLE Final
        "the transaction failed; abort it, then go on with the same transactional id"
    121 INVALID_RECORD_STATE Final
        "the record is not in a state in which it can be acknowledged"
    122 SHARE_SESSION_NOT_FOUND Retriable
        "the broker does not know this share session"
    123 INVALID_SHARE_SESSION_EPOCH Retriable
        "the epoch of the share session is not the one expected"
    124 FENCED_STATE_EPOCH Final
        "the epoch of the share group's state is not the present one"
    125 INVALID_VOTER_KEY Final
        "the voter's key is not that of the replica asked"
    126 DUPLICATE_VOTER Final
        "the voter is among the voters already"
    127 VOTER_NOT_FOUND Final
        "there is no such voter"
    128 INVALID_REGULAR_EXPRESSION Final
        "the regular expression is not valid"
    129 REBOOTSTRAP_REQUIRED Final
        "the client's metadata is too old; start again from the bootstrap servers"
    130 STREAMS_INVALID_TOPOLOGY Final
        "the topology is not valid"
    131 STREAMS_INVALID_TOPOLOGY_EPOCH Final
        "the epoch of the topology is not valid"
    132 STREAMS_TOPOLOGY_FENCED Final
        "the epoch of the topology is out of date"
    133 SHARE_SESSION_LIMIT_REACHED Retriable
        "the broker has as many share sessions as it allows"
    134 GROUP_DELETION_FAILED Final
        "the group could not be deleted; the answer says why"
    135 STREAMS_TOPOLOGY_DESCRIPTION_UPDATE_FAILED Final
        "the description of the topology could not be changed; the answer says why"
    136 CONTROLLER_ID_NOT_REGISTERED Final
        "no controller with this id is registered"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_has_no_holes_so_every_code_finds_its_own_entry() {
        for (code, entry) in (-1..).zip(TABLE) {
            assert_eq!(entry.code, ErrorCode(code), "{}", entry.name);
            assert_eq!(ErrorCode(code).name(), entry.name);
        }
    }

    #[test]
    fn unknown_codes_have_a_name_and_are_not_retried() {
        for code in [i16::MIN, -2, 137, i16::MAX].map(ErrorCode) {
            assert_eq!(code.name(), "UNKNOWN_ERROR_CODE");
            assert!(!code.is_retriable() && !code.needs_metadata());
        }
        let text = ErrorCode(999).to_string();
        assert_eq!(
            text,
            "UNKNOWN_ERROR_CODE (999): an error that is newer than this client"
        );
    }

    #[test]
    fn errors_of_produce_are_classed_as_java_classes_them() {
        let stale = [3, 5, 6, 9, 13, 56, 74, 100, 103];
        let retriable = [2, 7, 19, 20, 51, 75, 89];
        let last = [
            -1, 0, 8, 10, 17, 18, 21, 29, 31, 32, 43, 44, 45, 46, 47, 59, 76, 87, 90, 120, 129,
        ];
        assert!(
            stale
                .iter()
                .all(|&c| ErrorCode(c).needs_metadata() && ErrorCode(c).is_retriable())
        );
        assert!(
            retriable
                .iter()
                .all(|&c| ErrorCode(c).is_retriable() && !ErrorCode(c).needs_metadata())
        );
        assert!(last.iter().all(|&c| !ErrorCode(c).is_retriable()));
    }
}
