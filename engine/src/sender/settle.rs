//! Gives messages their outcome: exactly one each.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::accumulator::{Core, Settlement, Topic};
use crate::error::Failure;
use crate::report::{Held, Settled, SettledOutcome};
use crate::settings::ReportMode;

/// Fails messages for the same reason.
pub(crate) fn fail_all(
    core: &Core,
    topic: &Topic,
    partition: i32,
    settlements: Vec<Settlement>,
    failure: Failure,
) {
    let failure = Arc::new(failure);
    for settlement in settlements {
        let outcome = SettledOutcome::Failed(Arc::clone(&failure));
        settle(core, topic, partition, settlement, outcome);
    }
}

pub(crate) fn settle(
    core: &Core,
    topic: &Topic,
    partition: i32,
    settlement: Settlement,
    outcome: SettledOutcome,
) {
    let Settlement {
        range,
        opaques,
        records,
        completions,
    } = settlement;
    let failed = matches!(outcome, SettledOutcome::Failed(_));
    core.tape.output(|| {
        let (topic, count) = (topic.name(), range.len());
        let which = opaques.checksum();
        match &outcome {
            SettledOutcome::Delivered { base_offset, .. } => {
                let offset = base_offset.map(|base| base.saturating_add(range.start.into()));
                format!("{count} messages to {topic}/{partition} ({which:08x}) are at {offset:?}")
            }
            SettledOutcome::Failed(failure) => {
                format!("{count} messages to {topic}/{partition} ({which:08x}) failed: {failure}")
            }
        }
    });
    let count = || match failed {
        true => topic.count_failed(range.len() as u32),
        false => topic.count_delivered(range.len() as u32),
    };

    let skipped: VecDeque<u32> = completions.iter().map(|(index, _)| *index).collect();
    let reported = match core.settings.reports {
        ReportMode::None => 0,
        ReportMode::Errors if !failed => 0,
        ReportMode::Errors | ReportMode::All => range.len() - skipped.len(),
    };
    core.memory
        .budget()
        .release_messages(range.len() - reported);
    if reported == 0 {
        count();
    } else {
        let settled = Settled {
            topic: Arc::clone(topic.name()),
            partition,
            outcome: outcome.clone(),
            first: range.start,
            opaques,
            skipped,
            records,
            held: Held::new(Arc::clone(&core.memory), reported),
            next: 0,
        };
        core.reports.push(settled, count);
    }
    for (index, completion) in completions {
        completion.complete(outcome.of(partition, index));
    }
    core.settled.notify();
}
