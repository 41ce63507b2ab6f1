//! Arbitrary messages that a given version can carry: a field that the version does not have
//! keeps its default.

use kafka_wire::message::*;
use kafka_wire::{ErrorCode, Uuid};
use proptest::collection::vec;
use proptest::prelude::*;

pub(crate) fn api_versions_request(version: i16) -> BoxedStrategy<ApiVersionsRequest<'static>> {
    let name = || present(version >= 3, text(), "");
    (name(), name())
        .prop_map(
            |(client_software_name, client_software_version)| ApiVersionsRequest {
                client_software_name,
                client_software_version,
            },
        )
        .boxed()
}

pub(crate) fn api_versions_response(version: i16) -> BoxedStrategy<ApiVersionsResponse<'static>> {
    let api = any::<(i16, i16, i16)>().prop_map(|(api_key, min_version, max_version)| ApiVersion {
        api_key,
        min_version,
        max_version,
    });
    let supported = (text(), any::<(i16, i16)>()).prop_map(|(name, (min_version, max_version))| {
        SupportedFeature {
            name,
            min_version,
            max_version,
        }
    });
    let finalized = (text(), any::<(i16, i16)>()).prop_map(|(name, levels)| FinalizedFeature {
        name,
        max_version_level: levels.0,
        min_version_level: levels.1,
    });
    // Code 35 travels in the form of version 0: a test of its own.
    let error_code = error_code().prop_filter("has another form", |code| {
        *code != ErrorCode::UNSUPPORTED_VERSION
    });
    let tagged = (
        list(supported),
        any::<i64>(),
        list(finalized),
        any::<bool>(),
    );
    let tagged = present(version >= 3, tagged, (vec![], -1, vec![], false));
    (
        error_code,
        list(api),
        present(version >= 1, any::<i32>(), 0),
        tagged,
    )
        .prop_map(
            |(error_code, api_keys, throttle_time_ms, tagged)| ApiVersionsResponse {
                error_code,
                api_keys,
                throttle_time_ms,
                supported_features: tagged.0,
                finalized_features_epoch: tagged.1,
                finalized_features: tagged.2,
                zk_migration_ready: tagged.3,
            },
        )
        .boxed()
}

pub(crate) fn metadata_request(version: i16) -> BoxedStrategy<MetadataRequest<'static>> {
    let topic = (uuid(version >= 10), nullable(version >= 10, text()))
        .prop_map(|(topic_id, name)| MetadataRequestTopic { topic_id, name });
    (
        nullable(version >= 1, list(topic)),
        present(version >= 4, any::<bool>(), true),
        present((8..=10).contains(&version), any::<bool>(), false),
        present(version >= 8, any::<bool>(), false),
    )
        .prop_map(
            |(topics, creation, cluster_operations, topic_operations)| MetadataRequest {
                topics,
                allow_auto_topic_creation: creation,
                include_cluster_authorized_operations: cluster_operations,
                include_topic_authorized_operations: topic_operations,
            },
        )
        .boxed()
}

pub(crate) fn metadata_response(version: i16) -> BoxedStrategy<MetadataResponse<'static>> {
    let broker = (
        any::<i32>(),
        text(),
        any::<i32>(),
        optional(version >= 1, text()),
    )
        .prop_map(|(node_id, host, port, rack)| MetadataBroker {
            node_id,
            host,
            port,
            rack,
        });
    let nodes = || vec(any::<i32>(), 0..4);
    let partition = (
        error_code(),
        any::<(i32, i32)>(),
        present(version >= 7, any::<i32>(), -1),
        nodes(),
        nodes(),
        present(version >= 5, nodes(), vec![]),
    )
        .prop_map(
            |(error_code, (partition_index, leader_id), leader_epoch, replicas, isr, off)| {
                MetadataPartition {
                    error_code,
                    partition_index,
                    leader_id,
                    leader_epoch,
                    replica_nodes: replicas,
                    isr_nodes: isr,
                    offline_replicas: off,
                }
            },
        );
    let topic = (
        error_code(),
        nullable(version >= 12, text()),
        uuid(version >= 10),
        present(version >= 1, any::<bool>(), false),
        list(partition),
        present(version >= 8, any::<i32>(), i32::MIN),
    )
        .prop_map(
            |(error_code, name, topic_id, is_internal, partitions, operations)| MetadataTopic {
                error_code,
                name,
                topic_id,
                is_internal,
                partitions,
                topic_authorized_operations: operations,
            },
        );
    (
        present(version >= 3, any::<i32>(), 0),
        list(broker),
        optional(version >= 2, text()),
        present(version >= 1, any::<i32>(), -1),
        list(topic),
        present((8..=10).contains(&version), any::<i32>(), i32::MIN),
        present(version >= 13, error_code(), ErrorCode::NONE),
    )
        .prop_map(
            |(throttle, brokers, cluster_id, controller_id, topics, operations, error)| {
                MetadataResponse {
                    throttle_time_ms: throttle,
                    brokers,
                    cluster_id,
                    controller_id,
                    topics,
                    cluster_authorized_operations: operations,
                    error_code: error,
                }
            },
        )
        .boxed()
}

pub(crate) fn produce_request(version: i16) -> BoxedStrategy<ProduceRequest<'static>> {
    let records = vec(any::<u8>(), 0..300).prop_map(|bytes| Records::Whole(bytes.leak()));
    let partition = (any::<i32>(), proptest::option::of(records))
        .prop_map(|(index, records)| ProducePartition { index, records });
    let topic = (topic_name(version), uuid(version >= 13), list(partition)).prop_map(
        |(name, topic_id, partitions)| ProduceTopic {
            name,
            topic_id,
            partitions,
        },
    );
    (
        optional(true, text()),
        any::<i16>(),
        any::<i32>(),
        list(topic),
    )
        .prop_map(
            |(transactional_id, acks, timeout_ms, topics)| ProduceRequest {
                transactional_id,
                acks,
                timeout_ms,
                topics,
            },
        )
        .boxed()
}

pub(crate) fn produce_response(version: i16) -> BoxedStrategy<ProduceResponse<'static>> {
    let record_error =
        (any::<i32>(), optional(true, text())).prop_map(|(batch_index, message)| RecordError {
            batch_index,
            message,
        });
    let leader = any::<(i32, i32)>().prop_map(|(leader_id, leader_epoch)| LeaderIdAndEpoch {
        leader_id,
        leader_epoch,
    });
    let partition = (
        any::<i32>(),
        error_code(),
        any::<(i64, i64)>(),
        present(version >= 5, any::<i64>(), -1),
        present(version >= 8, list(record_error), vec![]),
        optional(version >= 8, text()),
        present(version >= 10, leader, LeaderIdAndEpoch::default()),
    )
        .prop_map(
            |(index, error_code, (base, time), start, errors, message, leader)| {
                ProducePartitionResponse {
                    index,
                    error_code,
                    base_offset: base,
                    log_append_time_ms: time,
                    log_start_offset: start,
                    record_errors: errors,
                    error_message: message,
                    current_leader: leader,
                }
            },
        );
    let topic = (topic_name(version), uuid(version >= 13), list(partition)).prop_map(
        |(name, topic_id, partitions)| ProduceTopicResponse {
            name,
            topic_id,
            partitions,
        },
    );
    let node = (any::<i32>(), text(), any::<i32>(), optional(true, text())).prop_map(
        |(node_id, host, port, rack)| NodeEndpoint {
            node_id,
            host,
            port,
            rack,
        },
    );
    (
        list(topic),
        any::<i32>(),
        present(version >= 10, list(node), vec![]),
    )
        .prop_map(
            |(topics, throttle_time_ms, node_endpoints)| ProduceResponse {
                topics,
                throttle_time_ms,
                node_endpoints,
            },
        )
        .boxed()
}

pub(crate) fn init_producer_id_request(
    version: i16,
) -> BoxedStrategy<InitProducerIdRequest<'static>> {
    (
        optional(true, text()),
        any::<i32>(),
        present(version >= 3, any::<(i64, i16)>(), (-1, -1)),
    )
        .prop_map(
            |(transactional_id, timeout, (producer_id, producer_epoch))| InitProducerIdRequest {
                transactional_id,
                transaction_timeout_ms: timeout,
                producer_id,
                producer_epoch,
            },
        )
        .boxed()
}

pub(crate) fn init_producer_id_response(_version: i16) -> BoxedStrategy<InitProducerIdResponse> {
    (any::<i32>(), error_code(), any::<i64>(), any::<i16>())
        .prop_map(
            |(throttle_time_ms, error_code, producer_id, producer_epoch)| InitProducerIdResponse {
                throttle_time_ms,
                error_code,
                producer_id,
                producer_epoch,
            },
        )
        .boxed()
}

/// Strings around the lengths where a varint grows.
fn text() -> BoxedStrategy<&'static str> {
    prop_oneof![8 => ".{0,8}", 1 => "[a-zß€]{60,140}"]
        .prop_map(|text| &*text.leak())
        .boxed()
}

fn topic_name(version: i16) -> BoxedStrategy<&'static str> {
    present(version <= 12, text(), "")
}

fn error_code() -> BoxedStrategy<ErrorCode> {
    any::<i16>().prop_map(ErrorCode).boxed()
}

fn uuid(is_present: bool) -> BoxedStrategy<Uuid> {
    present(is_present, any::<[u8; 16]>().prop_map(Uuid), Uuid::ZERO)
}

fn list<T: std::fmt::Debug>(element: impl Strategy<Value = T>) -> impl Strategy<Value = Vec<T>> {
    vec(element, 0..4)
}

/// A field that the version has, or the default.
fn present<T: Clone + std::fmt::Debug + 'static>(
    is_present: bool,
    value: impl Strategy<Value = T> + 'static,
    default: T,
) -> BoxedStrategy<T> {
    if is_present {
        value.boxed()
    } else {
        Just(default).boxed()
    }
}

/// A field that may be null where the version has it, and is null where not.
fn optional<T: Clone + std::fmt::Debug + 'static>(
    is_present: bool,
    value: impl Strategy<Value = T> + 'static,
) -> BoxedStrategy<Option<T>> {
    present(is_present, proptest::option::of(value), None)
}

/// A field that every version has, but not every one with null.
fn nullable<T: Clone + std::fmt::Debug + 'static>(
    is_nullable: bool,
    value: impl Strategy<Value = T> + 'static,
) -> BoxedStrategy<Option<T>> {
    if is_nullable {
        proptest::option::of(value).boxed()
    } else {
        value.prop_map(Some).boxed()
    }
}
