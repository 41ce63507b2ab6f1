//! The same messages as the `kafka-protocol` crate sees them, turned into ours for comparison.
//! Its unknown tagged fields are left out, for ours are skipped.

use kafka_protocol::messages as theirs;
use kafka_protocol::protocol::StrBytes;
use kafka_wire::message::*;
use kafka_wire::{ErrorCode, Uuid};

pub(crate) fn api_versions_request(message: &theirs::ApiVersionsRequest) -> ApiVersionsRequest<'_> {
    ApiVersionsRequest {
        client_software_name: &message.client_software_name,
        client_software_version: &message.client_software_version,
    }
}

pub(crate) fn api_versions_response(
    message: &theirs::ApiVersionsResponse,
) -> ApiVersionsResponse<'_> {
    ApiVersionsResponse {
        error_code: ErrorCode(message.error_code),
        api_keys: list(&message.api_keys, |api| ApiVersion {
            api_key: api.api_key,
            min_version: api.min_version,
            max_version: api.max_version,
        }),
        throttle_time_ms: message.throttle_time_ms,
        supported_features: list(&message.supported_features, |feature| SupportedFeature {
            name: &feature.name,
            min_version: feature.min_version,
            max_version: feature.max_version,
        }),
        finalized_features_epoch: message.finalized_features_epoch,
        finalized_features: list(&message.finalized_features, |feature| FinalizedFeature {
            name: &feature.name,
            max_version_level: feature.max_version_level,
            min_version_level: feature.min_version_level,
        }),
        zk_migration_ready: message.zk_migration_ready,
    }
}

pub(crate) fn metadata_request(message: &theirs::MetadataRequest) -> MetadataRequest<'_> {
    MetadataRequest {
        topics: message.topics.as_ref().map(|topics| {
            list(topics, |topic| MetadataRequestTopic {
                topic_id: Uuid(*topic.topic_id.as_bytes()),
                name: text(topic.name.as_deref()),
            })
        }),
        allow_auto_topic_creation: message.allow_auto_topic_creation,
        include_cluster_authorized_operations: message.include_cluster_authorized_operations,
        include_topic_authorized_operations: message.include_topic_authorized_operations,
    }
}

pub(crate) fn metadata_response(message: &theirs::MetadataResponse) -> MetadataResponse<'_> {
    MetadataResponse {
        throttle_time_ms: message.throttle_time_ms,
        brokers: list(&message.brokers, |broker| MetadataBroker {
            node_id: broker.node_id.0,
            host: &broker.host,
            port: broker.port,
            rack: text(broker.rack.as_ref()),
        }),
        cluster_id: text(message.cluster_id.as_ref()),
        controller_id: message.controller_id.0,
        topics: list(&message.topics, |topic| MetadataTopic {
            error_code: ErrorCode(topic.error_code),
            name: text(topic.name.as_deref()),
            topic_id: Uuid(*topic.topic_id.as_bytes()),
            is_internal: topic.is_internal,
            partitions: list(&topic.partitions, |partition| MetadataPartition {
                error_code: ErrorCode(partition.error_code),
                partition_index: partition.partition_index,
                leader_id: partition.leader_id.0,
                leader_epoch: partition.leader_epoch,
                replica_nodes: list(&partition.replica_nodes, |node| node.0),
                isr_nodes: list(&partition.isr_nodes, |node| node.0),
                offline_replicas: list(&partition.offline_replicas, |node| node.0),
            }),
            topic_authorized_operations: topic.topic_authorized_operations,
        }),
        cluster_authorized_operations: message.cluster_authorized_operations,
        error_code: ErrorCode(message.error_code),
    }
}

pub(crate) fn produce_request(message: &theirs::ProduceRequest) -> ProduceRequest<'_> {
    ProduceRequest {
        transactional_id: text(message.transactional_id.as_deref()),
        acks: message.acks,
        timeout_ms: message.timeout_ms,
        topics: list(&message.topic_data, |topic| ProduceTopic {
            name: &topic.name,
            topic_id: Uuid(*topic.topic_id.as_bytes()),
            partitions: list(&topic.partition_data, |partition| ProducePartition {
                index: partition.index,
                records: partition.records.as_deref().map(Records::Whole),
            }),
        }),
    }
}

pub(crate) fn produce_response(message: &theirs::ProduceResponse) -> ProduceResponse<'_> {
    ProduceResponse {
        topics: list(&message.responses, |topic| ProduceTopicResponse {
            name: &topic.name,
            topic_id: Uuid(*topic.topic_id.as_bytes()),
            partitions: list(&topic.partition_responses, |partition| {
                ProducePartitionResponse {
                    index: partition.index,
                    error_code: ErrorCode(partition.error_code),
                    base_offset: partition.base_offset,
                    log_append_time_ms: partition.log_append_time_ms,
                    log_start_offset: partition.log_start_offset,
                    record_errors: list(&partition.record_errors, |error| RecordError {
                        batch_index: error.batch_index,
                        message: text(error.batch_index_error_message.as_ref()),
                    }),
                    error_message: text(partition.error_message.as_ref()),
                    current_leader: LeaderIdAndEpoch {
                        leader_id: partition.current_leader.leader_id.0,
                        leader_epoch: partition.current_leader.leader_epoch,
                    },
                }
            }),
        }),
        throttle_time_ms: message.throttle_time_ms,
        node_endpoints: list(&message.node_endpoints, |node| NodeEndpoint {
            node_id: node.node_id.0,
            host: &node.host,
            port: node.port,
            rack: text(node.rack.as_ref()),
        }),
    }
}

pub(crate) fn init_producer_id_request(
    message: &theirs::InitProducerIdRequest,
) -> InitProducerIdRequest<'_> {
    InitProducerIdRequest {
        transactional_id: text(message.transactional_id.as_deref()),
        transaction_timeout_ms: message.transaction_timeout_ms,
        producer_id: message.producer_id.0,
        producer_epoch: message.producer_epoch,
    }
}

pub(crate) fn init_producer_id_response(
    message: &theirs::InitProducerIdResponse,
) -> InitProducerIdResponse {
    InitProducerIdResponse {
        throttle_time_ms: message.throttle_time_ms,
        error_code: ErrorCode(message.error_code),
        producer_id: message.producer_id.0,
        producer_epoch: message.producer_epoch,
    }
}

fn list<'t, T, U>(elements: &'t [T], convert: impl Fn(&'t T) -> U) -> Vec<U> {
    elements.iter().map(convert).collect()
}

fn text(text: Option<&StrBytes>) -> Option<&str> {
    text.map(|text| &**text)
}
