//! DescribeCluster.

use kafka_protocol::messages::describe_cluster_response::DescribeClusterBroker;
use kafka_protocol::messages::{BrokerId, DescribeClusterRequest, DescribeClusterResponse};

use super::{Call, Outcome, code, endpoint, text};
use crate::state::State;

pub(super) fn answer(state: &State, call: &Call<'_>) -> Outcome {
    let _: DescribeClusterRequest = call.decode()?;
    let brokers = state
        .nodes_up()
        .map(|(id, node)| {
            let (host, port) = endpoint(node);
            DescribeClusterBroker::default()
                .with_broker_id(BrokerId(id))
                .with_host(host)
                .with_port(port)
        })
        .collect();
    call.send(
        &DescribeClusterResponse::default()
            .with_throttle_time_ms(call.throttle_ms())
            .with_error_code(code(call.plan.error().map(|(error, _)| error)))
            .with_cluster_id(text(&state.cluster_id))
            .with_controller_id(BrokerId(state.controller().unwrap_or(-1)))
            .with_brokers(brokers),
    )
}
