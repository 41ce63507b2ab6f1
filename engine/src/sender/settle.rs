//! Gives messages their outcome: exactly one each.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::accumulator::{Batch, Core, Settlement, Topic};
use crate::report::{Held, Settled, SettledOutcome};
use crate::settings::ReportMode;

pub(crate) fn settle(
    core: &Core,
    topic: &Topic,
    partition: i32,
    batch: &Batch,
    settlement: Settlement,
    outcome: SettledOutcome,
) {
    let Settlement {
        range,
        opaques,
        completions,
    } = settlement;
    let count = range.len() as u32;
    let failed = matches!(outcome, SettledOutcome::Failed(_));
    if failed {
        topic.count_failed(count)
    } else {
        topic.count_delivered(count)
    }

    let skipped: VecDeque<u32> = completions.iter().map(|(index, _)| *index).collect();
    let reported = match core.settings.reports {
        ReportMode::None => 0,
        ReportMode::Errors if !failed => 0,
        ReportMode::Errors | ReportMode::All => range.len() - skipped.len(),
    };
    core.memory
        .budget()
        .release_messages(range.len() - reported);
    if reported > 0 {
        let records = core
            .settings
            .report_records
            .then(|| batch.walk(range.start));
        core.reports.push(Settled {
            topic: Arc::clone(topic.name()),
            partition,
            outcome: outcome.clone(),
            first: range.start,
            opaques,
            skipped,
            records,
            held: Held::new(Arc::clone(&core.memory), reported),
            next: 0,
        });
    }
    for (index, completion) in completions {
        completion.complete(outcome.of(partition, index));
    }
    core.settled.notify();
}
