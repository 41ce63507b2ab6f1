//! DeleteTopics, by name and by id.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::delete_topics_response::DeletableTopicResult;
use kafka_protocol::messages::{DeleteTopicsRequest, DeleteTopicsResponse, TopicName};
use uuid::Uuid;

use super::{Call, Outcome, text};
use crate::state::{Rejection, State};

/// KIP-599 brought the reason.
const REASON_SINCE: i16 = 5;
/// KIP-516.
const BY_ID_SINCE: i16 = 6;

pub(super) fn answer(state: &mut State, call: &Call<'_>) -> Outcome {
    let request: DeleteTopicsRequest = call.decode()?;
    let mut response = DeleteTopicsResponse::default().with_throttle_time_ms(call.throttle_ms());
    if call.version() >= BY_ID_SINCE {
        for topic in request.topics {
            let wanted = Wanted {
                name: topic.name,
                id: topic.topic_id,
            };
            response.responses.push(delete(state, call, wanted));
        }
    } else {
        for name in request.topic_names {
            let wanted = Wanted {
                name: Some(name),
                id: Uuid::nil(),
            };
            response.responses.push(delete(state, call, wanted));
        }
    }
    call.send(&response)
}

struct Wanted {
    name: Option<TopicName>,
    id: Uuid,
}

fn delete(state: &mut State, call: &Call<'_>, wanted: Wanted) -> DeletableTopicResult {
    let mut answer = DeletableTopicResult::default().with_name(wanted.name.clone());
    let (id, outcome) = match find(state, &wanted) {
        Ok((name, id)) => {
            answer.name = Some(text(&name).into());
            (id, remove(state, call, &name))
        }
        Err(rejection) => (wanted.id, Err(rejection)),
    };
    if call.version() >= BY_ID_SINCE {
        answer.topic_id = id;
    }
    if let Err(rejection) = outcome {
        answer.error_code = rejection.error.code();
        if call.version() >= REASON_SINCE {
            answer.error_message = Some(text(rejection.message));
        }
    }
    answer
}

fn find(state: &State, wanted: &Wanted) -> Result<(String, Uuid), Rejection> {
    match &wanted.name {
        Some(name) => state
            .topics
            .get(name.as_str())
            .map(|topic| (name.to_string(), topic.id))
            .ok_or_else(|| {
                Rejection::new(
                    ResponseError::UnknownTopicOrPartition,
                    "there is no such topic",
                )
            }),
        None => state
            .topic_by_id(wanted.id)
            .map(|(name, topic)| (name.to_owned(), topic.id))
            .ok_or_else(|| Rejection::new(ResponseError::UnknownTopicId, "no topic has this id")),
    }
}

fn remove(state: &mut State, call: &Call<'_>, name: &str) -> Result<(), Rejection> {
    if !matches!(call.plan.error(), Some((_, false))) {
        state.topics.remove(name);
    }
    match call.plan.error() {
        Some((error, _)) => Err(Rejection::new(error, "injected fault")),
        None => Ok(()),
    }
}
