//! What an answer can say and what it cannot, beyond being well-formed. What is kept of an answer
//! is thereby bounded, too.

use std::collections::HashSet;
use std::sync::Arc;

use kafka_wire::message::{
    InitProducerIdResponse, MetadataBroker, MetadataResponse, MetadataTopic,
};

use super::Nonsense;

/// No cluster has more brokers.
const MAX_BROKERS: usize = 10_000;

/// No topic has more partitions; each takes memory here for as long as the producer lives. Kafka
/// makes 10,000 at once at most.
const MAX_PARTITIONS: usize = 100_000;

/// No name of the domain name system is longer, and no address.
pub(crate) const MAX_HOST: usize = 255;

/// Whether brokers and topics are what brokers and topics can be, and none is there that was not
/// `asked` about; `asked` is in the order of the names, and `None` for all topics. A topic may be
/// left out: whoever needs it asks again.
pub(super) fn metadata(
    response: &MetadataResponse<'_>,
    asked: Option<&[Arc<str>]>,
) -> Result<(), Nonsense> {
    brokers(&response.brokers)?;
    let is_unasked = |name: &str| {
        asked.is_some_and(|asked| asked.binary_search_by(|known| (**known).cmp(name)).is_err())
    };
    let mut seen = HashSet::new();
    for topic in &response.topics {
        let name = topic.name.unwrap_or_default();
        if is_unasked(name) {
            let what = format!("{name:?} was not asked for");
            return Err(nonsense("MetadataTopic.name", what));
        }
        if !seen.insert(name) {
            let what = format!("{name:?} is there twice");
            return Err(nonsense("MetadataTopic.name", what));
        }
        partitions(name, topic)?;
    }
    Ok(())
}

/// Whether a producer can be who it is told to be.
pub(super) fn producer_id(response: &InitProducerIdResponse) -> Result<(), Nonsense> {
    let InitProducerIdResponse {
        error_code,
        producer_id,
        producer_epoch,
        ..
    } = *response;
    if error_code.is_ok() && (producer_id < 0 || producer_epoch < 0) {
        let what = format!("{producer_id} with epoch {producer_epoch} is no producer");
        return Err(nonsense("InitProducerIdResponse.producer_id", what));
    }
    Ok(())
}

fn brokers(brokers: &[MetadataBroker<'_>]) -> Result<(), Nonsense> {
    if brokers.len() > MAX_BROKERS {
        let what = format!("{} of them; no cluster has so many", brokers.len());
        return Err(nonsense("MetadataResponse.brokers", what));
    }
    let mut seen = HashSet::new();
    for MetadataBroker {
        node_id,
        host,
        port,
        ..
    } in brokers
    {
        if *node_id < 0 {
            let what = format!("{node_id} is no id of a broker");
            return Err(nonsense("MetadataBroker.node_id", what));
        }
        if !seen.insert(*node_id) {
            let what = format!("{node_id} is there twice");
            return Err(nonsense("MetadataBroker.node_id", what));
        }
        if host.is_empty() || host.len() > MAX_HOST {
            let what = format!("broker {node_id} has a name of {} bytes", host.len());
            return Err(nonsense("MetadataBroker.host", what));
        }
        if !(1..=i32::from(u16::MAX)).contains(port) {
            let what = format!("broker {node_id} cannot listen on {port}");
            return Err(nonsense("MetadataBroker.port", what));
        }
    }
    Ok(())
}

/// Partitions are numbered from 0 without gaps.
fn partitions(name: &str, topic: &MetadataTopic<'_>) -> Result<(), Nonsense> {
    let count = topic.partitions.len();
    if count > MAX_PARTITIONS {
        let what = format!("{count} of {name:?}; no topic has so many");
        return Err(nonsense("MetadataTopic.partitions", what));
    }
    let mut seen = vec![false; count];
    for partition in &topic.partitions {
        let index = partition.partition_index;
        let place = usize::try_from(index).ok().and_then(|at| seen.get_mut(at));
        match place {
            None => {
                let what = format!("{index} of {name:?}, which has {count} partitions");
                return Err(nonsense("MetadataPartition.partition_index", what));
            }
            Some(true) => {
                let what = format!("{index} of {name:?} is there twice");
                return Err(nonsense("MetadataPartition.partition_index", what));
            }
            Some(place) => *place = true,
        }
    }
    Ok(())
}

fn nonsense(field: &'static str, what: String) -> Nonsense {
    Nonsense { field, what }
}
