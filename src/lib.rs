//! A Kafka producer for servers.
