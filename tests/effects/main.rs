//! Every property that the table calls implemented has an effect: its test here runs once with the
//! default and once with another value, and what it observes differs.
//!
//! To add one: set the row to `.implemented("effects::NAME", ...)`, where NAME is the property's with
//! `_` for every `.`; list NAME below; write the function in its module.

mod batches;
mod brokers;
mod compression;
mod delivery;
mod effect;
mod log;
mod metadata;
mod partitions;
mod queue;
mod sockets;
mod virtual_time;

use std::collections::BTreeSet;

use event_kafka::config::{Handling, PROPERTIES};

use effect::Effect;

/// One test for each property, by its name: a function of that name in the module.
macro_rules! effects {
    ($($module:ident { $($property:ident)* })*) => {
        const TESTED: &[&str] = &[$($(concat!("effects::", stringify!($property)),)*)*];
        $($(
            #[test]
            fn $property() {
                $module::$property(&Effect::of(stringify!($property)));
            }
        )*)*
    };
}

effects! {
    batches {
        queue_buffering_max_ms
        batch_num_messages
        batch_size
        message_max_bytes
        request_max_bytes
        max_in_flight_requests_per_connection
        queue_buffering_backpressure_threshold
    }
    brokers {
        metadata_broker_list
        client_id
        client_software_name
        client_software_version
        metadata_recovery_strategy
        metadata_recovery_rebootstrap_trigger_ms
        enable_sparse_connections
        reconnect_backoff_ms
        reconnect_backoff_max_ms
        socket_connection_setup_timeout_ms
        api_version_request_timeout_ms
        connections_max_idle_ms
    }
    compression {
        compression_codec
        compression_level
        compression_threads
    }
    delivery {
        request_required_acks
        request_timeout_ms
        message_timeout_ms
        socket_timeout_ms
        socket_max_fails
        message_send_max_retries
        retry_backoff_ms
        retry_backoff_max_ms
        delivery_report_only_error
        enable_idempotence
        enable_gapless_guarantee
    }
    log {
        log_level
        log_connection_close
        debug
    }
    metadata {
        topic_metadata_refresh_interval_ms
        metadata_max_age_ms
        topic_metadata_refresh_fast_interval_ms
        topic_metadata_refresh_sparse
        topic_metadata_propagation_max_ms
        allow_auto_create_topics
    }
    partitions {
        partitioner
        sticky_partitioning_linger_ms
    }
    queue {
        queue_buffering_max_messages
        queue_buffering_max_kbytes
    }
    sockets {
        receive_message_max_bytes
        socket_send_buffer_bytes
        socket_receive_buffer_bytes
        socket_keepalive_enable
        socket_nagle_disable
        broker_address_family
        client_dns_lookup
        broker_address_ttl
    }
}

#[test]
fn every_implemented_property_has_its_test_and_every_test_its_property() {
    let evidence = PROPERTIES
        .iter()
        .filter_map(|property| match property.handling {
            Handling::Implemented { evidence } => Some(evidence),
            _ => None,
        });
    let named: BTreeSet<&str> = evidence.collect();
    let tested: BTreeSet<&str> = TESTED.iter().copied().collect();
    let untested: Vec<_> = named.difference(&tested).collect();
    let unnamed: Vec<_> = tested.difference(&named).collect();
    assert!(untested.is_empty(), "no such test: {untested:#?}");
    assert!(
        unnamed.is_empty(),
        "no property is implemented that names {unnamed:#?}"
    );
}
